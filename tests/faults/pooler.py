"""Behind PgBouncer in transaction mode, which gives each transaction to any of its few sessions.

``python -m tests.faults.pooler --seeds 20`` starts a PostgreSQL and a PgBouncer of its own. Each seed is four
processes, whose sessions prepare other statements, each under the same names. ``hits`` counts errors that a
driver raised.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import threading
from collections.abc import Callable
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from tests.faults.processes import Process
from tests.faults.processes import Run
from tests.faults.processes import build_app
from tests.faults.processes import listen_for_errors
from tests.faults.processes import run_seeds
from tests.faults.processes import store_all
from tests.faults.processes import tracked
from tests.faults.servers import PgBouncer
from tests.faults.servers import PostgreSQL
from tests.faults.servers import pooled
from tests.faults.servers import running
from tests.faults.tally import Tally
from tests.faults.tally import report

PROCESSES = 4
CALLS = 40


def sessions_are_shared(seed: int, rng: random.Random, url: str, folder: Path, tally: Tally) -> None:
    _make_calls(seed, url, folder, tally)
    assert not tally.hits, f"a session met what another one had left: {tally.seen}"


def _restarted(pooler: PgBouncer) -> Run:
    def the_pooler_is_restarted(seed: int, rng: random.Random, url: str, folder: Path, tally: Tally) -> None:
        timer = threading.Timer(0.1 + rng.random() * 0.4, lambda: (pooler.stop(pooler.crash), pooler.start()))
        _make_calls(seed, url, folder, tally, meanwhile=timer)

    return the_pooler_is_restarted


def _make_calls(
    seed: int, url: str, folder: Path, tally: Tally, meanwhile: threading.Timer | None = None
) -> None:
    shares = [[f"{seed}-{process}-{call}" for call in range(CALLS)] for process in range(PROCESSES)]
    workers = [
        Process(partial(_work, share, url, folder, kinds=number)) for number, share in enumerate(shares)
    ]
    if meanwhile:
        meanwhile.start()
    for names, worker in zip(shares, workers, strict=True):
        told, _ = worker.wait()
        tally.attempted.update(names)
        tally.acknowledged.update(told.returned)
        tally.seen += told.seen
        tally.hits += told.seen.total()
    if meanwhile:
        meanwhile.join()


def _work(names: Sequence[str], url: str, folder: Path, tell: Callable[[str], None], *, kinds: int) -> None:
    """Make calls, and ask the ledger ``kinds`` different questions again and again."""
    app = build_app(url, folder)
    ledger = app.extensions["llm_cost"].ledger
    seen = listen_for_errors(app)
    for name in names:
        with app.app_context():
            for kind in range(kinds):
                with suppress(DBAPIError), ledger.session() as session:
                    session.execute(
                        text(f"SELECT count(*), {kind} FROM llm_cost_calls WHERE id > :id"), {"id": kind}
                    )
            tracked(app, name, tags={"process": kinds})
            tell(f"returned {name}")
        app.extensions["llm_cost"].flush(0.5)
    store_all(app)
    tell(f"seen {json.dumps(seen)}")


def run(seeds: int) -> list[Tally]:
    """Run against a PgBouncer in front of a PostgreSQL.

    :raises ServerMissing: one of them is not installed.
    """
    with running(PostgreSQL) as server, pooled(server) as pooler, tempfile.TemporaryDirectory() as name:
        faults = [sessions_are_shared, _restarted(pooler)]
        return run_seeds(pooler.url, Path(name), faults, range(seeds))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=2)
    tallies = run(seeds := parser.parse_args().seeds)
    print(f"postgresql behind PgBouncer, {seeds} seeds\n{report(tallies)}\n", flush=True)
    sys.exit(not all(tally.passed for tally in tallies))


if __name__ == "__main__":
    main()
