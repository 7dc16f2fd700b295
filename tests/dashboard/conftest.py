"""Apps with a dashboard over a real SQLite ledger, closed at the end of each test."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from flask import Flask

from tests.dashboard.browsers import chromium
from tests.dashboard.ledgers import close
from tests.dashboard.ledgers import make_app

if TYPE_CHECKING:
    from playwright.sync_api import Browser

AppMaker = Callable[..., Flask]


@pytest.fixture
def new_app(tmp_path: Path) -> Iterator[AppMaker]:
    """Makes apps; each has an empty ledger of its own."""
    made: list[Flask] = []

    def make(**options: object) -> Flask:
        folder = tmp_path / f"app{len(made)}"
        folder.mkdir()
        made.append(make_app(folder, **options))
        return made[-1]

    yield make
    for app in made:
        close(app)


@pytest.fixture
def app(new_app: AppMaker) -> Flask:
    """An app that lets everybody see its empty ledger."""
    return new_app()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A started Chromium."""
    with chromium() as started:
        yield started
