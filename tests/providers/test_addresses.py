"""The addresses that providers and gateways document: whose they are, what is asked there, of which model."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from flask_llm_cost.providers import Route
from flask_llm_cost.providers import find_route

VERTEX = "https://europe-west1-aiplatform.googleapis.com/v1/projects/quay/locations/europe-west1/publishers"
CLOUDFLARE = "https://gateway.ai.cloudflare.com/v1/0a1b/harbour"

CHAT, RESPONSES, MESSAGES = "openai_chat", "openai_responses", "anthropic_messages"
EMBEDDINGS, GEMINI = "openai_embeddings", "gemini_generate"


def route_of(url: str, **hosts: dict[str, str]) -> Route:
    parts = urlsplit(url)
    return find_route("POST", parts.netloc, f"{parts.path}?{parts.query}", **hosts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("url", "provider", "protocol"),
    [
        ("https://api.openai.com/v1/chat/completions", "openai", CHAT),
        ("https://api.openai.com/v1/responses", "openai", RESPONSES),
        ("https://eu.api.openai.com/v1/responses", "openai", RESPONSES),
        ("https://us.api.openai.com/v1/embeddings", "openai", EMBEDDINGS),
        ("https://api.anthropic.com/v1/messages", "anthropic", MESSAGES),
        ("https://harbour.openai.azure.com/openai/v1/responses", "azure", RESPONSES),
        ("https://harbour.openai.azure.com/openai/v1/chat/completions?api-version=preview", "azure", CHAT),
        ("https://harbour.services.ai.azure.com/openai/v1/chat/completions", "azure", CHAT),
        ("https://harbour.services.ai.azure.com/models/chat/completions?api-version=1", "azure", CHAT),
        ("https://harbour.services.ai.azure.com/anthropic/v1/messages", "azure", MESSAGES),
        ("https://harbour.cognitiveservices.azure.com/openai/v1/embeddings", "azure", EMBEDDINGS),
        ("https://harbour.openai.azure.us/openai/v1/chat/completions", "azure", CHAT),
        (f"{VERTEX.partition('/publishers')[0]}/endpoints/openapi/chat/completions", "vertex", CHAT),
        ("https://openrouter.ai/api/v1/chat/completions", "openrouter", CHAT),
        ("https://openrouter.ai/api/v1/messages", "openrouter", MESSAGES),
        ("https://api.groq.com/openai/v1/chat/completions", "groq", CHAT),
        ("https://api.groq.com/openai/v1/responses", "groq", RESPONSES),
        ("https://api.deepseek.com/chat/completions", "deepseek", CHAT),
        ("https://api.deepseek.com/anthropic/v1/messages", "deepseek", MESSAGES),
        ("https://api.mistral.ai/v1/chat/completions", "mistral", CHAT),
        ("https://codestral.mistral.ai/v1/fim/completions", "mistral", CHAT),
        ("https://api.x.ai/v1/chat/completions", "xai", CHAT),
        ("https://us-east-1.api.x.ai/v1/responses", "xai", RESPONSES),
        ("https://api.together.xyz/v1/chat/completions", "together", CHAT),
        ("https://api.fireworks.ai/inference/v1/chat/completions", "fireworks", CHAT),
        ("https://api.perplexity.ai/chat/completions", "perplexity", CHAT),
        ("https://api.cohere.ai/compatibility/v1/chat/completions", "cohere", CHAT),
        ("https://api.voyageai.com/v1/embeddings", "voyage", EMBEDDINGS),
        ("https://api.moonshot.ai/v1/chat/completions", "moonshot", CHAT),
        ("https://api.moonshot.ai/anthropic/v1/messages", "moonshot", MESSAGES),
        ("https://api.z.ai/api/paas/v4/chat/completions", "zai", CHAT),
        ("https://api.z.ai/api/anthropic/v1/messages", "zai", MESSAGES),
        ("https://api.minimax.io/v1/chat/completions", "minimax", CHAT),
        ("https://api.minimax.io/anthropic/v1/messages", "minimax", MESSAGES),
        ("https://api.cerebras.ai/v1/chat/completions", "cerebras", CHAT),
        ("https://router.huggingface.co/v1/chat/completions", "huggingface", CHAT),
        ("https://router.huggingface.co/together/v1/chat/completions", "huggingface", CHAT),
        ("https://api.llama.com/compat/v1/chat/completions", "meta", CHAT),
        ("https://oai.helicone.ai/v1/chat/completions", "openai", CHAT),
        ("https://anthropic.helicone.ai/v1/messages", "anthropic", MESSAGES),
        (f"{CLOUDFLARE}/openai/chat/completions", "openai", CHAT),
        (f"{CLOUDFLARE}/openai/responses", "openai", RESPONSES),
        (f"{CLOUDFLARE}/anthropic/v1/messages", "anthropic", MESSAGES),
        (f"{CLOUDFLARE}/azure-openai/quay/mini/chat/completions?api-version=1", "azure", CHAT),
        (f"{CLOUDFLARE}/openrouter/chat/completions", "openrouter", CHAT),
        (f"{CLOUDFLARE}/groq/chat/completions", "groq", CHAT),
        (f"{CLOUDFLARE}/deepseek/chat/completions", "deepseek", CHAT),
        (f"{CLOUDFLARE}/mistral/v1/chat/completions", "mistral", CHAT),
        (f"{CLOUDFLARE}/grok/v1/chat/completions", "xai", CHAT),
        (f"{CLOUDFLARE}/cerebras/chat/completions", "cerebras", CHAT),
        (f"{CLOUDFLARE}/perplexity-ai/chat/completions", "perplexity", CHAT),
        (f"{CLOUDFLARE}/compat/chat/completions", "cloudflare", CHAT),
    ],
)
def test_an_address_tells_provider_and_format(url: str, provider: str, protocol: str) -> None:
    route = route_of(url)

    assert (route.provider, route.protocol, route.billing) == (provider, protocol, "usage")


@pytest.mark.parametrize(
    ("url", "provider", "protocol", "model", "stream"),
    [
        (
            "https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-flash:generateContent?key=k",
            "google",
            GEMINI,
            "gemini-2.5-flash",
            False,
        ),
        (f"{VERTEX}/google/models/gemini-2.5-pro:generateContent", "vertex", GEMINI, "gemini-2.5-pro", False),
        (
            "https://aiplatform.googleapis.com/v1/publishers/google/models/gemini-2.5-pro:streamGenerateContent",
            "vertex",
            GEMINI,
            "gemini-2.5-pro",
            True,
        ),
        (
            f"{VERTEX}/anthropic/models/claude-sonnet-4-5@20250929:rawPredict",
            "vertex",
            MESSAGES,
            "claude-sonnet-4-5@20250929",
            False,
        ),
        (
            f"{VERTEX}/anthropic/models/claude-haiku-4-5:streamRawPredict",
            "vertex",
            MESSAGES,
            "claude-haiku-4-5",
            True,
        ),
        (
            f"{VERTEX}/mistralai/models/mistral-medium-3:rawPredict",
            "vertex",
            CHAT,
            "mistral-medium-3",
            False,
        ),
        (
            f"{CLOUDFLARE}/google-ai-studio/v1beta/models/gemini-2.5-flash:generateContent",
            "google",
            GEMINI,
            "gemini-2.5-flash",
            False,
        ),
        (
            f"{CLOUDFLARE}/google-vertex-ai/v1/projects/q/locations/l/publishers/anthropic/models/claude-x:rawPredict",
            "vertex",
            MESSAGES,
            "claude-x",
            False,
        ),
        (
            "https://harbour.openai.azure.com/openai/deployments/quay-mini/chat/completions?api-version=2024-10-21",
            "azure",
            CHAT,
            "quay-mini",
            False,
        ),
        (
            "https://harbour.cognitiveservices.azure.com/openai/deployments/quay/embeddings?api-version=1",
            "azure",
            EMBEDDINGS,
            "quay",
            False,
        ),
        (
            "https://eastus.api.cognitive.microsoft.com/openai/deployments/quay/chat/completions?api-version=1",
            "azure",
            CHAT,
            "quay",
            False,
        ),
    ],
)
def test_an_address_names_the_model(url: str, provider: str, protocol: str, model: str, stream: bool) -> None:
    route = route_of(url)

    assert (route.provider, route.protocol, route.billing) == (provider, protocol, "usage")
    assert (route.model, route.stream) == (model, stream)


@pytest.mark.parametrize(
    ("url", "billing"),
    [
        (f"{VERTEX}/anthropic/models/count-tokens:rawPredict", "free"),
        (f"{VERTEX}/ai21/models/jamba-large:rawPredict", "unknown"),
        ("https://eastus.api.cognitive.microsoft.com/vision/v3.2/analyze", "unknown"),
    ],
)
def test_an_address_without_a_format_of_ours_is_judged_by_its_answer_if_at_all(
    url: str, billing: str
) -> None:
    assert route_of(url).billing == billing


def test_only_a_part_of_a_shared_host_may_be_a_providers() -> None:
    assert route_of("https://eastus.api.cognitive.microsoft.com/vision/v3.2/analyze").provider == "unknown"


GATEWAY = {
    "llm.example.com": "openai",
    "llm.example.com/anthropic": "anthropic",
    "llm.example.com/teams/*/gemini": "google",
    "llm.example.com:8443/anthropic": "bedrock",
    "eu.llm.example.com": "mistral",
}


@pytest.mark.parametrize(
    ("url", "provider"),
    [
        ("https://llm.example.com/v1/chat/completions", "openai"),
        ("https://llm.example.com/anthropic/v1/messages", "anthropic"),
        ("https://llm.example.com/Anthropic/v1/messages", "anthropic"),
        ("https://llm.example.com/anthropical/v1/messages", "openai"),
        ("https://llm.example.com/teams/blue/gemini/v1beta/models/gemini-x:generateContent", "google"),
        ("https://llm.example.com/teams/gemini/v1/chat/completions", "openai"),
        ("https://llm.example.com:8443/anthropic/v1/messages", "bedrock"),
        ("https://us.llm.example.com/anthropic/v1/messages", "anthropic"),
        ("https://eu.llm.example.com/anthropic/v1/messages", "mistral"),
    ],
)
def test_the_app_names_the_providers_of_a_gateway_by_path(url: str, provider: str) -> None:
    assert route_of(url, provider_hosts=GATEWAY).provider == provider
