"""The three price tables: overrides, prices file, bundle. Each maps keys and aliases to entries."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from datetime import date
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Literal

from ..errors import ConfigurationError
from .documents import read_document
from .entry import PriceEntry
from .names import price_key
from .parse import parse_entries
from .parse import parse_entry
from .table_body import table_body

Source = Literal["overrides", "file", "bundled"]
OVERRIDES = "LLM_COST_PRICING_OVERRIDES"
#: Where the entries of a table are written, for error messages.
_WRITTEN_IN: Mapping[Source, str] = {
    "overrides": OVERRIDES,
    "file": "LLM_COST_PRICES_FILE",
    "bundled": "prices.json",
}


class PriceTable:
    """Entries by key, and keys by alias.

    :param version: what tells two states of this table apart, frozen into each snapshot.
    :param generated_at: the day on which its prices were right, where it says so.
    """

    def __init__(
        self,
        source: Source,
        version: str,
        entries: Mapping[str, PriceEntry],
        generated_at: date | None = None,
    ) -> None:
        self.source: Source = source
        self.version = version
        self.generated_at = generated_at
        self._entries = dict(entries)
        self._aliases = {alias: entry.key for entry in entries.values() for alias in entry.aliases}

    def entry(self, key: str) -> PriceEntry | None:
        """The entry with exactly this key."""
        return self._entries.get(key)

    def canonical(self, alias: str) -> str | None:
        """The key that has ``alias`` among its aliases."""
        return self._aliases.get(alias)

    def __iter__(self) -> Iterator[str]:
        """All keys, in the table's order."""
        yield from self._entries

    def aliases(self) -> Mapping[str, str]:
        """All aliases, and the keys they stand for."""
        return self._aliases

    def __len__(self) -> int:
        return len(self._entries)


class BundledTable(PriceTable):
    """The table inside the package: its JSON is read once, an entry is parsed when it is first needed."""

    def __init__(self, document: object) -> None:
        body = table_body("prices.json", document)
        super().__init__("bundled", body.version or "", {}, body.generated_at)
        self._raw = dict(body.entries)
        self._aliases = dict(_raw_aliases(self._raw))

    def entry(self, key: str) -> PriceEntry | None:
        found = self._entries.get(key)
        if found is None and key in self._raw:
            found = parse_entry("prices.json", key, self._raw[key])
            self._entries[key] = found
        return found

    def __iter__(self) -> Iterator[str]:
        yield from self._raw

    def __len__(self) -> int:
        return len(self._raw)


def _raw_aliases(raw: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    for key, body in raw.items():
        provider = key.partition("/")[0]
        for alias in body.get("aliases", ()) if isinstance(body, Mapping) else ():
            yield f"{provider}/{alias}", key


@cache
def bundled_table() -> BundledTable:
    """The bundled prices, read once per process."""
    return BundledTable(json.loads(files(__package__).joinpath("prices.json").read_bytes()))


def override_table(overrides: Mapping[str, object]) -> PriceTable:
    """The table of ``LLM_COST_PRICING_OVERRIDES``.

    :raises ConfigurationError: an entry is malformed.
    """
    body = table_body(OVERRIDES, overrides)
    entries = parse_entries(OVERRIDES, body.entries)
    text = json.dumps(dict(body.entries), sort_keys=True, default=str)
    return PriceTable("overrides", body.version or hashlib.sha256(text.encode()).hexdigest()[:12], entries)


def file_table(path: Path) -> PriceTable:
    """The table of a prices file.

    :raises ConfigurationError: the file is missing, too large or malformed.
    """
    document = read_document(path)
    body = table_body(str(path), document.content)
    # The file's own version may be forgotten in an edit; its hash cannot.
    label = f"{body.version}+{document.version}" if body.version else document.version
    return PriceTable("file", label[:64], parse_entries(str(path), body.entries), body.generated_at)


def check_references(tables: tuple[PriceTable, ...], nearest: Callable[[str], list[str]]) -> None:
    """Make sure that every ``same_as`` names an entry with prices.

    :raises ConfigurationError: one does not.
    """
    for table in tables[:-1]:
        for key in table:
            entry = table.entry(key)
            target = entry.same_as if entry else None
            if target is None:
                continue
            place = f"{_WRITTEN_IN[table.source]}: {key}.same_as"
            found = find_entry(tables, target)
            if found is None:
                near = nearest(target)
                hint = f" Did you mean {near[0]!r}?" if near else ""
                raise ConfigurationError(f"{place}: no price entry {target!r}.{hint}")
            if found[0].same_as is not None:
                end = find_entry(tables, found[0].same_as)
                priced = end is not None and end[0].same_as is None
                cure = repr(found[0].same_as) if priced else "an entry that has rates"
                raise ConfigurationError(f"{place}: {target!r} is itself another name; point to {cure}.")


def find_entry(tables: tuple[PriceTable, ...], key: str) -> tuple[PriceEntry, PriceTable] | None:
    """The entry with exactly this key in the first table that has it."""
    spelt = price_key(key)
    for table in tables:
        entry = table.entry(spelt)
        if entry is not None:
            return entry, table
    return None
