"""A stand-in for OpenAI and Anthropic on 127.0.0.1, so that the examples run offline and cost nothing.

It speaks the providers' wire formats (OpenAI chat completions, responses and embeddings; Anthropic messages;
plain and streamed) with made-up answers, all labelled as such, and usage that resembles the real thing. The
SDKs in front of it are the real ones. Nothing of this belongs into an app of your own.
"""

from __future__ import annotations

import os

from .server import start

__all__ = ["answer_where_no_key_is", "start"]


def answer_where_no_key_is() -> None:
    """Let the SDKs ask the stand-in instead of each provider that the environment has no key for."""
    for provider, path in (("OPENAI", "/v1"), ("ANTHROPIC", "")):
        if not os.environ.get(f"{provider}_API_KEY"):
            os.environ[f"{provider}_API_KEY"] = "stand-in"
            os.environ[f"{provider}_BASE_URL"] = f"{start()}{path}"
