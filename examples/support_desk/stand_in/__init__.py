"""A stand-in for OpenAI and Anthropic on 127.0.0.1, so that the example runs offline and costs nothing.

It speaks the providers' wire formats (OpenAI chat completions, responses and embeddings; Anthropic messages;
plain and streamed) with made-up answers, all labelled as such, and usage that resembles the real thing. The
SDKs in front of it are the real ones. Nothing of this belongs into an app of your own.
"""

from __future__ import annotations

from .server import start

__all__ = ["start"]
