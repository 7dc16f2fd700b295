"""OpenAI chat completions, completions and embeddings, as OpenAI and its many imitators answer."""

from __future__ import annotations

import re

from .answer_reader import AnswerReader
from .answer_reader import Reading
from .answer_reader import names_only_null
from .answer_reader import tells_of_error
from .counted import Counted
from .fields import EMPTY
from .fields import Document
from .fields import error_class
from .fields import is_error
from .fields import mapping
from .modes import variant
from .openai_usage import CHAT
from .openai_usage import read_cost
from .openai_usage import read_input_only
from .openai_usage import read_usage

#: Answers that never name their model or id are looked at this often before that is given up.
_PATIENCE = 8
#: Models that search the web before each answer, and say so nowhere in it
#: (https://platform.openai.com/docs/guides/tools-web-search).
_ALWAYS_SEARCHES = re.compile(r"-search-(?:preview|api)\b")


class ChatReader(AnswerReader):
    """A chat completion, whole or in chunks, and the older completions, which have the same shape.

    The last usage object counts: xAI sends a growing one with each chunk, OpenAI one at the end (if
    ``include_usage`` asked for it). A stream that ends before its last one has told nothing yet.
    """

    keeps = ("_usage", "_place", "_is_final")

    _usage: Document = EMPTY
    _place = "usage"
    _is_final = False
    _events = 0

    def whole(self, document: Document) -> None:
        self._take(document)
        self._is_final = True

    def event(self, event_name: str, document: Document) -> None:
        self._events += 1
        if event_name == "error" and not is_error(document.get("error")):
            self.fail(error_class(document))
            return
        if self._take(document):
            self._is_final = _ends_answer(document)
        self._note_output(document)

    def can_skip(self, raw: bytes) -> bool:
        return (
            self.saw_output
            and (self._events >= _PATIENCE or (self.model is not None and self.response_id is not None))
            and b"[DONE]" not in raw
            # With `include_usage` every chunk says "usage": null.
            and (b'"usage"' not in raw or names_only_null(raw, b'"usage"'))
            and (b"error" not in raw or not tells_of_error(raw))
        )

    def reading(self) -> Reading:
        if not self._usage or not (self._is_final or self.finished):
            return Reading()
        usage, fields = self.usage_of(self._count)
        cost = self.judged(lambda: read_cost(self._usage, self.provider))
        return Reading(usage=usage, fields=fields, provider_cost=cost)

    def _count(self) -> Counted:
        if self.operation == "embeddings":
            counted = read_input_only(self._usage, CHAT, at=self._place)
            counted.tokens["output_tokens"] = 0  # by their nature, not for want of telling
            return counted
        counted = read_usage(self._usage, CHAT, self.provider, at=self._place)
        if self.provider in ("openai", "azure") and _ALWAYS_SEARCHES.search(self.model or ""):
            counted.charge("web_search_request", 1, "model")
        return counted

    def _take(self, document: Document) -> bool:
        """Whether there is a usage among what it tells."""
        self.name_answer(document)
        self.take_tier(document.get("service_tier"))
        if error := document.get("error"):
            self._take_error(error)
        if groq := document.get("x_groq"):
            self._take_error(mapping(groq).get("error"))
        usage = document.get("usage")
        if isinstance(usage, dict) and usage:
            self._usage, self._place = usage, "usage"
        elif not self._take_usage_elsewhere(document):
            return False
        if self.provider == "perplexity" and (size := variant(self._usage.get("search_context_size"))):
            # How much of the web it took in chooses the rate of its fee.
            self.pricing_mode, self.mode_told = size, True
        return True

    def _take_error(self, error: object) -> None:
        if is_error(error):
            self.fail(error_class(error))

    def _take_usage_elsewhere(self, document: Document) -> bool:
        """Groq streams it in an object of its own, Moonshot in the last choice."""
        holders = [("x_groq.usage", document.get("x_groq"))]
        holders += [("choices.usage", choice) for choice in _choices(document)]
        for place, holder in holders:
            if usage := mapping(mapping(holder).get("usage")):
                self._usage, self._place = usage, place
                return True
        return False

    def _note_output(self, document: Document) -> None:
        if not self.saw_output:
            self.saw_output = any(_has_output(mapping(choice)) for choice in _choices(document))


def _choices(document: Document) -> list[object]:
    choices = document.get("choices")
    return choices if isinstance(choices, list) else []


def _ends_answer(document: Document) -> bool:
    """Whether no later chunk can hold more tokens: there is no choice in it, or one that has finished."""
    choices = _choices(document)
    return not choices or any(mapping(choice).get("finish_reason") for choice in choices)


def _has_output(choice: Document) -> bool:
    delta = mapping(choice.get("delta"))
    return bool(choice.get("text")) or any(value for key, value in delta.items() if key != "role")
