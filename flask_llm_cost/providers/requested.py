"""What a request asks for: its model and mode, and how much of what is billed by the piece.

Only names, counts and sizes are read; of a text that is to be spoken, its length.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from types import MappingProxyType
from typing import NamedTuple

from ..events import Observation
from ..usage import Usage
from .fields import Document
from .fields import mapping
from .fields import name
from .modes import DATA_RESIDENCY
from .modes import join_modes
from .modes import normalise_mode
from .modes import variant
from .routes import Route

#: The fields, besides ``stream``, that name the model and the pricing mode of nearly all requests.
MODE_FIELDS = ("model", "service_tier", "serviceTier", "speed", "inference_geo")
#: The fields of a form that are read here.
FORM_FIELDS = ("model", "stream", "n", "size", "quality", "seconds")
#: More pieces than this are nobody's request.
_MOST = 10**6
_NUMBER = re.compile(r"[0-9]{1,6}(\.[0-9]{1,3})?")


class RequestFacts(NamedTuple):
    """What a request asks for. ``pricing_mode`` holds only where the answer does not name the served one.

    :param variant: the size and quality that choose a rate, such as ``1024x1792_hd``.
    :param charges: what the request itself says will be billed, by component, for answers that do not.
    """

    model: str | None
    stream: bool
    pricing_mode: str | None
    variant: str | None = None
    charges: Mapping[str, Decimal] = MappingProxyType({})


def read_request(route: Route, body: Mapping[str, object] | None) -> RequestFacts:
    """What the request's JSON or form fields ask for.

    The model is that of the body, else the one the URL names; Gemini's and Bedrock's is that of the URL.
    """
    fields = body or {}
    told = name(fields.get("model"))
    read = _PIECES.get(route.protocol or route.operation)
    charges, words = read(fields) if read is not None else ({}, ())
    return RequestFacts(
        model=(route.model or told) if route.protocol in _MODEL_IN_URL else (told or route.model),
        stream=route.stream or fields.get("stream") is True,
        pricing_mode=_requested_mode(route, fields),
        variant=join_modes(*words),
        charges={component: quantity for component, quantity in charges.items() if quantity is not None},
    )


def says_more_than_modes(route: Route) -> bool:
    """Whether a request's further fields say what will be billed, so that :data:`MODE_FIELDS` and ``stream``
    are not all that :func:`read_request` reads.
    """
    return (route.protocol or route.operation) in _PIECES or route.protocol == "bedrock_converse"


def completed(found: Observation, route: Route, asked: RequestFacts) -> Observation:
    """``found`` with what only the request tells, where the call was answered.

    Quantities of the request stand in for those that the answer leaves out. The size and quality that were
    asked for are part of the pricing mode of what is billed by the piece, unless the answer names its own.
    """
    if found.status == "error" or not 200 <= (found.http_status or 0) < 300:
        return found
    if found.usage is None and found.provider_cost is None and asked.charges:
        found = replace(found, usage=Usage(charges=asked.charges), usage_source="estimated")
    if asked.variant and not found.mode_told and found.usage is not None and not found.usage.counted_tokens:
        mode = join_modes(asked.pricing_mode, asked.variant)
        found = replace(found, pricing_mode=mode, mode_told=True)
    if route.provider == "bedrock" and asked.model:
        # Claude calls itself by Anthropic's name there, which says neither region nor price.
        found = replace(found, model=asked.model)
    return found


_MODEL_IN_URL = ("gemini_generate", "google_predict", "google_video", "bedrock_converse", "bedrock_invoke")

Pieces = tuple[Mapping[str, Decimal | None], tuple[str | None, ...]]


def _speech(fields: Document) -> Pieces:
    text = fields.get("input")
    return {"text_to_speech_character": Decimal(len(text)) if isinstance(text, str) else None}, ()


def _images(fields: Document) -> Pieces:
    count = _number(fields["n"]) if fields.get("n") is not None else Decimal(1)
    return {"image": count}, (variant(fields.get("size")), variant(fields.get("quality")))


def _imagen(fields: Document) -> Pieces:
    parameters = mapping(fields.get("parameters"))
    return {"image": _number(parameters.get("sampleCount"))}, (variant(parameters.get("sampleImageSize")),)


def _video(fields: Document) -> Pieces:
    """OpenAI names seconds and a size, xAI a duration and a resolution."""
    seconds = _number(fields.get("seconds", fields.get("duration")))
    return {"video_second": seconds}, (variant(fields.get("size")), variant(fields.get("resolution")))


def _veo(fields: Document) -> Pieces:
    """So many videos, one unless it says more, of so many seconds."""
    parameters = mapping(fields.get("parameters"))
    seconds = _number(parameters.get("durationSeconds"))
    count = _number(parameters["sampleCount"]) if parameters.get("sampleCount") is not None else Decimal(1)
    sound = "silent" if parameters.get("generateAudio") is False else None
    told = seconds * count if seconds is not None and count is not None else None
    return {"video_second": told}, (variant(parameters.get("resolution")), sound)


def _pages(fields: Document) -> Pieces:
    """How many pages were read is told by the answer; describing them in a structure costs more."""
    formats = ("document_annotation_format", "bbox_annotation_format")
    return {}, ("annotated" if any(fields.get(key) for key in formats) else None,)


#: What is billed by the piece, by protocol, or by operation where there is none.
_PIECES: Mapping[str, Callable[[Document], Pieces]] = {
    "speech": _speech,
    "images": _images,
    "openai_video": _video,
    "google_predict": _imagen,
    "google_video": _veo,
    "mistral_ocr": _pages,
}


def _number(value: object) -> Decimal | None:
    """A count or a duration, as a number or in a form's text; ``None`` for what can be neither."""
    text = str(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else ""
    number = Decimal(text) if _NUMBER.fullmatch(text) else None
    return number if number is not None and 0 < number <= _MOST else None


def _requested_mode(route: Route, fields: Document) -> str | None:
    if route.protocol == "gemini_generate":
        asked = _text(fields.get("serviceTier"))
        return None if asked == "unspecified" else normalise_mode(asked)
    if route.protocol == "bedrock_converse":
        return normalise_mode(_text(mapping(fields.get("serviceTier")).get("type")))
    tier = normalise_mode(_text(fields.get("service_tier")))
    if route.protocol != "anthropic_messages":
        # OpenAI's `fast` is another name of the priority tier; its answers say `priority` for both.
        return "priority" if tier == "fast" else tier
    residency = DATA_RESIDENCY if fields.get("inference_geo") == "us" else None
    return join_modes(
        tier if tier != "priority" else None, normalise_mode(_text(fields.get("speed"))), residency
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
