"""The fixtures of a ledger on every kind of database."""

from __future__ import annotations

from tests.ledger_fixtures import app as app
from tests.ledger_fixtures import db as db
from tests.ledger_fixtures import ledger as ledger
