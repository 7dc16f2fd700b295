"""The clock jumps while calls are made: nothing waits for it to come back, and no duration shows it."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import create_engine
from sqlalchemy import select
from sqlalchemy.orm import Session

from flask_llm_cost.ledger import LlmCall
from flask_llm_cost.ledger import rollup_drift
from tests.faults.processes import make_tables
from tests.loopback import LoopbackProvider
from tests.loopback import loopback_provider
from tests.wire_formats import chat_completion

ROOT = Path(__file__).parents[2]
LIBRARY = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)

SCRIPT = """
    import os, threading, time
    from pathlib import Path
    import openai
    from sqlalchemy import text
    from tests.faults.processes import build_app

    app = build_app(os.environ["DATABASE"], Path(os.environ["FOLDER"]), LLM_COST_INSTRUMENT=("openai",))
    client = openai.OpenAI(http_client=openai.DefaultHttpxClient(verify=False), max_retries=0)

    def set_clock(hours):
        Path(os.environ["FAKETIME_TIMESTAMP_FILE"]).write_text(f"{hours:+d}h\\n")

    def call():
        with app.app_context():
            client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "?"}])

    def wait_until_stored(count):
        deadline = time.monotonic() + 30
        while stored() < count:  # written by the thread: nobody flushes
            assert time.monotonic() < deadline, f"{stored()} of {count} are stored"
            threading.Event().wait(0.05)  # libfaketime does not get along with time.sleep()

    def stored():
        with app.app_context(), app.extensions["sqlalchemy"].engine.connect() as connection:
            return connection.scalar(text("SELECT count(*) FROM llm_cost_calls"))

    count = 0
    for hours in (0, 1, -1, 0):
        before = time.time() - time.monotonic()
        set_clock(hours)
        jumped = abs(time.time() - time.monotonic() - before)
        assert jumped > 3000 or not hours, f"the clock has not jumped ({jumped:.0f} s)"
        for _ in range(8):
            call()
        count += 8
        wait_until_stored(count)
    threading.Timer(0.2, set_clock, (1,)).start()
    call()  # the provider takes half a second
    wait_until_stored(count + 1)
"""


@pytest.fixture
def provider() -> Iterator[LoopbackProvider]:
    with loopback_provider() as running:
        yield running


@pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)
def test_an_hour_forth_and_two_back(database_url: str, tmp_path: Path, provider: LoopbackProvider) -> None:
    if LIBRARY is None:
        pytest.skip("libfaketime is not installed: apt-get install libfaketime")
    make_tables(database_url, tmp_path)
    provider.answer(chat_completion("gpt-4o-mini"), times=32)
    provider.answer(chat_completion("gpt-4o-mini"), delay=0.5)
    (tmp_path / "clock").write_text("+0h\n")
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SCRIPT)],
        cwd=ROOT,
        env={
            **os.environ,
            "DATABASE": database_url,
            "FOLDER": str(tmp_path),
            "OPENAI_API_KEY": "loopback",
            "OPENAI_BASE_URL": f"{provider.url}/v1",
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(tmp_path / "clock"),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        },
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    engine = create_engine(database_url)
    with Session(engine) as session:
        calls = session.scalars(select(LlmCall).order_by(LlmCall.id)).all()
        assert rollup_drift(session) == []
    engine.dispose()
    assert len(calls) == 33
    moments = [call.occurred_at for call in calls]
    assert timedelta(hours=1.5) < max(moments) - min(moments) < timedelta(hours=2.5)
    durations = [call.latency_ms or 0 for call in calls]
    assert all(0 <= latency < 60_000 for latency in durations)
    assert durations[-1] >= 400, "the call during which the clock jumped"
