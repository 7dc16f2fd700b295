"""Filters are read strictly and written back unchanged."""

from __future__ import annotations

from datetime import date
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import MultiDict

from flask_llm_cost.dashboard.filter_reading import read_filters
from flask_llm_cost.dashboard.filters import FIELDS
from flask_llm_cost.dashboard.filters import Filters
from flask_llm_cost.dashboard.filters import joined_values
from flask_llm_cost.dashboard.filters import split_values
from flask_llm_cost.errors import InvalidFilterError

TODAY = date(2026, 11, 22)
ZONE = ZoneInfo("Europe/Berlin")


def read(*pairs: tuple[str, str], extra: tuple[str, ...] = ()) -> Filters:
    return read_filters(MultiDict(pairs), today=TODAY, zone=ZONE, extra=extra)


@pytest.mark.parametrize(
    ("given", "first", "last"),
    [
        ((), date(2026, 10, 24), TODAY),
        ((("period", "today"),), TODAY, TODAY),
        ((("period", "7d"),), date(2026, 11, 16), TODAY),
        ((("period", "month"),), date(2026, 11, 1), TODAY),
        ((("period", "last-month"),), date(2026, 10, 1), date(2026, 10, 31)),
        ((("from", "2024-02-28"), ("to", "2025-02-27")), date(2024, 2, 28), date(2025, 2, 27)),
        (
            (("period", "7d"), ("from", "2026-01-01"), ("to", "2026-01-01")),
            date(2026, 1, 1),
            date(2026, 1, 1),
        ),
    ],
)
def test_the_period_is(given: tuple[tuple[str, str], ...], first: date, last: date) -> None:
    period = read(*given).period
    assert (period.first, period.last) == (first, last)
    assert period.previous.last.toordinal() == first.toordinal() - 1
    assert period.previous.days == period.days


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("from", (("from", "yesterday"),)),
        ("from", (("from", "20261122"), ("to", "2026-11-22"))),
        ("from", (("from", "2026-W47-7"), ("to", "2026-11-22"))),
        ("from", (("from", "2026-02-30"), ("to", "2026-11-22"))),
        ("from", (("from", "0001-01-01"), ("to", "0001-01-02"))),
        ("to", (("from", "2026-11-22"), ("to", "9999-12-31"))),
        ("to", (("from", "2026-11-01"),)),
        ("from", (("to", "2026-11-01"),)),
        ("to", (("from", "2026-11-02"), ("to", "2026-11-01"))),
        ("to", (("from", "2025-01-01"), ("to", "2026-01-02"))),
        ("period", (("period", "fortnight"),)),
        ("providr", (("providr", "openai"),)),
        ("provider", (("provider", "openai"), ("provider", "anthropic"))),
        ("status", (("status", "fine"),)),
        ("stream", (("stream", "1"),)),
        ("operation", (("operation", "telepathy"),)),
        ("price", (("price", "cheap"),)),
        ("model", (("model", "m" * 192),)),
        ("model", (("model", "a\x00b"),)),
        ("tag.feature", (("tag.feature", "v" * 256),)),
        ("tag.not a key", (("tag.not a key", "v"),)),
        ("tag.", (("tag.", "v"),)),
        ("tag_key", (("tag_value", "v"),)),
        ("tag_key", (("tag_key", "no such; key"), ("tag_value", "v"))),
        ("without", (("without", "model"),)),
        ("without", (("without", "user"), ("user", "7"))),
        ("tag", tuple((f"tag.k{number}", "v") for number in range(11))),
        ("sort", (("sort", "cost"),)),
    ],
)
def test_a_mistake_names_its_field(field: str, given: tuple[tuple[str, str], ...]) -> None:
    with pytest.raises(InvalidFilterError) as caught:
        read(*given)
    assert caught.value.field == field


def test_a_bad_date_shows_the_accepted_form() -> None:
    with pytest.raises(InvalidFilterError, match=r"'yesterday' is not a date\. Write it as YYYY-MM-DD"):
        read(("from", "yesterday"))


def test_an_unknown_parameter_gets_the_nearest_name() -> None:
    with pytest.raises(InvalidFilterError, match="Did you mean 'provider'"):
        read(("providr", "openai"))


def test_366_days_are_accepted() -> None:
    assert read(("from", "2023-12-31"), ("to", "2024-12-30")).period.days == 366


