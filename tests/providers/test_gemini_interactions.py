"""Google's interactions: the counts of a Gemini answer in words of their own."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from flask_llm_cost.events import Observation
from flask_llm_cost.providers import StreamReader
from flask_llm_cost.providers import find_route
from flask_llm_cost.providers import read_body
from tests.wire_formats import GEMINI_USED
from tests.wire_formats import interaction
from tests.wire_formats import interaction_stream

ROUTE = find_route("POST", "generativelanguage.googleapis.com", "/v1beta/interactions")


def read(model: str = "gemini-2.5-flash", **changes: Any) -> Observation:
    return read_body(ROUTE, json.dumps(interaction(model, **changes)).encode())


def used(**counts: Any) -> dict[str, Any]:
    return {"total_input_tokens": 10, "total_output_tokens": 4, "total_tokens": 14, **counts}


def test_the_route_is_a_billed_one_of_google() -> None:
    assert (ROUTE.provider, ROUTE.operation, ROUTE.billing) == ("google", "generate_content", "usage")
    assert find_route("POST", "", "/v1/interactions/x/cancel").billing == "free"


def test_a_whole_one_and_a_stream_tell_the_same() -> None:
    reader = StreamReader(ROUTE)
    for piece in interaction_stream("gemini-2.5-flash"):
        reader.feed(piece)
    whole = read()
    for found in (whole, reader.observation()):
        assert found.usage is not None
        assert {name: getattr(found.usage, name) for name in GEMINI_USED} == GEMINI_USED
        assert (found.model, found.provider_response_id) == ("gemini-2.5-flash", "interaction-1")
    assert reader.finished


def test_audio_and_pictures_have_buckets_of_their_own() -> None:
    inputs = [{"modality": "text", "tokens": 7}, {"modality": "audio", "tokens": 3}]
    outputs = [{"modality": "image", "tokens": 4}]
    usage = read(usage=used(input_tokens_by_modality=inputs, output_tokens_by_modality=outputs)).usage
    assert usage is not None
    assert (usage.input_tokens, usage.audio_input_tokens) == (7, 3)
    assert (usage.output_tokens, usage.image_output_tokens) == (0, 4)


@pytest.mark.parametrize(
    ("model", "charges"),
    [
        ("gemini-2.5-flash", {"grounding_request": Decimal(1), "maps_grounding_request": Decimal(1)}),
        ("gemini-3-pro", {"grounding_request": Decimal(3), "maps_grounding_request": Decimal(1)}),
    ],
)
def test_searches_are_billed_by_the_prompt_or_by_the_query(model: str, charges: dict[str, Decimal]) -> None:
    tools = [
        {"type": "google_search", "count": 3},
        {"type": "google_maps", "count": 2},
        {"type": "retrieval"},
    ]
    usage = read(model, usage=used(grounding_tool_count=tools)).usage
    assert usage is not None
    assert dict(usage.charges) == charges


@pytest.mark.parametrize("status", ["in_progress", "queued"])
def test_one_that_is_under_way_tells_no_usage_yet(status: str) -> None:
    assert read(status=status).usage is None


def test_a_failed_one_is_an_error_that_may_have_been_billed() -> None:
    found = read(status="failed", error={"code": "overloaded", "message": "the jetty sank"})
    assert (found.status, found.error_type) == ("error", "overloaded")
    assert found.usage is not None


@pytest.mark.parametrize(
    "usage",
    [
        used(total_input_tokens=-1),
        used(total_cached_tokens=11),
        used(grounding_tool_count="many"),
        used(input_tokens_by_modality="text"),
    ],
    ids=["negative", "more cached than told", "no list of tools", "no list of modalities"],
)
def test_counts_that_cannot_be_true_are_refused(usage: dict[str, Any]) -> None:
    found = read(usage=usage)
    assert found.usage is None
    assert found.problems
