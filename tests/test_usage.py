"""``Usage``: disjoint buckets, nothing negative, nothing invented."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_llm_cost.components import components
from flask_llm_cost.usage import BUCKET_FIELDS
from flask_llm_cost.usage import TOKEN_FIELDS
from flask_llm_cost.usage import Usage

counts = st.none() | st.integers(0, 10**9)


def test_nothing_told_is_not_zero() -> None:
    assert Usage().is_empty
    assert not Usage(input_tokens=0).is_empty
    assert Usage().quantities() == {}
    assert Usage(input_tokens=0).quantities() == {"input": Decimal(0)}


@pytest.mark.parametrize("name", TOKEN_FIELDS)
@pytest.mark.parametrize("value", [-1, 1.5, float("nan"), "12", True, 10**13], ids=repr)
def test_a_count_that_is_no_count_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=name):
        Usage(**{name: value})


@pytest.mark.parametrize(
    ("charges", "message"),
    [
        ({"web_search": 1}, "not a billed component"),
        ({"input": 1}, "not a billed component"),
        ({"web_search_request": -1}, "between 0"),
        ({"web_search_request": Decimal("NaN")}, "between 0"),
        ({"web_search_request": 0.5}, "int or a Decimal"),
    ],
    ids=str,
)
def test_a_charge_that_cannot_be_billed_is_refused(charges: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Usage(charges=charges)


def test_a_part_cannot_exceed_its_whole() -> None:
    with pytest.raises(ValueError, match="reasoning_tokens"):
        Usage(output_tokens=5, reasoning_tokens=6)
    with pytest.raises(ValueError, match="cached audio"):
        Usage(cache_read_input_tokens=5, cache_read_audio_input_tokens=3, cache_read_image_input_tokens=3)


def test_cached_media_is_taken_out_of_the_cached_text() -> None:
    usage = Usage(cache_read_input_tokens=10, cache_read_audio_input_tokens=4)
    assert usage.quantities() == {"cache_read_input": Decimal(6), "cache_read_audio_input": Decimal(4)}
    assert usage.counted_tokens == 10


def test_reasoning_is_not_billed_beside_the_output_that_holds_it() -> None:
    assert Usage(output_tokens=10, reasoning_tokens=7).quantities() == {"output": Decimal(10)}


@given(st.fixed_dictionaries({name: counts for name in BUCKET_FIELDS}))
def test_the_billed_token_quantities_add_up_to_the_counted_tokens(values: dict[str, int | None]) -> None:
    usage = Usage(**values)
    assert sum(usage.quantities().values()) == usage.counted_tokens


@given(
    st.fixed_dictionaries({name: counts for name in BUCKET_FIELDS}),
    st.fixed_dictionaries({name: counts for name in BUCKET_FIELDS}),
)
def test_adding_usages_adds_every_bucket(left: dict[str, int | None], right: dict[str, int | None]) -> None:
    both = Usage(**left, charges={"web_search_request": 1}) + Usage(
        **right, charges={"web_search_request": 2}
    )
    assert both.counted_tokens == Usage(**left).counted_tokens + Usage(**right).counted_tokens
    assert both.charges == {"web_search_request": Decimal(3)}
    assert all(
        getattr(both, name) is None for name in BUCKET_FIELDS if left[name] is None and right[name] is None
    )


def test_every_token_component_names_a_usage_field_and_every_part_a_component() -> None:
    for component in components().values():
        assert component.usage is None or component.usage in TOKEN_FIELDS
        assert component.part_of is None or component.part_of in components()


@given(counts, counts, st.integers(0, 10**6), st.integers(0, 10**6))
def test_what_is_billed_tells_the_usage_again(
    fresh: int | None, out: int | None, audio: int, rest: int
) -> None:
    """But for what is not billed: reasoning tokens, and the provider's total."""
    usage = Usage(
        input_tokens=fresh,
        cache_read_input_tokens=audio + rest,
        cache_read_audio_input_tokens=audio,
        output_tokens=out,
        charges={"transcription_minute": Decimal("0.25")},
    )
    told = Usage.of_quantities(usage.quantities())
    assert told == usage


@pytest.mark.parametrize(
    "billed",
    [{"coffee": Decimal(1)}, {"input": Decimal("1.5")}, {"input": Decimal(-1)}, {"page": Decimal("NaN")}],
    ids=["component", "part of a token", "negative", "no number"],
)
def test_nonsense_tells_no_usage(billed: dict[str, Decimal]) -> None:
    with pytest.raises(ValueError, match=r"component|whole|between"):
        Usage.of_quantities(billed)
