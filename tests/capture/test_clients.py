"""Clients of the SDKs for other clouds, over other HTTP packages, copied, and instrumented by others."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

import anthropic
import httpx
import openai
import pytest

from tests.capture.conftest import TrackedApp
from tests.capture.conftest import http_of
from tests.loopback import LoopbackProvider
from tests.wire_formats import chat_completion
from tests.wire_formats import chat_stream
from tests.wire_formats import message
from tests.wire_formats import message_stream
from tests.wire_formats import response_object

ASK: Any = [{"role": "user", "content": "Is the quay open?"}]


class Cloud:
    """Answers every request as the provider in question would, and keeps its URL."""

    def __init__(self, http: Any) -> None:
        self._http = http
        self.urls: list[str] = []
        self.client = http.Client(transport=http.MockTransport(self._answer))

    def _answer(self, request: Any) -> Any:
        self.urls.append(str(request.url))
        body = json.loads(request.content)
        streamed = bool(body.get("stream")) or "stream" in request.url.path.lower()
        found: Any
        if "chat/completions" in request.url.path:
            found = chat_stream("gpt-quay") if streamed else chat_completion("gpt-quay")
        elif "responses" in request.url.path:
            found = response_object("gpt-quay")
        else:
            found = message_stream("claude-pier") if streamed else message("claude-pier")
        if isinstance(found, Mapping):
            return self._http.Response(200, json=found)
        return self._http.Response(
            200, headers={"content-type": "text/event-stream"}, content=b"".join(found)
        )


def chat(client: Any, **more: Any) -> Any:
    return client.chat.completions.create(model="our-model", messages=ASK, **more)


def respond(client: Any) -> Any:
    return client.responses.create(model="our-model", input="Is the quay open?")


def messages(client: Any, **more: Any) -> Any:
    return client.messages.create(model="our-model", max_tokens=9, messages=ASK, **more)


def streamed_messages(client: Any) -> object:
    return list(messages(client, stream=True))


def beta_messages(client: Any) -> object:
    return messages(client.beta)


def bedrock_openai(**keywords: Any) -> Any:
    return pytest.importorskip("openai.lib.bedrock").BedrockOpenAI(aws_region="eu-west-1", **keywords)


def bedrock_provider(api_key: str, **keywords: Any) -> Any:
    bedrock = pytest.importorskip("openai.providers.bedrock").bedrock
    return openai.OpenAI(provider=bedrock(region="eu-west-1", api_key=api_key), **keywords)


def azure(**keywords: Any) -> Any:
    return openai.AzureOpenAI(
        azure_endpoint="https://quay.openai.azure.com", api_version="2025-03-01-preview", **keywords
    )


def vertex(api_key: str, **keywords: Any) -> Any:
    return anthropic.AnthropicVertex(region="eu", project_id="pier", access_token=api_key, **keywords)


def of_anthropic(name: str, **given: Any) -> Callable[..., Any]:
    def make(**keywords: Any) -> Any:
        if not hasattr(anthropic, name):
            pytest.skip(f"this anthropic has no {name} yet")
        try:
            return getattr(anthropic, name)(**given, **keywords)
        except TypeError:
            pytest.skip(f"{name} takes no API key yet")

    return make


def of_openai(base_url: str) -> Callable[..., Any]:
    return lambda **keywords: openai.OpenAI(base_url=base_url, **keywords)


#: How the client is made, what it is asked, who bills it, and where the request goes.
CLOUDS: dict[str, tuple[Callable[..., Any], Callable[[Any], object], str, str]] = {
    "azure": (azure, chat, "azure", "quay.openai.azure.com/openai/deployments/our-model/chat/completions"),
    "azure, its deployment": (
        lambda **keywords: azure(azure_deployment="our-model", **keywords),
        chat,
        "azure",
        "/openai/deployments/our-model/chat/completions",
    ),
    "azure, responses": (azure, respond, "azure", "quay.openai.azure.com/openai/responses"),
    "azure, by its v1 URL": (
        of_openai("https://quay.openai.azure.com/openai/v1/"),
        chat,
        "azure",
        "/openai/v1/chat/completions",
    ),
    "azure, by the v1 URL of a project": (
        of_openai("https://quay.services.ai.azure.com/openai/v1/"),
        respond,
        "azure",
        "/openai/v1/responses",
    ),
    "openai on bedrock": (bedrock_openai, chat, "bedrock", "eu-west-1.api.aws/openai/v1/chat/completions"),
    "openai with bedrock as its provider": (bedrock_provider, respond, "bedrock", "/openai/v1/responses"),
    "vertex": (vertex, messages, "vertex", "/publishers/anthropic/models/our-model:rawPredict"),
    "vertex, beta": (vertex, beta_messages, "vertex", "models/our-model:rawPredict"),
    "vertex, streamed": (vertex, streamed_messages, "vertex", "models/our-model:streamRawPredict"),
    "foundry": (
        of_anthropic("AnthropicFoundry", resource="quay"),
        messages,
        "azure",
        "quay.services.ai.azure.com/anthropic/v1/messages",
    ),
    "bedrock": (
        of_anthropic("AnthropicBedrock", aws_region="eu-west-1"),
        messages,
        "bedrock",
        "bedrock-runtime.eu-west-1.amazonaws.com/model/our-model/invoke",
    ),
    "bedrock's own messages": (
        of_anthropic("AnthropicBedrockMantle", aws_region="eu-west-1"),
        messages,
        "bedrock",
        "bedrock-mantle.eu-west-1.api.aws/anthropic/v1/messages",
    ),
    "anthropic on AWS": (
        of_anthropic("AnthropicAWS", aws_region="eu-west-1", workspace_id="quay"),
        messages,
        "anthropic",
        "/v1/messages",
    ),
}


@pytest.mark.parametrize("cloud", CLOUDS)
def test_a_call_through_a_cloud_is_that_clouds(app: TrackedApp, cloud: str) -> None:
    make, ask, provider, url = CLOUDS[cloud]
    behind = Cloud(http_of(openai if ask in (chat, respond) else anthropic))
    with make(api_key="loopback", http_client=behind.client) as client:
        ask(client)
    assert url in behind.urls[0]
    event = app.event
    assert (event.provider, event.requested_model) == (provider, "our-model")
    # What Bedrock calls a model decides its price, and the answers do not say it.
    assert event.model in (("our-model",) if provider == "bedrock" else ("gpt-quay", "claude-pier"))
    assert (event.input_tokens, event.output_tokens, event.status) == (100, 48, "ok")
    assert event.stream is ("streamed" in cloud)


def test_counting_tokens_on_a_cloud_is_free(app: TrackedApp) -> None:
    behind = Cloud(http_of(anthropic))
    with vertex(api_key="loopback", http_client=behind.client) as client:
        client.messages.count_tokens(model="our-model", messages=ASK)
    assert "count-tokens:rawPredict" in behind.urls[0]
    assert app.events == []


def test_a_client_over_the_former_http_package_is_recorded(app: TrackedApp) -> None:
    behind = Cloud(httpx)
    with openai.OpenAI(api_key="loopback", http_client=behind.client) as client:
        chat(client)
        list(chat(client, stream=True, stream_options={"include_usage": True}))
    assert [(event.stream, event.input_tokens) for event in app.events] == [(False, 100), (True, 100)]


@pytest.mark.parametrize(
    "copied",
    [copy.copy, lambda client: client.copy(), lambda client: client.with_options(max_retries=0)],
    ids=["copy.copy", "copy", "with_options"],
)
def test_a_copied_client_is_recorded_once(
    app: TrackedApp, openai_client: openai.OpenAI, copied: Callable[[Any], Any]
) -> None:
    chat(copied(openai_client))
    assert app.event.input_tokens == 100


def test_an_answer_can_be_pickled_and_copied(
    app: TrackedApp, openai_client: openai.OpenAI, provider: LoopbackProvider
) -> None:
    raw = openai_client.chat.completions.with_raw_response.create(
        model="our-model", messages=ASK, stream=True
    )
    list(raw.parse())
    response = raw.http_response
    assert pickle.loads(pickle.dumps(response)).status_code == 200
    answer = chat(openai_client)
    assert pickle.loads(pickle.dumps(answer)) == copy.deepcopy(answer) == answer
    assert len(app.events) == 2
