"""Upload documents, let a worker of its own process summarise them, and print what that has cost."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask
from sqlalchemy import select

from . import Document
from . import create_app
from . import db

WORKER = [
    sys.executable,
    "-m",
    "celery",
    "--quiet",
    "-A",
    "celery_worker.worker",
    "worker",
    "--loglevel=WARNING",
]
POOL = ["--pool=threads", "--concurrency=2", "--without-gossip", "--without-mingle", "--without-heartbeat"]


def main() -> None:
    app = create_app()
    browser = app.test_client()
    for user, text in [("ann", "The minutes of Monday."), ("bob", "A contract."), ("ann", "A letter.")]:
        browser.post("/documents", data={"user": user, "text": text})
    with _worker():
        _wait_for_summaries(app)
    report = ["llm-cost", "report", "--by", "user", "--by", "tag:feature", "--by", "endpoint"]
    print(app.test_cli_runner().invoke(args=report).stdout)


@contextmanager
def _worker() -> Iterator[None]:
    with subprocess.Popen([*WORKER, *POOL]) as process:
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)  # a warm shutdown: what it has recorded is written


def _wait_for_summaries(app: Flask, seconds: float = 120) -> None:
    waiting = select(db.func.count()).select_from(Document).where(Document.summary.is_(None))
    deadline = time.monotonic() + seconds
    with app.app_context():
        while db.session.scalar(waiting):
            db.session.rollback()
            if time.monotonic() > deadline:
                raise SystemExit("The worker has not summarised all documents.")
            time.sleep(0.1)


if __name__ == "__main__":
    main()
