"""Every way in which a host can take the answer of a tapped HTTP client, or leave it: one row each."""

from __future__ import annotations

import asyncio
import gc
import io
import shutil
import tracemalloc
import zlib
from collections.abc import Awaitable
from collections.abc import Callable
from typing import Any

import aiohttp
import httpx2
import pytest
import requests
import urllib3

from flask_llm_cost.capture.unpacking import unpacked
from flask_llm_cost.errors import UnknownPricingError
from flask_llm_cost.events import Observation
from tests.capture.conftest import MakeApp
from tests.capture.conftest import TrackedApp
from tests.capture.http_clients import ASK
from tests.capture.http_clients import CHAT
from tests.capture.http_clients import STREAM
from tests.loopback import LoopbackProvider
from tests.wire_formats import chat_completion
from tests.wire_formats import chat_stream

HTTP: dict[str, Any] = {
    "LLM_COST_PROVIDER_HOSTS": {"127.0.0.1": "openai"},
    "LLM_COST_INSTRUMENT": ["http"],
}
EVENTS = b"".join(chat_stream("gpt-quay"))


@pytest.fixture
def app(make_app: MakeApp) -> TrackedApp:
    return make_app(config=HTTP)


def recorded(app: TrackedApp) -> tuple[object, ...]:
    return (app.event.status, app.event.model, app.event.input_tokens, app.event.output_tokens)


FULLY = ("ok", "gpt-quay", 100, 48)


def send_answer(provider: LoopbackProvider, kind: str, *, gzip: bool) -> None:
    if kind == "streamed":
        provider.stream(chat_stream("gpt-quay"), gzip=gzip)
    else:
        headers = {"content-type": "text/event-stream"}
        provider.answer(EVENTS, headers=headers, gzip=gzip)


every_answer = pytest.mark.parametrize(
    ("kind", "gzip"),
    [("streamed", False), ("streamed", True), ("of known length", False), ("of known length", True)],
    ids=["streamed", "streamed gzip", "known length", "known length gzip"],
)


# aiohttp

Content = aiohttp.StreamReader
Take = Callable[[aiohttp.ClientResponse], Awaitable[bytes]]


def run_aiohttp(
    take: Callable[[aiohttp.ClientResponse], Awaitable[Any]],
    provider: LoopbackProvider,
    body: Any = STREAM,
    **session: Any,
) -> Any:
    async def main() -> Any:
        async with (
            aiohttp.ClientSession(provider.url, **session) as client,
            client.post(CHAT, json=body) as response,
        ):
            assert type(response) is aiohttp.ClientResponse
            assert type(response.content) is aiohttp.StreamReader
            return await take(response)

    return asyncio.run(main())


async def _text(response: aiohttp.ClientResponse) -> bytes:
    return (await response.text()).encode()


async def _twice(response: aiohttp.ClientResponse) -> bytes:
    assert await response.read() == await response.read()
    return await response.read()


async def _pieces(pieces: Any) -> bytes:
    found = b""
    async for piece in pieces:
        found += piece[0] if isinstance(piece, tuple) else piece
    return found


async def _until_empty(read: Callable[[], Awaitable[bytes]]) -> bytes:
    found = b""
    while piece := await read():
        found += piece
    return found


async def _exactly(response: aiohttp.ClientResponse) -> bytes:
    return await response.content.readexactly(len(EVENTS))


async def _as_it_comes(response: aiohttp.ClientResponse) -> bytes:
    found = b""
    while not response.content.at_eof():
        found += response.content.read_nowait() or await response.content.readany()
    return found


AIOHTTP_WAYS: dict[str, Take] = {
    "read": lambda response: response.read(),
    "text": _text,
    "read twice": _twice,
    "content.read": lambda response: response.content.read(),
    "content.read(16)": lambda response: _until_empty(lambda: response.content.read(16)),
    "content.readany": lambda response: _until_empty(response.content.readany),
    "content.readline": lambda response: _until_empty(response.content.readline),
    "content.readuntil": lambda response: _until_empty(lambda: response.content.readuntil(b"}")),
    "content.readexactly": _exactly,
    "content.read_nowait": _as_it_comes,
    "iter_any": lambda response: _pieces(response.content.iter_any()),
    "iter_chunked": lambda response: _pieces(response.content.iter_chunked(7)),
    "iter_chunks": lambda response: _pieces(response.content.iter_chunks()),
    "lines": lambda response: _pieces(response.content),
}


