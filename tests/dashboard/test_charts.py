"""The geometry of charts: what holds for any numbers."""

from __future__ import annotations

from decimal import Decimal
from itertools import groupby
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_llm_cost.dashboard import charts

HEIGHT = 200.0
AMOUNT = st.decimals(min_value=0, max_value=10**9, places=12)
BAR = st.lists(AMOUNT, max_size=8).map(lambda amounts: list(enumerate(amounts)))
BARS = st.lists(BAR, max_size=40)


@given(st.decimals(min_value="0.000000000001", max_value=10**12, places=12))
def test_ticks_are_round_few_and_reach_the_highest_value(highest: Decimal) -> None:
    ticks = charts.nice_ticks(highest)
    steps = {later - earlier for earlier, later in pairwise(ticks)}
    assert ticks[0] == 0
    assert ticks[-1] >= highest > ticks[-2]
    assert len(ticks) <= 5
    assert len(steps) == 1
    assert steps.pop().normalize().as_tuple().digits in ((1,), (2,), (2, 5), (5,))


def test_nothing_still_has_an_axis() -> None:
    assert charts.nice_ticks(Decimal(0)) == (Decimal(0), Decimal(1))


@pytest.mark.parametrize("count", [1, 2, 30, 366])
def test_bands_fill_the_width_without_overlap(count: int) -> None:
    bands = charts.bands(count)
    assert len(bands) == count
    assert bands[0].start == 0
    assert bands[-1].start + bands[-1].width == pytest.approx(100, abs=0.05)
    for band in bands:
        assert band.start <= band.bar_start
        assert band.bar_start + band.bar_width <= band.start + band.width + 0.001


@given(BARS)
def test_bars_stay_inside_the_plot_and_segments_lie_on_each_other(
    bars: list[list[tuple[int, Decimal]]],
) -> None:
    drawn = charts.stacked_bars(bars, height=HEIGHT)
    for column, parts in zip(drawn.columns, bars, strict=True):
        bottom = HEIGHT
        for segment in column.segments:
            assert segment.y + segment.height == pytest.approx(bottom, abs=0.05)
            assert segment.height > 0
            bottom = segment.y
        assert bottom >= -0.01
        assert [(segment.rank, segment.value) for segment in column.segments] == [
            (rank, amount) for rank, amount in parts if amount
        ]
        assert column.total == sum((amount for _, amount in parts), Decimal(0))


@given(BARS)
def test_heights_are_in_proportion(bars: list[list[tuple[int, Decimal]]]) -> None:
    drawn = charts.stacked_bars(bars, height=HEIGHT)
    top = float(drawn.ticks[-1].value)
    for column in drawn.columns:
        for segment in column.segments:
            # Slivers are made half a pixel tall, and the largest part of a full bar gives that much.
            share = float(segment.value) / top * HEIGHT
            assert segment.height == pytest.approx(share, abs=0.5 * len(column.segments) + 0.02)


@given(st.lists(st.one_of(st.none(), AMOUNT), min_size=1, max_size=40))
def test_a_line_is_broken_where_a_value_is_unknown(line: list[Decimal | None]) -> None:
    drawn = charts.stacked_bars([[] for _ in line], height=HEIGHT, line=line)
    assert sum(len(run) for run in drawn.line) == sum(amount is not None for amount in line)
    assert all(0 <= x <= 100 and -0.01 <= y <= HEIGHT for run in drawn.line for x, y in run)
    gaps_inside = sum(earlier is not None and later is None for earlier, later in pairwise(line))
    assert len(drawn.line) <= gaps_inside + 1


@given(st.integers(0, 400), st.integers(1, 12))
def test_labels_are_thinned_evenly_and_keep_the_last(count: int, most: int) -> None:
    kept = sorted(charts.thinned(count, most))
    assert len(kept) <= most
    assert not count or kept[-1] == count - 1
    assert len({later - earlier for earlier, later in pairwise(kept)}) <= 1


@given(st.lists(AMOUNT, max_size=12))
def test_spans_fill_the_bar_in_order(amounts: list[Decimal]) -> None:
    spans = charts.spans(list(enumerate(amounts)))
    assert len(spans) == sum(amount > 0 for amount in amounts)
    if spans:
        assert spans[-1].start + spans[-1].width == pytest.approx(100, abs=0.05)
        assert all(
            left.start + left.width == pytest.approx(right.start, abs=0.01) for left, right in pairwise(spans)
        )


@given(AMOUNT, AMOUNT)
def test_a_share_is_between_nothing_and_all(part: Decimal, whole: Decimal) -> None:
    assert 0 <= charts.share(part, whole) <= 100


@pytest.mark.parametrize(
    ("part", "whole"), [(None, Decimal(1)), (Decimal(1), None), (Decimal(1), Decimal(0))]
)
def test_an_unknown_share_has_no_bar(part: Decimal | None, whole: Decimal | None) -> None:
    assert charts.share(part, whole) == 0


KNOWN = st.one_of(st.none(), st.decimals(0, 10**9, places=6))


@given(amounts=st.lists(KNOWN, min_size=1, max_size=70))
def test_a_sparkline_stays_in_its_box_and_breaks_where_nothing_is_known(
    amounts: list[Decimal | None],
) -> None:
    runs = charts.sparkline(amounts, height=20, inset=2)
    points = [point for run in runs for point in run]
    assert all(0 <= x <= 100 and 2 <= y <= 18 for x, y in points)
    gaps = [list(group) for known, group in groupby(amounts, lambda amount: amount is not None) if known]
    assert len(runs) == len(gaps)
    for run, group in zip(runs, gaps, strict=True):
        assert len(run) == max(len(group), 2)
        if not any(group):
            assert {y for _, y in run} == {18}


@given(
    spent=st.lists(st.decimals(0, 10**6, places=2), min_size=1, max_size=31),
    other=st.lists(KNOWN, min_size=1, max_size=31),
)
def test_lines_share_one_scale_and_end_within_it(spent: list[Decimal], other: list[Decimal | None]) -> None:
    drawn = charts.line_chart([spent, other], height=180, low=spent, high=spent)
    assert len(drawn.places) == max(len(spent), len(other))
    (line,) = drawn.lines[0]
    highest = drawn.ticks[-1].value
    assert all(
        y == round(180 - float(amount) * (180 / float(highest)), 2)
        for (_, y), amount in zip(line, spent, strict=True)
    )
    assert sum(map(len, drawn.lines[1])) == sum(amount is not None for amount in other)
    assert len(drawn.band) == 2 * len(spent)
    assert all(0 <= y <= 180 for run in (*drawn.lines[0], *drawn.lines[1], drawn.band) for _, y in run)


@given(
    parts=st.lists(st.tuples(st.integers(0, 8), st.decimals(0, 10**6, places=2)), max_size=4),
    whole=st.decimals(0, 10**6, places=2),
)
def test_a_meter_holds_what_is_over_and_says_so(parts: list[tuple[int, Decimal]], whole: Decimal) -> None:
    drawn = charts.meter(parts, whole, marks=[whole])
    filled = sum((amount for _, amount in parts), Decimal(0))
    assert drawn.over == (filled > whole)
    assert sum(span.width for span in drawn.spans) <= 100.01
    if filled and filled >= whole:
        assert sum(span.width for span in drawn.spans) == pytest.approx(100, abs=0.01)
    assert all(0 <= mark <= 100 for mark in drawn.marks)
