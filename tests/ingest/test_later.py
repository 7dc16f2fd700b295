"""In journal mode a call is priced by the writer, where nobody waits for its price; its row is the same."""

from __future__ import annotations

import logging
from collections.abc import Callable
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import anthropic
import openai
import pytest
from flask import Flask
from sqlalchemy import text

from flask_llm_cost import UnknownPricingError
from flask_llm_cost import call_recorded
from flask_llm_cost import with_tags
from flask_llm_cost.events import Event
from flask_llm_cost.journal.segment import HEADER_LENGTH
from flask_llm_cost.ledger import rollup_drift
from tests.ingest.hosts import Host
from tests.loopback import LoopbackProvider
from tests.loopback import loopback_provider

#: What differs between two calls that are the same.
OF_THE_MOMENT = {
    "id",
    "event_id",
    "batch_id",
    "occurred_at",
    "created_at",
    "latency_ms",
    "time_to_first_token_ms",
}


@pytest.fixture
def provider() -> Iterator[LoopbackProvider]:
    with loopback_provider() as running:
        yield running


@pytest.fixture
def make(make_host: Callable[..., Host]) -> Callable[..., Host]:
    """Makes hosts in journal mode, whose first call, with which the mode is chosen, is over."""

    def make(url: str, **config: Any) -> Host:
        host = make_host(url, **{"LLM_COST_INGESTION": "journal", **config})
        host.call()
        assert host.tracker.flush(10)
        return host

    return make


@pytest.fixture
def ask(provider: LoopbackProvider) -> Iterator[Callable[..., None]]:
    """One call of each kind, by the real SDKs."""
    with (
        openai.OpenAI(api_key="test", base_url=f"{provider.url}/v1", max_retries=0) as client,
        anthropic.Anthropic(api_key="test", base_url=provider.url, max_retries=0) as claude,
    ):
        messages: Any = [{"role": "user", "content": "Is the quay open?"}]

        def ask(model: str = "gpt-5-mini") -> None:
            with with_tags(user=7, tenant="acme", trackable=("Ticket", 12)):
                client.chat.completions.create(model=model, messages=messages, service_tier="flex")
                for _ in client.chat.completions.create(
                    model=model, messages=messages, stream=True, stream_options={"include_usage": True}
                ):
                    pass
                client.responses.create(model=model, input="Is the quay open?")
                claude.messages.create(model="claude-sonnet-4-6", max_tokens=9, messages=messages)

        yield ask


def rows(host: Host) -> list[dict[str, Any]]:
    assert host.tracker.flush(10)
    with host.engine.connect() as connection:
        calls = connection.execute(text("SELECT * FROM llm_cost_calls ORDER BY occurred_at")).mappings().all()
        lines = connection.execute(
            text(
                "SELECT occurred_at, component, quantity, rate, cost, provider_field "
                "FROM llm_cost_line_items JOIN llm_cost_calls ON call_id = id ORDER BY occurred_at, position"
            )
        ).all()
    assert lines
    told = [{name: value for name, value in call.items() if name not in OF_THE_MOMENT} for call in calls[1:]]
    return [*told, {"lines": [tuple(line)[1:] for line in lines]}]


def unjudged(host: Host) -> int:
    """How many records wait in the journal of which no event is made yet."""
    records = b"".join(path.read_bytes() for path in host.journal.glob("*.seg"))
    return records.count(b'{"seen":')


def test_a_call_priced_later_has_the_row_of_one_priced_at_once(
    make: Callable[..., Host], ask: Callable[..., None], database_url: str
) -> None:
    later = make(database_url)
    with later.app.app_context():
        ask()
    assert unjudged(later) == 4
    found = rows(later)
    later.tracker.shutdown()
    with later.engine.begin() as connection:
        for table in ("line_items", "tags", "rollups", "calls"):
            connection.execute(text(f"DELETE FROM llm_cost_{table}"))

    heard: list[Event] = []

    def receiver(app: Flask, event: Event) -> None:
        heard.append(event)

    at_once = make(database_url)
    with call_recorded.connected_to(receiver, sender=at_once.app), at_once.app.app_context():
        ask()

    assert len(heard) == 4
    assert unjudged(at_once) == 0
    assert rows(at_once) == found
    assert all(event.total_cost for event in heard)


def test_what_another_process_left_unjudged_is_judged_by_whoever_adopts_it(
    make: Callable[..., Host], ask: Callable[..., None], database_url: str
) -> None:
    host = make(database_url, LLM_COST_SERVICE="first")
    with host.app.app_context():
        ask()
        (segment,) = host.journal.glob("*.seg")
        # The writer may have moved the checkpoint. A header that tells none has all records read.
        content = bytes(HEADER_LENGTH) + segment.read_bytes()[HEADER_LENGTH:]
        assert host.tracker.flush(10)
    segment.with_name("00000000-1-copy.seg").write_bytes(content)
    with host.engine.begin() as connection:
        for table in ("line_items", "tags", "rollups", "calls"):
            connection.execute(text(f"DELETE FROM llm_cost_{table}"))
    other = make(database_url, LLM_COST_SERVICE="second")

    assert other.tracker.flush(10)
    assert other.counts["journal_adopted"] == 1
    with host.engine.connect() as connection:
        services = connection.scalars(text("SELECT service FROM llm_cost_calls ORDER BY service")).all()
        cost = connection.scalar(text("SELECT count(*) FROM llm_cost_calls WHERE total_cost IS NULL"))
    assert services == ["first"] * 4 + ["second"]
    assert cost == 0


def test_an_outage_is_no_reason_to_judge_twice(
    make: Callable[..., Host], provider: LoopbackProvider, ask: Callable[..., None], database_url: str
) -> None:
    odd = {"id": "c", "model": "gpt-5-mini", "object": "chat.completion", "choices": [], "created": 1}
    host = make(database_url)
    provider.answer({**odd, "usage": {"prompt_tokens": -1, "completion_tokens": 1}})
    with host.app.app_context():
        host.db.drop_all()
        ask()
        for _ in range(3):
            assert not host.tracker.flush(2)
        assert host.counts["answer_problems"] == 1
        host.db.create_all()
        assert host.tracker.flush(10)
    assert host.stored() == 4
    assert host.counts["answer_problems"] == 1


def test_an_app_that_asks_to_be_told_of_unknown_prices_is_told_at_once(
    make: Callable[..., Host], ask: Callable[..., None], database_url: str
) -> None:
    host = make(database_url, LLM_COST_UNKNOWN_PRICING="raise")
    with host.app.app_context(), pytest.raises(UnknownPricingError):
        ask("nobodys-model")
    assert host.tracker.flush(10)
    assert host.stored() == 2


def test_an_unknown_price_is_logged_when_it_is_found_out(
    make: Callable[..., Host],
    ask: Callable[..., None],
    provider: LoopbackProvider,
    database_url: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    host = make(database_url)
    with host.app.app_context(), caplog.at_level(logging.WARNING, "flask_llm_cost"):
        ask("nobodys-model")
        assert host.tracker.flush(10)
    assert caplog.text.count("nobodys-model has no complete price") == 1


def test_rollups_hold_what_was_priced_later(
    make: Callable[..., Host], ask: Callable[..., None], database_url: str
) -> None:
    host = make(database_url)
    with host.app.app_context():
        for _ in range(5):
            ask()
        assert host.tracker.flush(10)
        assert host.runtime.ledger is not None
        with host.runtime.ledger.session() as session:
            assert rollup_drift(session) == []
        assert host.tracker.calls.total_cost() > Decimal(0)
