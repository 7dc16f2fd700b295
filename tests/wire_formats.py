"""Answers in the providers' wire formats, with our own words, ids and numbers. Values only."""

from __future__ import annotations

import json
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any

Payload = Mapping[str, Any]

#: What the answers below bill, in the ledger's words: 100 fresh, 20 cached, 48 out (8 of them reasoning).
OPENAI_USED = {
    "input_tokens": 100,
    "cache_read_input_tokens": 20,
    "output_tokens": 48,
    "reasoning_tokens": 8,
    "total_tokens": 168,
}
ANTHROPIC_USED = {"input_tokens": 100, "cache_read_input_tokens": 20, "output_tokens": 48}

GEMINI_USED = OPENAI_USED

CHAT_USAGE = {
    "prompt_tokens": 120,
    "completion_tokens": 48,
    "total_tokens": 168,
    "prompt_tokens_details": {"cached_tokens": 20},
    "completion_tokens_details": {"reasoning_tokens": 8},
}
RESPONSES_USAGE = {
    "input_tokens": 120,
    "input_tokens_details": {"cached_tokens": 20},
    "output_tokens": 48,
    "output_tokens_details": {"reasoning_tokens": 8},
    "total_tokens": 168,
}
MESSAGES_USAGE = {
    "input_tokens": 100,
    "cache_creation_input_tokens": 0,
    "cache_read_input_tokens": 20,
    "output_tokens": 48,
    "service_tier": "standard",
}

GEMINI_USAGE = {
    "promptTokenCount": 120,
    "cachedContentTokenCount": 20,
    "candidatesTokenCount": 40,
    "thoughtsTokenCount": 8,
    "totalTokenCount": 168,
}

INTERACTION_USAGE = {
    "total_input_tokens": 120,
    "total_cached_tokens": 20,
    "total_output_tokens": 40,
    "total_thought_tokens": 8,
    "total_tool_use_tokens": 0,
    "total_tokens": 168,
    "input_tokens_by_modality": [{"modality": "text", "tokens": 120}],
}


def sse(events: Iterable[Payload | str], *, named: bool = False) -> list[bytes]:
    """Each event as the bytes of one server-sent event; ``named`` adds an ``event:`` line with its type."""
    found = []
    for event in events:
        data = event if isinstance(event, str) else json.dumps(event)
        name = f"event: {event['type']}\n" if named and not isinstance(event, str) else ""
        found.append(f"{name}data: {data}\n\n".encode())
    return found


def chat_completion(model: str, text: str = "The quay is open.", **changes: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    head = {"id": "chatcmpl-quay-1", "object": "chat.completion", "created": 1_790_000_000, "model": model}
    return {**head, "choices": [choice], "usage": CHAT_USAGE, **changes}


def chat_stream(model: str, *, words: int = 47, usage: bool = True) -> list[bytes]:
    """A role chunk, ``words`` content chunks, a finish chunk, a usage chunk if asked for, and [DONE]."""
    head = {
        "id": "chatcmpl-quay-2",
        "object": "chat.completion.chunk",
        "created": 1_790_000_000,
        "model": model,
    }

    def chunk(delta: Payload, finish: str | None = None) -> Payload:
        return {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}

    events: list[Payload | str] = [chunk({"role": "assistant", "content": ""})]
    events += [chunk({"content": f"word{number} "}) for number in range(words)]
    events.append(chunk({}, "stop"))
    if usage:
        events.append({**head, "choices": [], "usage": CHAT_USAGE})
    return sse([*events, "[DONE]"])


def groq_stream(model: str) -> list[bytes]:
    """As :func:`chat_stream`, but the usage stands in the chunk that finishes, and nobody needs to ask."""
    *pieces, last, done = chat_stream(model, usage=False)
    finish = json.loads(last.removeprefix(b"data: "))
    return [*pieces, *sse([{**finish, "x_groq": {"id": "req_1", "usage": CHAT_USAGE}}]), done]


def completion(model: str) -> dict[str, Any]:
    choice = {"index": 0, "text": "open", "finish_reason": "stop", "logprobs": None}
    head = {"id": "cmpl-quay-1", "object": "text_completion", "created": 1_790_000_000, "model": model}
    return {**head, "choices": [choice], "usage": CHAT_USAGE}


def embeddings(model: str) -> dict[str, Any]:
    row = {"object": "embedding", "index": 0, "embedding": [0.25, -0.5, 0.75]}
    return {
        "object": "list",
        "data": [row],
        "model": model,
        "usage": {"prompt_tokens": 9, "total_tokens": 9},
    }


def response_object(model: str, text: str = "The quay is open.", **changes: Any) -> dict[str, Any]:
    content = [{"type": "output_text", "text": text, "annotations": []}]
    output = [
        {
            "type": "message",
            "id": "msg_quay_1",
            "status": "completed",
            "role": "assistant",
            "content": content,
        }
    ]
    return {
        "id": "resp_quay_1",
        "object": "response",
        "created_at": 1_790_000_000,
        "status": "completed",
        "model": model,
        "output": output,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": RESPONSES_USAGE,
        **changes,
    }


def response_stream(model: str, *, words: int = 46) -> list[bytes]:
    """created, output item and part, ``words`` text deltas, completed with the usage."""
    begun = response_object(model, output=[], status="in_progress", usage=None)
    item = {
        "type": "message",
        "id": "msg_quay_1",
        "status": "in_progress",
        "role": "assistant",
        "content": [],
    }
    part = {"type": "output_text", "text": "", "annotations": []}
    place = {"item_id": "msg_quay_1", "output_index": 0, "content_index": 0}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": begun},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {"type": "response.content_part.added", **place, "part": part},
    ]
    events += [
        {"type": "response.output_text.delta", **place, "delta": f"word{number} ", "logprobs": []}
        for number in range(words)
    ]
    events.append({"type": "response.completed", "response": response_object(model)})
    return sse(({**event, "sequence_number": at} for at, event in enumerate(events)), named=True)


