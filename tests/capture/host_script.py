"""What a host sees of its SDKs, printed: run once with and once without the tracker, and compared.

``python -m tests.capture.host_script tracked|plain``
"""

from __future__ import annotations

import asyncio
import inspect
import pickle
import sys
import warnings
from collections.abc import Callable
from typing import Any

import anthropic
import openai
from google import genai

from tests.capture.conftest import chat_helpers
from tests.loopback import LoopbackProvider
from tests.loopback import loopback_provider
from tests.wire_formats import anthropic_error
from tests.wire_formats import chat_completion
from tests.wire_formats import chat_stream
from tests.wire_formats import gemini_error
from tests.wire_formats import gemini_stream
from tests.wire_formats import message_stream
from tests.wire_formats import sse

ASK: Any = [{"role": "user", "content": "Is the quay open?"}]
#: Differs from run to run by itself.
VOLATILE = {"idempotency-key", "host", "x-stainless-read-timeout"}


def show(label: str, *values: object) -> None:
    print(label, *values)


def attempt(label: str, work: Callable[[], object]) -> None:
    try:
        found = work()
    except Exception as error:
        cause = type(error.__cause__).__name__
        show(label, "raised", type(error).__module__, type(error).__name__, str(error), cause, error.args)
    else:
        show(label, type(found).__module__, type(found).__qualname__, repr(found)[:400])


def inspect_stream(label: str, stream: Any) -> None:
    response = stream.response
    show(label, type(stream), type(response), response.status_code, sorted(response.headers))
    show(label, "before", response.is_closed, response.is_stream_consumed)
    items = list(stream)
    show(label, len(items), type(items[0]), items[-1])
    show(label, "after", response.is_closed, response.is_stream_consumed, sorted(vars(response)))
    attempt(f"{label} again", lambda: list(response.iter_bytes()))
    attempt(f"{label} read", response.read)


def openai_sync(provider: LoopbackProvider) -> None:
    with openai.OpenAI(api_key="loopback", base_url=f"{provider.url}/v1", timeout=5) as client:
        create = client.chat.completions.create
        attempt("chat", lambda: create(model="gpt-quay", messages=ASK))
        attempt("raw", lambda: client.chat.completions.with_raw_response.create(model="q", messages=ASK))
        inspect_stream("stream", create(model="gpt-quay", messages=ASK, stream=True))
        raw = client.chat.completions.with_raw_response.create(model="q", messages=ASK, stream=True)
        show("raw stream", type(raw), raw.retries_taken, len(list(raw.parse())))
        with client.chat.completions.with_streaming_response.create(model="q", messages=ASK) as answer:
            show("streaming raw", type(answer), answer.status_code, answer.read()[:40], answer.json()["id"])
        with client.chat.completions.with_streaming_response.create(
            model="q", messages=ASK, stream=True
        ) as lines:
            show("lines", next(lines.iter_lines()), lines.is_closed)
        show("left", lines.is_closed, lines.http_response.is_closed)
        attempt("pickle", lambda: pickle.loads(pickle.dumps(raw.http_response)).status_code)
        attempt("no model", lambda: client.chat.completions.create(messages=ASK))  # type: ignore[call-overload]
        provider.fail(400)
        attempt("refused", lambda: create(model="gpt-quay", messages=ASK))
        provider.fail(429, times=2)
        attempt("retried", lambda: create(model="gpt-quay", messages=ASK))
        provider.stream(chat_stream("gpt-quay"), cut_after=9)
        attempt("cut", lambda: list(create(model="gpt-quay", messages=ASK, stream=True)))
        provider.stream([*chat_stream("gpt-quay")[:4], b"data: {broken\n\n"])
        attempt("broken", lambda: list(create(model="gpt-quay", messages=ASK, stream=True)))
        provider.answer(b"{broken")
        attempt("broken body", lambda: create(model="gpt-quay", messages=ASK))
        provider.answer(chat_completion("gpt-quay", "no json"))
        attempt(
            "parse",
            lambda: chat_helpers(client).parse(
                model="gpt-quay", messages=ASK, response_format={"type": "json_object"}
            ),
        )


