"""However a stream ends, and whoever ends it, the call is recorded once, with what is known then."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import weakref
from typing import Any

import anthropic
import openai
import pytest

from flask_llm_cost import capture
from flask_llm_cost.errors import StorageError
from flask_llm_cost.errors import UnknownPricingError
from tests.capture.conftest import MakeApp
from tests.capture.conftest import TrackedApp
from tests.capture.conftest import chat_helpers
from tests.capture.conftest import http
from tests.capture.conftest import http_of
from tests.loopback import LoopbackProvider
from tests.wire_formats import anthropic_error
from tests.wire_formats import chat_completion
from tests.wire_formats import chat_stream
from tests.wire_formats import message_stream
from tests.wire_formats import response_stream
from tests.wire_formats import sse

ASK: Any = [{"role": "user", "content": "Is the quay open?"}]


def chat_streamed(client: Any) -> Any:
    return client.chat.completions.create(
        model="gpt-quay", messages=ASK, stream=True, stream_options={"include_usage": True}
    )


def message_streamed(client: Any) -> Any:
    return client.messages.create(model="claude-pier", max_tokens=64, messages=ASK, stream=True)


def assert_aborted(app: TrackedApp) -> None:
    event = app.event
    assert (event.status, event.cost_status, event.total_cost) == ("aborted", "unknown", None)
    assert (event.input_tokens, event.output_tokens) == (None, None)
    assert event.http_status == 200
    assert event.stream


def test_a_stream_left_by_break_is_aborted(app: TrackedApp, openai_client: openai.OpenAI) -> None:
    stream = chat_streamed(openai_client)
    for _ in stream:
        break
    stream.close()
    assert_aborted(app)
    assert app.event.model == "gpt-quay"
    assert app.event.provider_response_id == "chatcmpl-quay-2"


def test_a_with_block_left_early_is_aborted(app: TrackedApp, anthropic_client: anthropic.Anthropic) -> None:
    with anthropic_client.messages.stream(model="claude-pier", max_tokens=64, messages=ASK) as stream:
        next(iter(stream))
    assert_aborted(app)


def test_a_with_block_left_by_an_exception_of_the_host_is_aborted(
    app: TrackedApp, openai_client: openai.OpenAI
) -> None:
    def read() -> None:
        with chat_streamed(openai_client) as stream:
            next(stream)
            raise LookupError("ours")

    with pytest.raises(LookupError, match="ours"):
        read()
    assert_aborted(app)


@pytest.mark.parametrize("read_first", [False, True], ids=["never read", "half read"])
def test_a_stream_that_is_collected_is_aborted(
    app: TrackedApp, openai_client: openai.OpenAI, read_first: bool
) -> None:
    stream = chat_streamed(openai_client)
    if read_first:
        next(stream)
    assert app.events == []
    del stream
    gc.collect()
    assert_aborted(app)


@pytest.mark.skipif(http_of(anthropic).__name__ == "httpx", reason="this anthropic makes a cycle of its own")
def test_nothing_of_ours_keeps_a_response_alive(
    app: TrackedApp, anthropic_client: anthropic.Anthropic
) -> None:
    stream = message_streamed(anthropic_client)
    response = weakref.ref(stream.response)
    list(stream)
    del stream
    assert response() is None, "a response that was read to its end needs no garbage collector"


def test_a_raw_stream_that_is_never_read_is_aborted(app: TrackedApp, openai_client: openai.OpenAI) -> None:
    with openai_client.chat.completions.with_streaming_response.create(model="gpt-quay", messages=ASK):
        assert app.events == []
    assert app.event.status == "aborted"
    assert app.event.input_tokens is None


def test_a_stream_left_after_its_terminal_event_is_complete(
    app: TrackedApp, anthropic_client: anthropic.Anthropic
) -> None:
    with message_streamed(anthropic_client) as stream:
        for event in stream:
            if event.type == "message_stop":
                break
    assert (app.event.status, app.event.output_tokens) == ("ok", 48)


def test_a_disconnect_midway_is_an_error(
    app: TrackedApp, openai_client: openai.OpenAI, provider: LoopbackProvider
) -> None:
    provider.stream(chat_stream("gpt-quay"), cut_after=20)
    with pytest.raises((openai.APIConnectionError, http.RemoteProtocolError)):
        list(chat_streamed(openai_client))
    event = app.event
    assert (event.status, event.error_type, event.cost_status) == ("error", "RemoteProtocolError", "unknown")
    assert event.http_status == 200
    assert event.time_to_first_token_ms is not None


def test_a_pause_longer_than_the_timeout_is_an_error(
    app: TrackedApp, openai_client: openai.OpenAI, provider: LoopbackProvider
) -> None:
    provider.stream(chat_stream("gpt-quay"), hold_after=10)
    with pytest.raises((openai.APITimeoutError, http.ReadTimeout)):
        list(chat_streamed(openai_client.with_options(timeout=0.1)))
    assert (app.event.status, app.event.error_type) == ("error", "ReadTimeout")


def test_an_error_event_midway_is_an_error(
    app: TrackedApp, anthropic_client: anthropic.Anthropic, provider: LoopbackProvider
) -> None:
    pieces = message_stream("claude-pier")[:8] + sse([anthropic_error("overloaded_error")], named=True)
    provider.stream(pieces)
    with pytest.raises(anthropic.APIStatusError):
        list(message_streamed(anthropic_client))
    event = app.event
    assert (event.status, event.error_type, event.cost_status) == ("error", "overloaded_error", "unknown")


def test_an_openai_error_chunk_midway_is_an_error(
    app: TrackedApp, openai_client: openai.OpenAI, provider: LoopbackProvider
) -> None:
    error = {"error": {"message": "the quay sank", "type": "server_error", "code": None}}
    provider.stream(chat_stream("gpt-quay")[:8] + sse([error]))
    with pytest.raises(openai.APIError):
        list(chat_streamed(openai_client))
    assert (app.event.status, app.event.error_type) == ("error", "server_error")


@pytest.mark.parametrize(
    ("pieces", "read"),
    [
        (message_stream("claude-pier")[:-1], "messages"),
        (response_stream("gpt-quay")[:-1], "responses"),
    ],
    ids=["anthropic", "openai responses"],
)
def test_a_stream_that_stops_without_its_terminal_event_is_an_error(
    app: TrackedApp,
    openai_client: openai.OpenAI,
    anthropic_client: anthropic.Anthropic,
    provider: LoopbackProvider,
    pieces: list[bytes],
    read: str,
) -> None:
    provider.stream(pieces)
    if read == "messages":
        list(message_streamed(anthropic_client))
    else:
        list(openai_client.responses.create(model="gpt-quay", input="quay", stream=True))
    assert (app.event.status, app.event.error_type) == ("error", "incomplete_stream")


def test_a_chat_stream_without_done_is_complete(
    app: TrackedApp, openai_client: openai.OpenAI, provider: LoopbackProvider
) -> None:
    provider.stream(chat_stream("gpt-quay")[:-1])
    list(chat_streamed(openai_client))
    assert (app.event.status, app.event.input_tokens) == ("ok", 100)


@pytest.mark.parametrize("size", [1, 7, 100_000], ids=["bytes", "small pieces", "all at once"])
def test_the_split_into_chunks_changes_nothing(
    app: TrackedApp, openai_client: openai.OpenAI, provider: LoopbackProvider, size: int
) -> None:
    whole = b"".join(chat_stream("gpt-quay", words=5))
    provider.stream(whole[at : at + size] for at in range(0, len(whole), size))
    assert len(list(chat_streamed(openai_client))) == 8
    assert (app.event.status, app.event.output_tokens) == ("ok", 48)


def test_an_answer_in_plain_json_to_a_stream_request_is_read(
    app: TrackedApp, openai_client: openai.OpenAI, provider: LoopbackProvider
) -> None:
    provider.answer(chat_completion("gpt-quay"))
    list(chat_streamed(openai_client))
    assert (app.event.status, app.event.input_tokens) == ("ok", 100)


def test_a_stream_read_by_another_thread_is_recorded_once(
    app: TrackedApp, openai_client: openai.OpenAI
) -> None:
    stream = chat_streamed(openai_client)
    reader = threading.Thread(target=lambda: list(stream))
    reader.start()
    reader.join()
    stream.close()
    assert app.event.status == "ok"


def test_a_stream_read_by_another_task_is_recorded_once(app: TrackedApp, provider: LoopbackProvider) -> None:
    async def read(stream: Any) -> int:
        return len([chunk async for chunk in stream])

    async def run() -> None:
        async with openai.AsyncOpenAI(api_key="loopback", base_url=f"{provider.url}/v1") as client:
            stream = await chat_streamed(client)
            assert await asyncio.create_task(read(stream)) == 50

    asyncio.run(run())
    assert app.event.status == "ok"


def test_a_generator_of_the_host_that_is_collected_is_aborted(
    app: TrackedApp, openai_client: openai.OpenAI
) -> None:
    def words() -> Any:
        with chat_streamed(openai_client) as stream:
            yield from stream

    generator = words()
    next(generator)
    del generator
    gc.collect()
    assert_aborted(app)


def test_raw_bytes_left_early_are_aborted(app: TrackedApp, openai_client: openai.OpenAI) -> None:
    with openai_client.chat.completions.with_streaming_response.create(
        model="gpt-quay", messages=ASK, stream=True
    ) as response:
        next(response.http_response.iter_raw())
    assert_aborted(app)


def test_a_cancelled_task_is_aborted(app: TrackedApp, provider: LoopbackProvider) -> None:
    provider.stream(chat_stream("gpt-quay"), hold_after=10)

    async def read(client: openai.AsyncOpenAI, begun: asyncio.Event) -> None:
        async for _ in await chat_streamed(client):
            begun.set()

    async def run() -> None:
        async with openai.AsyncOpenAI(api_key="loopback", base_url=f"{provider.url}/v1") as client:
            begun = asyncio.Event()
            task = asyncio.create_task(read(client, begun))
            await begun.wait()
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(run())
    assert_aborted(app)
    assert app.event.error_type == "CancelledError"


def test_a_task_cancelled_before_the_answer_is_aborted(app: TrackedApp, provider: LoopbackProvider) -> None:
    provider.answer(chat_completion("gpt-quay"), delay=5)

    async def run() -> None:
        async with openai.AsyncOpenAI(api_key="loopback", base_url=f"{provider.url}/v1") as client:
            call = client.chat.completions.create(model="gpt-quay", messages=ASK)
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(call, 0.1)

    asyncio.run(run())
    assert (app.event.status, app.event.http_status, app.event.cost_status) == ("aborted", None, "unknown")


def test_an_async_stream_left_by_break_is_aborted(app: TrackedApp, provider: LoopbackProvider) -> None:
    async def run() -> None:
        async with (
            anthropic.AsyncAnthropic(api_key="loopback", base_url=provider.url) as client,
            await message_streamed(client) as stream,
        ):
            async for _ in stream:
                break

    asyncio.run(run())
    assert_aborted(app)


def test_streams_still_open_at_the_end_can_be_recorded(
    app: TrackedApp, make_app: MakeApp, openai_client: openai.OpenAI
) -> None:
    other = make_app("other")
    with app.flask.app_context():
        stream = chat_streamed(openai_client)
    capture.abandon_open_calls(other.runtime)
    assert app.events == []
    capture.abandon_open_calls(app.runtime)
    assert_aborted(app)
    assert len(list(stream)) == 51 - 1, "the host can still read it"
    assert len(app.events) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_does_not_record_the_parents_stream(
    app: TrackedApp, openai_client: openai.OpenAI
) -> None:
    stream = chat_streamed(openai_client)
    child = os.fork()
    if child == 0:
        stream.response.is_closed = True  # leave the parent's connection alone
        stream.close()
        os._exit(len(app.events))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    list(stream)
    assert app.event.status == "ok"


def test_an_exception_the_host_asked_for_comes_after_the_answer(
    make_app: MakeApp, openai_client: openai.OpenAI
) -> None:
    app = make_app(config={"LLM_COST_UNKNOWN_PRICING": "raise"})
    with pytest.raises(UnknownPricingError):
        openai_client.chat.completions.create(model="gpt-quay", messages=ASK)
    assert app.event.input_tokens == 100


def test_the_sdks_own_exception_comes_before_the_one_the_host_asked_for(
    make_app: MakeApp, openai_client: openai.OpenAI, provider: LoopbackProvider
) -> None:
    app = make_app(config={"LLM_COST_UNKNOWN_PRICING": "raise"})
    body = chat_completion("gpt-quay")
    body["choices"][0]["finish_reason"] = "length"
    provider.answer(body)
    with pytest.raises(openai.LengthFinishReasonError):
        chat_helpers(openai_client).parse(
            model="gpt-quay", messages=ASK, response_format={"type": "json_object"}
        )
    assert app.event.input_tokens == 100
    assert app.runtime.counters["unraised_errors"] == 1


@pytest.mark.parametrize("kind", ["chat", "responses", "messages"])
def test_a_stream_hands_out_everything_before_the_exception_the_host_asked_for(
    make_app: MakeApp,
    openai_client: openai.OpenAI,
    anthropic_client: anthropic.Anthropic,
    kind: str,
) -> None:
    app = make_app(config={"LLM_COST_UNKNOWN_PRICING": "raise"})
    seen: list[object] = []
    if kind == "chat":
        stream = chat_streamed(openai_client)
    elif kind == "responses":
        stream = openai_client.responses.create(model="gpt-quay", input="quay", stream=True)
    else:
        stream = message_streamed(anthropic_client)
    with pytest.raises(UnknownPricingError):
        seen.extend(iter(stream))
    assert len(seen) == 50
    assert app.event.status == "ok"


def test_closing_early_never_raises(make_app: MakeApp, openai_client: openai.OpenAI) -> None:
    def refuse(event: object) -> None:
        raise OSError("disk full")

    app = make_app(config={"LLM_COST_STORAGE_ERROR": "raise"}, storage=refuse)
    stream = chat_streamed(openai_client)
    next(stream)
    stream.close()
    app.runtime.recorder.catch_up()
    with pytest.raises(StorageError):
        openai_client.chat.completions.create(model="gpt-quay", messages=ASK)
