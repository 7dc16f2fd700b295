"""The internet as documented programs see it: each host is answered on the loopback, over TLS.

Programs find it by the variables that every HTTP client knows, so nothing of theirs is patched.
"""

from __future__ import annotations

import select
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import trustme


class Internet:
    """Where hosts are: ``ports`` says who answers in the name of a host."""

    def __init__(self, folder: Path, port: int) -> None:
        self.default_port = port
        self.ports: dict[str, int] = {}
        self._authority = trustme.CA()
        self._bundle = folder / "authority.pem"
        self._authority.cert_pem.write_to_path(str(self._bundle))
        self._lock = threading.Lock()
        self.certificate = cache(self._certificate)
        self.server = _Proxy(("127.0.0.1", 0), self)

    @property
    def environment(self) -> dict[str, str]:
        bundle = str(self._bundle)
        bundles = dict.fromkeys(("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE"), bundle)
        return {**bundles, "HTTPS_PROXY": f"http://127.0.0.1:{self.server.server_address[1]}"}

    def _certificate(self, host: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with self._lock:
            self._authority.issue_cert(host).configure_cert(context)
        return context


class _Proxy(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], internet: Internet) -> None:
        self.internet = internet
        super().__init__(address, _Tunnel)

    def handle_error(self, request: object, client_address: object) -> None:
        """A program that ends does not say goodbye."""


class _Tunnel(socketserver.BaseRequestHandler):
    """CONNECT, TLS in the name of the host, and then bytes to and fro."""

    server: _Proxy

    def handle(self) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            received = self.request.recv(4096)
            if not received:
                return
            head += received
        method, target, _ = head.decode("latin-1").split(" ", 2)
        host = target.rpartition(":")[0]
        assert method == "CONNECT", f"a documented program asks for {target} without TLS"
        internet = self.server.internet
        self.request.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
        port = internet.ports.get(host, internet.default_port)
        with (
            internet.certificate(host).wrap_socket(self.request, server_side=True) as inside,
            socket.create_connection(("127.0.0.1", port)) as outside,
        ):
            _relay(inside, outside)


def _relay(inside: ssl.SSLSocket, outside: socket.socket) -> None:
    while True:
        ready = [inside] if inside.pending() else select.select([inside, outside], [], [])[0]
        for source in ready:
            if not (data := source.recv(65_536)):
                return
            (outside if source is inside else inside).sendall(data)


@contextmanager
def internet(folder: Path, port: int) -> Iterator[Internet]:
    """An internet in which all hosts are answered at ``port`` unless ``ports`` says otherwise."""
    found = Internet(folder, port)
    thread = threading.Thread(target=found.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield found
    finally:
        found.server.shutdown()
        found.server.server_close()
        thread.join(5)
