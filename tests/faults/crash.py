"""Kill processes at named points, let another one go on, and compare the ledger with what was acknowledged.

``python -m tests.faults.crash --seeds 200 sqlite`` prints one row per point. A worker of each seed
makes calls, tells this process through a pipe which of them have returned, and kills itself with SIGKILL at
its point. Then a process that is not killed starts and ends, as after a restart. All of them are forked from
this process, which imports everything once and has no connection of its own by then.

Nothing of the package is patched: the points are in the operating system's calls and in SQLAlchemy's events.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import Any

from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import create_engine
from sqlalchemy import event
from sqlalchemy import text
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from flask_llm_cost import LLMCostTracker
from flask_llm_cost import track
from flask_llm_cost.ledger import rollup_drift

#: Calls that a worker makes if nothing kills it, and threads that make them.
CALLS = 60
THREADS = 2
#: Long enough that a file of the journal is full after some fifty calls.
DETAILS = {f"part_{number}": "x" * 900 for number in range(7)}
SEPARATOR = b"\x1e"

Acknowledge = Callable[[str], None]


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
    """See :func:`_acknowledging`: the worker dies behind the acknowledgement."""


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


@dataclass
class Result:
    """What came of the runs of one point.

    :param killed: workers that died at it; the others had finished before.
    """

    point: str
    runs: int = 0
    killed: int = 0
    acknowledged: set[str] = field(default_factory=set)
    attempted: set[str] = field(default_factory=set)
    stored: list[str] = field(default_factory=list)
    drift: int = 0

    @property
    def missing(self) -> int:
        return len(self.acknowledged - set(self.stored))

    @property
    def duplicates(self) -> int:
        return len(self.stored) - len(set(self.stored))

    @property
    def invented(self) -> int:
        return len(set(self.stored) - self.attempted)

    @property
    def passed(self) -> bool:
        return not (self.missing or self.duplicates or self.invented or self.drift) and bool(
            self.acknowledged
        )


def build_app(url: str, folder: Path) -> Flask:
    app = Flask("crash", instance_path=str(folder))
    app.config.update(
        SQLALCHEMY_DATABASE_URI=url,
        LLM_COST_INSTRUMENT=(),
        LLM_COST_INGESTION="journal",
        LLM_COST_DASHBOARD=False,
        LLM_COST_SHUTDOWN_TIMEOUT=30,
    )
    db = SQLAlchemy(app)
    LLMCostTracker(app, db)
    return app


def run_seed(seed: int, url: str, folder: Path, result: Result) -> None:
    """One worker that dies and one process that goes on."""
    point = POINTS[seed % len(POINTS)]
    names = [f"{seed}-{number}" for number in range(CALLS)]
    reading, writing = os.pipe()
    worker = _fork(lambda: _work(seed, point, url, folder, names, writing))
    os.close(writing)
    with open(reading, "rb") as acks:
        told = acks.read()
    _, status = os.waitpid(worker, 0)
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    if not killed and status:
        raise AssertionError(f"the worker of seed {seed} failed")
    if _ended(_fork(lambda: _go_on(url, folder))):
        raise AssertionError(f"the process after seed {seed} failed")
    result.runs += 1
    result.killed += killed
    result.attempted.update(names)
    result.acknowledged.update(told.decode().split())


def _work(
    seed: int, point: Callable[[Worker], None], url: str, folder: Path, names: list[str], writing: int
) -> None:
    app = build_app(url, folder)
    rng = random.Random(seed)
    acknowledge = _acknowledging(writing, rng.randrange(CALLS) if point is right_after_a_call else None)
    point(Worker(app, rng))
    pace = rng.choice([0, 0.001, 0.005])

    def make_calls(mine: list[str]) -> None:
        for name in mine:
            track(
                runtime=app.extensions["llm_cost"],
                provider="openai",
                model="gpt-4o-mini",
                input_tokens=1000,
                provider_response_id=name,
                tags={"seed": seed},
                details=DETAILS,
            )
            acknowledge(name)
            time.sleep(pace)

    threads = [
        threading.Thread(target=make_calls, args=(names[number::THREADS],)) for number in range(THREADS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    app.extensions["llm_cost"].close(30)


def _acknowledging(writing: int, dies_after: int | None) -> Acknowledge:
    write, due = os.write, Countdown(CALLS + 1 if dies_after is None else dies_after)

    def acknowledge(name: str) -> None:
        write(writing, f"{name}\n".encode())
        if due.is_over():
            kill_self()

    return acknowledge


def _go_on(url: str, folder: Path) -> None:
    app = build_app(url, folder)
    if not app.extensions["llm_cost"].flush(30):
        raise AssertionError("not everything could be stored")


def _fork(work: Callable[[], None]) -> int:
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        work()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def _ended(pid: int) -> int:
    return os.waitpid(pid, 0)[1]


def run(url: str, folder: Path, seeds: range) -> list[Result]:
    """Run the seeds against one database; its tables are made here and left."""
    engine = create_engine(url, poolclass=NullPool)
    app = build_app(url, folder)
    with app.app_context():
        app.extensions["sqlalchemy"].create_all()
        app.extensions["sqlalchemy"].engine.dispose()
    results = [Result(point.__name__) for point in POINTS]
    for seed in seeds:
        run_seed(seed, url, folder / f"seed-{seed}", results[seed % len(POINTS)])
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT provider_response_id FROM llm_cost_calls")).scalars().all()
    with Session(engine) as session:
        drift = len(rollup_drift(session))
    for result in results:
        result.stored = [row for row in rows if row in result.attempted]
        result.drift = drift
    strangers = set(rows) - set[str]().union(*(result.attempted for result in results))
    assert not strangers, f"calls that nobody made: {strangers}"
    return [result for result in results if result.runs]


def report(results: Sequence[Result]) -> str:
    lines = [
        f"{'killed':<34}{'runs':>6}{'killed':>8}{'acked':>8}{'stored':>8}{'missing':>9}{'twice':>7}{'drift':>7}"
    ]
    for one in results:
        counts = (
            one.runs,
            one.killed,
            len(one.acknowledged),
            len(one.stored),
            one.missing,
            one.duplicates,
            one.drift,
        )
        lines.append(f"{one.point.replace('_', ' '):<34}" + "".join(f"{count:>9}" for count in counts))
    return "\n".join(lines)


@contextmanager
def own_database(given: str, folder: Path) -> Iterator[str]:
    """A database that nobody else uses: a file in ``folder``, or one on the server, dropped afterwards."""
    if given == "sqlite":
        yield f"sqlite:///{folder}/crash.sqlite"
        return
    server = create_engine(given, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    name = f"llm_cost_crash_{os.getpid()}"
    with server.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    try:
        yield server.url.set(database=name).render_as_string(hide_password=False)
    finally:
        with server.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name}"))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("database", help='"sqlite", or the URL of a server that lets us create a database')
    parser.add_argument("--seeds", type=int, default=len(POINTS))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, own_database(given.database, Path(name)) as url:
        results = run(url, Path(name), range(given.seeds))
        print(f"{given.database.partition(':')[0]}, {given.seeds} seeds\n{report(results)}\n", flush=True)
    sys.exit(not all(result.passed for result in results))


if __name__ == "__main__":
    main()
