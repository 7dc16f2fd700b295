"""The filter bar: presets, the form's fields, and the active filters as chips."""

from __future__ import annotations

from dataclasses import dataclass

from ..analytics import BUCKETS
from .asking import Asked
from .filters import FIELDS
from .filters import MAX_HOURS
from .filters import NEW_TAG_KEY
from .filters import NEW_TAG_VALUE
from .filters import ZONE
from .filters import Chip
from .filters import Filters
from .formats import days
from .periods import PRESETS
from .periods import Period
from .periods import preset_period
from .responses import Place
from .responses import runtime

_MAX_OPTIONS = 100
_FIRST_FIELDS = ("provider", "model")
_MORE_FIELDS = (
    "user",
    "operation",
    "status",
    "failed",
    "retried",
    "stream",
    "mode",
    "endpoint",
    "request_type",
    "service",
    "account",
    "price",
    "usage",
)
#: Fields whose values are few and read from the calls.
_LISTED = ("provider", "model")
#: The modes that providers have; any other can be typed.
_MODES = ("batch", "data_residency", "fast", "flex", "priority")
#: Zones to choose from; any other can be typed.
_ZONES = (
    "UTC",
    "America/Los_Angeles",
    "America/New_York",
    "America/Sao_Paulo",
    "Europe/London",
    "Europe/Berlin",
    "Asia/Kolkata",
    "Asia/Singapore",
    "Asia/Tokyo",
    "Australia/Sydney",
)
_BUCKET_WORDS = {"hour": "By hour", "day": "By day", "week": "By week", "month": "By month"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A link that changes the view, marked where it is the present one."""

    text: str
    href: str
    current: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """A field of the form. ``closed`` ones offer their options only, ``required`` ones no "any" besides."""

    name: str
    label: str
    value: str
    options: tuple[str, ...]
    closed: bool = False
    placeholder: str = "any"
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownChip:
    """An active filter and the address of the view without it."""

    label: str
    value: str
    href: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterBar:
    """Everything the filter bar shows. ``hidden`` carries what the form has no field for."""

    action: str
    days: str
    says: str
    presets: tuple[Choice, ...]
    buckets: tuple[Choice, ...]
    dates: tuple[str, str]
    inputs: tuple[Input, ...]
    more_inputs: tuple[Input, ...]
    tag_keys: tuple[str, ...]
    hidden: tuple[tuple[str, str], ...]
    chips: tuple[ShownChip, ...]
    clear: str
    open: bool


def filter_bar(place: Place, asked: Asked, tag_keys: tuple[str, ...], *, charts: bool = True) -> FilterBar:
    """The filter bar of a page.

    :param charts: whether the page draws something over time, whose bars have a length to choose.
    """
    filters = asked.filters
    period = filters.period
    chips = tuple(
        ShownChip(
            label=chip.label,
            value=_chip_words(chip),
            href=place.link(chip.rest.arguments() | filters.extra),
        )
        for chip in filters.chips()
    )
    return FilterBar(
        action=place.link({}),
        days=days(period.first, period.last),
        says=_against(period),
        presets=_presets(place, asked),
        buckets=_buckets(place, asked) if charts else (),
        dates=("", "") if period.preset else (period.first.isoformat(), period.last.isoformat()),
        inputs=tuple(_input(name, asked) for name in _FIRST_FIELDS),
        more_inputs=(*(_input(name, asked) for name in _MORE_FIELDS), _zone(filters)),
        tag_keys=tag_keys,
        hidden=_hidden(filters),
        chips=chips,
        clear=place.link(filters.cleared().arguments()),
        open=filters.zone_is_chosen or any(name not in _FIRST_FIELDS for name in filters.values),
    )


def _chip_words(chip: Chip) -> str:
    if chip.besides:
        return f"none of {chip.value}"
    return "none" if chip.value is None else chip.value


def _against(period: Period) -> str:
    """The zone of the days, and the days they are held against."""
    before = period.previous
    return f"{period.zone.key}, against {days(before.first, before.last)}"


def _presets(place: Place, asked: Asked) -> tuple[Choice, ...]:
    filters, zone = asked.filters, asked.filters.period.zone
    return tuple(
        Choice(
            text=words,
            href=place.link(
                filters.during(preset_period(name, asked.today, zone)).arguments() | filters.extra
            ),
            current=filters.period.preset == name,
        )
        for name, words in PRESETS.items()
    )


def _buckets(place: Place, asked: Asked) -> tuple[Choice, ...]:
    """How long the bars of charts are; hours only where they fit, and nothing longer than the period."""
    filters = asked.filters
    longest = {"hour": 1, "day": 2, "week": 8, "month": 32}
    offered = [name for name in BUCKETS if filters.period.days >= longest[name]]
    if filters.period.days > MAX_HOURS // 24:
        offered.remove("hour")
    usual = filters.by(None).bucket
    return tuple(
        Choice(
            text=_BUCKET_WORDS[name],
            href=place.link(filters.by(None if name == usual else name).arguments() | filters.extra),
            current=name == filters.bucket,
        )
        for name in offered
    )


def _zone(filters: Filters) -> Input:
    usual, chosen = runtime().config.timezone.key, filters.period.zone.key
    return Input(
        name=ZONE,
        label="Time zone",
        value=chosen if filters.zone_is_chosen else "",
        options=tuple(dict.fromkeys((usual, chosen, *_ZONES))),
        placeholder=usual,
    )


def _hidden(filters: Filters) -> tuple[tuple[str, str], ...]:
    """What the form sends along unseen: the preset, and filters without a field of their own."""
    shown = (*_FIRST_FIELDS, *_MORE_FIELDS, ZONE, "from", "to", NEW_TAG_KEY, NEW_TAG_VALUE)
    sent = filters.arguments() | filters.extra
    return tuple((name, value) for name, value in sent.items() if name not in shown)


def _input(name: str, asked: Asked) -> Input:
    field = FIELDS[name]
    value = asked.filters.values.get(name) or ""
    options = field.choices
    if name in _LISTED:
        found = asked.in_period.distinct(field.column, limit=_MAX_OPTIONS)
        options = tuple(option for option in found if option)
    if name == "mode":
        options = _MODES
    if value and value not in options:
        options = (value, *options)
    return Input(
        name=name,
        label=field.label,
        value=value,
        options=options if field.choices or name in (*_LISTED, "mode") else (),
        closed=bool(field.choices) or name == "provider",
    )
