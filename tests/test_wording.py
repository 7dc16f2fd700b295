"""How amounts, counts and cells are written wherever they are."""

from __future__ import annotations

from decimal import Decimal

import pytest

from flask_llm_cost.wording import plain_digits
from flask_llm_cost.wording import plural
from flask_llm_cost.wording import spreadsheet_text


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("0", "0"),
        ("12.500", "12.5"),
        ("1E+3", "1000"),
        ("0.000000000001", "0.000000000001"),
        ("123456789012345678901234567890.123456789012", "123456789012345678901234567890.123456789012"),
    ],
)
def test_an_amount_is_written_with_every_digit_and_no_exponent(amount: str, text: str) -> None:
    assert plain_digits(Decimal(amount)) == text


@pytest.mark.parametrize(("count", "text"), [(0, "0 calls"), (1, "1 call"), (1_200, "1,200 calls")])
def test_only_one_is_singular(count: int, text: str) -> None:
    assert plural(count, "call") == text


def test_an_irregular_plural_can_be_given() -> None:
    assert plural(2, "query", "queries") == "2 queries"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "  =1+1", "\n=1"])
def test_what_a_spreadsheet_would_run_is_made_a_text(text: str) -> None:
    assert spreadsheet_text(text) == f"'{text}"


@pytest.mark.parametrize("text", ["gpt-5", "a=b", "", "7", "desk.reply"])
def test_plain_text_stays_as_it_is(text: str) -> None:
    assert spreadsheet_text(text) == text
