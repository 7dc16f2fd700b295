"""One made-up call per SDK, through the SDK's own client and a transport that answers without a network.

The SDKs are imported here by name only, and only when somebody asks for the proof.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import contextmanager
from types import ModuleType

from ..usage import Usage

#: What every made-up answer says it used.
USAGE = Usage(input_tokens=1_000, output_tokens=100)
#: Response ids begin with this, so that a left-over row can be told from a real one.
ID_PREFIX = "llm_cost_verify_"

_KEY = "llm-cost-verify"
_MESSAGES = [{"role": "user", "content": "ping"}]

Body = Mapping[str, object]


def call_openai(model: str, response_id: str) -> None:
    """A chat completion."""
    sdk = importlib.import_module("openai")
    body: Body = {
        "id": response_id,
        "object": "chat.completion",
        "created": 0,
        "model": model,
        "choices": [
            {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "pong"}}
        ],
        "usage": {"prompt_tokens": 1_000, "completion_tokens": 100, "total_tokens": 1_100},
    }
    client = sdk.OpenAI(
        api_key=_KEY, base_url="https://api.openai.com/v1", http_client=_offline(sdk, body), max_retries=0
    )
    with client, _quietly():
        client.chat.completions.create(model=model, messages=_MESSAGES)


def call_anthropic(model: str, response_id: str) -> None:
    """A message."""
    sdk = importlib.import_module("anthropic")
    body: Body = {
        "id": response_id,
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [{"type": "text", "text": "pong"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 1_000, "output_tokens": 100},
    }
    client = sdk.Anthropic(
        api_key=_KEY, base_url="https://api.anthropic.com", http_client=_offline(sdk, body), max_retries=0
    )
    with client, _quietly():
        client.messages.create(model=model, max_tokens=100, messages=_MESSAGES)


def call_google(model: str, response_id: str) -> None:
    """A piece of generated content."""
    sdk = importlib.import_module("google.genai")
    body: Body = {
        "responseId": response_id,
        "modelVersion": model,
        "candidates": [{"content": {"role": "model", "parts": [{"text": "pong"}]}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 1_000, "candidatesTokenCount": 100, "totalTokenCount": 1_100},
    }
    api_client = importlib.import_module("google.genai._api_client")
    http = getattr(api_client, "httpx2", None) or api_client.httpx
    with http.Client(transport=_answering(http, body), trust_env=False) as offline, _quietly():
        options = {"base_url": "https://generativelanguage.googleapis.com", "httpx_client": offline}
        client = sdk.Client(api_key=_KEY, vertexai=False, http_options=options)
        client.models.generate_content(model=model, contents="ping")


#: By the name of the SDK, which is the name of the provider too.
CALLS: Mapping[str, Callable[[str, str], None]] = {
    "openai": call_openai,
    "anthropic": call_anthropic,
    "google": call_google,
}


def _offline(sdk: ModuleType, body: Body) -> object:
    """An HTTP client of the package that the SDK's own clients are built on, answering every request."""
    http = importlib.import_module(_http_package(sdk))
    client: object = sdk.DefaultHttpxClient(transport=_answering(http, body), trust_env=False)
    return client


def _answering(http: ModuleType, body: Body) -> object:
    transport: object = http.MockTransport(lambda request: http.Response(200, json=body))
    return transport


@contextmanager
def _quietly() -> Iterator[None]:
    """Without an SDK's warning that the model will be retired: it is not the host's choice."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def _http_package(sdk: ModuleType) -> str:
    """``httpx2`` or ``httpx``: where the base class of the SDK's default HTTP client comes from."""
    packages = (base.__module__.partition(".")[0] for base in sdk.DefaultHttpxClient.__mro__)
    return str(next(package for package in packages if package != sdk.__name__))
