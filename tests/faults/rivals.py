"""Somebody else works against the ledger: locks, deadlocks, refusals, ended connections.

``python -m tests.faults.rivals --seeds 40 URL`` prints one row per rival. Each seed is four processes that
make calls and one rival. Deadlocks and locks are real ones; serialization failures, which READ COMMITTED does
not meet by itself, are raised by a trigger, so that they come from the server and its driver. ``hits`` counts
the errors that the driver raised within the ledger's own transactions.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from sqlalchemy import Connection
from sqlalchemy import create_engine
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from tests.faults.processes import Process
from tests.faults.processes import Run
from tests.faults.processes import build_app
from tests.faults.processes import in_threads
from tests.faults.processes import listen_for_errors
from tests.faults.processes import main
from tests.faults.processes import store_all
from tests.faults.processes import tracked
from tests.faults.tally import Tally

PROCESSES = 4
CALLS = 60
#: Their rollups are the rows that are fought for.
MODELS = [f"model-{letter}" for letter in "abcdefgh"]
PRICES = {f"openai/{model}": {"input": f"1.{number}7"} for number, model in enumerate(MODELS)}

#: So often a rival interferes. Without an end no transaction would get through on a busy machine.
INTERFERES = 25

#: Interferes once; answers how often that was, where it is not once.
Rival = Callable[[Connection, random.Random], int | None]


def deadlocks(connection: Connection, rng: random.Random) -> None:
    """Lock the rollups the other way round than the ledger's writers do.

    MySQL gives up the transaction that has changed the least: so this one changes much first.
    """
    with connection.begin():
        if connection.dialect.name != "postgresql":
            connection.execute(text("CREATE TEMPORARY TABLE IF NOT EXISTS much (n INT) ENGINE = InnoDB"))
            connection.execute(text("INSERT INTO much VALUES (:n)"), [{"n": n} for n in range(500)])
        for key in connection.execute(_ROLLUPS).all():
            connection.execute(_TOUCH, key._mapping)
            time.sleep(rng.random() * 0.005)


_ROLLUPS = text(
    "SELECT grain, tag_key, bucket, dim FROM llm_cost_rollups "
    "ORDER BY grain DESC, tag_key DESC, bucket DESC, provider DESC, model DESC"
)
_TOUCH = text(
    "UPDATE llm_cost_rollups SET latency_ms = latency_ms + 0 WHERE grain = :grain AND tag_key = :tag_key "
    "AND bucket = :bucket AND dim = :dim"
)


def connections_ended_on_postgresql(connection: Connection, rng: random.Random) -> int:
    with connection.begin():
        ended = connection.scalar(
            text(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL"
            )
        )
    time.sleep(rng.random() * 0.15)
    return ended or 0


def connections_ended_on_mariadb(connection: Connection, rng: random.Random) -> int:
    busy = connection.execute(
        text(
            "SELECT t.trx_mysql_thread_id FROM information_schema.innodb_trx t "
            "JOIN information_schema.processlist p ON p.id = t.trx_mysql_thread_id "
            "WHERE p.db = database() AND p.id <> connection_id()"
        )
    )
    numbers = busy.scalars().all()
    for number in numbers:
        with suppress(DBAPIError):  # it has ended meanwhile
            connection.execute(text(f"KILL CONNECTION {int(number)}"))
    connection.rollback()
    time.sleep(rng.random() * 0.15)
    return len(numbers)


def the_file_is_locked(connection: Connection, rng: random.Random) -> None:
    connection.exec_driver_sql(rng.choice(["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"]))
    time.sleep(rng.random() * 0.6)  # longer than the writers of this fault wait
    connection.exec_driver_sql("ROLLBACK")
    time.sleep(rng.random() * 0.02)


def tables_are_locked(connection: Connection, rng: random.Random) -> None:
    with connection.begin():
        if connection.dialect.name == "postgresql":
            connection.execute(text("LOCK TABLE llm_cost_calls IN ACCESS EXCLUSIVE MODE"))
            time.sleep(rng.random() * 0.6)
        else:
            connection.execute(text("LOCK TABLES llm_cost_calls WRITE"))
            time.sleep(0.5 + rng.random() * 1.5)  # MySQL waits for a second at least
            connection.execute(text("UNLOCK TABLES"))
    time.sleep(rng.random() * 0.02)


_TRIGGERS = {
    "postgresql": (
        """CREATE OR REPLACE FUNCTION refuse_some() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF random() < 0.04 THEN RAISE EXCEPTION 'chance' USING ERRCODE = '{code}'; END IF;
        RETURN NEW; END $$""",
        "CREATE OR REPLACE TRIGGER refuse_some BEFORE INSERT ON llm_cost_calls FOR EACH ROW "
        "EXECUTE FUNCTION refuse_some()",
    ),
    "mariadb": (
        """CREATE OR REPLACE TRIGGER refuse_some BEFORE INSERT ON llm_cost_calls FOR EACH ROW
        IF rand() < 0.04 THEN SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = {code}; END IF""",
    ),
}
_DROP = {
    "postgresql": "DROP TRIGGER IF EXISTS refuse_some ON llm_cost_calls",
    "mariadb": "DROP TRIGGER IF EXISTS refuse_some",
}


def _idle(connection: Connection, rng: random.Random) -> None:
    time.sleep(0.05)


def _run_with(name: str, rival: Rival, *, code: str = "", lock_wait: float | None = None) -> Run:
    """Processes that make calls, beside a rival that does not stop before they have."""

    def run(seed: int, rng: random.Random, url: str, folder: Path, tally: Tally) -> None:
        engine = create_engine(url, poolclass=NullPool)
        if rival is deadlocks:
            _find_deadlocks_soon(url)
        _refuse(url, code)
        shares = [[f"{seed}-{process}-{number}" for number in range(CALLS)] for process in range(PROCESSES)]
        workers = [Process(partial(_work, share, url, folder, lock_wait)) for share in shares]
        against = Process(lambda tell: _fight(url, rival, rng))
        for names, worker in zip(shares, workers, strict=True):
            told, _ = worker.wait()
            tally.attempted.update(names)
            tally.acknowledged.update(told.returned)
            tally.seen += told.seen
            tally.hits += told.seen.total()
            tally.slowest = max(tally.slowest, told.slowest)
        against.kill()
        against.wait()
        if code:
            with engine.begin() as connection:
                connection.execute(text(_DROP[kind_of(url)]))

    run.__name__ = name
    return run


def _find_deadlocks_soon(url: str) -> None:
    """PostgreSQL looks for them after a second; MariaDB at once."""
    engine = create_engine(url, poolclass=NullPool)
    if engine.dialect.name == "postgresql":
        with engine.begin() as connection:
            connection.exec_driver_sql(f"ALTER DATABASE {engine.url.database} SET deadlock_timeout = '20ms'")


def _refuse(url: str, code: str) -> None:
    if code:
        with create_engine(url, poolclass=NullPool).begin() as connection:
            for statement in _TRIGGERS[kind_of(url)]:
                connection.exec_driver_sql(statement.format(code=code))


def kind_of(url: str) -> str:
    return url.partition(":")[0].partition("+")[0]


def _work(
    names: Sequence[str], url: str, folder: Path, lock_wait: float | None, tell: Callable[[str], None]
) -> None:
    app = build_app(url, folder, LLM_COST_PRICING_OVERRIDES=PRICES)
    ledger = app.extensions["llm_cost"].ledger
    if lock_wait is not None:
        ledger._lock_wait = lock_wait
    seen = listen_for_errors(app)
    slowest = [0.0]

    def call(name: str) -> None:
        began = time.monotonic()
        with app.app_context():
            tracked(app, name, model=MODELS[int(name.rpartition("-")[2]) % len(MODELS)])
        slowest.append(time.monotonic() - began)
        tell(f"returned {name}")

    for start in range(0, len(names), 20):
        in_threads(names[start : start + 20], call, 0.002)
        app.extensions["llm_cost"].flush(0.5)
    store_all(app)
    tell(f"slowest {max(slowest)}")
    tell(f"seen {json.dumps(seen)}")


def _fight(url: str, rival: Rival, rng: random.Random) -> None:
    engine = create_engine(url, poolclass=NullPool)
    times = 0
    while times < INTERFERES:
        with suppress(DBAPIError), engine.connect() as connection:
            interfered = rival(connection, rng)
            times += 1 if interfered is None else interfered
    time.sleep(3600)  # until it is killed


#: For how long the writers of a test that locks wait, instead of the five seconds of LOCK_WAIT.
BRIEFLY = 0.2

SQLITE: Sequence[Run] = [_run_with("the file is locked", the_file_is_locked, lock_wait=BRIEFLY)]
POSTGRESQL: Sequence[Run] = [
    _run_with("deadlocks", deadlocks),
    _run_with("serialization failures, 40001", _idle, code="40001"),
    _run_with("connections ended in a transaction", connections_ended_on_postgresql),
    _run_with("tables are locked", tables_are_locked, lock_wait=BRIEFLY),
]
MARIADB: Sequence[Run] = [
    _run_with("deadlocks", deadlocks),
    _run_with("conflicts, 1020", _idle, code="1020"),
    _run_with("connections ended in a transaction", connections_ended_on_mariadb),
    _run_with("tables are locked", tables_are_locked, lock_wait=BRIEFLY),
]
FAULTS = {"sqlite": SQLITE, "postgresql": POSTGRESQL, "mariadb": MARIADB}


if __name__ == "__main__":
    main(__doc__ or "", lambda kind: FAULTS[kind])
