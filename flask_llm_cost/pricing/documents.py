"""Reading a price document from disk: bounded, safe, and never from the network."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from ..errors import ConfigurationError

#: No prices file needs more; 750 models take 150 KB.
SIZE_LIMIT = 2 * 1024 * 1024

Signature = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Document:
    """What a file held. ``version`` is the beginning of its SHA-256."""

    content: object
    version: str


def file_signature(path: Path) -> Signature | None:
    """Changes whenever the file does; ``None`` while there is no file."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def read_document(path: Path) -> Document:
    """Parse a JSON (``.json``) or YAML (any other suffix) file.

    :raises ConfigurationError: the file is missing, too large, not UTF-8 or malformed.
    """
    raw = _read(path)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: not UTF-8 text (byte {error.start}).") from None
    if not text.strip():
        raise ConfigurationError(f"{path}: the file is empty.")
    if path.suffix.lower() == ".json":
        parse = _from_json
    else:
        from .yaml_documents import from_yaml as parse  # PyYAML is slow to import, and often not needed
    return Document(parse(path, text), hashlib.sha256(raw).hexdigest()[:12])


def _read(path: Path) -> bytes:
    try:
        found = os.stat(path)
        if not stat.S_ISREG(found.st_mode):
            raise ConfigurationError(f"{path}: not a regular file.")
        with path.open("rb") as stream:
            raw = stream.read(SIZE_LIMIT + 1)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        cure = f" Start one with: echo '{{}}' > {path}" if isinstance(error, FileNotFoundError) else ""
        raise ConfigurationError(f"{path}: cannot read the prices file: {reason}.{cure}") from error
    if len(raw) > SIZE_LIMIT:
        raise ConfigurationError(f"{path}: larger than {SIZE_LIMIT:,} bytes.")
    return raw


def _from_json(path: Path, text: str) -> object:
    try:
        return json.loads(text, object_pairs_hook=_unique_pairs, parse_constant=_no_number)
    except _DuplicateKeyError as error:
        raise ConfigurationError(f"{path}: the key {error} stands there twice.") from None
    except RecursionError:
        raise ConfigurationError(f"{path}: nested too deep.") from None
    except ValueError as error:
        raise ConfigurationError(f"{path}: not valid JSON: {error}.") from error


def _no_number(name: str) -> object:
    raise ValueError(f"{name} is not a number")


class _DuplicateKeyError(Exception):
    """A key that stands twice in one mapping."""


def _unique_pairs(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        raise _DuplicateKeyError(repr(next(key for key in keys if keys.count(key) > 1)))
    return found
