"""The ledger held against a bill: what agrees, what drifts, and what cannot be told."""

from __future__ import annotations

from datetime import UTC
from datetime import date
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from flask_llm_cost.errors import ConfigurationError
from flask_llm_cost.reconciliation import Comparison
from flask_llm_cost.reconciliation import Period
from flask_llm_cost.reconciliation import Row
from flask_llm_cost.reconciliation import Thresholds
from flask_llm_cost.reconciliation import compare
from flask_llm_cost.reconciliation import import_csv
from tests.cli.apps import CommandApp
from tests.made_events import event
from tests.made_events import item
from tests.reconciliation.admin_server import COMPLETIONS
from tests.reconciliation.admin_server import COSTS
from tests.reconciliation.admin_server import AdminServer
from tests.reconciliation.admin_server import openai_cost
from tests.reconciliation.admin_server import openai_day
from tests.reconciliation.admin_server import openai_tokens
from tests.reconciliation.conftest import Importer

THREE_DAYS = Period.of_days(date(2026, 3, 1), date(2026, 3, 3))


def call(app: CommandApp, day: int, cost: str | None, **values: Any) -> None:
    """A call at noon UTC of a day in March, made of output tokens."""
    items = () if cost is None else (item("output", cost),)
    at = datetime(2026, 3, day, 12, tzinfo=UTC)
    app.ledger.write([event(cost=cost, line_items=items, **{"occurred_at": at, **values})])


def found_of(app: CommandApp, **options: Any) -> Comparison:
    return compare(app.ledger, options.pop("period", THREE_DAYS), **options)


def states(rows: list[Row]) -> dict[tuple[object, ...], str]:
    return {row.key: row.state for row in rows}


def bill(app: CommandApp, folder: Path, text: str, provider: str = "openai") -> None:
    path = folder / "bill.csv"
    path.write_text(text)
    import_csv(app.ledger, provider, path)


def test_a_bill_that_agrees_is_said_to_agree(
    stored: CommandApp, server: AdminServer, importer: Importer
) -> None:
    """In doubles as OpenAI sends them, where the ledger has twelve digits."""
    server.buckets[COSTS] = [openai_day(1, openai_cost(0.1 + 0.2)), openai_day(2, openai_cost(1e-07))]
    importer(stored.ledger, "openai_costs", THREE_DAYS)
    call(stored, 1, "0.1")
    call(stored, 1, "0.2")
    call(stored, 2, "0.0000001")
    found = found_of(stored, by=("day", "model", "line_item"), thresholds=Thresholds(tolerance=Decimal(0)))

    assert [(row.key, row.provider_amount, row.our_amount, row.state) for row in found.rows] == [
        ((date(2026, 3, 1), "gpt-5-mini", "output"), Decimal("0.3"), Decimal("0.3"), "agrees"),
        ((date(2026, 3, 2), "gpt-5-mini", "output"), Decimal("1E-7"), Decimal("1E-7"), "agrees"),
    ]
    [total] = found.totals
    assert (total.provider_amount, total.our_amount, total.difference) == (Decimal("0.3000001"),) * 2 + (0,)
    assert total.tolerance == Decimal("2E-12")
    assert (found.drifts, found.unmatched, found.remarks) == (False, [], [])


def test_each_day_is_a_day_in_utc(stored: CommandApp, tmp_path: Path) -> None:
    bill(stored, tmp_path, "date,amount\n2026-03-01,1\n2026-03-02,2\n")
    call(stored, 1, "1", occurred_at=datetime(2026, 3, 1, 0, 0, tzinfo=UTC))
    call(stored, 2, "2", occurred_at=datetime(2026, 3, 2, 23, 59, 59, 999999, tzinfo=UTC))
    call(stored, 3, "8", occurred_at=datetime(2026, 3, 3, 0, 0, tzinfo=UTC))  # not imported

    found = found_of(stored, by=("day",))
    assert [(row.key, row.our_amount) for row in found.rows] == [
        ((date(2026, 3, 1),), 1),
        ((date(2026, 3, 2),), 2),
    ]
    assert found.remarks == ["openai: no costs are imported of 2026-03-03; these days are not compared."]


