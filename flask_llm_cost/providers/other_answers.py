"""Answers of routes that have no protocol of their own here: images, transcriptions, and whatever is new.

Where such an answer has a ``usage`` object of a known shape, its numbers are the provider's own and count.
"""

from __future__ import annotations

from decimal import Decimal

from ..events import Operation
from .answer_reader import AnswerReader
from .answer_reader import Reading
from .anthropic_messages import read_message_usage
from .counted import Counted
from .fields import EMPTY
from .fields import Document
from .fields import InvalidUsage
from .fields import count
from .fields import error_class
from .fields import is_error
from .fields import mapping
from .fields import minutes
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
#: Shorter recordings are billed as if they had this length (https://groq.com/pricing).
_LEAST_SECONDS = {"groq": 10}
#: Statuses of an assistant's run whose usage is still to come.
_RUN_UNDER_WAY = ("queued", "in_progress", "requires_action", "cancelling")


class OtherReader(AnswerReader):
    """Any JSON object or stream of them; the last usage counts."""

    def __init__(self, provider: str, operation: Operation) -> None:
        super().__init__(provider, operation)
        self._usage: Document = EMPTY
        #: What can be counted where there is no usage: images, or seconds that were heard.
        self._pieces: Document = EMPTY

    def whole(self, document: Document) -> None:
        self.name_answer(document)
        self.take_tier(document.get("service_tier"))
        if document.get("object") == "thread.run":
            self._take_run(document)
        if is_error(document.get("error")):
            self.fail(error_class(document.get("error")))
        self._usage = mapping(document.get("usage")) or self._usage
        drawn = document.get("data")
        if self.operation == "transcription" and document.get("duration") is not None:
            self._pieces = {"seconds": document["duration"]}
        elif self.operation == "images" and isinstance(drawn, list):
            self._pieces = {"images": len(drawn)}

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

    def _take_run(self, run: Document) -> None:
        """A run of an assistant tells its usage when it is over; what it is told in between belongs to it."""
        self.take_background(run, under_way=_RUN_UNDER_WAY)
        self.response_id = self.charge_id
        if run.get("status") == "failed":
            self.fail(error_class(run.get("last_error")))
        elif run.get("status") in ("cancelled", "expired"):
            self.status = "aborted"

    def reading(self) -> Reading:
        if not self._usage and (not self._pieces or self.failed):
            return Reading()
        # xAI tells of an image what it cost, and no tokens.
        tells_counts = any(key != "cost_in_usd_ticks" for key in self._usage)
        usage, fields = self.usage_of(self._count if tells_counts else self._count_pieces)
        cost = self.judged(lambda: read_cost(self._usage, self.provider))
        return Reading(usage=usage, fields=fields, provider_cost=cost)

    def _count_pieces(self) -> Counted:
        counted = Counted()
        images = count(self._pieces, "images")
        if images is not None:
            counted.charges["image"] = Decimal(images)  # none is an answer too
            counted.fields["image"] = "data"
        least = _LEAST_SECONDS.get(self.provider, 0)
        counted.charge("transcription_minute", minutes(self._pieces, "seconds", at_least=least), "duration")
        return counted

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
    key = "prompt_audio_seconds" if provider == "mistral" else "seconds"
    if usage.get("type") != "duration" and key == "seconds":
        return read_usage(usage, TRANSCRIPTION, provider)
    counted = Counted()
    told = minutes(usage, key, at_least=_LEAST_SECONDS.get(provider, 0))
    if told is None:
        raise InvalidUsage(f"{key} is missing")
    counted.charge("transcription_minute", told, f"usage.{key}")
    return counted
