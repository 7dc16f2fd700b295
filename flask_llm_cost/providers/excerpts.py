"""What readers read of ordinary whole answers: a few fields, which can be kept as they are and read later.

An answer that is out of the ordinary, or of whose further fields something is billed, has no excerpt: its
reader has to see it whole. Readers are found by their very class, because an heir may read more.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from typing import NamedTuple

from .answer_reader import AnswerReader
from .anthropic_messages import MessagesReader
from .fields import Document
from .openai_chat import ChatReader
from .openai_responses import ResponsesReader


class _Ordinary(NamedTuple):
    """Answers of a format of whose fields only these are read.

    :param holds: whether an answer that has a usage, and no error, is one of them.
    """

    fields: tuple[str, ...]
    holds: Callable[[Document], bool]


def excerpt(reader: type[AnswerReader], answer: Document) -> dict[str, Any] | None:
    """What this reader reads of an ordinary answer; ``None`` where it may read more of this one."""
    ordinary = _ORDINARY.get(reader)
    if ordinary is None:
        return None
    told = answer.get
    usage = told("usage")
    if not usage or type(usage) is not dict or told("error") or not ordinary.holds(answer):
        return None
    return dict(zip(ordinary.fields, map(told, ordinary.fields), strict=True))


def is_excerpt(reader: type[AnswerReader], found: Mapping[str, Any]) -> bool:
    """Whether this is what :func:`excerpt` makes for the reader: a later version may keep more."""
    return reader in _ORDINARY and found.keys() <= {*_ORDINARY[reader].fields}


#: Items of a response's output that are paid for by their tokens alone.
_ITEMS = frozenset({"message", "reasoning", "function_call", "custom_tool_call"})


def _is_chat(answer: Document) -> bool:
    return "x_groq" not in answer


def _is_message(answer: Document) -> bool:
    return answer.get("type") != "error"


def _is_response(answer: Document) -> bool:
    if answer.get("status") != "completed" or answer.get("background") or answer.get("tool_usage"):
        return False
    output = answer.get("output")
    return isinstance(output, list) and all(
        isinstance(item, dict) and item.get("type") in _ITEMS for item in output
    )


_ORDINARY: Mapping[type[AnswerReader], _Ordinary] = MappingProxyType(
    {
        ChatReader: _Ordinary(("id", "model", "service_tier", "usage"), _is_chat),
        MessagesReader: _Ordinary(("id", "model", "usage"), _is_message),
        ResponsesReader: _Ordinary(("id", "model", "service_tier", "status", "usage"), _is_response),
    }
)
