"""What recorded calls would have cost on another model: call by call, as tiers and modes are the call's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from ..events import Iteration
from ..ledger import Ledger
from ..pricing import Catalog
from .judgement import TOLD
from .judgement import Left
from .judgement import Recorded
from .price_changes import Selection
from .price_changes import bounded
from .price_changes import next_places
from .price_changes import read_calls
from .quantities import Used
from .quantities import used_by
from .repricing import BATCH_SIZE


@dataclass(slots=True)
class Elsewhere:
    """One model that recorded calls are priced at, in USD.

    :param total_cost: of the calls that could be priced in full; ``unpriced`` others could not.
    """

    provider: str
    model: str
    unpriced: int = 0
    total_cost: Decimal = Decimal(0)


@dataclass(slots=True)
class Comparison:
    """Recorded calls on other models.

    :param calls: how many calls could be compared; ``left`` counts the others by reason.
    :param recorded_cost: what the compared calls have cost, without the ``recorded_unknown`` of them whose
        cost is not, or not wholly, known.
    """

    models: tuple[Elsewhere, ...]
    calls: int = 0
    left: Counter[Left] = field(default_factory=Counter)
    recorded_cost: Decimal = Decimal(0)
    recorded_unknown: int = 0


def compare(
    ledger: Ledger,
    selection: Selection,
    catalog: Catalog,
    models: Sequence[tuple[str, str]],
    *,
    mode: str | None = None,
    at: datetime | None = None,
    on_progress: Callable[[int], object] | None = None,
) -> Comparison:
    """Price the quantities of all selected calls at other models. Nothing is changed.

    :param mode: the pricing mode to assume; each call's own where it is not given.
    :param at: the moment whose prices apply; each call's own where it is not given.
    """
    found = Comparison(tuple(Elsewhere(*named) for named in dict.fromkeys(models)))
    with ledger.engine.connect() as connection:
        selection = bounded(connection, selection)
    after, seen = None, 0
    while True:
        with ledger.engine.connect() as connection:
            places = next_places(connection, selection, after, BATCH_SIZE)
            calls = read_calls(connection, [call_id for _, call_id in places], selection, lock=False)
        if not places:
            return found
        after = places[-1]
        for each in calls:
            _add(found, each, catalog, mode, at)
        seen += len(calls)
        if on_progress is not None:
            on_progress(seen)


def _add(
    found: Comparison, recorded: Recorded, catalog: Catalog, mode: str | None, at: datetime | None
) -> None:
    call = recorded.call
    used = _comparable(recorded)
    if not isinstance(used, Used):
        found.left[used] += 1
        return
    found.calls += 1
    found.recorded_cost += call["total_cost"] or 0
    found.recorded_unknown += call["cost_status"] in ("unknown", "partial")
    for model in found.models:
        here: tuple[Iteration, ...] = tuple(replace(each, model=model.model) for each in used.iterations)
        price = catalog.price(
            provider=model.provider,
            model=model.model,
            usage=used.usage,
            iterations=here,
            pricing_mode=call["pricing_mode"] if mode is None else mode,
            at=at or call["occurred_at"],
        )
        if price.cost_status in ("complete", "free"):
            model.total_cost += price.total_cost or 0
        else:
            model.unpriced += 1


def _comparable(recorded: Recorded) -> Used | Left:
    if recorded.call["cost_source"] in TOLD:
        return "told"
    if not recorded.items:
        return "no_usage"
    return used_by(recorded.call["pricing_snapshot"], recorded.items) or "not_rebuilt"
