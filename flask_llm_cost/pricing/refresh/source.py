"""A published price list as price entries, whichever of the known formats it is in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any
from typing import Literal

from ...errors import ConfigurationError
from ..documents import read_document
from ..entry import PriceEntry
from ..parse import parse_entries
from ..published.genai import read_genai
from ..published.genai_json import plain_data
from ..published.litellm import read_litellm
from ..published.openrouter import read_openrouter
from ..table_body import table_body
from .errors import RefreshError
from .fetch import SIZE_LIMIT
from .fetch import fetch

Format = Literal["genai-prices", "litellm", "openrouter", "own"]

#: Where each project publishes its list. Our own format has no home: it is what a company serves itself.
ADDRESSES: Mapping[Format, str] = {
    "genai-prices": "https://raw.githubusercontent.com/pydantic/genai-prices/refs/heads/main"
    "/prices/new_data/v2/data.json",
    "litellm": "https://raw.githubusercontent.com/BerriAI/litellm/main/model_prices_and_context_window.json",
    "openrouter": "https://openrouter.ai/api/v1/models",
}
FORMATS: tuple[Format, ...] = ("genai-prices", "litellm", "openrouter", "own")


@dataclass(frozen=True, slots=True)
class PriceList:
    """What a source says.

    :param entries: price entries by key.
    :param about: where it came from, as the prices file keeps it.
    :param as_of: the day on which its prices were right, where it says so.
    :param remarks: what was left out, and why.
    """

    format: Format
    entries: Mapping[str, PriceEntry]
    about: Mapping[str, str]
    as_of: date | None = None
    remarks: tuple[str, ...] = ()

    @property
    def has_history(self) -> bool:
        """Whether the list carries dated prices; the others only know what holds today."""
        return self.format in ("genai-prices", "own")


def read_source(source: str, wanted: Format | None, etags: Mapping[str, str]) -> PriceList | None:
    """The list at an ``https:`` URL or in a local file; ``None`` where it is the one that is at hand.

    :param wanted: its format; found out where it is ``None``.
    :param etags: of the lists that are at hand, by URL.
    :raises RefreshError: it cannot be had or is malformed.
    """
    about: dict[str, str] = {}
    if "://" in source:
        fetched = fetch(source, etags.get(source))
        if fetched.content is None:
            return None
        about["url"] = source
        if fetched.etag:
            about["etag"] = fetched.etag
        raw, document = fetched.content, _from_json(source, fetched.content)
    else:
        raw, document = _from_file(Path(source))
    about["sha256"] = hashlib.sha256(raw).hexdigest()
    found = wanted or detect(document)
    try:
        entries, as_of, remarks = _READERS[found](source, document)
    except ConfigurationError as error:
        raise RefreshError(str(error)) from error
    except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError) as error:
        raise RefreshError(
            f"{source} is not what {found} publishes ({type(error).__name__}). "
            "Name its format with --source-format."
        ) from error
    if not entries:
        raise RefreshError(f"{source} has no price of a model that is known here.")
    return PriceList(found, entries, {"name": found, **about}, as_of, tuple(remarks))


def detect(document: object) -> Format:
    """The format of a document, by what only that format has."""
    if isinstance(document, list) or (isinstance(document, Mapping) and "providers" in document):
        return "genai-prices"
    if isinstance(document, Mapping):
        if isinstance(document.get("data"), list):
            return "openrouter"
        if any(isinstance(row, Mapping) and "litellm_provider" in row for row in document.values()):
            return "litellm"
    return "own"


def _from_file(path: Path) -> tuple[bytes, object]:
    try:
        with path.open("rb") as stream:
            raw = stream.read(SIZE_LIMIT + 1)
    except OSError as error:
        raise RefreshError(f"{path}: {error.strerror or type(error).__name__}.") from error
    if len(raw) > SIZE_LIMIT:
        raise RefreshError(f"{path}: larger than {SIZE_LIMIT:,} bytes.")
    if path.suffix.lower() == ".json":
        return raw, _from_json(str(path), raw)
    try:
        return raw, read_document(path).content
    except ConfigurationError as error:
        raise RefreshError(str(error)) from error


def _from_json(name: str, raw: bytes) -> object:
    def no_number(text: str) -> object:
        raise ValueError(f"{text} is not a number")

    try:
        return json.loads(raw, parse_float=Decimal, parse_constant=no_number)
    except RecursionError:
        raise RefreshError(f"{name}: nested too deep.") from None
    except ValueError as error:
        # Of what was found instead only the place is told: it may be anybody's page.
        place = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else f": {error}"
        raise RefreshError(f"{name}: not valid JSON{place}.") from error


_Read = tuple[Mapping[str, PriceEntry], date | None, Sequence[str]]


def _read_genai(name: str, document: Any) -> _Read:
    table = read_genai(plain_data(document))
    as_of = date.fromisoformat(table.generated_at) if table.generated_at else None
    return table.entries, as_of, table.remarks


def _read_litellm(name: str, document: Any) -> _Read:
    return read_litellm(document), None, ()


def _read_openrouter(name: str, document: Any) -> _Read:
    remarks: list[str] = []
    return read_openrouter(document["data"], remarks), None, remarks


def _read_own(name: str, document: Any) -> _Read:
    body = table_body(name, document)
    entries = parse_entries(name, body.entries)
    told = {key: replace(entry, provenance=_as_told(entry.provenance)) for key, entry in entries.items()}
    return told, body.generated_at, ()


def _as_told(provenance: Mapping[str, str]) -> Mapping[str, str]:
    """Where an entry comes from, once it is in the prices file: what was manual there is not manual here."""
    told = {"source": "own", **provenance}
    return {**told, "confidence": "single"} if told.get("confidence") == "manual" else told


_READERS: Mapping[Format, Callable[[str, Any], _Read]] = {
    "genai-prices": _read_genai,
    "litellm": _read_litellm,
    "openrouter": _read_openrouter,
    "own": _read_own,
}
