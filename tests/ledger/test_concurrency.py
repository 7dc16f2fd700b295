"""Several writers at once, as several processes would: each with an engine of its own."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import Engine
from sqlalchemy import create_engine
from sqlalchemy import func
from sqlalchemy import select

from flask_llm_cost.events import Event
from flask_llm_cost.ledger import Ledger
from flask_llm_cost.ledger import LineItem
from flask_llm_cost.ledger import LlmCall
from flask_llm_cost.ledger import Rollup
from flask_llm_cost.ledger import create_ledger_engine
from flask_llm_cost.ledger import rollup_drift
from tests.made_events import NOON
from tests.made_events import event


def _in_parallel(engine: Engine, work: Sequence[Callable[[Ledger], None]]) -> list[BaseException]:
    failures: list[BaseException] = []
    start = threading.Barrier(len(work))

    def run(task: Callable[[Ledger], None]) -> None:
        host_engine = create_engine(engine.url)
        own = create_ledger_engine(host_engine)
        try:
            start.wait()
            task(Ledger(own, lock_wait=20))
        except BaseException as error:
            failures.append(error)
        finally:
            own.dispose()
            host_engine.dispose()

    threads = [threading.Thread(target=run, args=(task,)) for task in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failures


def _replay(events: Sequence[Event], seed: int) -> Callable[[Ledger], None]:
    def work(ledger: Ledger) -> None:
        order = list(events)
        random.Random(seed).shuffle(order)
        for start in range(0, len(order), 40):
            ledger.write(order[start : start + 40])

    return work


def test_eight_replayers_of_the_same_events_count_each_once(ledger: Ledger) -> None:
    events = [
        event(model=f"m{number % 5}", occurred_at=NOON + timedelta(hours=number % 7), tags={"n": str(number)})
        for number in range(200)
    ]
    assert _in_parallel(ledger.engine, [_replay(events, seed) for seed in range(8)]) == []
    with ledger.session() as session:
        assert session.scalar(select(func.count()).select_from(LlmCall)) == 200
        assert session.scalar(select(func.count()).select_from(LineItem)) == 200
        assert session.scalar(select(func.sum(Rollup.calls)).where(Rollup.grain == "h")) == 200
        assert rollup_drift(session) == []


def test_writers_that_touch_the_same_rollups_in_crossed_order_all_succeed(ledger: Ledger) -> None:
    def own_events(reverse: bool) -> Callable[[Ledger], None]:
        def work(ledger: Ledger) -> None:
            for _ in range(15):
                models = [f"m{number}" for number in range(12)]
                batch = [event(model=model) for model in (reversed(models) if reverse else models)]
                assert ledger.write(batch) == 12

        return work

    assert _in_parallel(ledger.engine, [own_events(reverse=bool(n % 2)) for n in range(4)]) == []
    with ledger.session() as session:
        assert session.scalar(select(func.count()).select_from(LlmCall)) == 4 * 15 * 12
        assert rollup_drift(session) == []


def test_a_call_deleted_by_two_at_once_leaves_the_rollups_once(ledger: Ledger) -> None:
    events = [event() for _ in range(50)]
    ledger.write([*events, event()])
    ids = [each.event_id for each in events]

    def delete(ledger: Ledger) -> None:
        ledger.delete_calls(ids, keep_rollups=False)

    assert _in_parallel(ledger.engine, [delete] * 3) == []
    with ledger.session() as session:
        assert session.scalar(select(Rollup.calls)) == 1
        assert rollup_drift(session) == []
