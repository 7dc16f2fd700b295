"""Documents that a Celery worker summarises. Its calls bear the user and the tags of whoever uploaded them.

    cd examples && python -m celery_worker

``LLM_COST_CELERY_TAGS`` is all that this takes: what ``with_tags`` says where a task is sent travels with it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flask import Flask
from flask import request
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import Mapped
from sqlalchemy.orm import mapped_column

import stand_in
from flask_llm_cost import LLMCostTracker
from flask_llm_cost import with_tags

from .queue import celery_init_app

db = SQLAlchemy()
tracker = LLMCostTracker()


class Document(db.Model):  # type: ignore[name-defined]
    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]
    summary: Mapped[str | None]


def create_app() -> Flask:
    """The app, of the web server and of the worker. ``FLASK_CELERY`` (JSON) names another broker."""
    stand_in.answer_where_no_key_is()
    app = Flask(__name__)
    app.config.update(
        SQLALCHEMY_DATABASE_URI="sqlite:///celery_worker.sqlite",
        LLM_COST_CELERY_TAGS=True,
        CELERY=_broker_in_files(Path(app.instance_path)),
    )
    app.config.from_prefixed_env()
    db.init_app(app)
    tracker.init_app(app)
    celery_init_app(app)
    with app.app_context():
        db.create_all()
    app.add_url_rule("/documents", view_func=upload, methods=["POST"])
    return app


def _broker_in_files(instance: Path) -> dict[str, Any]:
    """Queues in a directory, so that the example needs no Redis."""
    folders = {"data_folder_in": "queue", "data_folder_out": "queue", "control_folder": "control"}
    paths = {name: instance / "celery" / folder for name, folder in folders.items()}
    for path in paths.values():
        path.mkdir(parents=True, exist_ok=True)
    return {
        "broker_url": "filesystem://",
        "broker_transport_options": {name: str(path) for name, path in paths.items()},
        "task_ignore_result": True,
    }


def upload() -> tuple[dict[str, int], int]:
    from .tasks import summarise

    document = Document(text=request.form["text"])
    db.session.add(document)
    db.session.commit()
    with with_tags(user=request.form["user"], feature="summaries", trackable=document):
        summarise.delay(document.id)
    return {"id": document.id}, 202
