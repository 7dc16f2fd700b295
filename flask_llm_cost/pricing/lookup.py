"""From a provider and a model's name to one price entry, by steps that are recorded. Nothing is guessed."""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from .entry import PriceEntry
from .names import NO_PROVIDER
from .names import SELLS_AT_LIST_PRICE
from .names import fine_tune_base
from .names import provider_name
from .names import without_date
from .names import without_decoration
from .names import without_own_prefix
from .tables import PriceTable
from .tables import Source
from .tables import find_entry

#: What each step of a lookup means, in the order in which steps are tried.
STEPS: Mapping[str, str] = {
    "exact": "the name is a price key",
    "alias": "the name is listed as an alias",
    "stripped": "decoration was taken off the name",
    "dated": "the trailing date was taken off the name",
    "fine_tune": "the fine-tuned rates of the base model",
    "list_price": "sold at the list price of the model's own provider",
    "providerless": "no provider was told, and only one sells this model",
}

#: Lookups kept; names come from outside, so there is a bound, and everything is dropped when it is reached.
CACHE_SIZE = 4096


@dataclass(frozen=True, slots=True)
class Match:
    """The entry that prices a model, and how it was found.

    :param key: the matched key; ``entry`` may be the one it points to.
    :param step: the steps that were needed, joined by ``+``.
    """

    entry: PriceEntry
    key: str
    step: str
    source: Source
    version: str


class Lookup:
    """Finds entries in a fixed set of tables, first table first. Safe to share between threads."""

    def __init__(self, tables: tuple[PriceTable, ...]) -> None:
        self.tables = tables
        self._cache: dict[tuple[str, str], Match | None] = {}

    def find(self, provider: str, model: str) -> Match | None:
        """The one entry for this model; ``None`` where there is none or more than one."""
        place = (provider, model)
        try:
            return self._cache[place]
        except KeyError:
            pass
        match = self._search(provider_name(provider), model.strip().lower())
        if len(self._cache) >= CACHE_SIZE:
            self._cache.clear()
        self._cache[place] = match
        return match

    def _search(self, provider: str, model: str) -> Match | None:
        if not model:
            return None
        if provider in NO_PROVIDER:
            return self._search_everywhere(model)
        match = self._sold(provider, model, ())
        plain = without_own_prefix(provider, model)
        if match is None and plain is not None:
            match = self._sold(provider, plain, ("stripped",))
        return match

    def _sold(self, provider: str, model: str, taken: tuple[str, ...]) -> Match | None:
        """The entry of the provider itself, or of one at whose list price it sells."""
        for seller in (provider, *SELLS_AT_LIST_PRICE.get(provider, ())):
            before = taken if seller == provider else (*taken, "list_price")
            for steps, name in spellings(seller, model):
                match = self._named(seller, name, (*before, *steps))
                if match is not None:
                    return match
        return None

    def _named(self, provider: str, name: str, steps: tuple[str, ...]) -> Match | None:
        """The entry of a table that has the name as a key or an alias; qualified names before bare ones."""
        # A bare key has no slash: `openai/gpt-5` at a gateway is the gateway's model, not OpenAI's.
        names = [f"{provider}/{name}"] if provider else []
        names += [] if "/" in name else [name]
        for index, table in enumerate(self.tables):
            for key in names:
                entry = table.entry(key)
                if entry is not None:
                    return self._match(entry, table, steps or ("exact",))
            for key in names:
                canonical = table.canonical(key)
                # A better table may have the key that this one's alias stands for.
                found = canonical and find_entry(self.tables[: index + 1], canonical)
                if found:
                    return self._match(*found, (*steps, "alias"))
        return None

    def _match(self, entry: PriceEntry, table: PriceTable, steps: tuple[str, ...]) -> Match | None:
        key = entry.key
        if entry.same_as is not None:
            found = find_entry(self.tables, entry.same_as)
            if found is None:
                return None
            entry = found[0]
            steps = (*steps, "alias")
        step = "+".join(dict.fromkeys(steps))
        return Match(entry=entry, key=key, step=step, source=table.source, version=table.version)

    def _search_everywhere(self, model: str) -> Match | None:
        for steps, name in spellings("", model):
            match = self._named("", name, steps)
            if match is not None:
                return match
            keys = self.sellers(name)
            if len(keys) == 1:
                found = find_entry(self.tables, keys[0])
                return self._match(*found, (*steps, "providerless")) if found else None
            if keys:
                return None
        return None

    def sellers(self, model: str) -> tuple[str, ...]:
        """The keys of every provider that has a model of exactly this name."""
        return self._keys_by_model.get(model, ())

    @cached_property
    def _keys_by_model(self) -> Mapping[str, tuple[str, ...]]:
        found: defaultdict[str, dict[str, None]] = defaultdict(dict)
        for table in self.tables:
            names = [(key, key) for key in table] + list(table.aliases().items())
            for name, key in names:
                found[name.partition("/")[2]][key] = None
        return {model: tuple(keys) for model, keys in found.items() if model}

    def nearest(self, provider: str, model: str, count: int = 3) -> list[str]:
        """Keys that look alike, for a message. Never used to price."""
        provider, model = provider_name(provider), model.strip().lower()
        keys = {key: None for table in self.tables for key in (*table, *table.aliases())}
        own = [key for key in keys if key.partition("/")[0] == provider]
        wanted = f"{provider}/{model}"
        return difflib.get_close_matches(wanted, own or list(keys), n=count, cutoff=0.6)


def spellings(provider: str, model: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """The names to look for, most literal first, each with the steps that led to it."""
    yield (), model
    base = fine_tune_base(model)
    if base is not None:
        # Never the base model's own rates: training makes tokens dearer.
        yield ("fine_tune",), base
        undated = without_date(base)
        if undated is not None:
            yield ("fine_tune", "dated"), undated
        return
    plain = list(without_decoration(provider, model))
    for name in plain:
        yield ("stripped",), name
    for name in (model, *plain):
        undated = without_date(name)
        if undated is not None:
            steps = ("dated",) if name == model else ("stripped", "dated")
            yield steps, undated
