"""A webhook and a mail server on 127.0.0.1 that keep what they are sent, and answer as they are told."""

from __future__ import annotations

import json
import socket
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP
from aiosmtpd.smtp import AuthResult
from aiosmtpd.smtp import Envelope
from aiosmtpd.smtp import Session

from tests.loopback import closed_port

SECRET = "T000-B000-XXXXSECRETXXXX"


class HookServer(ThreadingHTTPServer):
    """Takes POSTs. ``answers`` are the statuses of the next requests, 200 where there is none."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Hook)
        self.received: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.answers: deque[int] = deque()
        #: Requests wait for this before they are answered.
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.arrived = threading.Semaphore(0)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/services/{SECRET}"

    @property
    def texts(self) -> list[str]:
        return [payload["text"] for payload in self.received]


class _Hook(BaseHTTPRequestHandler):
    server: HookServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        status = self.server.answers.popleft() if self.server.answers else 200
        if status == 200:
            self.server.received.append(json.loads(body))
            self.server.headers.append({name.lower(): value for name, value in self.headers.items()})
        self.server.arrived.release()
        self.server.may_answer.wait(30)
        self.send_response(status)
        if 300 <= status < 400:
            self.send_header("location", "/elsewhere")
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def do_GET(self) -> None:  # where a redirect would lead
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing on standard error."""


@contextmanager
def hook_server() -> Iterator[HookServer]:
    with HookServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.may_answer.set()
            server.shutdown()
            thread.join()


class Inbox:
    """What a mail server takes.

    ``refused`` are answers to the next messages; ``unknown`` are nobody's addresses.
    """

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.envelopes: list[Envelope] = []
        self.logins: list[tuple[bytes, bytes]] = []
        self.refused: deque[str] = deque()
        self.unknown: dict[str, str] = {}
        self.port = 0

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.unknown:
            return self.unknown[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.refused:
            return self.refused.popleft()
        self.envelopes.append(envelope)
        content = envelope.content
        assert isinstance(content, bytes)
        self.mails.append(message_from_bytes(content, EmailMessage, policy=SMTP_POLICY))
        return "250 taken"

    def login(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        self.logins.append((data.login, data.password))
        return AuthResult(success=data.password == b"p@ss/word", handled=False)


class _Controller(Controller):
    def _trigger_server(self) -> None:
        """A first connection, which must not speak TLS: the context is the server's."""
        socket.create_connection(("127.0.0.1", self.port), 5).close()


@contextmanager
def mail_server(**options: Any) -> Iterator[Inbox]:
    """:param options: of aiosmtpd's controller and server, such as ``tls_context`` and ``ssl_context``."""
    inbox = Inbox()
    inbox.port = closed_port()
    controller = _Controller(
        inbox, hostname="127.0.0.1", port=inbox.port, authenticator=inbox.login, **options
    )
    controller.start()
    try:
        yield inbox
    finally:
        controller.stop()
