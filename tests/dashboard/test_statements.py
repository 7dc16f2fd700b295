"""How many statements a page asks: each is a way to the database and back, and some milliseconds of work."""

from __future__ import annotations

from collections import Counter
from datetime import UTC
from datetime import datetime
from typing import Any

from flask import Flask
from sqlalchemy import event

from tests.dashboard.ledgers import month
from tests.dashboard.ledgers import runtime_of
from tests.dashboard.ledgers import write

#: As many as they ask now; it may become less.
MOST = {"/": 26, "/insight": 27, "/users": 13, "/models": 12, "/tags/feature": 12, "/calls": 8}


def test_pages_ask_few_statements(app: Flask) -> None:
    """Of the same days each sum is read once, however many questions it answers."""
    write(app, month(datetime.now(UTC), days=40, per_day=4))
    ledger = runtime_of(app).ledger
    assert ledger is not None
    asked: Counter[str] = Counter()
    path = ""

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        asked[path] += statement.startswith("SELECT")

    event.listen(ledger.engine, "before_cursor_execute", note)
    for path in MOST:
        assert app.test_client().get(f"/llm-costs{path}").status_code == 200
    assert {path: count for path, count in asked.items() if count > MOST[path]} == {}
    assert asked.keys() == MOST.keys()