@every_answer
@pytest.mark.parametrize("way", AIOHTTP_WAYS)
def test_aiohttp_is_read_along(
    app: TrackedApp, provider: LoopbackProvider, way: str, kind: str, gzip: bool
) -> None:
    send_answer(provider, kind, gzip=gzip)
    assert run_aiohttp(AIOHTTP_WAYS[way], provider) == EVENTS
    assert recorded(app) == FULLY


def test_json_of_aiohttp_is_read_along(app: TrackedApp, provider: LoopbackProvider) -> None:
    provider.answer(chat_completion("gpt-quay"), gzip=True)
    found = run_aiohttp(lambda response: response.json(), provider, ASK)
    assert found == chat_completion("gpt-quay")
    assert recorded(app) == FULLY


def test_packed_bytes_that_aiohttp_hands_on_are_unpacked_for_us(
    app: TrackedApp, provider: LoopbackProvider
) -> None:
    provider.stream(chat_stream("gpt-quay"), gzip=True)
    found = run_aiohttp(aiohttp.ClientResponse.read, provider, auto_decompress=False)
    assert zlib.decompress(found, wbits=31) == EVENTS
    assert recorded(app) == FULLY


@pytest.mark.parametrize("size", [10, 3_000], ids=["all arrived", "more to come"])
def test_an_answer_of_aiohttp_that_is_left_is_recorded_as_far_as_it_came(
    app: TrackedApp, provider: LoopbackProvider, size: int
) -> None:
    provider.stream([b"".join(chat_stream("gpt-quay", words=size))], hold_after=1)

    async def leave(response: aiohttp.ClientResponse) -> None:
        await response.content.read(1)

    run_aiohttp(leave, provider)
    provider.release()
    expected = ("ok", 48) if size == 10 else ("aborted", None)
    assert (app.event.status, app.event.output_tokens) == expected


def test_a_task_of_aiohttp_that_is_cancelled_while_it_reads_is_aborted(
    app: TrackedApp, provider: LoopbackProvider
) -> None:
    provider.stream(chat_stream("gpt-quay"), hold_after=2)

    async def read(response: aiohttp.ClientResponse) -> None:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().call_later(0.1, task.cancel)
        await _pieces(response.content.iter_any())

    with pytest.raises(asyncio.CancelledError):
        run_aiohttp(read, provider)
    assert (app.event.status, app.event.error_type) == ("aborted", "CancelledError")
    assert app.event.provider_response_id == "chatcmpl-quay-2"


def test_a_time_limit_of_the_whole_request_to_aiohttp_is_an_error(
    app: TrackedApp, provider: LoopbackProvider
) -> None:
    provider.stream(chat_stream("gpt-quay"), hold_after=2)
    with pytest.raises(TimeoutError):
        run_aiohttp(aiohttp.ClientResponse.read, provider, timeout=aiohttp.ClientTimeout(total=0.2))
    assert (app.event.status, app.event.error_type) == ("error", "TimeoutError")
    assert app.event.cost_status == "unknown"


def test_a_hosts_own_error_while_it_reads_aiohttp_is_no_error_of_the_call(
    app: TrackedApp, provider: LoopbackProvider
) -> None:
    provider.stream(chat_stream("gpt-quay"), hold_after=2)

    async def read(response: aiohttp.ClientResponse) -> None:
        await response.content.readany()
        raise OSError("the host's disk is full")

    with pytest.raises(OSError, match="disk"):
        run_aiohttp(read, provider)
    assert (app.event.status, app.event.error_type) == ("aborted", None)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # aiohttp says so, too
