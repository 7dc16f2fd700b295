"""A report's parts each add up to its total."""

from __future__ import annotations

from datetime import date
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from flask_llm_cost.analytics import build_report
from flask_llm_cost.analytics import during
from flask_llm_cost.errors import InvalidFilterError
from flask_llm_cost.events import Event
from tests.analytics.ledgers import BERLIN
from tests.analytics.ledgers import NOW
from tests.analytics.ledgers import START
from tests.analytics.ledgers import ledgers
from tests.analytics.ledgers import memory_ledger
from tests.analytics.ledgers import query
from tests.analytics.ledgers import seeded_calls


def test_every_part_of_a_report_adds_up_to_its_total() -> None:
    with memory_ledger(seeded_calls(120)) as ledger:
        asked = query(ledger).between(START + timedelta(days=2), NOW)
        report = build_report(asked, title="Last days", tag_keys=("feature", "tenant"), limit=3)
        assert (report.title, report.zone) == ("Last days", BERLIN)
        assert report.range == asked.range
        splits = [report.by_provider, report.by_model, report.by_user]
        splits += [part.breakdown for part in report.by_tag]
        assert all(split.total == report.totals for split in splits)
        assert all(len(split.rows) <= 3 for split in splits)
        assert [part.key for part in report.by_tag] == ["feature", "tenant"]
        costs = [call.total_cost for call in report.top_calls]
        assert costs == sorted(costs, reverse=True)  # type: ignore[type-var]
        assert len(costs) == 3
        assert report.previous == asked.previous_period().totals()
        assert report.latency == asked.latency()
        assert report.unpriced == asked.unpriced_models(3)


def test_a_report_of_all_time_has_nothing_before_it_and_one_of_nothing_has_no_rows() -> None:
    with memory_ledger([]) as ledger:
        report = build_report(query(ledger), tag_keys=("feature",))
        assert report.previous is None
        assert report.range is None
        assert report.totals.calls == 0
        assert report.by_model.rows == report.by_tag[0].breakdown.rows == ()
        assert report.top_calls == report.unpriced == ()


@settings(max_examples=25, deadline=None)
@given(
    events=ledgers(),
    name=st.sampled_from(("day", "user", "model", "tag:feature", "endpoint")),
    limit=st.sampled_from((None, 1, 2)),
)
def test_each_line_stands_beside_the_same_of_the_time_before(
    events: list[Event], name: str, limit: int | None
) -> None:
    with memory_ledger(events) as ledger:
        asked = query(ledger).days(date(2026, 10, 26), date(2026, 10, 28))
        before = asked.previous_period()
        group = build_report(asked, group_by=name, limit=limit).by(name)
        assert group.total == asked.totals()
        assert group.previous is not None
        assert group.previous.calls == before.count()
        rows = [*group.rows, *([group.other] if group.other else [])]
        assert sum(row.calls for row in rows) == group.total.calls
        assert sum((row.total_cost or 0 for row in rows), Decimal(0)) == (group.total.total_cost or 0)
        for row in group.rows:
            assert row.previous is not None
            if name == "day":
                assert row.value is not None
                then = date.fromisoformat(row.value) - timedelta(days=3)
                mine = before.days(then, then)
            elif name.startswith("tag:"):
                mine = before.tagged({name.removeprefix("tag:"): row.value})
            else:
                mine = before.where(**{"user_id" if name == "user" else name: row.value})
            assert row.previous.total_cost == mine.total_cost()
            assert row.previous.calls == mine.count()
        if group.other:
            assert group.other.previous is not None
            shown = sum(row.previous.calls for row in group.rows if row.previous)
            assert group.other.previous.calls == before.count() - shown


def test_a_report_that_is_not_compared_asks_nothing_of_the_time_before() -> None:
    with memory_ledger(seeded_calls(50)) as ledger:
        report = build_report(query(ledger).days(date(2026, 10, 24), date(2026, 10, 27)), compare=False)
        assert report.previous is None
        assert all(row.previous is None for group in report.groups for row in group.rows)


def test_only_what_is_asked_for_is_in_a_report_with_groups() -> None:
    with memory_ledger(seeded_calls(50)) as ledger:
        report = build_report(query(ledger), group_by=["day", "user", "user"], limit=None)
        assert [group.dimension for group in report.groups] == ["day", "user_id"]
        assert report.top_calls == report.unpriced == ()
        with pytest.raises(InvalidFilterError, match="no group 'model', but: day, user_id"):
            report.by_model  # noqa: B018
        with pytest.raises(InvalidFilterError, match="colour"):
            build_report(query(ledger), group_by="colour")


def test_a_range_is_given_by_dates_or_by_moments() -> None:
    with memory_ledger([]) as ledger:
        asked = query(ledger)
        assert during(asked, None, None).range == asked.last_days(30).range
        by_date = during(asked, date(2026, 10, 24), date(2026, 10, 25)).range
        assert by_date == asked.days(date(2026, 10, 24), date(2026, 10, 25)).range
        assert during(asked, date(2026, 10, 24), None).range == asked.last_days(5).range
        assert during(asked, START, None).range == asked.between(START, NOW).range
        with pytest.raises(InvalidFilterError, match="start"):
            during(asked, None, date(2026, 10, 24))
        with pytest.raises(InvalidFilterError, match="before"):
            during(asked, date(2026, 10, 24), date(2026, 10, 1))
