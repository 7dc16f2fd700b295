"""Who gets in: only whom ``authorize`` answers with exactly ``True``, or a developer on this machine."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest
from flask import Flask
from flask import abort
from flask import redirect
from flask.testing import FlaskClient

from flask_llm_cost.dashboard.blueprint import PUBLIC
from tests.dashboard.conftest import AppMaker
from tests.dashboard.html_pages import read
from tests.dashboard.ledgers import event
from tests.dashboard.ledgers import write

LOCAL = {"base_url": "http://localhost:5000", "environ_base": {"REMOTE_ADDR": "127.0.0.1"}}


def addresses(app: Flask) -> list[str]:
    """One address for each rule of the blueprint, taken from the app's own map."""
    adapter = app.url_map.bind("localhost")
    values = {"call_id": 1, "filename": "llm_cost.css", "key": "tenant"}
    queries = {
        "llm_cost.price": {"model": "gpt-5"},
        "llm_cost.tag_value": {"tag.tenant": "secret-tenant"},
    }
    return [
        adapter.build(
            rule.endpoint, {name: values[name] for name in rule.arguments} | queries.get(rule.endpoint, {})
        )
        for rule in app.url_map.iter_rules()
        if rule.endpoint.startswith("llm_cost.") and rule.endpoint.split(".")[1] not in PUBLIC
    ]


class CallableObject:
    """Callable, and awaitable inside: ``ensure_sync`` does not see that."""

    def __init__(self, answer: object) -> None:
        self._answer = answer

    async def __call__(self) -> object:
        return self._answer


async def _true() -> bool:
    return True


async def _false() -> bool:
    return False


ADMITTED: dict[str, Callable[[], object]] = {
    "True": lambda: True,
    "async True": _true,
    "a function that hands back a coroutine": lambda: _true(),
    "an object with an async call": CallableObject(True),
}
REFUSED: dict[str, Callable[[], object]] = {
    "False": lambda: False,
    "None": lambda: None,
    "1": lambda: 1,
    "a text": lambda: "yes",
    "an object": object,
    "async False": _false,
    "an object with an async call": CallableObject("True"),
}


@pytest.fixture
def filled(new_app: AppMaker) -> Callable[..., Flask]:
    def make(**options: object) -> Flask:
        app = new_app(**options)
        write(app, [event(model="secret-model", tags={"tenant": "secret-tenant"})])
        return app

    return make


@pytest.mark.parametrize("authorize", ADMITTED.values(), ids=ADMITTED)
def test_every_page_opens_for(filled: Callable[..., Flask], authorize: Callable[[], object]) -> None:
    app = filled(authorize=authorize)
    client = app.test_client()
    assert len(addresses(app)) == 20
    for address in addresses(app):
        assert client.get(address).status_code == 200, address


@pytest.mark.parametrize("authorize", REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_every_page_is_shut_for(
    filled: Callable[..., Flask], authorize: Callable[[], object], method: str
) -> None:
    app = filled(authorize=authorize)
    client = app.test_client()
    for address in addresses(app):
        response = client.open(address, method=method)
        assert response.status_code == 403, address
        assert "secret" not in response.text
        assert response.headers["Cache-Control"] == "no-store"


def test_a_refusal_says_what_is_missing_and_is_logged(
    filled: Callable[..., Flask], caplog: pytest.LogCaptureFixture
) -> None:
    app = filled(authorize=lambda: "yes")
    with caplog.at_level(logging.WARNING, logger="flask_llm_cost"):
        response = app.test_client().get("/llm-costs/?tag.tenant=secret-tenant")
    assert "authorize=" in read(response.text).text
    assert [record.getMessage() for record in caplog.records] == [
        "dashboard: refused llm_cost.overview: authorize returned str"
    ]


def test_a_redirect_is_passed_on_as_it_is(filled: Callable[..., Flask]) -> None:
    app = filled(authorize=lambda: redirect("/login"))
    client = app.test_client()
    for address in addresses(app):
        response = client.get(address)
        assert (response.status_code, response.location) == (302, "/login")
        assert "Content-Security-Policy" not in response.headers


def test_what_authorize_aborts_with_stays_the_hosts_own(filled: Callable[..., Flask]) -> None:
    app = filled(authorize=lambda: abort(404))
    app.register_error_handler(404, lambda error: ("the host's page", 404))
    for address in addresses(app):
        response = app.test_client().get(address)
        assert (response.status_code, response.text) == (404, "the host's page")


def test_an_exception_never_opens(filled: Callable[..., Flask]) -> None:
    def broken() -> bool:
        raise ZeroDivisionError

    app = filled(authorize=broken)
    client = app.test_client()
    for address in addresses(app):
        response = client.get(address)
        assert response.status_code == 500
        assert "secret" not in response.text


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_nothing_can_be_changed(filled: Callable[..., Flask], method: str) -> None:
    app = filled()
    for address in addresses(app):
        assert app.test_client().open(address, method=method).status_code == 405


def test_the_stylesheet_is_public(filled: Callable[..., Flask]) -> None:
    client = filled(authorize=lambda: False).test_client()
    assert client.get("/llm-costs/static/llm_cost.css", buffered=True).status_code == 200
    assert client.get("/llm-costs/static/icon.svg", buffered=True).status_code == 200


@pytest.fixture
def debugging(filled: Callable[..., Flask]) -> FlaskClient:
    app = filled(authorize=None)
    app.debug = True
    return app.test_client()


@pytest.mark.parametrize(
    ("host", "peer"),
    [
        ("http://localhost:5000", "127.0.0.1"),
        ("http://127.0.0.1", "127.0.0.9"),
        ("http://[::1]:5000", "::1"),
        ("http://localhost", "::ffff:127.0.0.1"),
    ],
)
def test_without_authorize_a_developer_on_this_machine_gets_in(
    debugging: FlaskClient, host: str, peer: str
) -> None:
    response = debugging.get("/llm-costs/", base_url=host, environ_base={"REMOTE_ADDR": peer})
    assert response.status_code == 200


@pytest.mark.parametrize(
    ("host", "peer", "headers"),
    [
        ("http://localhost", "10.0.0.5", {}),
        ("http://localhost", "", {}),
        ("http://localhost", "not an address", {}),
        ("http://evil.example", "127.0.0.1", {}),
        ("http://localhost.evil.example", "127.0.0.1", {}),
        ("http://localhost", "127.0.0.1", {"X-Forwarded-For": "127.0.0.1"}),
        ("http://localhost", "127.0.0.1", {"X-Forwarded-Proto": "https"}),
        ("http://localhost", "127.0.0.1", {"Forwarded": "for=127.0.0.1"}),
        ("http://localhost", "127.0.0.1", {"X-Real-IP": "127.0.0.1"}),
    ],
)
def test_without_authorize_nobody_else_gets_in(
    debugging: FlaskClient, host: str, peer: str, headers: dict[str, str]
) -> None:
    response = debugging.get(
        "/llm-costs/", base_url=host, environ_base={"REMOTE_ADDR": peer}, headers=headers
    )
    assert response.status_code == 403


def test_without_authorize_and_debug_nobody_gets_in(filled: Callable[..., Flask]) -> None:
    app = filled(authorize=None)
    for address in addresses(app):
        assert app.test_client().get(address, **LOCAL).status_code == 403
