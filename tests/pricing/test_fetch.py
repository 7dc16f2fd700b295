"""Getting a price list over HTTPS from a server that may do anything."""

from __future__ import annotations

import gzip
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from flask_llm_cost.pricing.refresh import RefreshError
from flask_llm_cost.pricing.refresh import fetch
from flask_llm_cost.pricing.refresh.fetch import SIZE_LIMIT
from tests.pricing.https_server import PriceServer
from tests.pricing.https_server import reply
from tests.pricing.https_server import serving

PRICES = b'{"models": {}}'


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PriceServer]:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with serving(tmp_path) as found:
        yield found


def test_the_content_and_its_version_are_fetched(server: PriceServer) -> None:
    url = server.gives("/p.json", PRICES, ETag='"v1"')
    found = fetch(url)

    assert (found.url, found.content, found.etag) == (url, PRICES, '"v1"')
    [(_, headers)] = server.seen
    assert headers["User-Agent"] == "flask-llm-cost"
    assert "If-None-Match" not in headers


def test_packed_content_is_unpacked(server: PriceServer) -> None:
    url = server.gives("/p.json", gzip.compress(PRICES), Content_Encoding="gzip")

    assert fetch(url).content == PRICES


def test_what_is_at_hand_is_not_sent_again(server: PriceServer) -> None:
    server.answers["/p.json"] = lambda request: reply(request, status=304)
    found = fetch(server.url("/p.json"), '"v1"')

    assert (found.content, found.etag) == (None, '"v1"')
    assert server.seen[0][1]["If-None-Match"] == '"v1"'


def test_a_redirect_to_another_https_address_is_followed(server: PriceServer) -> None:
    url = server.gives("/new.json", PRICES)
    server.answers["/old.json"] = lambda request: reply(request, status=302, Location="/new.json")
    found = fetch(server.url("/old.json"))

    assert (found.url, found.content) == (url, PRICES)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("http://localhost/p.json", "redirects to another place. http://localhost/p.json: only https"),
        ("file:///etc/passwd", "to what is no https:// address"),
        ("https://user:secret@localhost/", "with a user or password"),
    ],
)
def test_a_redirect_to_anything_else_is_refused(server: PriceServer, target: str, message: str) -> None:
    server.answers["/p.json"] = lambda request: reply(request, status=301, Location=target)

    with pytest.raises(RefreshError, match=message) as refused:
        fetch(server.url("/p.json"))
    assert "secret" not in str(refused.value)


def test_redirects_in_a_circle_end(server: PriceServer) -> None:
    server.answers["/a"] = lambda request: reply(request, status=302, Location="/b")
    server.answers["/b"] = lambda request: reply(request, status=302, Location="/a")

    with pytest.raises(RefreshError, match="redirects too often"):
        fetch(server.url("/a"))
    assert len(server.seen) <= 4


@pytest.mark.parametrize(
    "url", ["http://localhost/p.json", "ftp://localhost/p", "file:///etc/passwd", "https:///p"]
)
def test_only_https_is_fetched(url: str) -> None:
    with pytest.raises(RefreshError, match="only https:// addresses and local files"):
        fetch(url)


def test_a_password_in_an_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(RefreshError, match="user or password") as refused:
        fetch("https://me:secret@localhost/p.json")
    assert "secret" not in str(refused.value)


def test_a_certificate_of_a_stranger_is_refused(server: PriceServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")

    with pytest.raises(RefreshError, match=r"cannot be reached: .*certificate verify failed"):
        fetch(server.gives("/p.json", PRICES))
    assert server.seen == []


def test_a_server_that_is_not_there_is_named(server: PriceServer) -> None:
    with pytest.raises(RefreshError, match=r"^https://localhost:1/p\.json cannot be reached"):
        fetch("https://localhost:1/p.json")


@pytest.mark.parametrize("status", [403, 404, 500, 503])
def test_anything_but_success_is_an_error(server: PriceServer, status: int) -> None:
    server.answers["/p.json"] = lambda request: reply(request, b"<html>oops", status=status)

    with pytest.raises(RefreshError, match=f"answered {status}") as refused:
        fetch(server.url("/p.json"))
    assert "oops" not in str(refused.value)


def drip(server: PriceServer, request: BaseHTTPRequestHandler, *, headers: bool) -> None:
    """A byte now and then, for ever: in the body, or already in the headers."""
    request.wfile.write(b"HTTP/1.1 200 OK\r\n" + (b"X-A: " if headers else b"\r\n"))
    while not server.closing.wait(0.02):
        request.wfile.write(b" ")


@pytest.mark.parametrize("headers", [False, True], ids=["body", "headers"])
def test_a_server_that_drips_is_given_up(server: PriceServer, headers: bool) -> None:
    server.answers["/p.json"] = lambda request: drip(server, request, headers=headers)
    begun = time.monotonic()

    with pytest.raises(RefreshError, match=r"took longer than 0\.3 seconds"):
        fetch(server.url("/p.json"), timeout=0.3)
    assert time.monotonic() - begun < 5


def test_a_server_that_never_answers_is_given_up(server: PriceServer) -> None:
    server.answers["/p.json"] = lambda request: server.closing.wait(10) and None

    with pytest.raises(RefreshError, match=r"took longer than 0\.3 seconds|reached: timed out|cut off"):
        fetch(server.url("/p.json"), timeout=0.3)


def test_an_endless_body_is_given_up(server: PriceServer) -> None:
    def pour(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while not server.closing.is_set():
            request.wfile.write(b" " * 1_000_000)

    server.answers["/p.json"] = pour

    with pytest.raises(RefreshError, match="larger than 16,777,216 bytes"):
        fetch(server.url("/p.json"))


def test_a_gzip_bomb_is_not_unpacked(server: PriceServer) -> None:
    bomb = gzip.compress(b" " * (SIZE_LIMIT * 4), 1)
    assert len(bomb) < SIZE_LIMIT / 20
    url = server.gives("/p.json", bomb, Content_Encoding="gzip")

    with pytest.raises(RefreshError, match="larger than 16,777,216 bytes"):
        fetch(url)


@pytest.mark.parametrize(
    ("body", "headers", "message"),
    [
        (PRICES, {"Content_Length": "9999"}, "was cut off"),
        (gzip.compress(PRICES)[:-9], {"Content_Encoding": "gzip"}, "was cut off"),
        (PRICES, {"Content_Encoding": "gzip"}, "not gzip, as it says"),
        (PRICES, {"Content_Encoding": "br"}, "'br' is not understood"),
        (b'5\r\n{"mod', {"Transfer_Encoding": "chunked"}, "was cut off"),
    ],
    ids=["half a body", "half a package", "wrong encoding", "another encoding", "half a chunk"],
)
def test_half_an_answer_is_none(
    server: PriceServer, body: bytes, headers: dict[str, str], message: str
) -> None:
    def answer(request: BaseHTTPRequestHandler) -> None:
        told = {"Content-Length": str(len(body)), **{k.replace("_", "-"): v for k, v in headers.items()}}
        if "Transfer-Encoding" in told:
            del told["Content-Length"]
        lines = "".join(f"{name}: {value}\r\n" for name, value in told.items())
        request.wfile.write(f"HTTP/1.1 200 OK\r\n{lines}\r\n".encode() + body)

    server.answers["/p.json"] = answer

    with pytest.raises(RefreshError, match=message):
        fetch(server.url("/p.json"))
