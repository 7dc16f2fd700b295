"""The prices file as a refresh reads and replaces it."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import Any

from ...errors import ConfigurationError
from ..documents import SIZE_LIMIT
from ..documents import read_document
from ..entry import PriceEntry
from ..names import price_key
from ..parse import parse_entries
from ..table_body import table_body
from .errors import RefreshError

#: Beside the prices file: what stood there before the last refresh.
PREVIOUS_SUFFIX = ".previous"
_NEW_FILE_MODE = 0o644


def is_manual(entry: PriceEntry) -> bool:
    """Whether people wrote an entry: it says so, or it names no source that could."""
    return entry.provenance.get("confidence") == "manual" or "source" not in entry.provenance


@dataclass(frozen=True, slots=True)
class PricesFile:
    """What ``LLM_COST_PRICES_FILE`` holds.

    :param bodies: the entries as written, by key in its usual spelling.
    :param entries: the same, read.
    :param sources: where entries were fetched from, newest first.
    """

    path: Path
    bodies: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    entries: Mapping[str, PriceEntry] = field(default_factory=dict)
    sources: Sequence[Mapping[str, Any]] = ()

    @classmethod
    def read(cls, path: Path) -> PricesFile:
        """The file as it is; empty where there is none.

        :raises RefreshError: it is malformed.
        """
        try:
            if not path.exists():
                return cls(path)
            document = read_document(path).content
            body = table_body(str(path), document).entries
            entries = parse_entries(str(path), body)
        except ConfigurationError as error:
            raise RefreshError(f"{error} Mend or remove it first.") from error
        told = document.get("sources", ()) if isinstance(document, Mapping) and "models" in document else ()
        bodies = {price_key(key): value for key, value in body.items() if isinstance(value, Mapping)}
        sources = [item for item in told if isinstance(item, Mapping)] if isinstance(told, list) else []
        return cls(path, bodies, entries, tuple(sources))

    @property
    def etags(self) -> dict[str, str]:
        """The version of each list that was fetched, by its address."""
        return {
            str(source["url"]): str(source["etag"])
            for source in self.sources
            if "url" in source and "etag" in source
        }

    def sources_with(self, newest: Mapping[str, str]) -> list[Mapping[str, Any]]:
        """The sources after a refresh from ``newest``, which replaces the one of the same name."""
        return [newest, *(source for source in self.sources if source.get("name") != newest["name"])]


def write_whole(path: Path, text: str) -> None:
    """Put a file in place in one step; readers see the old one or the new one. The old one stays beside it.

    :raises RefreshError: it cannot be written, or is not what an app would read.
    """
    content = text.encode()
    try:
        parse_entries("the new prices file", table_body("the new prices file", json.loads(text)).entries)
    except ConfigurationError as error:
        raise RefreshError(f"{error} Nothing was written.") from error
    if len(content) > SIZE_LIMIT:
        raise RefreshError(f"The new prices file would have {len(content):,} bytes; {SIZE_LIMIT:,} are read.")
    target = Path(os.path.realpath(path))  # a link stays a link
    name = None
    try:
        mode = target.stat().st_mode & 0o7777 if target.exists() else _NEW_FILE_MODE
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.", delete=False) as new:
            name = new.name
            new.write(content)
            new.flush()
            os.fsync(new.fileno())
        os.chmod(name, mode)
        if target.exists():
            _keep(target)
        os.replace(name, target)
    except OSError as error:
        if name is not None:
            with suppress(OSError):
                os.unlink(name)
        raise RefreshError(f"{path} cannot be written: {error.strerror or type(error).__name__}.") from error


def _keep(target: Path) -> None:
    """A copy of the file that is about to be replaced."""
    shutil.copy2(target, target.with_name(target.name + PREVIOUS_SUFFIX))
