"""Tables that are older or newer than the code: calls wait, everybody is told, and nothing is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Engine
from sqlalchemy import text
from sqlalchemy.orm import Session

from flask_llm_cost.ledger import rollup_drift
from flask_llm_cost.ledger.revisions import missing_revisions
from flask_llm_cost.ledger.revisions import template_directory
from tests.ingest.hosts import Host
from tests.ingest.hosts import eventually

REVISIONS = len(list(template_directory().glob("*.template")))


@pytest.fixture(params=["journal"])
def host(request: pytest.FixtureRequest, database_url: str, tmp_path: Path) -> Iterator[Host]:
    """A host on an empty database."""
    made = Host(database_url, tmp_path, LLM_COST_INGESTION=request.param)
    with made.app.app_context():
        made.db.drop_all()
    yield made
    made.close()


@pytest.fixture
def revisions(tmp_path: Path) -> Sequence[Callable[[Engine], None]]:
    """Our revisions, oldest first, each as a function that applies it."""
    (tmp_path / "migrations" / "versions").mkdir(parents=True)
    (tmp_path / "migrations" / "env.py").touch()
    (tmp_path / "migrations" / "alembic.ini").write_text("[alembic]\n")
    return [_applying(found.source) for found in missing_revisions(tmp_path / "migrations")]


def _applying(source: str) -> Callable[[Engine], None]:
    module = ModuleType("revision")
    exec(compile(source, "revision.py", "exec"), module.__dict__)

    def apply(engine: Engine) -> None:
        with engine.begin() as connection, Operations.context(MigrationContext.configure(connection)):
            module.upgrade()

    return apply


@contextmanager
def calls_all_the_while(host: Host) -> Iterator[None]:
    """A thread makes calls, each in a context of its own; none of them may raise."""
    over = threading.Event()
    raised: list[BaseException] = []

    def call() -> None:
        try:
            while not over.wait(0.003):
                with host.app.app_context():
                    host.call()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    assert raised == []


def everything_is_stored(host: Host) -> bool:
    with host.app.app_context():
        assert host.tracker.flush(30)
    assert host.stored() == host.counts["recorded"] > 0
    assert quarantined(host) == []
    with Session(host.engine) as session:
        return rollup_drift(session) == []


def quarantined(host: Host) -> list[str]:
    with host.engine.connect() as connection:
        return list(connection.scalars(text("SELECT reason FROM llm_cost_quarantine")))


def doctor(host: Host) -> str:
    return host.app.test_cli_runner().invoke(args=["llm-cost", "doctor"]).output


def dashboard(host: Host) -> Any:
    host.app.debug = True  # the command before has set it to what the environment says
    return host.app.test_client().get("/llm-costs/")


@pytest.mark.parametrize(
    ("host", "applied"),
    [*(("journal", applied) for applied in range(1, REVISIONS)), ("inline", 1)],
    indirect=["host"],
)
def test_tables_of_an_earlier_version_while_calls_arrive(
    host: Host, revisions: Sequence[Callable[[Engine], None]], applied: int
) -> None:
    with calls_all_the_while(host):
        for apply in revisions[:applied]:
            apply(host.engine)
        assert eventually(lambda: host.counts["recorded"] > 20)
        assert "flask llm-cost setup" in doctor(host)
        page = dashboard(host)
        assert (page.status_code, "flask llm-cost setup" in page.text) == (503, True)
        for apply in revisions[applied:]:
            apply(host.engine)
        made = host.counts["recorded"]
        assert eventually(lambda: host.counts["recorded"] > made + 20)
    assert everything_is_stored(host)
    assert dashboard(host).status_code == 200


REFUSING = {
    "a column that a later version insists on": (
        [
            "ALTER TABLE llm_cost_calls ADD COLUMN carbon_grams INTEGER NOT NULL DEFAULT 0",
            "ALTER TABLE llm_cost_calls ALTER COLUMN carbon_grams DROP DEFAULT",
        ],
        "Column llm_cost_calls.carbon_grams is unknown to this version and has no default",
        ["ALTER TABLE llm_cost_calls DROP COLUMN carbon_grams"],
    ),
    "a column that is too narrow": (
        ["ALTER TABLE llm_cost_calls {alter} service {type} VARCHAR(3)"],
        "Column llm_cost_calls.service holds 3 characters",
        ["ALTER TABLE llm_cost_calls {alter} service {type} VARCHAR(191)"],
    ),
}


@pytest.mark.parametrize(
    ("host", "fault"),
    [*(("journal", fault) for fault in REFUSING), ("inline", next(iter(REFUSING)))],
    indirect=["host"],
)
def test_tables_that_refuse_every_call(host: Host, fault: str) -> None:
    """That says nothing of the calls: none of them is put aside."""
    if host.engine.dialect.name == "sqlite":
        pytest.skip("SQLite neither adds such a column nor counts characters")
    altering, problem, mending = REFUSING[fault]
    with host.app.app_context():
        host.db.create_all()
    alter(host.engine, altering)
    with calls_all_the_while(host):
        assert eventually(lambda: host.counts["storage_errors"] > 0 and host.counts["recorded"] > 20)
        assert problem in doctor(host)
        page = dashboard(host)
        assert (page.status_code, problem in page.text) == (503, True)
        alter(host.engine, mending)
    assert everything_is_stored(host)


def test_a_column_that_changes_under_a_prepared_statement(host: Host) -> None:
    if host.engine.dialect.name != "postgresql":
        pytest.skip("PostgreSQL's statements are prepared")
    with host.app.app_context():
        host.db.create_all()
    for _ in range(8):
        host.call()
        assert host.tracker.flush(10)
    alter(host.engine, ["ALTER TABLE llm_cost_calls ALTER COLUMN event_id TYPE VARCHAR(40)"])
    host.call()
    assert everything_is_stored(host)


def alter(engine: Engine, statements: Sequence[str]) -> None:
    words = ("ALTER COLUMN", "TYPE") if engine.dialect.name == "postgresql" else ("MODIFY", "")
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement.format(alter=words[0], type=words[1])))
