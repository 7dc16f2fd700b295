"""The dashboard inside other people's apps: mount prefixes, proxies, their headers, their templates."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask
from flask_talisman import Talisman
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.test import Client

from tests.dashboard.conftest import AppMaker
from tests.dashboard.html_pages import Element
from tests.dashboard.html_pages import read
from tests.dashboard.ledgers import event
from tests.dashboard.ledgers import write

PAGES = ("/", "/calls", "/calls/1", "/calls.csv", "/?from=yesterday", "/calls/9")


@pytest.fixture
def filled(app: Flask) -> Flask:
    write(app, [event(user_id="7", tags={"feature": "chat"})])
    return app


def links(root: Element) -> set[str]:
    found = {
        element.attributes[name]
        for element in root.walk()
        for name in ("href", "src", "action")
        if name in element.attributes
    }
    return {address for address in found if not address.startswith("#")}


@pytest.mark.parametrize("page", PAGES)
def test_pages_and_exports_carry_our_headers(filled: Flask, page: str) -> None:
    headers = filled.test_client().get(f"/llm-costs{page}").headers
    assert headers["Content-Security-Policy"] == (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none';"
        " frame-ancestors 'none'"
    )
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"


def test_a_policy_of_the_host_wins(filled: Flask) -> None:
    Talisman(filled, force_https=False)
    headers = filled.test_client().get("/llm-costs/").headers
    assert headers["Content-Security-Policy"] == "default-src 'self'; object-src 'none'"
    assert headers["Cache-Control"] == "no-store"


def test_the_stylesheets_address_changes_with_its_content_and_is_kept_for_a_year(filled: Flask) -> None:
    client = filled.test_client()
    page = read(client.get("/llm-costs/").text)
    address = page.one("link", rel="stylesheet").attributes["href"]
    assert address.startswith("/llm-costs/static/llm_cost.css?v=")
    cached = client.get(address, buffered=True).headers["Cache-Control"]
    assert "max-age=31536000" in cached
    assert "public" in cached
    stale = client.get("/llm-costs/static/llm_cost.css?v=000000000000", buffered=True).headers[
        "Cache-Control"
    ]
    assert "max-age" not in stale


@pytest.mark.parametrize("page", PAGES[:3])
def test_every_link_stays_under_the_mount_prefix(filled: Flask, page: str) -> None:
    client = Client(DispatcherMiddleware(Flask("nothing"), {"/shop": filled.wsgi_app}))
    response = client.get(f"/shop/llm-costs{page}")
    found = links(read(response.text))
    assert found
    assert all(address.startswith("/shop/llm-costs/") for address in found), found


def test_a_prefix_told_by_a_proxy_is_kept(filled: Flask) -> None:
    filled.wsgi_app = ProxyFix(filled.wsgi_app, x_prefix=1)  # type: ignore[method-assign]
    response = filled.test_client().get("/llm-costs/", headers={"X-Forwarded-Prefix": "/behind"})
    assert all(address.startswith("/behind/llm-costs/") for address in links(read(response.text)))


def test_the_configured_prefix_is_used(new_app: AppMaker) -> None:
    app = new_app(LLM_COST_URL_PREFIX="/admin/costs")
    assert app.test_client().get("/admin/costs/").status_code == 200
    assert app.test_client().get("/llm-costs/").status_code == 404


def test_every_internal_link_of_the_overview_can_be_followed(filled: Flask) -> None:
    client = filled.test_client()
    for page in PAGES[:3]:
        for address in links(read(client.get(f"/llm-costs{page}").text)):
            assert client.get(address, buffered=True).status_code == 200, address


def test_the_host_can_replace_the_base_template(filled: Flask) -> None:
    folder = Path(filled.instance_path) / "templates" / "llm_cost"
    folder.mkdir(parents=True)
    (folder / "base.html").write_text("<main>ours: {% block content %}{% endblock %}</main>")
    text = filled.test_client().get("/llm-costs/").text
    assert text.startswith("<main>ours: ")
    assert "tile-spend" in text


def test_the_hosts_own_template_names_do_not_get_in_the_way(filled: Flask) -> None:
    filled.context_processor(lambda: {"service": "wrong", "chart": None, "tiles": ()})
    assert read(filled.test_client().get("/llm-costs/").text).one("header").text.startswith("support_desk")


def test_the_address_without_a_slash_leads_to_the_overview(filled: Flask) -> None:
    assert filled.test_client().get("/llm-costs").location.endswith("/llm-costs/")
