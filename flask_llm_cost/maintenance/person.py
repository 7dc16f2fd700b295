"""Which calls point at a person, and what of a call does. Values and conditions; nothing is changed here."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement
from sqlalchemy import CompoundSelect
from sqlalchemy import Select
from sqlalchemy import and_
from sqlalchemy import false
from sqlalchemy import or_
from sqlalchemy import select
from sqlalchemy import union

from ..errors import InvalidFilterError
from ..identity import identity
from ..identity import trackable_identity
from ..ledger.rows import CALLS
from ..ledger.rows import TAGS
from ..sanitize import REDACTED
from ..sanitize import clean_key
from ..sanitize import clean_value

Pair = tuple[str, str]

_CALL = CALLS.columns
_TAG = TAGS.columns


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """By what the ledger knows a person: their user id, and tags or objects that stand for them.

    On the person's own calls, a tag whose value is the user id, and an object with that id, stand for them
    as well.
    """

    user_id: str | None = None
    tags: frozenset[Pair] = frozenset()
    trackables: frozenset[Pair] = frozenset()

    @classmethod
    def named(
        cls,
        user: str | None = None,
        tags: tuple[Pair, ...] = (),
        trackables: tuple[Pair, ...] = (),
    ) -> Person:
        """As they are stored.

        :raises InvalidFilterError: nobody is named, or a name is one that many people share: what looks like
            a credential is stored as ``[redacted]``.
        """
        found = cls(
            user_id=None if user is None else _stored("user", identity(user)),
            tags=frozenset(
                (_stored("tag", clean_key(key)), _stored("tag", clean_value(text))) for key, text in tags
            ),
            trackables=frozenset(_stored_pair(pair) for pair in trackables),
        )
        if found == cls():
            raise InvalidFilterError("person", "a user, a tag or an object that stands for them is needed")
        return found

    def call_ids(self, after: int, up_to: int) -> CompoundSelect[int] | Select[int]:
        """The ids of the calls that point at the person, each once, in a span of ids; by indexes."""
        ways = [
            select(_CALL.id.label("id")).where(condition, _CALL.id > after, _CALL.id <= up_to)
            for condition in self._columns()
        ]
        ways += [
            select(_TAG.call_id.label("id")).where(
                _TAG.key == key, _TAG.value == value, _TAG.call_id > after, _TAG.call_id <= up_to
            )
            for key, value in sorted(self.tags)
        ]
        return union(*ways)

    def _columns(self) -> list[ColumnElement[bool]]:
        found = [
            and_(_CALL.trackable_type == kind, _CALL.trackable_id == key)
            for kind, key in sorted(self.trackables)
        ]
        return found if self.user_id is None else [_CALL.user_id == self.user_id, *found]

    def tag_rows(self, ids: Sequence[int], own: Sequence[int]) -> ColumnElement[bool]:
        """Which rows of the tag table stand for the person: of the calls ``ids``, and of those that are their
        ``own``.
        """
        named = [and_(_TAG.key == key, _TAG.value == value) for key, value in sorted(self.tags)]
        return or_(
            and_(_TAG.call_id.in_(ids), or_(false(), *named)),
            and_(_TAG.call_id.in_(own), _TAG.value == (self.user_id or "")),
        )

    def owns(self, call: Mapping[str, Any]) -> bool:
        """Whether it is a call of their own."""
        return self.user_id is not None and call["user_id"] == self.user_id

    def own_tags(self, call: Mapping[str, Any]) -> list[Pair]:
        """The tags of a call of their own whose value is the user id."""
        tags = dict(call["tags"] or {}) if self.owns(call) else {}
        return [(key, value) for key, value in tags.items() if value == self.user_id]

    def forgotten(self, call: Mapping[str, Any]) -> dict[str, Any]:
        """The columns of a call that point at the person, as they are without that.

        ``details`` may hold anything, and with the provider's id of the answer its content could be looked
        up there: both go.
        """
        own = self.owns(call)
        tags = dict(call["tags"] or {})
        kept = {key: value for key, value in tags.items() if not self._is_theirs(key, value, own)}
        pair = (call["trackable_type"], call["trackable_id"])
        is_object = pair in self.trackables or (own and pair[1] == self.user_id)
        return {
            "user_id": None if own else call["user_id"],
            "tags": kept or None,
            "trackable_type": None if is_object else pair[0],
            "trackable_id": None if is_object else pair[1],
            "details": None,
            "provider_response_id": None,
        }

    def _is_theirs(self, key: str, value: object, own: bool) -> bool:
        return (key, value) in self.tags or (own and value == self.user_id)


def _stored_pair(pair: Pair) -> Pair:
    found = trackable_identity(pair) or ("", "")
    return _stored("trackable", found[0]), _stored("trackable", found[1])


def _stored(field: str, text: str | None) -> str:
    if not text:
        raise InvalidFilterError(field, "a name that is not empty")
    if text == REDACTED:
        raise InvalidFilterError(field, "it looks like a credential, and such are stored as [redacted]")
    return text
