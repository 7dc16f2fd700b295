"""Days, weeks and months of a zone, also where clocks change and dates or midnights are left out."""

from __future__ import annotations

from datetime import UTC
from datetime import date
from datetime import datetime
from datetime import timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_llm_cost.analytics import named_zone
from flask_llm_cost.analytics import periods
from flask_llm_cost.errors import InvalidFilterError
from tests.analytics.ledgers import BERLIN
from tests.analytics.ledgers import ZONES

HOUR = timedelta(hours=1)


def instants() -> st.SearchStrategy[datetime]:
    """Any second from 2009 to 2026: Newfoundland's clocks changed at 00:01 then, and Samoa left out a day."""
    first, last = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) for year in (2009, 2027))
    return st.integers(first, last).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


def _length(day: date, zone: ZoneInfo) -> timedelta:
    start, end = periods.days(day, day, zone)
    return end.astimezone(UTC) - start.astimezone(UTC)


@pytest.mark.parametrize(
    ("day", "zone", "hours"),
    [
        (date(2026, 3, 29), "Europe/Berlin", 23),
        (date(2026, 10, 25), "Europe/Berlin", 25),
        (date(2026, 10, 26), "Europe/Berlin", 24),
        (date(2026, 10, 25), "Asia/Kolkata", 24),
        (date(2026, 3, 8), "America/St_Johns", 23),
        (date(2026, 10, 4), "Australia/Lord_Howe", 23.5),
        (date(2018, 11, 4), "America/Sao_Paulo", 23),
    ],
)
def test_a_day_has_the_hours_its_zone_gives_it(day: date, zone: str, hours: float) -> None:
    assert _length(day, ZoneInfo(zone)) == hours * HOUR


def test_a_day_begins_at_local_midnight_as_an_instant() -> None:
    start, end = periods.days(date(2026, 10, 25), date(2026, 10, 25), BERLIN)
    assert start.astimezone(UTC) == datetime(2026, 10, 24, 22, tzinfo=UTC)
    assert end.astimezone(UTC) == datetime(2026, 10, 25, 23, tzinfo=UTC)
    kolkata = periods.days(date(2026, 1, 1), date(2026, 1, 1), ZoneInfo("Asia/Kolkata"))[0]
    assert kolkata.astimezone(UTC) == datetime(2025, 12, 31, 18, 30, tzinfo=UTC)


def test_a_day_whose_midnight_is_skipped_begins_where_the_gap_ends() -> None:
    # Toronto went from 23:30 to 00:30, Sao Paulo from 00:00 to 01:00.
    toronto = periods.day_start(date(1919, 3, 31), ZoneInfo("America/Toronto"))
    assert toronto.isoformat() == "1919-03-31T00:30:00-04:00"
    sao_paulo = periods.day_start(date(2018, 11, 4), ZoneInfo("America/Sao_Paulo"))
    assert sao_paulo.isoformat() == "2018-11-04T01:00:00-02:00"


def test_a_date_that_a_zone_left_out_has_no_length_and_no_bucket() -> None:
    apia = ZoneInfo("Pacific/Apia")
    assert periods.day_start(date(2011, 12, 30), apia) == periods.day_start(date(2011, 12, 31), apia)
    with pytest.raises(InvalidFilterError, match="must be before"):
        periods.days(date(2011, 12, 30), date(2011, 12, 30), apia)
    week = periods.days(date(2011, 12, 28), date(2012, 1, 2), apia)
    labels = [edge.date().day for edge in periods.bucket_edges(week, "day", apia)]
    assert labels == [28, 29, 31, 1, 2, 3]


@given(
    start=instants(),
    length=st.timedeltas(timedelta(microseconds=1), timedelta(days=60)),
    zone=st.sampled_from(ZONES),
    bucket=st.sampled_from(periods.BUCKETS),
)
def test_buckets_cover_the_range_in_order_and_begin_where_the_zone_begins_them(
    start: datetime, length: timedelta, zone: ZoneInfo, bucket: str
) -> None:
    edges = periods.bucket_edges((start, start + length), bucket, zone)
    instants = [edge.astimezone(UTC) for edge in edges]
    assert all(before < after for before, after in pairwise(instants))
    assert instants[0] <= start < instants[1]
    assert instants[-2] < start + length <= instants[-1]
    if bucket != "hour":
        assert all(edge == periods.day_start(edge.date(), zone) for edge in edges)
        assert bucket != "week" or all(edge.weekday() == 0 for edge in edges)
        assert bucket != "month" or all(edge.day == 1 for edge in edges)


def test_the_hour_that_happens_twice_makes_two_buckets() -> None:
    night = periods.days(date(2026, 10, 25), date(2026, 10, 25), BERLIN)
    edges = periods.bucket_edges(night, "hour", BERLIN)
    assert len(edges) - 1 == 25
    assert [edge.hour for edge in edges[:5]] == [0, 1, 2, 2, 3]


def test_hours_of_a_half_hour_zone_begin_at_its_own_full_hours() -> None:
    kolkata = ZoneInfo("Asia/Kolkata")
    edges = periods.bucket_edges(periods.days(date(2026, 5, 1), date(2026, 5, 1), kolkata), "hour", kolkata)
    assert len(edges) - 1 == 24
    assert {edge.minute for edge in edges} == {0}
    assert {edge.astimezone(UTC).minute for edge in edges} == {30}


def test_the_period_before_whole_days_has_as_many_days() -> None:
    # 19 to 25 October is 169 hours long in Berlin, the week before it 168.
    week = periods.days(date(2026, 10, 19), date(2026, 10, 25), BERLIN)
    assert periods.previous(week, BERLIN) == periods.days(date(2026, 10, 12), date(2026, 10, 18), BERLIN)


def test_the_period_before_a_part_of_a_day_is_as_long() -> None:
    start = datetime(2026, 10, 25, 4, tzinfo=BERLIN)
    assert periods.previous((start, start + 6 * HOUR), BERLIN) == (
        datetime(2026, 10, 24, 21, tzinfo=UTC),
        start,
    )


@given(
    start=instants(),
    length=st.timedeltas(timedelta(microseconds=1), timedelta(days=60)),
    zone=st.sampled_from(ZONES),
)
def test_the_period_before_ends_where_the_period_begins(
    start: datetime, length: timedelta, zone: ZoneInfo
) -> None:
    before = periods.previous((start, start + length), zone)
    assert before[0] < before[1] == start


def test_too_many_buckets_are_refused_with_what_to_do() -> None:
    decades = periods.days(date(1990, 1, 1), date(2026, 1, 1), BERLIN)
    with pytest.raises(InvalidFilterError, match="too fine for this range"):
        periods.bucket_edges(decades, "day", BERLIN)
    assert len(periods.bucket_edges(decades, "month", BERLIN)) == 36 * 12 + 2


@pytest.mark.parametrize("zone", ["Europe/Belin", "", "../etc/passwd", "/etc/localtime", "Europe/Berlin\x00"])
def test_an_unknown_zone_is_refused(zone: str) -> None:
    with pytest.raises(InvalidFilterError, match="IANA time zone name"):
        named_zone(zone)
