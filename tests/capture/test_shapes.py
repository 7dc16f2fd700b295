"""Every way to ask an SDK for an answer makes one row, with the usage the provider told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from anthropic.resources import Messages
from anthropic.resources.beta.messages import Messages as BetaMessages
from pydantic import BaseModel
from pydantic import ValidationError

from tests.capture.conftest import TrackedApp
from tests.capture.conftest import chat_helpers
from tests.capture.conftest import http
from tests.loopback import LoopbackProvider
from tests.wire_formats import ANTHROPIC_USED
from tests.wire_formats import OPENAI_USED
from tests.wire_formats import chat_completion
from tests.wire_formats import chat_stream
from tests.wire_formats import message
from tests.wire_formats import response_object

ASK: Any = [{"role": "user", "content": "Is the quay open?"}]
CHAT = {"operation": "chat", "model": "gpt-quay", "requested_model": "gpt-quay", **OPENAI_USED}
RESPONSES = {**CHAT, "operation": "responses"}
MESSAGES = {
    "operation": "messages",
    "model": "claude-pier",
    "requested_model": "claude-pier",
    **ANTHROPIC_USED,
}
STREAMED = {"stream": True, "usage_source": "stream"}
UNTOLD = dict.fromkeys(OPENAI_USED)


class Quay(BaseModel):
    name: str


def quay_answer(provider: LoopbackProvider) -> None:
    provider.answer(chat_completion("gpt-quay", '{"name": "north"}'))


def chat(client: Any, **more: Any) -> Any:
    return client.chat.completions.create(model="gpt-quay", messages=ASK, **more)


def chat_helper(client: openai.OpenAI) -> None:
    with chat_helpers(client).stream(
        model="gpt-quay", messages=ASK, stream_options={"include_usage": True}
    ) as stream:
        assert stream.get_final_completion().usage


def raw_chat(client: openai.OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(model="gpt-quay", messages=ASK)
    assert raw.parse().usage
    assert raw.http_response.json()["id"] == "chatcmpl-quay-1"


def raw_chat_stream(client: openai.OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model="gpt-quay", messages=ASK, stream=True, stream_options={"include_usage": True}
    )
    assert len(list(raw.parse())) == 50


def streaming_raw_chat(client: openai.OpenAI) -> None:
    with client.chat.completions.with_streaming_response.create(model="gpt-quay", messages=ASK) as response:
        assert response.parse().usage


def streaming_raw_lines(client: openai.OpenAI) -> None:
    with client.chat.completions.with_streaming_response.create(
        model="gpt-quay", messages=ASK, stream=True, stream_options={"include_usage": True}
    ) as response:
        assert sum(line.startswith("data:") for line in response.iter_lines()) == 51


def plain_post(client: openai.OpenAI) -> None:
    body = {"model": "gpt-quay", "messages": ASK}
    answer = client.post("/chat/completions", body=body, cast_to=http.Response)
    assert answer.json()["usage"]


def extra_body(client: openai.OpenAI) -> None:
    client.chat.completions.create(model="ignored", messages=ASK, extra_body={"model": "gpt-quay"})


def responses_helper(client: openai.OpenAI) -> None:
    with client.responses.stream(model="gpt-quay", input="Is the quay open?") as stream:
        assert stream.get_final_response().usage


def bound_before(client: openai.OpenAI) -> None:
    create = client.chat.completions.create
    create(model="gpt-quay", messages=ASK)


OPENAI_SHAPES: dict[str, tuple[Callable[[Any], object], dict[str, Any]]] = {
    "chat": (chat, CHAT),
    "chat stream": (
        lambda client: list(chat(client, stream=True, stream_options={"include_usage": True})),
        {**CHAT, **STREAMED},
    ),
    "chat stream without usage": (
        lambda client: list(chat(client, stream=True)),
        {**CHAT, **UNTOLD, "stream": True, "usage_source": "unknown", "cost_status": "unknown"},
    ),
    "chat stream helper": (chat_helper, {**CHAT, **STREAMED}),
    "raw chat": (raw_chat, CHAT),
    "raw chat, not parsed": (
        lambda client: client.chat.completions.with_raw_response.create(model="gpt-quay", messages=ASK),
        CHAT,
    ),
    "raw chat stream": (raw_chat_stream, {**CHAT, **STREAMED}),
    "streaming raw chat": (streaming_raw_chat, CHAT),
    "streaming raw chat, by lines": (streaming_raw_lines, {**CHAT, **STREAMED}),
    "client.post": (plain_post, CHAT),
    "extra_body names the model": (extra_body, CHAT),
    "a method taken from the client": (bound_before, CHAT),
    "with_options": (lambda client: chat(client.with_options(max_retries=0)), CHAT),
    "copy": (lambda client: chat(client.copy(timeout=4)), CHAT),
    "legacy completions": (
        lambda client: client.completions.create(model="gpt-quay", prompt="quay"),
        {**CHAT, "operation": "completions"},
    ),
    "embeddings": (
        lambda client: client.embeddings.create(model="embed-quay", input="quay"),
        {"operation": "embeddings", "model": "embed-quay", "input_tokens": 9, "output_tokens": 0},
    ),
    "responses": (lambda client: client.responses.create(model="gpt-quay", input="quay"), RESPONSES),
    "responses stream": (
        lambda client: list(client.responses.create(model="gpt-quay", input="quay", stream=True)),
        {**RESPONSES, **STREAMED},
    ),
    "responses stream helper": (responses_helper, {**RESPONSES, **STREAMED}),
}


def assert_matches(event: Any, expected: dict[str, Any]) -> None:
    assert {name: getattr(event, name) for name in expected} == expected


@pytest.mark.parametrize("shape", OPENAI_SHAPES)
def test_an_openai_call_makes_one_row(app: TrackedApp, openai_client: openai.OpenAI, shape: str) -> None:
    call, expected = OPENAI_SHAPES[shape]
    call(openai_client)
    common = {"provider": "openai", "status": "ok", "http_status": 200, "attempts": 1, "error_type": None}
    assert_matches(app.event, {**common, **expected})
    assert app.event.latency_ms is not None
    assert (app.event.time_to_first_token_ms is not None) == app.event.stream


def test_the_time_to_the_first_token_is_not_that_to_the_last(
    app: TrackedApp, openai_client: openai.OpenAI, provider: LoopbackProvider
) -> None:
    provider.stream(chat_stream("gpt-quay", words=4), pause=0.03)
    list(chat(openai_client, stream=True))
    assert app.event.time_to_first_token_ms is not None
    assert app.event.latency_ms is not None
    assert 30 <= app.event.time_to_first_token_ms < app.event.latency_ms - 60


def message_create(client: Any, **more: Any) -> Any:
    return client.messages.create(model="claude-pier", max_tokens=64, messages=ASK, **more)


def message_helper(client: anthropic.Anthropic) -> None:
    with client.messages.stream(model="claude-pier", max_tokens=64, messages=ASK) as stream:
        assert stream.get_final_message().usage.output_tokens == 48


def message_text(client: anthropic.Anthropic) -> None:
    with client.messages.stream(model="claude-pier", max_tokens=64, messages=ASK) as stream:
        assert "".join(stream.text_stream).startswith("word0 ")


def raw_message(client: anthropic.Anthropic) -> None:
    raw = client.messages.with_raw_response.create(model="claude-pier", max_tokens=64, messages=ASK)
    assert raw.parse().usage


def streaming_raw_message(client: anthropic.Anthropic) -> None:
    with client.messages.with_streaming_response.create(
        model="claude-pier", max_tokens=64, messages=ASK
    ) as response:
        assert response.read()


ANTHROPIC_SHAPES: dict[str, tuple[Callable[[Any], object], dict[str, Any]]] = {
    "message": (message_create, MESSAGES),
    "message stream": (lambda client: list(message_create(client, stream=True)), {**MESSAGES, **STREAMED}),
    "stream helper": (message_helper, {**MESSAGES, **STREAMED}),
    "stream helper, text only": (message_text, {**MESSAGES, **STREAMED}),
    "raw message": (raw_message, MESSAGES),
    "streaming raw message": (streaming_raw_message, MESSAGES),
    "beta message": (lambda client: message_create(client.beta), MESSAGES),
    "with_options": (lambda client: message_create(client.with_options(max_retries=0)), MESSAGES),
}


@pytest.mark.parametrize("shape", ANTHROPIC_SHAPES)
def test_an_anthropic_call_makes_one_row(
    app: TrackedApp, anthropic_client: anthropic.Anthropic, shape: str
) -> None:
    call, expected = ANTHROPIC_SHAPES[shape]
    call(anthropic_client)
    common = {"provider": "anthropic", "status": "ok", "http_status": 200, "attempts": 1}
    assert_matches(app.event, {**common, **expected})


async def async_chat(client: openai.AsyncOpenAI) -> None:
    await chat(client)


async def async_chat_stream(client: openai.AsyncOpenAI) -> None:
    async for _ in await chat(client, stream=True, stream_options={"include_usage": True}):
        pass


async def async_chat_helper(client: openai.AsyncOpenAI) -> None:
    async with chat_helpers(client).stream(
        model="gpt-quay", messages=ASK, stream_options={"include_usage": True}
    ) as stream:
        assert (await stream.get_final_completion()).usage


async def async_raw_chat(client: openai.AsyncOpenAI) -> None:
    raw = await client.chat.completions.with_raw_response.create(model="gpt-quay", messages=ASK)
    assert raw.parse().usage


async def async_streaming_raw(client: openai.AsyncOpenAI) -> None:
    async with client.chat.completions.with_streaming_response.create(
        model="gpt-quay", messages=ASK
    ) as response:
        assert (await response.parse()).usage


async def async_responses_stream(client: openai.AsyncOpenAI) -> None:
    async for _ in await client.responses.create(model="gpt-quay", input="quay", stream=True):
        pass


async def async_messages(client: anthropic.AsyncAnthropic) -> None:
    await message_create(client)


async def async_message_stream(client: anthropic.AsyncAnthropic) -> None:
    async for _ in await message_create(client, stream=True):
        pass


async def async_message_helper(client: anthropic.AsyncAnthropic) -> None:
    async with client.messages.stream(model="claude-pier", max_tokens=64, messages=ASK) as stream:
        assert (await stream.get_final_message()).usage


ASYNC_SHAPES: dict[str, tuple[Callable[[Any], Awaitable[None]], dict[str, Any]]] = {
    "chat": (async_chat, CHAT),
    "chat stream": (async_chat_stream, {**CHAT, **STREAMED}),
    "chat stream helper": (async_chat_helper, {**CHAT, **STREAMED}),
    "raw chat": (async_raw_chat, CHAT),
    "streaming raw chat": (async_streaming_raw, CHAT),
    "responses stream": (async_responses_stream, {**RESPONSES, **STREAMED}),
    "message": (async_messages, MESSAGES),
    "message stream": (async_message_stream, {**MESSAGES, **STREAMED}),
    "message stream helper": (async_message_helper, {**MESSAGES, **STREAMED}),
}


@pytest.mark.parametrize("shape", ASYNC_SHAPES)
def test_an_async_call_makes_one_row(app: TrackedApp, provider: LoopbackProvider, shape: str) -> None:
    call, expected = ASYNC_SHAPES[shape]

    async def run() -> None:
        client: openai.AsyncOpenAI | anthropic.AsyncAnthropic
        if "message" in shape:
            client = anthropic.AsyncAnthropic(api_key="loopback", base_url=provider.url)
        else:
            client = openai.AsyncOpenAI(api_key="loopback", base_url=f"{provider.url}/v1")
        async with client:
            await call(client)

    asyncio.run(run())
    assert_matches(app.event, {"status": "ok", "http_status": 200, **expected})


def test_a_parsed_answer_is_recorded(
    app: TrackedApp, openai_client: openai.OpenAI, provider: LoopbackProvider
) -> None:
    quay_answer(provider)
    parsed = chat_helpers(openai_client).parse(model="gpt-quay", messages=ASK, response_format=Quay)
    assert parsed.choices[0].message.parsed == Quay(name="north")
    assert_matches(app.event, {"status": "ok", **CHAT})


def test_a_parsed_response_is_recorded(
    app: TrackedApp, openai_client: openai.OpenAI, provider: LoopbackProvider
) -> None:
    provider.answer(response_object("gpt-quay", '{"name": "north"}'))
    parsed = openai_client.responses.parse(model="gpt-quay", input="quay", text_format=Quay)
    assert parsed.output_parsed == Quay(name="north")
    assert_matches(app.event, {"status": "ok", **RESPONSES})


@pytest.mark.skipif(not hasattr(Messages, "parse"), reason="this anthropic parses no messages yet")
def test_a_parsed_message_is_recorded(
    app: TrackedApp, anthropic_client: anthropic.Anthropic, provider: LoopbackProvider
) -> None:
    provider.answer(message("claude-pier", '{"name": "north"}'))
    parsed = anthropic_client.messages.parse(
        model="claude-pier", max_tokens=64, messages=ASK, output_format=Quay
    )
    assert parsed.parsed_output == Quay(name="north")
    assert_matches(app.event, {"status": "ok", **MESSAGES})


@pytest.mark.parametrize(
    ("text", "finish", "error"),
    [
        ("the quay is closed", "stop", ValidationError),
        ('{"name": "no', "length", openai.LengthFinishReasonError),
    ],
    ids=["not the schema", "cut off by the length"],
)
def test_an_answer_that_does_not_parse_was_billed_all_the_same(
    app: TrackedApp,
    openai_client: openai.OpenAI,
    provider: LoopbackProvider,
    text: str,
    finish: str,
    error: type[Exception],
) -> None:
    body = chat_completion("gpt-quay", text)
    body["choices"][0]["finish_reason"] = finish
    provider.answer(body)
    with pytest.raises(error):
        chat_helpers(openai_client).parse(model="gpt-quay", messages=ASK, response_format=Quay)
    assert_matches(app.event, {"status": "ok", "http_status": 200, "error_type": None, **CHAT})


def test_azure_is_its_own_provider_and_names_the_deployment(
    app: TrackedApp, provider: LoopbackProvider
) -> None:
    provider.answer(chat_completion("gpt-quay-2026-01-01"))
    with openai.AzureOpenAI(api_key="loopback", azure_endpoint=provider.url, api_version="1") as client:
        client.chat.completions.create(model="our-deployment", messages=ASK)
    assert provider.requests[0].path.startswith("/openai/deployments/our-deployment/chat/completions")
    assert (app.event.provider, app.event.requested_model) == ("azure", "our-deployment")
    assert app.event.model == "gpt-quay-2026-01-01"


def test_a_host_of_the_app_has_the_providers_name_it_was_given(
    make_app: Callable[..., TrackedApp], openai_client: openai.OpenAI
) -> None:
    app = make_app(config={"LLM_COST_PROVIDER_HOSTS": {"127.0.0.1": "groq"}})
    chat(openai_client)
    assert app.event.provider == "groq"


def test_the_requested_tier_stands_where_the_answer_is_silent(
    app: TrackedApp, openai_client: openai.OpenAI, provider: LoopbackProvider
) -> None:
    chat(openai_client, service_tier="flex")
    provider.answer(chat_completion("gpt-quay", service_tier="priority"))
    chat(openai_client, service_tier="flex")
    assert [event.pricing_mode for event in app.events] == ["flex", "priority"]


@pytest.mark.parametrize(
    ("headers", "account"),
    [
        ({"openai-organization": "org-quay"}, "org-quay"),
        ({"openai-organization": "org-quay", "openai-project": "proj_north"}, "proj_north"),
        ({"anthropic-organization-id": "pier-1"}, "pier-1"),
        ({}, None),
    ],
    ids=["organisation", "project", "anthropic", "none"],
)
def test_the_account_is_the_one_the_answer_names(
    app: TrackedApp,
    openai_client: openai.OpenAI,
    provider: LoopbackProvider,
    headers: dict[str, str],
    account: str | None,
) -> None:
    provider.answer(chat_completion("gpt-quay"), headers=headers)
    chat(openai_client)
    assert app.event.provider_account == account


def test_a_gzipped_body_and_a_gzipped_stream_are_read(
    app: TrackedApp, openai_client: openai.OpenAI, provider: LoopbackProvider
) -> None:
    provider.answer(chat_completion("gpt-quay"), gzip=True)
    provider.stream(chat_stream("gpt-quay"), gzip=True)
    chat(openai_client)
    assert len(list(chat(openai_client, stream=True))) == 50
    assert [event.input_tokens for event in app.events] == [100, 100]


READERS: dict[str, Callable[[Any], object]] = {
    "read": lambda response: response.read(),
    "text": lambda response: response.text(),
    "json": lambda response: response.json(),
    "parse": lambda response: response.parse(),
    "iter_bytes": lambda response: list(response.iter_bytes()),
    "iter_bytes of a size": lambda response: list(response.iter_bytes(7)),
    "iter_text": lambda response: list(response.iter_text()),
    "iter_lines": lambda response: list(response.iter_lines()),
    "iter_raw": lambda response: list(response.http_response.iter_raw()),
    "iter_raw of a size": lambda response: list(response.http_response.iter_raw(7)),
}


@pytest.mark.parametrize("gzip", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("reader", READERS)
def test_a_body_is_read_along_whichever_way_it_is_read(
    app: TrackedApp, openai_client: openai.OpenAI, provider: LoopbackProvider, reader: str, gzip: bool
) -> None:
    provider.answer(chat_completion("gpt-quay"), gzip=gzip)
    with openai_client.chat.completions.with_streaming_response.create(
        model="gpt-quay", messages=ASK
    ) as response:
        assert READERS[reader](response) != []
    assert_matches(app.event, {"status": "ok", **CHAT})


@pytest.mark.parametrize("gzip", [False, True], ids=["plain", "gzip"])
def test_a_stream_of_raw_bytes_is_read_along(
    app: TrackedApp, openai_client: openai.OpenAI, provider: LoopbackProvider, gzip: bool
) -> None:
    pieces = chat_stream("gpt-quay")
    provider.stream(pieces, gzip=gzip)
    with openai_client.chat.completions.with_streaming_response.create(
        model="gpt-quay", messages=ASK, stream=True
    ) as response:
        raw = b"".join(response.http_response.iter_raw())
        assert (raw == b"".join(pieces)) is not gzip
    assert_matches(app.event, {"status": "ok", **CHAT, **STREAMED})


def test_an_async_stream_of_raw_bytes_is_read_along(app: TrackedApp, provider: LoopbackProvider) -> None:
    async def run() -> None:
        async with (
            openai.AsyncOpenAI(api_key="loopback", base_url=f"{provider.url}/v1") as client,
            client.chat.completions.with_streaming_response.create(
                model="gpt-quay", messages=ASK, stream=True
            ) as response,
        ):
            assert [piece async for piece in response.http_response.aiter_raw()]

    provider.stream(chat_stream("gpt-quay"), gzip=True)
    asyncio.run(run())
    assert_matches(app.event, {"status": "ok", **CHAT, **STREAMED})


@pytest.mark.skipif(not hasattr(BetaMessages, "tool_runner"), reason="this anthropic has no tool runner yet")
def test_each_turn_of_a_tool_runner_is_a_call(
    app: TrackedApp, anthropic_client: anthropic.Anthropic, provider: LoopbackProvider
) -> None:
    def depth_at(place: str) -> str:
        """The depth of the water.

        Args:
            place: Where.
        """
        return f"4 m at the {place}"

    depth_at.__annotations__ = {"place": str, "return": str}
    use = {"type": "tool_use", "id": "toolu_1", "name": "depth_at", "input": {"place": "pier"}}
    provider.answer(message("claude-pier", content=[use], stop_reason="tool_use", id="msg_pier_0"))
    runner = anthropic_client.beta.messages.tool_runner(
        model="claude-pier", max_tokens=64, messages=ASK, tools=[anthropic.beta_tool(depth_at)]
    )
    assert runner.until_done().id == "msg_pier_1"
    assert [event.provider_response_id for event in app.events] == ["msg_pier_0", "msg_pier_1"]
    assert [event.input_tokens for event in app.events] == [100, 100]


def test_free_routes_make_no_row(
    app: TrackedApp,
    openai_client: openai.OpenAI,
    anthropic_client: anthropic.Anthropic,
    provider: LoopbackProvider,
) -> None:
    anthropic_client.messages.count_tokens(model="claude-pier", messages=ASK)
    list(openai_client.models.list())
    provider.answer({"id": "modr-1", "model": "quay", "results": []})
    openai_client.moderations.create(input="quay")
    assert len(provider.requests) == 3
    assert app.events == []


def test_a_finished_response_that_is_read_again_makes_no_row(
    app: TrackedApp, openai_client: openai.OpenAI, provider: LoopbackProvider
) -> None:
    provider.answer(response_object("gpt-quay"))
    openai_client.responses.retrieve("resp_quay_1")
    assert app.events == []


def test_an_unknown_route_is_recorded_if_its_answer_tells_usage(
    app: TrackedApp, openai_client: openai.OpenAI, provider: LoopbackProvider
) -> None:
    provider.answer({"id": "new-1", "model": "gpt-quay", "usage": {"input_tokens": 7, "output_tokens": 3}})
    provider.answer({"id": "new-2", "ready": True})
    openai_client.post("/new/things", body={"model": "gpt-quay"}, cast_to=object)
    openai_client.post("/new/things", body={"model": "gpt-quay"}, cast_to=object)
    assert (app.event.operation, app.event.input_tokens, app.event.output_tokens) == ("other", 7, 3)


def test_a_call_billed_without_usage_is_recorded_as_unknown(
    app: TrackedApp, openai_client: openai.OpenAI, provider: LoopbackProvider
) -> None:
    provider.answer(b"ID3-not-really-a-sound", headers={"content-type": "audio/mpeg"})
    openai_client.audio.speech.create(model="voice-quay", voice="alloy", input="The quay is open.")
    assert_matches(
        app.event,
        {"operation": "speech", "model": "voice-quay", "status": "ok", "cost_status": "unknown"},
    )
    assert app.event.total_cost is None


def test_a_sound_that_is_written_to_a_file_is_recorded(
    app: TrackedApp, openai_client: openai.OpenAI, provider: LoopbackProvider, tmp_path: Path
) -> None:
    provider.answer(b"ID3-not-really-a-sound", headers={"content-type": "audio/mpeg"})
    with openai_client.audio.speech.with_streaming_response.create(
        model="voice-quay", voice="alloy", input="The quay is open."
    ) as response:
        response.stream_to_file(tmp_path / "quay.mp3")
    assert (tmp_path / "quay.mp3").read_bytes() == b"ID3-not-really-a-sound"
    assert_matches(app.event, {"operation": "speech", "model": "voice-quay", "status": "ok"})
