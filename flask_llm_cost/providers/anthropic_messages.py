"""Anthropic's Messages API, and the lines of its batch results, which hold whole messages."""

from __future__ import annotations

from typing import ClassVar

from ..events import Iteration
from ..events import Operation
from ..usage import Usage
from .answer_reader import AnswerReader
from .answer_reader import Reading
from .answer_reader import tells_of_error
from .counted import Counted
from .counted import remainder
from .fields import Document
from .fields import InvalidUsage
from .fields import count
from .fields import error_class
from .fields import mapping
from .fields import name
from .modes import DATA_RESIDENCY
from .modes import join_modes
from .modes import normalise_mode
from .openai_usage import read_cost

#: Iterations that the top-level usage contains. ``fallback_message`` stands in the place of ``message`` for
#: the attempt that served the answer (anthropic 2.12, ``BetaFallbackMessageIterationUsage``).
_IN_TOP_LEVEL = ("message", "fallback_message")


class MessagesReader(AnswerReader):
    """A message, or the events of one.

    ``message_start`` tells a first usage, whose output is a placeholder; ``message_delta`` restates what has
    changed, cumulatively. Its numbers overwrite the older ones, and only with it the usage is complete.
    """

    must_say_so = True
    keeps: ClassVar[tuple[str, ...]] = ("_usage", "_is_final", "_was_restated")

    def __init__(self, provider: str, operation: Operation) -> None:
        super().__init__(provider, operation)
        self._usage: dict[str, object] = {}
        self._is_final = False
        self._was_restated = False

    def whole(self, document: Document) -> None:
        if document.get("type") == "error":
            self.fail(error_class(document.get("error")))
            return
        self._take(document)
        self._is_final = self._was_restated = True

    def event(self, event_name: str, document: Document) -> None:
        kind = document.get("type") or event_name
        if kind == "error" or event_name == "error":
            self.fail(error_class(document.get("error")))
        elif kind == "message_start":
            self._take(mapping(document.get("message")))
        elif kind == "message_delta":
            self._was_restated |= self._merge(document.get("usage"))
            self._is_final |= mapping(document.get("delta")).get("stop_reason") is not None
        elif kind == "message_stop":
            self.finished = self._is_final = True

    def can_skip(self, raw: bytes) -> bool:
        if not self.saw_output and b'"content_block_delta"' in raw:
            self.saw_output = True
        return (
            b'"usage"' not in raw
            and b"message_st" not in raw  # message_start, message_stop
            and (b"error" not in raw or not tells_of_error(raw))
        )

    def reading(self) -> Reading:
        self._take_mode()
        if not (self._usage and self._is_final):
            return Reading()
        if not self._was_restated:
            self.note("usage: the stream did not tell its final counts")
            return Reading()
        usage, fields = self.usage_of(lambda: read_message_usage(self._usage))
        further = self.judged(self._iterations) if usage is not None else None
        if further is None:
            # Without its further iterations the call would look cheaper than it was.
            return Reading()
        cost = self.judged(lambda: read_cost(self._usage, self.provider))
        return Reading(usage=usage, fields=fields, iterations=further, provider_cost=cost)

    def _take(self, message: Document) -> None:
        self.name_answer(message)
        self._merge(message.get("usage"))

    def _merge(self, usage: object) -> bool:
        told = {key: value for key, value in mapping(usage).items() if value is not None}
        self._usage.update(told)
        return bool(told)

    def _take_mode(self) -> None:
        tier, speed = self._usage.get("service_tier"), self._usage.get("speed")
        # Anthropic's priority tier is capacity bought beforehand; its tokens count at the standard rates.
        served = None if tier == "priority" else normalise_mode(_word(tier))
        residency = DATA_RESIDENCY if self._usage.get("inference_geo") == "us" else None
        self.pricing_mode = join_modes(served, normalise_mode(_word(speed)), residency)
        self.mode_told = any(_word(word) for word in (tier, speed)) or residency is not None

    def _iterations(self) -> tuple[Iteration, ...]:
        entries = self._usage.get("iterations", [])
        if not isinstance(entries, list):
            raise InvalidUsage("iterations is not a list")
        found = []
        for entry in entries:
            if not isinstance(entry, dict):
                raise InvalidUsage("iterations holds something else than objects")
            if entry.get("type") in _IN_TOP_LEVEL:
                continue
            usage = read_message_usage(entry, at="usage.iterations").usage()
            if _is_billed(usage):
                found.append(Iteration(model=name(entry.get("model")) or self.model, usage=usage))
        return tuple(found)


def read_message_usage(usage: Document, *, at: str = "usage") -> Counted:
    """The disjoint buckets of a message; Anthropic's input leaves out both kinds of cache already.

    :raises InvalidUsage: a number is missing, impossible or contradicts another.
    """
    counted = Counted()
    for component, key in (
        ("input", "input_tokens"),
        ("cache_read_input", "cache_read_input_tokens"),
        ("output", "output_tokens"),
    ):
        tokens = count(usage, key)
        if tokens is None and component != "cache_read_input":
            raise InvalidUsage(f"{key} is missing")
        counted.put(component, tokens, f"{at}.{key}")
    _read_cache_writes(counted, usage, at)
    counted.tokens["reasoning_tokens"] = count(usage, "output_tokens_details", "thinking_tokens")
    # Fetching a page is free (`web_fetch_requests`).
    searches = count(usage, "server_tool_use", "web_search_requests")
    counted.charge("web_search_request", searches, f"{at}.server_tool_use.web_search_requests")
    return counted


def _read_cache_writes(counted: Counted, usage: Document, at: str) -> None:
    """Split the writes by how long they live. What no split explains lives five minutes, the default.

    A stream may raise the total after it told the split.
    """
    short = count(usage, "cache_creation", "ephemeral_5m_input_tokens")
    extended = count(usage, "cache_creation", "ephemeral_1h_input_tokens")
    written = count(usage, "cache_creation_input_tokens")
    if written is None and (short is not None or extended is not None):
        written = (short or 0) + (extended or 0)
    if written is None:
        return
    remainder("cache_creation_input_tokens", written, [short, extended])
    if extended is None:
        counted.put("cache_write_input", written, f"{at}.cache_creation_input_tokens")
        return
    counted.put("cache_write_input", written - extended, f"{at}.cache_creation.ephemeral_5m_input_tokens")
    counted.put("cache_write_extended_input", extended, f"{at}.cache_creation.ephemeral_1h_input_tokens")


def _is_billed(usage: Usage) -> bool:
    return usage.counted_tokens > 0 or bool(usage.charges)


def _word(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
