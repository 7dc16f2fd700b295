"""Google's Gemini answers: generated content, whole or streamed, and embeddings.

The formats are those of the Gemini API and of Vertex AI (https://ai.google.dev/api/generate-content).
"""

from __future__ import annotations

import re
from collections import Counter
from typing import ClassVar

from ..events import Operation
from .answer_reader import AnswerReader
from .answer_reader import Reading
from .counted import Counted
from .counted import remainder
from .fields import EMPTY
from .fields import Document
from .fields import InvalidUsage
from .fields import count
from .fields import error_class
from .fields import is_error
from .fields import mapping
from .fields import name

#: The modalities that have buckets of their own. Video and documents are billed like text.
_MEDIA = {"AUDIO": "audio", "IMAGE": "image"}
#: Counts that say that anything was used at all.
_COUNTS = (
    "promptTokenCount",
    "candidatesTokenCount",
    "thoughtsTokenCount",
    "toolUsePromptTokenCount",
    "totalTokenCount",
)
#: Grounding is billed once per prompt up to here, and by query since Gemini 3
#: (https://ai.google.dev/gemini-api/docs/google-search#pricing).
_GROUNDED_BY_PROMPT = re.compile(r"(?:.*/)?gemini-[12]\b")
#: An answer has a few queries; what comes after this many is somebody's mistake.
_QUERY_LIMIT = 1000
#: What an event must name for there to be something to keep in it.
_KEPT = (
    b'"usageMetadata"',
    b'"finishReason"',
    b'"promptFeedback"',
    b'"webSearchQueries"',
    b'"groundingChunks"',
    b'"error"',
    b"[DONE]",
)


class GeminiReader(AnswerReader):
    """An answer, whole or in chunks, and embeddings, which have the same usage object.

    Each chunk of a stream restates the usage, cumulatively: the last one counts. It is not final before the
    candidates have finished, or the prompt was blocked.
    """

    must_say_so = True
    is_chunked = True
    keeps: ClassVar[tuple[str, ...] | None] = ("_usage", "_used_maps", "_searched")
    #: Where the answer tells the searches that grounded it.
    searches_field = "candidates.groundingMetadata.webSearchQueries"
    #: Where it tells the places.
    maps_field = "candidates.groundingMetadata.groundingChunks"

    def __init__(self, provider: str, operation: Operation) -> None:
        super().__init__(provider, operation)
        self._usage: Document = EMPTY
        self._queries: Counter[str] = Counter()
        self._used_maps = False

    def whole(self, document: Document) -> None:
        self._take(document)
        self.answered = True

    def event(self, event_name: str, document: Document) -> None:
        self._take(document)
        if event_name == "error" and not self.failed:
            self.fail(_error_status(document))

    def can_skip(self, raw: bytes) -> bool:
        return (
            self.saw_output
            and self.model is not None
            and self.response_id is not None
            and not any(word in raw for word in _KEPT)
        )

    @property
    def _searched(self) -> int:
        """How many queries grounded the answer. What they were is somebody's words, and is kept nowhere."""
        return self._queries.total()

    @_searched.setter
    def _searched(self, count: int) -> None:
        self._queries = Counter({"": count})

    def reading(self) -> Reading:
        if not self.answered or all(self._usage.get(key) is None for key in _COUNTS):
            return Reading()  # a blocked prompt tells no counts
        usage, fields = self.usage_of(self._count)
        return Reading(usage=usage, fields=fields)

    def _take(self, document: Document) -> None:
        self.response_id = self.response_id or name(document.get("responseId"))
        self.model = name(document.get("modelVersion")) or self.model
        if is_error(document.get("error")):
            self.fail(_error_status(mapping(document["error"])))
        usage = mapping(document.get("usageMetadata"))
        if usage:
            self._usage = usage
            self._take_mode(usage)
        candidates = document.get("candidates")
        for candidate in candidates if isinstance(candidates, list) else []:
            self._take_candidate(mapping(candidate))
        if mapping(document.get("promptFeedback")).get("blockReason"):
            self.answered = True

    def _take_candidate(self, candidate: Document) -> None:
        self.answered = self.answered or bool(candidate.get("finishReason"))
        parts = mapping(candidate.get("content")).get("parts")
        self.saw_output = self.saw_output or bool(parts)
        grounding = mapping(candidate.get("groundingMetadata"))
        chunks = grounding.get("groundingChunks")
        if isinstance(chunks, list):
            self._used_maps |= any("maps" in mapping(chunk) for chunk in chunks)
        queries = grounding.get("webSearchQueries")
        if isinstance(queries, list) and len(self._queries) < _QUERY_LIMIT:
            # A later chunk may restate the queries of an earlier one, or tell further ones.
            told = [query for query in queries if isinstance(query, str) and query]
            self._queries |= Counter(told[:_QUERY_LIMIT])

    def _take_mode(self, usage: Document) -> None:
        for key in ("serviceTier", "trafficType"):
            tier = usage.get(key)
            if isinstance(tier, str) and not tier.lower().endswith("unspecified"):
                # Vertex AI says ON_DEMAND, ON_DEMAND_FLEX, ON_DEMAND_PRIORITY or PROVISIONED_THROUGHPUT.
                self.take_tier(tier.lower().removeprefix("on_demand_"))

    def _count(self) -> Counted:
        counted = Counted(tokens={"total_tokens": count(self._usage, "totalTokenCount")})
        _read_prompt(counted, self._usage)
        if self.operation == "embeddings":
            counted.tokens["output_tokens"] = 0  # by their nature, not for want of telling
            return counted
        _read_candidates(counted, self._usage)
        counted.charge("grounding_request", self._groundings(), self.searches_field)
        # What stood on a map is billed once per prompt, by whatever model.
        counted.charge("maps_grounding_request", int(self._used_maps), self.maps_field)
        return counted

    def _groundings(self) -> int:
        model = self.model or self.asked_model or ""
        by_prompt = _GROUNDED_BY_PROMPT.match(model.lower())
        return min(1, self._searches()) if by_prompt else self._searches()

    def _searches(self) -> int:
        return self._searched


