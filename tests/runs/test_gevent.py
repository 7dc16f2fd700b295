"""Greenlets: each with its own tags, none of them held up, and a process that ends when its work is done."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections import Counter
from typing import Any

import pytest

from tests.loopback import LoopbackProvider
from tests.runs.conftest import ROOT
from tests.runs.conftest import LedgerReader
from tests.runs.conftest import environment

pytest.importorskip("gevent")

GREENLETS = """
    from gevent import monkey

    monkey.patch_all()

    import os

    import anthropic
    import gevent

    from flask_llm_cost import copy_context, with_tags
    from tests.runs.shop import app, chat

    ASK = [{"role": "user", "content": "When does the ferry leave?"}]
    http_client = anthropic.DefaultHttpxClient(verify=False)
    claude = anthropic.Anthropic(base_url=os.environ["PROVIDER"], api_key="loopback", http_client=http_client)

    def work(number):
        with with_tags(number=number):
            chat()
            list(chat(stream=True, stream_options={"include_usage": True}))
            claude.messages.create(model="claude-sonnet-4-6", max_tokens=9, messages=ASK)

    greenlets = [gevent.spawn(work, number) for number in range(20)]
    with app.test_request_context("/plain"), with_tags(feature="import"):
        greenlets += [gevent.spawn(chat), gevent.spawn(copy_context(chat))]
    gevent.joinall(greenlets, timeout=30, raise_error=True)
    assert all(greenlet.successful() for greenlet in greenlets)
"""


def run(script: str, provider: LoopbackProvider, config: dict[str, Any]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=ROOT,
        env={**environment(provider, config), "PROVIDER": provider.url},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "flask_llm_cost" not in done.stderr, done.stderr


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_every_greenlet_has_its_own_tags(ledger: LedgerReader, provider: LoopbackProvider) -> None:
    run(GREENLETS, provider, {"SQLALCHEMY_DATABASE_URI": ledger.url})
    rows = ledger.rows()
    numbers = Counter(row["tags"].get("number") for row in rows)
    assert numbers == {**{str(number): 3 for number in range(20)}, None: 2}
    assert {row["status"] for row in rows} == {"ok"}
    others = [(row["tags"], row["endpoint"]) for row in rows if "number" not in row["tags"]]
    assert sorted(others, key=str) == [({"feature": "import"}, "plain"), ({}, None)]
    assert ledger.sums_are_those_of_the_calls()


PATCHED_AFTER_THE_FORK = """
    import json
    import os
    import signal

    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy

    from flask_llm_cost import LLMCostTracker, track

    app = Flask("shop", instance_path=os.environ["SHOP_INSTANCE"])
    app.config.from_mapping(json.loads(os.environ["SHOP_CONFIG"]))
    tracker = LLMCostTracker(app, SQLAlchemy(app))

    def work():
        signal.alarm(20)  # a process that hangs in a lock ends by nothing else
        from gevent import monkey

        monkey.patch_all()
        import gevent
        from sqlalchemy import event

        engine = app.extensions["llm_cost"].ledger.engine
        event.listen(engine, "begin", lambda connection: gevent.sleep(0.2))
        track(provider="openai", model="gpt-4o-mini", input_tokens=1)
        writing = gevent.spawn(tracker.flush)
        gevent.sleep(0.1)
        track(provider="openai", model="gpt-4o-mini", input_tokens=1)
        waiting = gevent.spawn(tracker.flush)
        assert len(gevent.joinall([writing, waiting], timeout=10)) == 2

    child = os.fork()
    if child:
        os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    work()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_one_who_waits_for_a_write_does_not_hold_up_the_writer(
    ledger: LedgerReader, provider: LoopbackProvider
) -> None:
    """``gunicorn --preload -k gevent`` makes the app, forks and only then replaces locks and threads."""
    run(PATCHED_AFTER_THE_FORK, provider, {"SQLALCHEMY_DATABASE_URI": ledger.url})
    assert len(ledger.rows()) == 2
