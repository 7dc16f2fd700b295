"""The calls to google-genai that several tests make."""

from __future__ import annotations

from typing import Any

import pytest
from google.genai import types

from tests.capture.conftest import TrackedApp

MODEL = "gemini-jetty"
ASK = "Is the jetty open?"
#: google-genai inherits from aiohttp's session, which aiohttp would rather not have.
quiet_aiohttp = pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")


def options(url: str, **changes: Any) -> types.HttpOptions:
    return types.HttpOptions(**{"base_url": url, "timeout": 5_000, **changes})


def generate(client: Any) -> Any:
    return client.models.generate_content(model=MODEL, contents=ASK)


def streamed(client: Any) -> Any:
    return client.models.generate_content_stream(model=MODEL, contents=ASK)


async def read_all(client: Any) -> list[Any]:
    return [chunk async for chunk in await streamed(client)]


def assert_aborted(app: TrackedApp) -> None:
    event = app.event
    assert (event.status, event.cost_status, event.total_cost) == ("aborted", "unknown", None)
    assert (event.input_tokens, event.output_tokens, event.http_status) == (None, None, 200)
    assert event.stream
