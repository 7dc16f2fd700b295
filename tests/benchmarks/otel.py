"""OpenTelemetry's instrumentation of the OpenAI SDK, where ``make bench`` could install it."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any


@contextmanager
def opentelemetry() -> Iterator[Callable[[], None]]:
    """Instrument the SDK: spans go to a batch processor and an exporter in memory, nothing of a conversation
    is captured. What it gives has the spans exported, and forgets them.

    :raises ImportError: it is not installed.
    """
    sdk: Any = import_module("opentelemetry.sdk.trace")
    export: Any = import_module("opentelemetry.sdk.trace.export")
    in_memory: Any = import_module("opentelemetry.sdk.trace.export.in_memory_span_exporter")
    instrumentation: Any = import_module("opentelemetry.instrumentation.openai_v2")
    exporter = in_memory.InMemorySpanExporter()
    provider = sdk.TracerProvider()
    provider.add_span_processor(export.BatchSpanProcessor(exporter))
    instrumentation.OpenAIInstrumentor().instrument(tracer_provider=provider)

    def settle() -> None:
        provider.force_flush()
        exporter.clear()

    yield settle
