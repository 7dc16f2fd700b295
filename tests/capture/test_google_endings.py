"""However a stream of google-genai ends, and whoever ends it, it is recorded once."""

from __future__ import annotations

import asyncio
import gc
import inspect
from typing import Any

import pytest
from google import genai

from flask_llm_cost import capture
from flask_llm_cost.errors import UnknownPricingError
from tests.capture.conftest import MakeApp
from tests.capture.conftest import RunAsync
from tests.capture.conftest import TrackedApp
from tests.capture.google_calls import MODEL
from tests.capture.google_calls import assert_aborted
from tests.capture.google_calls import generate
from tests.capture.google_calls import quiet_aiohttp
from tests.capture.google_calls import streamed
from tests.loopback import LoopbackProvider
from tests.wire_formats import gemini_chunks
from tests.wire_formats import gemini_content
from tests.wire_formats import gemini_stream
from tests.wire_formats import sse

pytestmark = quiet_aiohttp


def test_a_stream_that_is_never_started_is_no_call(
    app: TrackedApp, google_client: genai.Client, provider: LoopbackProvider
) -> None:
    stream = streamed(google_client)
    del stream
    gc.collect()
    assert (app.events, provider.requests) == ([], [])


@pytest.mark.parametrize("how", ["break", "close", "collected"])
def test_a_stream_left_early_is_aborted(app: TrackedApp, google_client: genai.Client, how: str) -> None:
    stream = streamed(google_client)
    for _ in stream:
        break
    assert app.events == []
    if how == "close":
        stream.close()
    del stream
    gc.collect()
    assert_aborted(app)


def test_a_stream_left_after_its_last_chunk_is_complete(app: TrackedApp, google_client: genai.Client) -> None:
    stream = streamed(google_client)
    for chunk in stream:
        if chunk.candidates[0].finish_reason:
            break
    stream.close()
    assert (app.event.status, app.event.output_tokens) == ("ok", 48)


def test_an_exception_of_the_host_midway_aborts_the_stream(
    app: TrackedApp, google_client: genai.Client
) -> None:
    def read() -> None:
        for _ in streamed(google_client):
            raise LookupError("ours")

    with pytest.raises(LookupError, match="ours"):
        read()
    gc.collect()
    assert_aborted(app)


def test_an_async_stream_left_by_break_is_aborted(app: TrackedApp, run_google: RunAsync) -> None:
    async def work(client: Any) -> None:
        stream = await streamed(client)
        async for _ in stream:
            break
        await stream.aclose()
        gc.collect()

    run_google(work)
    assert_aborted(app)


def test_an_async_stream_that_nobody_reads_is_aborted(app: TrackedApp, run_google: RunAsync) -> None:
    async def work(client: Any) -> None:
        path = f"models/{MODEL}:streamGenerateContent?alt=sse"
        chunks = await client.models._api_client.async_request_streamed("post", path, {"contents": []})
        assert inspect.isasyncgen(chunks)
        assert app.events == []
        del chunks
        gc.collect()

    run_google(work)
    assert_aborted(app)


def test_a_cancelled_task_is_aborted(
    app: TrackedApp, run_google: RunAsync, provider: LoopbackProvider
) -> None:
    provider.stream(gemini_stream(MODEL), hold_after=10)

    async def read(client: Any, begun: asyncio.Event) -> None:
        async for _ in await streamed(client):
            begun.set()

    async def work(client: Any) -> None:
        begun = asyncio.Event()
        task = asyncio.create_task(read(client, begun))
        await begun.wait()
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run_google(work)
    assert_aborted(app)
    assert app.event.error_type == "CancelledError"


def test_a_task_cancelled_before_the_answer_is_aborted(
    app: TrackedApp, run_google: RunAsync, provider: LoopbackProvider
) -> None:
    provider.answer(gemini_content(MODEL), delay=5)

    async def work(client: Any) -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(generate(client), 0.1)

    run_google(work)
    assert (app.event.status, app.event.http_status, app.event.cost_status) == ("aborted", None, "unknown")


def test_streams_still_open_at_the_end_can_be_recorded(app: TrackedApp, google_client: genai.Client) -> None:
    stream = streamed(google_client)
    next(stream)
    capture.abandon_open_calls(app.runtime)
    assert_aborted(app)
    assert len(list(stream)) == 49, "the host can still read it"
    assert len(app.events) == 1


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_an_exception_the_host_asked_for_comes_after_the_answer(
    make_app: MakeApp, google_client: genai.Client, stream: bool
) -> None:
    app = make_app(config={"LLM_COST_UNKNOWN_PRICING": "raise"})
    seen: list[object] = []
    with pytest.raises(UnknownPricingError):
        seen.extend(streamed(google_client)) if stream else generate(google_client)
    assert len(seen) == (50 if stream else 0)
    assert (app.event.status, app.event.input_tokens) == ("ok", 100)


def test_an_async_stream_hands_out_everything_before_the_exception_the_host_asked_for(
    make_app: MakeApp, run_google: RunAsync
) -> None:
    app = make_app(config={"LLM_COST_UNKNOWN_PRICING": "raise"})
    seen: list[object] = []

    async def work(client: Any) -> None:
        async for chunk in await streamed(client):
            seen.append(chunk)

    with pytest.raises(UnknownPricingError):
        run_google(work)
    assert (len(seen), app.event.status) == (50, "ok")


def test_the_usage_that_comes_after_the_end_of_the_text_counts(
    app: TrackedApp, google_client: genai.Client, provider: LoopbackProvider
) -> None:
    chunks = gemini_chunks(MODEL, words=3)
    late = {"usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": 2, "totalTokenCount": 9}}
    provider.stream(sse([*chunks, {**late, "modelVersion": MODEL}]))
    list(streamed(google_client))
    assert (app.event.status, app.event.input_tokens, app.event.output_tokens) == ("ok", 7, 2)
