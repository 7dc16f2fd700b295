"""One spelling for pricing modes."""

from __future__ import annotations

import pytest

from flask_llm_cost.providers import normalise_mode


@pytest.mark.parametrize("text", [None, "", "auto", "default", "Standard", "standard_only", "on_demand", " "])
def test_the_standard_rates_have_no_mode(text: str | None) -> None:
    assert normalise_mode(text) is None


@pytest.mark.parametrize(
    "text", ["flex", "priority", "batch", "fast", "ultrafast", "data_residency", "scale"]
)
def test_a_tier_keeps_its_name(text: str) -> None:
    assert normalise_mode(text) == text


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("Priority", "priority"),
        ("data-residency", "data_residency"),
        ("data_residency_batch", "batch_data_residency"),
        ("fast-batch", "batch_fast"),
        ("standard_data_residency", "data_residency"),
        ("some_new_tier", "some_new_tier"),
    ],
)
def test_case_dashes_and_order_do_not_matter(text: str, mode: str) -> None:
    assert normalise_mode(text) == mode


@pytest.mark.parametrize("text", ["two\nlines", "ünder", "x" * 64, "'; --"])
def test_what_is_no_name_is_no_mode(text: str) -> None:
    assert normalise_mode(text) is None
