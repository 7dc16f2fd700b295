"""The names a question may use: columns to filter by, dimensions to split by, and tag keys."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from typing import get_args

from sqlalchemy import Select
from sqlalchemy import SQLColumnExpression
from sqlalchemy import and_
from sqlalchemy.orm import aliased

from ..errors import InvalidFilterError
from ..events import CostStatus
from ..events import Operation
from ..events import Status
from ..events import UsageSource
from ..ledger import CallTag
from ..ledger import LlmCall
from ..ledger.models import TAG_KEY_LENGTH

#: What calls can be split by; ``tag:KEY`` splits by a tag.
DIMENSIONS = (
    "provider",
    "provider_account",
    "model",
    "requested_model",
    "operation",
    "status",
    "error_type",
    "user_id",
    "request_type",
    "trackable_type",
    "trackable_id",
    "endpoint",
    "service",
    "pricing_mode",
    "cost_status",
    "usage_source",
)
#: True of a call or not: ``failed`` is every ``status`` but ``ok``, ``retried`` more than one attempt.
FLAGS = ("stream", "failed", "retried")
#: What calls can be filtered by.
COLUMNS = (*DIMENSIONS, *FLAGS, "provider_response_id")
#: Columns with a closed set of values.
CLOSED: dict[str, tuple[str, ...]] = {
    "operation": get_args(Operation),
    "status": get_args(Status),
    "cost_status": get_args(CostStatus),
    "usage_source": get_args(UsageSource),
}

_TAG = "tag:"
_TAG_KEY = re.compile(r"[\w.-]+")


@dataclass(frozen=True, slots=True)
class Dimension:
    """One way to split calls, by a column or by a tag.

    :param tag: the tag table under a name of its own, where the dimension is a tag.
    """

    name: str
    tag: type[CallTag] | None = None
    key: str = ""

    def beside(self, statement: Select[Any]) -> Select[Any]:
        """``statement`` over calls with the tag beside each; calls without it stay in, with NULL."""
        if self.tag is None:
            return statement
        return statement.outerjoin(self.tag, and_(self.tag.call_id == LlmCall.id, self.tag.key == self.key))

    def is_alone(self, *conditions: Collection[object]) -> bool:
        """Whether it is a tag and nothing else is asked for, so that the tag table can answer."""
        return self.tag is not None and not any(conditions)

    @property
    def column(self) -> SQLColumnExpression[Any]:
        """The column with the values: of the calls, or of the tag beside them."""
        found: SQLColumnExpression[Any] = self.tag.value if self.tag else getattr(LlmCall, self.name)
        return found


def dimension(name: str, field: str = "dimension") -> Dimension:
    """The dimension called ``name``.

    :raises InvalidFilterError: there is none; the message names the nearest.
    """
    if isinstance(name, str) and name.startswith(_TAG):
        return Dimension(name, aliased(CallTag), tag_key(name.removeprefix(_TAG), field))
    if name not in DIMENSIONS:
        choice(field, name, (*DIMENSIONS, "tag:KEY"))
    return Dimension(name)


def tag_key(key: object, field: str) -> str:
    """``key`` if calls can be tagged with it.

    :raises InvalidFilterError: it is not 1 to 64 word characters, dots and dashes.
    """
    if not isinstance(key, str) or len(key) > TAG_KEY_LENGTH or not _TAG_KEY.fullmatch(key):
        accepted = f"1 to {TAG_KEY_LENGTH} letters, digits, '_', '.' and '-'"
        raise InvalidFilterError(field, f"a tag key has {accepted}, got {_shown(key)}")
    return key


def choice(field: str, value: object, known: Iterable[str]) -> str:
    """``value`` if it is one of ``known``.

    :raises InvalidFilterError: it is not; the message names the nearest and the accepted ones.
    """
    accepted = list(known)
    if isinstance(value, str) and value in accepted:
        return value
    near = difflib.get_close_matches(value[:100], accepted, n=1) if isinstance(value, str) else []
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise InvalidFilterError(field, f"got {_shown(value)}; accepted: {', '.join(accepted)}.{hint}")


def _shown(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else shown[:79] + "…"