def message(model: str, text: str = "The quay is open.", **changes: Any) -> dict[str, Any]:
    return {
        "id": "msg_pier_1",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": MESSAGES_USAGE,
        **changes,
    }


def message_stream(model: str, *, words: int = 45) -> list[bytes]:
    """message_start, a text block of ``words`` deltas, message_delta with the usage, message_stop."""
    begun = message(
        model, content=[], stop_reason=None, usage={**MESSAGES_USAGE, "output_tokens": 1}, id="msg_pier_2"
    )
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": begun},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    ]
    events += [
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "text_delta", "text": f"word{number} "},
        }
        for number in range(words)
    ]
    events += [
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": 48},
        },
        {"type": "message_stop"},
    ]
    return sse(events, named=True)


def gemini_content(model: str, text: str = "The quay is open.", **changes: Any) -> dict[str, Any]:
    content = {"role": "model", "parts": [{"text": text}]}
    return {
        "candidates": [{"index": 0, "content": content, "finishReason": "STOP"}],
        "usageMetadata": GEMINI_USAGE,
        "modelVersion": model,
        "responseId": "jetty-1",
        **changes,
    }


def gemini_chunks(model: str, *, words: int = 50) -> list[dict[str, Any]]:
    """``words`` chunks, each with the usage so far; the last one has finished."""
    chunks = []
    for number in range(words):
        chunk = gemini_content(model, f"word{number} ", responseId="jetty-2")
        if number < words - 1:
            del chunk["candidates"][0]["finishReason"]
            chunk["usageMetadata"] = {
                "promptTokenCount": 120,
                "candidatesTokenCount": number,
                "totalTokenCount": 120 + number,
            }
        chunks.append(chunk)
    return chunks


def gemini_stream(model: str, *, words: int = 50) -> list[bytes]:
    return sse(gemini_chunks(model, words=words))


def gemini_embeddings() -> dict[str, Any]:
    return {"embeddings": [{"values": [0.25, -0.5, 0.75]}], "usageMetadata": {"promptTokenCount": 9}}


def interaction(model: str, **changes: Any) -> dict[str, Any]:
    """Google's Interactions API, with the usage of :func:`gemini_content` in its own words."""
    return {
        "id": "interaction-1",
        "object": "interaction",
        "status": "completed",
        "model": model,
        "created": "2026-11-01T00:00:00Z",
        "updated": "2026-11-01T00:00:01Z",
        "steps": [],
        "outputs": [],
        "usage": INTERACTION_USAGE,
        **changes,
    }


def interaction_stream(model: str, *, words: int = 3) -> list[bytes]:
    """created, ``words`` deltas, completed with the usage, and [DONE]."""
    begun = {"id": "interaction-1", "status": "in_progress", "model": model}
    events: list[dict[str, Any]] = [{"event_type": "interaction.created", "interaction": begun}]
    events += [
        {"event_type": "step.delta", "index": 0, "delta": {"type": "text", "text": f"word{number} "}}
        for number in range(words)
    ]
    events.append({"event_type": "interaction.completed", "interaction": interaction(model)})
    return sse([*events, "[DONE]"])


def gemini_error(code: int = 400, status: str = "INVALID_ARGUMENT") -> dict[str, Any]:
    return {"error": {"code": code, "message": "no such jetty", "status": status}}


def openai_error(kind: str = "invalid_request_error", text: str = "no such pier") -> dict[str, Any]:
    return {"error": {"message": text, "type": kind, "param": None, "code": None}}


def anthropic_error(kind: str = "invalid_request_error", text: str = "no such pier") -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": text}}


#: Bedrock's Converse API.
CONVERSATION = {
    "output": {"message": {"role": "assistant", "content": [{"text": "The quay is open."}]}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": 100, "outputTokens": 48, "totalTokens": 148},
    "metrics": {"latencyMs": 7},
}


def default_answer(path: str, body: Payload) -> Payload | list[bytes]:
    """What a healthy provider answers to a request: an object, or the events of a stream.

    :raises LookupError: no such route.
    """
    named, _, verb = path.rpartition("/")[2].rpartition(":")
    if verb in _BY_VERB:
        return _BY_VERB[verb](named)
    model = str(body.get("model", "none"))
    streamed = bool(body.get("stream"))
    if path.endswith("/chat/completions"):
        asked = bool((body.get("stream_options") or {}).get("include_usage"))
        return chat_stream(model, usage=asked) if streamed else chat_completion(model)
    if path.endswith("/responses"):
        return response_stream(model) if streamed else response_object(model)
    if path.endswith("/messages"):
        return message_stream(model) if streamed else message(model)
    if path.endswith("/messages/count_tokens"):
        return {"input_tokens": 12}
    if path.endswith("/interactions"):
        return interaction_stream(model) if streamed else interaction(model)
    if path.endswith("/embeddings"):
        return embeddings(model)
    if path.endswith("/completions"):
        return completion(model)
    if path.endswith("/models"):
        return {"object": "list", "data": []}
    raise LookupError(path)


#: Answers of Google and of clouds by the verb at the path's end, made of the model's name before it.
_BY_VERB: Mapping[str, Callable[[str], Payload | list[bytes]]] = {
    "generateContent": gemini_content,
    "streamGenerateContent": gemini_stream,
    "batchEmbedContents": lambda model: gemini_embeddings(),
    "embedContent": lambda model: gemini_embeddings(),
    "countTokens": lambda model: {"totalTokens": 12},
    "rawPredict": message,
    "invoke": message,
    "converse": lambda model: CONVERSATION,
}