def test_an_answer_of_aiohttp_that_nobody_closes_is_aborted_when_it_is_collected(
    app: TrackedApp, provider: LoopbackProvider
) -> None:
    provider.stream(chat_stream("gpt-quay"), hold_after=2)

    async def main() -> None:
        async with aiohttp.ClientSession(provider.url) as client:
            response = await client.post(CHAT, json=STREAM)
            await response.content.readany()
            assert app.events == []

    asyncio.run(main())
    gc.collect()
    assert (app.event.status, app.event.cost_status) == ("aborted", "unknown")


# urllib3, and requests and others who read it


def _read_all(read: Callable[[], bytes]) -> bytes:
    found = b""
    while piece := read():
        found += piece
    return found


def _copied(response: urllib3.HTTPResponse) -> bytes:
    target = io.BytesIO()
    shutil.copyfileobj(response, target)
    return target.getvalue()


def _into(response: urllib3.HTTPResponse) -> bytes:
    found, buffer = b"", bytearray(100)
    while size := response.readinto(buffer):
        found += bytes(buffer[:size])
    return found


def _lines(response: urllib3.HTTPResponse) -> bytes:
    response.auto_close = False
    return b"".join(line.encode() for line in io.TextIOWrapper(response, newline=""))


URLLIB3_WAYS: dict[str, Callable[[Any], bytes]] = {
    "read": lambda response: response.read(),
    "read(16)": lambda response: _read_all(lambda: response.read(16)),
    "read1": lambda response: _read_all(response.read1),
    "read1(16)": lambda response: _read_all(lambda: response.read1(16)),
    "data": lambda response: response.data,
    "stream": lambda response: b"".join(response.stream(16, decode_content=True)),
    "iterated": b"".join,
    "readinto": _into,
    "copied": _copied,
    "lines of text": _lines,
}


@every_answer
@pytest.mark.parametrize("way", URLLIB3_WAYS)
def test_urllib3_is_read_along(
    app: TrackedApp, provider: LoopbackProvider, way: str, kind: str, gzip: bool
) -> None:
    send_answer(provider, kind, gzip=gzip)
    with urllib3.PoolManager() as pool:
        response = pool.request("POST", provider.url + CHAT, json=STREAM, preload_content=False)
        assert type(response) is urllib3.HTTPResponse
        assert URLLIB3_WAYS[way](response) == EVENTS
        assert recorded(app) == FULLY, "before the response is closed or collected"


RAW_WAYS: dict[str, Callable[[Any], bytes]] = {
    "read": lambda raw: raw.read(decode_content=False),
    "read(16)": lambda raw: _read_all(lambda: raw.read(16)),
    "stream": lambda raw: b"".join(raw.stream(16)),
}


@every_answer
@pytest.mark.parametrize("way", RAW_WAYS)
def test_what_is_taken_from_the_raw_response_of_requests_is_read_along(
    app: TrackedApp, provider: LoopbackProvider, way: str, kind: str, gzip: bool
) -> None:
    send_answer(provider, kind, gzip=gzip)
    with requests.post(provider.url + CHAT, json=STREAM, stream=True, timeout=5) as response:
        found = RAW_WAYS[way](response.raw)
        assert recorded(app) == FULLY
    assert (zlib.decompress(found, wbits=31) if gzip else found) == EVENTS


def test_a_body_that_is_read_to_its_last_byte_and_no_further_is_complete(
    app: TrackedApp, provider: LoopbackProvider
) -> None:
    provider.answer(chat_completion("gpt-quay"))
    with requests.post(provider.url + CHAT, json=ASK, stream=True, timeout=5) as response:
        response.raw.read(int(response.headers["content-length"]))
        assert recorded(app) == FULLY


@pytest.mark.parametrize("way", ["closed", "collected", "given back"])
def test_an_answer_of_urllib3_that_is_left_is_aborted(
    app: TrackedApp, provider: LoopbackProvider, way: str
) -> None:
    provider.stream(chat_stream("gpt-quay"), hold_after=2)
    with urllib3.PoolManager() as pool:
        response = pool.request("POST", provider.url + CHAT, json=STREAM, preload_content=False)
        response.read1()
        assert app.events == []
        if way == "closed":
            response.close()
        if way == "given back":
            response.release_conn()
        del response
        gc.collect()
        assert (app.event.status, app.event.cost_status) == ("aborted", "unknown")


