"""Gemini's answers: modalities, thoughts, tools, grounding, tiers, and the chunks of a stream."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from flask_llm_cost.events import Observation
from flask_llm_cost.providers import find_route
from flask_llm_cost.providers import read_body
from tests.providers.streams import GEMINI
from tests.providers.streams import event
from tests.providers.streams import read
from tests.providers.streams import stream
from tests.providers.streams import told

BARE = {"promptTokenCount": 20, "candidatesTokenCount": 5, "totalTokenCount": 25}
EMBED = find_route("POST", "generativelanguage.googleapis.com", "/v1beta/models/m:batchEmbedContents")


def content(
    usage: object, *, finish: str | None = "STOP", text: str = "Slack", **changes: Any
) -> dict[str, Any]:
    candidate: dict[str, Any] = {"index": 0, "content": {"role": "model", "parts": [{"text": text}]}}
    if finish is not None:
        candidate["finishReason"] = finish
    return {
        "candidates": [candidate],
        "usageMetadata": usage,
        "modelVersion": "gemini-2.5-flash",
        "responseId": "sluice-1",
        **changes,
    }


def answer(**usage: Any) -> Observation:
    return read(GEMINI, content({**BARE, **usage}))


def by(**tokens: int) -> list[dict[str, Any]]:
    return [{"modality": kind, "tokenCount": count} for kind, count in tokens.items()]


def test_thoughts_are_output_and_cached_tokens_are_part_of_the_prompt() -> None:
    found = answer(
        promptTokenCount=120, cachedContentTokenCount=90, thoughtsTokenCount=7, totalTokenCount=132
    )

    assert told(found.usage) == {
        "input_tokens": 30,
        "cache_read_input_tokens": 90,
        "output_tokens": 12,
        "reasoning_tokens": 7,
        "total_tokens": 132,
    }
    assert found.usage is not None
    assert found.usage.counted_tokens == 132
    assert (found.model, found.provider_response_id) == ("gemini-2.5-flash", "sluice-1")
    assert found.provider_fields["output"] == "usageMetadata.candidatesTokenCount"


def test_thoughts_inside_the_candidates_are_not_counted_twice() -> None:
    found = answer(candidatesTokenCount=12, thoughtsTokenCount=7, totalTokenCount=32)

    assert (found.usage and found.usage.output_tokens, found.problems) == (12, ())


def test_what_tools_brought_in_is_input_on_top_of_the_prompt() -> None:
    usage = answer(toolUsePromptTokenCount=300, totalTokenCount=325).usage

    assert usage is not None
    assert (usage.input_tokens, usage.counted_tokens) == (320, 325)


def test_audio_and_images_have_buckets_and_video_and_documents_are_text() -> None:
    usage = answer(
        promptTokenCount=100,
        promptTokensDetails=by(TEXT=10, AUDIO=40, IMAGE=20, VIDEO=25, DOCUMENT=5),
        candidatesTokenCount=60,
        candidatesTokensDetails=by(TEXT=10, IMAGE=30, AUDIO=20),
        totalTokenCount=160,
    ).usage

    assert told(usage) == {
        "input_tokens": 40,
        "audio_input_tokens": 40,
        "image_input_tokens": 20,
        "output_tokens": 10,
        "image_output_tokens": 30,
        "audio_output_tokens": 20,
        "total_tokens": 160,
    }


def test_cached_audio_is_taken_out_of_the_audio() -> None:
    usage = answer(
        promptTokenCount=100,
        cachedContentTokenCount=50,
        promptTokensDetails=by(TEXT=40, AUDIO=60),
        cacheTokensDetails=by(TEXT=10, AUDIO=40),
    ).usage

    assert usage is not None
    assert (usage.input_tokens, usage.audio_input_tokens, usage.cache_read_input_tokens) == (30, 20, 50)
    assert usage.cache_read_audio_input_tokens == 40


def test_audio_that_must_have_come_from_the_cache_is_not_billed_twice() -> None:
    usage = answer(
        promptTokenCount=100, cachedContentTokenCount=70, promptTokensDetails=by(TEXT=40, AUDIO=60)
    ).usage

    assert usage is not None
    assert (usage.input_tokens, usage.audio_input_tokens, usage.cache_read_input_tokens) == (0, 30, 70)


@pytest.mark.parametrize(
    ("usage", "problem"),
    [
        ({"cachedContentTokenCount": 21}, "usage: promptTokenCount is less than its parts"),
        ({"promptTokensDetails": by(AUDIO=21)}, "usage: promptTokensDetails is less than its parts"),
        ({"candidatesTokensDetails": by(IMAGE=6)}, "usage: candidatesTokenCount is less than its parts"),
        ({"promptTokensDetails": {"AUDIO": 3}}, "usage: promptTokensDetails is not a list"),
        ({"promptTokenCount": -1}, "usage: promptTokenCount is not a possible count"),
        ({"thoughtsTokenCount": "7"}, "usage: thoughtsTokenCount is not a number"),
        (
            {"promptTokenCount": None},
            "usage: promptTokenCount is missing, and the total is not that of the rest",
        ),
        ({"promptTokenCount": None, "totalTokenCount": None}, "usage: promptTokenCount is missing"),
        (
            {
                "cachedContentTokenCount": 15,
                "promptTokensDetails": by(AUDIO=20),
                "cacheTokensDetails": by(AUDIO=5),
            },
            "usage: promptTokensDetails exceed the input they are part of",
        ),
    ],
)
def test_numbers_that_cannot_be_true_are_told_as_a_problem(usage: dict[str, Any], problem: str) -> None:
    found = answer(**usage)

    assert (found.usage, found.problems, found.usage_source) == (None, (problem,), "unknown")


def test_a_count_that_is_left_out_is_zero_where_the_total_says_so() -> None:
    found = read(GEMINI, content({"candidatesTokenCount": 5, "totalTokenCount": 5}))
    assert told(found.usage) == {"input_tokens": 0, "output_tokens": 5, "total_tokens": 5}

    found = read(GEMINI, content({"promptTokenCount": 5, "totalTokenCount": 5}))
    assert told(found.usage) == {"input_tokens": 5, "output_tokens": 0, "total_tokens": 5}


@pytest.mark.parametrize("usage", [{}, {"promptTokensDetails": []}, None, {"serviceTier": "standard"}])
def test_a_blocked_prompt_without_counts_is_unknown(usage: Any) -> None:
    found = read(GEMINI, {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": usage})

    assert (found.status, found.usage, found.usage_source, found.problems) == ("ok", None, "unknown", ())


def test_a_blocked_prompt_with_counts_has_no_output() -> None:
    blocked = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 9}}

    assert told(read(GEMINI, blocked).usage) == {"input_tokens": 9, "output_tokens": 0}
    seen = stream(GEMINI, json.dumps(blocked))
    assert seen.answered
    assert told(seen.observation().usage) == {"input_tokens": 9, "output_tokens": 0}


@pytest.mark.parametrize(
    ("usage", "mode", "is_told"),
    [
        ({"serviceTier": "standard"}, None, True),
        ({"serviceTier": "flex"}, "flex", True),
        ({"serviceTier": "PRIORITY"}, "priority", True),
        ({"serviceTier": "unspecified"}, None, False),
        ({"trafficType": "ON_DEMAND"}, None, True),
        ({"trafficType": "ON_DEMAND_FLEX"}, "flex", True),
        ({"trafficType": "ON_DEMAND_PRIORITY"}, "priority", True),
        ({"trafficType": "PROVISIONED_THROUGHPUT"}, "provisioned_throughput", True),
        ({"trafficType": "TRAFFIC_TYPE_UNSPECIFIED"}, None, False),
        ({"trafficType": 1}, None, False),
        ({}, None, False),
    ],
)
def test_the_tier_is_the_one_that_served(usage: dict[str, Any], mode: str | None, is_told: bool) -> None:
    found = answer(**usage)

    assert (found.pricing_mode, found.mode_told) == (mode, is_told)


def grounded(model: str | None, *queries: object) -> dict[str, Any]:
    document = content(BARE, modelVersion=model)
    document["candidates"][0]["groundingMetadata"] = {"webSearchQueries": list(queries)}
    return document


@pytest.mark.parametrize(
    ("chunks", "charged"),
    [
        ([], 0),
        ([{"web": {"uri": ""}}], 0),
        ([{"maps": {"placeId": "quay"}}, {"maps": {"placeId": "pier"}}], 1),
        ({"maps": {}}, 0),
        ([None, "maps"], 0),
    ],
)
def test_what_stood_on_a_map_is_billed_once_per_prompt(chunks: Any, charged: int) -> None:
    document: dict[str, Any] = {
        "candidates": [{"finishReason": "STOP", "groundingMetadata": {"groundingChunks": chunks}}],
        "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 4},
    }
    usage = read(GEMINI, document).usage

    assert usage is not None
    assert usage.charges.get("maps_grounding_request", 0) == charged


@pytest.mark.parametrize(
    ("model", "queries", "charged"),
    [
        ("gemini-3.5-flash", ["tide", "wind", "tide"], 3),
        ("gemini-2.5-flash", ["tide", "wind"], 1),
        ("models/gemini-2.0-flash", ["tide"], 1),
        ("gemini-2.5-flash", [], 0),
        ("gemini-3.5-flash", ["", None, 4], 0),
        (None, ["tide", "wind"], 1),
    ],
)
def test_grounding_is_billed_by_query_since_gemini_3(
    model: str | None, queries: list[object], charged: int
) -> None:
    usage = read(GEMINI, grounded(model, *queries)).usage

    assert usage is not None
    assert usage.charges.get("grounding_request", Decimal(0)) == charged


def test_queries_that_a_stream_restates_are_counted_once() -> None:
    first, second = grounded("gemini-3.5-flash", "tide"), grounded("gemini-3.5-flash", "tide", "wind")
    del first["candidates"][0]["finishReason"]
    usage = stream(GEMINI, first, second, grounded("gemini-3.5-flash", "depth")).observation().usage

    assert usage is not None
    assert usage.charges == {"grounding_request": 3}


def test_the_last_usage_of_a_stream_counts() -> None:
    seen = stream(
        GEMINI,
        content({"promptTokenCount": 20, "candidatesTokenCount": 2, "totalTokenCount": 22}, finish=None),
        content({"promptTokenCount": 20, "candidatesTokenCount": 4, "totalTokenCount": 24}, finish=None),
        content(BARE),
    )

    assert (seen.answered, seen.finished, seen.saw_output, seen.failed) == (True, False, True, False)
    found = seen.observation()
    assert told(found.usage) == {"input_tokens": 20, "output_tokens": 5, "total_tokens": 25}
    assert found.usage_source == "stream"


def test_a_stream_that_has_not_finished_has_told_nothing_yet() -> None:
    seen = stream(GEMINI, content(BARE, finish=None))

    assert not seen.answered
    assert seen.observation().usage is None


def test_a_stream_in_one_array_reads_like_its_chunks() -> None:
    chunks = [content({"promptTokenCount": 20, "candidatesTokenCount": 2}, finish=None), content(BARE)]
    found = read_body(GEMINI, json.dumps(chunks).encode())

    assert told(found.usage) == {"input_tokens": 20, "output_tokens": 5, "total_tokens": 25}


@pytest.mark.parametrize("body", [b"[]", b"[1]", b'[{"a": 1}, 2]', b'"text"', b"{oops", b""])
def test_a_body_that_is_no_answer_is_a_problem(body: bytes) -> None:
    found = read_body(GEMINI, body)

    assert found.usage is None
    assert len(found.problems) == 1


@pytest.mark.parametrize("wrap", [lambda error: error, lambda error: [error]], ids=["object", "array"])
def test_an_error_is_told_by_its_status_and_never_by_its_message(wrap: Any) -> None:
    error = {"error": {"code": 429, "message": "you asked: secret", "status": "RESOURCE_EXHAUSTED"}}
    found = read_body(GEMINI, json.dumps(wrap(error)).encode())

    assert (found.status, found.error_type, found.usage) == ("error", "RESOURCE_EXHAUSTED", None)
    assert "secret" not in repr(found)


def test_an_error_midway_fails_the_stream() -> None:
    seen = stream(GEMINI, content(BARE, finish=None), json.dumps({"error": {"code": 503}}))

    assert seen.failed
    assert (seen.observation().error_type, seen.observation().usage) == ("503", None)


def test_embeddings_have_no_output() -> None:
    usage = {"promptTokenCount": 9, "promptTokenDetails": by(TEXT=5, IMAGE=4)}
    found = read(EMBED, {"embeddings": [{"values": [0.5]}], "usageMetadata": usage})

    assert told(found.usage) == {"input_tokens": 5, "image_input_tokens": 4, "output_tokens": 0}
    assert found.model is None


def test_embeddings_without_usage_are_unknown() -> None:
    assert read(EMBED, {"embedding": {"values": [0.5]}}).usage is None


def test_chunks_without_anything_to_keep_are_not_parsed() -> None:
    seen = stream(GEMINI, content(BARE, finish=None))
    seen.feed(event('{"candidates": [{"content": {"parts": [{"text": "{oops"'))
    seen.feed(event(content(BARE)))

    assert seen.observation().problems == ()
    assert seen.answered
