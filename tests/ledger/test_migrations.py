"""The ledger's tables under Flask-Migrate, with real ``flask db`` commands in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import create_engine
from sqlalchemy import inspect
from sqlalchemy import select
from sqlalchemy import text

from flask_llm_cost.errors import ConfigurationError
from flask_llm_cost.ledger import Base
from flask_llm_cost.ledger import Ledger
from flask_llm_cost.ledger import RollupChoice
from flask_llm_cost.ledger import RollupCoverage
from flask_llm_cost.ledger import create_ledger_engine
from flask_llm_cost.ledger import rollup_drift
from flask_llm_cost.ledger.coverage import UNCOUNTED
from flask_llm_cost.ledger.revisions import missing_revisions
from flask_llm_cost.ledger.revisions import template_directory
from flask_llm_cost.maintenance import rebuild_rollups
from tests.made_events import NOON
from tests.made_events import event

if TYPE_CHECKING:
    from flask_llm_cost.ledger.revisions import LedgerRevision

pytestmark = pytest.mark.slow

APP = """
import os
from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import MetaData
from flask_llm_cost.ledger import attach_tables

app = Flask(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["HOST_URL"]
bind_key = os.environ.get("BIND") or None
if bind_key:
    app.config["SQLALCHEMY_BINDS"] = {bind_key: os.environ["BIND_URL"]}
convention = {"pk": "pk__%(table_name)s", "ix": "ix__%(column_0_label)s", "fk": "fk__%(table_name)s",
              "uq": "uq__%(table_name)s__%(constraint_name)s", "ck": "ck__%(table_name)s"}
db = SQLAlchemy(app, metadata=MetaData(naming_convention=convention if os.environ.get("NAMED") else None))

class Note(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    text = db.Column(db.String(20), index=True)

attach_tables(db, bind_key)
Migrate(app, db)
"""


DONE = "---- done ----"

RUN = f"""
import shlex
import sys
from flask.cli import FlaskGroup
from app import app

for command in sys.argv[1:]:
    FlaskGroup(create_app=lambda: app).main(["db", *shlex.split(command)], standalone_mode=False)
    sys.stderr.flush()
    print({DONE!r}, flush=True)
"""


@dataclass(frozen=True)
class Host:
    """A host app in a directory of its own, driven by its command line."""

    directory: Path
    environment: dict[str, str]

    def flask_db(self, *commands: str) -> list[str]:
        """Run ``flask db`` commands, one after the other in one new process; what each has printed."""
        done = subprocess.run(
            [sys.executable, "run.py", *commands],
            cwd=self.directory,
            env={**os.environ, **self.environment, "PYTHONPATH": str(Path.cwd())},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout.split(DONE)[:-1]

    @property
    def migrations(self) -> Path:
        return self.directory / "migrations"

    @property
    def revisions(self) -> list[Path]:
        return sorted((self.migrations / "versions").glob("*.py"))

    def add_revisions(self, bind_key: str | None = None) -> list[LedgerRevision]:
        """Every revision that the host lacks, in their order."""
        added = missing_revisions(self.migrations, bind_key=bind_key)
        for found in added:
            found.write()
        return added


def _host(directory: Path, url: str, **environment: str) -> Host:
    (directory / "app.py").write_text(APP)
    (directory / "run.py").write_text(RUN)
    return Host(directory, {"HOST_URL": url, **environment})


def _check_ledger(url: str) -> None:
    """The tables take calls and are as the models want them."""
    host_engine = create_engine(url)
    ledger = Ledger(create_ledger_engine(host_engine))
    assert ledger.check_schema().problems == ()
    assert ledger.write([event(tags={"feature": "chat"})]) == 1
    with ledger.session() as session:
        assert rollup_drift(session) == []
    ledger.engine.dispose()
    host_engine.dispose()


def _our_tables(url: str) -> set[str]:
    engine = create_engine(url)
    found = set(inspect(engine).get_table_names()) & set(Base.metadata.tables)
    engine.dispose()
    return found


@pytest.mark.parametrize("named", ["", "1"], ids=["plain", "naming-convention"])
def test_migrate_upgrade_and_downgrade_are_clean(tmp_path: Path, database_url: str, named: str) -> None:
    if named and not database_url.startswith("sqlite"):
        pytest.skip("names do not depend on the database; one is enough")
    host = _host(tmp_path, database_url, NAMED=named)
    *_, again = host.flask_db("init", "migrate -m all", "upgrade", "migrate")
    assert "No changes in schema detected" in again
    (revision,) = host.revisions
    assert "flask_llm_cost" not in revision.read_text()
    _check_ledger(database_url)
    assert missing_revisions(host.migrations) == []
    host.flask_db("downgrade")
    assert _our_tables(database_url) == set()


def test_the_reviewed_revisions_equal_the_models(tmp_path: Path, database_url: str) -> None:
    """They go on top of the host's head, and afterwards ``flask db check`` finds no difference."""
    host = _host(tmp_path, database_url, NAMED="1")
    host.flask_db("init")
    head = host.migrations / "versions" / "0a_notes.py"
    head.write_text(NOTES)
    added = host.add_revisions()
    assert [revision.down_revision for revision in added] == ["0a", *(each.revision for each in added[:-1])]
    assert "No new upgrade operations detected" in host.flask_db("upgrade", "check")[-1]
    _check_ledger(database_url)
    left = set(Base.metadata.tables)
    for added_tables in (INVOICES, BUDGETS, {"llm_cost_rollup_coverage"}, {"llm_cost_repricings"}):
        host.flask_db("downgrade")
        left -= added_tables
        assert _our_tables(database_url) == left
    host.flask_db("downgrade")
    assert _our_tables(database_url) == set()


def test_a_database_with_calls_is_upgraded_and_gets_its_daily_sums(tmp_path: Path, database_url: str) -> None:
    """What was there before is filled in by the rebuild; a downgrade leaves what the version before knows."""
    host = _host(tmp_path, database_url)
    host.flask_db("init")
    of_rollups = host.add_revisions()[2]
    host.flask_db("upgrade")
    engine = create_engine(database_url)
    india = RollupChoice(ZoneInfo("Asia/Kolkata"), ("feature",))
    ledger = Ledger(create_ledger_engine(engine), rollups=india)
    days = [NOON - timedelta(days=number) for number in range(40)]
    ledger.write([event(occurred_at=day, tags={"feature": "chat"}) for day in days])
    host.flask_db(f"downgrade {of_rollups.down_revision}")
    assert "llm_cost_rollup_coverage" not in _our_tables(database_url)
    with ledger.engine.connect() as connection:
        kinds = connection.execute(text("SELECT DISTINCT grain, tag_key FROM llm_cost_rollups")).all()
    assert [tuple(kind) for kind in kinds] == [("h", "")], "as the version before has them"
    host.flask_db("upgrade")
    ledger = Ledger(ledger.engine, rollups=india)
    ledger.write([event(occurred_at=NOON, tags={"feature": "chat"})])
    with ledger.session() as session:
        counted = select(RollupCoverage.complete_from).where(RollupCoverage.tag_key != UNCOUNTED)
        complete = session.scalars(counted.order_by(RollupCoverage.grain)).all()
    # Days of all, by the tag, and by each of five columns; weeks of users and by the tag.
    midnight = NOON.replace(hour=18, minute=30, second=0, microsecond=0)
    assert complete == [midnight] * 7 + [midnight + timedelta(days=1)] * 2, "the next ones in India"
    assert rebuild_rollups(ledger).filled == 7 * 40 + 2 * 6
    with ledger.session() as session:
        assert rollup_drift(session) == []
        assert session.scalars(counted).all() == [None] * 9
    ledger.engine.dispose()
    engine.dispose()


#: The tables of the fifth version.
INVOICES = {"llm_cost_invoice_imports", "llm_cost_invoice_lines"}
#: The tables of the fourth version.
BUDGETS = {
    "llm_cost_budgets",
    "llm_cost_budget_limits",
    "llm_cost_reservations",
    "llm_cost_alerts",
    "llm_cost_alert_deliveries",
}

NOTES = '''
"""notes"""
import sqlalchemy as sa
from alembic import op

revision = "0a"
down_revision = None


def upgrade():
    op.create_table(
        "note",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("text", sa.String(length=20), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk__note"),
    )
    op.create_index("ix__note_text", "note", ["text"])


def downgrade():
    op.drop_table("note")
'''


@pytest.mark.parametrize("way", ["generated", "reviewed"])
def test_a_bind_key_gets_the_tables_into_its_own_database(tmp_path: Path, way: str) -> None:
    default, costs = (f"sqlite:///{tmp_path}/{name}.sqlite" for name in ("default", "costs"))
    host = _host(tmp_path, default, BIND="costs", BIND_URL=costs)
    host.flask_db("init --multidb")
    if way == "reviewed":
        host.add_revisions("costs")
        host.flask_db("upgrade")
    *_, again = host.flask_db("migrate -m all", "upgrade", "migrate")
    assert "No changes in schema detected" in again
    _check_ledger(costs)
    assert _our_tables(default) == set()
    host.flask_db("downgrade base")
    assert _our_tables(costs) == set()


@pytest.fixture
def migrations(tmp_path: Path) -> Path:
    """A migrations directory as ``flask db init`` makes it, without starting Flask."""
    versions = tmp_path / "migrations" / "versions"
    versions.mkdir(parents=True)
    (tmp_path / "migrations" / "env.py").write_text("# single database\n")
    (tmp_path / "migrations" / "alembic.ini").write_text("[alembic]\n")
    return tmp_path / "migrations"


def _revision(migrations: Path, name: str, after: str | None) -> None:
    (migrations / "versions" / f"{name}.py").write_text(
        f"revision = {name!r}\ndown_revision = {after!r}\n\n\ndef upgrade():\n    pass\n"
    )


def test_the_first_revision_of_a_host_has_none_below(migrations: Path) -> None:
    found = missing_revisions(migrations)
    assert found[0].down_revision is None
    assert [one.down_revision for one in found[1:]] == [one.revision for one in found[:-1]]
    for one in found:
        assert not one.path.exists()
        compile(one.source, str(one.path), "exec")
        one.write()
    assert missing_revisions(migrations) == []
    with pytest.raises(FileExistsError):
        found[0].write()


def test_a_revision_goes_on_top_of_those_that_are_there(migrations: Path) -> None:
    _revision(migrations, "one", None)
    first = missing_revisions(migrations)[0]
    assert first.down_revision == "one"
    first.write()
    assert missing_revisions(migrations)[0].down_revision == first.revision


def test_a_renamed_revision_is_still_known(migrations: Path) -> None:
    found = missing_revisions(migrations)[0]
    found.write()
    found.path.rename(found.path.with_name("2026_renamed.py"))
    second = missing_revisions(migrations)[0]
    assert second.path.name.endswith("_llm_cost_add_repricings.py")


def test_a_table_that_the_host_generated_itself_needs_no_revision_of_ours(migrations: Path) -> None:
    """It had the tables of the first version, and ``flask db migrate`` has added those of the others."""
    found = missing_revisions(migrations)[0]
    found.write()
    (migrations / "versions" / "own.py").write_text(
        f"""revision = 'own'\ndown_revision = {found.revision!r}


def upgrade():
    op.create_table('llm_cost_repricings')
    op.create_table('llm_cost_rollup_coverage')
    op.create_table('llm_cost_budgets')
    op.create_table('llm_cost_invoice_imports')
"""
    )
    assert missing_revisions(migrations) == []


def test_several_heads_have_to_be_joined_first(migrations: Path) -> None:
    _revision(migrations, "one", None)
    _revision(migrations, "two", None)
    with pytest.raises(ConfigurationError, match=r"2 heads \(one, two\).*flask db merge heads"):
        missing_revisions(migrations)


def test_without_migrations_the_error_says_how_to_begin(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="flask db init"):
        missing_revisions(tmp_path / "migrations")


def test_a_bind_key_needs_migrations_for_several_databases(migrations: Path) -> None:
    with pytest.raises(ConfigurationError, match="--multidb"):
        missing_revisions(migrations, bind_key="costs")


def test_each_template_is_found_and_names_no_module_of_ours() -> None:
    templates = sorted(template_directory().glob("*.template"))
    assert [template.name for template in templates] == [
        "0001_create_ledger.py.template",
        "0002_add_repricings.py.template",
        "0003_add_rollup_coverage.py.template",
        "0004_add_budgets.py.template",
        "0005_add_invoices.py.template",
    ]
    for template in templates:
        assert "import flask_llm_cost" not in template.read_text()
        assert "from flask_llm_cost" not in template.read_text()
