"""Kill processes at named points, let another one go on, and compare the ledger with what was acknowledged.

``python -m tests.faults.crash --seeds 200 sqlite`` prints one row per point. A worker of each seed
makes calls, tells this process through a pipe which of them have returned, and kills itself with SIGKILL at
its point. Then a process that is not killed starts and ends, as after a restart. All of them are forked from
this process, which imports everything once and has no connection of its own by then.

Nothing of the package is patched: the points are in the operating system's calls and in SQLAlchemy's events.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import event

from tests.faults.processes import Process
from tests.faults.processes import Run
from tests.faults.processes import build_app
from tests.faults.processes import in_threads
from tests.faults.processes import main
from tests.faults.processes import store_all
from tests.faults.processes import tracked
from tests.faults.tally import Tally

#: Calls that a worker makes if nothing kills it.
CALLS = 60
#: Long enough that a file of the journal is full after some fifty calls.
DETAILS = {f"part_{number}": "x" * 900 for number in range(7)}
SEPARATOR = b"\x1e"


@dataclass
class Worker:
    """What a point of failure gets to hold on to."""

    app: Flask
    rng: random.Random

    @property
    def engine(self) -> Any:
        return self.app.extensions["llm_cost"].ledger.engine


def kill_self() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


class Countdown:
    """Calls to let pass before the one at which the process dies."""

    def __init__(self, passes: int) -> None:
        self._left = passes
        self._lock = threading.Lock()

    def is_over(self) -> bool:
        with self._lock:
            self._left -= 1
            return self._left < 0


def in_the_middle_of_an_append(worker: Worker) -> None:
    write, due = os.write, Countdown(worker.rng.randrange(CALLS))

    def torn(descriptor: int, data: bytes) -> int:
        if data[:1] == SEPARATOR and due.is_over():
            write(descriptor, data[: worker.rng.randrange(len(data))])
            kill_self()
        return write(descriptor, data)

    os.write = torn


def between_append_and_return(worker: Worker) -> None:
    write, due = os.write, Countdown(worker.rng.randrange(CALLS))

    def dies(descriptor: int, data: bytes) -> int:
        written = write(descriptor, data)
        if data[:1] == SEPARATOR and due.is_over():
            kill_self()
        return written

    os.write = dies


def right_after_a_call(worker: Worker) -> None:
    """See :func:`_run_at`: the worker dies behind the acknowledgement."""


def in_the_middle_of_a_transaction(worker: Worker) -> None:
    due = Countdown(worker.rng.randrange(12))

    @event.listens_for(worker.engine, "after_cursor_execute")
    def executed(*args: object) -> None:
        if due.is_over():
            kill_self()


def before_a_commit(worker: Worker) -> None:
    due = Countdown(worker.rng.randrange(3))

    @event.listens_for(worker.engine, "commit")
    def committing(*args: object) -> None:
        if due.is_over():
            kill_self()


def between_commit_and_checkpoint(worker: Worker) -> None:
    # The first write of a header is that of a new segment.
    write, due = os.pwrite, Countdown(1 + worker.rng.randrange(2))

    def dies(descriptor: int, data: bytes, offset: int) -> int:
        if offset == 0 and due.is_over():
            kill_self()
        return write(descriptor, data, offset)

    os.pwrite = dies


def before_a_segment_is_deleted(worker: Worker) -> None:
    unlink = os.unlink

    def dies(path: str, **options: Any) -> None:
        if str(path).endswith(".seg"):
            kill_self()
        unlink(path, **options)

    os.unlink = dies  # type: ignore[assignment]
    os.remove = dies  # type: ignore[assignment]


def at_any_moment(worker: Worker) -> None:
    def later() -> None:
        time.sleep(worker.rng.random() * 0.3)
        kill_self()

    threading.Thread(target=later, daemon=True).start()


POINTS: Sequence[Callable[[Worker], None]] = (
    in_the_middle_of_an_append,
    between_append_and_return,
    right_after_a_call,
    in_the_middle_of_a_transaction,
    before_a_commit,
    between_commit_and_checkpoint,
    before_a_segment_is_deleted,
    at_any_moment,
)


def _run_at(point: Callable[[Worker], None]) -> Run:
    """One worker that dies at the point, and one process that goes on."""

    def run(seed: int, rng: random.Random, url: str, folder: Path, tally: Tally) -> None:
        names = [f"{seed}-{number}" for number in range(CALLS)]
        dies_after = rng.randrange(CALLS) if point is right_after_a_call else CALLS + 1
        pace = rng.choice([0, 0.001, 0.005])

        def work(tell: Callable[[str], None]) -> None:
            app = build_app(url, folder)
            due = Countdown(dies_after)
            point(Worker(app, rng))

            def call(name: str) -> None:
                tracked(app, name, tags={"seed": seed}, details=DETAILS)
                tell(f"returned {name}")
                if due.is_over():
                    kill_self()

            in_threads(names, call, pace)
            app.extensions["llm_cost"].close(30)

        told, killed = Process(work).wait()
        Process(lambda tell: go_on(url, folder)).wait()
        tally.hits += killed
        tally.attempted.update(names)
        tally.acknowledged.update(told.returned)

    run.__name__ = point.__name__
    return run


def go_on(url: str, folder: Path) -> None:
    """What a process does that starts later: it writes what the dead ones left."""
    store_all(build_app(url, folder))


FAULTS: Sequence[Run] = [_run_at(point) for point in POINTS]


if __name__ == "__main__":
    main(__doc__ or "", lambda kind: FAULTS)
