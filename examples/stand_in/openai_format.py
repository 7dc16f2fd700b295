"""OpenAI's chat completions, responses and embeddings."""

from __future__ import annotations

import base64
import hashlib
import struct
import time
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

DIMENSIONS = 64


def _counts(body: Body, messages: list[Body], reply: str) -> dict[str, int]:
    reasoning = 192 if body["model"].startswith("gpt-5") else 0
    prompt = sum(tokens(text_of(message.get("content"))) + 4 for message in messages)
    prefix = text_of(messages[0].get("content")) if messages else ""
    # The provider's cache starts at 1,024 tokens and grows in steps of 128.
    cached = (
        tokens(prefix) // 128 * 128 if tokens(prefix) >= 1024 and is_repeated(body["model"], prefix) else 0
    )
    return {
        "input": prompt,
        "cached": cached,
        "reasoning": reasoning,
        "output": tokens(reply) + reasoning,
    }


def _chat_usage(counts: dict[str, int]) -> Body:
    return {
        "prompt_tokens": counts["input"],
        "completion_tokens": counts["output"],
        "total_tokens": counts["input"] + counts["output"],
        "prompt_tokens_details": {"cached_tokens": counts["cached"], "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": counts["reasoning"], "audio_tokens": 0},
    }


def chat(body: Body) -> Body:
    reply = reply_to(body, text_of(body["messages"][-1].get("content")))
    message = {"role": "assistant", "content": reply, "refusal": None}
    return {
        "id": f"chatcmpl-{uuid.uuid4().hex}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": answering_model(body),
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": _chat_usage(_counts(body, body["messages"], reply)),
        "service_tier": "default",
    }


def chat_events(body: Body) -> Iterator[ServerEvent]:
    whole = chat(body)
    usage = whole.pop("usage")
    head = {**whole, "object": "chat.completion.chunk"}
    for piece in pieces(whole["choices"][0]["message"]["content"]):
        delta = {"role": "assistant", "content": piece}
        yield None, {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    yield None, {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    # As the provider does it: no usage unless the request asks for it.
    if (body.get("stream_options") or {}).get("include_usage"):
        yield None, {**head, "choices": [], "usage": usage}


def response(body: Body) -> Body:
    given = body["input"]
    messages = given if isinstance(given, list) else [{"role": "user", "content": given}]
    if body.get("instructions"):
        messages = [{"role": "system", "content": body["instructions"]}, *messages]
    reply = reply_to(body, text_of(messages[-1].get("content")))
    counts = _counts(body, messages, reply)
    content = [{"type": "output_text", "text": reply, "annotations": []}]
    return {
        "id": f"resp_{uuid.uuid4().hex}",
        "object": "response",
        "created_at": int(time.time()),
        "status": "completed",
        "model": answering_model(body),
        "output": [
            {"type": "message", "id": f"msg_{uuid.uuid4().hex}", "role": "assistant", "status": "completed"}
            | {"content": content}
        ],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "service_tier": "default",
        "usage": {
            "input_tokens": counts["input"],
            "input_tokens_details": {"cached_tokens": counts["cached"]},
            "output_tokens": counts["output"],
            "output_tokens_details": {"reasoning_tokens": counts["reasoning"]},
            "total_tokens": counts["input"] + counts["output"],
        },
    }


def response_events(body: Body) -> Iterator[ServerEvent]:
    whole = response(body)
    item = whole["output"][0]
    place = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    begun = {**whole, "status": "in_progress", "output": [], "usage": None}
    part = {"type": "output_text", "text": "", "annotations": []}
    events: list[Body] = [
        {"type": "response.created", "response": begun},
        {"type": "response.output_item.added", "output_index": 0, "item": {**item, "content": []}},
        {"type": "response.content_part.added", **place, "part": part},
    ]
    for piece in pieces(item["content"][0]["text"]):
        events.append({"type": "response.output_text.delta", **place, "delta": piece, "logprobs": []})
    events.append({"type": "response.completed", "response": whole})
    for number, event in enumerate(events):
        yield event["type"], {**event, "sequence_number": number}


def embeddings(body: Body) -> Body:
    given = body["input"]
    texts = given if isinstance(given, list) else [given]
    vectors = [_vector(text) for text in texts]
    read = sum(map(tokens, texts))
    as_text = body.get("encoding_format") == "base64"
    return {
        "object": "list",
        "model": body["model"],
        "data": [
            {"object": "embedding", "index": number, "embedding": _packed(vector) if as_text else vector}
            for number, vector in enumerate(vectors)
        ],
        "usage": {"prompt_tokens": read, "total_tokens": read},
    }


def _vector(text: str) -> list[float]:
    """Words counted into buckets: texts that share words point the same way."""
    counts = [0.0] * DIMENSIONS
    for word in text.lower().split():
        counts[hashlib.sha256(word[:5].encode()).digest()[0] % DIMENSIONS] += 1
    length = sum(count * count for count in counts) ** 0.5 or 1.0
    return [count / length for count in counts]


def _packed(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
