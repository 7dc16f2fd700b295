"""Reads one very long stream and prints what that took: ``python -m tests.capture.long_stream openai 500``.

A process of its own, because a process's peak memory never falls.
"""

from __future__ import annotations

import json
import resource
import sys
from typing import Any

import anthropic
import httpx
import openai
from flask import Flask

from flask_llm_cost import LLMCostTracker
from flask_llm_cost.events import Event
from tests.loopback import LoopbackProvider
from tests.loopback import loopback_provider
from tests.wire_formats import chat_stream
from tests.wire_formats import message_stream

#: The size of one event of the stream, in bytes.
EVENT = 250_000
ASK: Any = [{"role": "user", "content": "Everything, please."}]


def _long(pieces: list[bytes], mark: bytes, megabytes: int) -> list[bytes]:
    """A stream whose first piece of output is very long and comes again and again."""
    at = next(number for number, piece in enumerate(pieces) if mark in piece)
    delta = pieces[at].replace(mark, b"x" * EVENT)
    return [*pieces[:at], *[delta] * (megabytes * 1_000_000 // EVENT), *pieces[at + 1 :]]


def read_openai(provider: LoopbackProvider, tracker: LLMCostTracker, megabytes: int) -> int:
    provider.stream(_long(chat_stream("gpt-5-mini"), b"word0 ", megabytes))
    with openai.OpenAI(api_key="loopback", base_url=f"{provider.url}/v1") as client:
        stream = client.chat.completions.create(model="gpt-5-mini", messages=ASK, stream=True)
        return sum(len(chunk.choices[0].delta.content or "") for chunk in stream if chunk.choices)


def read_anthropic(provider: LoopbackProvider, tracker: LLMCostTracker, megabytes: int) -> int:
    provider.stream(_long(message_stream("claude-haiku-4-5"), b"word0 ", megabytes))
    with anthropic.Anthropic(api_key="loopback", base_url=provider.url) as client:
        stream = client.messages.create(model="claude-haiku-4-5", max_tokens=9, messages=ASK, stream=True)
        deltas = (event.delta for event in stream if event.type == "content_block_delta")
        return sum(len(delta.text) for delta in deltas if delta.type == "text_delta")


def read_gzip(provider: LoopbackProvider, tracker: LLMCostTracker, megabytes: int) -> int:
    provider.stream(_long(chat_stream("gpt-5-mini"), b"word0 ", megabytes), gzip=True)
    asked = {"model": "gpt-5-mini", "messages": ASK, "stream": True}
    url = f"{provider.url}/v1/chat/completions"
    client = httpx.Client(transport=tracker.http_transport())
    with client, client.stream("POST", url, json=asked) as response:
        return sum(len(chunk) for chunk in response.iter_bytes())


READERS = {"openai": read_openai, "anthropic": read_anthropic, "gzip": read_gzip}


def main(reader: str, megabytes: str) -> None:
    """Print what was stored, and by how many MB the peak memory grew after a stream of 20 MB."""
    stored: list[Event] = []
    app = Flask(__name__)
    hosts = {"127.0.0.1": "openai"}
    app.config.update(TESTING=True, LLM_COST_DASHBOARD=False, LLM_COST_PROVIDER_HOSTS=hosts)
    tracker = LLMCostTracker(app, storage=stored.append)
    read = READERS[reader]
    with loopback_provider() as provider, app.app_context():
        read(provider, tracker, 20)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        received = read(provider, tracker, int(megabytes))
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    event = stored[-1]
    tokens = [event.input_tokens, event.output_tokens]
    print(json.dumps([len(stored), event.status, tokens, received // 1_000_000, grown // 1024]))


if __name__ == "__main__":
    main(*sys.argv[1:])
