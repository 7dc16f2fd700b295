"""What is stored of a tag: text, bounded, normalised, without secrets."""

from __future__ import annotations

import enum
import json
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_llm_cost.config import REDACTED_TAG_KEYS
from flask_llm_cost.sanitize import DETAILS_LIMIT
from flask_llm_cost.sanitize import KEY_LENGTH
from flask_llm_cost.sanitize import REDACTED
from flask_llm_cost.sanitize import VALUE_LENGTH
from flask_llm_cost.sanitize import clean_details
from flask_llm_cost.sanitize import clean_key
from flask_llm_cost.sanitize import clean_value
from flask_llm_cost.sanitize import is_secret_key
from flask_llm_cost.sanitize import one_line
from flask_llm_cost.sanitize import plain_text


class Plan(enum.Enum):
    PRO = "pro"
    TRIAL = 3.5


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("chat", "chat"),
        (42, "42"),
        (True, "true"),
        (Plan.PRO, "pro"),
        (Plan.TRIAL, "TRIAL"),
        (Decimal("1E+2"), "100"),
        (UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        (Decimal("1E+999999999"), "1E+999999999"),
        (2**4000, hex(2**4000)),
        (1.5, None),
        ([1], None),
        (None, None),
    ],
)
def test_plain_values_have_a_text_and_others_none(value: object, text: str | None) -> None:
    assert plain_text(value) == text


@pytest.mark.parametrize(
    ("raw", "stored"),
    [
        ("  acme ", "acme"),
        ("e\u0301cole", "\u00e9cole"),
        ("a\x00b", "ab"),
        ("lone \ud800 surrogate", "lone ? surrogate"),
        ("openai.chat-001", "openai.chat-001"),
        ("x" * 256, "x" * 254 + "…"),
        ("x" * 255, "x" * 255),
    ],
)
def test_a_value_is_stored_verbatim_but_for_what_no_database_takes(raw: str, stored: str) -> None:
    assert clean_value(raw) == stored


@given(st.text(max_size=5000))
def test_any_text_becomes_one_that_every_database_takes(raw: str) -> None:
    stored = clean_value(raw)
    assert len(stored) <= VALUE_LENGTH
    assert "\x00" not in stored
    stored.encode("utf-8")
    assert len(clean_key(raw)) <= KEY_LENGTH


@pytest.mark.parametrize(
    "secret",
    [
        "sk-proj-abcdefghijklmnop1234",
        "sk-ant-api03-abcdefghijklmnop",
        "AKIAIOSFODNN7EXAMPLE",
        "ghp_abcdefghijklmnopqrstuv",
        "xoxb-1234567890-abcdef",
        "sk_live_abcdefghijklmnopqr",
        "AIzaSyA-abcdefghijklmnopqrstuvwxyz12345",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
        "Bearer abcdefghijklmnopqrstuvwxyz",
        "postgresql://app:hunter2@db.example.com/prod",
        "-----BEGIN RSA PRIVATE KEY-----",
    ],
)
def test_a_value_that_looks_like_a_credential_is_redacted_whole(secret: str) -> None:
    assert clean_value(f"key is {secret}") == REDACTED


def test_a_key_that_looks_like_a_credential_is_redacted_whole() -> None:
    assert clean_key("sk-proj-abcdefghijklmnop1234") == "redacted"


def test_a_name_cannot_forge_a_line() -> None:
    assert one_line("gpt-5\nbill\u2028paid\x1b[2J Köln") == r"gpt-5\nbill\u2028paid\x1b[2J Köln"


@pytest.mark.parametrize(
    "text", ["task-1234", "risk-assessment-of-a-long-project", "a:b@c", "sk-short", "bearer bonds"]
)
def test_an_innocent_value_is_kept(text: str) -> None:
    assert clean_value(text) == text


@pytest.mark.parametrize("key", ["api_key", "userApiKey", "OPENAI-API-KEY", "x.password.y", "client_secret"])
def test_a_key_that_holds_a_secret_word_is_secret(key: str) -> None:
    assert is_secret_key(key, REDACTED_TAG_KEYS)


@pytest.mark.parametrize("key", ["tokenizer", "secretary", "feature", "passwordless", "apikeyless"])
def test_a_key_that_only_resembles_a_secret_word_is_not(key: str) -> None:
    assert not is_secret_key(key, REDACTED_TAG_KEYS)


def test_details_keep_their_shape_without_secrets_and_odd_types() -> None:
    details = {
        "order": {"id": 7, "password": "hunter2", "price": Decimal("1.10")},
        "rows": [1, None, float("nan"), object()],
        "header": "Bearer abcdefghijklmnopqrstuvwxyz",
    }
    assert clean_details(details) == {
        "order": {"id": 7, "password": REDACTED, "price": "1.10"},
        "rows": [1, None, None, "[object]"],
        "header": REDACTED,
    }


def test_details_are_bounded() -> None:
    assert "left_out" in clean_details({str(number): "x" * 900 for number in range(50)})
    deep: dict[str, object] = {}
    deep["again"] = deep
    assert len(json.dumps(clean_details(deep))) < DETAILS_LIMIT
