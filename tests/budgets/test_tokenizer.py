"""Prompts counted by tiktoken, where the app has loaded the encoding of the model."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator

import pytest
import tiktoken
import tiktoken.registry

from flask_llm_cost.budgets import EstimateRequest
from flask_llm_cost.budgets import estimate_cost
from flask_llm_cost.pricing import Catalog

WORDS = ("quay ", "crane ", "pier ")


@pytest.fixture
def loaded() -> Iterator[None]:
    """An encoding under the name that gpt-5's has: bytes, and a token for each of three words."""
    ranks = {bytes([byte]): byte for byte in range(256)}
    for word in WORDS:
        for end in range(2, len(word) + 1):  # a merge needs its parts
            ranks.setdefault(word[:end].encode(), len(ranks))
    encoding = tiktoken.Encoding(
        "o200k_base", pat_str=r"\S+\s?|\s+", mergeable_ranks=ranks, special_tokens={"<|end|>": len(ranks)}
    )
    tiktoken.registry.ENCODINGS["o200k_base"] = encoding
    yield
    del tiktoken.registry.ENCODINGS["o200k_base"]


def tokens_in(text: str, model: str = "gpt-5") -> int:
    body = {"messages": [{"role": "user", "content": text}], "max_tokens": 1}
    request = EstimateRequest(provider="openai", model=model, operation="chat", body=body)
    found = estimate_cost(request, Catalog.load())
    assert found.bounded
    return int(found.quantities["input"])


@pytest.mark.usefixtures("loaded")
def test_a_loaded_encoding_counts_words_instead_of_bytes() -> None:
    assert tokens_in("quay " * 100) - tokens_in("") == 100
    assert tokens_in("quay " * 100, "gpt-4") - tokens_in("", "gpt-4") == 500  # of another encoding


@pytest.mark.usefixtures("loaded")
def test_what_only_looks_like_a_special_token_is_text() -> None:
    assert tokens_in("<|end|>") - tokens_in("") == len("<|end|>")


@pytest.mark.usefixtures("loaded")
def test_behind_a_certain_length_bytes_are_counted_again() -> None:
    short, long = "quay " * 19_000, "quay " * 20_001
    assert tokens_in(short) < 20_000
    assert tokens_in(long) > len(long)


def test_no_encoding_is_loaded_and_nothing_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a connection was made")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert tokens_in("quay " * 100) - tokens_in("") == 500
    assert "o200k_base" not in tiktoken.registry.ENCODINGS


def test_without_tiktoken_bytes_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "tiktoken"]:
        monkeypatch.delitem(sys.modules, name)
    assert tokens_in("quay " * 100) - tokens_in("") == 500
    assert "tiktoken" not in sys.modules
