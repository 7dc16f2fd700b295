"""Amazon Bedrock: Converse in its own format, InvokeModel in that of the model that is invoked.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html
"""

from __future__ import annotations

from collections.abc import Mapping

from ..events import Operation
from .answer_reader import AnswerReader
from .answer_reader import Reading
from .anthropic_messages import MessagesReader
from .counted import Counted
from .counted import remainder
from .fields import EMPTY
from .fields import Document
from .fields import InvalidUsage
from .fields import count
from .fields import error_class
from .fields import mapping
from .fields import name
from .modes import join_modes
from .modes import normalise_mode
from .provider import Endpoint
from .provider import Provider

#: Where InvokeModel counts tokens beside the model's own answer: in headers, and in the last chunk.
HEADERS: Mapping[str, str] = {
    "x-amzn-bedrock-input-token-count": "inputTokens",
    "x-amzn-bedrock-output-token-count": "outputTokens",
    "x-amzn-bedrock-cache-read-input-token-count": "cacheReadInputTokens",
    "x-amzn-bedrock-cache-write-input-token-count": "cacheWriteInputTokens",
}
_METRICS: Mapping[str, str] = {
    "inputTokenCount": "inputTokens",
    "outputTokenCount": "outputTokens",
    "cacheReadInputTokenCount": "cacheReadInputTokens",
    "cacheWriteInputTokenCount": "cacheWriteInputTokens",
}


class ConverseReader(AnswerReader):
    """A Converse answer, or the events of a ConverseStream, whose last one, ``metadata``, tells the usage."""

    must_say_so = True
    keeps = ("_usage",)

    def __init__(self, provider: str, operation: Operation) -> None:
        super().__init__(provider, operation)
        self._usage: Document = EMPTY

    def whole(self, document: Document) -> None:
        self._take(document)

    def event(self, event_name: str, document: Document) -> None:
        if event_name == "error":
            self.fail(error_class(document.get("error")))
        elif event_name == "metadata" or "metadata" in document:
            # boto3 hands the event out under its name.
            self._take(document if event_name else mapping(document["metadata"]))
            self.finished = True

    def can_skip(self, raw: bytes) -> bool:
        self.saw_output = self.saw_output or b'"delta"' in raw
        return b'"usage"' not in raw

    def reading(self) -> Reading:
        if not self._usage:
            return Reading()
        usage, fields = self.usage_of(lambda: read_token_usage(self._usage))
        return Reading(usage=usage, fields=fields)

    def _take(self, document: Document) -> None:
        self._usage = mapping(document.get("usage"))
        tier = mapping(document.get("serviceTier")).get("type")
        latency = mapping(document.get("performanceConfig")).get("latency")
        self.pricing_mode = join_modes(_mode(tier), _mode(latency))
        self.mode_told = isinstance(tier, str) or isinstance(latency, str)


class InvokeReader(MessagesReader):
    """The answer of whichever model was invoked. Anthropic's is read as such; of the others, what Bedrock
    counts beside it, or a usage like Converse's (Amazon's Nova).
    """

    must_say_so = False
    keeps = (*MessagesReader.keeps, "_counts")

    def __init__(self, provider: str, operation: Operation) -> None:
        super().__init__(provider, operation)
        self._counts: dict[str, object] = {}

    def headers(self, headers: Mapping[str, str]) -> None:
        for header, key in HEADERS.items():
            told = headers.get(header, "")
            if told.isdecimal() and len(told) <= 12:
                self._counts[key] = int(told)

    def whole(self, document: Document) -> None:
        if document.get("type") in ("message", "error"):
            super().whole(document)
            return
        self.response_id = name(document.get("id"))
        usage = mapping(document.get("usage"))
        self._counts.update(usage if "inputTokens" in usage else EMPTY)

    def event(self, event_name: str, document: Document) -> None:
        super().event(event_name, document)
        metrics = mapping(document.get("amazon-bedrock-invocationMetrics"))
        self._counts.update({key: metrics[told] for told, key in _METRICS.items() if told in metrics})
        # Amazon's own models have a metadata event too, and every model's last chunk has the metrics.
        usage = mapping(mapping(document.get("metadata")).get("usage"))
        self._counts.update(usage if "inputTokens" in usage else EMPTY)
        self.finished = self.finished or bool(metrics)

    def can_skip(self, raw: bytes) -> bool:
        return b"invocationMetrics" not in raw and super().can_skip(raw)

    def reading(self) -> Reading:
        found = super().reading()
        if self._usage or not self._counts:
            return found
        usage, fields = self.usage_of(lambda: read_token_usage(self._counts))
        return Reading(usage=usage, fields=fields)


def read_token_usage(usage: Document) -> Counted:
    """The disjoint buckets of Bedrock's ``TokenUsage``: its input leaves out both kinds of cache already.

    :raises InvalidUsage: a number is missing, impossible or contradicts another.
    """
    fresh = count(usage, "inputTokens")
    if fresh is None:
        raise InvalidUsage("inputTokens is missing")
    counted = Counted(tokens={"total_tokens": count(usage, "totalTokens")})
    counted.put("input", fresh, "usage.inputTokens")
    counted.put("cache_read_input", count(usage, "cacheReadInputTokens"), "usage.cacheReadInputTokens")
    counted.put("output", count(usage, "outputTokens"), "usage.outputTokens")
    written = count(usage, "cacheWriteInputTokens")
    extended = _written_for_an_hour(usage)
    if extended:
        short = remainder("cacheWriteInputTokens", written or extended, [extended])
        counted.put("cache_write_input", short, "usage.cacheDetails")
        counted.put("cache_write_extended_input", extended, "usage.cacheDetails")
    else:
        counted.put("cache_write_input", written, "usage.cacheWriteInputTokens")
    return counted


def _written_for_an_hour(usage: Document) -> int:
    """What was written to live an hour; the rest of the writes, told or not, lives five minutes."""
    details = usage.get("cacheDetails") or []
    if not isinstance(details, list):
        raise InvalidUsage("cacheDetails is not a list")
    entries = [mapping(entry) for entry in details]
    return sum(count(entry, "inputTokens") or 0 for entry in entries if entry.get("ttl") == "1h")


def _mode(word: object) -> str | None:
    return normalise_mode(word) if isinstance(word, str) else None


_CONVERSE = "bedrock_converse"
_INVOKE = "bedrock_invoke"

BEDROCK = Provider(
    name="bedrock",
    endpoints={
        "model/{model}/converse": Endpoint("chat", "usage", _CONVERSE),
        "model/{model}/converse-stream": Endpoint("chat", "usage", _CONVERSE, stream=True),
        "model/{model}/invoke": Endpoint("completions", "usage", _INVOKE),
        "model/{model}/invoke-with-response-stream": Endpoint("completions", "usage", _INVOKE, stream=True),
        "model/{model}/count-tokens": Endpoint("other", "free"),
        "guardrail/*/version/*/apply": Endpoint("other", "no_usage"),
    },
    readers={_CONVERSE: ConverseReader, _INVOKE: InvokeReader},
)
