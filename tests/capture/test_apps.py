"""Which app, and whose tags: decided when the call begins, in whatever thread it is."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai

from flask_llm_cost.context import copy_context
from flask_llm_cost.context import with_tags
from flask_llm_cost.runtime import untracked
from tests.capture.conftest import MakeApp
from tests.capture.conftest import TrackedApp

ASK: Any = [{"role": "user", "content": "Is the quay open?"}]


def chat(client: openai.OpenAI, **more: Any) -> Any:
    return client.chat.completions.create(model="gpt-quay", messages=ASK, **more)


def in_thread(work: Callable[[], object]) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def test_each_app_of_a_process_gets_its_own_calls(make_app: MakeApp, openai_client: openai.OpenAI) -> None:
    first, second = make_app("first"), make_app("second")
    for app in (first, second, second):
        with app.flask.app_context():
            chat(openai_client)
    assert (len(first.events), len(second.events)) == (1, 2)
    assert (first.events[0].service, second.events[0].service) == ("first", "second")


def test_a_call_outside_any_context_belongs_to_the_only_app(
    app: TrackedApp, openai_client: openai.OpenAI
) -> None:
    chat(openai_client)
    assert (app.event.status, app.event.endpoint) == ("ok", None)


def test_a_call_outside_any_context_belongs_to_the_default_app(
    make_app: MakeApp, openai_client: openai.OpenAI
) -> None:
    other, chosen = make_app("other"), make_app("chosen", default=True)
    chat(openai_client)
    assert (len(other.events), len(chosen.events)) == (0, 1)


def test_a_call_that_belongs_to_no_app_passes_and_is_counted(
    make_app: MakeApp, openai_client: openai.OpenAI
) -> None:
    first, second = make_app("first"), make_app("second")
    before = untracked["no_app"]
    assert chat(openai_client).usage.total_tokens == 168
    assert (first.events, second.events) == ([], [])
    assert untracked["no_app"] == before + 1


def test_a_stream_belongs_to_the_app_it_began_in(make_app: MakeApp, openai_client: openai.OpenAI) -> None:
    first, second = make_app("first"), make_app("second")
    with first.flask.app_context(), with_tags(feature="quay"):
        stream = chat(openai_client, stream=True)
    with second.flask.app_context(), with_tags(feature="pier"):
        list(stream)
    assert second.events == []
    assert first.event.tags == {"feature": "quay"}


def test_a_call_in_a_request_carries_endpoint_and_tags(app: TrackedApp, openai_client: openai.OpenAI) -> None:
    @app.flask.get("/ask")
    def ask() -> str:
        with with_tags(user=7, feature="quay"):
            chat(openai_client)
        return "asked"

    assert app.flask.test_client().get("/ask").text == "asked"
    event = app.event
    assert (event.endpoint, event.user_id, event.tags) == ("ask", "7", {"feature": "quay"})


def test_a_thread_without_context_has_no_tags_but_a_row(
    app: TrackedApp, openai_client: openai.OpenAI
) -> None:
    with app.flask.app_context(), with_tags(feature="quay"):
        in_thread(lambda: chat(openai_client))
    assert app.event.tags == {}


def test_copy_context_takes_tags_and_app_into_threads(
    make_app: MakeApp, openai_client: openai.OpenAI
) -> None:
    app, _ = make_app("first"), make_app("second")
    with app.flask.app_context(), with_tags(feature="quay"), ThreadPoolExecutor(2) as pool:
        list(pool.map(copy_context(lambda number: chat(openai_client)), range(4)))
    assert [event.tags for event in app.events] == [{"feature": "quay"}] * 4


def test_calls_from_many_threads_at_once_are_recorded_once_each(
    app: TrackedApp, openai_client: openai.OpenAI
) -> None:
    def work(number: int) -> None:
        with with_tags(number=number):
            list(chat(openai_client, stream=True, stream_options={"include_usage": True}))
            chat(openai_client)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(24)))
    events = app.events
    assert len(events) == 48
    assert len({event.event_id for event in events}) == 48
    assert sorted(event.tags["number"] for event in events) == sorted([str(n) for n in range(24)] * 2)
    assert {event.input_tokens for event in events} == {100}


def test_an_app_that_was_shut_down_records_no_more(app: TrackedApp, openai_client: openai.OpenAI) -> None:
    chat(openai_client)
    app.tracker.shutdown()
    chat(openai_client)
    assert len(app.stored) == 1
