"""An app with its ledger, an admin API on the loopback, and one that asks it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select

from flask_llm_cost.ledger import Ledger
from flask_llm_cost.reconciliation import BILLING_PROVIDERS
from flask_llm_cost.reconciliation import Imported
from flask_llm_cost.reconciliation import Period
from flask_llm_cost.reconciliation import import_source
from flask_llm_cost.reconciliation.admin_api import AdminApi
from flask_llm_cost.reconciliation.source import Source
from flask_llm_cost.reconciliation.store import LINES
from tests.cli.apps import app as app
from tests.cli.apps import make_app as make_app
from tests.cli.apps import stored as stored
from tests.ledger_fixtures import db as db
from tests.reconciliation.admin_server import AdminServer
from tests.reconciliation.admin_server import serving

KEY = "sk-admin-of-a-test-0123456789"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[AdminServer]:
    monkeypatch.setenv("OPENAI_ADMIN_KEY", KEY)
    monkeypatch.setenv("ANTHROPIC_ADMIN_KEY", KEY)
    # A proxy that there is not: nothing on this machine is asked through it.
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with serving() as found:
        yield found


class Importer:
    """Imports from the server, and keeps how long it would have waited."""

    def __init__(self, server: AdminServer) -> None:
        self.server = server
        self.pauses: list[float] = []

    def api(self, provider: str) -> AdminApi:
        api = BILLING_PROVIDERS[provider].api(self.server.address)
        return replace(api, pause=self.pauses.append, timeout=10)

    def api_sources(self, provider: str) -> list[str]:
        return [each.name for each in BILLING_PROVIDERS[provider].sources]

    def __call__(self, ledger: Ledger, name: str, period: Period) -> Imported:
        source = source_named(name)
        return import_source(ledger, source, self.api(source.provider), period)


def source_named(name: str) -> Source:
    sources = [each for billing in BILLING_PROVIDERS.values() for each in billing.sources]
    return next(each for each in sources if each.name == name)


@pytest.fixture
def importer(server: AdminServer) -> Importer:
    return Importer(server)


def lines(ledger: Ledger) -> list[dict[str, Any]]:
    """Everything that is imported, without what differs from run to run."""
    statement = select(LINES).order_by(LINES.columns.bucket_start, LINES.columns.line_key)
    rows = ledger.reading(lambda connection: connection.execute(statement).mappings().all())
    return [{name: value for name, value in row.items() if name != "run_id"} for row in rows]
