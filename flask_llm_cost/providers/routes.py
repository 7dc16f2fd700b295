"""The route table: which requests are billed, and in which wire format they are answered."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import replace
from functools import lru_cache
from types import MappingProxyType
from urllib.parse import unquote
from urllib.parse import urlsplit

from ..events import Operation
from .fields import name
from .hosts import is_regional
from .provider import Billing
from .provider import Endpoint
from .registry import find_provider
from .registry import provider_of_host

UNKNOWN_PROVIDER = "unknown"
#: The segment of a pattern that names the model.
_MODEL = "{model}"
_NO_HOSTS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Route:
    """What kind of request this is.

    :param protocol: the wire format of the answer; ``None`` where it has no reader of its own.
    :param billing: see :class:`~flask_llm_cost.providers.Endpoint`.
    :param model: the model that the URL names, such as an Azure deployment or a Gemini model.
    :param stream: whether the URL asks for a stream; most formats ask in the body.
    :param resource: the batch or the file that the URL names.
    :param regional: whether the host binds the call to a region, which some models are dearer in.
    """

    provider: str
    operation: Operation
    protocol: str | None
    billing: Billing
    model: str | None = None
    stream: bool = False
    resource: str | None = None
    regional: bool = False


_FREE = Endpoint("other", "free")
_RUN = Endpoint("other", "usage")
_UNTOLD = Endpoint("other", "no_usage")
_VIDEO = Endpoint("videos", "usage", "openai_video")
_UNKNOWN = Endpoint("other", "unknown")
#: Work that was begun before, and may have gone on in the background.
_RESPONSE = Endpoint("responses", "later", "openai_responses")
_STARTED_RUN = Endpoint("other", "later")

#: POST requests that many providers share, by the end of their path; ``*`` is any one segment, and the
#: longest match wins, so that a version, an Azure deployment or a gateway's prefix may stand before it.
POST_ROUTES: Mapping[str, Endpoint] = MappingProxyType(
    {
        # OpenAI, and everyone who speaks its formats
        "chat/completions": Endpoint("chat", "usage", "openai_chat"),
        "chat/completions/*": _FREE,  # new metadata for a stored completion
        "completions": Endpoint("completions", "usage", "openai_completions"),
        "embeddings": Endpoint("embeddings", "usage", "openai_embeddings"),
        "responses": Endpoint("responses", "usage", "openai_responses"),
        "responses/compact": Endpoint("responses", "usage", "openai_responses"),
        "responses/input_tokens": _FREE,
        "responses/*/cancel": _RESPONSE,
        "images/generations": Endpoint("images", "usage"),
        "images/edits": Endpoint("images", "usage"),
        "images/variations": Endpoint("images", "no_usage"),
        "audio/transcriptions": Endpoint("transcription", "usage"),
        "audio/translations": Endpoint("transcription", "usage"),
        "audio/speech": Endpoint("speech", "no_usage"),
        "moderations": Endpoint("moderation", "free"),
        "videos": _VIDEO,
        "videos/edits": _VIDEO,
        "videos/extensions": _VIDEO,
        "videos/characters": Endpoint("videos", "no_usage"),
        "videos/*/remix": _VIDEO,
        "videos/generations": Endpoint("videos", "no_usage", "openai_video"),  # xAI
        # A batch is billed when its results are there; the batch object tells a running usage.
        "batches": Endpoint("batch", "free"),
        "batches/*/cancel": Endpoint("batch", "free"),
        "threads/runs": _RUN,
        "threads/*/runs": _RUN,
        "threads/*/runs/*": _FREE,
        "threads/*/runs/*/cancel": _STARTED_RUN,
        "threads/*/runs/*/submit_tool_outputs": _RUN,
        "threads/*/messages": _FREE,
        "threads/*/messages/*": _FREE,
        "containers": Endpoint("other", "usage", "openai_container"),
        "evals/*/runs": _UNTOLD,
        "fine_tuning/jobs": _UNTOLD,
        "fine_tuning/alpha/graders/run": _UNTOLD,
        "realtime/calls": _UNTOLD,
        "realtime/calls/*/accept": _UNTOLD,
        "live/sessions": _UNTOLD,
        "live/sessions/*/accept": _UNTOLD,
        "live/sessions/*/fork": _UNTOLD,
        "decisions": _RUN,
        # Agents that the provider runs: what they used is told later, in the events of a session.
        "agents/sessions": _RUN,
        "agents/automations/*/invocations": _RUN,
        "sessions/*/events": _RUN,
        "deployments/*/run": _RUN,
        "dreams": _RUN,
        "files": _FREE,
        "uploads": _FREE,
        "uploads/*/complete": _FREE,
        # Mistral
        "fim/completions": Endpoint("completions", "usage", "openai_chat"),
        "agents/completions": Endpoint("chat", "usage", "openai_chat"),
        # Anthropic
        "messages": Endpoint("messages", "usage", "anthropic_messages"),
        "messages/count_tokens": _FREE,
        "messages/batches": Endpoint("batch", "free"),
        "messages/batches/*/cancel": Endpoint("batch", "free"),
        "complete": Endpoint("completions", "no_usage"),
        "interactions": Endpoint("generate_content", "usage", "gemini_interactions"),
        "interactions/*/cancel": _FREE,
        # Google: storage by the hour, training, the indexing of files
        "cachedcontents": _UNTOLD,
        "tuningjobs": _UNTOLD,
        "tunedmodels": _UNTOLD,
        "filesearchstores": _FREE,
        "auth_tokens": _FREE,
        "batchpredictionjobs": Endpoint("batch", "free"),
    }
)

#: Another publisher's own format, passed through by Vertex AI at ``models/NAME:rawPredict``.
RAW_PUBLISHERS: Mapping[str, Endpoint] = MappingProxyType(
    {
        "anthropic": Endpoint("messages", "usage", "anthropic_messages"),
        "mistralai": Endpoint("chat", "usage", "openai_chat"),
    }
)
_RAW_VERBS = ("rawpredict", "streamrawpredict")
#: GET requests that tell of something billed, written likewise (a colon as a slash); all others only read. A
#: downloaded file shows by its first line whether it holds results, and a batch object by its fields.
GET_ROUTES: Mapping[str, Endpoint] = MappingProxyType(
    {
        "responses/*": _RESPONSE,
        "threads/*/runs/*": _STARTED_RUN,
        "files/*/content": Endpoint("batch", "results", "openai_batch"),
        "messages/batches/*": _FREE,
        "messages/batches/*/results": Endpoint("batch", "results", "anthropic_batch"),
        "batches/*": Endpoint("batch", "results", "gemini_batch"),
        "files/*/download": Endpoint("batch", "results", "gemini_batch_file"),
    }
)
#: The same in one look, as most paths are none of these.
_TELLING = "|".join(GET_ROUTES).replace("/", "[/:]+").replace("*", "[^/:]+")
_MAY_TELL = re.compile(f"(?:^|/)(?:{_TELLING})/*$", re.IGNORECASE)

_EMBEDDINGS = Endpoint("embeddings", "usage", "gemini_generate")
#: Google's POST requests by the verb after the last colon, ``models/NAME:VERB``, in lower case.
VERB_ROUTES: Mapping[str, Endpoint] = MappingProxyType(
    {
        "generatecontent": Endpoint("generate_content", "usage", "gemini_generate"),
        "streamgeneratecontent": Endpoint("generate_content", "usage", "gemini_generate", stream=True),
        "embedcontent": _EMBEDDINGS,
        "batchembedcontents": _EMBEDDINGS,
        # Pictures, and Vertex AI's older embeddings.
        "predict": Endpoint("images", "usage", "google_predict"),
        "predictlongrunning": Endpoint("videos", "no_usage", "google_video"),
        "uploadtofilesearchstore": _UNTOLD,
        "importfile": _UNTOLD,
        "fetchpredictoperation": _FREE,
        "counttokens": _FREE,
        "computetokens": _FREE,
        "batchgeneratecontent": Endpoint("batch", "free"),
        "asyncbatchembedcontent": Endpoint("batch", "free"),
        "cancel": _FREE,
        "delete": _FREE,
    }
)
#: A verb that nobody knows, at one of Google's models: its answer tells.
_UNKNOWN_VERB = Endpoint("other", "unknown", "gemini_generate")
#: What stands before a model's name in Google's paths. A tuned model is called by its collection too.
_COLLECTIONS = {"models": "", "tunedmodels": "tunedModels/", "endpoints": "endpoints/"}
#: Endpoints that any model answers, and the models of theirs that make embeddings.
_ANY_MODEL = ("google_predict", "bedrock_invoke")
_EMBEDS = re.compile(r"embed|gecko")


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
    # A key may stand in the query or before the host: it goes into no cache.
    if "://" in path:
        url = urlsplit(path)
        host, path = url.netloc.rpartition("@")[2], url.path
    path = path.partition("?")[0]
    own = tuple(provider_hosts.items()) if provider_hosts else ()
    # The paths of other requests hold ids, and would drive out those that come again and again.
    find = _find_route if method.upper() == "POST" else _find_route.__wrapped__
    return find(method.upper(), host, path, sdk, own)


@lru_cache(maxsize=512)
def _find_route(
    method: str, host: str, path: str, sdk: str | None, provider_hosts: tuple[tuple[str, str], ...]
) -> Route:
    provider = provider_of_host(host, dict(provider_hosts), path) or sdk or UNKNOWN_PROVIDER
    endpoint, model, resource = _classify(method, path, provider)
    return Route(
        provider=provider,
        operation=endpoint.operation,
        protocol=endpoint.protocol,
        billing=endpoint.billing,
        model=model,
        stream=endpoint.stream,
        resource=resource,
        regional=is_regional(host),
    )


def only_reads(method: str, path: str) -> bool:
    """Whether a request reads or deletes, and tells of nothing that was billed, whoever answers it."""
    return method.upper() != "POST" and _classify(method.upper(), path, "")[0].billing == "free"


def _classify(method: str, path: str, provider: str) -> tuple[Endpoint, str | None, str | None]:
    """The endpoint, and the model, and the batch or file, that the path names."""
    if method == "POST":
        return (*_classify_post(path, provider), None)
    # Not cached: these paths hold ids, and would drive out all the others.
    if method != "GET" or _MAY_TELL.search(path) is None:
        return _FREE, None, None
    segments = _segments(path.replace(":", "/"))
    found = _longest_match(segments, GET_ROUTES)
    if found is None:
        return _FREE, None, None
    return GET_ROUTES["/".join(found)], None, segments[found.index("*") - len(found)]


def _classify_post(path: str, provider: str) -> tuple[Endpoint, str | None]:
    segments = _segments(path)
    described = find_provider(provider)
    found = _by_path(segments, described.endpoints) if described is not None else None
    found = found or _with_verb(segments) or _by_path(segments, POST_ROUTES)
    if found is None:
        return _UNKNOWN, None
    endpoint, model = found
    if endpoint.protocol in _ANY_MODEL and model is not None and _EMBEDS.search(model.lower()):
        endpoint = replace(endpoint, operation="embeddings")
    return endpoint, model


def _by_path(segments: list[str], endpoints: Mapping[str, Endpoint]) -> tuple[Endpoint, str | None] | None:
    """The longest pattern that a path ends with, and the model that the path names."""
    found = _longest_match(segments, endpoints)
    if found is None:
        return None
    before, matched = segments[: -len(found)], segments[-len(found) :]
    deployment = before[-1] if len(before) > 1 and before[-2] == "deployments" else None
    named = unquote(matched[found.index(_MODEL)]) if _MODEL in found else None
    return endpoints["/".join(found)], name(named) or deployment


def _segments(path: str) -> list[str]:
    return [segment for segment in path.partition("#")[0].split("/") if segment]


def _longest_match(segments: list[str], endpoints: Mapping[str, Endpoint]) -> list[str] | None:
    words = [segment.lower() for segment in segments]
    patterns = (pattern.split("/") for pattern in endpoints)
    return max((pattern for pattern in patterns if _ends_with(words, pattern)), key=len, default=None)


def _with_verb(segments: list[str]) -> tuple[Endpoint, str | None] | None:
    """What a path of the form ``models/NAME:VERB`` asks for, and of which model; ``None`` for other paths."""
    *before, last = segments or [""]
    resource, colon, verb = last.rpartition(":")
    if not colon:
        return None
    collection = before[-1].lower() if before else ""
    prefix = _COLLECTIONS.get(collection)
    if verb.lower() in _RAW_VERBS:
        endpoint: Endpoint | None = _raw(before, resource, verb)
    else:
        endpoint = VERB_ROUTES.get(verb.lower(), _UNKNOWN_VERB if prefix is not None else None)
    if endpoint is None:
        return None
    return endpoint, name(f"{prefix}{resource}") if prefix is not None and resource else None


def _raw(before: list[str], resource: str, verb: str) -> Endpoint:
    if resource == "count-tokens":
        return _FREE
    publisher = before[-2].lower() if len(before) > 1 else ""
    return replace(RAW_PUBLISHERS.get(publisher, _UNKNOWN), stream=verb.lower().startswith("stream"))


def _ends_with(words: list[str], pattern: list[str]) -> bool:
    tail = words[-len(pattern) :]
    return len(tail) == len(pattern) and all(
        part in ("*", _MODEL, word) for part, word in zip(pattern, tail, strict=True)
    )
