"""What single results of a batch look like, as each provider writes them."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import replace
from datetime import datetime

from ..events import Operation
from .fields import EMPTY
from .fields import Document
from .fields import is_error
from .fields import mapping
from .fields import moment
from .fields import name


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One succeeded request of a batch.

    :param charge_id: what no other result bears, however often this one is read.
    :param body: the answer, as the same request would have been answered at once.
    """

    charge_id: str
    body: Document
    protocol: str | None
    operation: Operation
    http_status: int | None = None
    occurred_at: datetime | None = None
    model: str | None = None


def _openai_line(line: Document, resource: str | None, position: int) -> Result | None:
    """``{"id", "custom_id", "response": {"status_code", "body"}, "error"}``.

    A file does not name its batch. The line's own id is unique, and stays when the file is copied; Azure's
    lines have none, and are told apart by the file and the ``custom_id``, which is unique within a batch.
    """
    response = mapping(line.get("response"))
    status, body = response.get("status_code"), mapping(response.get("body"))
    if not body or (isinstance(status, int) and not 200 <= status < 300):
        return None
    if isinstance(body.get("results"), list) and "usage" not in body:
        return None  # a moderation, which is free
    protocol, operation = _kind_of(body)
    return Result(
        charge_id=f"{name(line.get('id')) or resource}/{line.get('custom_id')}",
        body=body,
        protocol=protocol,
        operation=operation,
        http_status=status if isinstance(status, int) else None,
        occurred_at=moment(body.get("created_at")) or moment(body.get("created")),
    )


def _kind_of(body: Document) -> tuple[str | None, Operation]:
    """What an answer of OpenAI's, or of an imitator's, is an answer to: lines do not repeat the path."""
    kind = body.get("object")
    if isinstance(kind, str) and kind in _KINDS:
        return _KINDS[kind]
    data = body.get("data")
    first = mapping(data[0]) if isinstance(data, list) and data else EMPTY
    if "embedding" in first:
        return "openai_embeddings", "embeddings"
    if "b64_json" in first or "url" in first:
        return None, "images"
    return ("openai_chat", "chat") if "choices" in body else (None, "batch")


_KINDS: dict[str, tuple[str | None, Operation]] = {
    "chat.completion": ("openai_chat", "chat"),
    "text_completion": ("openai_completions", "completions"),
    "response": ("openai_responses", "responses"),
}


def _anthropic_line(line: Document, resource: str | None, position: int) -> Result | None:
    """``{"custom_id", "result": {"type": "succeeded", "message"}}``. Its message does not tell its moment."""
    result = mapping(line.get("result"))
    message = mapping(result.get("message"))
    if result.get("type") != "succeeded" or not message:
        return None
    return Result(
        charge_id=f"{resource}/{line.get('custom_id')}",
        body=message,
        protocol="anthropic_messages",
        operation="messages",
    )


def _gemini_line(line: Document, resource: str | None, position: int) -> Result | None:
    """``{"key", "response"}``, in the order of the requests. The key is the host's own, if there is one."""
    told = f"{line.get('key')}/{mapping(line.get('response')).get('responseId')}"
    return _gemini_result(line, f"{resource}/{position if told == 'None/None' else told}")


def _gemini_result(entry: Document, charge_id: str) -> Result | None:
    response = mapping(entry.get("response"))
    if not response or is_error(entry.get("error")):
        return None
    embeds = "embedding" in response
    if embeds and "usageMetadata" not in response:
        # An embedding in a batch has a single count, all of it input.
        tokens = response.get("tokenCount")
        response = {**response, "usageMetadata": {"promptTokenCount": tokens, "totalTokenCount": tokens}}
    return Result(
        charge_id=charge_id,
        body=response,
        protocol="gemini_generate",
        operation="embeddings" if embeds else "generate_content",
        occurred_at=moment(response.get("createTime")),
    )


def inlined_results(batch: Document, resource: str | None) -> Iterator[Result]:
    """Those in Google's batch object, which tells them in one of two places, or in both."""
    about = mapping(batch.get("metadata"))
    began, model = moment(about.get("createTime")), _model(about.get("model"))
    for position, entry in enumerate(
        _entries(about.get("output")) or _entries(batch.get("response")), start=1
    ):
        result = _gemini_result(mapping(entry), f"{resource}/{position}")
        if result is not None:
            yield replace(result, occurred_at=result.occurred_at or began, model=model)


def _entries(output: object) -> list[object]:
    entries = mapping(mapping(output).get("inlinedResponses")).get("inlinedResponses")
    return entries if isinstance(entries, list) else []


def _model(told: object) -> str | None:
    return (name(told) or "").removeprefix("models/") or None


def _is_openai(line: Document) -> bool:
    return "custom_id" in line and ("response" in line or "error" in line)


def _is_anthropic(line: Document) -> bool:
    return "custom_id" in line and "result" in line


def _is_gemini(line: Document) -> bool:
    return "response" in line or "error" in line


ReadLine = Callable[[Document, str | None, int], Result | None]

#: Per format: how a line is read, and how the first line shows that a file is of this format.
LINES: dict[str | None, tuple[ReadLine, Callable[[Document], bool]]] = {
    "openai_batch": (_openai_line, _is_openai),
    "anthropic_batch": (_anthropic_line, _is_anthropic),
    "gemini_batch_file": (_gemini_line, _is_gemini),
}
