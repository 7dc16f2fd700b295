"""Cohere's own formats: chat (v2 and v1), embed and rerank, which tell what they bill as ``billed_units``.

https://docs.cohere.com/reference/about. Cohere's answers name no model.
"""

from __future__ import annotations

from ..events import Operation
from .answer_reader import AnswerReader
from .answer_reader import Reading
from .counted import Counted
from .fields import EMPTY
from .fields import Document
from .fields import InvalidUsage
from .fields import count
from .fields import mapping
from .fields import name
from .provider import Endpoint
from .provider import Provider

#: Units that are billed by another name than tokens, and the components they are.
_UNITS = {"search_units": "search_unit", "images": "image"}
_TOKENS = {"input_tokens": "input", "image_tokens": "image_input", "output_tokens": "output"}


class CohereReader(AnswerReader):
    """An answer, or the events of a chat, whose last one tells the billed units.

    Version 1 streams JSON objects line by line unless it is asked for server-sent events.
    """

    must_say_so = True
    is_chunked = True

    def __init__(self, provider: str, operation: Operation) -> None:
        super().__init__(provider, operation)
        self._usage: Document = EMPTY
        self._place = ""

    def whole(self, document: Document) -> None:
        if "event_type" in document or str(document.get("type")) in _EVENTS:
            self.event("", document)
        else:
            self._take(document)
            self.answered = True

    def event(self, event_name: str, document: Document) -> None:
        kind = str(document.get("type") or document.get("event_type") or event_name)
        self.response_id = self.response_id or name(document.get("id"))
        if kind == "error":
            self.fail("error")
        elif kind in ("message-end", "stream-end"):
            # Version 2 has the end of the answer in `delta`, version 1 the whole answer in `response`.
            self._take(mapping(document.get("delta")) or mapping(document.get("response")))
            self.finished = True

    def can_skip(self, raw: bytes) -> bool:
        self.saw_output = self.saw_output or b'"content-delta"' in raw or b'"text-generation"' in raw
        return self.response_id is not None and b"-end" not in raw and b"error" not in raw

    def reading(self) -> Reading:
        if not self._usage:
            return Reading()
        usage, fields = self.usage_of(self._count)
        return Reading(usage=usage, fields=fields)

    def _take(self, answer: Document) -> None:
        for key in ("id", "response_id", "generation_id"):
            self.response_id = self.response_id or name(answer.get(key))
        for place in ("usage", "meta"):
            billed = mapping(mapping(answer.get(place)).get("billed_units"))
            if billed:
                self._usage, self._place = billed, f"{place}.billed_units"
        if str(answer.get("finish_reason")).startswith("ERROR"):
            self.fail("error")

    def _count(self) -> Counted:
        counted = Counted()
        for key, component in _TOKENS.items():
            counted.put(component, count(self._usage, key), f"{self._place}.{key}")
        for key, component in _UNITS.items():
            counted.charge(component, count(self._usage, key), f"{self._place}.{key}")
        if not counted.tokens and not counted.charges:
            raise InvalidUsage("billed_units are not known")
        if self.operation == "embeddings":
            counted.tokens["output_tokens"] = 0  # by their nature, not for want of telling
        return counted


_EVENTS = frozenset({"message-start", "message-end"})

_PROTOCOL = "cohere"

COHERE = Provider(
    name="cohere",
    hosts=("api.cohere.com", "api.cohere.ai"),
    endpoints={
        "chat": Endpoint("chat", "usage", _PROTOCOL),
        "generate": Endpoint("completions", "usage", _PROTOCOL),
        "embed": Endpoint("embeddings", "usage", _PROTOCOL),
        "rerank": Endpoint("other", "usage", _PROTOCOL),
        "embed-jobs": Endpoint("batch", "no_usage"),
        "tokenize": Endpoint("other", "free"),
        "detokenize": Endpoint("other", "free"),
    },
    readers={_PROTOCOL: CohereReader},
)
