"""The filter bar: presets, the form's fields, and the active filters as chips."""

from __future__ import annotations

from dataclasses import dataclass

from .asking import Asked
from .filters import FIELDS
from .filters import NEW_TAG_KEY
from .filters import NEW_TAG_VALUE
from .filters import Filters
from .formats import days
from .periods import PRESETS
from .periods import Period
from .periods import preset_period
from .responses import link

_MAX_OPTIONS = 100
_FIRST_FIELDS = ("provider", "model")
_MORE_FIELDS = ("operation", "status", "stream", "user")


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A link that changes the view, marked where it is the present one."""

    text: str
    href: str
    current: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """A field of the form. ``closed`` ones offer their options only."""

    name: str
    label: str
    value: str
    options: tuple[str, ...]
    closed: bool = False
    placeholder: str = "any"


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
    dates: tuple[str, str]
    inputs: tuple[Input, ...]
    more_inputs: tuple[Input, ...]
    tag_keys: tuple[str, ...]
    hidden: tuple[tuple[str, str], ...]
    chips: tuple[ShownChip, ...]
    clear: str
    open: bool


def filter_bar(endpoint: str, asked: Asked, tag_keys: tuple[str, ...]) -> FilterBar:
    """The filter bar of a page."""
    filters = asked.filters
    period = filters.period
    chips = tuple(
        ShownChip(
            label=chip.label,
            value="none" if chip.value is None else chip.value,
            href=link(endpoint, chip.rest.arguments() | filters.extra),
        )
        for chip in filters.chips()
    )
    return FilterBar(
        action=link(endpoint, {}),
        days=days(period.first, period.last),
        says=_against(period),
        presets=_presets(endpoint, asked),
        dates=("", "") if period.preset else (period.first.isoformat(), period.last.isoformat()),
        inputs=tuple(_input(name, asked) for name in _FIRST_FIELDS),
        more_inputs=tuple(_input(name, asked) for name in _MORE_FIELDS),
        tag_keys=tag_keys,
        hidden=_hidden(filters),
        chips=chips,
        clear=link(endpoint, Filters(period, {}, {}).arguments()),
        open=any(name not in _FIRST_FIELDS for name in filters.values),
    )


def _against(period: Period) -> str:
    """The zone of the days, and the days they are held against."""
    before = period.previous
    return f"{period.zone.key}, against {days(before.first, before.last)}"


def _presets(endpoint: str, asked: Asked) -> tuple[Choice, ...]:
    filters, zone = asked.filters, asked.filters.period.zone
    return tuple(
        Choice(
            text=words,
            href=link(
                endpoint, filters.during(preset_period(name, asked.today, zone)).arguments() | filters.extra
            ),
            current=filters.period.preset == name,
        )
        for name, words in PRESETS.items()
    )


def _hidden(filters: Filters) -> tuple[tuple[str, str], ...]:
    """What the form sends along unseen: the preset, and filters without a field of their own."""
    shown = (*_FIRST_FIELDS, *_MORE_FIELDS, "from", "to", NEW_TAG_KEY, NEW_TAG_VALUE)
    sent = filters.arguments() | filters.extra
    return tuple((name, value) for name, value in sent.items() if name not in shown)


def _input(name: str, asked: Asked) -> Input:
    field = FIELDS[name]
    value = asked.filters.values.get(name) or ""
    options = field.choices
    if name in _FIRST_FIELDS:
        found = asked.in_period.distinct(field.column, limit=_MAX_OPTIONS)
        options = tuple(option for option in found if option)
    if value and value not in options:
        options = (value, *options)
    return Input(
        name=name,
        label=field.label,
        value=value,
        options=() if name == "user" else options,
        closed=bool(field.choices) or name == "provider",
    )
