"""What the tracker adds to a call of the real OpenAI SDK on the thread that makes it, for ``make bench``.

Three variants of the same calls alternate in short blocks, in random order, so that a busy machine slows all
alike: the bare SDK, the tracked one with a journal, and OpenTelemetry's ``openai-v2`` instrumentation with a
batch processor and an exporter in memory, as a yardstick. What a variant adds is the median of the
differences to the bare block beside it; "noise" is the spread of the middle half of these differences.

"cpu" is the processor time of the calling thread, which a busy machine changes least. What other threads do
(the writer, OpenTelemetry's exporter) is done between the blocks and not counted. Nothing is asserted.
"""

from __future__ import annotations

import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from typing import Protocol

import openai
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from openai import OpenAI

from flask_llm_cost import LLMCostTracker
from flask_llm_cost import capture
from flask_llm_cost import with_tags
from tests.benchmarks.catalog import report_catalog
from tests.benchmarks.imports import report_imports
from tests.benchmarks.otel import opentelemetry
from tests.wire_formats import chat_completion
from tests.wire_formats import chat_stream

ROUNDS = 60
CALLS = 10
MESSAGES: Any = [{"role": "user", "content": "Is the quay open?"}]
#: The difference between a long and a short stream is what its chunks cost, and nothing else.
SHORT, LONG = 10, 210

Call = Callable[[OpenAI], None]


class Variant(Protocol):
    """Taps the SDK and lets go of it again."""

    name: str

    def begin(self) -> None: ...
    def end(self) -> None: ...


class Bare:
    name = "bare"

    def begin(self) -> None:
        return None

    def end(self) -> None:
        return None


class Tracked:
    name = "tracked"

    def __init__(self, tracker: LLMCostTracker) -> None:
        self._tracker = tracker

    def begin(self) -> None:
        capture.install(["openai"])

    def end(self) -> None:
        capture.uninstall(["openai"])
        self._tracker.flush(10)


@dataclass(frozen=True)
class Block:
    """Medians of one block, in microseconds per call."""

    wall: float
    cpu: float


def plain(client: OpenAI) -> None:
    client.chat.completions.create(model="gpt-5-mini", messages=MESSAGES)


def streamed(chunks: int) -> Call:
    def call(client: OpenAI) -> None:
        stream = client.chat.completions.create(
            model=f"stream-{chunks}",
            messages=MESSAGES,
            stream=True,
            stream_options={"include_usage": True},
        )
        for _ in stream:
            pass

    return call


def run_block(app: Flask, client: OpenAI, call: Call) -> Block:
    walls, cpus = [], []
    with app.app_context(), with_tags(user="42", tenant="acme", feature="bench"):
        for _ in range(CALLS):
            begun, worked = time.perf_counter(), time.thread_time()
            call(client)
            walls.append((time.perf_counter() - begun) * 1e6)
            cpus.append((time.thread_time() - worked) * 1e6)
    return Block(statistics.median(walls), statistics.median(cpus))


def measure(app: Flask, client: OpenAI, call: Call, variants: Sequence[Variant]) -> dict[str, list[Block]]:
    found: dict[str, list[Block]] = {variant.name: [] for variant in variants}
    rng = random.Random(1)
    for round_number in range(ROUNDS + 2):
        for variant in rng.sample(list(variants), len(variants)):
            variant.begin()
            block = run_block(app, client, call)
            variant.end()
            if round_number >= 2:  # the first ones load and warm up
                found[variant.name].append(block)
    return found


def added(found: dict[str, list[Block]], name: str, what: str) -> tuple[float, float]:
    """The median of the differences to the bare blocks, and the spread of their middle half."""
    pairs = zip(found[name], found["bare"], strict=True)
    differences = sorted(getattr(one, what) - getattr(bare, what) for one, bare in pairs)
    quarter = len(differences) // 4
    return statistics.median(differences), differences[-quarter - 1] - differences[quarter]