def test_both_sides_tell_what_the_other_lacks(stored: CommandApp, tmp_path: Path) -> None:
    bill(
        stored, tmp_path,
        "date,amount,model,component\n2026-03-01,3,gpt-5-mini,output\n2026-03-01,7,gpt-5,output\n",
    )  # fmt: skip
    call(stored, 1, "3")
    call(stored, 1, "2", model="o5")
    found = found_of(stored, by=("model",))

    assert states(found.rows) == {
        ("gpt-5-mini",): "agrees",
        ("gpt-5",): "only_provider",
        ("o5",): "only_ours",
    }
    assert [(row.key[1], row.provider_amount, row.our_amount) for row in found.unmatched] == [
        ("gpt-5", 7, None),
        ("o5", None, 2),
    ]
    assert found.drifts
    assert len(found_of(stored, unmatched=1).unmatched) == 1
    assert found_of(stored, unmatched=1).unmatched_count == 2


@pytest.mark.parametrize(
    ("ours", "thresholds", "drifts"),
    [
        ("104.99", Thresholds(), False),
        ("105.00", Thresholds(), False),
        ("105.01", Thresholds(), True),
        ("94.99", Thresholds(), True),
        ("105.01", Thresholds(amount=Decimal(6)), False),
        ("107", Thresholds(amount=Decimal(6)), True),
        ("100.02", Thresholds(percent=Decimal(0)), True),
        ("100.01", Thresholds(percent=Decimal(0)), False),
        ("100.01", Thresholds(percent=Decimal(0), tolerance=Decimal(0)), True),
        ("100.005", Thresholds(percent=Decimal(0), tolerance=Decimal(0)), False),
    ],
)
def test_a_difference_drifts_where_it_passes_all_thresholds(
    app: CommandApp, tmp_path: Path, ours: str, thresholds: Thresholds, drifts: bool
) -> None:
    bill(app, tmp_path, "date,amount\n2026-03-01,100.00\n")
    call(app, 1, ours)

    assert found_of(app, thresholds=thresholds).drifts is drifts


def test_cents_of_many_lines_may_be_off_by_half_a_cent_each(app: CommandApp, tmp_path: Path) -> None:
    bill(app, tmp_path, "date,amount,line_item\n" + "".join(f"2026-03-01,0.01,{n}\n" for n in range(20)))
    call(app, 1, "0.11")
    [total] = found_of(app).totals

    assert (total.provider_amount, total.tolerance, total.state) == (Decimal("0.2"), Decimal("0.1"), "agrees")
    assert total.percent == Decimal("-45.0000")


def test_another_currency_is_told_and_never_added(app: CommandApp, tmp_path: Path) -> None:
    bill(app, tmp_path, "date,amount,currency\n2026-03-01,1,usd\n2026-03-01,50,EUR\n")
    call(app, 1, "1")

    totals = {row.currency: row for row in found_of(app).totals}
    assert (totals["USD"].provider_amount, totals["USD"].state) == (1, "agrees")
    assert (totals["EUR"].provider_amount, totals["EUR"].our_amount, totals["EUR"].state) == (
        50, None, "not_compared",
    )  # fmt: skip


def test_credits_are_apart_from_costs(stored: CommandApp, tmp_path: Path) -> None:
    bill(stored, tmp_path, "date,amount,type,line_item\n2026-03-01,5,,\n2026-03-01,-3,credit,Trial\n")
    call(stored, 1, "5")
    found = found_of(stored)

    assert [row.provider_amount for row in found.totals] == [5]
    [apart] = found.apart
    assert (apart.row_type, apart.line_item, apart.amount) == ("credit", "Trial", -3)


def test_accounts_are_matched_where_both_name_the_same(
    stored: CommandApp, server: AdminServer, importer: Importer
) -> None:
    server.buckets[COSTS] = [
        openai_day(1, openai_cost(1, project_id="proj_a"), openai_cost(2, project_id="proj_b"))
    ]
    importer(stored.ledger, "openai_costs", THREE_DAYS)
    call(stored, 1, "1", provider_account="proj_a")
    call(stored, 1, "2", provider_account="proj_c")

    assert states(found_of(stored, by=("project",)).rows) == {
        ("proj_a",): "agrees",
        ("proj_b",): "only_provider",
        ("proj_c",): "only_ours",
    }


