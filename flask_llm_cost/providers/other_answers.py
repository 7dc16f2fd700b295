"""Answers of routes that have no protocol of their own here: images, transcriptions, and whatever is new.

Where such an answer has a ``usage`` object of a known shape, its numbers are the provider's own and count.
"""

from __future__ import annotations

from decimal import Decimal

from ..events import Operation
from ..money import EXACT
from ..money import QUANTITY_SCALE
from ..money import to_scale
from .answer_reader import AnswerReader
from .answer_reader import Reading
from .anthropic_messages import read_message_usage
from .counted import Counted
from .fields import EMPTY
from .fields import Document
from .fields import InvalidUsage
from .fields import error_class
from .fields import is_error
from .fields import mapping
from .fields import seconds
from .openai_usage import CHAT
from .openai_usage import RESPONSES
from .openai_usage import TRANSCRIPTION
from .openai_usage import read_cost
from .openai_usage import read_image_usage
from .openai_usage import read_input_only
from .openai_usage import read_usage

#: Events after which nothing comes. An assistant's steps end in the same words as its run: only [DONE]
#: ends those.
_TERMINAL = ("transcript.text.done", "speech.audio.done")


class OtherReader(AnswerReader):
    """Any JSON object or stream of them; the last usage counts."""

    def __init__(self, provider: str, operation: Operation) -> None:
        super().__init__(provider, operation)
        self._usage: Document = EMPTY

    def whole(self, document: Document) -> None:
        self.name_answer(document)
        self.take_tier(document.get("service_tier"))
        if is_error(document.get("error")):
            self.fail(error_class(document.get("error")))
        self._usage = mapping(document.get("usage")) or self._usage

    def event(self, event_name: str, document: Document) -> None:
        kind = str(document.get("type") or event_name)
        if kind == "error" or event_name == "error":
            error = document.get("error")
            self.fail(error_class(error if is_error(error) else document))
            return
        self.saw_output = self.saw_output or kind.endswith(".delta")
        # Assistants put the run itself into the event, others name what they carry.
        self.whole(document)
        self.finished = self.finished or kind in _TERMINAL

    def can_skip(self, raw: bytes) -> bool:
        return False

    def reading(self) -> Reading:
        if not self._usage:
            return Reading()
        usage, fields = self.usage_of(self._count)
        cost = self.judged(lambda: read_cost(self._usage, self.provider))
        return Reading(usage=usage, fields=fields, provider_cost=cost)

    def _count(self) -> Counted:
        usage = self._usage
        if self.operation == "images":
            return read_image_usage(usage, self.provider)
        if self.operation == "speech":
            return _spoken(usage, self.provider)
        if self.operation == "transcription":
            return _heard(usage, self.provider)
        if usage.get("prompt_tokens") is not None and usage.get("completion_tokens") is not None:
            return read_usage(usage, CHAT, self.provider)
        if usage.get("cache_creation_input_tokens") is not None or "cache_read_input_tokens" in usage:
            return read_message_usage(usage)
        if usage.get("input_tokens") is not None and usage.get("output_tokens") is not None:
            return read_usage(usage, RESPONSES, self.provider)
        if any(usage.get(key) is not None for key in ("prompt_tokens", "input_tokens", "total_tokens")):
            return read_input_only(usage, CHAT if usage.get("input_tokens") is None else RESPONSES)
        raise InvalidUsage("its shape is not known")


def _spoken(usage: Document, provider: str) -> Counted:
    counted = read_usage(usage, RESPONSES, provider)
    counted.put("audio_output", counted.tokens.pop("output_tokens"), counted.fields.pop("output"))
    return counted


def _heard(usage: Document, provider: str) -> Counted:
    if usage.get("type") != "duration":
        return read_usage(usage, TRANSCRIPTION, provider)
    counted = Counted()
    duration = seconds(usage, "seconds")
    if duration is None:
        raise InvalidUsage("seconds is missing")
    minutes = to_scale(EXACT.divide(duration, Decimal(60)), QUANTITY_SCALE)
    counted.charge("transcription_minute", minutes, "usage.seconds")
    return counted
