"""The database's server is stopped under load, stays away, and is started again.

``python -m tests.faults.outage --seconds 60 --seeds 2 postgresql`` starts a server of its own. Each seed is
three processes that make calls all the while, one of which is killed when the server is away; ``hits`` counts
the attempts of writing that failed. No call may take as long as the server was away.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from tests.faults.crash import go_on
from tests.faults.processes import THREADS
from tests.faults.processes import Process
from tests.faults.processes import Run
from tests.faults.processes import build_app
from tests.faults.processes import in_threads
from tests.faults.processes import listen_for_errors
from tests.faults.processes import run_seeds
from tests.faults.processes import store_all
from tests.faults.processes import tracked
from tests.faults.servers import MariaDB
from tests.faults.servers import PostgreSQL
from tests.faults.servers import Server
from tests.faults.servers import running
from tests.faults.tally import Tally
from tests.faults.tally import report

SERVERS: dict[str, type[PostgreSQL] | type[MariaDB]] = {"postgresql": PostgreSQL, "mariadb": MariaDB}
PROCESSES = 3
PACE = 0.01


def _outage(server: Server, seconds: float, *, crash: bool) -> Run:
    def run(seed: int, rng: random.Random, url: str, folder: Path, tally: Tally) -> None:
        count = int((seconds + 2) / PACE) * THREADS
        shares = [[f"{seed}-{number}-{call}" for call in range(count)] for number in range(PROCESSES)]
        workers = [Process(partial(_work, share, seconds + 2, url, folder)) for share in shares]
        time.sleep(1)
        server.stop(server.crash if crash else server.restart)
        time.sleep(seconds / 2)
        workers[0].kill()
        time.sleep(seconds / 2)
        server.start()
        for names, worker in zip(shares, workers, strict=True):
            told, _ = worker.wait()
            tally.attempted.update(names)
            tally.acknowledged.update(told.returned)
            tally.hits += told.seen.total()
            tally.slowest = max(tally.slowest, told.slowest)
        Process(lambda tell: go_on(url, folder)).wait()
        assert tally.slowest < seconds, f"a call waited for the server: {tally.slowest:.1f} s"

    run.__name__ = f"the server {'crashes' if crash else 'is stopped'}, away for {seconds:g} s"
    return run


def _work(names: Sequence[str], seconds: float, url: str, folder: Path, tell: Callable[[str], None]) -> None:
    app = build_app(url, folder)
    seen = listen_for_errors(app)
    slowest = [0.0]

    def call(name: str) -> None:
        began = time.monotonic()
        with app.app_context():
            tracked(app, name)
        slowest.append(time.monotonic() - began)
        tell(f"returned {name}")

    in_threads(names, call, PACE, seconds)
    store_all(app)
    tell(f"slowest {max(slowest)}")
    tell(f"seen {json.dumps(seen)}")


def run(kind: str, seconds: float, seeds: int) -> list[Tally]:
    """Stop and start a server of this kind.

    :raises ServerMissing: there is none.
    """
    with running(SERVERS[kind]) as server, tempfile.TemporaryDirectory() as name:
        faults = [_outage(server, seconds, crash=crash) for crash in (True, False)]
        return run_seeds(server.url, Path(name), faults, range(seeds))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("database", choices=sorted(SERVERS))
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seeds", type=int, default=2)
    given = parser.parse_args()
    tallies = run(given.database, given.seconds, given.seeds)
    print(f"{given.database}, {given.seeds} seeds\n{report(tallies)}\n", flush=True)
    sys.exit(not all(tally.passed for tally in tallies))


if __name__ == "__main__":
    main()
