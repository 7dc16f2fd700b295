"""Let people ask until their budgets refuse, and print what became of each question."""

from __future__ import annotations

from flask import Flask

from . import create_app
from . import tracker
from .models import db
from .people import PASSWORD


def main() -> None:
    app = create_app()
    with app.app_context():  # each run begins with nothing spent
        db.drop_all()
        db.create_all()
    for name in ("ann", "ann", "ann", "amy", "amy", "abe", "hal"):
        print(f"{name}: {_ask(app, name)}")
    for name in ("ann", "hal"):
        print(f"Notices that {name} is shown: {_notices(app, name)}")
    for command in ("budgets status", "report --by tag:tenant --by user"):
        print()
        print(app.test_cli_runner().invoke(args=["llm-cost", *command.split()]).stdout)


def _ask(app: Flask, name: str) -> str:
    page = app.test_client().post("/", data={"question": "When does the ferry leave?"}, auth=(name, PASSWORD))
    tracker.flush()  # people ask more slowly than calls are written
    waits = page.headers.get("Retry-After")
    return f"{page.status}, try again in {waits} s" if waits else page.status


def _notices(app: Flask, name: str) -> int:
    return app.test_client().get("/", auth=(name, PASSWORD)).text.count('role="status"')


if __name__ == "__main__":
    main()
