"""Voyage's embeddings of texts with pictures: text by the token, pictures and video by the pixel.

https://docs.voyageai.com/docs/pricing. Its other answers look like OpenAI's embeddings.
"""

from __future__ import annotations

from .answer_reader import UsageReader
from .counted import Counted
from .fields import InvalidUsage
from .fields import count
from .provider import Endpoint
from .provider import Provider


class MultimodalReader(UsageReader):
    """Embeddings of texts, pictures and videos."""

    def _count(self) -> Counted:
        usage = self.usage
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
