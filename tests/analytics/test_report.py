"""A report's parts each add up to its total."""

from __future__ import annotations

from datetime import timedelta

from flask_llm_cost.analytics import build_report
from tests.analytics.ledgers import BERLIN
from tests.analytics.ledgers import NOW
from tests.analytics.ledgers import START
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