@pytest.mark.parametrize("by", ["workspace", "key"])
def test_names_that_nothing_has_in_common_are_not_judged(
    app: CommandApp, server: AdminServer, importer: Importer, by: str
) -> None:
    told = openai_cost(1, project_id="wrkspc_1", api_key_id="key_1")
    server.buckets[COSTS] = [openai_day(1, told)]
    importer(app.ledger, "openai_costs", THREE_DAYS)
    call(app, 1, "1", provider_account="org_1")
    found = found_of(app, by=(by,))

    assert {row.state for row in found.rows} == {"not_compared"}
    assert not found.drifts
    assert "only the totals are judged" in found.remarks[0]
    call(app, 1, "1")
    assert found_of(app, by=(by,)).drifts


def test_days_that_had_not_ended_when_they_were_imported_are_left_out(
    app: CommandApp, server: AdminServer, importer: Importer
) -> None:
    today = datetime.now(UTC).date()
    period = Period.of_days(today, today)
    importer(app.ledger, "openai_costs", period)
    found = found_of(app, period=period)

    assert found.totals == []
    assert str(today) in found.remarks[0]


def test_the_admin_api_goes_before_a_file_of_the_same_day(
    stored: CommandApp, server: AdminServer, importer: Importer, tmp_path: Path
) -> None:
    bill(stored, tmp_path, "date,amount\n2026-03-01,10\n2026-03-02,20\n")
    server.buckets[COSTS] = [openai_day(1, openai_cost(1))]
    importer(stored.ledger, "openai_costs", Period.of_days(date(2026, 3, 1), date(2026, 3, 1)))

    assert [row.provider_amount for row in found_of(stored, by=("day",)).rows] == [1, 20]


def test_calls_without_a_known_cost_are_counted_beside_the_difference(
    app: CommandApp, tmp_path: Path
) -> None:
    bill(app, tmp_path, "date,amount\n2026-03-01,5\n")
    call(app, 1, "2")
    call(app, 1, None)
    [total] = found_of(app).totals

    assert (total.our_amount, total.calls, total.unknown_calls, total.state) == (2, 2, 1, "drift")


def test_an_unknown_cost_is_no_amount_of_zero(app: CommandApp, tmp_path: Path) -> None:
    """Beside nothing on the bill it agrees with nothing; beside an amount it is what the ledger lacks."""
    bill(app, tmp_path, "date,amount,model\n2026-03-01,5,billed\n")
    call(app, 1, None, model="billed")
    call(app, 1, None, model="not-billed")
    found = found_of(app, by=("model",))

    assert [
        (*row.key, row.provider_amount, row.our_amount, row.difference, row.state) for row in found.rows
    ] == [
        ("billed", 5, None, -5, "drift"),
        ("not-billed", None, None, None, "unknown"),
    ]
    assert found.remarks == [
        "openai: no costs are imported of 2026-03-02 to 2026-03-03; these days are not compared."
    ]


def test_quantities_are_compared_by_component(
    stored: CommandApp, server: AdminServer, importer: Importer, tmp_path: Path
) -> None:
    """Days are compared where every kind of usage is imported."""
    server.buckets[COMPLETIONS] = [
        openai_day(1, openai_tokens(input_tokens=10, output_tokens=3, num_model_requests=2))
    ]
    server.buckets["/v1/organization/usage/vector_stores"] = [openai_day(1, {"usage_bytes": 9})]
    importer(stored.ledger, "openai_usage_completions", THREE_DAYS)
    assert found_of(stored).usage == []
    for source in importer.api_sources("openai"):
        importer(stored.ledger, source, THREE_DAYS)
    call(stored, 1, "1")
    call(stored, 1, "1")
    found = {each.component: each for each in found_of(stored).usage}

    told = {name: (each.provider_quantity, each.our_quantity, each.state) for name, each in found.items()}
    assert told == {
        "calls": (2, 2, "agrees"),
        "input": (10, None, "differs"),
        "output": (3, 2, "differs"),
        "stored_byte": (9, None, "not_compared"),
    }


def test_an_unknown_dimension_is_refused_with_those_there_are(app: CommandApp) -> None:
    with pytest.raises(ConfigurationError, match=r"no 'colour' to split by\. There are: day, account"):
        found_of(app, by=("colour",))
