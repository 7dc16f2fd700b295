"""Responses that go on in the background: one row when the end is first seen, however often one asks."""

from __future__ import annotations

import asyncio
from datetime import UTC
from datetime import datetime
from typing import Any

import httpx
import openai
import pytest

from flask_llm_cost.context import with_tags
from tests.batch_formats import MADE
from tests.capture.conftest import MakeApp
from tests.capture.conftest import TrackedApp
from tests.loopback import LoopbackProvider
from tests.wire_formats import response_object
from tests.wire_formats import sse

ASK: Any = {"model": "gpt-4o-mini", "input": "Which tide is it?", "background": True}


def background(status: str = "completed", **changes: Any) -> dict[str, Any]:
    """A response in the background; it tells its usage when it is over."""
    under_way = {"usage": None, "output": []} if status in ("queued", "in_progress", "cancelled") else {}
    told = {"status": status, "background": True, "created_at": MADE, **under_way, **changes}
    return response_object("gpt-4o-mini", **told)


def events(*responses: tuple[str, dict[str, Any]]) -> list[bytes]:
    told = [
        {"type": kind, "response": found, "sequence_number": n} for n, (kind, found) in enumerate(responses)
    ]
    return sse(told, named=True)


def begin(provider: LoopbackProvider, client: openai.OpenAI, status: str = "queued") -> None:
    provider.answer(background(status))
    client.responses.create(**ASK)


def test_one_row_when_polling_first_sees_the_end(
    app: TrackedApp, provider: LoopbackProvider, openai_client: openai.OpenAI
) -> None:
    begun = datetime.now(UTC)
    with with_tags(user=7, feature="research"):
        begin(provider, openai_client)
    assert app.events == []
    assert app.runtime.recorder.charges.awaited == 1

    for status in ("queued", "in_progress", "completed", "completed"):
        provider.answer(background(status))
        openai_client.responses.retrieve("resp_quay_1")

    event = app.event
    assert (event.operation, event.status, event.model) == ("responses", "ok", "gpt-4o-mini")
    assert (event.input_tokens, event.output_tokens, event.cost_status) == (100, 48, "complete")
    assert (event.user_id, dict(event.tags)) == ("7", {"feature": "research"})
    assert event.occurred_at >= begun
    assert event.latency_ms is None
    assert app.runtime.recorder.charges.awaited == 0


def test_the_end_is_seen_by_another_process(
    make_app: MakeApp, provider: LoopbackProvider, openai_client: openai.OpenAI
) -> None:
    web, worker = make_app("web"), make_app("worker")
    with web.flask.app_context():
        begin(provider, openai_client)
    with worker.flask.app_context(), with_tags(feature="polling"):
        provider.answer(background())
        openai_client.responses.retrieve("resp_quay_1")

    assert web.events == []
    assert (dict(worker.event.tags), worker.event.output_tokens) == ({"feature": "polling"}, 48)
    assert worker.event.occurred_at == datetime.fromtimestamp(MADE, UTC)

    with web.flask.app_context():
        provider.answer(background())
        openai_client.responses.retrieve("resp_quay_1")
    assert web.event.event_id == worker.event.event_id


def test_the_stream_of_the_creation_tells_the_end(
    app: TrackedApp, provider: LoopbackProvider, openai_client: openai.OpenAI
) -> None:
    provider.stream(events(("response.created", background("queued")), ("response.completed", background())))
    begun = datetime.now(UTC)
    list(openai_client.responses.create(**ASK, stream=True))
    provider.answer(background())
    openai_client.responses.retrieve("resp_quay_1")

    assert (app.event.stream, app.event.output_tokens) == (True, 48)
    assert app.event.latency_ms is not None
    assert app.event.occurred_at >= begun


@pytest.mark.parametrize("left", ["closed", "cut"])
def test_a_stream_that_ends_early_is_taken_up_again(
    app: TrackedApp, provider: LoopbackProvider, openai_client: openai.OpenAI, left: str
) -> None:
    pieces = events(
        ("response.created", background("queued")), ("response.in_progress", background("in_progress"))
    )
    provider.stream(pieces, cut_after=1 if left == "cut" else None)
    with with_tags(feature="research"):
        stream = openai_client.responses.create(**ASK, stream=True)
    if left == "closed":
        next(iter(stream))
        stream.close()
    else:
        with pytest.raises(openai.APIConnectionError):
            list(stream)
    assert app.events == []

    provider.stream(events(("response.completed", background())))
    list(openai_client.responses.retrieve("resp_quay_1", stream=True, starting_after=1))

    assert (app.event.status, app.event.output_tokens) == ("ok", 48)
    assert dict(app.event.tags) == {"feature": "research"}


@pytest.mark.parametrize(
    ("status", "usage", "expected"),
    [
        ("cancelled", None, ("aborted", None, "unknown")),
        ("failed", None, ("error", None, "unknown")),
        (
            "incomplete",
            {"input_tokens": 120, "output_tokens": 48, "total_tokens": 168},
            ("ok", 48, "complete"),
        ),
    ],
)
def test_other_ends_are_rows_too(
    app: TrackedApp,
    provider: LoopbackProvider,
    openai_client: openai.OpenAI,
    status: str,
    usage: Any,
    expected: Any,
) -> None:
    begin(provider, openai_client)
    provider.answer(background(status, usage=usage))
    openai_client.responses.retrieve("resp_quay_1")

    assert (app.event.status, app.event.output_tokens, app.event.cost_status) == expected


