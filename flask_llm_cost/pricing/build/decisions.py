"""Rules that decide where the two sources state another price, and what neither of them can say.

A rule needs evidence in the data itself; where there is none the first source stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import replace
from datetime import UTC
from datetime import date
from datetime import datetime
from datetime import time
from decimal import Decimal
from itertools import pairwise

from ..completion import difference
from ..completion import differing
from ..completion import sheet_at
from ..entry import Period
from ..entry import PriceEntry
from ..entry import Sheet

#: The end of a name that says which version it is, or that it is whichever is the latest.
_VERSION = re.compile(r"[-_.]?(latest|v?\d[\w.\-]*)$")
_WEB_FETCH: Mapping[str, Decimal] = {"web_fetch_request": Decimal(0)}
#: OpenAI billed a session of a container at a flat rate until it began to bill its minutes on 2026-06-02
#: (https://developers.openai.com/api/docs/changelog), which no answer tells.
_SESSIONS = Period(
    datetime(2025, 3, 11, tzinfo=UTC),
    datetime(2026, 6, 2, tzinfo=UTC),
    Sheet(rates={"container_session": Decimal("0.03")}),
)


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of a record about whose price the sources disagree.

    :param words: the reason, for the report.
    """

    entry: PriceEntry
    words: str


def is_moving(key: str) -> bool:
    """Whether a name stands for whichever version is the newest: it says "latest", or no version at all."""
    name = key.partition("/")[2]
    return name.endswith("-latest") or _family(key) == key


def _family(key: str) -> str:
    return _VERSION.sub("", _VERSION.sub("", key))


def decide(
    key: str,
    entry: PriceEntry,
    row: PriceEntry,
    others: Mapping[str, PriceEntry],
    retired: Mapping[str, date],
    now: datetime,
) -> Decision | None:
    """Whose price holds for ``key``; ``None`` where nothing speaks against the first source.

    :param entry: the first source's record, ``row`` the second's.
    :param others: records of the first source that the second confirms.
    """
    if not {"input", "output"} & set(differing(sheet_at(entry, now), row.sheet)):
        return None
    for start, sheet in _past(entry, now):
        if not differing(sheet, row.sheet):
            return Decision(entry, f"kept: litellm states the price before {start:%Y-%m-%d}")
    same = _same_price(key, row, others, now)
    day = retired.get(key)
    if day is not None and day <= now.date() and same:
        period = Period(datetime.combine(day, time(), UTC), None, difference(sheet_at(entry, now), row.sheet))
        words = f"from its retirement on {day} at the price of {same[0]}, to which it leads"
        return Decision(replace(entry, periods=(*entry.periods, period)), words)
    family = [name for name in same if _family(name) == _family(key)]
    if is_moving(key) and family:
        found = others[family[0]]
        moved = replace(found, key=key, aliases=(), provenance=dict(entry.provenance))
        return Decision(moved, f"moved: at the price of {family[0]}, on which both sources agree")
    return None


def _past(entry: PriceEntry, now: datetime) -> Iterator[tuple[datetime, Sheet]]:
    """What held before today's price, with the day on which it ended."""
    stages = [(start, sheet) for start, sheet in entry.sheets() if start is None or start <= now]
    for (_, sheet), (end, _) in pairwise(stages):
        if end is not None:
            yield end, sheet


def _same_price(key: str, row: PriceEntry, others: Mapping[str, PriceEntry], now: datetime) -> list[str]:
    """The confirmed records of this provider that cost what ``row`` says, the newest names first."""
    provider = key.partition("/")[0]
    return [
        name
        for name in sorted(others, reverse=True)
        if name.partition("/")[0] == provider
        and name != key
        and all(
            sheet_at(others[name], now).rates.get(rate) == row.sheet.rates.get(rate)
            for rate in ("input", "cache_read_input", "output")
        )
    ]


def completed_by_hand(key: str, entry: PriceEntry) -> PriceEntry:
    """The record with what the providers' pages say and neither source can."""
    provider = key.partition("/")[0]
    rates = entry.sheet.rates
    if provider == "anthropic" and "web_search_request" in rates:
        return replace(entry, sheet=entry.sheet.changed_by(Sheet(rates={**_WEB_FETCH, **rates})))
    if provider == "openai" and "file_search_call" in rates:
        return replace(entry, periods=tuple(sorted((*entry.periods, _SESSIONS), key=lambda item: item.start)))
    return entry
