"""Answers of Google's Interactions API, whole or streamed (https://ai.google.dev/api/interactions-api).

What is counted is what ``generateContent`` counts, in words of its own.
"""

from __future__ import annotations

from types import MappingProxyType

from ..events import Operation
from .counted import Counted
from .fields import EMPTY
from .fields import Document
from .fields import InvalidUsage
from .fields import count
from .fields import error_class
from .fields import is_error
from .fields import mapping
from .fields import name
from .gemini import GeminiReader

#: The names of the same counts in ``usageMetadata``.
_COUNTS = MappingProxyType(
    {
        "total_input_tokens": "promptTokenCount",
        "total_cached_tokens": "cachedContentTokenCount",
        "total_output_tokens": "candidatesTokenCount",
        "total_thought_tokens": "thoughtsTokenCount",
        "total_tool_use_tokens": "toolUsePromptTokenCount",
        "total_tokens": "totalTokenCount",
    }
)
_DETAILS = MappingProxyType(
    {
        "input_tokens_by_modality": "promptTokensDetails",
        "cached_tokens_by_modality": "cacheTokensDetails",
        "output_tokens_by_modality": "candidatesTokensDetails",
    }
)
_SEARCH = "google_search"
_MAPS = "google_maps"
#: What is still under way tells no final usage; it is fetched later.
_UNDER_WAY = ("in_progress", "queued")
#: The last event, and what it was called before google-genai 2.
_TERMINAL = ("interaction.completed", "interaction.complete")
#: What an event must name for there to be something to keep in it.
_KEPT = (b'"interaction"', b'"error"', b"[DONE]")


class InteractionsReader(GeminiReader):
    """One interaction. A stream tells it in its last event, ``interaction.completed``."""

    is_chunked = False
    keeps = ("_usage", "_told")
    searches_field = "usage.grounding_tool_count"
    maps_field = "usage.grounding_tool_count"

    def __init__(self, provider: str, operation: Operation) -> None:
        super().__init__(provider, operation)
        self._told: Document = EMPTY

    def whole(self, document: Document) -> None:
        self.response_id = self.response_id or name(document.get("id"))
        # An agent answers without a model.
        self.model = name(document.get("model")) or self.model
        self.take_tier(document.get("service_tier"))
        status = document.get("status")
        if is_error(document.get("error")) or status == "failed":
            self.fail(error_class(document.get("error")))
        if told := mapping(document.get("usage")):
            self._told, self._usage = told, _in_gemini_words(told)
        self.answered = self.answered or (bool(status) and status not in _UNDER_WAY)

    def event(self, event_name: str, document: Document) -> None:
        kind = str(document.get("event_type") or event_name)
        if kind == "error":
            self.fail(error_class(document.get("error")))
            return
        self.saw_output = self.saw_output or kind.endswith(".delta")
        self.whole(mapping(document.get("interaction")))
        self.finished = self.finished or kind in _TERMINAL

    def can_skip(self, raw: bytes) -> bool:
        return self.saw_output and not any(word in raw for word in _KEPT)

    def _count(self) -> Counted:
        self._used_maps = self._uses_of(_MAPS) > 0
        return super()._count()

    def _searches(self) -> int:
        return self._uses_of(_SEARCH)

    def _uses_of(self, tool: str) -> int:
        entries = self._told.get("grounding_tool_count") or []
        if not isinstance(entries, list):
            raise InvalidUsage("grounding_tool_count is not a list")
        told = (mapping(entry) for entry in entries)
        return sum(count(entry, "count") or 0 for entry in told if entry.get("type") == tool)


def _in_gemini_words(usage: Document) -> Document:
    counts = {gemini: usage[own] for own, gemini in _COUNTS.items() if usage.get(own) is not None}
    details = {gemini: _entries(usage[own]) for own, gemini in _DETAILS.items() if usage.get(own)}
    return {**counts, **details}


def _entries(told: object) -> object:
    """Modalities with their tokens; what is no list is judged, and refused, later."""
    if not isinstance(told, list):
        return told
    return [
        {"modality": entry.get("modality"), "tokenCount": entry.get("tokens")} for entry in map(mapping, told)
    ]
