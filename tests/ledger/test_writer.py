"""The write path: exactly once, exact, and never stopped by one bad event."""

from __future__ import annotations

import dataclasses
import json
import math
from datetime import UTC
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import create_engine
from sqlalchemy import func
from sqlalchemy import select
from sqlalchemy import text

from flask_llm_cost.events import Event
from flask_llm_cost.ledger import CallTag
from flask_llm_cost.ledger import EventRefused
from flask_llm_cost.ledger import Ledger
from flask_llm_cost.ledger import LedgerUnavailable
from flask_llm_cost.ledger import LineItem
from flask_llm_cost.ledger import LlmCall
from flask_llm_cost.ledger import Meta
from flask_llm_cost.ledger import Quarantine
from flask_llm_cost.ledger import Rollup
from flask_llm_cost.ledger import create_ledger_engine
from flask_llm_cost.ledger import rollup_drift
from flask_llm_cost.ledger.models import SCHEMA_VERSION
from tests.made_events import NOON
from tests.made_events import event
from tests.made_events import item

MODELS = (LlmCall, LineItem, CallTag, Rollup, Quarantine)


def _counts(ledger: Ledger) -> list[int]:
    with ledger.session() as session:
        counts = {model: select(func.count()).select_from(model) for model in MODELS}
        counts[Rollup] = counts[Rollup].where(Rollup.grain == "h")  # those per day hold the same calls
        return [session.scalar(counts[model]) or 0 for model in MODELS]


def _drift(ledger: Ledger) -> list[Any]:
    with ledger.session() as session:
        return rollup_drift(session)


def test_an_event_comes_back_as_it_was_written(ledger: Ledger) -> None:
    written = event(
        provider_account="org-1",
        requested_model="gpt-5-mini-2026",
        http_status=200,
        stream=True,
        provider_response_id="resp_1",
        cache_read_input_tokens=0,
        reasoning_tokens=20,
        total_tokens=150,
        pricing_mode="batch",
        cost_source="computed",
        pricing_snapshot={"key": "openai/gpt-5-mini", "rates": {"input": "0.25"}},
        time_to_first_token_ms=12,
        user_id="7",
        request_type="chat",
        trackable_type="Order",
        trackable_id="12",
        endpoint="orders.show",
        details={"nested": [1, None, {"deep": "ü"}]},
        tags={"feature": "chat", "tenant": "acme"},
        line_items=(item("input", "0.000025"), item("output", "0.0001")),
    )
    ledger.write([written])
    with ledger.session() as session:
        call = session.scalars(select(LlmCall)).one()
        read = {name: getattr(call, name) for name in Event.__dataclass_fields__ if name != "line_items"}
        expected = dataclasses.asdict(written)
        items = expected.pop("line_items")
        assert read == expected
        fields = [{name: getattr(line, name) for name in items[0]} for line in call.line_items]
        assert fields == list(items)
        assert [(tag.key, tag.value, tag.occurred_at, tag.total_cost) for tag in call.call_tags] == [
            ("feature", "chat", NOON, written.total_cost),
            ("tenant", "acme", NOON, written.total_cost),
        ]


def test_unknown_stays_null(ledger: Ledger) -> None:
    ledger.write([event(cost=None, input_tokens=None, output_tokens=None, latency_ms=None)])
    with ledger.session() as session:
        call = session.scalars(select(LlmCall)).one()
        assert (call.total_cost, call.input_tokens, call.latency_ms, call.tags, call.details) == (None,) * 5
        null_json = "SELECT count(*) FROM llm_cost_calls WHERE tags IS NULL AND pricing_snapshot IS NULL"
        assert session.execute(text(null_json)).scalar() == 1
        rollup = session.scalars(select(Rollup).where(Rollup.grain == "h")).one()
        assert (rollup.calls, rollup.unknown_cost_calls, rollup.priced_calls) == (1, 1, 0)
        assert (rollup.timed_calls, rollup.total_cost) == (0, 0)


def test_nothing_to_write_is_no_transaction(empty_ledger: Ledger) -> None:
    assert empty_ledger.write([]) == 0


def test_the_second_write_of_an_event_changes_nothing(ledger: Ledger) -> None:
    first = event(tags={"feature": "chat"})
    assert ledger.write([first]) == 1
    before = _counts(ledger)
    changed = dataclasses.replace(first, total_cost=Decimal(9), tags={"feature": "other", "more": "1"})
    assert ledger.write([changed, event(event_id=first.event_id)]) == 0
    assert _counts(ledger) == before
    assert _drift(ledger) == []
    with ledger.session() as session:
        assert session.scalars(select(LlmCall.total_cost)).one() == first.total_cost


def test_a_replayed_batch_adds_only_what_is_new(ledger: Ledger) -> None:
    old = [event(tags={"n": str(number)}) for number in range(5)]
    ledger.write(old)
    assert ledger.write([*old, event(tags={"n": "new"}), *old]) == 1
    assert _counts(ledger) == [6, 6, 6, 1, 0]
    assert _drift(ledger) == []


