"""Anthropic's messages."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

from .replies import Body
from .replies import ServerEvent
from .replies import answering_model
from .replies import is_repeated
from .replies import pieces
from .replies import reply_to
from .replies import text_of
from .replies import tokens


def _anthropic_usage(body: Body, reply: str) -> Body:
    system = body.get("system") or []
    blocks = system if isinstance(system, list) else [{"text": system}]
    marked = "".join(block["text"] for block in blocks if block.get("cache_control"))
    plain = "".join(block["text"] for block in blocks if not block.get("cache_control"))
    written = read = 0
    if marked:
        written, read = (0, tokens(marked)) if is_repeated(body["model"], marked) else (tokens(marked), 0)
    fresh = sum(tokens(text_of(message["content"])) + 4 for message in body["messages"])
    return {
        "input_tokens": fresh + (tokens(plain) if plain else 0),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
        "cache_creation": {"ephemeral_5m_input_tokens": written, "ephemeral_1h_input_tokens": 0},
        "output_tokens": tokens(reply),
        "service_tier": "standard",
    }


def message(body: Body) -> Body:
    reply = reply_to(body, text_of(body["messages"][-1]["content"]))
    return {
        "id": f"msg_{uuid.uuid4().hex}",
        "type": "message",
        "role": "assistant",
        "model": answering_model(body),
        "content": [{"type": "text", "text": reply}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": _anthropic_usage(body, reply),
    }


def message_events(body: Body) -> Iterator[ServerEvent]:
    whole = message(body)
    usage = whole["usage"]
    begun = {**whole, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
    events: list[Body] = [
        {"type": "message_start", "message": begun},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    ]
    for piece in pieces(whole["content"][0]["text"]):
        events.append(
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}}
        )
    end = {"stop_reason": "end_turn", "stop_sequence": None}
    events += [
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": end, "usage": {"output_tokens": usage["output_tokens"]}},
        {"type": "message_stop"},
    ]
    for event in events:
        yield event["type"], event
