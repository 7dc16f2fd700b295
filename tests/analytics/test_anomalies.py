"""What counts as usual, and what stands out of little: days that are few, sparse or cheap."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from decimal import Decimal

import pytest

from flask_llm_cost.analytics import find_anomalies
from flask_llm_cost.analytics.anomalies import usual
from tests.analytics.ledgers import call
from tests.analytics.ledgers import memory_ledger
from tests.analytics.ledgers import query

NOW = datetime(2026, 11, 20, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    ("before", "median", "limit", "active"),
    [
        (["1"] * 7, "1", "3", 7),
        # Distances from the median of 4 are 3 2 1 0 1 2 3, their median 2: 4 + 8 x 1.4826 x 2.
        (["1", "2", "3", "4", "5", "6", "7"], "4", "27.7216", 7),
        (["1"] * 9 + ["100"], "1", "3", 10),
        (["1"] * 8 + ["100", "100"], "1", "150", 10),
        (["0"] * 25 + ["2", "4", "5"], "0", "15", 3),
        (["0"] * 20 + ["2"] * 8, "0", "3", 8),
        (["0"] * 28, "0", "0", 0),
    ],
    ids=["steady", "uneven", "one dear day", "two dear days", "sparse", "a day a week or more", "nothing"],
)
def test_what_was_normal_at_most(before: list[str], median: str, limit: str, active: int) -> None:
    found = usual([Decimal(amount) for amount in before])
    assert found is not None
    assert (found.median, found.limit) == (Decimal(median), Decimal(limit))
    assert (found.compared, found.active) == (len(before), active)


def test_of_six_days_nothing_is_usual() -> None:
    assert usual([Decimal(1)] * 6) is None


def named(costs: Mapping[int, str], *, model: str = "gpt-5", since: int = 40) -> list[tuple[int, Decimal]]:
    """Age in days and amount of what stands out in ten days; by age, what calls of ``model`` cost.

    Another model is called for nothing every day since ``since`` days ago.
    """
    events = [call(NOW - timedelta(days=age), model=model, total_cost=Decimal(costs[age])) for age in costs]
    events += [call(NOW - timedelta(days=age), model="free", total_cost=Decimal(0)) for age in range(since)]
    with memory_ledger(events) as ledger:
        found = find_anomalies(query(ledger, now=NOW).last_days(10))
    return sorted(((NOW - each.start).days, each.amount) for each in found if each.dimension == "model")


def test_days_before_the_first_call_are_not_days_without_cost() -> None:
    burst = {3: "0.10", 2: "0.10", 1: "0.10", 0: "50"}
    assert named(burst, since=4) == []
    assert named(burst, since=8) == [(0, Decimal(50))]


@pytest.mark.parametrize(("dear", "expected"), [("1.00", []), ("1.01", [(2, Decimal("1.01"))])])
def test_less_than_a_dollar_more_than_usual_is_not_worth_a_word(
    dear: str, expected: list[tuple[int, Decimal]]
) -> None:
    assert named({**dict.fromkeys(range(40), "0.01"), 2: dear}) == expected


def test_after_quiet_weeks_only_the_first_dear_day_is_named() -> None:
    assert named({3: "5", 2: "6", 1: "5", 0: "4"}) == [(3, Decimal(5))]


def test_a_model_that_is_used_now_and_then_is_held_against_its_dearest_day() -> None:
    assert named({35: "4", 28: "5", 21: "4", 2: "14"}) == []
    assert named({28: "5", 21: "4", 20: "4", 2: "16"}) == [(2, Decimal(16))]
