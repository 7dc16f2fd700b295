"""Reading the filters of a page from its query string, strictly.

A parameter that is unknown, doubled or malformed is an error that names it: a view that silently ignores a
filter shows a number nobody asked for.
"""

from __future__ import annotations

import csv
import difflib
import re
from collections.abc import Iterator
from collections.abc import Mapping
from datetime import date
from zoneinfo import ZoneInfo

from werkzeug.datastructures import MultiDict

from ..analytics import BUCKETS
from ..analytics import named_zone
from ..errors import InvalidFilterError
from ..ledger.models import NAME_LENGTH
from ..ledger.models import TAG_KEY_LENGTH
from ..ledger.models import TAG_VALUE_LENGTH
from .filters import BESIDES
from .filters import BUCKET
from .filters import FIELDS
from .filters import LACKED
from .filters import MAX_HOURS
from .filters import MAX_TAGS
from .filters import NEW_TAG_KEY
from .filters import NEW_TAG_VALUE
from .filters import TAG_PREFIX
from .filters import WITHOUT
from .filters import YES_NO
from .filters import ZONE
from .filters import Filters
from .filters import in_order
from .filters import joined_values
from .filters import split_values
from .periods import DEFAULT_PRESET
from .periods import MAX_DAYS
from .periods import PRESETS
from .periods import Period
from .periods import preset_period

_RANGE = ("period", "from", "to")
_VIEW = (ZONE, BUCKET)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_TAG_KEY = re.compile(rf"[\w.-]{{1,{TAG_KEY_LENGTH}}}")
_YEARS = range(2000, 2200)


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
        values=in_order(values),
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
    return name in FIELDS or name.startswith((TAG_PREFIX, BESIDES))


def _checked(name: str, value: str) -> str:
    if name.startswith(BESIDES):
        return _excluded(name, value)
    if name.startswith(TAG_PREFIX):
        check_tag_key(name, name.removeprefix(TAG_PREFIX))
        return _bounded(name, value, TAG_VALUE_LENGTH)
    choices = FIELDS[name].choices
    if choices and value not in choices:
        raise InvalidFilterError(name, f"{_quoted(value)} is not one of {', '.join(choices)}.")
    return _bounded(name, value, NAME_LENGTH)


def _excluded(name: str, text: str) -> str:
    field = name.removeprefix(BESIDES)
    is_flag = field in FIELDS and FIELDS[field].choices == YES_NO
    if is_flag or field.startswith(BESIDES) or not _is_filter(field):
        raise InvalidFilterError(name, f"no values of {_quoted(field)} can be left out.")
    try:
        values = split_values(text)
    except csv.Error:
        values = ()
    if not values:
        raise InvalidFilterError(name, 'write the values with commas between, as in a,"b, c".')
    return joined_values(None if value is None else _checked(field, value) for value in values)


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
        elif name not in LACKED and (name not in FIELDS or not FIELDS[name].optional):
            known = ", ".join([*(key for key, field in FIELDS.items() if field.optional), *LACKED])
            raise InvalidFilterError(WITHOUT, f"{_quoted(name)} is not one of {known}, {TAG_PREFIX}KEY.")
        yield name


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
