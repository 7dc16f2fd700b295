"""``scope`` limits every page, table and export to what a reader may see; no address widens it."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from datetime import UTC
from datetime import datetime
from datetime import timedelta

import pytest
from flask import Flask

from flask_llm_cost.analytics import CallQuery
from flask_llm_cost.dashboard.blueprint import PUBLIC
from tests.dashboard.conftest import AppMaker
from tests.dashboard.html_pages import read
from tests.dashboard.ledgers import UNPRICED
from tests.dashboard.ledgers import bill
from tests.dashboard.ledgers import event
from tests.dashboard.ledgers import runtime_of
from tests.dashboard.ledgers import write

FOREIGN = "foreign"
WIDENING = (
    "",
    "tag.tenant=globex",
    "without=tag.tenant",
    "tag.tenant=acme",
    "model=foreign-model",
    "user=foreign-user",
    "period=today",
    "bucket=week",
    "tz=Asia%2FTokyo",
)
#: Pages that show nothing of any call: what their answer is under a scope.
ABOUT_THE_APP = {
    "llm_cost.pricing",
    "llm_cost.health",
    "llm_cost.budgets",
    "llm_cost.reconciliation",
}


def acme_only(calls: CallQuery) -> CallQuery:
    return calls.tagged(tenant="acme")


@pytest.fixture
def shared(new_app: AppMaker) -> Callable[..., Flask]:
    """An app with calls of two tenants; everything of the other one has a name with "foreign" in it."""

    def make(scope: object = acme_only) -> Flask:
        app = new_app(scope=scope)
        now = datetime.now(UTC)
        for age in range(12):
            moment = now - timedelta(days=age, minutes=5)
            mine = {"tags": {"tenant": "acme", "feature": "chat"}, "user_id": "ann", "endpoint": "desk.reply"}
            theirs = {
                "tags": {"tenant": "globex", "foreign_key": "foreign-value", "feature": "foreign-feature"},
                "user_id": "foreign-user",
                "endpoint": "foreign.view",
                "request_type": "foreign-type",
                "service": "foreign-service",
                "provider": "foreign-provider",
                "model": "foreign-model",
                "pricing_mode": "foreign-mode",
            }
            write(app, [event(occurred_at=moment, **mine)])
            write(app, [event(occurred_at=moment, **theirs, **bill("9", "9", 77_777, 77_777))])
            write(app, [event(occurred_at=moment, **{**theirs, **UNPRICED, "model": "foreign-unpriced"})])
        return app

    return make


def routes(app: Flask) -> Iterator[tuple[str, str]]:
    """Endpoint and address of every rule that is not about the app alone, with the foreign call's id."""
    adapter = app.url_map.bind("localhost")
    queries = {
        "llm_cost.price": {"call": "2"},
        "llm_cost.what_if": {"as": "openai/gpt-5"},
        "llm_cost.tag_value": {"tag.foreign_key": "foreign-value"},
        "llm_cost.crosstab": {"rows": "user", "columns": "tag.foreign_key"},
    }
    for rule in app.url_map.iter_rules():
        if rule.endpoint.startswith("llm_cost.") and rule.endpoint.split(".")[1] not in PUBLIC:
            names = {"call_id": 2, "key": "foreign_key"}
            values = {name: names[name] for name in rule.arguments} | queries.get(rule.endpoint, {})
            yield rule.endpoint, adapter.build(rule.endpoint, values)


def answers(app: Flask, address: str) -> Iterator[tuple[str, str]]:
    """What each address answers, and each table of it that can be taken away; the question left out."""
    client = app.test_client()
    for query in WIDENING:
        asked = address + ("&" if "?" in address else "?") + query if query else address
        response = client.get(asked, follow_redirects=True)
        yield asked, response.text
        if "html" in response.mimetype and query in WIDENING[:2]:
            for link in read(response.text).all("a", download=""):
                yield link.attributes["href"], client.get(link.attributes["href"]).text


def test_no_route_shows_anything_of_another_tenant(shared: Callable[..., Flask]) -> None:
    app = shared()
    seen = 0
    for endpoint, address in routes(app):
        if endpoint in ABOUT_THE_APP:
            continue
        for asked, text in answers(app, address):
            # What was asked for stands on the page: the names of filters and of the tag in the path.
            told = text
            for own in ("foreign-model", "foreign-user", "foreign-value", "foreign_key", "globex"):
                if own in asked:
                    told = told.replace(own, "")
            assert FOREIGN not in told, (asked, told[max(0, told.find(FOREIGN) - 200) :][:300])
            assert "77,777" not in told, asked
            assert "globex" not in told, asked
            seen += 1
    assert seen > 150


def test_without_a_scope_the_same_routes_do_show_it(shared: Callable[..., Flask]) -> None:
    app = shared(scope=None)
    silent = [
        address
        for endpoint, address in routes(app)
        if endpoint not in ABOUT_THE_APP
        and not any("foreign-model" in text or "77,777" in text for _, text in answers(app, address))
    ]
    assert silent == []


def test_the_numbers_under_a_scope_are_those_of_the_tenant(shared: Callable[..., Flask]) -> None:
    page = read(shared().test_client().get("/llm-costs/?period=7d").text)
    assert page.by_id("tile-calls").one("a").text == "7"
    assert page.table("by-tag.tenant").rows()[-1][1] == "7"


@pytest.mark.parametrize("address", ["/calls/2", "/calls/3", "/pricing/model?call=2"])
def test_a_call_of_another_tenant_is_not_there(shared: Callable[..., Flask], address: str) -> None:
    assert shared().test_client().get(f"/llm-costs{address}").status_code == 404


def test_what_is_counted_for_the_whole_app_is_not_told_to_one_tenant(shared: Callable[..., Flask]) -> None:
    app = shared()
    runtime_of(app).counters.add("lost", 3)
    client = app.test_client()
    for page in (
        "health",
        "budgets",
        "budgets?table=budgets&format=csv",
        "reconciliation",
        "reconciliation?table=rows&format=csv",
    ):
        assert client.get(f"/llm-costs/{page}").status_code == 403
    for address in ("/", "/quality"):
        words = read(client.get(f"/llm-costs{address}").text).text
        assert "lost in this process" not in words
        assert "Quarantine" not in words
    everybody = shared(scope=lambda calls: calls)
    assert everybody.test_client().get("/llm-costs/health").status_code == 200


@pytest.mark.parametrize(
    "scope",
    [
        lambda calls: None,
        lambda calls: True,
        lambda calls: calls.last_days(30),
        lambda calls: 1 / 0,
        lambda calls: calls.where(tenant="acme"),
    ],
    ids=["None", "True", "a range", "an exception", "a column that is none"],
)
def test_a_scope_that_does_not_answer_with_calls_shuts_every_page(
    shared: Callable[..., Flask], scope: object
) -> None:
    app = shared(scope=scope)
    client = app.test_client()
    for endpoint, address in routes(app):
        if endpoint in {"llm_cost.pricing"}:
            continue
        response = client.get(address)
        assert response.status_code in (400, 500), address
        assert FOREIGN not in response.text.replace("foreign_key", "")


def test_a_scope_may_be_a_coroutine_function(shared: Callable[..., Flask]) -> None:
    async def scope(calls: CallQuery) -> CallQuery:
        return calls.for_user("ann")

    page = read(shared(scope=scope).test_client().get("/llm-costs/users").text)
    assert [row[0] for row in page.table("by-user").rows()[1:]] == ["ann", "Total"]
