"""What is said of calls: a ``Scope``, an immutable value, and the text as which it travels."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from typing import Any

from .config import REDACTED_TAG_KEYS
from .identity import identity
from .identity import trackable_identity
from .sanitize import REDACTED
from .sanitize import clean_key
from .sanitize import clean_value
from .sanitize import is_secret_key
from .sanitize import plain_text

log = logging.getLogger("flask_llm_cost")

#: More tags than this in one scope are a bug in the host; the newest are kept.
SCOPE_LIMIT = 1_000

#: A scope that travels takes at most so many bytes: of more tags the newest are kept. Its ids always fit,
#: at 12 bytes for each of their characters.
TEXT_LIMIT = 16_384


@dataclass(frozen=True, slots=True)
class Scope:
    """What a ``with_tags`` block says, sanitised. ``None`` means that it says nothing.

    :param endpoint: of the request that sent the job; a block cannot say it.
    """

    tags: Mapping[str, str | None] = field(default_factory=dict)
    user_id: str | None = None
    request_type: str | None = None
    trackable: tuple[str, str] | None = None
    endpoint: str | None = None

    @classmethod
    def of(cls, values: Mapping[str, object]) -> Scope:
        """Read keywords as ``with_tags`` takes them."""
        rest = dict(values)
        user_id = identity(rest.pop("user", None))
        request_type = identity(rest.pop("request_type", None))
        trackable = rest.pop("trackable", None)
        return cls(
            tags=clean_tags(rest),
            user_id=user_id,
            request_type=request_type,
            trackable=None if trackable is None else trackable_identity(trackable),
        )

    def under(self, inner: Scope) -> Scope:
        """This scope with ``inner`` on top of it: inner values win, the newest tags come last."""
        kept = {key: value for key, value in self.tags.items() if key not in inner.tags}
        return Scope(
            tags={**kept, **inner.tags},
            user_id=inner.user_id or self.user_id,
            request_type=inner.request_type or self.request_type,
            trackable=inner.trackable or self.trackable,
            endpoint=inner.endpoint or self.endpoint,
        )

    def to_text(self, redacted_keys: tuple[str, ...] = REDACTED_TAG_KEYS) -> str | None:
        """This scope for another process, in ASCII; ``None`` where it says nothing."""
        said: dict[str, Any] = {
            "user": self.user_id,
            "request_type": self.request_type,
            "trackable": self.trackable,
            "endpoint": identity(self.endpoint),
            "tags": {
                key: REDACTED if value is not None and is_secret_key(key, redacted_keys) else value
                for key, value in self.tags.items()
            },
        }
        said = {name: value for name, value in said.items() if value}
        if not said:
            return None
        while len(text := json.dumps(said, separators=(",", ":"))) > TEXT_LIMIT:
            newest = list(said["tags"].items())[len(said["tags"]) // 2 + 1 :]
            log.warning("too many tags travel with a job: the newest %d are kept", len(newest))
            said["tags"] = dict(newest)
        return text

    @classmethod
    def from_text(cls, text: object) -> Scope:
        """Read :meth:`to_text`, of this version or another, and trust nothing in it.

        :raises ValueError: it is no such text.
        """
        if not isinstance(text, str) or len(text) > TEXT_LIMIT:
            raise ValueError("the text of a scope is a string of at most 16 KB")
        said = json.loads(text)
        tags = said.get("tags", {}) if isinstance(said, dict) else None
        if not isinstance(tags, dict):
            raise ValueError("the text of a scope is a JSON object, and so are its tags")
        trackable = said.get("trackable")
        told = {
            "user": said.get("user"),
            "request_type": said.get("request_type"),
            "trackable": tuple(trackable) if isinstance(trackable, list) else None,
        }
        return replace(cls.of(told), tags=clean_tags(tags), endpoint=identity(said.get("endpoint")))


def clean_tags(tags: Mapping[str, object]) -> dict[str, str | None]:
    """Sanitised tags in their order; at most :data:`SCOPE_LIMIT`, the newest. ``None`` stays ``None``."""
    if len(tags) > SCOPE_LIMIT:
        log.warning("with_tags was given %d tags; the newest %d are kept", len(tags), SCOPE_LIMIT)
    found: dict[str, str | None] = {}
    for raw_key, raw_value in list(tags.items())[-SCOPE_LIMIT:]:
        key = clean_key(str(raw_key))
        if key:
            found[key] = _tag_value(key, raw_value)
    return found


def _tag_value(key: str, value: object) -> str | None:
    if value is None or is_secret_key(key, REDACTED_TAG_KEYS):
        return None if value is None else REDACTED
    text = plain_text(value)
    if text is None:
        text = identity(value)
    if text is None:
        log.warning("tag %s was left out: a %s is no tag value", key, type(value).__name__)
        return None
    return clean_value(text) or None
