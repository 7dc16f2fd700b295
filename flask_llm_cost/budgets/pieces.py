"""What is billed by the piece or by something else than text: pictures, speech, transcripts, videos."""

from __future__ import annotations

import re
from collections.abc import Mapping

#: Tokens of one drawn picture at most, by size and quality (https://platform.openai.com/docs/guides/image-generation).
_DRAWN = {
    ("low", "1024x1024"): 272, ("low", "1024x1536"): 408, ("low", "1536x1024"): 400,
    ("medium", "1024x1024"): 1_056, ("medium", "1024x1536"): 1_584, ("medium", "1536x1024"): 1_568,
    ("high", "1024x1024"): 4_160, ("high", "1024x1536"): 6_240, ("high", "1536x1024"): 6_208,
}  # fmt: skip
#: Models to which that table applies; others draw pictures of a size that nobody documents.
_DRAWS = re.compile(r"gpt-image-1(-mini|[.-]5)?(-\d{4}-\d\d-\d\d)?$")
_PREVIEW = 100
#: Imagen draws four pictures where it is not told how many.
_IMAGEN_PICTURES = 4


def speech_characters(body: Mapping[str, object]) -> int | None:
    """The characters of a text to be spoken."""
    text = body.get("input")
    return len(text) if isinstance(text, str) else None


def pictures(body: Mapping[str, object]) -> int | None:
    """How many pictures a request asks for; ``None`` where its number is none."""
    parameters = body.get("parameters")
    if isinstance(parameters, Mapping) or "instances" in body:
        told = parameters.get("sampleCount") if isinstance(parameters, Mapping) else None
        return _whole(told) if told is not None else _IMAGEN_PICTURES
    return _whole(body["n"]) if body.get("n") is not None else 1


def drawn_tokens(body: Mapping[str, object], model: str) -> int | None:
    """The tokens of one picture at most; ``None`` where they are not known, or the picture is an edit."""
    if not _DRAWS.search(model.lower()) or "image" in body or "images" in body:
        return None
    quality, shape = body.get("quality"), body.get("size")
    sizes = [
        tokens
        for (one, other), tokens in _DRAWN.items()
        if quality in (one, None, "auto") and shape in (other, None, "auto")
    ]
    if not sizes:
        return None
    return max(sizes) + _PREVIEW * (_whole(body.get("partial_images")) or 0)


def _whole(value: object) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 7:
        value = int(value)  # forms hold text
    return value if type(value) is int and 0 < value <= 10**6 else None
