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

#: Base URLs by their identity, which holds as long as they are kept here.
_bases: dict[int, tuple[Any, tuple[str, str]]] = {}
_BASES_KEPT = 256


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
    host, base_path = _base(client.base_url)
    return Asked(
        method=str(options.method),
        host=host,
        path=joined(base_path, str(options.url)),
        body=_body(options),
        streamed=streamed,
        provider=_provider_of_client(type(client).__mro__),
        has_files=bool(getattr(options, "files", None)),
    )


def _base(url: Any) -> tuple[str, str]:
    """Host and path of a client's base URL, taken apart once: a client keeps it, and httpx is slow at it."""
    known = _bases.get(id(url))
    if known is None or known[0] is not url:
        if len(_bases) >= _BASES_KEPT:
            _bases.clear()
        host = f"{url.host}:{url.port}" if url.port else str(url.host)
        known = _bases[id(url)] = (url, (host, str(url.path)))
    return known[1]


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