def test_duplicates_inside_a_batch_count_once(ledger: Ledger) -> None:
    twin = event(tags={"feature": "chat"})
    assert ledger.write([twin, event(), twin]) == 2
    assert _counts(ledger) == [2, 2, 1, 1, 0]
    assert _drift(ledger) == []


def test_a_large_batch_stays_below_parameter_limits(ledger: Ledger) -> None:
    events = [event(tags={f"k{n}": "v" for n in range(10)}) for _ in range(600)]
    assert ledger.write(events) == 600
    assert _counts(ledger)[:3] == [600, 600, 6000]


def test_money_is_exact_under_sum(ledger: Ledger) -> None:
    costs = [*["0.1"] * 10, "123456.123456789012", "0.000000000001"]
    ledger.write([event(cost=cost, tags={"t": "x"}) for cost in costs])
    exact = sum(map(Decimal, costs))
    with ledger.session() as session:
        for column in (LlmCall.total_cost, LineItem.cost, CallTag.total_cost, Rollup.total_cost):
            rows = select(func.sum(column))
            assert (
                session.scalar(rows.where(Rollup.grain == "h") if column.class_ is Rollup else rows) == exact
            )


def test_tag_values_that_look_alike_stay_apart(ledger: Ledger) -> None:
    values = ["Acme", "acme ", "ácme", "ACME", "acmé"]
    ledger.write([event(tags={"tenant": value}, model=value) for value in values])
    with ledger.session() as session:
        for column in (CallTag.value, LlmCall.model, Rollup.model):
            rows = select(column, func.count()).group_by(column)
            counted = session.execute(rows.where(Rollup.grain == "h") if column.class_ is Rollup else rows)
            assert {row[0]: row[1] for row in counted} == {value.strip(): 1 for value in values}
        assert session.scalars(select(CallTag.value).where(CallTag.value == "acme")).all() == ["acme"]


def test_trailing_spaces_make_no_difference_on_any_database(ledger: Ledger) -> None:
    """MySQL's binary collation ignores them, so 'acme' and 'acme ' must be one value everywhere."""
    ledger.write([event(model=model, tags={"tenant": model}) for model in ("acme", "acme ", "acme  ")])
    with ledger.session() as session:
        assert session.execute(select(Rollup.model, Rollup.calls).where(Rollup.grain == "h")).all() == [
            ("acme", 3)
        ]
        assert set(session.scalars(select(CallTag.value))) == {"acme"}


def test_text_that_a_driver_would_refuse_is_made_storable(ledger: Ledger) -> None:
    awkward = event(
        model="m" * 300,
        error_type="nul\x00inside",
        user_id="lone\ud800surrogate",
        endpoint="😀" * 300,
        tags={"k\x00" + "e" * 100: "v" * 300, "empty": "", "nul": "\x00", "half": "\udfff"},
        details={
            "text\ud800": "a\x00b",
            "nan": math.nan,
            "odd": object(),
            "cost": Decimal("1.5"),
        },
        pricing_snapshot={"deep": {"x": [{"\x00": "\ud800"}]}},
    )
    assert ledger.write([awkward]) == 1
    with ledger.session() as session:
        call = session.scalars(select(LlmCall)).one()
        assert (call.model, call.endpoint) == ("m" * 191, "😀" * 191)
        assert (call.error_type, call.user_id) == ("nulinside", "lone?surrogate")
        assert call.tags == {"k" + "e" * 63: "v" * 255, "half": "?"}
        assert call.tags == {tag.key: tag.value for tag in call.call_tags}
        assert call.details == {"text?": "ab", "nan": None, "odd": "object", "cost": "1.5"}
    assert _drift(ledger) == []


def test_an_event_id_that_is_too_long_still_counts_once(ledger: Ledger) -> None:
    twice = [event(event_id="x" * 100), event(event_id="x" * 100)]
    assert ledger.write(twice[:1]) == 1
    assert ledger.write(twice[1:]) == 0


POISON = {
    "negative tokens": {"input_tokens": -1},
    "too many tokens": {"output_tokens": 2**63},
    "tokens that are no number": {"total_tokens": math.nan},
    "a status code beyond 32 bits": {"http_status": 2**40},
    "money that is no number": {"total_cost": Decimal("NaN")},
    "money beyond the limit": {"total_cost": Decimal(10) ** 9},
    "a float for money": {"total_cost": 0.1},
    "a time without a zone": {"occurred_at": datetime(2026, 1, 1)},  # noqa: DTZ001
    "no model": {"model": None},
    "a line item without a quantity": {"line_items": (item(quantity=Decimal("Infinity")),)},
}


