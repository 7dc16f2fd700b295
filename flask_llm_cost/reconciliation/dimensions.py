"""What a comparison can be split by, and where each side has it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement
from sqlalchemy import func

from ..errors import ConfigurationError
from ..ledger.rows import CALLS
from ..ledger.rows import LINE_ITEMS
from .store import LINES


@dataclass(frozen=True, slots=True)
class Dimension:
    """One thing to split by.

    :param theirs: the column of the provider's lines.
    :param ours: the column of calls and line items. ``None`` where the ledger does not know it.
    """

    name: str
    label: str
    theirs: ColumnElement[Any]
    ours: ColumnElement[Any] | None


_LINE = LINES.columns
_CALL = CALLS.columns
#: A day is told by the period that is asked for, which is one day long then.
DAY = "day"
LINE_ITEM = "line_item"

DIMENSIONS = {
    found.name: found
    for found in (
        Dimension(DAY, "Day (UTC)", _LINE.bucket_start, None),
        Dimension("account", "Account", _LINE.provider_account, _CALL.provider_account),
        Dimension("key", "Key", _LINE.api_key_id, None),
        Dimension("model", "Model", _LINE.model, _CALL.model),
        Dimension(
            LINE_ITEM,
            "Line item",
            func.coalesce(_LINE.component, _LINE.line_item),
            LINE_ITEMS.columns.component,
        ),
        Dimension("mode", "Mode", _LINE.pricing_mode, _CALL.pricing_mode),
    )
}
#: Providers' own words. Currency and provider split every comparison.
ALIASES = {"project": "account", "workspace": "account", "line-item": LINE_ITEM, "component": LINE_ITEM}
ALWAYS = ("provider", "currency")


def dimensions(names: Iterable[str]) -> tuple[Dimension, ...]:
    """The dimensions of these names, each once. :raises ConfigurationError: there is no such one."""
    wanted = dict.fromkeys(ALIASES.get(name, name) for name in names)
    for name in wanted:
        if name not in DIMENSIONS and name not in ALWAYS:
            known = ", ".join((*DIMENSIONS, *ALIASES, *ALWAYS))
            raise ConfigurationError(f"There is no {name!r} to split by. There are: {known}.")
    return tuple(DIMENSIONS[name] for name in wanted if name not in ALWAYS)
