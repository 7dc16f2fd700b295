"""An admin API on the loopback that pages through buckets as OpenAI and Anthropic do, and fails as told."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import field
from datetime import UTC
from datetime import datetime
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs
from urllib.parse import urlsplit


@dataclass
class Asked:
    """One request as it arrived."""

    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]


@dataclass
class Fault:
    """What is answered to one request instead of a page. Without a status the body is cut off."""

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class AdminServer:
    """``buckets`` by path; ``faults`` are used up by requests, where ``None`` lets one through."""

    address: str
    buckets: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    faults: deque[Fault | None] = field(default_factory=deque)
    asked: list[Asked] = field(default_factory=list)
    #: So many buckets are on a page, however many are asked for.
    page_size: int = 1_000
    known_tokens: bool = True

    def pages_asked(self, path: str) -> list[str]:
        """The page tokens of the requests for a path, "" for the first page."""
        return [each.query.get("page", [""])[0] for each in self.asked if each.path == path]

    def answer(self, asked: Asked) -> tuple[int, dict[str, str], bytes, bool]:
        """Status, headers, body, and whether the body is cut off."""
        self.asked.append(asked)
        fault = self.faults.popleft() if self.faults else None
        if fault is not None and fault.status is not None:
            return fault.status, fault.headers, b'{"error": {"message": "echo of sk-secret"}}', False
        token = asked.query.get("page", ["0"])[0]
        if not self.known_tokens and token != "0":
            return 400, {}, b"{}", False
        first = int(token)
        size = min(self.page_size, int(asked.query["limit"][0]))
        found = [each for each in self.buckets.get(asked.path, []) if _inside(each, asked.query)]
        more = first + size < len(found)
        page = {
            "object": "page",
            "data": found[first : first + size],
            "has_more": more,
            "next_page": str(first + size) if more else None,
        }
        return 200, {}, json.dumps(page).encode(), fault is not None


def _inside(bucket: dict[str, Any], query: dict[str, list[str]]) -> bool:
    if "start_time" in bucket:
        return int(query["start_time"][0]) <= bucket["start_time"] < int(query["end_time"][0])
    return query["starting_at"][0] <= bucket["starting_at"] < query["ending_at"][0]


@contextmanager
def serving() -> Iterator[AdminServer]:
    """Serve until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, extra, body, cut = found.answer(Asked(parts.path, parse_qs(parts.query), headers))
            self.close_connection = True
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **extra}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if cut else body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found = AdminServer(f"http://127.0.0.1:{server.server_address[1]}/v1")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


COSTS = "/v1/organization/costs"
COMPLETIONS = "/v1/organization/usage/completions"
COST_REPORT = "/v1/organizations/cost_report"
USAGE_REPORT = "/v1/organizations/usage_report/messages"


def openai_day(day: int, *results: dict[str, Any]) -> dict[str, Any]:
    """A bucket of OpenAI's for a day of March 2026."""
    start = int(datetime(2026, 3, day, tzinfo=UTC).timestamp())
    return {"object": "bucket", "start_time": start, "end_time": start + 86_400, "results": list(results)}


def openai_cost(value: object, line_item: str | None = "gpt-5-mini, output", **told: Any) -> dict[str, Any]:
    """One amount of OpenAI's cost answer."""
    return {
        "object": "organization.costs.result",
        "amount": {"value": value, "currency": told.pop("currency", "usd")},
        "line_item": line_item,
        "project_id": None,
        "api_key_id": None,
        **told,
    }


def openai_tokens(**told: Any) -> dict[str, Any]:
    """One result of OpenAI's answer on completions."""
    return {
        "object": "organization.usage.completions.result",
        "input_tokens": 0,
        "output_tokens": 0,
        "num_model_requests": 0,
        "model": "gpt-5-mini",
        **told,
    }


def anthropic_day(day: int, *results: dict[str, Any]) -> dict[str, Any]:
    """A bucket of Anthropic's for a day of March 2026."""
    return {
        "starting_at": f"2026-03-{day:02}T00:00:00Z",
        "ending_at": f"2026-03-{day + 1:02}T00:00:00Z",
        "results": list(results),
    }


def anthropic_cost(cents: str, token_type: str | None = "output_tokens", **told: Any) -> dict[str, Any]:
    """One amount of Anthropic's cost report."""
    return {
        "amount": cents,
        "context_window": "0-200k",
        "cost_type": "tokens",
        "currency": "USD",
        "description": "Claude Sonnet 5 Usage",
        "model": "claude-sonnet-5",
        "service_tier": "standard",
        "token_type": token_type,
        "workspace_id": None,
        **told,
    }
