"""The route table: which requests are billed, and in which wire format they are answered."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import replace
from functools import lru_cache
from types import MappingProxyType
from typing import Literal
from urllib.parse import urlsplit

from ..events import Operation
from .fields import name
from .hosts import provider_of_host
from .modes import DATA_RESIDENCY
from .modes import join_modes
from .modes import normalise_mode

Protocol = Literal[
    "openai_chat",
    "openai_responses",
    "openai_completions",
    "openai_embeddings",
    "anthropic_messages",
    "gemini_generate",
]
Billing = Literal["usage", "no_usage", "free", "unknown"]

UNKNOWN_PROVIDER = "unknown"
_NO_HOSTS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Route:
    """What kind of request this is.

    :param protocol: the wire format of the answer; ``None`` where it has no parser of its own.
    :param billing: ``usage``: billed, and the answer says how much; ``no_usage``: billed, but the answer
        does not say; ``free``: not recorded; ``unknown``: recorded if the answer has a ``usage`` object.
    :param model: the model that the URL names, such as an Azure deployment or a Gemini model.
    :param stream: whether the URL asks for a stream; most formats ask in the body.
    """

    provider: str
    operation: Operation
    protocol: Protocol | None
    billing: Billing
    model: str | None = None
    stream: bool = False


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """What a request asks for. ``pricing_mode`` holds only where the answer does not name the served one."""

    model: str | None
    stream: bool
    pricing_mode: str | None


@dataclass(frozen=True, slots=True)
class _Kind:
    operation: Operation
    billing: Billing
    protocol: Protocol | None = None
    stream: bool = False


_FREE = _Kind("other", "free")
_RUN = _Kind("other", "usage")
_UNTOLD = _Kind("other", "no_usage")
_UNKNOWN = _Kind("other", "unknown")

#: POST requests by the end of their path; ``*`` is any one segment, and the longest match wins, so that a
#: version, an Azure deployment or a gateway's prefix may stand before it.
POST_ROUTES: Mapping[str, _Kind] = MappingProxyType(
    {
        # OpenAI, and everyone who speaks its formats
        "chat/completions": _Kind("chat", "usage", "openai_chat"),
        "chat/completions/*": _FREE,  # new metadata for a stored completion
        "completions": _Kind("completions", "usage", "openai_completions"),
        "embeddings": _Kind("embeddings", "usage", "openai_embeddings"),
        "responses": _Kind("responses", "usage", "openai_responses"),
        "responses/compact": _Kind("responses", "usage", "openai_responses"),
        "responses/input_tokens": _FREE,
        "responses/*/cancel": _FREE,
        "images/generations": _Kind("images", "usage"),
        "images/edits": _Kind("images", "usage"),
        "images/variations": _Kind("images", "no_usage"),
        "audio/transcriptions": _Kind("transcription", "usage"),
        "audio/translations": _Kind("transcription", "usage"),
        "audio/speech": _Kind("speech", "no_usage"),
        "moderations": _Kind("moderation", "free"),
        "videos": _UNTOLD,
        "videos/edits": _UNTOLD,
        "videos/extensions": _UNTOLD,
        "videos/characters": _UNTOLD,
        "videos/*/remix": _UNTOLD,
        # A batch is billed when its results are there; the batch object tells a running usage.
        "batches": _Kind("batch", "free"),
        "batches/*/cancel": _Kind("batch", "free"),
        "threads/runs": _RUN,
        "threads/*/runs": _RUN,
        "threads/*/runs/*": _FREE,
        "threads/*/runs/*/cancel": _FREE,
        "threads/*/runs/*/submit_tool_outputs": _RUN,
        "threads/*/messages": _FREE,
        "threads/*/messages/*": _FREE,
        "containers": _UNTOLD,
        "evals/*/runs": _UNTOLD,
        "fine_tuning/jobs": _UNTOLD,
        "fine_tuning/alpha/graders/run": _UNTOLD,
        "realtime/calls": _UNTOLD,
        "files": _FREE,
        "uploads": _FREE,
        "uploads/*/complete": _FREE,
        # Mistral
        "fim/completions": _Kind("completions", "usage", "openai_chat"),
        "agents/completions": _Kind("chat", "usage", "openai_chat"),
        # Anthropic
        "messages": _Kind("messages", "usage", "anthropic_messages"),
        "messages/count_tokens": _FREE,
        "messages/batches": _Kind("batch", "free"),
        "messages/batches/*/cancel": _Kind("batch", "free"),
        "complete": _Kind("completions", "no_usage"),
        # Google: storage by the hour, training, the indexing of files
        "cachedcontents": _UNTOLD,
        "tuningjobs": _UNTOLD,
        "tunedmodels": _UNTOLD,
        "filesearchstores": _FREE,
        "auth_tokens": _FREE,
        "batchpredictionjobs": _Kind("batch", "free"),
    }
)

#: Another publisher's own format, passed through by Vertex AI at ``models/NAME:rawPredict``.
RAW_PUBLISHERS: Mapping[str, _Kind] = MappingProxyType(
    {
        "anthropic": _Kind("messages", "usage", "anthropic_messages"),
        "mistralai": _Kind("chat", "usage", "openai_chat"),
    }
)
_RAW_VERBS = ("rawpredict", "streamrawpredict")

_EMBEDDINGS = _Kind("embeddings", "usage", "gemini_generate")
#: Google's POST requests by the verb after the last colon, ``models/NAME:VERB``, in lower case.
VERB_ROUTES: Mapping[str, _Kind] = MappingProxyType(
    {
        "generatecontent": _Kind("generate_content", "usage", "gemini_generate"),
        "streamgeneratecontent": _Kind("generate_content", "usage", "gemini_generate", stream=True),
        "embedcontent": _EMBEDDINGS,
        "batchembedcontents": _EMBEDDINGS,
        # Pictures, and Vertex AI's older embeddings, which are billed by the character.
        "predict": _Kind("images", "no_usage"),
        "predictlongrunning": _UNTOLD,
        "uploadtofilesearchstore": _UNTOLD,
        "importfile": _UNTOLD,
        "fetchpredictoperation": _FREE,
        "counttokens": _FREE,
        "computetokens": _FREE,
        "batchgeneratecontent": _Kind("batch", "free"),
        "asyncbatchembedcontent": _Kind("batch", "free"),
        "cancel": _FREE,
        "delete": _FREE,
    }
)
#: A verb that nobody knows, at one of Google's models: its answer tells.
_UNKNOWN_VERB = _Kind("other", "unknown", "gemini_generate")
#: What stands before a model's name in Google's paths. A tuned model is called by its collection too.
_COLLECTIONS = {"models": "", "tunedmodels": "tunedModels/", "endpoints": "endpoints/"}
#: Models that ``predict`` asks for embeddings rather than pictures.
_EMBEDS = re.compile("embedding|gecko")


def find_route(
    method: str,
    host: str,
    path: str,
    *,
    sdk: str | None = None,
    provider_hosts: Mapping[str, str] = _NO_HOSTS,
) -> Route:
    """The route of a request.

    :param path: with or without a query; versions, Azure deployments and a gateway's prefix may come
        before what the table knows.
    :param sdk: the SDK that sends it; its name is the provider's where the host is nobody's.
    :param provider_hosts: the app's own hosts (``LLM_COST_PROVIDER_HOSTS``).
    """
    url = urlsplit(path) if "://" in path else None
    path = url.path if url else path.partition("?")[0]
    kind, model = _classify(method.upper(), path)
    provider = provider_of_host(url.netloc if url else host, provider_hosts, path)
    return Route(
        provider=provider or sdk or UNKNOWN_PROVIDER,
        operation=kind.operation,
        protocol=kind.protocol,
        billing=kind.billing,
        model=model,
        stream=kind.stream,
    )


def read_request(route: Route, body: Mapping[str, object] | None) -> RequestFacts:
    """What the request's JSON or form fields ask for.

    The model is that of the body, else the one the URL names; Gemini's is that of the URL.
    """
    fields = body or {}
    told = name(fields.get("model"))
    return RequestFacts(
        model=(route.model or told) if route.protocol == "gemini_generate" else (told or route.model),
        stream=route.stream or fields.get("stream") is True,
        pricing_mode=_requested_mode(route, fields),
    )


def _requested_mode(route: Route, fields: Mapping[str, object]) -> str | None:
    tier = normalise_mode(_text(fields.get("service_tier")))
    if route.protocol == "gemini_generate":
        asked = _text(fields.get("serviceTier"))
        return None if asked == "unspecified" else normalise_mode(asked)
    if route.protocol != "anthropic_messages":
        # OpenAI's `fast` is another name of the priority tier; its answers say `priority` for both.
        return "priority" if tier == "fast" else tier
    residency = DATA_RESIDENCY if fields.get("inference_geo") == "us" else None
    return join_modes(
        tier if tier != "priority" else None, normalise_mode(_text(fields.get("speed"))), residency
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


@lru_cache(maxsize=512)
def _classify(method: str, path: str) -> tuple[_Kind, str | None]:
    segments = [segment for segment in path.partition("#")[0].split("/") if segment]
    if method != "POST":
        # Reading and deleting cost nothing. A batch's results do, but they have no reader.
        return _FREE, None
    if (verb := _with_verb(segments)) is not None:
        return verb
    words = [segment.lower() for segment in segments]
    patterns = (pattern.split("/") for pattern in POST_ROUTES)
    found = max((pattern for pattern in patterns if _ends_with(words, pattern)), key=len, default=None)
    if found is None:
        return _UNKNOWN, None
    before = segments[: -len(found)]
    deployment = before[-1] if len(before) > 1 and before[-2] == "deployments" else None
    return POST_ROUTES["/".join(found)], deployment


def _with_verb(segments: list[str]) -> tuple[_Kind, str | None] | None:
    """What a path of the form ``models/NAME:VERB`` asks for, and of which model; ``None`` for other paths."""
    *before, last = segments or [""]
    resource, colon, verb = last.rpartition(":")
    if not colon:
        return None
    collection = before[-1].lower() if before else ""
    prefix = _COLLECTIONS.get(collection)
    if verb.lower() in _RAW_VERBS:
        kind: _Kind | None = _raw(before, resource, verb)
    else:
        kind = VERB_ROUTES.get(verb.lower(), _UNKNOWN_VERB if prefix is not None else None)
    if kind is None:
        return None
    if kind.operation == "images" and _EMBEDS.search(resource.lower()):
        kind = _Kind("embeddings", kind.billing)
    return kind, name(f"{prefix}{resource}") if prefix is not None and resource else None


def _raw(before: list[str], resource: str, verb: str) -> _Kind:
    if resource == "count-tokens":
        return _FREE
    publisher = before[-2].lower() if len(before) > 1 else ""
    return replace(RAW_PUBLISHERS.get(publisher, _UNKNOWN), stream=verb.lower().startswith("stream"))


def _ends_with(words: list[str], pattern: list[str]) -> bool:
    tail = words[-len(pattern) :]
    return len(tail) == len(pattern) and all(
        part in ("*", word) for part, word in zip(pattern, tail, strict=True)
    )
