"""Every rate of price entries, one a row, for files: by mode, date, hour and size."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator

from ..components import components
from ..pricing import Catalog
from ..pricing import Match
from ..pricing.entry import make_card
from ..pricing.modes import mode_name
from ..wording import plain_digits
from .price_tables import by_hour
from .price_tables import resolved
from .tables import Cell
from .tables import Column
from .tables import Row
from .tables import Table

_COLUMNS = (
    "key",
    "source",
    "version",
    "same_as",
    "mode",
    "valid_from",
    "hours",
    "over_input_tokens",
    "component",
    "rate",
    "rate_basis",
)


def every_rate_table(catalog: Catalog, matches: Iterable[Match]) -> Table:
    """The rates of ``matches``, as they are written in price tables. A free entry has one row of zero."""
    return Table(
        name="rates",
        caption="Rates",
        columns=tuple(Column(label=name) for name in _COLUMNS),
        rows=tuple(row for match in matches for row in _rows(catalog, match)),
    )


def _rows(catalog: Catalog, match: Match) -> Iterator[Row]:
    entry = resolved(catalog, match)
    about = (match.key, match.source, match.version, match.entry.same_as or "")
    if entry.free:
        yield _row(*about, "", "", "", "", "free", "0", "")
    for start, sheet in entry.sheets():
        for when, variant in by_hour(sheet):
            place = (start.isoformat() if start else "", when)
            for mode in ((), *sorted(variant.modes)):
                card = make_card(variant, mode)
                for level in card.levels if card else ():
                    size = "" if level.over is None else str(level.over)
                    for component, rate in level.rates.items():
                        if rate.lent_by is None:
                            basis = components()[component].rate_basis.value
                            priced = (component, plain_digits(rate.amount), basis)
                            yield _row(*about, mode_name(mode), *place, size, *priced)


def _row(*texts: str) -> Row:
    return tuple(Cell(text=text) for text in texts)