def _read_prompt(counted: Counted, usage: Document) -> None:
    """The prompt contains what was cached; what tools brought in comes on top of it."""
    prompt = count(usage, "promptTokenCount")
    if prompt is None:
        prompt = _untold_prompt(usage)
    cached = count(usage, "cachedContentTokenCount")
    tools = count(usage, "toolUsePromptTokenCount") or 0
    plain = remainder("promptTokenCount", prompt, [cached])
    # Embeddings spell it without the plural.
    details = next((key for key in ("promptTokensDetails", "promptTokenDetails") if usage.get(key)), "")
    told = _by_modality(usage, details)
    remainder(details, prompt, told.values())
    text = plain - _read_media(counted, usage, told, details, plain)
    counted.put("input", text + tools, "usageMetadata.promptTokenCount")
    counted.put("cache_read_input", cached, "usageMetadata.cachedContentTokenCount")


def _untold_prompt(usage: Document) -> int:
    """Protocol buffers leave out a zero. The total tells whether it is one."""
    total = count(usage, "totalTokenCount")
    if total is None:
        raise InvalidUsage("promptTokenCount is missing")
    if total != sum(count(usage, key) or 0 for key in _COUNTS[1:4]):
        raise InvalidUsage("promptTokenCount is missing, and the total is not that of the rest")
    return 0


def _read_media(counted: Counted, usage: Document, told: dict[str, int], details: str, plain: int) -> int:
    """Take audio and images out of the prompt; returns how many of the uncached tokens they are."""
    cached = _by_modality(usage, "cacheTokensDetails")
    fresh = {kind: remainder(f"{details} {kind}", told[kind], [cached.get(kind)]) for kind in told}
    overlap = max(0, sum(fresh.values()) - plain)
    if overlap and cached:
        raise InvalidUsage(f"{details} exceed the input they are part of")
    for kind, tokens in cached.items():
        counted.put(f"cache_read_{kind}_input", tokens, "usageMetadata.cacheTokensDetails")
    for kind in sorted(fresh, reverse=True):
        # Without a split of the cache: some media came from it, at least these, and images first, which
        # most models bill like text.
        taken = min(overlap, fresh[kind])
        overlap -= taken
        fresh[kind] -= taken
        counted.put(f"{kind}_input", fresh[kind], f"usageMetadata.{details}")
    return sum(fresh.values())


def _read_candidates(counted: Counted, usage: Document) -> None:
    candidates = count(usage, "candidatesTokenCount") or 0
    thoughts = count(usage, "thoughtsTokenCount")
    media = _by_modality(usage, "candidatesTokensDetails")
    text = remainder("candidatesTokenCount", candidates, media.values())
    if thoughts and not _contains_thoughts(usage, candidates):
        text += thoughts
    counted.put("output", text, "usageMetadata.candidatesTokenCount")
    counted.tokens["reasoning_tokens"] = thoughts
    for kind, tokens in media.items():
        counted.put(f"{kind}_output", tokens, "usageMetadata.candidatesTokensDetails")


def _contains_thoughts(usage: Document, candidates: int) -> bool:
    """Whether the candidates' tokens contain the thoughts already, as Vertex AI once told them: the total
    is complete without them.
    """
    others = [count(usage, key) or 0 for key in ("promptTokenCount", "toolUsePromptTokenCount")]
    return count(usage, "totalTokenCount") == sum(others) + candidates


def _by_modality(usage: Document, key: str) -> dict[str, int]:
    """The tokens of audio and images in a list of modalities."""
    entries = usage.get(key)
    if not entries:
        return {}
    if not isinstance(entries, list):
        raise InvalidUsage(f"{key} is not a list")
    found: dict[str, int] = {}
    for entry in entries:
        tokens = count(mapping(entry), "tokenCount")
        modality = mapping(entry).get("modality")
        kind = _MEDIA.get(modality.upper()) if isinstance(modality, str) else None
        if kind is not None:
            found[kind] = found.get(kind, 0) + (tokens or 0)
    return found


def _error_status(error: Document) -> str:
    """The status of a Google error, such as ``RESOURCE_EXHAUSTED``, else its number."""
    return error_class({"type": error.get("status"), "code": error.get("code")})
