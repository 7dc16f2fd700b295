"""Gateways before the providers: what the how-to guide says to configure, and whose calls they are then."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import anthropic
import httpx
import openai
import pytest
import requests
from google import genai

from tests.capture.conftest import MakeApp
from tests.capture.conftest import TrackedApp
from tests.loopback import LoopbackProvider
from tests.wire_formats import chat_completion

ASK: Any = [{"role": "user", "content": "Is the quay open?"}]


def ask_openai(url: str, model: str = "gpt-5-mini") -> None:
    with openai.OpenAI(api_key="loopback", base_url=url) as client:
        client.chat.completions.create(model=model, messages=ASK)


def ask_anthropic(url: str) -> None:
    with anthropic.Anthropic(api_key="loopback", base_url=url) as client:
        client.messages.create(model="claude-haiku-4-5", max_tokens=9, messages=ASK)


def ask_google(url: str) -> None:
    with genai.Client(api_key="loopback", http_options={"base_url": url}) as client:
        client.models.generate_content(model="gemini-2.5-flash", contents="Is the quay open?")


def post_chat(url: str) -> None:
    requests.post(f"{url}/chat/completions", json={"model": "gpt-5-mini", "messages": ASK}, timeout=5)


def post_messages(url: str) -> None:
    with httpx.Client(verify=False) as client:
        client.post(
            f"{url}/v1/messages", json={"model": "claude-haiku-4-5", "max_tokens": 9, "messages": ASK}
        )


def litellm_proxy(make_app: MakeApp, provider: LoopbackProvider) -> TrackedApp:
    host = f"127.0.0.1:{provider.port}"
    hosts = {host: "openai", f"{host}/anthropic": "anthropic", f"{host}/gemini": "google"}
    config = {"LLM_COST_PROVIDER_HOSTS": hosts, "LLM_COST_INSTRUMENT": ["auto", "http"]}
    return make_app(config=config)


@pytest.mark.parametrize(
    ("ask", "path", "whose"),
    [
        (ask_openai, "/v1", "openai"),
        (ask_anthropic, "/anthropic", "anthropic"),
        (ask_google, "/gemini", "google"),
        (post_chat, "/v1", "openai"),
        (post_messages, "/anthropic", "anthropic"),
    ],
)
def test_a_litellm_proxy_tells_its_providers_apart_by_path(
    make_app: MakeApp, provider: LoopbackProvider, ask: Callable[[str], None], path: str, whose: str
) -> None:
    app = litellm_proxy(make_app, provider)
    ask(f"{provider.url}{path}")
    assert provider.requests[0].path.startswith(path)
    assert (app.event.provider, app.event.output_tokens, app.event.cost_status) == (whose, 48, "complete")


def test_without_a_word_about_its_host_a_gateway_is_the_sdks_provider(
    make_app: MakeApp, provider: LoopbackProvider
) -> None:
    app = make_app(config={"LLM_COST_INSTRUMENT": ["auto", "http"]})
    ask_openai(f"{provider.url}/v1")
    ask_anthropic(provider.url)
    post_chat(f"{provider.url}/v1")
    assert [event.provider for event in app.events] == ["openai", "anthropic"]


def test_an_alias_of_a_gateway_has_the_price_that_it_is_given(
    make_app: MakeApp, provider: LoopbackProvider
) -> None:
    price = {"input": "1", "cache_read_input": "0.1", "output": "10"}
    hosts = {f"127.0.0.1:{provider.port}": "litellm"}
    overrides = {"litellm/team-chat": price}
    app = make_app(config={"LLM_COST_PROVIDER_HOSTS": hosts, "LLM_COST_PRICING_OVERRIDES": overrides})
    provider.answer(chat_completion("team-chat"))
    ask_openai(f"{provider.url}/v1", "team-chat")
    assert (app.event.provider, app.event.model) == ("litellm", "team-chat")
    # 100 fresh at 1, 20 cached at 0.1 and 48 out at 10 USD per million
    assert app.event.total_cost == Decimal("0.000582")


CLOUDFLARE = "http://gateway.ai.cloudflare.com/v1/0a1b/harbour"


@pytest.mark.parametrize(
    ("path", "whose", "cost_status"),
    [
        ("/openai/chat/completions", "openai", "complete"),
        ("/compat/chat/completions", "cloudflare", "complete"),
    ],
)
def test_cloudflares_gateway_is_known_and_its_common_address_needs_prices(
    make_app: MakeApp, provider: LoopbackProvider, path: str, whose: str, cost_status: str
) -> None:
    price = {"input": "1", "cache_read_input": "0.1", "output": "10"}
    overrides = {"cloudflare/openai/gpt-5-mini": price}
    app = make_app(config={"LLM_COST_INSTRUMENT": ["http"], "LLM_COST_PRICING_OVERRIDES": overrides})
    model = "openai/gpt-5-mini" if whose == "cloudflare" else "gpt-5-mini"
    provider.answer(chat_completion(model))
    with httpx.Client(proxy=provider.url, verify=False) as client:
        client.post(f"{CLOUDFLARE}{path}", json={"model": model, "messages": ASK})
    assert (app.event.provider, app.event.model, app.event.cost_status) == (whose, model, cost_status)


@pytest.mark.parametrize(
    ("url", "post", "whose"),
    [
        ("http://oai.helicone.ai/v1/chat/completions", "chat", "openai"),
        ("http://anthropic.helicone.ai/v1/messages", "messages", "anthropic"),
        ("http://harbour-apim.azure-api.net/openai/deployments/mini/chat/completions", "chat", "azure"),
    ],
)
def test_gateways_with_a_host_per_provider(
    make_app: MakeApp, provider: LoopbackProvider, url: str, post: str, whose: str
) -> None:
    hosts = {"harbour-apim.azure-api.net": "azure"}
    app = make_app(config={"LLM_COST_INSTRUMENT": ["http"], "LLM_COST_PROVIDER_HOSTS": hosts})
    body = {"model": "gpt-5-mini" if post == "chat" else "claude-haiku-4-5", "messages": ASK}
    requests.post(url, json=body, proxies={"http": provider.url}, timeout=5)
    assert (app.event.provider, app.event.cost_status) == (whose, "complete")
