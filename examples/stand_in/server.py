"""The HTTP side: one thread per request, plain JSON or server-sent events."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from collections.abc import Iterator
from functools import cache
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer
from threading import Thread
from typing import Any

from . import anthropic_format
from . import openai_format
from .replies import LABEL
from .replies import Body
from .replies import ServerEvent

SECONDS_PER_CHUNK = 0.02

#: Path to the plain answer and, where the route can stream, the events.
ROUTES: dict[str, tuple[Callable[[Body], Body], Callable[[Body], Iterator[ServerEvent]] | None]] = {
    "/v1/chat/completions": (openai_format.chat, openai_format.chat_events),
    "/v1/responses": (openai_format.response, openai_format.response_events),
    "/v1/embeddings": (openai_format.embeddings, None),
    "/v1/messages": (anthropic_format.message, anthropic_format.message_events),
}


@cache
def start() -> str:
    """Start the server of this process, once, and return its address."""
    server = _Server(("127.0.0.1", 0), _Handler)
    Thread(target=server.serve_forever, name="stand-in", daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no news; everything else is printed."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        answer, stream = ROUTES.get(self.path, (None, None))
        if answer is None:
            self._send_json(404, {"error": {"type": "not_found_error", "message": f"{LABEL} {self.path}"}})
        elif body.get("stream") and stream is not None:
            self._send_events(stream(body))
        else:
            self._send_json(200, answer(body))

    def _send_json(self, status: int, body: Body) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _send_events(self, events: Iterator[ServerEvent]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        name: str | None = None
        try:
            for name, data in events:
                head = f"event: {name}\n" if name else ""
                self._send_chunk(f"{head}data: {json.dumps(data)}\n\n")
                time.sleep(SECONDS_PER_CHUNK)
            if name is None:  # OpenAI's chat: its events have no names and end with this line
                self._send_chunk("data: [DONE]\n\n")
            self.wfile.write(b"0\r\n\r\n")
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the reader left early, as readers do

    def _send_chunk(self, text: str) -> None:
        content = text.encode()
        self.wfile.write(f"{len(content):x}\r\n".encode() + content + b"\r\n")
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:
        """Stay silent: the app's own log is what one wants to see."""
