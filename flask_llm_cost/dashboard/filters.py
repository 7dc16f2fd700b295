"""The filters of a page: parsed strictly from the query string, and written back into links.

A parameter that is unknown, doubled or malformed is an error that names it: a view that silently ignores a
filter shows a number nobody asked for.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import replace
from datetime import date
from types import MappingProxyType
from typing import get_args
from zoneinfo import ZoneInfo

from werkzeug.datastructures import MultiDict

from ..analytics import BUCKETS
from ..analytics import named_zone
from ..errors import InvalidFilterError
from ..events import CostStatus
from ..events import Operation
from ..events import Status
from ..events import UsageSource
from ..ledger.models import NAME_LENGTH
from ..ledger.models import TAG_KEY_LENGTH
from ..ledger.models import TAG_VALUE_LENGTH
from .periods import DEFAULT_PRESET
from .periods import MAX_DAYS
from .periods import PRESETS
from .periods import Period
from .periods import preset_period

MAX_QUERY_BYTES = 16 * 1024
MAX_TAGS = 10
TAG_PREFIX = "tag."
#: ``?without=user,tag.feature``: calls that have no value there.
WITHOUT = "without"
#: What the form's own two fields for a new tag are called; links never carry them.
NEW_TAG_KEY = "tag_key"
NEW_TAG_VALUE = "tag_value"

#: The report's time zone, and how long each bar of a chart is.
ZONE = "tz"
BUCKET = "bucket"
#: Bars of an hour that one chart can show.
MAX_HOURS = 31 * 24

_RANGE = ("period", "from", "to")
_VIEW = (ZONE, BUCKET)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_TAG_KEY = re.compile(rf"[\w.-]{{1,{TAG_KEY_LENGTH}}}")
_YEARS = range(2000, 2200)
_YES_NO = ("yes", "no")


@dataclass(frozen=True, slots=True)
class Field:
    """One filter on a column of the ledger.

    :param choices: the values it accepts; empty where any text is.
    :param optional: whether calls may have nothing there, so that ``without=`` can name it.
    """

    column: str
    label: str
    choices: tuple[str, ...] = ()
    optional: bool = False


FIELDS: Mapping[str, Field] = MappingProxyType(
    {
        "provider": Field("provider", "Provider"),
        "model": Field("model", "Model"),
        "operation": Field("operation", "Operation", get_args(Operation)),
        "status": Field("status", "Status", get_args(Status)),
        "stream": Field("stream", "Streamed", _YES_NO),
        "failed": Field("failed", "Failed", _YES_NO),
        "retried": Field("retried", "Tried again", _YES_NO),
        "user": Field("user_id", "User", optional=True),
        "request_type": Field("request_type", "Request type", optional=True),
        "endpoint": Field("endpoint", "Endpoint", optional=True),
        "service": Field("service", "Service"),
        "account": Field("provider_account", "Provider account", optional=True),
        "mode": Field("pricing_mode", "Pricing mode", optional=True),
        "price": Field("cost_status", "Price", get_args(CostStatus)),
        "usage": Field("usage_source", "Usage from", get_args(UsageSource)),
    }
)


@dataclass(frozen=True, slots=True)
class Chip:
    """One active filter: its words, and the filters that are left when it goes."""

    label: str
    value: str | None
    rest: Filters


@dataclass(frozen=True, slots=True)
class Filters:
    """What a page was asked for.

    :param values: URL name to value, ``None`` for "calls without one"; tags as ``tag.KEY``.
    :param extra: the page's own parameters, such as its sort order; not part of what is counted.
    :param chosen_bucket: how long a bar is, where the address says so.
    :param zone_is_chosen: whether the address names the time zone, other than the ledger's.
    """

    period: Period
    values: Mapping[str, str | None]
    extra: dict[str, str]
    chosen_bucket: str | None = None
    zone_is_chosen: bool = False

    @property
    def bucket(self) -> str:
        """How long each bar of a chart is: a day, and an hour where there is one day only."""
        return self.chosen_bucket or ("hour" if self.period.days == 1 else "day")

    def arguments(self) -> dict[str, str]:
        """The query parameters of this view without the page's own, in canonical order."""
        found: dict[str, str] = {}
        if self.period.preset is None:
            found |= {"from": self.period.first.isoformat(), "to": self.period.last.isoformat()}
        elif self.period.preset != DEFAULT_PRESET:
            found["period"] = self.period.preset
        if self.zone_is_chosen:
            found[ZONE] = self.period.zone.key
        if self.chosen_bucket:
            found[BUCKET] = self.chosen_bucket
        found |= {name: value for name, value in self.values.items() if value is not None}
        if absent := [name for name, value in self.values.items() if value is None]:
            found[WITHOUT] = ",".join(absent)
        return found

    def narrowed(self, name: str, value: str | None) -> Filters:
        """These filters and one more."""
        return replace(self, values=_ordered({**self.values, name: value}))

    def widened(self, name: str) -> Filters:
        """These filters without the one called ``name``."""
        return replace(self, values={key: value for key, value in self.values.items() if key != name})

    def during(self, period: Period) -> Filters:
        """The same filters over another period."""
        return replace(self, period=period)

    def by(self, bucket: str | None) -> Filters:
        """The same filters with bars of another length."""
        return replace(self, chosen_bucket=bucket)

    def cleared(self) -> Filters:
        """The same period, zone and bars without any filter."""
        return replace(self, values={}, extra={})

    def chips(self) -> Iterator[Chip]:
        """Each active filter, and what is left without it."""
        for name, value in self.values.items():
            label = FIELDS[name].label if name in FIELDS else name.removeprefix(TAG_PREFIX)
            yield Chip(label, value, self.widened(name))

    def columns(self) -> dict[str, str | bool | None]:
        """What is asked of the ledger's own columns."""
        return {
            FIELDS[name].column: value == "yes" if FIELDS[name].choices == _YES_NO else value
            for name, value in self.values.items()
            if name in FIELDS
        }

    def tags(self) -> dict[str, str | None]:
        """The conditions on tags, for :meth:`CallQuery.tagged`."""
        return {
            name.removeprefix(TAG_PREFIX): value
            for name, value in self.values.items()
            if name.startswith(TAG_PREFIX)
        }


