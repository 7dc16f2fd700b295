"""What an SDK is about to send, in the words of the route table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
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
    base = client.base_url
    return Asked(
        method=str(options.method),
        host=f"{base.host}:{base.port}" if base.port else str(base.host),
        path=joined(base.path, str(options.url)),
        body=_body(options),
        streamed=streamed,
        provider=_provider_of_client(type(client).__mro__),
        has_files=bool(getattr(options, "files", None)),
    )


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
