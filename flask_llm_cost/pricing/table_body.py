"""What stands around the entries of a price document: its schema, version, currency and defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from .document_values import Place
from .document_values import mapping
from .document_values import moment
from .document_values import usd_only
from .parse import PROVENANCE_KEYS
from .parse import known_keys

#: Of price documents; another number means that this package would misread them.
SCHEMA_VERSION = 1
_DOCUMENT_KEYS = (
    "schema_version",
    "version",
    "generated_at",
    "currency",
    "sources",
    "defaults",
    "models",
    "notes",
)


@dataclass(frozen=True, slots=True)
class TableBody:
    """The entries of a price document, not yet read, and what it says of itself."""

    entries: Mapping[str, object]
    version: str | None = None
    generated_at: date | None = None


def table_body(table: str, document: object) -> TableBody:
    """What a price document holds.

    A document is either a mapping of entries, or has them under ``models`` beside ``schema_version``,
    ``version``, ``currency`` and what else describes the table. What stands under ``defaults`` (where entries
    come from, mostly) holds for every entry that does not say otherwise.

    :raises ConfigurationError: it is neither, its schema is another one, or its money is not USD.
    """
    place = Place(table, "(top level)")
    body = mapping(place, document)
    about = {key: value for key, value in body.items() if key in _DOCUMENT_KEYS and key != "models"}
    usd_only(place, about.get("currency", "USD"))
    schema = about.get("schema_version", SCHEMA_VERSION)
    if schema != SCHEMA_VERSION:
        raise place.refuse(f"schema_version {schema!r} is not {SCHEMA_VERSION}, the one this package reads")
    if "models" not in body:
        if about:
            raise place.refuse(f"beside {next(iter(about))!r} the entries must stand under models")
        return TableBody(body)
    for key in body:
        if key not in _DOCUMENT_KEYS:
            raise place.refuse(f"unknown key {key!r} beside models; entries stand under models")
    version = about.get("version")
    defaults = mapping(place / "defaults", about.get("defaults", {}))
    known_keys(Place(table, "defaults"), defaults, PROVENANCE_KEYS, flat_modes=False)
    models = mapping(place / "models", body["models"])
    return TableBody(
        entries={key: {**defaults, **raw} if isinstance(raw, Mapping) else raw for key, raw in models.items()}
        if defaults
        else models,
        version=None if version is None else str(version),
        generated_at=_generated_at(Place(table, "generated_at"), about),
    )


def _generated_at(place: Place, about: Mapping[str, object]) -> date | None:
    return moment(place, about["generated_at"]).date() if "generated_at" in about else None