@pytest.mark.parametrize("fault", POISON.values(), ids=POISON.keys())
def test_one_bad_event_goes_to_quarantine_alone(ledger: Ledger, fault: dict[str, Any]) -> None:
    good = [event() for _ in range(9)]
    personal = {"tags": {"customer": "Jane Roe"}, "details": {"a": "private"}, "user_id": "jane@example.com"}
    bad = event(**{**personal, **fault})
    with pytest.raises(EventRefused):
        ledger.write([*good[:4], bad, *good[4:]])
    assert _counts(ledger)[0] == 0
    for _ in range(2):  # again: nothing doubles
        ledger.write_or_quarantine([*good[:4], bad, *good[4:]])
    assert _counts(ledger) == [9, 9, 0, 1, 1]
    assert _drift(ledger) == []
    with ledger.session() as session:
        row = session.scalars(select(Quarantine)).one()
        assert row.event_id == bad.event_id
        kept = json.loads(row.event)
        assert kept["tag_keys"] == ["customer"]
        for private in ("Jane", "private", "jane@"):
            assert private not in row.event + row.reason


def test_a_row_that_only_the_database_refuses_is_found(ledger: Ledger, app: Flask, db: SQLAlchemy) -> None:
    dialect = ledger.engine.dialect.name
    if dialect == "sqlite":
        trigger = (
            "CREATE TRIGGER picky BEFORE INSERT ON llm_cost_calls WHEN NEW.model = 'bad' "
            "BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
    else:
        trigger = "ALTER TABLE llm_cost_calls ADD CONSTRAINT picky CHECK (model <> 'bad')"
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(text(trigger))
    events = [event(model="bad" if number == 13 else "good") for number in range(20)]
    ledger.write_or_quarantine(events)
    assert _counts(ledger) == [19, 19, 0, 1, 1]
    with ledger.session() as session:
        row = session.scalars(select(Quarantine)).one()
        assert row.event_id == events[13].event_id
        assert row.reason in (
            "IntegrityError SQLITE_CONSTRAINT",
            "CheckViolation 23514",
            "OperationalError 4025",
        )


def test_missing_tables_keep_the_events(empty_ledger: Ledger) -> None:
    with pytest.raises(LedgerUnavailable) as caught:
        empty_ledger.write_or_quarantine([event(), event()])
    assert "llm-cost doctor" in str(caught.value)


def test_a_server_that_is_away_keeps_the_events() -> None:
    engine = create_ledger_engine(
        create_engine("postgresql+psycopg://nobody@127.0.0.1:1/none?connect_timeout=2")
    )
    with pytest.raises(LedgerUnavailable):
        Ledger(engine).write([event()])
    engine.dispose()


def test_a_connection_that_the_server_closed_is_replaced(ledger: Ledger) -> None:
    ledger.write([event()])
    dialect = ledger.engine.dialect.name
    if dialect == "sqlite":
        pytest.skip("no server")
    name = {"postgresql": "pg_backend_pid()", "mariadb": "connection_id()"}[dialect]
    with ledger.engine.connect() as ours:
        number = ours.execute(text(f"SELECT {name}")).scalar()
    host_engine = create_engine(ledger.engine.url)
    with host_engine.connect() as other:
        end = {"postgresql": f"SELECT pg_terminate_backend({number})", "mariadb": f"KILL {number}"}[dialect]
        other.execute(text(end))
    host_engine.dispose()
    assert ledger.write([event()]) == 1


def test_the_schema_version_is_written_with_the_first_call(ledger: Ledger) -> None:
    ledger.write([event()])
    with ledger.session() as session:
        told = select(Meta.value).where(Meta.key == "schema_version")
        assert session.scalars(told).all() == [str(SCHEMA_VERSION)]


def test_deleted_calls_leave_the_rollups_too(ledger: Ledger) -> None:
    events = [event(tags={"t": "x"}, occurred_at=NOON.replace(hour=hour)) for hour in (1, 1, 2)]
    ledger.write(events)
    assert ledger.delete_calls([events[0].event_id, events[2].event_id, "nobody"], keep_rollups=False) == 2
    assert _counts(ledger) == [1, 1, 1, 1, 0]
    assert _drift(ledger) == []


def test_deleted_calls_can_stay_in_the_rollups(ledger: Ledger) -> None:
    events = [event(tags={"t": "x"}) for _ in range(3)]
    ledger.write(events)
    assert ledger.delete_calls((each.event_id for each in events), keep_rollups=True) == 3
    assert _counts(ledger) == [0, 0, 0, 1, 0]


def test_a_shared_connection_is_written_to_between_the_hosts_transactions(db: SQLAlchemy) -> None:
    from flask_llm_cost.ledger import attach_tables

    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite://"
    db.init_app(app)
    attach_tables(db, None)
    with app.app_context():
        db.create_all()
        ledger = Ledger(create_ledger_engine(db.engine))
        ledger.write_or_quarantine([event(), event(input_tokens=-1)])
        assert db.session.scalar(select(func.count()).select_from(LlmCall)) == 1
        db.session.remove()
    assert _counts(ledger) == [1, 1, 0, 1, 1]
    ledger.engine.dispose()


def test_times_come_back_aware_and_to_the_microsecond(ledger: Ledger) -> None:
    ledger.write([event()])
    with ledger.session() as session:
        assert session.scalars(select(LlmCall.occurred_at)).one() == NOON
        assert session.scalars(select(LlmCall.created_at)).one().tzinfo is UTC
