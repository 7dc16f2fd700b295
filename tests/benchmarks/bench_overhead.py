"""What the tracker adds to a call of the real OpenAI SDK on the thread that makes it, for ``make bench``.

Three processes make the same calls: with the bare SDK, tracked with a journal, and with OpenTelemetry's
``openai-v2`` instrumentation, as a yardstick. They take turns in short blocks, in random order, so that a
busy machine slows all alike. What a variant adds is the median of the differences to the bare block beside
it, and in brackets the difference of the fastest blocks, which others disturbed least.

"cpu" is the processor time of the calling thread. What other threads do (the writer, OpenTelemetry's
exporter) is done between the blocks and not counted. Nothing is asserted.
"""

from __future__ import annotations

import os
import random
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec

import openai

from tests.benchmarks.catalog import report_catalog
from tests.benchmarks.imports import report_imports
from tests.benchmarks.tapped import LONG
from tests.benchmarks.tapped import SHORT

ROUNDS = 60
CALLS = 20
WARM_UP = 100


@dataclass(frozen=True)
class Block:
    """Medians of one block, in microseconds per call."""

    wall: float
    cpu: float


Found = dict[str, list[Block]]


class Variant:
    """A process that has tapped the SDK in one way, and makes calls when it is asked to."""

    def __init__(self, name: str, process: subprocess.Popen[str]) -> None:
        self.name = name
        self._process = process

    def run(self, what: str, times: int) -> Block:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{what} {times}\n")
        self._process.stdin.flush()
        return Block(*map(float, self._process.stdout.readline().split()))


@contextmanager
def started(name: str, url: str) -> Iterator[Variant]:
    with _running("tests.benchmarks.tapped", name, url) as process:
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            raise SystemExit(f"The process of {name!r} did not start.")
        yield Variant(name, process)


@contextmanager
def provider() -> Iterator[str]:
    """The base URL of a provider in another process."""
    with _running("tests.loopback") as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"


@contextmanager
def _running(*module: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", *module]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        try:
            yield process
        finally:
            process.stdin.close()


def measure(variants: list[Variant], what: str) -> Found:
    for variant in variants:
        variant.run(what, WARM_UP)
    found: Found = {variant.name: [] for variant in variants}
    rng = random.Random(1)
    for _ in range(ROUNDS):
        for variant in rng.sample(variants, len(variants)):
            found[variant.name].append(variant.run(what, CALLS))
    return found


def added(found: Found, name: str, what: str) -> tuple[float, float]:
    """The median of the differences to the bare blocks, and the difference of the fastest."""
    theirs, bare = ([getattr(block, what) for block in found[key]] for key in (name, "bare"))
    differences = [one - other for one, other in zip(theirs, bare, strict=True)]
    return statistics.median(differences), min(theirs) - min(bare)


def report(title: str, found: Found) -> None:
    for what in ("cpu", "wall"):
        bare = statistics.median(getattr(block, what) for block in found["bare"])
        more = {name: added(found, name, what) for name in found if name != "bare"}
        cells = "   ".join(
            f"{name} {middle:+6.0f} us ({least:+.0f})" for name, (middle, least) in more.items()
        )
        print(f"{title:<20}{what:<6}bare {bare:6.0f} us   {cells}{_ratio(more)}", flush=True)


def report_chunks(short: Found, long: Found) -> None:
    more = {
        name: tuple(
            (of_long - of_short) / (LONG - SHORT)
            for of_long, of_short in zip(added(long, name, "cpu"), added(short, name, "cpu"), strict=True)
        )
        for name in short
        if name != "bare"
    }
    cells = "   ".join(f"{name} {middle:+6.2f} us ({least:+.2f})" for name, (middle, least) in more.items())
    print(f"{'a streamed chunk':<20}cpu                    {cells}{_ratio(more)}", flush=True)


def _ratio(more: dict[str, tuple[float, ...]]) -> str:
    if "otel" not in more or min(more["otel"]) <= 0:
        return ""
    middle, least = (ours / theirs for ours, theirs in zip(more["tracked"], more["otel"], strict=True))
    return f"   tracked/otel {middle:.2f} ({least:.2f})"


def main() -> None:
    load = os.getloadavg()[0]
    python = sys.version.split()[0]
    print(
        f"openai {openai.__version__}, Python {python}, {ROUNDS} rounds of {CALLS} calls, load {load:.1f}\n"
    )
    names = ["bare", "tracked"]
    if find_spec("opentelemetry") is None:
        print("No yardstick: OpenTelemetry's openai-v2 instrumentation is not installed.\n")
    else:
        names.append("otel")
    with ExitStack() as stack:
        url = stack.enter_context(provider())
        variants = [stack.enter_context(started(name, url)) for name in names]
        report("plain, no network", measure(variants, "plain"))
        report("plain, loopback", measure(variants, "loopback"))
        short, long = (measure(variants, what) for what in ("short", "long"))
        report(f"stream of {SHORT}", short)
        report_chunks(short, long)
    print()
    report_catalog()
    report_imports()


if __name__ == "__main__":
    main()
