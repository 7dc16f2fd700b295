"""Apps in forked processes that make calls and tell, over a pipe, which of them have returned.

The parent imports everything once, has no thread and, when it forks, no connection of its own.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
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
from sqlalchemy import Select
from sqlalchemy import create_engine
from sqlalchemy import event
from sqlalchemy import text
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.pool import NullPool

from flask_llm_cost import LLMCostTracker
from flask_llm_cost import track
from flask_llm_cost.ledger.failures import reason_of
from tests.faults.tally import BY_ID
from tests.faults.tally import Tally
from tests.faults.tally import compare
from tests.faults.tally import report

#: Threads of a process that make calls.
THREADS = 2


def build_app(url: str, folder: Path, **config: Any) -> Flask:
    """An app as its users write it, with a journal in ``folder``."""
    app = Flask("faults", instance_path=str(folder))
    app.config.update(
        SQLALCHEMY_DATABASE_URI=url,
        LLM_COST_INSTRUMENT=(),
        LLM_COST_INGESTION="journal",
        LLM_COST_DASHBOARD=False,
        LLM_COST_SHUTDOWN_TIMEOUT=60,
    )
    app.config.update(config)
    db = SQLAlchemy(app)
    LLMCostTracker(app, db)
    return app


def make_tables(url: str, folder: Path) -> None:
    """The ledger's tables, as ``db.create_all()`` makes them."""
    app = build_app(url, folder)
    with app.app_context():
        app.extensions["sqlalchemy"].create_all()
        app.extensions["sqlalchemy"].engine.dispose()


def tracked(app: Flask, name: str, **call: Any) -> None:
    """One call; the ledger knows it by ``name``."""
    track(
        runtime=app.extensions["llm_cost"],
        **{
            "provider": "openai",
            "model": "gpt-4o-mini",
            "input_tokens": 1000,
            "provider_response_id": name,
            **call,
        },
    )


def in_threads(
    names: Sequence[str], work: Callable[[str], None], pace: float = 0.0, seconds: float = math.inf
) -> None:
    """Do ``work`` for each name, in :data:`THREADS` threads, with a pause after each; for so long at most."""
    until = time.monotonic() + seconds

    def mine(part: Sequence[str]) -> None:
        for name in part:
            if time.monotonic() > until:
                return
            work(name)
            time.sleep(pace)

    threads = [threading.Thread(target=mine, args=(names[number::THREADS],)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def store_all(app: Flask, seconds: float = 300) -> None:
    """Have everything written, as a process does that lives on: an attempt that fails is followed by another.

    :raises AssertionError: something is left after so many seconds.
    """
    deadline = time.monotonic() + seconds
    while not app.extensions["llm_cost"].flush(10):
        assert time.monotonic() < deadline, "not everything could be stored"
        time.sleep(0.05)


@dataclass
class Told:
    """What a process said before it ended, or was killed."""

    returned: set[str] = field(default_factory=set)
    seen: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0

    def hear(self, line: str) -> None:
        kind, _, rest = line.partition(" ")
        if kind == "returned":
            self.returned.add(rest)
        elif kind == "seen":
            self.seen.update(json.loads(rest))
        elif kind == "slowest":
            self.slowest = max(self.slowest, float(rest))


class Process:
    """A forked process.

    :param work: is given a function that tells the parent a line; an exception is the test's failure.
    """

    def __init__(self, work: Callable[[Callable[[str], None]], None]) -> None:
        reading, writing = os.pipe()
        write = os.write  # a fault may replace it
        self.pid = os.fork()
        if self.pid:
            os.close(writing)
            self._reading = reading
            return
        os.close(reading)
        status = 1
        try:
            work(lambda line: write(writing, f"{line}\n".encode()) and None)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def wait(self, told: Told | None = None) -> tuple[Told, bool]:
        """What it said, and whether it was killed.

        :raises AssertionError: it failed.
        """
        told = told or Told()
        with open(self._reading, "rb") as lines:
            for line in lines:
                told.hear(line.decode().rstrip("\n"))
        _, status = os.waitpid(self.pid, 0)
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        assert killed or not status, f"process {self.pid} failed with {status}"
        return told, killed


def listen_for_errors(app: Flask) -> Counter[str]:
    """What the ledger's driver raises from now on, by class and code."""
    seen: Counter[str] = Counter()

    @event.listens_for(app.extensions["llm_cost"].ledger.engine, "handle_error")
    def failed(context: ExceptionContext) -> None:
        seen[reason_of(context.original_exception)] += 1

    return seen


@contextmanager
def own_database(given: str, folder: Path) -> Iterator[str]:
    """A database that nobody else uses: a file in ``folder``, or one on the server, dropped afterwards."""
    if given == "sqlite":
        yield f"sqlite:///{folder}/faults.sqlite"
        return
    server = create_engine(given, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    name = f"llm_cost_faults_{os.getpid()}"
    with server.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    try:
        yield server.url.set(database=name).render_as_string(hide_password=False)
    finally:
        with server.connect() as connection:
            force = " WITH (FORCE)" if server.dialect.name == "postgresql" else ""
            connection.execute(text(f"DROP DATABASE {name}{force}"))


Run = Callable[[int, random.Random, str, Path, Tally], None]


def run_seeds(
    url: str, folder: Path, faults: Sequence[Run], seeds: range, names: Select[Any] = BY_ID
) -> list[Tally]:
    """Run fault number ``seed % len(faults)`` for each seed, all of them against one database."""
    make_tables(url, folder)
    tallies = [Tally(fault.__name__.replace("_", " ")) for fault in faults]
    for seed in seeds:
        number = seed % len(faults)
        own = folder / f"seed-{seed}"
        began = time.monotonic()
        faults[number](seed, random.Random(seed), url, own, tallies[number])
        tallies[number].runs += 1
        tallies[number].seconds += time.monotonic() - began
    ran = [tally for tally in tallies if tally.runs]
    compare(url, ran, names)
    return ran


def main(description: str, faults: Callable[[str], Sequence[Run]], names: Select[Any] = BY_ID) -> None:
    """The command line of a module of faults; exit status 1 where a call is missing or stored twice.

    :param faults: those of a kind of database, such as "sqlite".
    :param names: by what the calls are known in the ledger.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("database", help='"sqlite", or the URL of a server that lets us create a database')
    parser.add_argument("--seeds", type=int, help="how many runs; one of each fault where it is not given")
    given = parser.parse_args()
    kind = given.database.partition(":")[0].partition("+")[0]
    chosen = faults(kind)
    seeds = range(len(chosen) if given.seeds is None else given.seeds)
    with tempfile.TemporaryDirectory() as name, own_database(given.database, Path(name)) as url:
        tallies = run_seeds(url, Path(name), chosen, seeds, names)
    print(f"{kind}, {len(seeds)} seeds\n{report(tallies)}\n", flush=True)
    sys.exit(not all(tally.passed for tally in tallies))