def read_zone(arguments: MultiDict[str, str], usual: ZoneInfo) -> ZoneInfo:
    """The time zone that a query string asks for, else the usual one.

    :raises InvalidFilterError: it names no time zone.
    """
    name = arguments.get(ZONE, "").strip()
    return named_zone(name, ZONE) if name else usual


def read_filters(
    arguments: MultiDict[str, str],
    *,
    today: date,
    zone: ZoneInfo,
    extra: tuple[str, ...] = (),
    usual_zone: ZoneInfo | None = None,
) -> Filters:
    """Parse a query string; blank fields of a form count as not given.

    :param zone: whose days are meant, as :func:`read_zone` found it.
    :param extra: names of the page's own parameters.
    :param usual_zone: the one that links need not name, if that is another one.
    :raises InvalidFilterError: a parameter is unknown, doubled or malformed.
    """
    given = {name: _single(arguments, name, extra) for name in arguments}
    given = {name: value for name, value in given.items() if value}
    values: dict[str, str | None] = {
        name: _checked(name, value) for name, value in given.items() if _is_filter(name)
    }
    values |= _new_tag(given)
    for name in _absent(given.get(WITHOUT, "")):
        if name in values:
            raise InvalidFilterError(
                WITHOUT, f"{name!r} is filtered by a value as well: give only one of both."
            )
        values[name] = None
    if sum(name.startswith(TAG_PREFIX) for name in values) > MAX_TAGS:
        raise InvalidFilterError("tag", f"at most {MAX_TAGS} tags can be combined.")
    period = _period(given, today, zone)
    return Filters(
        period=period,
        values=_ordered(values),
        extra={name: given[name] for name in extra if name in given},
        chosen_bucket=_bucket(given.get(BUCKET), period),
        zone_is_chosen=usual_zone is not None and zone.key != usual_zone.key,
    )


def _bucket(name: str | None, period: Period) -> str | None:
    if name is None:
        return None
    if name not in BUCKETS:
        raise InvalidFilterError(BUCKET, f"{_quoted(name)} is not one of {', '.join(BUCKETS)}.")
    if name == "hour" and period.days * 24 > MAX_HOURS:
        raise InvalidFilterError(
            BUCKET, f"{period.days:,} days have too many hours for one chart: choose at most 31 days, or day."
        )
    return name


def _single(arguments: MultiDict[str, str], name: str, extra: tuple[str, ...]) -> str:
    if not _is_filter(name) and name not in (*_RANGE, *_VIEW, WITHOUT, NEW_TAG_KEY, NEW_TAG_VALUE, *extra):
        known = (*_RANGE, *_VIEW, *FIELDS, WITHOUT, *extra)
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(known)}, {TAG_PREFIX}KEY."
        raise InvalidFilterError(name, f"there is no such parameter. {hint}")
    found = arguments.getlist(name)
    if len(found) > 1:
        raise InvalidFilterError(name, "is given more than once: give it one value.")
    if "\x00" in found[0]:
        raise InvalidFilterError(name, "contains a NUL character, which no stored value does.")
    return found[0].strip()