def test_cancelling_tells_the_end(
    app: TrackedApp, provider: LoopbackProvider, openai_client: openai.OpenAI
) -> None:
    begin(provider, openai_client)
    provider.answer(background("cancelled"))
    openai_client.responses.cancel("resp_quay_1")
    provider.answer(background("cancelled"))
    openai_client.responses.retrieve("resp_quay_1")

    assert (app.event.status, app.event.cost_status) == ("aborted", "unknown")


def test_a_response_that_was_not_in_the_background_is_billed_when_it_is_created(
    app: TrackedApp, provider: LoopbackProvider, openai_client: openai.OpenAI
) -> None:
    openai_client.responses.create(model="gpt-4o-mini", input="Which tide is it?")
    provider.answer(response_object("gpt-4o-mini", background=False))
    openai_client.responses.retrieve("resp_quay_1")
    provider.stream(events(("response.completed", response_object("gpt-4o-mini"))))
    list(openai_client.responses.retrieve("resp_quay_1", stream=True))

    assert len(app.events) == 1


def test_asking_in_vain_is_no_call(
    app: TrackedApp, provider: LoopbackProvider, openai_client: openai.OpenAI
) -> None:
    provider.fail(404)
    with pytest.raises(openai.NotFoundError):
        openai_client.responses.retrieve("resp_quay_1")

    assert app.events == []


def test_the_async_client_and_a_plain_http_client_see_the_same(
    make_app: MakeApp, provider: LoopbackProvider
) -> None:
    app = make_app(config={"LLM_COST_PROVIDER_HOSTS": {"127.0.0.1": "openai"}})

    async def create() -> None:
        async with openai.AsyncOpenAI(api_key="loopback", base_url=f"{provider.url}/v1") as client:
            await client.responses.create(**ASK)
            await client.responses.retrieve("resp_quay_1")

    provider.answer(background("queued"))
    provider.answer(background("in_progress"))
    with with_tags(feature="research"):
        asyncio.run(create())
    provider.answer(background())
    with httpx.Client(transport=app.tracker.http_transport(httpx.HTTPTransport(verify=False))) as plain:
        plain.get(f"{provider.url}/v1/responses/resp_quay_1")

    assert (dict(app.event.tags), app.event.output_tokens) == ({"feature": "research"}, 48)


RUN = {
    "id": "run_1",
    "object": "thread.run",
    "created_at": MADE,
    "thread_id": "thread_1",
    "assistant_id": "asst_1",
    "model": "gpt-4o-mini",
    "status": "queued",
    "usage": None,
}
DONE = {
    **RUN,
    "status": "completed",
    "usage": {"prompt_tokens": 120, "completion_tokens": 48, "total_tokens": 168},
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_assistants_run_is_one_row_with_its_tool_outputs(
    app: TrackedApp, provider: LoopbackProvider, openai_client: openai.OpenAI
) -> None:
    runs = openai_client.beta.threads.runs
    provider.answer(RUN)
    with with_tags(feature="research"):
        runs.create("thread_1", assistant_id="asst_1")
    provider.answer({**RUN, "status": "requires_action"})
    runs.retrieve("run_1", thread_id="thread_1")
    provider.answer(RUN)
    runs.submit_tool_outputs("run_1", thread_id="thread_1", tool_outputs=[])
    assert app.events == []
    for _ in range(2):
        provider.answer(DONE)
        runs.retrieve("run_1", thread_id="thread_1")

    assert (app.event.input_tokens, app.event.output_tokens) == (120, 48)
    assert (app.event.provider_response_id, dict(app.event.tags)) == ("run_1", {"feature": "research"})


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_streamed_run_is_one_row(
    app: TrackedApp, provider: LoopbackProvider, openai_client: openai.OpenAI
) -> None:
    step = {
        "id": "step_1",
        "object": "thread.run.step",
        "usage": {"prompt_tokens": 1, "completion_tokens": 1},
    }
    told: list[tuple[str, Any]] = [
        ("thread.run.created", RUN),
        ("thread.run.step.completed", step),
        ("thread.run.completed", DONE),
    ]
    pieces = [b"event: %s\n" % kind.encode() + sse([found])[0] for kind, found in told]
    provider.stream([*pieces, b"event: done\ndata: [DONE]\n\n"])
    list(openai_client.beta.threads.runs.create("thread_1", assistant_id="asst_1", stream=True))
    provider.answer(DONE)
    openai_client.beta.threads.runs.retrieve("run_1", thread_id="thread_1")

    assert (app.event.stream, app.event.input_tokens, app.event.output_tokens) == (True, 120, 48)


def test_the_oldest_of_very_many_is_forgotten_and_counted(
    app: TrackedApp, provider: LoopbackProvider, openai_client: openai.OpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flask_llm_cost.charges.REMEMBERED", 1)
    for number in (1, 2):
        provider.answer(background("queued", id=f"resp_{number}"))
        openai_client.responses.create(**ASK)

    assert app.runtime.recorder.charges.awaited == 1
    assert app.runtime.counters["background_forgotten"] == 1
