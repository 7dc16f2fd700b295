"""The example app, as somebody who copies it would use it: real SDKs, the stand-in, a database file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal

import pytest
from flask import Flask
from flask.testing import FlaskClient

from examples.support_desk import create_app
from examples.support_desk import seed
from examples.support_desk import tracker
from examples.support_desk.models import Ticket
from examples.support_desk.models import User
from examples.support_desk.models import db
from stand_in.replies import LABEL


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    with pytest.MonkeyPatch.context() as environment:
        for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
            environment.delenv(name, raising=False)
        app = create_app({"TESTING": True}, instance_path=str(tmp_path_factory.mktemp("instance")))
        with app.app_context():
            db.create_all()
            seed.fill(days=3)
        yield app
        with app.app_context():
            tracker.shutdown()
            db.session.remove()
            for engine in db.engines.values():
                engine.dispose()


def _signed_in(app: Flask, email: str) -> FlaskClient:
    client = app.test_client()
    answer = client.post("/login", data={"email": email, "password": seed.PASSWORD})
    assert answer.status_code == 302
    return client


def _ticket_of(app: Flask, email: str) -> int:
    with app.app_context():
        user = db.session.scalar(db.select(User).where(User.email == email))
        assert user is not None
        found = db.session.scalar(db.select(Ticket.id).where(Ticket.tenant_id == user.tenant_id))
    assert found is not None
    return int(found)


def test_a_stranger_ends_on_the_login_page(app: Flask) -> None:
    answer = app.test_client().get("/", follow_redirects=True)
    assert answer.status_code == 200
    assert "Sign in" in answer.text


def test_a_wrong_password_is_refused(app: Flask) -> None:
    answer = app.test_client().post("/login", data={"email": seed.AGENT, "password": "guess"})
    assert answer.status_code == 401


@pytest.mark.parametrize(
    "target", ["//elsewhere.example", "https://elsewhere.example", "/\\elsewhere.example"]
)
def test_the_login_page_leads_to_this_site_only(app: Flask, target: str) -> None:
    answer = app.test_client().post(
        f"/login?next={target}", data={"email": seed.AGENT, "password": seed.PASSWORD}
    )
    assert answer.location == "/"


def test_the_dashboard_is_for_admins(app: Flask) -> None:
    assert app.test_client().get("/llm-costs/").status_code == 302
    assert _signed_in(app, seed.AGENT).get("/llm-costs/").status_code == 403
    assert _signed_in(app, seed.ADMIN).get("/llm-costs/").status_code == 200


def test_a_streamed_answer_is_recorded_with_user_tenant_and_feature(app: Flask) -> None:
    client = _signed_in(app, seed.AGENT)
    ticket = _ticket_of(app, seed.AGENT)
    answer = client.post(f"/tickets/{ticket}/ask", data={"question": "Draft a first answer"})
    assert LABEL in answer.text
    assert answer.text.rstrip().endswith("</html>")
    with app.app_context():
        asked = tracker.calls.today().where(model="gpt-5.4-mini-2026-03-17").for_trackable(("Ticket", ticket))
        call = asked.tagged(tenant="harbour", feature="support_chat").page(size=1).calls[0]
        user = db.session.scalar(db.select(User).where(User.email == seed.AGENT))
        assert user is not None
        assert (call.user_id, call.endpoint, call.stream) == (str(user.id), "desk.ask", True)
        assert call.usage_source == "stream"
        assert call.total_cost is not None
        assert call.total_cost > 0
        assert [message.author for message in db.session.get_one(Ticket, ticket).messages][-2:] == [
            "agent",
            "assistant",
        ]


def test_the_button_and_the_job_summarise_with_anthropic(app: Flask) -> None:
    client = _signed_in(app, seed.AGENT)
    ticket = _ticket_of(app, seed.AGENT)
    client.post(f"/tickets/{ticket}/summarise")
    done = app.test_cli_runner().invoke(args=["summarise", "--limit", "2"])
    assert "2 tickets summarised." in done.output
    with app.app_context():
        recorded = tracker.calls.where(provider="anthropic", endpoint="desk.summarise").count()
        without_request = tracker.calls.today().where(model="claude-sonnet-4-6", endpoint=None)
        assert recorded >= 1
        assert without_request.count() == 2
        assert db.session.get_one(Ticket, ticket).summary


def test_a_new_ticket_is_triaged_and_can_be_found(app: Flask) -> None:
    client = _signed_in(app, seed.AGENT)
    created = client.post("/tickets", data={"subject": "Boats are down", "text": "The page is down."})
    assert "urgent" in client.get(created.location).text
    found = client.get("/?q=boats").text
    assert "Boats are down" in found
    with app.app_context():
        assert tracker.calls.today().where(operation="responses").tagged(feature="triage").count() >= 1
        assert tracker.calls.today().where(operation="embeddings").tagged(feature="search").count() >= 1


def test_agents_see_their_own_tenants_tickets_only(app: Flask) -> None:
    theirs = _ticket_of(app, seed.ADMIN)
    assert _signed_in(app, seed.AGENT).get(f"/tickets/{theirs}").status_code == 404


def test_made_up_history_is_written_once_and_adds_up(app: Flask) -> None:
    with app.app_context():
        calls = tracker.calls.count()
        assert calls > 100
        assert seed.fill(days=3) == 0
        assert tracker.calls.count() == calls
        by_tenant = tracker.calls.cost_by("tag:tenant")
        assert {row.value for row in by_tenant.rows} == {"acme", "harbour", "lumen"}
        assert sum((row.total_cost or Decimal(0)) for row in by_tenant.rows) == tracker.calls.total_cost()
        assert tracker.calls.unknown_pricing().count() > 0


def test_every_page_works_under_a_strict_content_security_policy(app: Flask) -> None:
    client = _signed_in(app, seed.ADMIN)
    ticket = _ticket_of(app, seed.ADMIN)
    for path in ("/", f"/tickets/{ticket}", "/login"):
        answer = client.get(path)
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert not re.search(r"<script|<style|\sstyle=|\son\w+=", answer.text)


def test_answers_are_labelled_as_made_up(app: Flask) -> None:
    assert "made up by a stand-in" in _signed_in(app, seed.AGENT).get("/").text
