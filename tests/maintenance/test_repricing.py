"""A price came late or was wrong: calls are priced again, and all sums move by exactly the difference."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import func
from sqlalchemy import select
from sqlalchemy import update

from flask_llm_cost.errors import ConfigurationError
from flask_llm_cost.events import Event
from flask_llm_cost.events import Iteration
from flask_llm_cost.ledger import Ledger
from flask_llm_cost.ledger import LlmCall
from flask_llm_cost.ledger import Repricing as Trail
from flask_llm_cost.ledger import Rollup
from flask_llm_cost.maintenance import prune
from flask_llm_cost.recorder import caller_price
from flask_llm_cost.usage import Usage
from tests.made_events import NOON
from tests.maintenance.priced_calls import assert_consistent
from tests.maintenance.priced_calls import only_call
from tests.maintenance.priced_calls import priced
from tests.maintenance.priced_calls import repricing
from tests.maintenance.priced_calls import total

OLD = {"house/m": {"input": "1", "output": "10"}}  # 1,000 in and 100 out: 0.001 + 0.001
NEW = {"house/m": {"input": "2", "output": "10"}}  # 0.002 + 0.001
NOTHING: dict[str, dict[str, str]] = {}


def test_a_call_without_a_price_gets_one_once_it_exists(ledger: Ledger) -> None:
    ledger.write([priced(NOTHING, "m", tags={"feature": "chat"})])
    assert only_call(ledger).cost_status == "unknown"
    result = repricing(OLD, "backfill", reason="the vendor told its prices").run(ledger)

    call = only_call(ledger)
    assert (call.total_cost, call.cost_status, call.cost_source) == (Decimal("0.002"), "complete", "computed")
    assert [(item.component, item.rate, item.cost, item.cost_status) for item in call.line_items] == [
        ("input", Decimal(1), Decimal("0.001"), "complete"),
        ("output", Decimal(10), Decimal("0.001"), "complete"),
    ]
    assert call.line_items[0].provider_field == "usage.prompt_tokens"
    assert [tag.total_cost for tag in call.call_tags] == [Decimal("0.002")]
    assert call.pricing_snapshot is not None
    assert call.pricing_snapshot["rates"] == {"input": "1", "output": "10"}
    (trail,) = call.repricings
    assert (trail.run_id, trail.command, trail.changed_by) == (result.run_id, "backfill", "tester")
    assert (trail.reason, trail.old_total_cost, trail.old_cost_status, trail.old_pricing_snapshot) == (
        "the vendor told its prices", None, "unknown", None,
    )  # fmt: skip
    assert (trail.new_total_cost, trail.new_cost_status) == (Decimal("0.002"), "complete")
    assert datetime.now(UTC) - trail.changed_at < timedelta(minutes=1)
    (model,) = result.by_model()
    assert (model.changed, model.newly_priced, model.old_cost, model.new_cost) == (
        1, 1, None, Decimal("0.002"),
    )  # fmt: skip
    with ledger.session() as session:
        rollup = session.scalars(select(Rollup).where(Rollup.grain == "h")).one()
        assert (rollup.calls, rollup.unknown_cost_calls, rollup.priced_calls) == (1, 0, 1)
        assert rollup.total_cost == Decimal("0.002")
    assert_consistent(ledger)


def test_what_was_priced_in_part_becomes_whole(ledger: Ledger) -> None:
    ledger.write([priced({"house/m": {"input": "1"}}, "m")])
    assert (only_call(ledger).total_cost, only_call(ledger).cost_status) == (Decimal("0.001"), "partial")
    assert repricing(OLD, "backfill").run(ledger).difference == Decimal("0.001")
    assert (only_call(ledger).total_cost, only_call(ledger).cost_status) == (Decimal("0.002"), "complete")
    with ledger.session() as session:
        assert session.scalars(select(Rollup.partial_cost_calls).where(Rollup.grain == "h")).all() == [0]
    assert_consistent(ledger)


def test_a_backfill_leaves_alone_what_it_cannot_fill(ledger: Ledger) -> None:
    """The known part of a call keeps its frozen rate where the unknown part stays unknown."""
    ledger.write([priced({"house/m": {"input": "1"}}, "m"), priced(NOTHING, "other"), priced(OLD, "m")])
    result = repricing({"house/m": {"input": "7"}}, "backfill").run(ledger)
    assert (result.calls, result.changed, dict(result.left)) == (2, 0, {"no_price": 2})
    assert total(ledger) == Decimal("0.003")


def test_a_corrected_price_moves_everything_by_the_difference(ledger: Ledger) -> None:
    ledger.write([priced(OLD, "m", tags={"a": "1", "b": "2"}) for _ in range(3)])
    result = repricing(NEW).run(ledger)
    assert (result.changed, result.difference) == (3, Decimal("0.003"))
    assert total(ledger) == Decimal("0.009")
    with ledger.session() as session:
        for trail in session.scalars(select(Trail)):
            assert trail.old_pricing_snapshot is not None
            assert trail.old_pricing_snapshot["rates"] == {"input": "1", "output": "10"}
        assert session.scalar(select(func.sum(Rollup.total_cost)).where(Rollup.grain == "h")) == Decimal(
            "0.009"
        )
    assert_consistent(ledger)


def test_a_second_run_changes_nothing(ledger: Ledger) -> None:
    ledger.write([priced(OLD, "m")])
    repricing(NEW).run(ledger)
    again = repricing(NEW).run(ledger)
    assert (again.changed, dict(again.left)) == (0, {"same": 1})
    assert len(only_call(ledger).repricings) == 1


def test_a_dry_run_tells_the_same_and_changes_nothing(ledger: Ledger) -> None:
    ledger.write([priced(OLD, "m"), priced(NOTHING, "other")])
    work = repricing(NEW, batch_size=1)
    promised = work.run(ledger, dry_run=True)
    assert total(ledger) == Decimal("0.002")
    done = work.run(ledger)
    assert (promised.models, promised.left, promised.calls) == (done.models, done.left, done.calls)
    with ledger.session() as session:
        assert session.scalar(select(func.count()).select_from(Trail)) == 1


def test_a_call_is_priced_at_its_own_moment(ledger: Ledger) -> None:
    dated = {"house/m": {"input": "1", "periods": [{"from": "2026-03-14", "input": "4"}]}}
    usage = Usage(input_tokens=1_000_000)
    for age in (0, 1):
        ledger.write([priced(NOTHING, "m", usage, at=NOON - timedelta(days=age))])
    repricing(dated, "backfill").run(ledger)
    with ledger.session() as session:
        assert list(session.scalars(select(LlmCall.total_cost).order_by(LlmCall.occurred_at))) == [1, 4]


def test_modes_tiers_charges_and_discounts_are_those_of_the_call(ledger: Ledger) -> None:
    prices: dict[str, Any] = {
        "house/m": {
            "input": "1",
            "cache_read_input": "0.5",
            "cache_read_audio_input": "4",
            "web_search_request": "10",
            "transcription_minute": "0.006",
            "modes": {"batch": {"input": "2", "tiers": [{"over": 999, "input": "3"}]}},
        }
    }
    usage = Usage(
        input_tokens=900,
        cache_read_input_tokens=100,
        cache_read_audio_input_tokens=40,
        charges={"web_search_request": Decimal(2), "transcription_minute": Decimal(1) / 3},
    )
    ledger.write([priced(NOTHING, "m", usage, pricing_mode="batch")])
    repricing(prices, "backfill", options={"discounts": {"house": Decimal("0.5")}}).run(ledger)
    call = only_call(ledger)
    assert {item.component: item.cost for item in call.line_items} == {
        "input": Decimal("0.00135"),  # 900 at 3 per million, half of it
        "cache_read_input": Decimal("0.000015"),  # 60 at 0.5
        "cache_read_audio_input": Decimal("0.00008"),  # 40 at 4
        "web_search_request": Decimal("0.01"),  # 2 at 10 per thousand
        "transcription_minute": Decimal("0.001"),  # 20 seconds at 0.006 a minute, half of it
    }
    assert_consistent(ledger)


def told_by_provider() -> Event:
    return replace(priced(OLD, "m"), cost_source="provider")


def told_by_caller() -> Event:
    price = caller_price(Decimal("0.5"))
    return replace(
        priced(OLD, "m"),
        total_cost=price.total_cost,
        cost_source="caller",
        line_items=price.line_items,
        pricing_snapshot=price.snapshot,
    )


@pytest.mark.parametrize(
    ("recorded", "prices", "reason"),
    [
        (told_by_provider(), NEW, "told"),
        (told_by_caller(), NEW, "told"),
        (priced(OLD, "m"), NOTHING, "would_lose"),
        (priced(OLD, "m"), {"house/m": {"input": "5"}}, "would_lose"),
        (replace(priced(OLD, "m"), line_items=(), total_cost=None, cost_status="free"), NEW, "no_usage"),
        (priced(OLD, "m", Usage(input_tokens=0, output_tokens=0)), NEW, "same"),
        (priced(NOTHING, "m"), NOTHING, "no_price"),
    ],
    ids=["provider", "caller", "price gone", "rate gone", "refused", "zero tokens", "no price"],
)
def test_some_calls_are_never_touched(
    ledger: Ledger, recorded: Event, prices: dict[str, dict[str, str]], reason: str
) -> None:
    ledger.write([recorded])
    result = repricing(prices).run(ledger)
    assert (result.changed, dict(result.left)) == (0, {reason: 1})
    assert only_call(ledger).total_cost == recorded.total_cost
    assert only_call(ledger).repricings == []


def test_only_the_selected_calls_are_looked_at(ledger: Ledger) -> None:
    both = {**OLD, "house/n": {"input": "1"}, "else/m": {"input": "1", "output": "10"}}
    hour = timedelta(hours=1)
    ledger.write(
        [
            priced(both, "m"),
            priced(both, "n"),
            priced(both, "m", provider="else"),
            priced(both, "m", at=NOON - hour),
            priced(both, "m", at=NOON + hour),
        ]
    )
    chosen = {"provider": "house", "model": "m", "start": NOON, "end": NOON + hour}
    assert repricing(NEW, selection=chosen).run(ledger).changed == 1


MAIN = Usage(input_tokens=1_000)
FURTHER = (
    Iteration(model="small", usage=Usage(input_tokens=10, output_tokens=20)),
    Iteration(model="m", usage=Usage(input_tokens=3_000)),
)


def test_each_iteration_of_a_call_gets_the_price_of_its_own_model(ledger: Ledger) -> None:
    """Without a price for any of them, the models and their lines are kept all the same."""
    ledger.write([priced(NOTHING, "m", MAIN, iterations=FURTHER)])
    tiered = {
        "house/m": {"input": "1", "tiers": [{"over": 2_000, "input": "2"}]},
        "house/small": OLD["house/m"],
    }
    assert repricing(tiered, "backfill").run(ledger).changed == 1
    assert [item.cost for item in only_call(ledger).line_items] == [
        Decimal("0.001"),  # 1,000 at 1
        Decimal("0.00001"),  # 10 at 1
        Decimal("0.0002"),  # 20 at 10
        Decimal("0.006"),  # 3,000 at 2: its own size is over the threshold
    ]
    assert_consistent(ledger)


def test_iterations_whose_models_did_not_fit_are_counted_and_left(ledger: Ledger) -> None:
    many = tuple(Iteration(model=f"model-{n}-{'x' * 40}", usage=MAIN) for n in range(40))
    ledger.write([priced(OLD, "m", MAIN, iterations=many)])
    result = repricing(NEW).run(ledger)
    assert (result.changed, dict(result.left)) == (0, {"not_rebuilt": 1})


def test_lines_that_somebody_changed_are_not_priced_by_guess(ledger: Ledger) -> None:
    ledger.write([priced(OLD, "m")])
    with ledger.engine.begin() as connection:
        items = Trail.metadata.tables["llm_cost_line_items"]
        connection.execute(update(items).where(items.c.position == 1).values(component="smell_output"))
    assert dict(repricing(NEW).run(ledger).left) == {"not_rebuilt": 1}


def test_an_interrupted_run_goes_on_where_it_was(ledger: Ledger) -> None:
    ledger.write([priced(OLD, "m", at=NOON + timedelta(seconds=n), tags={"n": str(n)}) for n in range(7)])

    def interrupt(reached: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        repricing(NEW, batch_size=3).run(ledger, on_progress=interrupt)
    assert total(ledger) == Decimal("0.017")
    assert_consistent(ledger)
    told: list[int] = []
    result = repricing(NEW, batch_size=3).run(ledger, on_progress=told.append)
    assert (result.changed, result.left["same"], told) == (4, 3, [3, 6, 7])
    assert total(ledger) == Decimal("0.021")
    with ledger.session() as session:
        assert session.scalar(select(func.count()).select_from(Trail)) == 7
    assert_consistent(ledger)


def test_calls_of_the_same_moment_are_all_reached(ledger: Ledger) -> None:
    ledger.write([priced(OLD, "m") for _ in range(5)])
    assert repricing(NEW, batch_size=2).run(ledger).changed == 5


def test_sums_stay_exact_while_calls_arrive_and_old_ones_go(ledger: Ledger) -> None:
    old = NOON - timedelta(days=90)
    prototype = priced(OLD, "m", tags={"a": "1"})

    def made(count: int, first: datetime) -> list[Event]:
        times = (first + timedelta(minutes=n) for n in range(count))
        return [replace(prototype, event_id=str(uuid4()), occurred_at=moment) for moment in times]

    ledger.write(made(60, old))
    ledger.write(made(60, NOON))
    stop = threading.Event()
    failures: list[BaseException] = []

    def keep(work: Any) -> None:
        try:
            while not stop.is_set():
                work()
                time.sleep(0.005)  # SQLite's lock goes to whoever asks first, not to whoever waits longest
        except BaseException as error:
            failures.append(error)

    writers = [
        threading.Thread(target=keep, args=(lambda: ledger.write(made(5, NOON), lock_wait=30),))
        for _ in range(2)
    ]
    for writer in writers:
        writer.start()
    try:
        repricing(NEW, batch_size=20).run(ledger)
        prune(ledger, NOON - timedelta(days=30), batch_size=30, keep_rollups=False)
        repricing(OLD, batch_size=20).run(ledger)
        result = repricing(NEW, batch_size=20).run(ledger)
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    assert failures == []
    assert result.changed >= 60
    assert_consistent(ledger)


@pytest.mark.parametrize(
    ("values", "problem"),
    [({"batch_size": 0}, "batch_size"), ({"selection": {"start": datetime(2026, 1, 1)}}, "time zone")],  # noqa: DTZ001
    ids=["no batch", "naive"],
)
def test_a_wrong_request_is_refused(values: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        repricing(NEW, **values)
