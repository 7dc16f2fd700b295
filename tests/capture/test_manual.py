"""Calls told by hand: checked in full before anything is stored, and priced like any other."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from datetime import timezone
from decimal import Decimal
from typing import Any

import pytest

from flask_llm_cost import StorageError
from flask_llm_cost import Usage
from flask_llm_cost import track
from flask_llm_cost import track_stream
from flask_llm_cost import with_tags
from flask_llm_cost.runtime import untracked
from tests.capture.conftest import MakeApp
from tests.capture.conftest import TrackedApp
from tests.wire_formats import chat_stream
from tests.wire_formats import gemini_stream
from tests.wire_formats import message_stream
from tests.wire_formats import response_stream

PRICES = {"LLM_COST_PRICING_OVERRIDES": {"harbour/gpt-quay": {"input": "2", "output": "8"}}}


@pytest.fixture
def app(make_app: MakeApp) -> TrackedApp:
    return make_app(config=PRICES)


def test_a_key_names_a_call_in_every_process(make_app: MakeApp) -> None:
    apps = [make_app(name, config=PRICES) for name in ("harbour", "pier")]

    def told(app: TrackedApp, key: str, provider: str = "harbour") -> str:
        with app.flask.app_context():
            event = track(provider=provider, model="gpt-quay", input_tokens=10, idempotency_key=key)
        assert event is not None
        return event.event_id

    assert told(apps[0], "line-1") == told(apps[0], "line-1") == told(apps[1], "line-1")
    assert len({told(apps[0], "line-1"), told(apps[0], "line-2"), told(apps[0], "line-1", "pier")}) == 3


@pytest.mark.parametrize("key", ["", 7, b"line-1"])
def test_a_key_is_a_text(app: TrackedApp, key: Any) -> None:
    with pytest.raises(ValueError, match="idempotency_key must be a text"):
        track(provider="harbour", model="gpt-quay", input_tokens=10, idempotency_key=key)
    assert app.events == []


def test_track_records_a_priced_and_attributed_call(app: TrackedApp) -> None:
    moment = datetime(2026, 5, 4, 12, tzinfo=timezone(timedelta(hours=2)))
    with with_tags(feature="quay", tenant="north"):
        event = track(
            provider="harbour",
            model="gpt-quay",
            input_tokens=1_000_000,
            output_tokens=500_000,
            latency_ms=840.4,
            provider_response_id="resp-7",
            occurred_at=moment,
            operation="responses",
            stream=True,
            tags={"tenant": "south"},
            user=7,
            trackable=("Ticket", 12),
            request_type="summary",
            details={"attempt": 2, "api_key": "hidden"},
        )
    assert event is app.event
    assert event.total_cost == Decimal(6)
    assert (event.cost_source, event.cost_status, event.usage_source) == ("computed", "complete", "manual")
    assert event.occurred_at == moment.astimezone(UTC)
    assert event.occurred_at.utcoffset() == timedelta(0)
    assert (event.operation, event.stream, event.latency_ms) == ("responses", True, 840)
    assert event.tags == {"feature": "quay", "tenant": "south"}
    assert (event.user_id, event.trackable_type, event.trackable_id) == ("7", "Ticket", "12")
    assert (event.request_type, event.provider_response_id) == ("summary", "resp-7")
    assert event.details == {"attempt": 2, "api_key": "[redacted]"}


def test_a_whole_usage_is_taken(app: TrackedApp) -> None:
    track(
        provider="harbour",
        model="gpt-quay",
        usage=Usage(input_tokens=5, charges={"web_search_request": Decimal(2)}),
    )
    assert app.event.input_tokens == 5
    assert {item.component for item in app.event.line_items} == {"input", "web_search_request"}


@pytest.mark.parametrize("cost", [Decimal("0.0123"), "0.0123", 0], ids=["Decimal", "text", "zero"])
def test_a_known_cost_is_taken_as_it_is(app: TrackedApp, cost: Any) -> None:
    track(provider="harbour", model="gpt-unpriced", input_tokens=3, cost=cost)
    assert app.event.total_cost == Decimal(cost)
    assert (app.event.cost_source, app.event.cost_status) == ("caller", "complete")


def test_a_call_of_unknown_usage_has_an_unknown_cost(app: TrackedApp) -> None:
    track(provider="harbour", model="gpt-quay")
    assert (app.event.total_cost, app.event.cost_status, app.event.usage_source) == (
        None,
        "unknown",
        "unknown",
    )


def test_a_failed_call_is_recorded_as_one(app: TrackedApp) -> None:
    track(provider="harbour", model="gpt-quay", status="error", http_status=503, error_type="Overloaded")
    event = app.event
    assert (event.status, event.http_status, event.error_type) == ("error", 503, "Overloaded")
    assert event.cost_status == "free"


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        ({"input_token": 3}, TypeError, "input_token'. Did you mean 'input_tokens'"),
        ({"feature": "quay"}, TypeError, "tags="),
        ({"input_tokens": -1}, ValueError, "input_tokens"),
        ({"output_tokens": float("nan")}, ValueError, "output_tokens"),
        ({"output_tokens": 2.0}, ValueError, "output_tokens"),
        ({"reasoning_tokens": 9, "output_tokens": 3}, ValueError, "reasoning_tokens"),
        ({"charges": {"web_search_requests": 2}}, ValueError, "web_search_request"),
        ({"usage": Usage(input_tokens=1), "output_tokens": 2}, TypeError, "output_tokens"),
        ({"usage": {"input_tokens": 1}}, TypeError, "Usage"),
        ({"cost": 0.1}, ValueError, "cost must be a Decimal"),
        ({"cost": "-1"}, ValueError, "cost must be from 0"),
        ({"cost": "NaN"}, ValueError, "cost must be from 0"),
        ({"cost": "a lot"}, ValueError, "cost must be a number"),
        ({"latency_ms": -3}, ValueError, "latency_ms"),
        ({"latency_ms": float("nan")}, ValueError, "latency_ms"),
        ({"occurred_at": datetime(2026, 5, 4)}, ValueError, "time zone"),  # noqa: DTZ001
        ({"status": "fine"}, ValueError, "status must be one of ok"),
        ({"operation": "talk"}, ValueError, "operation must be one of chat"),
        ({"details": [1]}, ValueError, "details must be a mapping"),
        ({"tags": "quay"}, ValueError, "tags must be a mapping"),
        ({"model": " "}, ValueError, "model must be a name"),
        ({"provider": None}, ValueError, "provider must be a name"),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, dict) else "",
)
@pytest.mark.parametrize("function", [track, track_stream], ids=["track", "track_stream"])
def test_what_cannot_be_true_is_refused_and_nothing_stored(
    app: TrackedApp, function: Any, call: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said.replace("(", r"\(")):
        function(**{"provider": "harbour", "model": "gpt-quay", **call})
    assert app.events == []


def test_the_tracker_records_for_its_own_app(make_app: MakeApp) -> None:
    first, second = make_app("first"), make_app("second")
    with second.flask.app_context():
        second.tracker.track(provider="harbour", model="gpt-quay", input_tokens=1)
    assert (len(first.events), len(second.events)) == (0, 1)


def test_a_call_of_no_app_is_counted_and_answers_none(make_app: MakeApp) -> None:
    make_app("first")
    make_app("second")
    before = untracked["no_app"]
    assert track(provider="harbour", model="gpt-quay") is None
    assert untracked["no_app"] == before + 1


def test_where_tracking_is_off_everything_works_and_nothing_is_recorded(make_app: MakeApp) -> None:
    app = make_app(config={"LLM_COST_ENABLED": False})
    with app.flask.app_context():
        assert app.tracker.track(provider="harbour", model="gpt-quay") is None
        with app.tracker.track_stream(provider="harbour", model="gpt-quay") as stream:
            stream.event({"choices": []})
            stream.usage(input_tokens=4)
            assert stream.finish() is None
    assert app.events == []


def test_what_the_host_opted_into_is_raised(make_app: MakeApp) -> None:
    def refuse(event: object) -> None:
        raise OSError("disk full")

    make_app(config={"LLM_COST_STORAGE_ERROR": "raise"}, storage=refuse)
    with pytest.raises(StorageError):
        track(provider="harbour", model="gpt-quay")


def payloads(pieces: list[bytes]) -> Iterator[str]:
    for piece in pieces:
        yield piece.decode().partition("data: ")[2].strip()


@pytest.mark.parametrize(
    ("pieces", "operation"),
    [
        (chat_stream("gpt-answered"), "chat"),
        (response_stream("gpt-answered"), "responses"),
        (message_stream("gpt-answered"), "messages"),
        (gemini_stream("gpt-answered"), "generate_content"),
    ],
    ids=["chat", "responses", "messages", "generate_content"],
)
@pytest.mark.parametrize("form", ["parsed", "text", "lines"])
def test_a_streams_events_are_read_like_an_sdks(
    app: TrackedApp, pieces: list[bytes], operation: str, form: str
) -> None:
    import json

    with track_stream(provider="harbour", model="gpt-quay") as stream:
        for piece, payload in zip(pieces, payloads(pieces), strict=True):
            if form == "lines" or payload == "[DONE]":
                stream.event(piece)
            else:
                stream.event(json.loads(payload) if form == "parsed" else payload)
    event = app.event
    assert (event.status, event.stream, event.operation) == ("ok", True, operation)
    assert (event.model, event.input_tokens, event.output_tokens) == ("gpt-answered", 100, 48)
    assert (event.usage_source, event.provider_response_id is not None) == ("stream", True)
    assert event.time_to_first_token_ms is not None
    assert event.latency_ms is not None
    assert event.latency_ms >= event.time_to_first_token_ms


def test_what_the_host_tells_of_a_stream_counts_more_than_its_events(app: TrackedApp) -> None:
    with track_stream(provider="harbour", model="gpt-quay", tags={"feature": "quay"}) as stream:
        for payload in payloads(chat_stream("gpt-answered")):
            stream.event(payload)
        stream.usage(input_tokens=1_000_000)
        stream.model = "gpt-quay"
        stream.provider_response_id = "mine"
    event = app.event
    assert (event.model, event.provider_response_id) == ("gpt-quay", "mine")
    assert (event.usage_source, event.total_cost) == ("manual", Decimal(2))
    assert event.tags == {"feature": "quay"}


def test_a_stream_is_recorded_once_whoever_finishes_it(app: TrackedApp) -> None:
    with track_stream(provider="harbour", model="gpt-quay") as stream:
        stream.usage(Usage(input_tokens=3))
        assert stream.finish() is app.event
        assert stream.finish() is None
        stream.event({"ignored": True})
    assert len(app.events) == 1


def test_an_exception_in_the_block_makes_an_error_and_goes_on(app: TrackedApp) -> None:
    with pytest.raises(LookupError, match="ours"), track_stream(provider="harbour", model="gpt-quay"):
        raise LookupError("ours")
    assert (app.event.status, app.event.error_type, app.event.cost_status) == (
        "error",
        "LookupError",
        "unknown",
    )


def test_a_generator_left_early_aborts_its_stream(app: TrackedApp) -> None:
    def answer() -> Iterator[int]:
        with track_stream(provider="harbour", model="gpt-quay"):
            yield from range(5)

    numbers = answer()
    next(numbers)
    numbers.close()
    assert app.stored == [], "it may be the garbage collector that closes a generator"
    assert (app.event.status, app.event.error_type) == ("aborted", "GeneratorExit")


def test_a_cancelled_task_aborts_its_stream(app: TrackedApp) -> None:
    async def work() -> None:
        with track_stream(provider="harbour", model="gpt-quay"):
            await asyncio.sleep(5)

    async def run() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(work(), 0.01)

    asyncio.run(run())
    assert app.event.status == "aborted"


def test_an_event_of_another_type_is_refused(app: TrackedApp) -> None:
    stream = track_stream(provider="harbour", model="gpt-quay")
    with pytest.raises(TypeError, match="an event is a mapping"):
        stream.event(3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="Did you mean 'output_tokens'"):
        stream.usage(output_token=3)


def test_garbage_events_are_no_trouble(app: TrackedApp) -> None:
    with track_stream(provider="harbour", model="gpt-quay") as stream:
        stream.event("not json at all")
        stream.event(b"\xff\xfe")
        stream.event({"usage": {"prompt_tokens": -3, "completion_tokens": "many"}})
    assert (app.event.status, app.event.input_tokens, app.event.cost_status) == ("ok", None, "unknown")


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ({"prompt_tokens": 100, "completion_tokens": 10}, (100, None, 10)),
        ({"prompt_tokens": 100, "cache_read_input_tokens": 40, "completion_tokens": 0}, (60, 40, 0)),
        ({"prompt_tokens": 0, "output_tokens": 5}, (0, None, 5)),
    ],
    ids=["plain", "with cached ones", "mixed names"],
)
def test_prompt_and_completion_tokens_hold_their_parts(
    app: TrackedApp, told: dict[str, int], kept: tuple[int | None, ...]
) -> None:
    with app.flask.app_context():
        event = track(provider="harbour", model="gpt-quay", **told)  # type: ignore[arg-type]
    assert event is not None
    assert (event.input_tokens, event.cache_read_input_tokens, event.output_tokens) == kept


@pytest.mark.parametrize(
    ("told", "kind", "problem"),
    [
        ({"prompt_tokens": 1, "input_tokens": 1}, TypeError, "either prompt_tokens"),
        ({"completion_tokens": 1, "output_tokens": 1}, TypeError, "either completion_tokens"),
        ({"prompt_tokens": 5, "cache_read_input_tokens": 9}, ValueError, "cannot be less than the parts"),
        ({"prompt_tokens": -5}, ValueError, "whole number of tokens"),
        ({"prompt_tokens": True}, ValueError, "whole number of tokens"),
        ({"prompt_tokens": 5, "cache_read_input_tokens": "9"}, ValueError, "cache_read_input_tokens"),
        ({"prompt_token": 5}, TypeError, "Did you mean 'prompt_tokens'"),
        ({"usage": Usage(input_tokens=1), "prompt_tokens": 5}, TypeError, "prompt_tokens"),
    ],
)
def test_counts_that_contradict_each_other_are_refused(
    app: TrackedApp, told: dict[str, Any], kind: type[Exception], problem: str
) -> None:
    with app.flask.app_context(), pytest.raises(kind, match=problem):
        track(provider="harbour", model="gpt-quay", **told)
    assert app.events == []
