"""The app of documented commands: with budgets, Flask-Migrate, and calls of the documented months."""

from __future__ import annotations

from datetime import UTC
from datetime import datetime
from datetime import timedelta

from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy

from flask_llm_cost import Budget
from flask_llm_cost import LLMCostTracker
from flask_llm_cost import track

app = Flask("shop")
app.config.from_prefixed_env()
app.config.setdefault("SQLALCHEMY_DATABASE_URI", "sqlite:///shop.sqlite")
app.config.setdefault("LLM_COST_PRICES_FILE", "prices.json")
db = SQLAlchemy(app)
Migrate(app, db)
tracker = LLMCostTracker(
    app, db, budgets=[Budget("company", "2000", "month"), Budget("tenants", "50", "month", per="tenant")]
)


def fill() -> None:
    """A call of each kind that a documented command looks for."""
    october = datetime(2026, 10, 14, 12, tzinfo=UTC)
    yesterday = datetime.now(UTC) - timedelta(days=1)
    with app.app_context():
        db.create_all()
        for moment in (october, yesterday):
            for model in ("gpt-5", "gpt-5-mini", "not-priced-yet"):
                track(
                    provider="openai",
                    model=model,
                    input_tokens=1_000,
                    output_tokens=100,
                    occurred_at=moment,
                    user=4711,
                    tags={"tenant": "acme", "feature": "chat", "email": "ann@example.com"},
                )
        tracker.flush()


if __name__ == "__main__":
    fill()
