"""The variants that ``bench_overhead`` compares, each in a process that taps the SDK once, as an app does.

    python -m tests.benchmarks.tapped NAME URL

Tapping and letting go again in one process would have the interpreter forget, each time, what it has learned
of the SDK's classes, and charge that to whoever taps the one that is used most.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openai
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from openai import OpenAI

from flask_llm_cost import LLMCostTracker
from flask_llm_cost import capture
from flask_llm_cost import with_tags
from tests.benchmarks.otel import opentelemetry
from tests.wire_formats import chat_completion
from tests.wire_formats import chat_stream

MESSAGES: Any = [{"role": "user", "content": "Is the quay open?"}]
#: The difference between a long and a short stream is what its chunks cost, and nothing else.
SHORT, LONG = 10, 210

Settle = Callable[[], None]


def plain(client: OpenAI) -> None:
    client.chat.completions.create(model="gpt-5-mini", messages=MESSAGES)


def streamed(client: OpenAI, chunks: int) -> None:
    stream = client.chat.completions.create(
        model=f"stream-{chunks}", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
    )
    for _ in stream:
        pass


def client_without_network() -> OpenAI:
    """A client whose transport answers at once, from the HTTP package that the SDK uses."""
    package: Any = sys.modules[openai.DefaultHttpxClient.__mro__[1].__module__.partition(".")[0]]
    whole = json.dumps(chat_completion("gpt-5-mini")).encode()
    streams = {f"stream-{count}".encode(): _stream(count) for count in (SHORT, LONG)}

    def answer(request: Any) -> Any:
        chunks = next((chunks for name, chunks in streams.items() if name in request.content), None)
        kind = "application/json" if chunks is None else "text/event-stream"
        body = whole if chunks is None else iter(chunks)
        return package.Response(200, headers={"content-type": kind}, content=body)

    transport = package.MockTransport(answer)
    return OpenAI(api_key="none", http_client=package.Client(transport=transport))


def _stream(chunks: int) -> list[bytes]:
    """A stream whose text comes in so many chunks."""
    first, *texts, usage, done = chat_stream("gpt-5-mini")
    return [first, *(texts[number % (len(texts) - 1)] for number in range(chunks)), texts[-1], usage, done]


@contextmanager
def app_of(name: str, folder: Path) -> Iterator[tuple[Flask, Settle]]:
    """The app of a variant, with the SDK tapped, and what has the work of its other threads done."""
    app = Flask("bench", instance_path=str(folder))
    app.config.update(
        SQLALCHEMY_DATABASE_URI=f"sqlite:///{folder / 'bench.sqlite'}", LLM_COST_INGESTION="journal"
    )
    db = SQLAlchemy(app)
    tracker = LLMCostTracker(app, db)
    with app.app_context():
        db.create_all()
    if name == "tracked":
        yield app, lambda: _flush(tracker)
        return
    capture.uninstall("auto")
    if name == "otel":
        with opentelemetry() as settle:
            yield app, settle
    else:
        yield app, lambda: None


def _flush(tracker: LLMCostTracker) -> None:
    if not tracker.flush(10):
        raise SystemExit("The tracker could not store its calls.")


def main() -> None:
    name, url = sys.argv[1:]
    quick = client_without_network()
    with (
        tempfile.TemporaryDirectory() as folder,
        app_of(name, Path(folder)) as (app, settle),
        OpenAI(api_key="loopback", base_url=url) as loopback,
    ):
        calls: dict[str, Callable[[], None]] = {
            "plain": lambda: plain(quick),
            "short": lambda: streamed(quick, SHORT),
            "long": lambda: streamed(quick, LONG),
            "loopback": lambda: plain(loopback),
        }
        print("ready", flush=True)
        for line in sys.stdin:
            what, times = line.split()
            print(*_block(app, calls[what], int(times)), flush=True)
            settle()


def _block(app: Flask, call: Callable[[], None], times: int) -> tuple[float, float]:
    """The medians of wall time and of this thread's processor time, in microseconds per call."""
    walls, cpus = [], []
    with app.app_context(), with_tags(user="42", tenant="acme", feature="bench"):
        for _ in range(times):
            begun, worked = time.perf_counter(), time.thread_time()
            call()
            walls.append((time.perf_counter() - begun) * 1e6)
            cpus.append((time.thread_time() - worked) * 1e6)
    return statistics.median(walls), statistics.median(cpus)


if __name__ == "__main__":
    main()
