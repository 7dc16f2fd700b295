"""Made-up calls: through each SDK's own client, or a plain HTTP client, and a transport that answers without
a network.

SDKs and HTTP packages are imported here by name only, and only when somebody asks for the proof.
"""

from __future__ import annotations

import functools
import importlib
import json
import warnings
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from ..runtime import Runtime
from ..usage import Usage
from .requests_adapter import requests_adapter
from .transport import http_transport

#: What every made-up answer says it used.
USAGE = Usage(input_tokens=1_000, output_tokens=100)
#: Response ids begin with this, so that a left-over row can be told from a real one.
ID_PREFIX = "llm_cost_verify_"

_KEY = "llm-cost-verify"
_CHAT_URL = "https://api.openai.com/v1/chat/completions"
_MESSAGES = [{"role": "user", "content": "ping"}]

#: Takes the names of a model and of the answer's id.
MadeUpCall = Callable[[str, str], None]
Body = Mapping[str, object]


def call_openai(model: str, response_id: str) -> None:
    """A chat completion."""
    sdk = importlib.import_module("openai")
    _chat(sdk, sdk.OpenAI, "https://api.openai.com/v1", model, response_id)


def call_groq(model: str, response_id: str) -> None:
    """A chat completion."""
    sdk = importlib.import_module("groq")
    _chat(sdk, sdk.Groq, "https://api.groq.com", model, response_id)


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


def _chat(
    sdk: ModuleType, client_class: Callable[..., Any], base_url: str, model: str, response_id: str
) -> None:
    offline = _offline(sdk, _completion(model, response_id))
    client = client_class(api_key=_KEY, base_url=base_url, http_client=offline, max_retries=0)
    with client, _quietly():
        client.chat.completions.create(model=model, messages=_MESSAGES)


def _completion(model: str, response_id: str) -> Body:
    return {
        "id": response_id,
        "object": "chat.completion",
        "created": 0,
        "model": model,
        "choices": [
            {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "pong"}}
        ],
        "usage": {"prompt_tokens": 1_000, "completion_tokens": 100, "total_tokens": 1_100},
    }


def transport_calls(runtime: Runtime) -> Iterator[tuple[str, MadeUpCall]]:
    """A chat completion over a transport, or an adapter, of ours around one that answers without a network,
    for each HTTP package that is installed.
    """
    for package in ("httpx", "httpx2"):
        if find_spec(package) is not None:
            yield f"http_transport() of {package}", functools.partial(_call_transport, runtime, package)
    if find_spec("requests") is not None:
        yield "requests_adapter()", functools.partial(_call_adapter, runtime)


def _call_transport(runtime: Runtime, package: str, model: str, response_id: str) -> None:
    http = importlib.import_module(package)
    inner = _answering(http, _completion(model, response_id))
    with http.Client(transport=http_transport(lambda: runtime, inner, None), trust_env=False) as client:
        client.post(_CHAT_URL, json={"model": model, "messages": _MESSAGES})


def _call_adapter(runtime: Runtime, model: str, response_id: str) -> None:
    requests = importlib.import_module("requests")

    class Offline(requests.adapters.BaseAdapter):  # type: ignore[misc, name-defined]
        def send(self, request: Any, **_: Any) -> Any:
            answer = requests.Response()
            answer.status_code, answer.request, answer.url = 200, request, request.url
            answer.headers["content-type"] = "application/json"
            answer._content = json.dumps(_completion(model, response_id)).encode()
            return answer

        def close(self) -> None: ...

    with requests.Session() as session:
        session.trust_env = False
        session.mount("https://", requests_adapter(lambda: runtime, Offline(), None))
        session.post(_CHAT_URL, json={"model": model, "messages": _MESSAGES})


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