def report(title: str, found: dict[str, list[Block]]) -> None:
    for what in ("cpu", "wall"):
        bare = statistics.median(getattr(block, what) for block in found["bare"])
        cells = []
        for name in found:
            if name != "bare":
                more, noise = added(found, name, what)
                cells.append(f"{name} {more:+7.0f} us (noise {noise:4.0f})")
        print(
            f"{title:<26}{what:<6}bare {bare:6.0f} us   {'   '.join(cells)}{_ratio(found, what)}", flush=True
        )


def _ratio(found: dict[str, list[Block]], what: str) -> str:
    if "otel" not in found:
        return ""
    theirs = added(found, "otel", what)[0]
    return f"   tracked/otel {added(found, 'tracked', what)[0] / theirs:.2f}" if theirs > 0 else ""


def report_chunks(title: str, short: dict[str, list[Block]], long: dict[str, list[Block]]) -> None:
    cells, costs = [], {}
    for name in short:
        if name != "bare":
            per_chunk = (added(long, name, "cpu")[0] - added(short, name, "cpu")[0]) / (LONG - SHORT)
            costs[name] = per_chunk
            cells.append(f"{name} {per_chunk:+7.2f} us")
    ratio = f"   tracked/otel {costs['tracked'] / costs['otel']:.2f}" if costs.get("otel", 0) > 0 else ""
    print(f"{title:<26}cpu   per chunk        {'   '.join(cells)}{ratio}", flush=True)


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


def client_without_network() -> OpenAI:
    """A client whose transport answers at once, from the HTTP package that the SDK uses."""
    package: Any = sys.modules[openai.DefaultHttpxClient.__mro__[1].__module__.partition(".")[0]]
    whole = _bytes(chat_completion("gpt-5-mini"))
    streams = {f"stream-{count}": _stream(count) for count in (SHORT, LONG)}

    def answer(request: Any) -> Any:
        content = next((data for name, data in streams.items() if name.encode() in request.content), None)
        kind = "application/json" if content is None else "text/event-stream"
        body = whole if content is None else iter(content)
        return package.Response(200, headers={"content-type": kind}, content=body)

    transport = package.MockTransport(answer)
    return OpenAI(api_key="none", http_client=package.Client(transport=transport))


def _bytes(document: Any) -> bytes:
    import json

    return document if isinstance(document, bytes) else json.dumps(document).encode()


def _stream(chunks: int) -> list[bytes]:
    """A stream whose text comes in so many chunks."""
    first, *texts, usage, done = chat_stream("gpt-5-mini")
    return [first, *(texts[number % (len(texts) - 1)] for number in range(chunks)), texts[-1], usage, done]


@contextmanager
def tracked_app(folder: Path) -> Iterator[tuple[Flask, LLMCostTracker]]:
    app = Flask("bench", instance_path=str(folder))
    app.config.update(
        SQLALCHEMY_DATABASE_URI=f"sqlite:///{folder / 'bench.sqlite'}",
        LLM_COST_INGESTION="journal",
    )
    db = SQLAlchemy(app)
    tracker = LLMCostTracker(app, db)
    with app.app_context():
        db.create_all()
    capture.uninstall("auto")  # the blocks tap the SDK themselves
    yield app, tracker
    tracker.flush(10)


def main() -> None:
    print(f"openai {openai.__version__}, Python {sys.version.split()[0]}, {ROUNDS} rounds of {CALLS} calls\n")
    variants_of_otel = opentelemetry()
    with (
        tempfile.TemporaryDirectory() as name,
        provider() as url,
        tracked_app(Path(name)) as (app, tracker),
    ):
        variants = [Bare(), Tracked(tracker), *variants_of_otel]
        quick = client_without_network()
        report("plain, no network", measure(app, quick, plain, variants))
        short, long = (measure(app, quick, streamed(count), variants) for count in (SHORT, LONG))
        report(f"stream, {SHORT} chunks", short)
        report_chunks("stream, no network", short, long)
        with OpenAI(api_key="loopback", base_url=url) as client:
            report("plain, loopback", measure(app, client, plain, variants))
        runtime = app.extensions["llm_cost"]
        print(f"\n{runtime.counters['recorded']:,} calls recorded, {runtime.counters['written']:,} written\n")
    report_catalog()
    report_imports()


if __name__ == "__main__":
    main()
