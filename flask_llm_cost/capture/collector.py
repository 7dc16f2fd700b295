"""``track_stream``: a stream that the host reads itself, fed to the same readers as the SDKs' streams."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from types import TracebackType
from typing import Any
from typing import Self
from typing import Unpack

from ..events import Event
from ..events import Observation
from ..events import OpenCall
from ..events import Operation
from ..events import Status
from ..providers import Route
from ..providers import StreamReader
from ..runtime import Runtime
from ..usage import Usage
from .manual import STOPPING
from .manual import USAGE_KEYWORDS
from .manual import CallDetails
from .manual import ToldCall
from .manual import check_keywords
from .manual import enabled_runtime
from .manual import read_usage
from .mute import ours

_PROTOCOLS: dict[Operation, str] = {
    "chat": "openai_chat",
    "completions": "openai_completions",
    "responses": "openai_responses",
    "messages": "anthropic_messages",
    "generate_content": "gemini_generate",
}
#: Words that only the events of one format hold.
_MARKS: tuple[tuple[bytes, Operation], ...] = (
    (b"message_start", "messages"),
    (b"content_block_", "messages"),
    (b'"response.', "responses"),
    (b"text_completion", "completions"),
    (b'"candidates"', "generate_content"),
)
#: Words that only the first events of Bedrock's ConverseStream hold, as boto3 hands them out.
_CONVERSE_MARKS = (b'"messageStart"', b'"contentBlockDelta"')


def track_stream(
    *, provider: str, model: str, runtime: Runtime | None = None, **call: Unpack[CallDetails]
) -> StreamCollector:
    """Record a stream that no SDK tap sees: ``with track_stream(provider=..., model=...) as stream: ...``.

    Give the provider's events to :meth:`StreamCollector.event`, or what was used to
    :meth:`StreamCollector.usage`. The call is recorded once, when the block ends or at
    :meth:`StreamCollector.finish`; an exception in the block makes its status ``error`` and is raised on.

    :param operation: names the events' format (``chat``, ``responses``, ``messages``, ``completions``); told
        from the first event where it is not given.
    :param enforce_budget: raise at once if a limit is reached, of any budget that is not only to notify, and
        when the call is recorded. May wait for the database: not in an event loop.
    :raises TypeError: a keyword is unknown. :raises ValueError: a value cannot be true.
    :raises BudgetExceededError: a limit is reached. :raises BudgetUnavailableError: as a budget says.
    """
    told = ToldCall.read("track_stream", provider, model, {"stream": True, **call})
    return StreamCollector(told, enabled_runtime(runtime))


class StreamCollector:
    """Gathers what a stream tells. Where tracking is off it takes everything and records nothing."""

    def __init__(self, told: ToldCall, runtime: Runtime | None) -> None:
        #: The response's id; the events' own counts unless you set this.
        self.provider_response_id = told.observation.provider_response_id
        self._model: str | None = None
        self._told = told
        self._runtime = runtime
        self._usage: Usage | None = told.observation.usage
        self._reader: StreamReader | None = None
        self._operation = told.start.operation
        self._first_token_ms: int | None = None
        self._finished = False
        self._opened: OpenCall | None = None
        if runtime is not None:
            with ours(runtime.counters, "track_stream() could not begin"):
                opened = told.begin(runtime)
                if told.enforces_budget and runtime.budgets is not None:
                    runtime.budgets.enforce(opened)
                self._opened = opened

    @property
    def model(self) -> str:
        """The model that was asked; set it to the one that answered, where the events do not tell."""
        return self._model or str(self._told.observation.model)

    @model.setter
    def model(self, name: str) -> None:
        self._model = name

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.finish()
        else:
            status: Status = "error" if isinstance(error, Exception) else "aborted"
            self._finish(
                status=status, error_type=type(error).__name__, abandoned=isinstance(error, GeneratorExit)
            )

    def event(self, payload: Mapping[str, Any] | bytes | str) -> None:
        """Take one event of the provider's stream: its JSON object, parsed or as text, or raw SSE lines.

        :raises TypeError: it is something else.
        """
        if not isinstance(payload, Mapping | bytes | str):
            raise TypeError(f"an event is a mapping, bytes or str, got {type(payload).__name__}")
        if self._runtime is None or self._finished:
            return
        with ours(self._runtime.counters, "An event could not be read"):
            lines = _sse(payload)
            reader = self._reader_for(lines)
            reader.feed(lines)
            if reader.saw_output and self._first_token_ms is None:
                self._first_token_ms = self._elapsed_ms()

    def usage(self, usage: Usage | None = None, /, **counts: Any) -> None:
        """Tell what was used, whole or by the names of :class:`~flask_llm_cost.Usage`'s fields. The last word
        counts, and more than the events'.

        :raises TypeError: a name is unknown. :raises ValueError: a count cannot be true.
        """
        check_keywords("usage", counts, USAGE_KEYWORDS[1:])
        self._usage = read_usage({"usage": usage, **counts})

    def finish(self) -> Event | None:
        """Record the call now; only the first time. ``None`` where nothing was recorded.

        :raises LLMCostError: the host opted into an exception.
        """
        return self._finish()

    def _finish(
        self, *, status: Status | None = None, error_type: str | None = None, abandoned: bool = False
    ) -> Event | None:
        if self._finished or self._runtime is None or self._opened is None:
            return None
        self._finished = True
        recorder = self._runtime.recorder
        with ours(
            self._runtime.counters, "track_stream() could not record a call", silent=status is not None
        ):
            observation = self._observation()
            if status is not None:
                observation = replace(observation, status=status, error_type=error_type)
            start = self._opened.start._replace(operation=self._operation)
            opened = self._opened._replace(start=start)
            event = recorder.finish(opened, observation, cost=self._told.cost, details=self._told.details)
            recorder.record(event, from_finalizer=abandoned)
            if self._told.enforces_budget and self._runtime.budgets is not None and not abandoned:
                self._runtime.budgets.check(event, STOPPING)
            return event
        return None

    def _observation(self) -> Observation:
        said = self._told.observation
        seen = self._reader.observation() if self._reader else said
        latency_ms = self._elapsed_ms() if said.latency_ms is None else said.latency_ms
        seen = replace(
            seen,
            model=self._model or seen.model or said.model,
            provider_response_id=self.provider_response_id or seen.provider_response_id,
            latency_ms=latency_ms,
            time_to_first_token_ms=self._first_token_ms,
        )
        if self._usage is not None:
            seen = replace(seen, usage=self._usage, iterations=(), usage_source="manual", provider_fields={})
        return seen if seen.mode_told else replace(seen, pricing_mode=said.pricing_mode, mode_told=True)

    def _reader_for(self, lines: bytes) -> StreamReader:
        if self._reader is None:
            if not self._told.names_operation:
                self._operation = next((found for mark, found in _MARKS if mark in lines), self._operation)
            protocol = _PROTOCOLS.get(self._operation)
            if any(mark in lines for mark in _CONVERSE_MARKS):
                protocol = "bedrock_converse"
            self._reader = StreamReader(
                Route(
                    provider=self._told.start.provider,
                    operation=self._operation,
                    protocol=protocol,
                    billing="usage",
                )
            )
        return self._reader

    def _elapsed_ms(self) -> int:
        return (time.monotonic_ns() - self._opened.started_ns) // 1_000_000 if self._opened else 0


def _sse(payload: Mapping[str, Any] | bytes | str) -> bytes:
    """An event as the lines that a provider sends."""
    if isinstance(payload, Mapping):
        payload = json.dumps(payload, default=str)
    raw = payload.encode() if isinstance(payload, str) else payload
    if raw.lstrip().startswith((b"data:", b"event:", b"id:", b"retry:", b":")):
        return raw
    return b"".join(b"data: %s\n" % line for line in raw.splitlines()) + b"\n"
