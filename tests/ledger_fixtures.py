"""A Flask app with the ledger's tables, on every kind of database, and events to write."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import create_engine

from flask_llm_cost.ledger import Ledger
from flask_llm_cost.ledger import attach_tables
from flask_llm_cost.ledger import create_ledger_engine


@pytest.fixture
def db() -> SQLAlchemy:
    return SQLAlchemy()


@pytest.fixture
def app(db: SQLAlchemy, database_url: str) -> Iterator[Flask]:
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = database_url
    db.init_app(app)
    attach_tables(db, None)
    with app.app_context():
        db.create_all()
    yield app
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def ledger(app: Flask, db: SQLAlchemy) -> Iterator[Ledger]:
    with app.app_context():
        engine = create_ledger_engine(db.engine)
    yield Ledger(engine)
    engine.dispose()


@pytest.fixture
def empty_ledger(database_url: str) -> Iterator[Ledger]:
    """A ledger in a database without any table."""
    host_engine = create_engine(database_url)
    engine = create_ledger_engine(host_engine)
    yield Ledger(engine)
    engine.dispose()
    host_engine.dispose()
