"""Apps with a real SQLite ledger for the dashboard's tests, and events to fill it with."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from flask_llm_cost.analytics import CallQuery
from flask_llm_cost.events import Event
from flask_llm_cost.events import PricedItem
from flask_llm_cost.extension import LLMCostTracker
from flask_llm_cost.reconciliation import import_csv
from flask_llm_cost.runtime import Runtime

MODELS = (
    ("openai", "gpt-5-mini", "0.25", "2"),
    ("anthropic", "claude-sonnet-4-5", "3", "15"),
    ("openai", "gpt-5", "1.25", "10"),
    ("anthropic", "claude-haiku-4-5", "1", "5"),
    ("openai", "text-embedding-3-small", "0.02", "0"),
)
FEATURES = ("support_chat", "summaries", "search", "triage")
TENANTS = ("acme", "globex", "initech", "umbrella", "hooli")


def make_app(
    folder: Path,
    *,
    authorize: Callable[[], object] | None = lambda: True,
    scope: Callable[[CallQuery], CallQuery] | None = None,
    tables: bool = True,
    storage: Callable[[Event], object] | None = None,
    **config: object,
) -> Flask:
    """An app with a dashboard over an empty ledger in ``folder``."""
    app = Flask("support_desk", instance_path=str(folder), template_folder=str(folder / "templates"))
    app.config.update(
        {
            "SQLALCHEMY_DATABASE_URI": f"sqlite:///{folder / 'ledger.sqlite'}",
            "LLM_COST_INSTRUMENT": (),
            "LLM_COST_TIMEZONE": "Europe/Berlin",
            **config,
        }
    )
    db = SQLAlchemy(app)
    LLMCostTracker(app, db, authorize=authorize, scope=scope, storage=storage)
    if tables:
        with app.app_context():
            db.create_all()
    return app


def close(app: Flask) -> None:
    """Close every connection of the app."""
    with app.app_context():
        app.extensions["sqlalchemy"].engine.dispose()
        if (ledger := runtime_of(app).ledger) is not None:
            ledger.engine.dispose()


def database_file(app: Flask) -> Path:
    return Path(app.instance_path) / "ledger.sqlite"


def runtime_of(app: Flask) -> Runtime:
    found = app.extensions["llm_cost"]
    assert isinstance(found, Runtime)
    return found


def write(app: Flask, events: Iterable[Event]) -> None:
    """Put events into the app's ledger, as the writer does."""
    chosen = list(events)
    with app.app_context():
        ledger = runtime_of(app).ledger
        assert ledger is not None
        for start in range(0, len(chosen), 500):
            ledger.write(chosen[start : start + 500])


def event(**values: object) -> Event:
    """A priced call of this moment; ``values`` replace its columns."""
    usual = Event(
        event_id=str(uuid.uuid4()),
        occurred_at=datetime.now(UTC),
        service="support_desk",
        provider="openai",
        model="gpt-5-mini",
        operation="chat",
    )
    priced = replace(
        usual,
        requested_model="gpt-5-mini",
        http_status=200,
        usage_source="response",
        latency_ms=812,
        **bill("0.25", "2", 1_200, 340),
    )
    return replace(priced, **values)


def bill(input_rate: str, output_rate: str, input_tokens: int, output_tokens: int) -> dict[str, object]:
    """The columns of a call that was priced in full."""
    items = tuple(
        PricedItem(
            component=component,
            quantity=Decimal(tokens),
            unit="token",
            rate=Decimal(rate),
            rate_basis="per_million",
            cost=Decimal(rate) * tokens / 1_000_000,
            cost_status="complete",
            provider_field=f"usage.{component}_tokens",
        )
        for component, rate, tokens in (
            ("input", input_rate, input_tokens),
            ("output", output_rate, output_tokens),
        )
    )
    return {
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
        "total_tokens": input_tokens + output_tokens,
        "line_items": items,
        "total_cost": sum((item.cost for item in items if item.cost is not None), Decimal(0)),
        "cost_status": "complete",
        "cost_source": "computed",
        "pricing_snapshot": {
            "key": "openai/gpt-5-mini",
            "step": "exact",
            "source": "bundled",
            "version": "2026-11-01",
            "rates": {"input": input_rate, "output": output_rate},
        },
    }


#: The columns of a call without a price.
UNPRICED: dict[str, object] = {
    "line_items": (),
    "total_cost": None,
    "cost_status": "unknown",
    "cost_source": None,
    "pricing_snapshot": None,
}
#: The columns of a call that the provider refused.
REFUSED: dict[str, object] = {
    **UNPRICED,
    "cost_status": "free",
    "status": "error",
    "http_status": 429,
    "error_type": "RateLimitError",
    "attempts": 3,
    "usage_source": "unknown",
    "input_tokens": None,
    "output_tokens": None,
    "total_tokens": None,
}


def month(now: datetime, *, days: int = 62, per_day: int = 14, seed: int = 7) -> Iterator[Event]:
    """A plausible two months: weekday rhythm, five models, tags, users, failures and unpriced calls."""
    draw = random.Random(seed)
    for age in range(days):
        day = now - timedelta(days=age)
        weekend = day.weekday() >= 5
        for _ in range(draw.randint(1, 4) if weekend else draw.randint(per_day // 2, per_day)):
            moment = day.replace(
                hour=draw.randint(7, 18), minute=draw.randint(0, 59), second=draw.randint(0, 59)
            )
            yield _drawn(draw, min(moment, now))


def import_bill(app: Flask, folder: Path, days: int = 5) -> None:
    """Import what a provider says of the last days: two models, another currency, and a credit."""
    today = datetime.now(UTC).date()
    lines = ["date,amount,model,component,type,currency"]
    for age in range(1, days + 1):
        day = today - timedelta(days=age)
        lines += [f"{day},0.5,gpt-5,input,,USD", f"{day},7.25,gpt-image-1,output,,USD", f"{day},2,,,,EUR"]
        lines += [f"{day},-1,Trial,,credit,USD"]
    path = folder / "bill.csv"
    path.write_text("\n".join(lines) + "\n")
    ledger = runtime_of(app).ledger
    assert ledger is not None
    import_csv(ledger, "openai", path)


def _drawn(draw: random.Random, moment: datetime) -> Event:
    provider, model, input_rate, output_rate = draw.choices(MODELS, (50, 14, 12, 14, 10))[0]
    tokens_in, tokens_out = draw.randint(200, 60_000), draw.randint(20, 4_000)
    made = event(
        occurred_at=moment,
        provider=provider,
        model=model,
        requested_model=model,
        operation="embeddings" if "embedding" in model else "chat",
        stream=draw.random() < 0.4,
        latency_ms=draw.randint(300, 9_000),
        user_id=draw.choice((None, "1", "2", "7", "19", "42")),
        endpoint=draw.choice(("desk.reply", "desk.search", None)),
        tags={
            "feature": draw.choice(FEATURES),
            **({"tenant": draw.choice(TENANTS)} if draw.random() < 0.9 else {}),
        },
        **bill(input_rate, output_rate, tokens_in, tokens_out),
    )
    chance = draw.random()
    if chance < 0.02:
        return replace(made, **UNPRICED, model="gpt-6-preview")
    return replace(made, **REFUSED) if chance < 0.04 else made
