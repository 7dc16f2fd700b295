"""What an SDK is about to send, in the words of the route table."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any
from typing import NamedTuple

#: Client classes that speak an SDK's wire format to another provider, wherever their endpoint is.
PROVIDER_OF_CLIENT = {
    "AzureOpenAI": "azure",
    "AsyncAzureOpenAI": "azure",
    "BedrockOpenAI": "bedrock",
    "AsyncBedrockOpenAI": "bedrock",
    "AnthropicBedrock": "bedrock",
    "AsyncAnthropicBedrock": "bedrock",
    "AnthropicBedrockMantle": "bedrock",
    "AsyncAnthropicBedrockMantle": "bedrock",
    "AnthropicVertex": "vertex",
    "AsyncAnthropicVertex": "vertex",
    "AnthropicGoogleCloud": "vertex",
    "AsyncAnthropicGoogleCloud": "vertex",
    "AnthropicFoundry": "azure",
    "AsyncAnthropicFoundry": "azure",
}

#: Host and path of requests, by the identity of a base URL, which holds as long as it is kept here, and the
#: SDK's own path behind it.
_places: dict[tuple[int, object], tuple[Any, str, str]] = {}
_PLACES_KEPT = 512


class Asked(NamedTuple):
    """A request that an SDK is about to send, in the words of the route table.

    :param has_files: whether files go along that ``body`` does not hold.
    :param provider: who is paid where the host is nobody's; else it is the SDK's own provider.
    """

    method: str
    host: str
    path: str
    body: Mapping[str, Any] | None
    streamed: bool
    provider: str | None = None
    has_files: bool = False


def asked_of_stainless(client: Any, options: Any, streamed: bool) -> Asked:
    """What a client of an SDK made by Stainless was asked to send.

    Cloud clients rewrite the URL when they build the request; the options still hold the SDK's own path.
    """
    base, path = client.base_url, options.url
    place = _places.get((id(base), path))
    if place is None or place[0] is not base:
        place = _place(base, path)
    body = options.json_data
    if not isinstance(body, dict) or getattr(options, "extra_json", None):
        body = _body(options)
    return Asked(
        str(options.method),
        place[1],
        place[2],
        body,
        streamed,
        _provider_of_client(type(client).__mro__),
        bool(getattr(options, "files", None)),
    )


def _place(base: Any, path: object) -> tuple[Any, str, str]:
    """Host and path of a request. A client keeps its base URL, and httpx is slow at taking one apart."""
    host = f"{base.host}:{base.port}" if base.port else str(base.host)
    place = (base, host, joined(str(base.path), str(path)))
    if is_kept(place[2]):
        if len(_places) >= _PLACES_KEPT:
            _places.clear()
        _places[id(base), path] = place
    return place


def is_kept(path: str) -> bool:
    """Whether a path may be remembered: a key may stand in a query, or before a host."""
    return "?" not in path and "://" not in path


def joined(base_path: str, path: str) -> str:
    """An SDK's own path behind that of its base URL, as the SDK puts them together: a gateway tells its
    providers apart by the latter. A whole URL stays what it is.
    """
    return path if "://" in path else f"{base_path.rstrip('/')}/{path.lstrip('/')}"


@cache
def _provider_of_client(heirs: tuple[type, ...]) -> str | None:
    names = (heir.__name__ for heir in heirs)
    return next((PROVIDER_OF_CLIENT[name] for name in names if name in PROVIDER_OF_CLIENT), None)


def _body(options: Any) -> Mapping[str, Any] | None:
    """The request's JSON or form fields, those of ``extra_body`` on top."""
    body = options.json_data
    if not isinstance(body, Mapping):
        return None
    extra = getattr(options, "extra_json", None)
    return {**body, **extra} if isinstance(extra, Mapping) else body
