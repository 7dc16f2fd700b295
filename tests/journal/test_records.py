"""An event comes back from its record as it was, to the last digit."""

from __future__ import annotations

import json
from dataclasses import fields
from dataclasses import replace
from datetime import UTC
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_llm_cost.events import Event
from flask_llm_cost.events import PricedItem
from flask_llm_cost.journal import BadRecord
from flask_llm_cost.journal import NewerRecord
from flask_llm_cost.journal import decode
from flask_llm_cost.journal import encode

ITEM = PricedItem(
    component="input",
    quantity=Decimal("1000"),
    unit="token",
    rate=Decimal("0.150000000001"),
    rate_basis="per_million",
    cost=Decimal("0.000150000000"),
    cost_status="complete",
    provider_field="usage.prompt_tokens",
)
EVENT = Event(
    event_id="6f1c0c36-8a3b-4f4e-9a0e-000000000001",
    occurred_at=datetime(2026, 3, 1, 12, 30, 15, 123456, tzinfo=UTC),
    service="shop",
    provider="openai",
    model="gpt-5-mini",
    operation="chat",
    input_tokens=1000,
    output_tokens=0,
    total_cost=Decimal("0.000150000000"),
    cost_status="complete",
    cost_source="computed",
    pricing_snapshot={"key": "openai/gpt-5-mini", "rates": {"input": "0.150000000001"}},
    tags=MappingProxyType({"tenant": "Ácme", "feature": "chat"}),
    details={"ticket": 7, "ratio": 0.25, "parts": ["a", None]},
    line_items=(ITEM,),
)


def test_an_event_comes_back_as_it_was() -> None:
    assert decode(encode(EVENT)) == EVENT


def test_every_field_of_an_event_is_told() -> None:
    """A field that is added to events needs no change here: what is not ``None`` is in the record."""
    values: dict[str, Any] = {}
    for item in fields(Event):
        known = getattr(EVENT, item.name)
        values[item.name] = known if known is not None else 7 if "tokens" in item.name else "told"
    full = replace(EVENT, **values)
    assert json.loads(encode(full)).keys() == {item.name for item in fields(Event)}
    assert decode(encode(full)) == full


amounts = st.decimals(allow_nan=False, allow_infinity=False, min_value=0, max_value=10**11, places=12)


@given(
    cost=amounts,
    tokens=st.integers(0, 2**63 - 1),
    tags=st.dictionaries(st.text(), st.text(), max_size=3),
    moment=st.datetimes(timezones=st.just(UTC)),
)
def test_amounts_counts_texts_and_times_are_exact(
    cost: Decimal, tokens: int, tags: dict[str, str], moment: datetime
) -> None:
    item = replace(ITEM, cost=cost, rate=None)
    event = replace(
        EVENT, total_cost=cost, input_tokens=tokens, tags=tags, occurred_at=moment, line_items=(item,)
    )
    found = decode(encode(event))
    assert found == event
    assert str(found.total_cost) == str(cost)


def test_a_record_is_ascii_without_separators() -> None:
    record = encode(replace(EVENT, tags={"a": "\x1e\n\ud800é"}))
    assert record.isascii()
    assert b"\x1e" not in record
    assert b"\n" not in record
    assert decode(record).tags == {"a": "\x1e\n\ud800é"}


def test_what_json_cannot_tell_is_told_as_the_row_would() -> None:
    event = replace(
        EVENT,
        details={
            "nan": float("nan"),
            "price": Decimal("1.10"),
            "set": {1},
            "odd": object(),
            1: "one",
            (1,): 2,
        },
        pricing_snapshot=MappingProxyType({"rates": MappingProxyType({"input": Decimal("0.5")})}),
    )
    found = decode(encode(event))
    assert found.details == {"nan": None, "price": "1.10", "set": [1], "odd": "object", "1": "one"}
    assert found.pricing_snapshot == {"rates": {"input": "0.5"}}


def test_a_number_that_is_none_comes_back_for_the_ledger_to_refuse() -> None:
    found = decode(encode(replace(EVENT, total_cost=Decimal("NaN"))))
    assert found.total_cost is not None
    assert found.total_cost.is_nan()


def test_what_an_earlier_version_did_not_know_is_not_told() -> None:
    told = json.loads(encode(EVENT))
    for name in ("time_to_first_token_ms", "endpoint", "details"):
        told.pop(name, None)
    told["line_items"] = [values[:-1] for values in told["line_items"]]
    found = decode(json.dumps(told).encode())
    assert (found.endpoint, found.details, found.line_items[0].provider_field) == (None, None, None)


@pytest.mark.parametrize(
    "change", [{"carbon_grams": "1"}, {"line_items": [["input", "1", "t", None, "b", None, "free", None, 1]]}]
)
def test_a_record_of_a_later_version_is_told_apart(change: dict[str, Any]) -> None:
    told = {**json.loads(encode(EVENT)), **change}
    with pytest.raises(NewerRecord):
        decode(json.dumps(told).encode())


@pytest.mark.parametrize(
    "record",
    [
        b"",
        b"[]",
        b"{}",
        b'{"event_id": "x"}',
        b'{"occurred_at": 7}',
        b'{"occurred_at": "yesterday"}',
        b"\xff",
        encode(EVENT).replace(b'"total_cost":"0.000150000000"', b'"total_cost":"much"'),
        encode(EVENT).replace(b'"line_items":[[', b'"line_items":[7,['),
    ],
)
def test_what_is_no_event_is_refused(record: bytes) -> None:
    with pytest.raises(BadRecord):
        decode(record)
