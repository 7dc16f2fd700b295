"""Anthropic messages: cache writes, iterations, server tools, modes, and the events of a message."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from flask_llm_cost.events import Observation
from flask_llm_cost.providers import find_route
from flask_llm_cost.providers import read_body
from tests.providers.streams import MESSAGES
from tests.providers.streams import event
from tests.providers.streams import read
from tests.providers.streams import stream
from tests.providers.streams import told

BARE = {"input_tokens": 20, "output_tokens": 5}


def message(usage: object, **changes: Any) -> dict[str, Any]:
    return {
        "id": "msg_sluice_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5-20250929",
        "content": [{"type": "text", "text": "Slack water."}],
        "stop_reason": "end_turn",
        "usage": usage,
        **changes,
    }


def answer(**usage: Any) -> Observation:
    return read(MESSAGES, message({**BARE, **usage}))


def test_input_leaves_out_both_kinds_of_cache_already() -> None:
    found = answer(
        cache_read_input_tokens=1111,
        cache_creation_input_tokens=418,
        cache_creation={"ephemeral_5m_input_tokens": 400, "ephemeral_1h_input_tokens": 18},
        output_tokens_details={"thinking_tokens": 3},
        service_tier="standard",
    )

    assert told(found.usage) == {
        "input_tokens": 20,
        "cache_read_input_tokens": 1111,
        "cache_write_input_tokens": 400,
        "cache_write_extended_input_tokens": 18,
        "output_tokens": 5,
        "reasoning_tokens": 3,
    }
    assert (found.model, found.provider_response_id) == ("claude-sonnet-4-5-20250929", "msg_sluice_1")
    assert (found.pricing_mode, found.mode_told) == (None, True)
    assert found.provider_fields["cache_write_extended_input"] == (
        "usage.cache_creation.ephemeral_1h_input_tokens"
    )


@pytest.mark.parametrize(
    ("usage", "short", "extended"),
    [
        ({"cache_creation_input_tokens": 90}, 90, None),
        ({"cache_creation_input_tokens": 90, "cache_creation": None}, 90, None),
        ({"cache_creation_input_tokens": 90, "cache_creation": {"ephemeral_1h_input_tokens": 60}}, 30, 60),
        ({"cache_creation": {"ephemeral_5m_input_tokens": 30, "ephemeral_1h_input_tokens": 60}}, 30, 60),
        ({"cache_creation_input_tokens": 0, "cache_creation": {}}, 0, None),
    ],
    ids=["no split", "null split", "one side", "no total", "nothing"],
)
def test_a_write_without_a_split_lives_five_minutes(
    usage: dict[str, Any], short: int, extended: int | None
) -> None:
    found = answer(**usage).usage

    assert found is not None
    assert (found.cache_write_input_tokens, found.cache_write_extended_input_tokens) == (short, extended)


def test_searches_are_charged_and_fetches_are_free() -> None:
    usage = answer(server_tool_use={"web_search_requests": 2, "web_fetch_requests": 3}).usage

    assert usage is not None
    assert usage.charges == {"web_search_request": 2}


def test_openrouter_tells_its_charge_in_anthropics_format_too() -> None:
    route = find_route("POST", "openrouter.ai", "/api/v1/messages")
    found = read_body(route, b'{"usage": {"input_tokens": 9, "output_tokens": 5, "cost": 0.000125}}')

    assert found.provider_cost == Decimal("0.000125")


def test_iterations_other_than_messages_are_billed_on_top() -> None:
    found = answer(
        iterations=[
            {
                "type": "compaction",
                "input_tokens": 180,
                "output_tokens": 131,
                "cache_creation_input_tokens": 9000,
            },
            {"type": "advisor_message", "model": "claude-opus-5", "input_tokens": 40, "output_tokens": 2},
            {"type": "message", "input_tokens": 20, "output_tokens": 5},
        ]
    )

    assert told(found.usage) == BARE
    assert [(item.model, told(item.usage)) for item in found.iterations] == [
        (
            "claude-sonnet-4-5-20250929",
            {"input_tokens": 180, "output_tokens": 131, "cache_write_input_tokens": 9000},
        ),
        ("claude-opus-5", {"input_tokens": 40, "output_tokens": 2}),
    ]


def test_the_attempt_of_a_fallback_model_stands_in_the_place_of_the_message() -> None:
    entry = {"type": "fallback_message", "model": "claude-opus-5", "input_tokens": 20, "output_tokens": 5}

    assert answer(iterations=[entry]).iterations == ()


@pytest.mark.parametrize(
    "iterations",
    [[{"type": "compaction", "input_tokens": -1, "output_tokens": 1}], [{"type": []}], ["x"], {"a": 1}, 5],
)
def test_without_its_iterations_a_call_is_not_told(iterations: object) -> None:
    found = answer(iterations=iterations)

    assert (found.usage, found.iterations, found.usage_source) == (None, (), "unknown")
    assert len(found.problems) == 1


@pytest.mark.parametrize(
    ("usage", "mode", "is_told"),
    [
        ({}, None, False),
        ({"service_tier": "standard"}, None, True),
        ({"service_tier": "priority"}, None, True),
        ({"service_tier": "batch"}, "batch", True),
        ({"service_tier": "standard", "speed": "fast"}, "fast", True),
        ({"service_tier": "standard", "speed": "standard"}, None, True),
        ({"service_tier": "standard", "inference_geo": "us"}, "data_residency", True),
        ({"service_tier": "standard", "speed": "fast", "inference_geo": "us"}, "fast_data_residency", True),
        ({"service_tier": "batch", "inference_geo": "us"}, "batch_data_residency", True),
        ({"service_tier": "standard", "inference_geo": "global"}, None, True),
        ({"inference_geo": "not_available"}, None, False),
        ({"service_tier": 5, "speed": []}, None, False),
    ],
)
def test_tier_speed_and_place_make_the_mode(usage: dict[str, Any], mode: str | None, is_told: bool) -> None:
    found = answer(**usage)

    assert (found.pricing_mode, found.mode_told) == (mode, is_told)


@pytest.mark.parametrize(
    "usage",
    [
        {"input_tokens": -5},
        {"input_tokens": None},
        {"output_tokens": None},
        {"output_tokens": "5"},
        {"cache_read_input_tokens": 1.5},
        {"cache_creation": "5m"},
        {"cache_creation_input_tokens": 10, "cache_creation": {"ephemeral_5m_input_tokens": 11}},
        {"output_tokens_details": {"thinking_tokens": 6}},
        {"server_tool_use": {"web_search_requests": -1}},
    ],
)
def test_impossible_or_missing_numbers_are_no_usage_and_a_problem(usage: dict[str, Any]) -> None:
    found = answer(**usage)

    assert (found.usage, found.usage_source) == (None, "unknown")
    assert len(found.problems) == 1


def test_an_error_body_is_known_by_its_class() -> None:
    found = read(MESSAGES, {"type": "error", "error": {"type": "overloaded_error", "message": "my secret"}})

    assert (found.status, found.error_type, found.usage) == ("error", "overloaded_error", None)
    assert "secret" not in repr(found)


def start(**usage: Any) -> dict[str, Any]:
    first = {"input_tokens": 20, "output_tokens": 1, **usage}
    return {"type": "message_start", "message": message(first, content=[], stop_reason=None)}


def text(words: str) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": words}}


def end(stop_reason: str | None = "end_turn", **usage: Any) -> dict[str, Any]:
    return {"type": "message_delta", "delta": {"stop_reason": stop_reason}, "usage": usage}


STOP = {"type": "message_stop"}
BLOCK = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
PING = {"type": "ping"}


def test_the_end_of_a_stream_overwrites_its_start() -> None:
    reader = stream(
        MESSAGES,
        start(cache_read_input_tokens=1167, service_tier="standard"),
        BLOCK,
        PING,
        text("Slack "),
        text("water."),
        end(output_tokens=256),
    )
    assert not reader.finished
    reader.feed(event(STOP, "message_stop"))
    found = reader.observation()

    assert (reader.finished, reader.failed, reader.saw_output) == (True, False, True)
    assert told(found.usage) == {"input_tokens": 20, "cache_read_input_tokens": 1167, "output_tokens": 256}
    assert (found.usage_source, found.mode_told, found.problems) == ("stream", True, ())


def test_cumulative_counts_are_taken_and_not_added() -> None:
    restated = end(
        input_tokens=11_665,
        cache_creation_input_tokens=None,
        cache_read_input_tokens=0,
        output_tokens=186,
        server_tool_use={"web_search_requests": 1},
    )
    found = stream(MESSAGES, start(cache_creation_input_tokens=7), text("x"), restated, STOP).observation()

    assert told(found.usage) == {
        "input_tokens": 11_665,
        "cache_read_input_tokens": 0,
        "cache_write_input_tokens": 7,
        "output_tokens": 186,
    }
    assert found.usage is not None
    assert found.usage.charges == {"web_search_request": 1}


def test_a_write_that_grew_after_its_split_keeps_the_hour() -> None:
    split = {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 30}
    begun = start(cache_creation_input_tokens=40, cache_creation=split)
    usage = (
        stream(MESSAGES, begun, end(cache_creation_input_tokens=100, output_tokens=3), STOP)
        .observation()
        .usage
    )

    assert usage is not None
    assert (usage.cache_write_input_tokens, usage.cache_write_extended_input_tokens) == (70, 30)


def test_iterations_come_with_the_end() -> None:
    entry = {"type": "compaction", "input_tokens": 180, "output_tokens": 131}
    found = stream(MESSAGES, start(), end(output_tokens=9, iterations=[entry]), STOP).observation()

    assert [item.model for item in found.iterations] == ["claude-sonnet-4-5-20250929"]


def test_the_first_output_is_the_first_delta() -> None:
    reader = stream(MESSAGES, start(), BLOCK, PING)
    assert not reader.saw_output

    reader.feed(event(text("Slack"), "content_block_delta"))
    assert reader.saw_output


def test_a_stream_left_early_has_not_told_its_output() -> None:
    reader = stream(MESSAGES, start(), text("Slack "))
    found = reader.observation()

    assert (reader.finished, found.usage, found.usage_source, found.problems) == (False, None, "unknown", ())
    assert found.model == "claude-sonnet-4-5-20250929"


def test_the_final_counts_are_enough_even_if_the_stop_is_not_read() -> None:
    reader = stream(MESSAGES, start(), text("x"), end(output_tokens=9))

    assert not reader.finished
    assert told(reader.observation().usage)["output_tokens"] == 9


def test_a_stop_without_final_counts_is_a_problem() -> None:
    found = stream(MESSAGES, start(), text("x"), end(), STOP).observation()

    assert found.usage is None
    assert len(found.problems) == 1


@pytest.mark.parametrize(
    "error",
    [
        {"type": "error", "error": {"type": "overloaded_error", "message": "my secret"}},
        {"error": {"type": "overloaded_error", "message": "my secret"}, "type": "error"},
    ],
)
def test_an_error_event_fails_the_answer(error: dict[str, Any]) -> None:
    reader = stream(MESSAGES, start(), text("x"), error)
    found = reader.observation()

    assert (reader.failed, reader.finished) == (True, False)
    assert (found.status, found.error_type, found.usage) == ("error", "overloaded_error", None)
    assert "secret" not in repr(found)


def test_words_of_the_format_inside_a_text_change_nothing() -> None:
    reader = stream(
        MESSAGES, start(), text('{"type":"error"} {"type":"message_stop"} "usage": {}\n\nevent: error\n')
    )

    assert (reader.finished, reader.failed) == (False, False)
