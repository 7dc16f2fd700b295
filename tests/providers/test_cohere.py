"""Cohere's own formats, in both versions, and its path that speaks OpenAI's."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from flask_llm_cost.providers import StreamReader
from flask_llm_cost.providers import find_route
from flask_llm_cost.providers import read_body
from flask_llm_cost.providers import read_request
from tests.providers.streams import read
from tests.providers.streams import stream
from tests.providers.streams import told

HOST = "api.cohere.com"
CHAT = find_route("POST", HOST, "/v2/chat")
CHAT_V1 = find_route("POST", HOST, "/v1/chat")
EMBED = find_route("POST", HOST, "/v2/embed")
RERANK = find_route("POST", HOST, "/v2/rerank")

#: What is billed is less than what the model read: its own preamble is free.
USAGE = {
    "billed_units": {"input_tokens": 17, "output_tokens": 12.0},
    "tokens": {"input_tokens": 215, "output_tokens": 12},
}


@pytest.mark.parametrize(
    ("path", "operation", "billing"),
    [
        ("/v2/chat", "chat", "usage"),
        ("/v1/chat", "chat", "usage"),
        ("/v1/generate", "completions", "usage"),
        ("/v2/embed", "embeddings", "usage"),
        ("/v1/rerank", "other", "usage"),
        ("/v1/tokenize", "other", "free"),
        ("/compatibility/v1/chat/completions", "chat", "usage"),
        ("/compatibility/v1/embeddings", "embeddings", "usage"),
    ],
)
def test_cohere_has_paths_of_its_own(path: str, operation: str, billing: str) -> None:
    route = find_route("POST", HOST, path)

    assert (route.provider, route.operation, route.billing) == ("cohere", operation, billing)


def test_cohere_own_paths_are_nobody_elses() -> None:
    assert find_route("POST", "api.openai.com", "/v2/chat").billing == "unknown"


@pytest.mark.parametrize(
    ("route", "answer"),
    [
        (CHAT, {"id": "quay-1", "message": {}, "finish_reason": "COMPLETE", "usage": USAGE}),
        (CHAT_V1, {"response_id": "quay-1", "text": "open", "finish_reason": "COMPLETE", "meta": USAGE}),
    ],
    ids=["v2", "v1"],
)
def test_billed_units_count_and_not_all_tokens(route: Any, answer: dict[str, Any]) -> None:
    found = read(route, answer)

    assert told(found.usage) == {"input_tokens": 17, "output_tokens": 12}
    assert (found.provider_response_id, found.model) == ("quay-1", None)
    assert found.provider_fields["input"].endswith("billed_units.input_tokens")


EVENTS_V2: list[dict[str, Any]] = [
    {"type": "message-start", "id": "quay-1", "delta": {"message": {"role": "assistant"}}},
    {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "open"}}}},
    {"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": USAGE}},
]
EVENTS_V1: list[dict[str, Any]] = [
    {"event_type": "stream-start", "generation_id": "quay-0", "is_finished": False},
    {"event_type": "text-generation", "text": "open", "is_finished": False},
    {
        "event_type": "stream-end",
        "finish_reason": "COMPLETE",
        "is_finished": True,
        "response": {"response_id": "quay-1", "meta": USAGE},
    },
]


@pytest.mark.parametrize(("route", "events"), [(CHAT, EVENTS_V2), (CHAT_V1, EVENTS_V1)], ids=["v2", "v1"])
def test_a_chat_stream_tells_its_billed_units_last(route: Any, events: list[dict[str, Any]]) -> None:
    reader = stream(route, *events)

    assert (reader.finished, reader.saw_output) == (True, True)
    found = reader.observation()
    assert (told(found.usage), found.provider_response_id) == (
        {"input_tokens": 17, "output_tokens": 12},
        "quay-1",
    )
    assert not stream(route, *events[:-1]).answered


@pytest.mark.parametrize(("route", "events"), [(CHAT, EVENTS_V2), (CHAT_V1, EVENTS_V1)], ids=["v2", "v1"])
def test_a_stream_of_json_lines_is_read_at_its_end(route: Any, events: list[dict[str, Any]]) -> None:
    found = read_body(route, b"".join(json.dumps(item).encode() + b"\n" for item in events))

    assert told(found.usage) == {"input_tokens": 17, "output_tokens": 12}
    assert found.problems == ()


def test_an_answer_that_failed_says_so() -> None:
    reader = stream(CHAT, EVENTS_V2[0], {"type": "message-end", "delta": {"finish_reason": "ERROR"}})

    assert reader.failed
    assert reader.observation().usage is None


def test_embeddings_and_ranks_are_billed_by_their_own_units() -> None:
    embedded = read(
        EMBED, {"id": "quay-2", "meta": {"billed_units": {"input_tokens": 9, "image_tokens": 40}}}
    )
    ranked = read(RERANK, {"results": [], "meta": {"billed_units": {"search_units": 2}}})

    assert told(embedded.usage) == {"input_tokens": 9, "image_input_tokens": 40, "output_tokens": 0}
    assert ranked.usage is not None
    assert ranked.usage.charges == {"search_unit": Decimal(2)}


@pytest.mark.parametrize(
    "units", [{"classifications": 1}, {"input_tokens": -1}, {"search_units": "two"}, {"input_tokens": 1.5}]
)
def test_units_that_cannot_be_are_no_usage(units: dict[str, Any]) -> None:
    found = read(RERANK, {"meta": {"billed_units": units}})

    assert found.usage is None
    assert found.problems


def test_the_model_is_that_of_the_request() -> None:
    assert read_request(RERANK, {"model": "rerank-v3.5"}).model == "rerank-v3.5"


def test_a_stream_always_says_when_it_is_over() -> None:
    assert StreamReader(CHAT).must_say_so
