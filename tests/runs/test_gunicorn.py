"""Behind gunicorn, whatever its workers are: every answered request is one row, and nothing else is."""

from __future__ import annotations

import signal
import socket
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from tests.loopback import LoopbackProvider
from tests.loopback import closed_port
from tests.runs.conftest import LedgerReader
from tests.runs.conftest import Start
from tests.wire_formats import chat_stream

ENDPOINTS = {"plain": "plain", "stream": "stream", "late-stream": "late_stream", "async": "asynchronous"}


def get(port: int, path: str, number: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}?number={number}", timeout=60) as answer:
        return answer.read().decode()


def leave_midway(port: int, number: int) -> None:
    """Ask for a stream, read its beginning and hang up."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(f"GET /stream?number={number} HTTP/1.1\r\nHost: shop\r\n\r\n".encode())
        connection.recv(1)


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@dataclass
class Server:
    """How gunicorn is started, and how it is told to stop."""

    arguments: tuple[str, ...]
    stop_with: signal.Signals
    reload: bool = False
    paths: tuple[str, ...] = ("plain", "stream", "plain", "late-stream", "async")

    def path_of(self, number: int) -> str:
        return self.paths[number % len(self.paths)]


SERVERS = [
    pytest.param(
        Server(("--workers=2", "--preload", "--max-requests=12"), signal.SIGTERM, reload=True),
        "sqlite",
        id="sync, preloaded, recycled and reloaded",
    ),
    pytest.param(
        Server(("--workers=2", "--worker-class=gthread", "--threads=4"), signal.SIGINT),
        "postgresql",
        id="gthread",
    ),
    pytest.param(
        # No async views: all greenlets of a worker share a thread, and that runs one event loop at most.
        Server(
            ("--workers=2", "--worker-class=gevent"),
            signal.SIGTERM,
            paths=("plain", "stream", "plain", "late-stream"),
        ),
        "postgresql",
        id="gevent",
    ),
]


@pytest.mark.parametrize(("server", "database_url"), SERVERS, indirect=["database_url"])
def test_every_answered_request_is_one_row(
    server: Server, ledger: LedgerReader, start: Start, provider: LoopbackProvider
) -> None:
    port = closed_port()
    running = start(
        "-m",
        "gunicorn",
        f"--bind=127.0.0.1:{port}",
        "--no-control-socket",
        *server.arguments,
        "tests.runs.shop:app",
        config={"SQLALCHEMY_DATABASE_URI": ledger.url},
    )
    running.wait_until(lambda: answers(port))
    provider.stream(chat_stream("gpt-4o-mini"), pause=0.02)
    leave_midway(port, 0)
    running.wait_until(lambda: len(provider.requests) == 1)

    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(get, port, server.path_of(number), number) for number in range(1, 31)]
        if server.reload:
            running.process.send_signal(signal.SIGHUP)
        texts = [one.result() for one in asked]
    assert all(texts)
    assert running.stop(server.stop_with) == 0, running.said

    rows = ledger.rows()
    assert sorted(int(row["tags"]["number"]) for row in rows) == list(range(31)), running.said
    for row in rows:
        number = int(row["tags"]["number"])
        assert row["user_id"] == str(number)
        assert row["tags"] == {"tenant": "acme", "number": str(number)}
        assert row["endpoint"] == (ENDPOINTS[server.path_of(number)] if number else "stream")
        assert row["status"] == ("ok" if number else "aborted")
    assert ledger.sums_are_those_of_the_calls()
    assert "flask_llm_cost" not in running.said
