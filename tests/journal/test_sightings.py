"""What was seen of a call comes back from its record, and makes the event that it would have made at once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC
from datetime import datetime
from types import MappingProxyType
from typing import Any

import pytest

from flask_llm_cost.events import Attribution
from flask_llm_cost.events import CallStart
from flask_llm_cost.events import OpenCall
from flask_llm_cost.journal import BadRecord
from flask_llm_cost.journal import NewerRecord
from flask_llm_cost.journal import decode
from flask_llm_cost.journal import encode_sighting
from flask_llm_cost.providers import Route
from flask_llm_cost.providers import Sighting
from flask_llm_cost.providers import StreamReader
from flask_llm_cost.providers import read_request
from flask_llm_cost.providers import take_body
from tests.providers.streams import CHAT
from tests.providers.streams import GEMINI
from tests.providers.streams import MESSAGES
from tests.providers.streams import OPENROUTER
from tests.providers.streams import RESPONSES
from tests.wire_formats import chat_completion
from tests.wire_formats import chat_stream

START = CallStart("openai", "chat", "gpt-5-mini", "flex", stream=True, regional=True)
WHO = Attribution(
    MappingProxyType({"tenant": "Ácme", "feature": "chat"}), "7", "support", "Ticket", "12", "chat.ask"
)
CALL = OpenCall(
    event_id="01a218e4-4554-7b4c-b3fb-ab8dbc8de375",
    service="shop",
    occurred_at=datetime(2026, 3, 1, 12, 30, 15, 123456, tzinfo=UTC),
    started_ns=99,
    start=START,
    attribution=WHO,
)


def seen(route: Route, document: Any, **changes: Any) -> Sighting:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    told = {
        "call": CALL._replace(start=START._replace(provider=route.provider, operation=route.operation)),
        "route": route,
        "asked": read_request(route, {"model": "gpt-5-mini"}),
        "answer": take_body(route, body),
        "http_status": 200,
        "provider_account": "org-1",
        "attempts": 2,
        "latency_ms": 1234,
        "time_to_first_token_ms": 56,
        **changes,
    }
    return Sighting(**told)


def again(sighting: Sighting) -> Sighting:
    record = encode_sighting(sighting)
    assert record is not None
    found = decode(record)
    assert isinstance(found, Sighting)
    return found


USAGES = {
    "chat": (CHAT, {"model": "m", "usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}}),
    "responses": (
        RESPONSES,
        {
            "model": "m",
            "status": "completed",
            "usage": {"input_tokens": 5, "output_tokens": 7, "total_tokens": 12},
            "output": [{"type": "web_search_call", "action": {"type": "search"}}],
        },
    ),
    "messages": (MESSAGES, {"model": "m", "usage": {"input_tokens": 5, "output_tokens": 7}}),
    "gemini": (
        GEMINI,
        {
            "modelVersion": "gemini-3-flash",
            "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 7, "totalTokenCount": 12},
            "candidates": [{"groundingMetadata": {"webSearchQueries": ["tide", "tide", "wind"]}}],
        },
    ),
}


@pytest.mark.parametrize("name", USAGES)
def test_every_common_format_is_kept(name: str) -> None:
    sighting = seen(*USAGES[name])
    found = again(sighting)

    assert found.observation() == sighting.observation()
    assert found.observation().usage is not None
    assert found.call == sighting.call._replace(started_ns=0)


def test_a_stream_is_kept_as_a_stream() -> None:
    reader = StreamReader(CHAT)
    for chunk in chat_stream("gpt-5-mini"):
        reader.feed(chunk)
    sighting = seen(CHAT, {}, answer=reader.answer())

    assert again(sighting).observation() == sighting.observation()
    assert again(sighting).observation().usage_source == "stream"


def test_queries_are_counted_and_not_kept() -> None:
    record = encode_sighting(seen(*USAGES["gemini"]))

    assert record is not None
    assert b"tide" not in record
    assert again(seen(*USAGES["gemini"])).observation().usage == seen(*USAGES["gemini"]).observation().usage


def test_money_that_a_provider_names_is_judged_at_once_to_the_last_digit() -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "cost": 0.1}

    with pytest.raises(TypeError):
        encode_sighting(seen(OPENROUTER, {"model": "m", "usage": usage}))


def test_a_usage_with_words_in_it_is_judged_at_once() -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "note": "a sentence that somebody has written " * 3}

    assert encode_sighting(seen(CHAT, {"model": "m", "usage": usage})) is None


def test_a_container_is_judged_at_once_because_its_session_is_billed_once() -> None:
    ran = {"type": "code_interpreter_call", "container_id": "cntr_1"}

    assert encode_sighting(seen(RESPONSES, {**USAGES["responses"][1], "output": [ran]})) is None


def test_a_background_response_is_judged_at_once() -> None:
    response = {**USAGES["responses"][1], "background": True, "id": "resp_1"}

    assert encode_sighting(seen(RESPONSES, response)) is None


def later(told: dict[str, Any]) -> Iterator[dict[str, Any]]:
    seen = told["seen"]
    yield {**told, "seen": [*seen, "new"]}
    yield {**told, "seen": [*seen[:3], [*seen[3], "new"], *seen[4:]]}
    yield {**told, "seen": [*seen[:4], [*seen[4], "new"], *seen[5:]]}
    yield {**told, "excerpt": {**told["excerpt"], "new": 1}}
    yield {**{key: value for key, value in told.items() if key != "excerpt"}, "new_kept": {}}
    yield {**told, "seen": [*seen[:5], "new_format", *seen[6:]]}


def test_what_a_later_version_has_kept_is_left_for_it() -> None:
    record = encode_sighting(seen(CHAT, chat_completion("gpt-5-mini")))
    assert record is not None
    for told in later(json.loads(record)):
        with pytest.raises(NewerRecord):
            decode(json.dumps(told).encode())


@pytest.mark.parametrize("spoil", [{"seen": []}, {"seen": None}, {"seen": {}}, {"kept": 7}, {"excerpt": 7}])
def test_what_is_no_sighting_is_said_to_be_none(spoil: dict[str, Any]) -> None:
    record = encode_sighting(seen(CHAT, chat_completion("gpt-5-mini")))
    assert record is not None
    with pytest.raises(BadRecord):
        decode(json.dumps({**json.loads(record), **spoil}).encode())


@pytest.mark.parametrize(("place", "spoiled"), [(2, "noon"), (3, []), (3, None), (4, [None] * 6), (4, 7)])
def test_a_value_that_is_none_of_its_kind_makes_no_sighting(place: int, spoiled: object) -> None:
    record = encode_sighting(seen(CHAT, chat_completion("gpt-5-mini")))
    assert record is not None
    told = json.loads(record)
    told["seen"][place] = spoiled
    with pytest.raises(BadRecord):
        decode(json.dumps(told).encode())
