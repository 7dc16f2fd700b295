"""The results of a batch, read from bytes: one observation for each that is billed, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from flask_llm_cost.charges import event_id_of
from flask_llm_cost.events import Observation
from flask_llm_cost.providers import find_route
from flask_llm_cost.providers.batch_results import InlinedReader
from flask_llm_cost.providers.batch_results import LinesReader
from flask_llm_cost.providers.batch_results import results_reader
from tests.batch_formats import MADE
from tests.batch_formats import anthropic_line
from tests.batch_formats import anthropic_unbilled
from tests.batch_formats import gemini_batch
from tests.batch_formats import gemini_line
from tests.batch_formats import jsonl
from tests.batch_formats import openai_expired
from tests.batch_formats import openai_line
from tests.batch_formats import openai_refused
from tests.providers.test_fuzz import values
from tests.wire_formats import completion
from tests.wire_formats import embeddings
from tests.wire_formats import gemini_content
from tests.wire_formats import response_object

OPENAI = ("api.openai.com", "/v1/files/file_1/content")
ANTHROPIC = ("api.anthropic.com", "/v1/messages/batches/msgbatch_1/results")
GEMINI = ("generativelanguage.googleapis.com", "/v1beta/batches/quay1")
GEMINI_FILE = ("generativelanguage.googleapis.com", "/download/v1beta/files/batch-9:download")


def read(where: tuple[str, str], body: bytes | Iterable[bytes]) -> list[Observation]:
    reader = results_reader(find_route("GET", *where))
    chunks = [body] if isinstance(body, bytes) else body
    found = [result for chunk in chunks for result in reader.feed(chunk)]
    return [*found, *reader.finish()]


def one(where: tuple[str, str], *lines: Any) -> Observation:
    (found,) = read(where, jsonl(lines))
    return found


def test_a_line_of_openai_tells_what_the_answer_would_have_told() -> None:
    found = one(OPENAI, openai_line(7))

    assert (found.operation, found.model, found.status, found.http_status) == (
        "chat",
        "gpt-4o-mini",
        "ok",
        200,
    )
    assert (found.usage_source, found.pricing_mode, found.mode_told) == ("batch", "batch", True)
    assert found.usage is not None
    assert (found.usage.input_tokens, found.usage.cache_read_input_tokens, found.usage.output_tokens) == (
        100,
        20,
        48,
    )
    assert (found.provider_response_id, found.charge_id) == ("chatcmpl-7", "batch_req_7/boat-7")
    assert found.occurred_at == datetime(2025, 11, 3, 12, tzinfo=UTC)


def test_a_line_of_anthropic_is_named_by_its_batch() -> None:
    found = one(ANTHROPIC, anthropic_line(7))

    assert (found.operation, found.model, found.pricing_mode) == ("messages", "claude-sonnet-4-6", "batch")
    assert (found.provider_response_id, found.charge_id) == ("msg_7", "msgbatch_1/boat-7")
    assert found.occurred_at is None


def test_data_residency_costs_more_in_a_batch_too() -> None:
    line = anthropic_line(7)
    line["result"]["message"]["usage"] = {"input_tokens": 5, "output_tokens": 6, "inference_geo": "us"}

    assert one(ANTHROPIC, line).pricing_mode == "batch_data_residency"


def test_a_line_without_an_id_is_named_by_its_file() -> None:
    line = openai_line(7)
    del line["id"]

    assert one(OPENAI, line).charge_id == "file_1/boat-7"


@pytest.mark.parametrize(
    ("body", "operation", "input_tokens"),
    [
        (response_object("gpt-4o-mini", created_at=MADE), "responses", 100),
        (completion("gpt-3.5-turbo-instruct"), "completions", 100),
        (embeddings("text-embedding-3-small"), "embeddings", 9),
        (
            {
                "created": MADE,
                "data": [{"b64_json": "AAAA"}],
                "usage": {
                    "input_tokens": 12,
                    "input_tokens_details": {"text_tokens": 12, "image_tokens": 0},
                    "output_tokens": 272,
                    "total_tokens": 284,
                },
            },
            "images",
            12,
        ),
        ({"model": "new-1", "usage": {"input_tokens": 3, "output_tokens": 4}}, "batch", 3),
    ],
    ids=["responses", "completions", "embeddings", "images", "unknown"],
)
def test_the_operation_is_told_by_the_answer(body: Any, operation: str, input_tokens: int) -> None:
    found = one(OPENAI, openai_line(1, body))

    assert found.operation == operation
    assert found.usage is not None
    assert found.usage.input_tokens == input_tokens


@pytest.mark.parametrize(
    ("where", "line"),
    [
        (OPENAI, openai_refused(1)),
        (OPENAI, openai_expired(1)),
        (OPENAI, openai_line(1, {"error": {"type": "server_error"}})),
        (
            OPENAI,
            openai_line(1, {"id": "modr-1", "model": "omni-moderation", "results": [{"flagged": False}]}),
        ),
        (ANTHROPIC, anthropic_unbilled(1, "errored")),
        (ANTHROPIC, anthropic_unbilled(1, "canceled")),
        (ANTHROPIC, anthropic_unbilled(1, "expired")),
        (GEMINI_FILE, {"key": "boat-1", "error": {"code": 3, "message": "no such pier"}}),
    ],
)
def test_what_is_not_billed_adds_nothing_and_hides_nothing(where: tuple[str, str], line: Any) -> None:
    good = {OPENAI: openai_line, ANTHROPIC: anthropic_line, GEMINI_FILE: gemini_line}[where](2)

    assert read(where, jsonl([line])) == []
    assert len(read(where, jsonl([line, good, line]))) == 1


def test_googles_inlined_results_are_named_by_their_place() -> None:
    failed = {"error": {"code": 3, "message": "no such pier"}}
    answer = {"response": gemini_content("gemini-2.5-flash"), "metadata": {"key": "boat-3"}}
    del answer["response"]["modelVersion"]  # type: ignore[attr-defined]

    (found,) = read(GEMINI, json.dumps(gemini_batch(failed, answer)).encode())

    assert (found.charge_id, found.operation, found.model) == (
        "quay1/2",
        "generate_content",
        "gemini-2.5-flash",
    )
    assert found.occurred_at == datetime(2026, 11, 1, 8, tzinfo=UTC)
    assert found.pricing_mode == "batch"


def test_googles_inlined_embeddings_have_one_count() -> None:
    entry = {"response": {"embedding": {"values": [0.5]}, "tokenCount": 9}}

    (found,) = read(GEMINI, json.dumps(gemini_batch(entry)).encode())

    assert found.operation == "embeddings"
    assert found.usage is not None
    assert (found.usage.input_tokens, found.usage.output_tokens) == (9, 0)


def test_googles_lines_are_named_by_key_and_answer() -> None:
    bare = {"response": gemini_content("gemini-2.5-flash")}
    del bare["response"]["responseId"]

    found = read(GEMINI_FILE, jsonl([gemini_line(1), bare]))

    assert [result.charge_id for result in found] == ["batch-9/boat-1/jetty-1", "batch-9/2"]


@pytest.mark.parametrize("size", [1, 7, 64, 1000])
def test_lines_are_read_in_any_split(size: int) -> None:
    body = b"\n" + jsonl([openai_line(1), openai_refused(2), openai_line(3)]).replace(b"\n", b"\r\n").rstrip()
    chunks = [body[at : at + size] for at in range(0, len(body), size)]

    assert [found.provider_response_id for found in read(OPENAI, chunks)] == ["chatcmpl-1", "chatcmpl-3"]


@pytest.mark.parametrize(
    "body",
    [
        b"%PDF-1.7\n1 0 obj\n",
        b"\x89PNG\r\n\x1a\n",
        b'{"messages": [{"role": "user", "content": "hi"}]}\n',
        b'{"custom_id": "a", "method": "POST", "url": "/v1/responses", "body": {}}\n',
        b'{\n  "custom_id": "a",\n  "response": {}\n}\n',
        b"[1, 2]\n",
        b"plain text",
    ],
)
def test_a_file_of_another_kind_is_left_alone_after_its_first_line(body: bytes) -> None:
    reader = LinesReader(find_route("GET", *OPENAI))

    assert list(reader.feed(body)) == []
    assert reader.is_foreign
    assert list(reader.feed(jsonl([openai_line(1)]))) == []
    assert list(reader.finish()) == []


def test_a_line_that_never_ends_is_not_kept() -> None:
    reader = LinesReader(find_route("GET", *OPENAI), limit=100)

    assert [*reader.feed(b'{"a": "'), *reader.feed(b"x" * 200)] == []
    assert reader.is_foreign


def test_lines_that_cannot_be_read_are_told_of() -> None:
    reader = LinesReader(find_route("GET", *OPENAI), limit=2_000)
    long = openai_line(2, response={"status_code": 200, "body": {"text": "x" * 3_000}})
    body = jsonl([openai_line(1)]) + b"{broken\n" + jsonl([long, openai_line(3)])

    found = [*reader.feed(body), *reader.finish()]

    assert [result.provider_response_id for result in found] == ["chatcmpl-1", None, None, "chatcmpl-3"]
    assert [result.problems for result in found[1:3]] == [
        ("batch: a line is not JSON",),
        ("batch: a line was too long to be read",),
    ]


def test_the_batch_object_of_another_provider_holds_no_results() -> None:
    batch = {"id": "batch_1", "object": "batch", "status": "completed", "metadata": {"output": "mine"}}

    assert read(GEMINI, json.dumps(batch).encode()) == []
    assert read(GEMINI, b"no JSON") == []
    assert read(GEMINI, b"") == []


def test_a_batch_object_that_is_too_large_is_told_of() -> None:
    reader = InlinedReader(find_route("GET", *GEMINI), limit=10)

    assert list(reader.feed(b"{" + b" " * 20)) == []
    assert [found.problems for found in reader.finish()] == [("batch: its results were too long to be read",)]


lines = st.fixed_dictionaries(
    {},
    optional={
        "id": values,
        "custom_id": values,
        "key": values,
        "error": values,
        "response": values | st.fixed_dictionaries({"status_code": values, "body": values}),
        "result": values | st.fixed_dictionaries({"type": st.just("succeeded"), "message": values}),
    },
)


@pytest.mark.parametrize("where", [OPENAI, ANTHROPIC, GEMINI, GEMINI_FILE])
@settings(max_examples=60, deadline=None)
@given(body=st.binary(max_size=60) | st.lists(lines, max_size=4).map(jsonl))
def test_whatever_stands_there_nothing_is_raised(where: tuple[str, str], body: bytes) -> None:
    for found in read(where, body):
        assert found.usage is None or found.charge_id is not None
        assert event_id_of("openai", str(found.charge_id))
