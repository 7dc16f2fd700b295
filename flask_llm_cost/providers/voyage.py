"""Voyage's embeddings of texts with pictures: text by the token, pictures and video by the pixel.

https://docs.voyageai.com/docs/pricing. Its other answers look like OpenAI's embeddings.
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
from .provider import Endpoint
from .provider import Provider


class MultimodalReader(AnswerReader):
    """Embeddings of texts, pictures and videos."""

    def __init__(self, provider: str, operation: Operation) -> None:
        super().__init__(provider, operation)
        self._usage: Document = EMPTY

    def whole(self, document: Document) -> None:
        self.name_answer(document)
        self._usage = mapping(document.get("usage"))

    def reading(self) -> Reading:
        if not self._usage:
            return Reading()
        usage, fields = self.usage_of(self._count)
        return Reading(usage=usage, fields=fields)

    def _count(self) -> Counted:
        usage = self._usage
        total = count(usage, "total_tokens")
        pixels = [count(usage, key) or 0 for key in ("image_pixels", "video_pixels")]
        key = "text_tokens" if usage.get("text_tokens") is not None else "total_tokens"
        text = count(usage, key)
        if text is None:
            raise InvalidUsage("text_tokens is missing")
        counted = Counted(tokens={"total_tokens": total, "output_tokens": 0})
        counted.put("input", text, f"usage.{key}")
        counted.charge("input_pixel", sum(pixels), "usage.image_pixels")
        return counted


_MULTIMODAL = "voyage_multimodal"

VOYAGE = Provider(
    name="voyage",
    hosts=("api.voyageai.com",),
    endpoints={
        "multimodalembeddings": Endpoint("embeddings", "usage", _MULTIMODAL),
        "contextualizedembeddings": Endpoint("embeddings", "usage", "openai_embeddings"),
        "rerank": Endpoint("other", "usage"),
    },
    readers={_MULTIMODAL: MultimodalReader},
)
