"""What is said of calls travels as text, and nothing in a text from outside is trusted."""

from __future__ import annotations

import json

import pytest

from flask_llm_cost.scope import TEXT_LIMIT
from flask_llm_cost.scope import Scope

WHOLE = Scope(
    tags={"feature": "mail", "region": None, "ü": "ö"},
    user_id="7",
    request_type="job",
    trackable=("Order", "9"),
    endpoint="shop.order",
)


@pytest.mark.parametrize("scope", [WHOLE, Scope(endpoint="order"), Scope(tags={"a": "b"})])
def test_a_scope_comes_out_as_it_went_in(scope: Scope) -> None:
    text = scope.to_text()
    assert text is not None
    assert text.isascii()
    assert Scope.from_text(text) == scope


def test_where_nothing_is_said_there_is_no_text() -> None:
    assert Scope().to_text() is None


def test_tags_with_configured_secret_keys_travel_redacted() -> None:
    text = Scope(tags={"iban": "DE00", "gone": None}).to_text(("iban", "gone"))
    assert json.loads(str(text)) == {"tags": {"iban": "[redacted]", "gone": None}}


def test_of_too_many_tags_the_newest_travel(caplog: pytest.LogCaptureFixture) -> None:
    tags = {f"key{number}": "\U0001f6a2" * 255 for number in range(50)}
    text = Scope(tags=tags, user_id="\U0001f6a2" * 191).to_text()
    assert text is not None
    assert len(text) <= TEXT_LIMIT
    kept = list(Scope.from_text(text).tags)
    assert kept
    assert kept == list(tags)[-len(kept) :]
    assert "too many tags travel" in caplog.text


def test_ids_alone_always_fit() -> None:
    ship = "\U0001f6a2" * 300
    text = Scope.of({"user": ship, "request_type": ship, "trackable": (ship, ship)}).to_text()
    assert text is not None
    assert len(text) <= TEXT_LIMIT


@pytest.mark.parametrize(
    "text",
    [None, 5, b"{}", "", "{", "[]", "5", "null", '{"tags": []}', '{"tags": null}', " " * TEXT_LIMIT + "{}"],
    ids=repr,
)
def test_what_is_no_scope_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match=r"scope|Expecting"):
        Scope.from_text(text)


def test_a_text_of_another_version_or_by_somebody_else_is_read_as_far_as_it_makes_sense() -> None:
    text = json.dumps(
        {
            "version": 9,
            "user": ["7"],
            "request_type": 5,
            "trackable": ["Order"],
            "endpoint": "x" * 300,
            "tags": {"a b": "c", "api_key": "x", "note": "sk-proj-abcdefghijklmnop1234", "list": [1], "n": 1},
        }
    )
    assert Scope.from_text(text) == Scope(
        tags={"a_b": "c", "api_key": "[redacted]", "note": "[redacted]", "list": None, "n": "1"},
        request_type="5",
        endpoint="x" * 190 + "…",
    )
