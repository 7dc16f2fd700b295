"""Price documents in YAML: its safe subset, without aliases, deep nesting or a key that stands twice."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from ..errors import ConfigurationError

#: Entries nest five deep at most; deeper documents are meant to exhaust the parser.
DEPTH_LIMIT = 20

if TYPE_CHECKING:
    _SafeLoader = yaml.SafeLoader
else:
    # libyaml's loader where PyYAML was built with it: ten times faster, the same values.
    _SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _DuplicateKeyError(Exception):
    """A key that stands twice in one mapping."""


class _StrictLoader(_SafeLoader):
    """YAML's safe subset, without a key that stands twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, object]:
        found: dict[Hashable, object] = super().construct_mapping(node, deep)
        if len(found) != len(node.value):
            names = [key.value for key, _ in node.value]
            again = next((key for at, (key, _) in enumerate(node.value) if key.value in names[:at]), node)
            raise _DuplicateKeyError(f"{again.value!r} stands there twice{_where(again.start_mark)}")
        return found


def from_yaml(path: Path, text: str) -> object:
    """Parse the text of a file.

    :raises ConfigurationError: it is malformed, or made to exhaust the parser.
    """
    try:
        _refuse_bombs(path, text)
        # A subclass of the safe loader: it builds plain values only.
        return yaml.load(text, Loader=_StrictLoader)  # noqa: S506
    except _DuplicateKeyError as error:
        raise ConfigurationError(f"{path}: the key {error}.") from None
    except ConfigurationError:  # which is a ValueError too
        raise
    except yaml.YAMLError as error:
        where = _where(getattr(error, "problem_mark", None))
        problem = getattr(error, "problem", None) or type(error).__name__
        raise ConfigurationError(f"{path}: not valid YAML{where}: {problem}.") from error
    except ValueError as error:
        raise ConfigurationError(f"{path}: not valid YAML: {error}.") from error


def _refuse_bombs(path: Path, text: str) -> None:
    """Aliases make a large structure of a small file, nesting exhausts the stack; neither has a use here."""
    depth = 0
    for event in yaml.parse(text, Loader=_SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise ConfigurationError(
                f"{path}: YAML aliases are not accepted{_where(event.start_mark)}; write the values out."
            )
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > DEPTH_LIMIT:
            where = _where(event.start_mark)
            raise ConfigurationError(f"{path}: nested deeper than {DEPTH_LIMIT} levels{where}.")


def _where(mark: object) -> str:
    """The line of a mark, which is of another class in libyaml; nothing where there is none."""
    line = getattr(mark, "line", None)
    return f" (line {line + 1})" if line is not None else ""
