"""The spans of time for which limits hold."""

from __future__ import annotations

from datetime import UTC
from datetime import datetime
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_llm_cost.budgets.windows import EVER
from flask_llm_cost.budgets.windows import Window
from flask_llm_cost.budgets.windows import window_of

BERLIN = ZoneInfo("Europe/Berlin")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")
ZONES = [ZoneInfo("UTC"), BERLIN, LORD_HOWE, ZoneInfo("America/Sao_Paulo"), ZoneInfo("Pacific/Apia")]


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("period", "moment", "start", "end"),
    [
        ("day", "2026-03-14T23:30", "2026-03-14T23:00", "2026-03-15T23:00"),
        ("day", "2026-03-29T12:00", "2026-03-28T23:00", "2026-03-29T22:00"),
        ("week", "2026-03-14T12:00", "2026-03-08T23:00", "2026-03-15T23:00"),
        ("month", "2026-12-31T23:30", "2026-12-31T23:00", "2027-01-31T23:00"),
        ("hour", "2026-03-14T12:30", "2026-03-14T12:00", "2026-03-14T13:00"),
    ],
    ids=["after local midnight", "23 hours", "from Monday", "across the year", "hour"],
)
def test_windows_are_those_of_the_zone(period: str, moment: str, start: str, end: str) -> None:
    assert window_of(period, utc(moment), BERLIN) == Window(utc(start), utc(end))  # type: ignore[arg-type]


def test_an_hour_that_happens_twice_is_two_windows() -> None:
    first, second = utc("2026-10-25T00:30"), utc("2026-10-25T01:30")

    assert window_of("hour", first, BERLIN).end == window_of("hour", second, BERLIN).start


def test_all_time_is_one_window() -> None:
    assert window_of("total", utc("2026-03-14T12:00"), BERLIN) == Window(EVER, None)


@given(
    st.integers(631_152_000, 2_208_988_800).map(lambda second: datetime.fromtimestamp(second, UTC)),
    st.sampled_from(ZONES),
    st.sampled_from(["day", "week", "month"]),
)
def test_windows_neither_overlap_nor_leave_a_gap(moment: datetime, zone: ZoneInfo, period: str) -> None:
    window = window_of(period, moment, zone)  # type: ignore[arg-type]

    assert window.end is not None
    assert window.start <= moment < window.end
    assert window_of(period, window.end, zone).start == window.end  # type: ignore[arg-type]
    assert window_of(period, window.end - timedelta(microseconds=1), zone) == window  # type: ignore[arg-type]
