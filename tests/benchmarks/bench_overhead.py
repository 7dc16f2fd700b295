"""What the tracker adds to a call of the real OpenAI SDK. ``make bench`` prints it; nothing is asserted.

The provider is a loopback server in a process of its own. Within this process, short blocks of calls with
and without the tap alternate, in random order within each pair, so that a busy machine slows both alike.
"call" is the time until the SDK returns (or its stream ends), "context" includes the end of the app context,
where calls are written, and "cpu" is the processor time of all that, which a busy machine does not change.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path

import openai
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from openai import OpenAI

from flask_llm_cost import LLMCostTracker
from flask_llm_cost import capture
from flask_llm_cost import with_tags

PAIRS = 100
CALLS_PER_BLOCK = 10
MESSAGES = [{"role": "user", "content": "Is the quay open?"}]


@dataclass
class Times:
    """Seconds per call: until the SDK returned, until the app context was over, and on the processor."""

    call: list[float] = field(default_factory=list)
    context: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


def plain(client: OpenAI) -> None:
    client.chat.completions.create(model="gpt-5-mini", messages=MESSAGES)


def streamed(client: OpenAI) -> None:
    chunks = client.chat.completions.create(
        model="gpt-5-mini", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
    )
    for _ in chunks:
        pass


@contextmanager
def provider() -> Iterator[str]:
    """The base URL of a provider in another process."""
    command = [sys.executable, "-m", "tests.loopback"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
        finally:
            process.stdin.close()


@contextmanager
def tracked_app(url: str) -> Iterator[Flask]:
    """An app as hosts have it; its tables are dropped at the end."""
    app = Flask("bench")
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    app.config["LLM_COST_INSTRUMENT"] = ["openai"]
    db = SQLAlchemy(app)
    tracker = LLMCostTracker(app, db)
    with app.app_context():
        db.create_all()
    try:
        yield app
    finally:
        with app.app_context():
            tracker.shutdown()
            capture.uninstall(["openai"])
            db.drop_all()
            db.engine.dispose()


def measure(app: Flask, client: OpenAI, call: Callable[[OpenAI], None]) -> tuple[Times, Times]:
    """Times without and with the tracker, from interleaved blocks."""
    off, on = Times(), Times()
    run_block(app, client, call, Times())
    rng = random.Random(1)
    for _ in range(PAIRS):
        for times in rng.sample([off, on], 2):
            if times is off:
                capture.uninstall(["openai"])
            run_block(app, client, call, times)
            if times is off:
                capture.install(["openai"])
    return off, on


def run_block(app: Flask, client: OpenAI, call: Callable[[OpenAI], None], times: Times) -> None:
    for _ in range(CALLS_PER_BLOCK):
        begun, worked = time.perf_counter(), time.thread_time()
        with app.app_context(), with_tags(user="42", tenant="acme", feature="bench"):
            entered = time.perf_counter()
            call(client)
            times.call.append(time.perf_counter() - entered)
        times.context.append(time.perf_counter() - begun)
        times.cpu.append(time.thread_time() - worked)


def percentile(values: list[float], share: float) -> float:
    """In microseconds."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1e6


def report(database: str, shape: str, off: Times, on: Times) -> None:
    for what in ("call", "context", "cpu"):
        without, tracked = getattr(off, what), getattr(on, what)
        cells = []
        for share in (0.5, 0.99):
            base = percentile(without, share)
            cells.append(f"{percentile(tracked, share) - base:+9.0f} us on {base:7.0f}")
        print(f"{database:<12}{shape:<20}{what:<9}p50 {cells[0]}   p99 {cells[1]}", flush=True)


def main() -> None:
    """Print what is added at the median and at the 99th percentile."""
    print(f"openai {openai.__version__}, {PAIRS * CALLS_PER_BLOCK} calls with and without the tracker\n")
    with tempfile.TemporaryDirectory() as folder, provider() as base_url:
        databases = {"sqlite": f"sqlite:///{Path(folder) / 'bench.sqlite'}"}
        if url := os.environ.get("LLM_COST_TEST_POSTGRESQL_URL"):
            databases["postgresql"] = url
        client = OpenAI(api_key="loopback", base_url=base_url)
        for database, url in databases.items():
            with tracked_app(url) as app:
                report(database, "plain", *measure(app, client, plain))
                report(database, "stream, 50 chunks", *measure(app, client, streamed))
                with app.app_context():
                    recorded = app.extensions["llm_cost"].calls.count()
                print(f"{database:<12}{recorded} calls recorded\n", flush=True)
        client.close()


if __name__ == "__main__":
    main()
