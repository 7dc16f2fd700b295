"""Batches and their results in the providers' wire formats, with our own words and ids. Values only."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from tests.wire_formats import Payload
from tests.wire_formats import chat_completion
from tests.wire_formats import gemini_content
from tests.wire_formats import message

JSONL = {"content-type": "application/x-jsonl"}
#: The second in which the answers below were made: 2025-11-03 12:00:00 UTC.
MADE = 1_762_171_200


def jsonl(lines: Iterable[Payload]) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def openai_line(number: int = 1, body: Payload | None = None, **changes: Any) -> dict[str, Any]:
    answer = body or chat_completion("gpt-4o-mini", id=f"chatcmpl-{number}", created=MADE)
    return {
        "id": f"batch_req_{number}",
        "custom_id": f"boat-{number}",
        "response": {"status_code": 200, "request_id": f"req_{number}", "body": answer},
        "error": None,
        **changes,
    }


def openai_refused(number: int) -> dict[str, Any]:
    """A line of an error file."""
    body = {"error": {"message": "no such pier", "type": "invalid_request_error"}}
    return openai_line(number, response={"status_code": 400, "request_id": f"req_{number}", "body": body})


def openai_expired(number: int) -> dict[str, Any]:
    return openai_line(number, response=None, error={"code": "batch_expired", "message": "too late"})


def anthropic_line(number: int = 1, **changes: Any) -> dict[str, Any]:
    usage = {
        "input_tokens": 100,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 20,
        "output_tokens": 48,
        "service_tier": "batch",
    }
    answer = message("claude-sonnet-4-6", id=f"msg_{number}", usage=usage)
    return {
        "custom_id": f"boat-{number}",
        "result": {"type": "succeeded", "message": answer},
        **changes,
    }


def anthropic_unbilled(number: int, kind: str) -> dict[str, Any]:
    error = {"type": "error", "error": {"type": "invalid_request_error", "message": "no such pier"}}
    return anthropic_line(number, result={"type": kind, **({"error": error} if kind == "errored" else {})})


def anthropic_batch(url: str, batch_id: str = "msgbatch_1") -> dict[str, Any]:
    """A batch that has ended, with its results at a provider's ``url``."""
    return {
        "id": batch_id,
        "type": "message_batch",
        "processing_status": "ended",
        "request_counts": {"processing": 0, "succeeded": 2, "errored": 0, "canceled": 0, "expired": 0},
        "created_at": "2026-11-01T08:00:00Z",
        "expires_at": "2026-11-02T08:00:00Z",
        "ended_at": "2026-11-01T09:00:00Z",
        "results_url": f"{url}/v1/messages/batches/{batch_id}/results",
    }


def gemini_line(number: int = 1, **changes: Any) -> dict[str, Any]:
    answer = gemini_content("gemini-2.5-flash", responseId=f"jetty-{number}")
    return {"key": f"boat-{number}", "response": answer, **changes}


def gemini_batch(*entries: Payload, name: str = "batches/quay1", **output: Any) -> dict[str, Any]:
    """A batch of Google's that is done, with its results in it."""
    told = {"inlinedResponses": {"inlinedResponses": list(entries)}, **output}
    return {
        "name": name,
        "metadata": {
            "model": "models/gemini-2.5-flash",
            "state": "BATCH_STATE_SUCCEEDED",
            "createTime": "2026-11-01T08:00:00Z",
            "output": told,
        },
        "done": True,
        "response": told,
    }
