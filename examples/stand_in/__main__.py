"""``python -m stand_in`` answers until it is stopped, and says what to export for the SDKs to ask it."""

from __future__ import annotations

from contextlib import suppress
from threading import Event

from .server import start

address = start()
print(f"export OPENAI_API_KEY=stand-in OPENAI_BASE_URL={address}/v1")
print(f"export ANTHROPIC_API_KEY=stand-in ANTHROPIC_BASE_URL={address}", flush=True)
with suppress(KeyboardInterrupt):
    Event().wait()
