"""How numbers read, as tables of values and words. U+202F stands between a number and its unit."""

from __future__ import annotations

from datetime import UTC
from datetime import date
from datetime import datetime
from datetime import timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_llm_cost.dashboard import formats

AMOUNTS = st.decimals(min_value=0, max_value=10**9, places=12)


def plain(text: str) -> str:
    return text.replace("\u202f", " ").replace("\u2212", "-")


@pytest.mark.parametrize(
    ("amount", "text", "exact"),
    [
        (None, "unknown", ""),
        ("0", "$0.00", "0.00 USD"),
        ("1", "$1.00", "1.00 USD"),
        ("1234567.891", "$1,234,567.89", "1234567.891 USD"),
        ("2.005", "$2.01", "2.005 USD"),
        ("0.5", "$0.5000", "0.50 USD"),
        ("0.01", "$0.0100", "0.01 USD"),
        ("0.99994", "$0.9999", "0.99994 USD"),
        ("0.99996", "$1.00", "0.99996 USD"),
        ("0.009999999", "$0.0100", "0.009999999 USD"),
        ("0.000213", "$0.000213", "0.000213 USD"),
        ("0.00123456789", "$0.00123457", "0.00123456789 USD"),
        ("0.000000000001", "$0.000000000001", "0.000000000001 USD"),
        ("-1.5", "-$1.50", "-1.50 USD"),
    ],
)
def test_money_reads(amount: str | None, text: str, exact: str) -> None:
    shown = formats.money(None if amount is None else Decimal(amount))
    assert plain(shown.text) == text
    assert shown.exact == exact


@given(AMOUNTS)
def test_money_never_shows_something_as_nothing(amount: Decimal) -> None:
    digits = formats.money(amount).text.strip("$").replace(",", "")
    assert (Decimal(digits) == 0) == (amount == 0)


@given(AMOUNTS)
def test_exact_money_has_every_digit(amount: Decimal) -> None:
    assert Decimal(formats.exact_money(amount)) == amount


@given(AMOUNTS)
def test_money_is_off_by_less_than_its_last_shown_digit(amount: Decimal) -> None:
    shown = formats.money(amount)
    digits = Decimal(shown.text.strip("$").replace(",", ""))
    assert abs(digits - amount) <= Decimal(1).scaleb(-min(shown.decimals, 12))


@given(AMOUNTS, AMOUNTS)
def test_more_money_never_reads_as_less(one: Decimal, other: Decimal) -> None:
    low, high = sorted((one, other))
    shown = [Decimal(formats.money(amount).text.strip("$").replace(",", "")) for amount in (low, high)]
    assert shown == sorted(shown)


@pytest.mark.parametrize(
    ("count", "text", "exact"),
    [
        (None, "unknown", ""),
        (0, "0", ""),
        (9_999, "9,999", ""),
        (10_000, "10.0 k", "10,000"),
        (999_949, "999.9 k", "999,949"),
        (999_950, "1.0 M", "999,950"),
        (1_234_567, "1.2 M", "1,234,567"),
        (2_500_000_000, "2.5 B", "2,500,000,000"),
        (10**12, "1,000.0 B", "1,000,000,000,000"),
    ],
)
def test_tokens_read(count: int | None, text: str, exact: str) -> None:
    shown = formats.tokens(count)
    assert (plain(shown.text), shown.exact) == (text, exact)


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (None, "unknown"),
        (0, "0 ms"),
        (812, "812 ms"),
        (999, "999 ms"),
        (1_000, "1.0 s"),
        (4_249, "4.2 s"),
        (59_949, "59.9 s"),
        (59_950, "1 min 0 s"),
        (125_000, "2 min 5 s"),
        (3_599_600, "1 h 0 min"),
        (3_780_000, "1 h 3 min"),
    ],
)
def test_durations_read(milliseconds: int | None, text: str) -> None:
    assert plain(formats.duration(milliseconds).text) == text


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [
        (12, 122, "9.8 %"),
        (0, 5, "0.0 %"),
        (1, 10_000, "<0.1 %"),
        (9_999, 10_000, ">99.9 %"),
        (5, 5, "100 %"),
        (1, 0, "unknown"),
        (None, 5, "unknown"),
    ],
)
def test_shares_read(part: int | None, whole: int, text: str) -> None:
    assert plain(formats.percent(part, whole).text) == text


@pytest.mark.parametrize(
    ("now", "before", "text"),
    [
        ("112.3", "100", "+12.3 %"),
        ("88", "100", "-12.0 %"),
        ("100", "100", "no change"),
        ("0", "0", "no change"),
        ("5", "0", "new"),
        ("0", "5", "-100.0 %"),
        ("5259", "100", "+5,159 %"),
        ("100.01", "100", "+<0.1 %"),
        ("99.99", "100", "-<0.1 %"),
    ],
)
def test_changes_read(now: str, before: str, text: str) -> None:
    assert plain(formats.change(Decimal(now), Decimal(before))) == text


@pytest.mark.parametrize(
    ("first", "last", "text"),
    [
        (date(2026, 11, 22), date(2026, 11, 22), "22 November 2026"),
        (date(2026, 11, 1), date(2026, 11, 22), "1 to 22 November 2026"),
        (date(2026, 10, 28), date(2026, 11, 3), "28 October to 3 November 2026"),
        (date(2025, 12, 30), date(2026, 1, 3), "30 December 2025 to 3 January 2026"),
    ],
)
def test_ranges_of_days_read(first: date, last: date, text: str) -> None:
    assert formats.days(first, last) == text


def test_a_moment_reads_in_the_zone() -> None:
    moment = datetime(2026, 11, 22, 23, 30, 5, tzinfo=UTC)
    assert formats.moment(moment, ZoneInfo("Europe/Berlin")) == "23 Nov 2026, 00:30:05"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "just now"),
        (59, "just now"),
        (60, "1 minute ago"),
        (7_200, "2 hours ago"),
        (3 * 86_400, "3 days ago"),
    ],
)
def test_ages_read(seconds: int, text: str) -> None:
    now = datetime(2026, 11, 22, tzinfo=UTC)
    assert formats.age(now - timedelta(seconds=seconds), now) == text