def _is_filter(name: str) -> bool:
    return name in FIELDS or name.startswith(TAG_PREFIX)


def _checked(name: str, value: str) -> str:
    if name.startswith(TAG_PREFIX):
        check_tag_key(name, name.removeprefix(TAG_PREFIX))
        return _bounded(name, value, TAG_VALUE_LENGTH)
    choices = FIELDS[name].choices
    if choices and value not in choices:
        raise InvalidFilterError(name, f"{_quoted(value)} is not one of {', '.join(choices)}.")
    return _bounded(name, value, NAME_LENGTH)


def check_tag_key(name: str, key: str) -> None:
    """:raises InvalidFilterError: no tag can be called ``key``; ``name`` is the parameter that says so."""
    if not _TAG_KEY.fullmatch(key):
        raise InvalidFilterError(
            name,
            f"{_quoted(key)} is not a tag's name: 1 to {TAG_KEY_LENGTH} letters, digits, '_', '-' or '.',"
            f" as in {TAG_PREFIX}feature=search.",
        )


def _bounded(name: str, value: str, length: int) -> str:
    if len(value) > length:
        raise InvalidFilterError(name, f"is longer than the {length} characters that a value can have.")
    return value


def _new_tag(given: Mapping[str, str]) -> dict[str, str | None]:
    key, value = given.get(NEW_TAG_KEY), given.get(NEW_TAG_VALUE)
    if key is None and value is None:
        return {}
    if key is None:
        raise InvalidFilterError(NEW_TAG_KEY, "name the tag whose value was given, for example feature.")
    check_tag_key(NEW_TAG_KEY, key)
    return {TAG_PREFIX + key: None if value is None else _bounded(NEW_TAG_VALUE, value, TAG_VALUE_LENGTH)}


def _absent(text: str) -> Iterator[str]:
    for name in filter(None, text.split(",")):
        if name.startswith(TAG_PREFIX):
            check_tag_key(WITHOUT, name.removeprefix(TAG_PREFIX))
        elif name not in FIELDS or not FIELDS[name].optional:
            known = ", ".join(key for key, field in FIELDS.items() if field.optional)
            raise InvalidFilterError(WITHOUT, f"{_quoted(name)} is not one of {known}, {TAG_PREFIX}KEY.")
        yield name


def _ordered(values: Mapping[str, str | None]) -> dict[str, str | None]:
    own = {name: values[name] for name in FIELDS if name in values}
    return own | {name: values[name] for name in sorted(values) if name.startswith(TAG_PREFIX)}


def _period(given: Mapping[str, str], today: date, zone: ZoneInfo) -> Period:
    """From and to stand before a preset: the form sends the preset along when dates are typed in."""
    if "from" not in given and "to" not in given:
        return _preset(given.get("period", DEFAULT_PRESET), today, zone)
    dates = {name: _date(name, given[name]) for name in ("from", "to") if name in given}
    if len(dates) == 1:
        missing = "to" if "from" in dates else "from"
        raise InvalidFilterError(missing, "give both from and to, or neither. Write them as YYYY-MM-DD.")
    first, last = dates["from"], dates["to"]
    if last < first:
        raise InvalidFilterError("to", f"{last} lies before from, {first}: swap them.")
    period = Period(first, last, zone)
    if period.days > MAX_DAYS:
        raise InvalidFilterError(
            "to", f"{period.days:,} days are more than the {MAX_DAYS} that one view can show."
        )
    return period


def _preset(name: str, today: date, zone: ZoneInfo) -> Period:
    if name not in PRESETS:
        raise InvalidFilterError("period", f"{_quoted(name)} is not one of {', '.join(PRESETS)}.")
    return preset_period(name, today, zone)


def _date(name: str, text: str) -> date:
    try:
        value = date.fromisoformat(text) if _DATE.fullmatch(text) else None
    except ValueError:  # the thirtieth of February
        value = None
    if value is None:
        raise InvalidFilterError(
            name, f"{_quoted(text)} is not a date. Write it as YYYY-MM-DD, for example 2026-11-22."
        )
    if value.year not in _YEARS:
        raise InvalidFilterError(name, f"the year must lie between {_YEARS[0]} and {_YEARS[-1]}.")
    return value


def _quoted(value: str) -> str:
    return repr(value if len(value) <= 40 else value[:39] + "…")
