"""Mails and webhooks as real servers receive them."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
import trustme

from flask_llm_cost.budgets.alerting.channel import Channel
from flask_llm_cost.budgets.alerting.channel import NotDelivered
from flask_llm_cost.budgets.alerting.channels import channels_of
from flask_llm_cost.budgets.alerting.message import Message
from flask_llm_cost.config import Config
from flask_llm_cost.errors import ConfigurationError
from tests.budgets.receiving import SECRET
from tests.budgets.receiving import HookServer
from tests.budgets.receiving import Inbox
from tests.budgets.receiving import hook_server
from tests.budgets.receiving import mail_server
from tests.loopback import closed_port

MESSAGE = Message(
    key="llm-cost-0f-7",
    service="shop",
    budget="chat",
    scope="acme",
    threshold=Decimal("0.8"),
    limit=Decimal(100),
    spent=Decimal("80.125"),
    window_start=datetime(2026, 11, 1, tzinfo=UTC),
    window_end=datetime(2026, 12, 1, tzinfo=UTC),
    reached_at=datetime(2026, 11, 20, 9, 30, tzinfo=UTC),
)
TEXT = (
    "Budget chat of acme has reached 80 % (shop): $80.13 of $100.00 spent, 80.1 %, "
    "from 2026-11-01 00:00 to 2026-12-01 00:00 UTC."
)


def channel(**keys: Any) -> Channel:
    (found,) = channels_of(Config.from_mapping({f"LLM_COST_{key.upper()}": keys[key] for key in keys}))
    return found


def mail(inbox: Inbox, scheme: str = "smtp", login: str = "", **keys: Any) -> Channel:
    told = {"alert_email_to": "ops@example.com, cfo@example.com", "alert_email_from": "costs@example.com"}
    host = "localhost" if scheme == "smtps" or login else "127.0.0.1"
    return channel(alert_smtp_url=f"{scheme}://{login}{host}:{inbox.port}", **{**told, **keys})


@pytest.fixture
def hook() -> Iterator[HookServer]:
    with hook_server() as server:
        yield server


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    with mail_server() as server:
        yield server


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, TEXT),
        (
            {"threshold": Decimal(1), "spent": Decimal("100.5"), "scope": ""},
            "Budget chat has reached its limit (shop): $100.50 of $100.00 spent, 100.5 %, "
            "from 2026-11-01 00:00 to 2026-12-01 00:00 UTC.",
        ),
        (
            {"threshold": Decimal("1.5"), "window_end": None},
            "Budget chat of acme has reached 150 % (shop): $80.13 of $100.00 spent, 80.1 %, in all.",
        ),
        (
            {"window_end": datetime(2026, 11, 1, tzinfo=UTC), "limit": Decimal(0), "threshold": Decimal(1)},
            "Budget chat of acme has reached its limit (shop): $80.13 of $0.00 spent, "
            "in one call at 2026-11-01 00:00 UTC.",
        ),
    ],
)
def test_an_alert_says_which_budget_how_much_and_when(changes: dict[str, Any], text: str) -> None:
    assert replace(MESSAGE, **changes).text == text


def test_a_webhook_receives_slacks_text_and_every_value(hook: HookServer) -> None:
    channel(alert_webhook_url=hook.url).send(MESSAGE)
    assert hook.received == [
        {
            "text": TEXT,
            "alert": {
                "id": "llm-cost-0f-7",
                "event": "budget_threshold_reached",
                "service": "shop",
                "budget": "chat",
                "scope": "acme",
                "threshold": "0.8",
                "limit": "100",
                "spent": "80.125",
                "currency": "USD",
                "window_start": "2026-11-01T00:00:00+00:00",
                "window_end": "2026-12-01T00:00:00+00:00",
                "reached_at": "2026-11-20T09:30:00+00:00",
            },
        }
    ]
    assert hook.headers[0]["content-type"] == "application/json"
    assert hook.headers[0]["idempotency-key"] == "llm-cost-0f-7"


@pytest.mark.parametrize(
    ("status", "reason", "is_final"),
    [(500, "HTTP 500", False), (429, "HTTP 429", False), (302, "HTTP 302", False), (404, "HTTP 404", True)],
)
def test_a_webhook_that_refuses_is_a_failure_and_so_is_a_redirect(
    hook: HookServer, status: int, reason: str, is_final: bool
) -> None:
    hook.answers.append(status)
    with pytest.raises(NotDelivered) as told:
        channel(alert_webhook_url=hook.url).send(MESSAGE)
    assert (told.value.reason, told.value.is_final) == (reason, is_final)
    assert hook.received == []


def test_a_webhook_that_is_away_is_a_failure_that_does_not_tell_its_address() -> None:
    with pytest.raises(NotDelivered) as told:
        channel(alert_webhook_url=f"http://127.0.0.1:{closed_port()}/{SECRET}").send(MESSAGE)
    assert told.value.reason == "ConnectionRefusedError"
    assert told.value.__suppress_context__


def test_a_mail_goes_to_every_recipient_once(inbox: Inbox) -> None:
    mail(inbox).send(MESSAGE)
    (received,) = inbox.mails
    assert received["subject"] == "Budget chat of acme has reached 80 % (shop)"
    assert received["to"] == "ops@example.com, cfo@example.com"
    assert received["from"] == "costs@example.com"
    assert received["message-id"] == "<llm-cost-0f-7@example.com>"
    assert received["auto-submitted"] == "auto-generated"
    assert received.get_content().strip() == TEXT
    assert inbox.envelopes[0].rcpt_tos == ["ops@example.com", "cfo@example.com"]


def test_names_of_users_cannot_add_headers_and_keep_their_letters(inbox: Inbox) -> None:
    mail(inbox).send(replace(MESSAGE, scope="Zoë\r\nBcc: thief@example.com"))
    (received,) = inbox.mails
    assert received["bcc"] is None
    assert received["subject"] == "Budget chat of Zoë Bcc: thief@example.com has reached 80 % (shop)"
    assert inbox.envelopes[0].rcpt_tos == ["ops@example.com", "cfo@example.com"]


@pytest.fixture
def certificate(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> ssl.SSLContext:
    """What a server for ``localhost`` shows, of an authority that this process trusts."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    return context


