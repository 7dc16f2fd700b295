"""The ledger's tables in the host's metadata: proof snippets of an extension that brings models."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import ForeignKey
from sqlalchemy import MetaData
from sqlalchemy import func
from sqlalchemy import inspect
from sqlalchemy import select
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.orm import DeclarativeBaseNoMeta
from sqlalchemy.orm import Mapped
from sqlalchemy.orm import mapped_column

from flask_llm_cost.errors import ConfigurationError
from flask_llm_cost.ledger import Base
from flask_llm_cost.ledger import Ledger
from flask_llm_cost.ledger import LlmCall
from flask_llm_cost.ledger import attach_tables
from flask_llm_cost.ledger import create_ledger_engine
from tests.made_events import event

TABLES = set(Base.metadata.tables)


class _Declarative(DeclarativeBase):
    pass


class _NoMeta(DeclarativeBaseNoMeta):
    pass


def _app(db: SQLAlchemy, url: str = "sqlite://", **config: object) -> Flask:
    app = Flask(__name__)
    app.config.update(SQLALCHEMY_DATABASE_URI=url, **config)
    db.init_app(app)
    return app


def test_create_all_makes_every_table_of_the_models(app: Flask, db: SQLAlchemy) -> None:
    with app.app_context():
        assert set(inspect(db.engine).get_table_names()) >= TABLES
        db.drop_all()
        assert not TABLES & set(inspect(db.engine).get_table_names())


def test_attached_columns_name_no_module_of_ours() -> None:
    db = SQLAlchemy()
    attach_tables(db, None)
    types = {type(column.type) for table in db.metadata.tables.values() for column in table.columns}
    assert {kind.__module__.split(".")[0] for kind in types} == {"sqlalchemy"}


def test_attaching_twice_changes_nothing() -> None:
    db = SQLAlchemy()
    attach_tables(db, None)
    before = dict(db.metadata.tables)
    attach_tables(db, None)
    assert before == dict(db.metadata.tables)


def test_a_host_table_of_the_same_name_is_refused() -> None:
    db = SQLAlchemy()
    db.Table("llm_cost_tags", db.Column("id", db.Integer, primary_key=True))
    with pytest.raises(ConfigurationError, match="llm_cost_tags"):
        attach_tables(db, None)


def test_tables_that_the_host_reflected_are_taken_as_ours(app: Flask, database_url: str) -> None:
    reflecting = SQLAlchemy()
    other = _app(reflecting, database_url)
    with other.app_context():
        reflecting.reflect()
        attach_tables(reflecting, None)
        reflecting.engine.dispose()


def test_a_default_schema_is_refused() -> None:
    db = SQLAlchemy(metadata=MetaData(schema="tenant"))
    with pytest.raises(ConfigurationError, match="schema 'tenant'"):
        attach_tables(db, None)


def test_an_unknown_bind_key_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="SQLALCHEMY_BINDS"):
        attach_tables(SQLAlchemy(), "costs")


def test_a_naming_convention_of_the_host_renames_nothing() -> None:
    convention = {"pk": "pk__%(table_name)s", "ix": "ix__%(column_0_label)s", "uq": "%(constraint_name)s_x"}
    plain = SQLAlchemy()
    named = SQLAlchemy(metadata=MetaData(naming_convention=convention))
    for db in (plain, named):
        attach_tables(db, None)
    assert _names(plain) == _names(named) == _names_of(Base.metadata)


def _names(db: SQLAlchemy) -> set[str]:
    return _names_of(db.metadata)


def _names_of(metadata: MetaData) -> set[str]:
    found = set()
    for table in metadata.tables.values():
        found |= {str(item.name) for item in (*table.constraints, *table.indexes)}
    return found


@pytest.mark.parametrize("model_class", [_Declarative, _NoMeta], ids=["declarative", "no-meta"])
def test_custom_model_classes_work(model_class: type) -> None:
    db = SQLAlchemy(model_class=model_class)
    attach_tables(db, None)
    app = _app(db)
    with app.app_context():
        db.create_all()
        assert db.session.scalar(select(func.count()).select_from(LlmCall)) == 0


def test_a_host_table_can_refer_to_a_call_and_join_it(app: Flask, db: SQLAlchemy, ledger: Ledger) -> None:
    class Answer(db.Model):  # type: ignore[name-defined, misc]
        id: Mapped[int] = mapped_column(primary_key=True)
        call_id: Mapped[int] = mapped_column(ForeignKey("llm_cost_calls.id"))

    ledger.write([event(user_id="7", cost="0.25")])
    with app.app_context():
        db.create_all()
        call_id = db.session.scalars(select(LlmCall.id)).one()
        db.session.add(Answer(call_id=call_id))
        db.session.commit()
        joined = select(LlmCall.user_id, Answer.id).join(Answer, Answer.call_id == LlmCall.id)
        assert [tuple(row) for row in db.session.execute(joined)] == [("7", 1)]
        db.session.remove()
        db.drop_all()


def _write(app: Flask, db: SQLAlchemy, bind_key: str | None, calls: int) -> None:
    with app.app_context():
        db.create_all()
        engine = create_ledger_engine(db.engines[bind_key])
        Ledger(engine).write([event() for _ in range(calls)])
        engine.dispose()


def _count(app: Flask, db: SQLAlchemy) -> int | None:
    with app.app_context():
        count = db.session.scalar(select(func.count()).select_from(LlmCall))
        assert count == len(db.session.scalars(select(LlmCall)).all())
        db.session.remove()
        for engine in db.engines.values():
            engine.dispose()
    return count


def test_two_apps_with_different_bind_keys_live_in_one_process(tmp_path: Path) -> None:
    """``db.session`` finds our models in the right database of each app, whatever came first."""
    plain, bound = SQLAlchemy(), SQLAlchemy()
    first = _app(plain, f"sqlite:///{tmp_path}/a.sqlite")
    second = _app(
        bound,
        f"sqlite:///{tmp_path}/b.sqlite",
        SQLALCHEMY_BINDS={"costs": f"sqlite:///{tmp_path}/costs.sqlite"},
        LLM_COST_BIND_KEY="costs",
    )
    attach_tables(plain, None)
    attach_tables(bound, "costs")
    _write(first, plain, None, 2)
    _write(second, bound, "costs", 3)
    assert (_count(first, plain), _count(second, bound)) == (2, 3)
    with second.app_context():
        assert inspect(bound.engine).get_table_names() == []
        for engine in bound.engines.values():
            engine.dispose()


def test_one_database_object_serves_two_apps(tmp_path: Path) -> None:
    db = SQLAlchemy()
    attach_tables(db, None)
    apps = [_app(db, f"sqlite:///{tmp_path}/{name}.sqlite") for name in "ab"]
    for calls, app in enumerate(apps, start=1):
        _write(app, db, None, calls)
    assert [_count(app, db) for app in apps] == [1, 2]
