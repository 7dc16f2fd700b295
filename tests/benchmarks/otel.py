"""OpenTelemetry's instrumentation of the OpenAI SDK, where ``make bench`` could install it."""

from __future__ import annotations

from importlib import import_module
from typing import Any


class Instrumented:
    """Spans go to a batch processor and an exporter in memory; nothing of a conversation is captured."""

    name = "otel"

    def __init__(self) -> None:
        sdk: Any = import_module("opentelemetry.sdk.trace")
        export: Any = import_module("opentelemetry.sdk.trace.export")
        in_memory: Any = import_module("opentelemetry.sdk.trace.export.in_memory_span_exporter")
        instrumentation: Any = import_module("opentelemetry.instrumentation.openai_v2")
        self._exporter = in_memory.InMemorySpanExporter()
        self._provider = sdk.TracerProvider()
        self._provider.add_span_processor(export.BatchSpanProcessor(self._exporter))
        self._instrumentor = instrumentation.OpenAIInstrumentor()
        self.begin()
        self.end()

    def begin(self) -> None:
        self._instrumentor.instrument(tracer_provider=self._provider)

    def end(self) -> None:
        self._instrumentor.uninstrument()
        self._provider.force_flush()
        self._exporter.clear()


def opentelemetry() -> list[Instrumented]:
    """The yardstick, or nothing and a word why."""
    try:
        return [Instrumented()]
    except Exception as error:
        print(f"No yardstick: OpenTelemetry's openai-v2 instrumentation cannot be used ({error!r}).\n")
        return []
