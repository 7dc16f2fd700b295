"""Answers of routes without a parser of their own: what their usage says still counts."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from flask_llm_cost.providers import find_route
from flask_llm_cost.providers import read_body
from tests.providers.streams import event
from tests.providers.streams import read
from tests.providers.streams import stream
from tests.providers.streams import told

IMAGES = find_route("POST", "api.openai.com", "/v1/images/generations")
SPEECH = find_route("POST", "api.openai.com", "/v1/audio/speech")
HEARD = find_route("POST", "api.openai.com", "/v1/audio/transcriptions")
RUNS = find_route("POST", "api.openai.com", "/v1/threads/thread_1/runs")
NEW = find_route("POST", "api.openai.com", "/v1/novelties")


def test_an_image_that_does_not_split_its_output_is_all_image() -> None:
    usage = {
        "input_tokens": 50,
        "input_tokens_details": {"image_tokens": 30, "text_tokens": 20},
        "output_tokens": 4160,
        "total_tokens": 4210,
    }
    found = read(IMAGES, {"created": 1, "data": [{}], "usage": usage})

    assert told(found.usage) == {
        "input_tokens": 20,
        "image_input_tokens": 30,
        "image_output_tokens": 4160,
        "total_tokens": 4210,
    }
    assert found.provider_fields["image_output"] == "usage.output_tokens"


def test_an_image_that_splits_its_output_is_taken_at_its_word() -> None:
    usage = {"input_tokens": 50, "output_tokens": 100, "output_tokens_details": {"image_tokens": 90}}
    found = told(read(IMAGES, {"data": [], "usage": usage}).usage)

    assert (found["output_tokens"], found["image_output_tokens"]) == (10, 90)


def test_images_without_usage_are_counted() -> None:
    found = read(IMAGES, {"created": 1, "data": [{"url": "https://images.example/1"}, {"b64_json": "AAAA"}]})

    assert found.usage is not None
    assert (found.usage.charges, found.problems) == ({"image": 2}, ())
    assert (found.usage_source, found.provider_fields) == ("response", {"image": "data"})


def test_an_image_that_tells_its_cost_and_no_tokens_is_counted_too() -> None:
    drawn = find_route("POST", "api.x.ai", "/v1/images/generations")
    found = read(drawn, {"data": [{"url": ""}], "usage": {"cost_in_usd_ticks": 200_000_000}})

    assert found.usage is not None
    assert (found.usage.charges, found.provider_cost) == ({"image": 1}, Decimal("0.02"))


@pytest.mark.parametrize(
    ("host", "answer", "minutes", "field"),
    [
        ("api.openai.com", {"duration": 8.47}, "0.141167", "duration"),
        ("api.openai.com", {"duration": "90"}, "1.5", "duration"),
        (
            "api.openai.com",
            {"duration": 8.47, "usage": {"type": "duration", "seconds": 9}},
            "0.15",
            "usage.seconds",
        ),
        ("api.groq.com", {"duration": 3.2}, "0.166667", "duration"),  # ten seconds are billed at least
        ("api.groq.com", {"duration": 12}, "0.2", "duration"),
        (
            "api.mistral.ai",
            {"usage": {"prompt_audio_seconds": 30, "prompt_tokens": 4, "completion_tokens": 9}},
            "0.5",
            "usage.prompt_audio_seconds",
        ),
    ],
)
def test_a_transcription_is_as_long_as_it_says(
    host: str, answer: dict[str, Any], minutes: str, field: str
) -> None:
    found = read(find_route("POST", host, "/v1/audio/transcriptions"), {"text": "low water", **answer})

    assert found.usage is not None
    assert found.usage.charges == {"transcription_minute": Decimal(minutes)}
    assert found.provider_fields == {"transcription_minute": field}


def test_a_transcription_is_billed_by_tokens_or_by_the_minute() -> None:
    usage = {
        "type": "tokens",
        "input_tokens": 120,
        "input_token_details": {"audio_tokens": 110, "text_tokens": 10},
        "output_tokens": 30,
        "total_tokens": 150,
    }
    by_tokens = read(HEARD, {"text": "low water", "usage": usage})
    by_minute = read(HEARD, {"text": "low water", "usage": {"type": "duration", "seconds": 90.5}})

    assert told(by_tokens.usage)["audio_input_tokens"] == 110
    assert told(by_tokens.usage)["input_tokens"] == 10
    assert by_minute.usage is not None
    assert by_minute.usage.charges == {"transcription_minute": Decimal("1.508333")}
    assert by_minute.provider_fields == {"transcription_minute": "usage.seconds"}


@pytest.mark.parametrize("seconds", [-1, "ninety", None, True, float("nan"), float("inf"), 1e30])
def test_an_impossible_duration_is_a_problem(seconds: object) -> None:
    found = read(HEARD, {"text": "", "usage": {"type": "duration", "seconds": seconds}})

    assert found.usage is None
    assert found.problems


def test_speech_and_subtitles_are_no_json_and_no_problem() -> None:
    assert read_body(SPEECH, b"ID3\x04\xff\xfb").problems == ()
    assert read_body(HEARD, b"1\n00:00:00,000 --> 00:00:01,000\nlow water\n").problems == ()


def test_streamed_speech_tells_its_usage_at_the_end() -> None:
    reader = stream(
        SPEECH,
        {"type": "speech.audio.delta", "audio": "AAAA"},
        {"type": "speech.audio.done", "usage": {"input_tokens": 9, "output_tokens": 80, "total_tokens": 89}},
    )

    assert (reader.finished, reader.saw_output) == (True, True)
    assert told(reader.observation().usage) == {
        "input_tokens": 9,
        "audio_output_tokens": 80,
        "total_tokens": 89,
    }


def test_a_run_tells_its_usage_last() -> None:
    usage = {"prompt_tokens": 12, "completion_tokens": 4, "total_tokens": 16}
    run = {"id": "run_1", "object": "thread.run", "model": "gpt-4o", "status": "in_progress", "usage": None}
    reader = stream(
        RUNS,
        event(run, "thread.run.created"),
        event(
            {"id": "step_1", "usage": {**usage, "prompt_tokens": 3, "total_tokens": 7}},
            "thread.run.step.completed",
        ),
        event({**run, "status": "completed", "usage": usage}, "thread.run.completed"),
    )
    assert not reader.finished
    reader.feed(event("[DONE]", "done"))
    found = reader.observation()

    assert (found.provider_response_id, found.model) == ("run_1", "gpt-4o")
    assert told(found.usage)["input_tokens"] == 12


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 9, "completion_tokens": 2}, {"input_tokens": 9, "output_tokens": 2}),
        ({"input_tokens": 9, "output_tokens": 2}, {"input_tokens": 9, "output_tokens": 2}),
        (
            {"input_tokens": 9, "output_tokens": 2, "cache_read_input_tokens": 70},
            {"input_tokens": 9, "output_tokens": 2, "cache_read_input_tokens": 70},
        ),
        (
            {"input_tokens": 9, "output_tokens": 2, "input_tokens_details": {"cached_tokens": 7}},
            {"input_tokens": 2, "output_tokens": 2, "cache_read_input_tokens": 7},
        ),
        ({"total_tokens": 9}, {"input_tokens": 9, "total_tokens": 9}),
        ({"prompt_tokens": 9}, {"input_tokens": 9}),
    ],
)
def test_a_new_route_is_read_by_the_shape_of_its_usage(
    usage: dict[str, Any], expected: dict[str, int]
) -> None:
    found = read(NEW, {"id": "dec_1", "model": "gpt-6", "usage": usage})

    assert told(found.usage) == expected
    assert (found.model, found.usage_source) == ("gpt-6", "response")


def test_a_usage_of_an_unknown_shape_is_a_problem() -> None:
    found = read(NEW, {"usage": {"billed_units": {"input_tokens": 4}}})

    assert found.usage is None
    assert found.problems == ("usage: its shape is not known",)


def test_a_new_route_without_usage_says_nothing_at_all() -> None:
    assert read(NEW, {"id": "dec_1"}).usage is None
    assert read_body(NEW, b"\x89PNG").problems == ()


def test_an_error_event_of_a_new_route_fails_it() -> None:
    reader = stream(NEW, {"type": "error", "error": {"type": "server_error", "message": "secret"}})

    assert reader.failed
    assert reader.observation().error_type == "server_error"