def test_blank_fields_of_a_form_are_not_given() -> None:
    found = read(
        ("provider", ""), ("user", "  "), ("from", ""), ("to", ""), ("tag_key", ""), ("tag_value", "")
    )
    assert found.values == {}
    assert found.arguments() == {}


def test_the_forms_tag_fields_make_a_tag_filter() -> None:
    assert read(("tag_key", "feature"), ("tag_value", "search")).tags() == {"feature": "search"}
    assert read(("tag_key", "feature"), ("tag_value", "")).tags() == {"feature": None}


def test_without_asks_for_calls_that_have_none() -> None:
    found = read(("without", "user,tag.feature"))
    assert found.columns() == {"user_id": None}
    assert found.tags() == {"feature": None}


def test_filters_become_columns_of_the_ledger() -> None:
    found = read(("user", "7"), ("stream", "no"), ("mode", "batch"), ("price", "unknown"))
    assert found.columns() == {
        "user_id": "7", "stream": False, "pricing_mode": "batch", "cost_status": "unknown"
    }  # fmt: skip


def test_a_chip_leads_to_the_view_without_it() -> None:
    chips = {chip.label: chip.rest.arguments() for chip in read(("user", "7"), ("tag.feature", "x")).chips()}
    assert chips == {"User": {"tag.feature": "x"}, "feature": {"user": "7"}}


_open_fields = [name for name, field in FIELDS.items() if not field.choices]
_texts = st.text(
    st.characters(exclude_characters="\x00", exclude_categories=("Cs",)), min_size=1, max_size=191
)
_values = st.dictionaries(
    st.one_of(st.sampled_from(_open_fields), st.from_regex(r"\Atag\.[a-z]{1,9}\Z")), _texts, max_size=8
)


@given(_values, st.sampled_from(["today", "7d", "30d", "month", "last-month"]))
def test_a_view_written_into_a_link_reads_back_the_same(values: dict[str, str], period: str) -> None:
    found = read(("period", period), *values.items())
    assert read(*found.arguments().items()) == found


@pytest.mark.parametrize(
    ("name", "text", "dimension", "values"),
    [
        ("besides.model", "gpt-5,gpt-4o", "model", ("gpt-5", "gpt-4o")),
        ("besides.user", "7,,19", "user_id", ("7", None, "19")),
        ("besides.user", '""', "user_id", (None,)),
        ("besides.price", "complete,free", "cost_status", ("complete", "free")),
        ("besides.tag.feature", '"a, b",c', "tag:feature", ("a, b", "c")),
    ],
)
def test_values_that_are_left_out_are_a_line_of_csv(
    name: str, text: str, dimension: str, values: tuple[str | None, ...]
) -> None:
    filters = read((name, text))
    assert filters.excluded() == {dimension: values}
    assert filters.arguments() == {name: text}
    assert [chip.besides for chip in filters.chips()] == [True]


@given(st.lists(st.none() | st.text(min_size=1, max_size=20).filter(str.strip), min_size=1, max_size=5))
def test_left_out_values_are_read_as_they_were_written(values: list[str | None]) -> None:
    assert split_values(joined_values(values)) == tuple(values)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("besides.stream", "yes"),
        ("besides.price", "cheap"),
        ("besides.weather", "sunny"),
        ("besides.besides.model", "a"),
        ("besides.tag.a b", "c"),
        ("besides.model", "m" * 192),
    ],
)
def test_what_cannot_be_left_out_is_named(name: str, text: str) -> None:
    with pytest.raises(InvalidFilterError) as raised:
        read((name, text))
    assert raised.value.field in (name, name.removeprefix("besides."))


def test_more_left_out_values_than_an_address_holds_are_none_of_it() -> None:
    filters = read().besides("model", [f"{number:04}" for number in range(200)])
    assert filters is not None
    assert filters.besides("model", ["m" * 191] * 3) is not None
    assert filters.besides("model", [f"{number:0191}" for number in range(5)]) is None


def test_what_calls_lack_besides_the_values_of_filters() -> None:
    filters = read(("without", "tags,latency,response_id,user"))
    assert filters.arguments() == {"without": "user,tags,latency,response_id"}
    assert filters.columns() == {"user_id": None}
