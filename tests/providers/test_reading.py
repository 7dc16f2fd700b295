"""Bodies and streams that are broken, huge, odd or cut: nothing is raised and nothing invented."""

from __future__ import annotations

import json

import pytest

from flask_llm_cost.events import Observation
from flask_llm_cost.providers import Route
from flask_llm_cost.providers import StreamReader
from flask_llm_cost.providers import read_body
from tests.providers.streams import CHAT
from tests.providers.streams import EMBEDDINGS
from tests.providers.streams import MESSAGES
from tests.providers.streams import OPENROUTER
from tests.providers.streams import RESPONSES
from tests.providers.streams import event
from tests.providers.streams import stream
from tests.providers.streams import told

ROUTES = [CHAT, EMBEDDINGS, RESPONSES, MESSAGES, OPENROUTER]
GOOD = {
    "id": "chatcmpl-dam-1",
    "model": "gpt-5-mini",
    "choices": [],
    "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7},
}

BROKEN = {
    "empty": b"",
    "text": b"upstream connect error",
    "html": b"<html><body>502</body></html>",
    "truncated": json.dumps(GOOD).encode()[:-8],
    "two documents": b"{} {}",
    "list": b"[1, 2]",
    "string": b'"usage"',
    "number": b"1e999999999999999999999",
    "not utf-8": b"\xff\xfe\x00{",
    "utf-16": json.dumps(GOOD).encode("utf-16"),
    "nested deep": b'{"a":' * 200_000,
    "nested deep and closed": b'{"usage":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "huge number": b'{"usage": {"prompt_tokens": ' + b"9" * 10_000 + b"}}",
    "absurd exponent": b'{"usage": {"prompt_tokens": 1e99999999999999999999, "completion_tokens": 1}}',
}


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.provider}-{route.operation}")
@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_body_is_no_usage_and_a_problem(route: Route, body: bytes) -> None:
    found = read_body(route, body)

    assert (found.usage, found.usage_source, found.provider_cost) == (None, "unknown", None)
    assert found.problems or body == BROKEN["absurd exponent"]


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.provider}-{route.operation}")
@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_event_is_passed_over(route: Route, body: bytes) -> None:
    reader = stream(route, b"data: " + body.replace(b"\n", b" ") + b"\n\n")

    assert (reader.finished, reader.observation().usage) == (False, None)


def test_the_problem_names_no_content() -> None:
    found = read_body(CHAT, b'{"prompt": "my secret", oops}')

    assert found.problems == ("body: not JSON",)


def test_letters_in_another_encoding_do_not_hide_the_usage() -> None:
    body = json.dumps({**GOOD, "note": "höchste"}, ensure_ascii=False).encode("latin-1")

    assert told(read_body(CHAT, body).usage)["input_tokens"] == 5


def test_a_byte_order_mark_and_control_characters_are_tolerated() -> None:
    body = b"\xef\xbb\xbf" + json.dumps({**GOOD, "note": "tab"}).encode().replace(b"tab", b"t\x01b\n")

    assert told(read_body(CHAT, body).usage)["input_tokens"] == 5


def test_of_a_key_that_stands_twice_the_last_counts() -> None:
    body = b'{"usage": {"prompt_tokens": 1, "prompt_tokens": 5, "completion_tokens": 2}}'

    assert told(read_body(CHAT, body).usage)["input_tokens"] == 5


def test_numbers_that_are_none_hurt_only_where_they_count() -> None:
    text = json.dumps({**GOOD, "logprobs": [float("nan"), float("-inf")]}).encode()

    assert told(read_body(CHAT, text).usage)["input_tokens"] == 5
    assert read_body(CHAT, text.replace(b": 5,", b": NaN,")).problems


@pytest.mark.parametrize("name", ["", "  ", 7, None, ["m"], "two\nlines", "nul\x00", "\ud800", "x" * 300])
def test_a_model_is_a_printable_name_or_none(name: object) -> None:
    found = read_body(CHAT, json.dumps({**GOOD, "model": name, "id": name}).encode())

    assert (found.model, found.provider_response_id) == (None, None)


def test_the_last_event_counts_without_its_empty_line() -> None:
    reader = StreamReader(CHAT)
    reader.feed(event(GOOD) + b"data: [DONE]")
    found = reader.observation()

    assert reader.finished
    assert told(found.usage)["input_tokens"] == 5


def test_looking_at_a_stream_changes_nothing_of_what_follows() -> None:
    reader, text = StreamReader(CHAT), event(GOOD) + event("[DONE]")
    for at in range(len(text)):
        reader.observation()
        reader.feed(text[at : at + 1])

    assert reader.observation() == stream(CHAT, text).observation()
    assert reader.observation().problems == ()


def test_an_event_that_is_too_long_is_a_problem_and_the_rest_is_read() -> None:
    def fed(*chunks: bytes) -> Observation:
        reader = StreamReader(CHAT, limit=300)
        for chunk in chunks:
            reader.feed(chunk)
        return reader.observation()

    picture = event({"choices": [{"delta": {"content": "A" * 900}}]})
    text = picture + event(GOOD) + event("[DONE]")

    for found in (
        fed(text),
        fed(picture, event(GOOD), event("[DONE]")),
        fed(*(bytes([byte]) for byte in text)),
    ):
        assert told(found.usage)["input_tokens"] == 5
        assert found.problems == ("stream: an event was too long to be read",)


def test_a_stream_of_nonsense_keeps_little() -> None:
    reader = StreamReader(CHAT)
    for number in range(2000):
        reader.feed(f"data: {{nonsense {number}\n\n".encode())
    found = reader.observation()

    assert found.problems == ("stream: an event is not JSON",)
    assert found.usage is None


def test_a_stream_without_a_single_byte_has_told_nothing() -> None:
    reader = StreamReader(MESSAGES)
    reader.feed(b"")
    found = reader.observation()

    assert (found.usage, found.status, found.problems) == (None, "ok", ())
    assert (reader.finished, reader.failed, reader.saw_output) == (False, False, False)
