"""A host app with a table of its own, tracked, on a real database."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import String
from sqlalchemy import text
from sqlalchemy.orm import Mapped
from sqlalchemy.orm import mapped_column

from flask_llm_cost import LLMCostTracker
from flask_llm_cost.counters import Counters
from flask_llm_cost.runtime import Runtime
from flask_llm_cost.runtime import runtime_of


class Host:
    """A host app with a table of its own."""

    def __init__(self, url: str, folder: Path, **config: Any) -> None:
        self.app = Flask("shop", instance_path=str(folder))
        self.app.config.update(SQLALCHEMY_DATABASE_URI=url, **config)
        self.db = SQLAlchemy()

        class Note(self.db.Model):  # type: ignore[name-defined,misc]
            id: Mapped[int] = mapped_column(primary_key=True)
            body: Mapped[str] = mapped_column(String(50))

        self.Note = Note
        self.tracker = LLMCostTracker(db=self.db)
        self.tracker.init_app(self.app)
        self.db.init_app(self.app)  # after the tracker: its teardown still runs before ours
        with self.app.app_context():
            self.engine = self.db.engine
            self.db.create_all()

    def call(self) -> None:
        self.tracker.track(provider="openai", model="gpt-4o-mini", input_tokens=1000, output_tokens=10)

    def stored(self) -> int:
        """Rows in the ledger, read on a connection of its own."""
        with self.engine.connect() as connection:
            return int(connection.scalar(text("SELECT count(*) FROM llm_cost_calls")) or 0)

    def notes(self) -> int:
        with self.engine.connect() as connection:
            return int(connection.scalar(text("SELECT count(*) FROM note")) or 0)

    @property
    def runtime(self) -> Runtime:
        runtime = runtime_of(self.app)
        assert runtime is not None
        return runtime

    @property
    def counts(self) -> Counters:
        return self.runtime.counters

    @property
    def journal(self) -> Path:
        """The journal's folder; there is one once a call was made."""
        (folder,) = Path(self.app.instance_path, "llm_cost").iterdir()
        return folder

    def close(self) -> None:
        runtime = self.runtime
        self.tracker.shutdown()
        assert runtime.ledger is not None
        runtime.ledger.engine.dispose()
        self.engine.dispose()


def eventually(answer: Callable[[], bool], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answer():
            return True
        time.sleep(0.02)
    return answer()
