"""Events that come again, come changed, come too late, or never can be stored."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from flask_llm_cost.ledger import rollup_drift
from flask_llm_cost.maintenance import prune
from tests.ingest.hosts import Host
from tests.ingest.hosts import eventually
from tests.made_events import NOON
from tests.made_events import event


@pytest.fixture
def make_host(tmp_path: Path) -> Iterator[Callable[..., Host]]:
    hosts: list[Host] = []

    def make(url: str, ingestion: str = "journal", **config: str) -> Host:
        hosts.append(Host(url, tmp_path, LLM_COST_INGESTION=ingestion, **config))
        return hosts[-1]

    yield make
    for host in hosts:
        host.close()


@pytest.fixture
def host(make_host: Callable[..., Host], database_url: str) -> Host:
    return make_host(database_url)


def quarantined(host: Host) -> list[str]:
    with host.engine.connect() as connection:
        return list(connection.scalars(text("SELECT reason FROM llm_cost_quarantine")))


def sums_agree(host: Host) -> bool:
    with Session(host.engine) as session:
        return rollup_drift(session) == []


def total(host: Host) -> Decimal | None:
    with host.app.app_context():
        return host.tracker.calls.all_time().total_cost()


CHANGED = "a call of the same id is stored with other numbers"


@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "later"])
def test_a_call_that_is_told_again_with_other_numbers(host: Host, together: bool) -> None:
    """The first counts; that another one came is counted and shown."""
    first = event(cost="0.5")
    second = replace(first, input_tokens=7, total_cost=Decimal(9), line_items=())
    for one in (first, second, second, event(cost="0.25")):
        host.runtime.recorder.record(one)
        if not together:
            assert host.tracker.flush(10)
    assert host.tracker.flush(10)
    assert (host.stored(), total(host), quarantined(host)) == (2, Decimal("0.75"), [CHANGED])
    assert sums_agree(host)
    assert f"{CHANGED}: 1" in host.app.test_cli_runner().invoke(args=["llm-cost", "doctor"]).output


def test_a_call_that_is_told_again_is_nothing_to_speak_of(host: Host) -> None:
    """A re-read of a batch may know the price of today, other tags, and when it was read."""
    first = event(cost="0.5", tags={"feature": "mail"})
    again = replace(
        first, total_cost=Decimal(1), tags={}, occurred_at=NOON + timedelta(hours=1), latency_ms=None
    )
    for one in (first, again, first):
        host.runtime.recorder.record(one)
        assert host.tracker.flush(10)
    assert (host.stored(), total(host), quarantined(host)) == (1, Decimal("0.5"), [])


def test_a_journal_that_is_replayed_after_a_prune(host: Host) -> None:
    """Nobody can tell whether its calls were there: they come into no sum a second time."""
    for number in range(12):
        host.runtime.recorder.record(event(occurred_at=NOON + timedelta(hours=number % 3)))
    (segment,) = host.journal.glob("*.seg")
    content = segment.read_bytes()
    assert host.tracker.flush(10)
    assert host.runtime.ledger is not None
    assert prune(host.runtime.ledger, NOON + timedelta(hours=1)).calls == 4
    for number in range(8):
        segment.with_name(f"00000000-{number}-copy.seg").write_bytes(content)
    other = Host(str(host.app.config["SQLALCHEMY_DATABASE_URI"]), Path(host.app.instance_path))
    assert other.tracker.flush(20)
    assert (host.stored(), quarantined(host)) == (8, ["older than the last prune"] * 4)
    with host.engine.connect() as connection:
        hours = text("SELECT sum(calls) FROM llm_cost_rollups WHERE grain = 'h' AND tag_key = ''")
        assert connection.scalar(hours) == 12
    assert sums_agree(host)
    other.close()


@pytest.mark.parametrize("poisoned", [{250}, {0, 3, 498, 499}], ids=["one", "four, at the ends"])
def test_poisoned_events_in_a_batch_of_500(host: Host, poisoned: set[int]) -> None:
    for number in range(500):
        bad = {"input_tokens": -1} if number in poisoned else {}
        host.runtime.recorder.record(event(tags={"number": str(number)}, **bad))
    assert host.tracker.flush(60)
    assert host.stored() == 500 - len(poisoned)
    assert quarantined(host) == ["input_tokens is not a whole number in range"] * len(poisoned)
    assert sums_agree(host)
    with host.engine.connect() as connection:
        kept = connection.scalars(text("SELECT event FROM llm_cost_quarantine")).all()
    assert all("tag_keys" in told and '"number": "' not in told for told in kept)


@pytest.mark.parametrize("ingestion", ["journal", "inline"])
def test_failures_that_nobody_wants_to_hear_of_are_counted_all_the_same(
    make_host: Callable[..., Host], tmp_path: Path, ingestion: str, caplog: pytest.LogCaptureFixture
) -> None:
    host = make_host(f"sqlite:///{tmp_path / 'app.db'}", ingestion, LLM_COST_STORAGE_ERROR="ignore")
    with host.app.app_context():
        host.db.drop_all()
        host.call()
        assert not host.tracker.flush(2)
        assert eventually(lambda: host.counts["storage_errors"] > 0)
        assert caplog.text == ""
        host.db.create_all()
        assert host.tracker.flush(10)
    assert host.stored() == 1