def test_a_password_is_sent_over_starttls(certificate: ssl.SSLContext) -> None:
    with mail_server(tls_context=certificate, auth_required=True, auth_require_tls=True) as inbox:
        mail(inbox, login="costs:p%40ss%2Fword@").send(MESSAGE)
    assert inbox.logins == [(b"costs", b"p@ss/word")]
    assert len(inbox.mails) == 1


def test_a_server_that_speaks_tls_from_the_first_byte_is_used_so(certificate: ssl.SSLContext) -> None:
    with mail_server(ssl_context=certificate) as inbox:
        mail(inbox, "smtps").send(MESSAGE)
    assert len(inbox.mails) == 1


def test_a_certificate_that_is_not_trusted_is_a_failure(
    certificate: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with mail_server(tls_context=certificate) as inbox, pytest.raises(NotDelivered, match="SSLCert"):
        mail(inbox, login="costs:p%40ss%2Fword@").send(MESSAGE)
    assert inbox.logins == []


def test_a_wrong_password_is_a_failure_that_tells_only_a_code(certificate: ssl.SSLContext) -> None:
    with mail_server(tls_context=certificate) as inbox, pytest.raises(NotDelivered) as told:
        mail(inbox, login="costs:wrong@").send(MESSAGE)
    assert told.value.reason == "SMTPAuthenticationError 535"
    assert inbox.mails == []


def test_a_mail_that_is_refused_for_now_is_tried_again_and_an_unknown_address_is_not(inbox: Inbox) -> None:
    inbox.refused.append("451 later")
    with pytest.raises(NotDelivered) as told:
        mail(inbox).send(MESSAGE)
    assert (told.value.reason, told.value.is_final) == ("SMTPDataError 451", False)
    for answer, is_final in (("450 grey list", False), ("550 no such user", True)):
        inbox.unknown = dict.fromkeys(("ops@example.com", "cfo@example.com"), answer)
        with pytest.raises(NotDelivered, match="every recipient was refused") as told:
            mail(inbox).send(MESSAGE)
        assert told.value.is_final == is_final
    inbox.unknown = {"cfo@example.com": "550 no such user"}
    with pytest.raises(NotDelivered, match="1 of 2 recipients") as told:
        mail(inbox).send(MESSAGE)
    assert told.value.is_final
    assert len(inbox.mails) == 1


def test_no_secret_stands_in_the_configuration_as_it_is_printed() -> None:
    config = Config.from_mapping(
        {
            "LLM_COST_ALERT_WEBHOOK_URL": f"https://hooks.slack.com/services/{SECRET}",
            "LLM_COST_ALERT_EMAIL_TO": "ops@example.com",
            "LLM_COST_ALERT_EMAIL_FROM": "costs@example.com",
            "LLM_COST_ALERT_SMTP_URL": f"smtp://costs:{SECRET}@mail.example.com",
        }
    )
    assert SECRET not in repr(config)
    assert len(channels_of(config)) == 2
    assert SECRET not in repr([vars(each).get("_server") for each in channels_of(config)])


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"WEBHOOK_URL": f"hooks.slack.com/{SECRET}"}, "LLM_COST_ALERT_WEBHOOK_URL must be an address"),
        ({"WEBHOOK_URL": f"ftp://example.com/{SECRET}"}, "'https://hooks.slack.com/services/...'"),
        ({"WEBHOOK_URL": f"https://example.com:99999/{SECRET}"}, "must be an address"),
        ({"WEBHOOK_URL": f"https://example.com/{SECRET}\n"*2}, "must be an address"),
        ({"SMTP_URL": f"https://:{SECRET}@example.com"}, "'smtp://user:password@mail.example.com:587'"),
        ({"SMTP_URL": f"smtp://u:{SECRET}@example.com"}, "needs LLM_COST_ALERT_EMAIL_TO beside it"),
        ({"EMAIL_TO": "ops@example.com"}, "needs LLM_COST_ALERT_EMAIL_FROM beside it"),
        ({"EMAIL_TO": "ops"}, "must be an address such as 'costs@example.com'"),
        ({"EMAIL_TO": ["a@b.example\nBcc: c@d.example"]}, "must be an address"),
        ({"LOG": "yes"}, "LLM_COST_ALERT_LOG must be True or False"),
    ],
)  # fmt: skip
def test_what_cannot_be_an_address_is_refused_without_being_repeated(keys: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Config.from_mapping({f"LLM_COST_ALERT_{key}": value for key, value in keys.items()})
    assert told in str(refused.value)
    assert SECRET not in str(refused.value)
