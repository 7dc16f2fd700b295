"""``LLM_COST_REQUEST_STREAM_USAGE``: a provider is asked for a stream's usage, and no app notices."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from flask_llm_cost.capture.stream_usage import Stripped
from flask_llm_cost.events import Event
from tests.capture.conftest import MakeApp
from tests.capture.conftest import TrackedApp
from tests.capture.conftest import chat_helpers
from tests.loopback import LoopbackProvider
from tests.wire_formats import OPENAI_USED
from tests.wire_formats import chat_stream

ASK: Any = [{"role": "user", "content": "Is the quay open?"}]
#: The host is nobody's, so the app says whose it is.
LOOPBACK = {"LLM_COST_PROVIDER_HOSTS": {"127.0.0.1": "openai"}}
ON = {**LOOPBACK, "LLM_COST_REQUEST_STREAM_USAGE": True}

PLAIN = chat_stream("gpt-quay", words=4, usage=False)


def with_usage() -> list[bytes]:
    """As OpenAI answers to ``include_usage``: null in each chunk, and one chunk more."""
    *chunks, done = chat_stream("gpt-quay", words=4)
    *chunks, usage = chunks
    return [*(chunk.replace(b"}\n\n", b', "usage": null}\n\n') for chunk in chunks), usage, done]


@pytest.fixture
def app(make_app: MakeApp) -> TrackedApp:
    return make_app(config=ON)


def chat(client: Any, **more: Any) -> Any:
    return client.chat.completions.create(model="gpt-quay", messages=ASK, stream=True, **more)


def iterate(client: openai.OpenAI) -> list[Any]:
    return [chunk.to_dict() for chunk in chat(client)]


def raw_response(client: openai.OpenAI) -> list[Any]:
    raw = client.chat.completions.with_raw_response.create(model="gpt-quay", messages=ASK, stream=True)
    return [chunk.to_dict() for chunk in raw.parse()]


def reading(read: Callable[[Any], Any]) -> Callable[[openai.OpenAI], Any]:
    def work(client: openai.OpenAI) -> Any:
        with client.chat.completions.with_streaming_response.create(
            model="gpt-quay", messages=ASK, stream=True
        ) as response:
            return read(response)

    return work


def helper(client: openai.OpenAI) -> list[Any]:
    with chat_helpers(client).stream(model="gpt-quay", messages=ASK) as stream:
        return [event.to_dict() for event in stream]


WAYS: dict[str, Callable[[openai.OpenAI], Any]] = {
    "iteration": iterate,
    "raw response": raw_response,
    "lines": reading(lambda response: list(response.iter_lines())),
    "text": reading(lambda response: "".join(response.iter_text())),
    "bytes": reading(lambda response: b"".join(response.iter_bytes())),
    "bytes of a size": reading(lambda response: list(response.iter_bytes(100))),
    "read": reading(lambda response: response.read()),
    "raw bytes": reading(lambda response: b"".join(response.http_response.iter_raw())),
    "helper": helper,
}


@pytest.mark.parametrize("gzip", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("way", WAYS)
def test_the_app_reads_what_it_would_have_read_without_the_question(
    make_app: MakeApp, openai_client: openai.OpenAI, provider: LoopbackProvider, way: str, gzip: bool
) -> None:
    if way == "raw bytes" and gzip:
        pytest.skip("compressed bytes are handed on as they came")
    provider.stream(PLAIN, gzip=gzip)
    untouched = WAYS[way](openai_client)
    app = make_app(config=ON)
    provider.stream(with_usage(), gzip=gzip)
    assert WAYS[way](openai_client) == untouched
    assert provider.requests[-1].json["stream_options"] == {"include_usage": True}
    assert_known(app.event)


def assert_known(event: Event) -> None:
    assert {name: getattr(event, name) for name in OPENAI_USED} == OPENAI_USED
    assert (event.status, event.usage_source, event.stream) == ("ok", "stream", True)


def test_compressed_raw_bytes_are_read_along_as_they_are(
    app: TrackedApp, openai_client: openai.OpenAI, provider: LoopbackProvider
) -> None:
    provider.stream(with_usage(), gzip=True)
    reading(lambda response: b"".join(response.http_response.iter_raw()))(openai_client)
    assert_known(app.event)


@pytest.mark.parametrize("way", ["iteration", "bytes", "bytes of a size", "raw bytes"])
def test_an_async_app_does_not_notice_either(app: TrackedApp, provider: LoopbackProvider, way: str) -> None:
    async def read(client: openai.AsyncOpenAI) -> Any:
        if way == "iteration":
            return [chunk.to_dict() async for chunk in await chat(client)]
        async with client.chat.completions.with_streaming_response.create(
            model="gpt-quay", messages=ASK, stream=True
        ) as response:
            if way == "raw bytes":
                return b"".join([piece async for piece in response.http_response.aiter_raw()])
            size = 100 if way == "bytes of a size" else None
            pieces = [piece async for piece in response.iter_bytes(size)]
            return pieces if size else b"".join(pieces)

    async def run() -> Any:
        async with openai.AsyncOpenAI(api_key="loopback", base_url=f"{provider.url}/v1") as client:
            return await read(client)

    provider.stream(with_usage())
    found = asyncio.run(run())
    whole = b"".join(PLAIN)
    if way == "iteration":
        assert found == [json.loads(chunk.removeprefix(b"data: ")) for chunk in PLAIN[:-1]]
    elif way == "bytes of a size":
        assert found == [whole[at : at + 100] for at in range(0, len(whole), 100)]
    else:
        assert found == whole
    assert_known(app.event)


def test_legacy_completions_are_asked_too(
    app: TrackedApp, openai_client: openai.OpenAI, provider: LoopbackProvider
) -> None:
    provider.stream(with_usage())
    list(openai_client.completions.create(model="gpt-quay", prompt="quay", stream=True))
    assert provider.requests[-1].json["stream_options"] == {"include_usage": True}
    assert_known(app.event)


def test_the_question_does_not_leak_into_what_the_caller_gave(
    app: TrackedApp, openai_client: openai.OpenAI, provider: LoopbackProvider
) -> None:
    provider.fail(503)
    extra = {"seed": 7}
    messages = list(ASK)
    list(
        openai_client.chat.completions.create(
            model="gpt-quay", messages=messages, stream=True, extra_body=extra
        )
    )
    assert (extra, messages) == ({"seed": 7}, ASK)
    first, second = (request.json for request in provider.requests)
    assert (
        first
        == second
        == {**extra, "model": "gpt-quay", "messages": ASK, "stream": True}
        | {"stream_options": {"include_usage": True}}
    )
    assert app.event.attempts == 2


def streamed(**more: Any) -> Callable[[openai.OpenAI], object]:
    return lambda client: list(chat(client, **more))


UNASKED: dict[str, tuple[dict[str, Any], Callable[[openai.OpenAI], object]]] = {
    "the app does not want it": (LOOPBACK, streamed()),
    "a host that is nobody's": ({"LLM_COST_REQUEST_STREAM_USAGE": True}, streamed()),
    "a host of somebody else's": (
        {**ON, "LLM_COST_PROVIDER_HOSTS": {"127.0.0.1": "mistral"}},
        streamed(),
    ),
    "the caller asks": (ON, streamed(stream_options={"include_usage": True})),
    "the caller declines": (ON, streamed(stream_options={"include_usage": False})),
    "the caller decides in extra_body": (ON, streamed(extra_body={"stream_options": {}})),
    "no stream": (
        ON,
        lambda client: client.chat.completions.create(model="gpt-quay", messages=ASK),
    ),
    "another API": (
        ON,
        lambda client: list(client.responses.create(model="gpt-quay", input="quay", stream=True)),
    ),
}


@pytest.mark.parametrize("case", UNASKED)
def test_a_request_goes_out_as_the_caller_made_it(
    make_app: MakeApp, openai_client: openai.OpenAI, provider: LoopbackProvider, case: str
) -> None:
    config, call = UNASKED[case]
    call(openai_client)
    untouched = provider.requests[-1].body
    make_app(config=config)
    call(openai_client)
    assert provider.requests[-1].body == untouched


def test_a_caller_who_asks_gets_the_usage(
    app: TrackedApp, openai_client: openai.OpenAI, provider: LoopbackProvider
) -> None:
    provider.stream(with_usage())
    chunks = list(chat(openai_client, stream_options={"include_usage": True}))
    assert chunks[-1].usage.total_tokens == 168
    assert_known(app.event)


@pytest.mark.parametrize(
    ("version", "more", "asked"),
    [
        ("2024-06-01", {}, False),
        ("2024-10-21", {}, True),
        ("preview", {}, True),
        ("2024-10-21", {"extra_body": {"data_sources": []}}, False),
    ],
    ids=["too old", "new enough", "undated", "with data of one's own"],
)
def test_azure_is_asked_where_its_version_knows_the_option(
    make_app: MakeApp, provider: LoopbackProvider, version: str, more: dict[str, Any], asked: bool
) -> None:
    make_app(config={"LLM_COST_REQUEST_STREAM_USAGE": True})
    with openai.AzureOpenAI(api_key="k", azure_endpoint=provider.url, api_version=version) as client:
        list(chat(client, **more))
    assert ("stream_options" in provider.requests[-1].json) is asked


def test_a_stream_left_early_is_aborted(app: TrackedApp, openai_client: openai.OpenAI) -> None:
    with chat(openai_client) as stream:
        next(stream)
    assert (app.event.status, app.event.cost_status) == ("aborted", "unknown")


def test_plain_json_in_place_of_a_stream_is_handed_on(
    app: TrackedApp, openai_client: openai.OpenAI, provider: LoopbackProvider
) -> None:
    body = {"id": "x", "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}
    provider.answer(body)
    assert json.loads(reading(lambda response: response.read())(openai_client)) == body
    assert app.event.input_tokens == 1


def fed(pieces: Iterator[bytes] | list[bytes]) -> bytes:
    stripped = Stripped()
    return b"".join([*map(stripped.feed, pieces), stripped.rest()])


@pytest.mark.parametrize("size", [1, 7, 64, 100_000])
def test_the_split_into_pieces_changes_nothing(size: int) -> None:
    whole = b"".join(with_usage())
    assert fed(whole[at : at + size] for at in range(0, len(whole), size)) == b"".join(PLAIN)


@pytest.mark.parametrize(
    ("event", "shown"),
    [
        (b'data: {"usage":null,"id":"x"}\n\n', b'data: {"id":"x"}\n\n'),
        (b'data: {"id":"x","usage":null}\r\n\r\n', b'data: {"id":"x"}\r\n\r\n'),
        (b'data: {"id":"x", "usage" : null, "n":1}\n\n', b'data: {"id":"x", "n":1}\n\n'),
        (b'data: {"choices":[],"usage":{"prompt_tokens":1}}\n\n', b""),
        (b'data: {"choices":[],"usage":null}\n\n', b'data: {"choices":[]}\n\n'),
        (b'data: {"choices":[{}],"usage":{"a":1}}\n\n', b'data: {"choices":[{}],"usage":{"a":1}}\n\n'),
        (b'data: {"c":"\\"usage\\":null"}\n\n', b'data: {"c":"\\"usage\\":null"}\n\n'),
        (b'data: {"choices":[], "usage":{broken\n\n', b'data: {"choices":[], "usage":{broken\n\n'),
        (b': "usage"\n\n', b': "usage"\n\n'),
        (b'data: {"id":"x","usage":null}', b'data: {"id":"x"}'),
    ],
    ids=[
        "null first",
        "null last",
        "null between",
        "the chunk of usage",
        "no choices, no usage",
        "usage beside choices",
        "in a text",
        "broken",
        "a comment",
        "no end",
    ],
)
def test_an_event_is_shown_without_what_was_asked_for(event: bytes, shown: bytes) -> None:
    assert fed([event]) == shown


def test_an_endless_event_is_not_kept() -> None:
    stripped = Stripped()
    handed_on = sum(len(stripped.feed(b"x" * 100_000)) for _ in range(100))
    assert handed_on > 8_000_000
