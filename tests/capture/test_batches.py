"""Results of batches, read with the real SDKs and HTTP clients: a row for each billed line, however often."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from datetime import UTC
from datetime import datetime
from typing import Any

import anthropic
import httpx
import httpx2
import openai
import pytest
import requests
from google import genai

from flask_llm_cost.context import with_tags
from flask_llm_cost.errors import UnknownPricingError
from flask_llm_cost.events import Event
from flask_llm_cost.extension import LLMCostTracker
from tests.batch_formats import JSONL
from tests.batch_formats import MADE
from tests.batch_formats import anthropic_batch
from tests.batch_formats import anthropic_line
from tests.batch_formats import anthropic_unbilled
from tests.batch_formats import gemini_batch
from tests.batch_formats import gemini_line
from tests.batch_formats import jsonl
from tests.batch_formats import openai_expired
from tests.batch_formats import openai_line
from tests.batch_formats import openai_refused
from tests.capture.conftest import MakeApp
from tests.capture.conftest import RunAsync
from tests.capture.conftest import TrackedApp
from tests.capture.google_calls import quiet_aiohttp
from tests.loopback import LoopbackProvider
from tests.wire_formats import chat_completion
from tests.wire_formats import openai_error

OUTPUT = jsonl([openai_line(1), openai_refused(2), openai_line(3)])
RESULTS = jsonl([anthropic_line(1), anthropic_unbilled(2, "errored"), anthropic_line(3)])


def ids(app: TrackedApp) -> list[str | None]:
    return [event.provider_response_id for event in app.events]


def _streamed(client: openai.OpenAI) -> bytes:
    with client.files.with_streaming_response.content("file_1") as response:
        return b"".join(response.iter_bytes())


OPENAI_READS: dict[str, Callable[[openai.OpenAI], bytes]] = {
    "content": lambda client: client.files.content("file_1").content,
    "raw": lambda client: client.files.with_raw_response.content("file_1").content,
    "streaming": _streamed,
    "lines": lambda client: "\n".join([*client.files.content("file_1").iter_lines(), ""]).encode(),
    "retrieve_content": lambda client: client.files.retrieve_content("file_1").encode(),
    "untyped": lambda client: client.get("/files/file_1/content", cast_to=str).encode(),
}


@pytest.mark.filterwarnings("ignore:The `.content:DeprecationWarning")
@pytest.mark.parametrize("way", OPENAI_READS)
def test_each_succeeded_line_of_openai_is_one_row(
    app: TrackedApp, provider: LoopbackProvider, openai_client: openai.OpenAI, way: str
) -> None:
    provider.answer(
        OUTPUT, headers={"content-type": "application/octet-stream", "openai-project": "proj-quay"}
    )

    assert OPENAI_READS[way](openai_client) == OUTPUT

    assert ids(app) == ["chatcmpl-1", "chatcmpl-3"]
    event = app.events[0]
    assert (event.provider, event.operation, event.status, event.model) == (
        "openai",
        "chat",
        "ok",
        "gpt-4o-mini",
    )
    assert (event.usage_source, event.pricing_mode, event.cost_status) == ("batch", "batch", "complete")
    assert (event.input_tokens, event.cache_read_input_tokens, event.output_tokens) == (100, 20, 48)
    assert (event.http_status, event.attempts, event.stream, event.latency_ms) == (200, 1, False, None)
    assert event.provider_account == "proj-quay"
    assert event.occurred_at == datetime.fromtimestamp(MADE, UTC)


@pytest.mark.parametrize("way", ["content", "streaming", "raw"])
def test_the_same_holds_for_the_async_client(app: TrackedApp, provider: LoopbackProvider, way: str) -> None:
    async def read() -> bytes:
        async with openai.AsyncOpenAI(api_key="loopback", base_url=f"{provider.url}/v1") as client:
            if way == "content":
                return (await client.files.content("file_1")).content
            if way == "raw":
                return (await client.files.with_raw_response.content("file_1")).content
            async with client.files.with_streaming_response.content("file_1") as response:
                return b"".join([chunk async for chunk in response.iter_bytes()])

    # Pieces above and below the size from which they are read along in a thread.
    long = openai_line(4, chat_completion("gpt-4o-mini", "word " * 8_000, id="chatcmpl-4"))
    provider.stream([OUTPUT, jsonl([long])], headers=JSONL)

    assert asyncio.run(read()) == OUTPUT + jsonl([long])
    assert ids(app) == ["chatcmpl-1", "chatcmpl-3", "chatcmpl-4"]


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_many_lines_are_recorded_in_a_thread_where_an_event_loop_runs(
    make_app: MakeApp, provider: LoopbackProvider, streamed: bool
) -> None:
    threads: list[threading.Thread] = []
    make_app(storage=lambda event: threads.append(threading.current_thread()))
    provider.answer(jsonl(openai_line(number) for number in range(50)), headers=JSONL)

    async def read() -> None:
        async with openai.AsyncOpenAI(api_key="loopback", base_url=f"{provider.url}/v1") as client:
            if not streamed:
                await client.files.content("file_1")
                return
            async with client.files.with_streaming_response.content("file_1") as response:
                async for _ in response.iter_bytes():
                    pass

    asyncio.run(read())

    assert len(threads) == 50
    assert threading.current_thread() not in threads


def test_what_could_not_be_stored_is_recorded_by_the_next_reading(
    make_app: MakeApp, provider: LoopbackProvider, openai_client: openai.OpenAI
) -> None:
    stored: list[Event] = []

    def store(event: Event) -> None:
        if len(provider.requests) == 1 and event.provider_response_id == "chatcmpl-3":
            raise OSError("the disk is full")
        stored.append(event)

    make_app(storage=store)
    for _ in range(2):
        provider.answer(OUTPUT, headers=JSONL)
        openai_client.files.content("file_1")

    assert [event.provider_response_id for event in stored] == ["chatcmpl-1", "chatcmpl-3"]


@pytest.mark.parametrize("beta", [False, True], ids=["messages", "beta"])
def test_each_succeeded_result_of_anthropic_is_one_row(
    app: TrackedApp, provider: LoopbackProvider, anthropic_client: anthropic.Anthropic, beta: bool
) -> None:
    provider.answer(anthropic_batch(provider.url))
    provider.stream([RESULTS[:700], RESULTS[700:]], headers=JSONL)
    messages: Any = anthropic_client.beta.messages if beta else anthropic_client.messages

    found = [result.custom_id for result in messages.batches.results("msgbatch_1")]

    assert found == ["boat-1", "boat-2", "boat-3"]
    assert ids(app) == ["msg_1", "msg_3"]
    event = app.events[0]
    assert (event.provider, event.operation, event.model) == ("anthropic", "messages", "claude-sonnet-4-6")
    assert (event.usage_source, event.pricing_mode, event.cost_status) == ("batch", "batch", "complete")
    assert (event.stream, event.time_to_first_token_ms) == (False, None)
    assert (event.input_tokens, event.cache_read_input_tokens, event.output_tokens) == (100, 20, 48)


def test_the_same_holds_for_anthropics_async_client(app: TrackedApp, provider: LoopbackProvider) -> None:
    async def read() -> list[str]:
        async with anthropic.AsyncAnthropic(api_key="loopback", base_url=provider.url) as client:
            return [result.custom_id async for result in await client.messages.batches.results("msgbatch_1")]

    provider.answer(anthropic_batch(provider.url))
    provider.stream([RESULTS], headers=JSONL, gzip=True)

    assert asyncio.run(read()) == ["boat-1", "boat-2", "boat-3"]
    assert ids(app) == ["msg_1", "msg_3"]


def test_results_inside_googles_batch_object_are_rows(
    app: TrackedApp, provider: LoopbackProvider, google_client: genai.Client
) -> None:
    provider.answer(
        gemini_batch(name="batches/quay1") | {"metadata": {"state": "BATCH_STATE_RUNNING"}, "response": {}}
    )
    provider.answer(gemini_batch({"error": {"code": 3}}, gemini_line(2), gemini_line(3)))

    google_client.batches.get(name="batches/quay1")
    assert app.events == []
    google_client.batches.get(name="batches/quay1")

    assert ids(app) == ["jetty-2", "jetty-3"]
    event = app.events[0]
    assert (event.provider, event.operation, event.pricing_mode) == ("google", "generate_content", "batch")
    assert (event.input_tokens, event.usage_source, event.cost_status) == (100, "batch", "complete")


def test_results_in_a_file_of_googles_are_rows(
    app: TrackedApp, provider: LoopbackProvider, google_client: genai.Client
) -> None:
    body = jsonl([gemini_line(1), {"key": "boat-2", "error": {"code": 3}}, gemini_line(3)])
    provider.answer(body, headers=JSONL)

    assert google_client.files.download(file="files/batch-9") == body
    assert ids(app) == ["jetty-1", "jetty-3"]


@quiet_aiohttp
def test_the_same_holds_for_googles_async_client(
    app: TrackedApp, provider: LoopbackProvider, run_google: RunAsync
) -> None:
    async def read(client: Any) -> Any:
        await client.batches.get(name="batches/quay1")
        return await client.files.download(file="files/batch-9")

    provider.answer(gemini_batch(gemini_line(1)))
    provider.answer(jsonl([gemini_line(2)]), headers=JSONL)

    assert run_google(read) == jsonl([gemini_line(2)])
    assert ids(app) == ["jetty-1", "jetty-2"]


def test_a_file_that_google_writes_elsewhere_is_passed_on(
    app: TrackedApp, provider: LoopbackProvider, google_client: genai.Client, tmp_path: Any
) -> None:
    provider.answer(jsonl([gemini_line(1)]), headers=JSONL)
    place = tmp_path / "results.jsonl"

    google_client.files.download(file="files/batch-9", destination=str(place))

    assert place.read_bytes() == jsonl([gemini_line(1)])
    assert app.events == []


def read_httpx(package: Any, url: str, tracker: LLMCostTracker, *, half: bool = False) -> bytes:
    transport = tracker.http_transport(package.HTTPTransport(verify=False))
    with package.Client(transport=transport) as client:
        if not half:
            return bytes(client.get(url).content)
        with client.stream("GET", url) as response:
            return bytes(next(response.iter_bytes()))


def read_async(package: Any, url: str, tracker: LLMCostTracker, *, half: bool = False) -> bytes:
    async def read() -> bytes:
        transport = tracker.http_transport(package.AsyncHTTPTransport(verify=False))
        async with package.AsyncClient(transport=transport) as client, client.stream("GET", url) as response:
            return bytes(await (anext(response.aiter_bytes()) if half else response.aread()))

    return asyncio.run(read())


def read_requests(package: Any, url: str, tracker: LLMCostTracker, *, half: bool = False) -> bytes:
    with package.Session() as session:
        session.mount("http://", tracker.requests_adapter())
        with session.get(url, stream=half) as response:
            return bytes(next(response.iter_content(None)) if half else response.content)


http_clients = pytest.mark.parametrize(
    ("read", "package"),
    [
        (read_httpx, httpx),
        (read_httpx, httpx2),
        (read_async, httpx),
        (read_async, httpx2),
        (read_requests, requests),
    ],
    ids=["httpx", "httpx2", "httpx async", "httpx2 async", "requests"],
)


@http_clients
@pytest.mark.parametrize("gzip", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("/v1/files/file_1/content", OUTPUT, ["chatcmpl-1", "chatcmpl-3"]),
        ("/v1/messages/batches/msgbatch_1/results", RESULTS, ["msg_1", "msg_3"]),
        ("/v1beta/batches/quay1", json.dumps(gemini_batch(gemini_line(1))).encode(), ["jetty-1"]),
        ("/v1beta/files/batch-9:download?alt=media", jsonl([gemini_line(1)]), ["jetty-1"]),
    ],
    ids=["openai", "anthropic", "gemini", "gemini file"],
)
def test_plain_http_clients_read_the_same(
    make_app: MakeApp,
    provider: LoopbackProvider,
    read: Any,
    package: Any,
    gzip: bool,
    path: str,
    body: bytes,
    expected: list[str],
) -> None:
    app = make_app(config={"LLM_COST_PROVIDER_HOSTS": {"127.0.0.1": "mistral"}})
    provider.answer(body, headers=JSONL, gzip=gzip)

    assert read(package, provider.url + path, app.tracker) == body

    assert ids(app) == expected
    assert {(event.provider, event.usage_source) for event in app.events} == {("mistral", "batch")}


@http_clients
def test_what_was_read_of_a_file_that_is_left_is_recorded_and_the_rest_later(
    make_app: MakeApp, provider: LoopbackProvider, read: Any, package: Any
) -> None:
    app = make_app(config={"LLM_COST_PROVIDER_HOSTS": {"127.0.0.1": "openai"}})
    url = f"{provider.url}/v1/files/file_1/content"
    half = jsonl([openai_line(1), openai_line(2)])[:-20]
    rest = jsonl([openai_line(1), openai_line(2), openai_line(3)])[len(half) :]
    provider.stream([half, rest], headers=JSONL, hold_after=1)

    assert read(package, url, app.tracker, half=True) == half
    assert ids(app) == ["chatcmpl-1"]

    provider.answer(half + rest, headers=JSONL)
    read(package, url, app.tracker)
    assert ids(app) == ["chatcmpl-1", "chatcmpl-2", "chatcmpl-3"]


def test_a_file_that_breaks_off_leaves_what_was_read(
    app: TrackedApp, provider: LoopbackProvider, openai_client: openai.OpenAI
) -> None:
    provider.stream([jsonl([openai_line(1)]), OUTPUT], headers=JSONL, cut_after=1)

    with (
        pytest.raises(Exception, match=r"incomplete|peer closed"),
        openai_client.files.with_streaming_response.content("file_1") as response,
    ):
        list(response.iter_bytes())

    assert ids(app) == ["chatcmpl-1"]


def test_a_second_reading_adds_nothing_in_this_process(
    app: TrackedApp, provider: LoopbackProvider, openai_client: openai.OpenAI
) -> None:
    for _ in range(2):
        provider.answer(OUTPUT, headers=JSONL)
        openai_client.files.content("file_1")

    assert ids(app) == ["chatcmpl-1", "chatcmpl-3"]


def test_a_second_reading_has_the_same_event_ids_in_another_app(
    make_app: MakeApp, provider: LoopbackProvider, openai_client: openai.OpenAI
) -> None:
    apps = [make_app(name) for name in ("harbour", "pier")]
    for app in apps:
        provider.answer(OUTPUT, headers=JSONL)
        with app.flask.app_context():
            openai_client.files.content("file_1")

    first, second = ([event.event_id for event in app.events] for app in apps)
    assert first == second
    assert len(set(first)) == 2


def test_the_same_custom_id_in_two_batches_is_two_rows(
    app: TrackedApp, provider: LoopbackProvider, anthropic_client: anthropic.Anthropic
) -> None:
    for batch in ("msgbatch_1", "msgbatch_2"):
        provider.answer(anthropic_batch(provider.url, batch))
        provider.answer(jsonl([anthropic_line(1)]), headers=JSONL)
        list(anthropic_client.messages.batches.results(batch))

    assert len({event.event_id for event in app.events}) == 2


def test_the_tags_of_the_reading_count(
    app: TrackedApp, provider: LoopbackProvider, anthropic_client: anthropic.Anthropic
) -> None:
    provider.answer(anthropic_batch(provider.url))
    provider.answer(RESULTS, headers=JSONL)
    with with_tags(user=7, feature="nightly"):
        results = anthropic_client.messages.batches.results("msgbatch_1")
    list(results)

    assert [(event.user_id, dict(event.tags)) for event in app.events] == [("7", {"feature": "nightly"})] * 2


def test_what_the_host_calls_a_request_is_not_stored(
    app: TrackedApp, provider: LoopbackProvider, openai_client: openai.OpenAI
) -> None:
    provider.answer(jsonl([openai_line(1, custom_id="patient-Meier")]), headers=JSONL)
    openai_client.files.content("file_1")

    assert "Meier" not in repr(app.event)


@pytest.mark.parametrize(
    "body",
    [
        b"%PDF-1.7\n" + b"\x00" * 100_000,
        jsonl([{"messages": [{"role": "user", "content": "hi"}]}] * 50),
        jsonl([{"custom_id": "a", "method": "POST", "url": "/v1/responses", "body": {}}] * 50),
        jsonl([openai_refused(1), openai_expired(2)]),
        b"",
    ],
    ids=["PDF", "training", "requests", "errors", "empty"],
)
@pytest.mark.parametrize("way", ["content", "streaming"])
def test_a_file_without_billed_results_is_passed_on(
    app: TrackedApp, provider: LoopbackProvider, openai_client: openai.OpenAI, body: bytes, way: str
) -> None:
    provider.answer(body, headers={"content-type": "application/octet-stream"})

    assert OPENAI_READS[way](openai_client) == body
    assert app.events == []
    assert "answer_problems" not in app.runtime.counters.snapshot()


def test_a_file_that_is_not_there_is_no_call(
    app: TrackedApp, provider: LoopbackProvider, openai_client: openai.OpenAI
) -> None:
    provider.answer(openai_error("not_found"), status=404)
    with pytest.raises(openai.NotFoundError):
        openai_client.files.content("file_1")

    assert app.events == []


def test_a_line_that_cannot_be_read_is_counted_and_the_others_are_rows(
    app: TrackedApp,
    provider: LoopbackProvider,
    openai_client: openai.OpenAI,
    caplog: pytest.LogCaptureFixture,
) -> None:
    provider.answer(jsonl([openai_line(1)]) + b'{"secret\n' + jsonl([openai_line(3)]), headers=JSONL)
    openai_client.files.content("file_1")

    assert ids(app) == ["chatcmpl-1", "chatcmpl-3"]
    assert app.runtime.counters["answer_problems"] == 1
    assert "openai: batch: a line is not JSON" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize("way", ["content", "streaming"])
def test_an_exception_the_host_asked_for_comes_when_all_lines_are_recorded(
    make_app: MakeApp, provider: LoopbackProvider, openai_client: openai.OpenAI, way: str
) -> None:
    app = make_app(config={"LLM_COST_UNKNOWN_PRICING": "raise"})
    unknown = openai_line(1, chat_completion("gpt-quay", id="chatcmpl-1"))
    provider.answer(jsonl([unknown, openai_line(2), openai_line(3)]), headers=JSONL)

    with pytest.raises(UnknownPricingError, match="openai/gpt-quay"):
        OPENAI_READS[way](openai_client)

    assert ids(app) == ["chatcmpl-1", "chatcmpl-2", "chatcmpl-3"]


def test_a_moment_that_lies_ahead_is_not_believed(
    app: TrackedApp, provider: LoopbackProvider, openai_client: openai.OpenAI
) -> None:
    body = chat_completion("gpt-4o-mini", created=4_000_000_000)
    provider.answer(jsonl([openai_line(1, body)]), headers=JSONL)
    openai_client.files.content("file_1")

    assert app.event.occurred_at <= datetime.now(UTC)


def test_asking_after_a_batch_is_no_call(
    app: TrackedApp,
    provider: LoopbackProvider,
    openai_client: openai.OpenAI,
    anthropic_client: anthropic.Anthropic,
) -> None:
    usage = {"input_tokens": 120, "output_tokens": 48, "total_tokens": 168}
    provider.answer({"id": "batch_1", "object": "batch", "status": "completed", "usage": usage})
    openai_client.batches.retrieve("batch_1")
    provider.answer(anthropic_batch(provider.url))
    anthropic_client.messages.batches.retrieve("msgbatch_1")

    assert app.events == []