@pytest.mark.parametrize("preloaded", [True, False])
def test_an_exception_that_the_host_asked_for_reaches_one_who_reads_urllib3(
    make_app: MakeApp, provider: LoopbackProvider, preloaded: bool
) -> None:
    app = make_app(config={**HTTP, "LLM_COST_UNKNOWN_PRICING": "raise"})
    with urllib3.PoolManager() as pool, pytest.raises(UnknownPricingError):
        pool.request("POST", provider.url + CHAT, json=ASK, preload_content=preloaded).read()
    assert app.event.status == "ok"


# Memory, and encodings

PIECE = b'data: {"id":"c","model":"gpt-quay","choices":[{"index":0,"delta":{"content":"%s"}}]}\n\n' % (
    b"x" * 64_000
)


async def _drained(response: aiohttp.ClientResponse) -> None:
    async for _ in response.content.iter_any():
        pass


def _drain_httpx2(provider: LoopbackProvider) -> None:
    with (
        httpx2.Client(verify=False) as client,
        client.stream("POST", provider.url + CHAT, json=STREAM) as response,
    ):
        for _ in response.iter_raw():
            pass


def _drain_requests(provider: LoopbackProvider) -> None:
    with requests.post(provider.url + CHAT, json=STREAM, stream=True, timeout=5) as response:
        for _ in response.iter_content(2**16):
            pass


@pytest.mark.parametrize(
    "drain",
    [_drain_httpx2, _drain_requests, lambda provider: run_aiohttp(_drained, provider)],
    ids=["httpx2", "requests", "aiohttp"],
)
def test_a_long_stream_takes_no_memory(
    app: TrackedApp, provider: LoopbackProvider, drain: Callable[[LoopbackProvider], None]
) -> None:
    provider.stream([*[PIECE] * 400, *chat_stream("gpt-quay")])
    tracemalloc.start()
    try:
        drain(provider)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert recorded(app) == FULLY
    assert peak < 5_000_000, "the stream has 26 MB"


class Kept:
    """A reader that keeps what it is fed."""

    saw_output = is_whole = False

    def __init__(self) -> None:
        self.kept = b""

    def feed(self, chunk: bytes) -> bool:
        self.kept += chunk
        return False

    def complete(self) -> Observation:
        return Observation()

    partial = complete

    def before_end(self, chunk: bytes) -> bytes:
        return chunk


def _deflated(data: bytes, wbits: int) -> bytes:
    packer = zlib.compressobj(wbits=wbits)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize(
    "encoding", ["gzip", "x-gzip", "deflate", "bare deflate", "br", "zstd", "deflate, gzip"]
)
def test_every_usual_encoding_is_unpacked_in_any_split(encoding: str) -> None:
    if encoding == "br":
        packed = pytest.importorskip("brotli").compress(EVENTS)
    elif encoding == "zstd":
        packed = pytest.importorskip("backports.zstd").compress(EVENTS)
    elif encoding == "deflate, gzip":
        packed = _deflated(_deflated(EVENTS, 15), 31)
    else:
        packed = _deflated(EVENTS, {"deflate": 15, "bare deflate": -15}.get(encoding, 31))
    for step in (1, 100, len(packed)):
        kept = Kept()
        reader = unpacked(kept, encoding.removeprefix("bare "))
        for start in range(0, len(packed), step):
            assert reader.feed(packed[start : start + step]) is False
        assert (kept.kept, reader.complete().status) == (EVENTS, "ok")


def test_what_is_not_packed_is_read_as_it_is_and_what_nobody_knows_not_at_all() -> None:
    kept = Kept()
    assert unpacked(kept, "") is kept
    assert unpacked(kept, "identity") is kept
    with pytest.raises(LookupError):
        unpacked(kept, "rot13")