def anthropic_sync(provider: LoopbackProvider) -> None:
    with anthropic.Anthropic(api_key="loopback", base_url=provider.url, timeout=5) as client:

        def create(**more: Any) -> Any:
            return client.messages.create(model="claude-pier", max_tokens=9, messages=ASK, **more)

        attempt("message", create)
        inspect_stream("message stream", create(stream=True))
        with client.messages.stream(model="claude-pier", max_tokens=9, messages=ASK) as helper:
            show("helper", type(helper), [type(event).__name__ for event in helper][-3:])
        overloaded = sse([anthropic_error("overloaded_error")], named=True)
        provider.stream(message_stream("claude-pier")[:5] + overloaded)
        attempt("error event", lambda: list(create(stream=True)))
        provider.answer(anthropic_error(), status=400)
        attempt("refused", create)
        show("signature", inspect.signature(type(client).post), inspect.signature(type(client).request))


def google_sync(provider: LoopbackProvider) -> None:
    options: Any = {"base_url": provider.url, "timeout": 5_000}
    with genai.Client(api_key="loopback", http_options=options) as client:
        ask: Any = {"model": "gemini-jetty", "contents": "Is the jetty open?"}
        attempt("content", lambda: client.models.generate_content(**ask).model_dump_json())
        attempt("count", lambda: client.models.count_tokens(**ask))
        stream = client.models.generate_content_stream(**ask)
        show("content stream", type(stream), inspect.getgeneratorstate(stream))
        items = list(stream)
        show("content stream", len(items), type(items[0]), items[-1].model_dump_json())
        left = client.models.generate_content_stream(**ask)
        show("content left", next(left).text, left.close())
        provider.answer(gemini_error(), status=400)
        attempt("refused", lambda: client.models.generate_content(**ask))
        provider.stream(gemini_stream("gemini-jetty")[:3] + sse([gemini_error(503, "UNAVAILABLE")]))
        attempt("error chunk", lambda: list(client.models.generate_content_stream(**ask)))
        provider.stream(gemini_stream("gemini-jetty"), cut_after=9)
        attempt("cut", lambda: list(client.models.generate_content_stream(**ask)))
        provider.answer(b"{broken")
        attempt("broken body", lambda: client.models.generate_content(**ask))
        api = client._api_client
        for name in ("request", "async_request", "request_streamed", "async_request_streamed"):
            show("signature", name, inspect.signature(getattr(api, name)))


async def google_async(provider: LoopbackProvider) -> None:
    options: Any = {"base_url": provider.url, "timeout": 5_000}
    ask: Any = {"model": "gemini-jetty", "contents": "Is the jetty open?"}
    async with genai.Client(api_key="loopback", http_options=options).aio as client:
        show("async content", (await client.models.generate_content(**ask)).model_dump_json())
        stream = await client.models.generate_content_stream(**ask)
        show("async content stream", type(stream), len([chunk async for chunk in stream]))
        left = await client.models.generate_content_stream(**ask)
        async for chunk in left:
            show("async content left", chunk.text)
            break
        await left.aclose()


async def both_async(provider: LoopbackProvider) -> None:
    async with openai.AsyncOpenAI(api_key="loopback", base_url=f"{provider.url}/v1") as client:
        coroutine = client.chat.completions.create(model="gpt-quay", messages=ASK, stream=True)
        show("coroutine", inspect.iscoroutine(coroutine))
        stream = await coroutine
        show("async stream", type(stream), type(stream.response), len([chunk async for chunk in stream]))
        show("async after", stream.response.is_closed, sorted(vars(stream.response)))
        left = await client.chat.completions.create(model="gpt-quay", messages=ASK, stream=True)
        async for _ in left:
            break
        await left.close()
        show("async left", left.response.is_closed)
    async with (
        anthropic.AsyncAnthropic(api_key="loopback", base_url=provider.url) as other,
        other.messages.stream(model="claude-pier", max_tokens=9, messages=ASK) as helper,
    ):
        show("async helper", (await helper.get_final_message()).usage)


def main() -> None:
    # google-genai inherits from aiohttp's session, which aiohttp would rather not have.
    warnings.filterwarnings("ignore", "Inheritance class AiohttpClientSession", DeprecationWarning)
    if sys.argv[1] == "tracked":
        from flask import Flask

        from flask_llm_cost import LLMCostTracker

        app = Flask("host")
        LLMCostTracker(app, storage=lambda event: print("recorded", event.status, file=sys.stderr))
    with loopback_provider() as provider:
        openai_sync(provider)
        anthropic_sync(provider)
        asyncio.run(both_async(provider))
        google_sync(provider)
        asyncio.run(google_async(provider))
        for request in provider.requests:
            sent = {name: value for name, value in request.headers.items() if name not in VOLATILE}
            show(request.method, request.path, sorted(sent.items()), request.body)
        show("connections", provider.connections)


if __name__ == "__main__":
    main()
