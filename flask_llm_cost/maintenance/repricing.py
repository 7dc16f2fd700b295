"""Price recorded calls again: those without a price (``backfill``), or all of some days (``reprice``).

Calls are priced at the prices of the moment they occurred. One batch is one transaction, which moves call,
line items, tags and sums by exactly the difference and leaves the old price in ``llm_cost_repricings``. A run
that was interrupted is simply started again: what has its price already is left as it is.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from datetime import UTC
from datetime import datetime
from decimal import Decimal
from typing import Literal
from uuid import uuid4

from sqlalchemy import Connection

from ..errors import ConfigurationError
from ..ledger import Ledger
from ..ledger.models import NAME_LENGTH
from ..ledger.models import REASON_LENGTH
from ..ledger.rows import storable_text
from ..pricing import Catalog
from .judgement import Left
from .judgement import Recorded
from .judgement import Repriced
from .judgement import judge
from .pace import LOCK_WAIT
from .pace import PAUSE
from .price_changes import Selection
from .price_changes import bounded
from .price_changes import next_places
from .price_changes import read_calls
from .price_changes import write_prices

#: Calls per transaction. On SQLite a writer waits for as long as one takes, about half of what writing as
#: many new calls would.
BATCH_SIZE = 200
Command = Literal["backfill", "reprice"]


@dataclass(slots=True)
class ModelChange:
    """What changes for the calls of one model, in USD.

    :param changed: how many calls get another price; ``newly_priced`` of them had none at all.
    :param old_cost: the known costs of the changed calls before, ``new_cost`` after; ``None`` where none of
        them is known.
    """

    provider: str
    model: str
    changed: int = 0
    newly_priced: int = 0
    old_cost: Decimal | None = None
    new_cost: Decimal | None = None

    @property
    def difference(self) -> Decimal:
        """By how much the totals move."""
        return (self.new_cost or Decimal(0)) - (self.old_cost or Decimal(0))

    def add(self, change: Repriced) -> None:
        """Count one call."""
        old, new = change.recorded.call["total_cost"], change.price.total_cost
        self.changed += 1
        self.newly_priced += old is None
        self.old_cost = _sum(self.old_cost, old)
        self.new_cost = _sum(self.new_cost, new)


def _sum(known: Decimal | None, cost: Decimal | None) -> Decimal | None:
    return known if cost is None else (known or 0) + cost


@dataclass(slots=True)
class RepricingResult:
    """What a run changed, or with ``dry_run`` would change.

    :param calls: how many calls were looked at.
    :param left: how many were left as they are, by reason; see :data:`LEFT`.
    """

    run_id: str
    dry_run: bool
    calls: int = 0
    left: Counter[Left] = field(default_factory=Counter)
    models: dict[tuple[str, str], ModelChange] = field(default_factory=dict)

    @property
    def changed(self) -> int:
        """How many calls get another price."""
        return sum(model.changed for model in self.models.values())

    @property
    def difference(self) -> Decimal:
        """By how much the total of all calls moves, in USD."""
        return sum((model.difference for model in self.models.values()), Decimal(0))

    def by_model(self) -> list[ModelChange]:
        """The models that change, the largest difference first."""
        return sorted(
            self.models.values(), key=lambda each: (-abs(each.difference), each.provider, each.model)
        )

    def add(self, batch: _Batch) -> None:
        """Count a batch."""
        self.calls += batch.calls
        self.left.update(batch.left)
        for change in batch.changes:
            name = (change.recorded.call["provider"], change.recorded.call["model"])
            self.models.setdefault(name, ModelChange(*name)).add(change)


@dataclass(frozen=True, slots=True)
class _Batch:
    calls: int
    left: Counter[Left]
    changes: list[Repriced]


@dataclass(frozen=True, slots=True, kw_only=True)
class Repricing:
    """A run to be made: which calls, with which prices, and who wants it why.

    :param command: ``backfill`` changes only calls of which a part gets a price that had none.
    """

    command: Command
    selection: Selection
    catalog: Catalog
    changed_by: str
    reason: str | None = None
    batch_size: int = BATCH_SIZE

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ConfigurationError(f"{self.command}: `batch_size` must be at least 1.")
        for moment in (self.selection.start, self.selection.end):
            if moment is not None and moment.utcoffset() is None:
                raise ConfigurationError(f"{self.command}: a time needs a time zone.")

    def run(
        self,
        ledger: Ledger,
        *,
        dry_run: bool = False,
        on_progress: Callable[[int], object] | None = None,
    ) -> RepricingResult:
        """Look at all selected calls, batch by batch, and change those whose price is another one.

        :param on_progress: called with the number of calls looked at so far, after each batch.
        :raises LedgerUnavailable: the database cannot be used now; what was changed so far stays changed.
        """
        result = RepricingResult(str(uuid4()), dry_run)
        with ledger.engine.connect() as connection:
            selection = bounded(connection, self.selection)
        after = None
        while True:
            with ledger.engine.connect() as connection:
                places = next_places(connection, selection, after, self.batch_size)
            if not places:
                return result
            after = places[-1]
            result.add(self._batch(ledger, [call_id for _, call_id in places], result))
            if on_progress is not None:
                on_progress(result.calls)
            if not dry_run:
                time.sleep(PAUSE)

    def _batch(self, ledger: Ledger, ids: list[int], result: RepricingResult) -> _Batch:
        if result.dry_run:
            with ledger.engine.connect() as connection:
                return self._judged(read_calls(connection, ids, self.selection, lock=False))
        return ledger.transaction(lambda connection: self._change(connection, ids, result.run_id), LOCK_WAIT)

    def _change(self, connection: Connection, ids: list[int], run_id: str) -> _Batch:
        batch = self._judged(read_calls(connection, ids, self.selection, lock=True))
        write_prices(connection, batch.changes, self._audit(run_id))
        return batch

    def _judged(self, found: list[Recorded]) -> _Batch:
        fill_only = self.command == "backfill"
        judged = [judge(each, self.catalog, fill_only=fill_only) for each in found]
        return _Batch(
            calls=len(found),
            left=Counter(each for each in judged if not isinstance(each, Repriced)),
            changes=[each for each in judged if isinstance(each, Repriced)],
        )

    def _audit(self, run_id: str) -> Mapping[str, object]:
        return {
            "run_id": run_id,
            "changed_at": datetime.now(UTC),
            "command": self.command,
            "changed_by": storable_text(self.changed_by, NAME_LENGTH),
            "reason": None if self.reason is None else storable_text(self.reason, REASON_LENGTH),
        }
