"""Which provider a host name belongs to."""

from __future__ import annotations

import pytest

from flask_llm_cost.providers import find_route
from flask_llm_cost.providers import provider_of_host


@pytest.mark.parametrize(
    ("host", "provider"),
    [
        ("api.openai.com", "openai"),
        ("eu.api.openai.com", "openai"),
        ("API.OpenAI.com:443", "openai"),
        ("api.openai.com.", "openai"),
        ("harbour.openai.azure.com", "azure"),
        ("harbour.services.ai.azure.com", "azure"),
        ("api.anthropic.com", "anthropic"),
        ("openrouter.ai", "openrouter"),
        ("api.groq.com", "groq"),
        ("us-east-1.api.x.ai", "xai"),
        ("bedrock-runtime.eu-west-1.amazonaws.com", "bedrock"),
        ("bedrock-mantle.us-east-1.api.aws", "bedrock"),
        ("europe-west4-aiplatform.googleapis.com", "vertex"),
        ("aiplatform.googleapis.com", "vertex"),
        ("aiplatform.eu.rep.googleapis.com", "vertex"),
        ("us-central1-aiplatform.mtls.googleapis.com", "vertex"),
        ("generativelanguage.googleapis.com", "google"),
        ("generativelanguage.mtls.googleapis.com", "google"),
        ("storage.googleapis.com", None),
        ("aiplatform.googleapis.com.evil.example", None),
        ("localhost:8080", None),
        ("[::1]:8080", None),
        ("", None),
        ("api.openai.com.evil.example", None),
        ("notapi.openai.com", None),
        ("s3.amazonaws.com", None),
    ],
)
def test_a_host_belongs_to_a_provider(host: str, provider: str | None) -> None:
    assert provider_of_host(host, {}) == provider


def test_the_app_names_its_own_hosts_with_or_without_a_port() -> None:
    hosts = {"Gateway.Example": "openai", "localhost:9000": "mistral", "proxy.openai.azure.com": "openai"}

    assert provider_of_host("gateway.example:8443", hosts) == "openai"
    assert provider_of_host("eu.gateway.example", hosts) == "openai"
    assert provider_of_host("localhost:9000", hosts) == "mistral"
    assert provider_of_host("localhost:9001", hosts) is None
    assert provider_of_host("proxy.openai.azure.com", hosts) == "openai"


@pytest.mark.parametrize(
    ("host", "regional"),
    [
        ("api.openai.com", False),
        ("eu.api.openai.com", True),
        ("US.api.openai.com:443", True),
        ("evil-eu.api.openai.com", False),
        ("aiplatform.googleapis.com", False),
        ("us-east5-aiplatform.googleapis.com", True),
        ("europe-west4-aiplatform.mtls.googleapis.com", True),
        ("aiplatform.eu.rep.googleapis.com", True),
        ("api.anthropic.com", False),
        ("generativelanguage.googleapis.com", False),
    ],
)
def test_a_host_may_bind_its_calls_to_a_region(host: str, regional: bool) -> None:
    assert find_route("POST", host, "/v1/chat/completions").regional is regional
