"""Shorthands of these tests: answers as bytes, and what was read from them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from flask_llm_cost.events import Observation
from flask_llm_cost.providers import Route
from flask_llm_cost.providers import StreamReader
from flask_llm_cost.providers import find_route
from flask_llm_cost.providers import read_body
from flask_llm_cost.usage import TOKEN_FIELDS
from flask_llm_cost.usage import Usage

CHAT = find_route("POST", "api.openai.com", "/v1/chat/completions")
COMPLETIONS = find_route("POST", "api.openai.com", "/v1/completions")
EMBEDDINGS = find_route("POST", "api.openai.com", "/v1/embeddings")
RESPONSES = find_route("POST", "api.openai.com", "/v1/responses")
MESSAGES = find_route("POST", "api.anthropic.com", "/v1/messages")
OPENROUTER = find_route("POST", "openrouter.ai", "/api/v1/chat/completions")
XAI = find_route("POST", "api.x.ai", "/v1/chat/completions")
GEMINI = find_route(
    "POST", "generativelanguage.googleapis.com", "/v1beta/models/gemini-2.5-flash:streamGenerateContent"
)
GROQ = find_route("POST", "api.groq.com", "/openai/v1/chat/completions")


def read(route: Route, document: Mapping[str, Any]) -> Observation:
    return read_body(route, json.dumps(document).encode())


def event(document: Mapping[str, Any] | str, name: str | None = None) -> bytes:
    data = document if isinstance(document, str) else json.dumps(document)
    head = "" if name is None else f"event: {name}\n"
    return f"{head}data: {data}\n\n".encode()


def stream(route: Route, *events: Mapping[str, Any] | str | bytes) -> StreamReader:
    """A reader that was shown these events, one chunk each; typed ones get their type as name."""
    reader = StreamReader(route)
    for item in events:
        if isinstance(item, Mapping):
            reader.feed(event(item, item.get("type")))
        else:
            reader.feed(item if isinstance(item, bytes) else event(item))
    return reader


def told(usage: Usage | None) -> dict[str, int]:
    """The counts that were told, by field name."""
    if usage is None:
        raise AssertionError("no usage was read")
    found = {name: getattr(usage, name) for name in TOKEN_FIELDS}
    return {name: tokens for name, tokens in found.items() if tokens is not None}
