"""The door of pricing: :class:`Catalog` answers what a call costs."""

from __future__ import annotations

import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

from ..errors import ConfigurationError
from ..events import Iteration
from ..money import MONEY_LIMIT
from ..money import MONEY_SCALE
from ..money import to_scale
from ..usage import Usage
from .calculate import Bill
from .calculate import Terms
from .calculate import add_up
from .calculate import as_billed
from .calculate import draw_up
from .dearest import DearestRates
from .dearest import dearest_rates
from .entry import ModelLimits
from .lookup import Lookup
from .lookup import Match
from .modes import BILLED_AS_STANDARD
from .modes import mode_key
from .names import provider_name
from .price import Price
from .snapshot import provider_snapshot
from .snapshot import take_snapshot
from .tables import PriceTable
from .tables import bundled_table
from .tables import check_references
from .tables import override_table
from .watch import FileWatch

if TYPE_CHECKING:
    from .explanation import Explanation

#: Providers that report what they charge for each call; their word stands above any table.
AUTHORITATIVE_PROVIDERS = frozenset({"openrouter", "perplexity", "xai"})
_ZERO = Decimal(0)
_NO_FIELDS: Mapping[str, str] = {}


class Catalog:
    """Every price this app knows: its overrides, its prices file, and the bundled table.

    Safe to share between threads. The prices file is read again when it has changed; a bad new one is logged
    once and the old prices stay. Nothing here touches the network.
    """

    def __init__(
        self, tables: tuple[PriceTable, ...], discounts: Mapping[str, Decimal], watch: FileWatch | None = None
    ) -> None:
        self._lookup = Lookup(tables)
        #: Whoever writes a price of their own need not say again what the model can take in.
        self._bundled = Lookup(tables[-1:])
        self._discounts = discounts
        self._watch = watch

    @classmethod
    def load(
        cls,
        *,
        overrides: Mapping[str, Any] | None = None,
        prices_file: str | Path | None = None,
        discounts: Mapping[str, Decimal] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> Catalog:
        """Build the catalog of one app.

        :param overrides: entries that win over everything else.
        :param prices_file: a YAML or JSON file of entries that win over the bundled ones.
        :param discounts: a share from 0 to 1 by provider, taken off every rate of that provider's calls.
        :param clock: says when to look at the file again, in seconds that only ever grow.
        :raises ConfigurationError: an entry, the file or a discount is malformed.
        """
        tables: list[PriceTable] = []
        watch = None
        if overrides:
            tables.append(override_table(overrides))
        if prices_file is not None:
            path = Path(prices_file)
            watch = FileWatch(path, len(tables), clock)
            tables.append(watch.first_table())
        tables.append(bundled_table())
        catalog = cls(tuple(tables), _checked_discounts(discounts or {}), watch)
        _check(catalog._lookup)
        return catalog

    def price(
        self,
        *,
        provider: str,
        model: str,
        usage: Usage | None,
        pricing_mode: str | None = None,
        at: datetime,
        iterations: Sequence[Iteration] = (),
        provider_cost: Decimal | None = None,
        provider_fields: Mapping[str, str] = _NO_FIELDS,
    ) -> Price:
        """What a call costs, or cost at a moment in the past.

        :param at: an aware moment; it chooses between dated prices.
        :param iterations: usage billed on top of ``usage``, each at its own model.
        :param provider_cost: the charge as told by the provider, where it is authoritative.
        :param provider_fields: the provider's own names of what was counted, by component or usage field.
        :raises ValueError: ``at`` has no time zone.
        """
        terms = self._terms(provider, pricing_mode, at, provider_fields)
        bills = self._bills(provider, model, usage, iterations, terms)
        computed = add_up(bills)
        charge = None if provider_cost is None else _charge(terms.provider, provider_cost)
        if charge is not None:
            return Price(
                total_cost=charge,
                line_items=(as_billed(charge, provider_fields.get("request")),),
                cost_status="complete" if charge else "free",
                cost_source="provider",
                snapshot=provider_snapshot(charge, computed.total, bills, terms.discount),
            )
        return Price(
            total_cost=computed.total,
            line_items=computed.items,
            cost_status=computed.status,
            cost_source=None if computed.total is None else "computed",
            snapshot=take_snapshot(bills, terms.discount),
        )

    def explain(
        self,
        *,
        provider: str,
        model: str,
        usage: Usage | None,
        pricing_mode: str | None = None,
        at: datetime,
        iterations: Sequence[Iteration] = (),
        provider_cost: Decimal | None = None,
        provider_fields: Mapping[str, str] = _NO_FIELDS,
    ) -> Explanation:
        """Why :meth:`price` answers what it answers. Takes the same arguments."""
        from .explanation import explain  # asked for by commands and pages only

        price = self.price(
            provider=provider,
            model=model,
            usage=usage,
            pricing_mode=pricing_mode,
            at=at,
            iterations=iterations,
            provider_cost=provider_cost,
            provider_fields=provider_fields,
        )
        terms = self._terms(provider, pricing_mode, at, provider_fields)
        bills = self._bills(provider, model, usage, iterations, terms)
        return explain(self._lookup, bills, terms, price, given=provider)

    def find(self, provider: str, model: str) -> Match | None:
        """The entry that prices a model, or ``None``."""
        return self._current().find(provider, model)

    def dearest_rates(
        self,
        *,
        provider: str,
        model: str,
        pricing_mode: str | None = None,
        at: datetime,
        tokens_in: int = 0,
    ) -> DearestRates | None:
        """What one unit of each component can cost at most, discount included; for bounds before a call.

        :param pricing_mode: the mode asked for; the standard one may be served instead.
        :param tokens_in: all input tokens at most, cached ones included: context tiers up to there count.
        :returns: ``None`` where no entry, or no mode of it, prices the call.
        """
        match = self._current().find(provider, model)
        terms = self._terms(provider, pricing_mode, at, _NO_FIELDS)
        if match is None:
            return None
        mode = () if (terms.provider, terms.mode) in BILLED_AS_STANDARD else terms.mode
        return dearest_rates(match, mode, at, tokens_in, terms.discount)

    def limits(self, provider: str, model: str) -> ModelLimits:
        """How many tokens a model takes in and gives out at most: by its entry, else by the bundled one."""
        found = ModelLimits()
        for lookup in (self._current(), self._bundled):
            match = lookup.find(provider, model)
            found |= match.entry.limits if match is not None else ModelLimits()
        return found

    def nearest(self, provider: str, model: str) -> list[str]:
        """Price keys that look like this model's name, for a message."""
        return self._current().nearest(provider, model)

    def entries(self) -> Iterator[Match]:
        """Every entry in force: each key once, from the table that wins."""
        seen: set[str] = set()
        for table in self._current().tables:
            for key in table:
                entry = table.entry(key)
                if entry is not None and key not in seen:
                    seen.add(key)
                    yield Match(entry, key, "exact", table.source, table.version)

    @property
    def tables(self) -> tuple[PriceTable, ...]:
        """The tables, the one that wins first."""
        return self._current().tables

    @property
    def file_problem(self) -> str:
        """Why the prices file as it is now is not used, and the last good one stays; empty where it is."""
        self._current()
        return self._watch.problem if self._watch else ""

    @property
    def file_changed_at(self) -> datetime | None:
        """When the prices file in force was last changed; ``None`` without one."""
        self._current()
        return self._watch.changed_at if self._watch else None

    def _bills(
        self,
        provider: str,
        model: str,
        usage: Usage | None,
        iterations: Sequence[Iteration],
        terms: Terms,
    ) -> list[Bill]:
        lookup = self._current()
        bills = [draw_up(model, lookup.find(provider, model), usage, terms)]
        for item in iterations:
            name = item.model or model
            bills.append(draw_up(name, lookup.find(provider, name), item.usage, terms))
        return bills

    def _terms(self, provider: str, mode: str | None, at: datetime, fields: Mapping[str, str]) -> Terms:
        if at.tzinfo is None:
            raise ValueError("at needs a time zone: pass an aware datetime")
        name = provider_name(provider)
        return Terms(name, mode_key(mode), at, self._discounts.get(name, _ZERO), fields)

    def _current(self) -> Lookup:
        """The lookup over the tables as they are now; looks at the prices file's date about once a second."""
        watch = self._watch
        if watch is not None and watch.is_due():
            table = watch.changed_table()
            if table is not None:
                self._replace(watch, table)
        return self._lookup

    def _replace(self, watch: FileWatch, table: PriceTable) -> None:
        tables = list(self._lookup.tables)
        tables[watch.position] = table
        changed = Lookup(tuple(tables))
        try:
            _check(changed)
        except ConfigurationError as error:
            watch.refused(error)
        else:
            self._lookup = changed
            watch.accepted()


def _check(lookup: Lookup) -> None:
    check_references(lookup.tables, lambda key: lookup.nearest(*_split(key)))


def _split(key: str) -> tuple[str, str]:
    provider, slash, model = key.partition("/")
    return (provider, model) if slash else ("", provider)


def _charge(provider: str, told: Decimal) -> Decimal | None:
    """The provider's own charge, where its word is final and can be true."""
    if provider not in AUTHORITATIVE_PROVIDERS:
        return None
    if not told.is_finite() or not 0 <= told < MONEY_LIMIT:
        return None
    return to_scale(told, MONEY_SCALE)


def _checked_discounts(discounts: Mapping[str, Decimal]) -> dict[str, Decimal]:
    for provider, share in discounts.items():
        if not isinstance(share, Decimal) or not share.is_finite() or not 0 <= share <= 1:
            raise ConfigurationError(
                f"LLM_COST_DISCOUNTS: {provider}: must be a Decimal share from 0 to 1, got {share!r}."
            )
    return {provider_name(provider): share for provider, share in discounts.items()}
