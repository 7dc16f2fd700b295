"""The Responses API: statuses, hosted tools, and the events that carry a response."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from flask_llm_cost.events import Observation
from flask_llm_cost.providers import find_route
from tests.providers.streams import RESPONSES
from tests.providers.streams import event
from tests.providers.streams import read
from tests.providers.streams import stream
from tests.providers.streams import told

USAGE = {
    "input_tokens": 210,
    "input_tokens_details": {"cached_tokens": 128, "cache_write_tokens": 0},
    "output_tokens": 77,
    "output_tokens_details": {"reasoning_tokens": 64},
    "total_tokens": 287,
}
TOKENS = {
    "input_tokens": 82,
    "cache_read_input_tokens": 128,
    "cache_write_input_tokens": 0,
    "output_tokens": 77,
    "reasoning_tokens": 64,
    "total_tokens": 287,
}


def response(**changes: Any) -> dict[str, Any]:
    return {
        "id": "resp_lock_1",
        "object": "response",
        "status": "completed",
        "model": "gpt-5.2-2025-12-11",
        "error": None,
        "output": [],
        "service_tier": "default",
        "usage": USAGE,
        **changes,
    }


def charges(*items: dict[str, Any], **changes: Any) -> dict[str, Decimal]:
    usage = read(RESPONSES, response(output=list(items), **changes)).usage
    assert usage is not None
    return dict(usage.charges)


def pair(found: Observation) -> tuple[str, object]:
    return found.status, found.usage


def test_a_response_names_itself_and_counts_its_tokens() -> None:
    found = read(RESPONSES, response(service_tier="flex"))

    assert told(found.usage) == TOKENS
    assert (found.model, found.provider_response_id) == ("gpt-5.2-2025-12-11", "resp_lock_1")
    assert (found.pricing_mode, found.mode_told, found.problems) == ("flex", True, ())
    assert found.provider_fields["cache_read_input"] == "usage.input_tokens_details.cached_tokens"


def test_a_compacted_response_has_neither_model_nor_status() -> None:
    found = read(
        RESPONSES, {"id": "resp_lock_2", "object": "response.compaction", "output": [], "usage": USAGE}
    )

    assert (found.model, found.status) == (None, "ok")
    assert told(found.usage) == TOKENS


def test_an_incomplete_response_is_billed() -> None:
    found = read(RESPONSES, response(status="incomplete", incomplete_details={"reason": "max_output_tokens"}))

    assert found.status == "ok"
    assert told(found.usage) == TOKENS


def test_a_failed_response_is_an_error_by_its_code_only() -> None:
    error = {"code": "server_error", "message": "the model broke on: my secret prompt"}
    found = read(RESPONSES, response(status="failed", error=error, usage=None))

    assert (found.status, found.error_type, found.usage) == ("error", "server_error", None)
    assert "secret" not in repr(found)


def test_a_failed_response_with_usage_is_billed() -> None:
    found = read(RESPONSES, response(status="failed"))

    assert found.status == "error"
    assert told(found.usage) == TOKENS


@pytest.mark.parametrize("status", ["queued", "in_progress"])
def test_a_background_response_under_way_has_no_usage_yet(status: str) -> None:
    found = read(RESPONSES, response(status=status, usage=None))

    assert pair(found) == ("ok", None)
    assert found.problems == ()


def test_a_cancelled_response_was_aborted() -> None:
    assert pair(read(RESPONSES, response(status="cancelled", usage=None))) == ("aborted", None)


def test_only_searches_of_a_web_search_are_billed() -> None:
    def search(action: object, status: str = "completed") -> dict[str, Any]:
        return {"type": "web_search_call", "status": status, "action": action}

    assert charges(
        search({"type": "search", "query": "tides"}),
        search({"type": "search", "queries": ["ebb", "flood"]}),
        search({"type": "open_page", "url": "https://tides.example"}),
        search({"type": "find_in_page", "pattern": "ebb"}),
        search({"type": "search"}, status="failed"),
        search(None),
    ) == {"web_search_request": 2}


def test_the_providers_own_count_of_searches_is_better() -> None:
    item = {"type": "web_search_call", "action": {"type": "search"}}

    assert charges(item, item, tool_usage={"web_search": {"num_requests": 1}}) == {"web_search_request": 1}
    assert charges(item, tool_usage={"web_search": {"num_requests": 0}}) == {"web_search_request": 1}


def test_each_file_search_is_billed() -> None:
    item = {"type": "file_search_call", "status": "completed", "queries": ["berth"]}

    assert charges(item, item, {"type": "message"}) == {"file_search_call": 2}


def test_a_container_is_billed_once_however_often_it_ran() -> None:
    def run(container: object) -> dict[str, Any]:
        return {"type": "code_interpreter_call", "container_id": container, "status": "completed"}

    shell = {"type": "shell_call", "environment": {"type": "container_reference", "container_id": "cntr_a"}}

    items = [run("cntr_a"), run("cntr_a"), run("cntr_b"), run(None), shell]
    found = read(RESPONSES, response(output=items))

    (session,) = found.iterations
    assert (session.model, session.usage.charges) == ("container", {"container_session": 2})
    assert found.containers == ("cntr_a", "cntr_b")
    local = read(RESPONSES, response(output=[{"type": "shell_call", "environment": {"type": "local"}}]))
    assert (local.iterations, local.containers) == ((), ())


def test_drawn_images_without_a_count_of_their_tokens_are_counted_themselves() -> None:
    drawn = {"type": "image_generation_call", "status": "completed", "result": "AAAA"}
    tools = [{"type": "image_generation", "model": "gpt-image-1"}]
    found = read(RESPONSES, response(tools=tools, output=[drawn, drawn, {**drawn, "status": "failed"}]))

    (images,) = found.iterations
    assert (images.model, images.usage.charges) == ("gpt-image-1", {"image": 2})


def test_drawn_images_are_billed_at_the_model_that_drew_them() -> None:
    drawing = {
        "input_tokens": 50,
        "input_tokens_details": {"image_tokens": 0, "text_tokens": 50},
        "output_tokens": 1056,
        "total_tokens": 1106,
    }
    tools = [{"type": "web_search"}, {"type": "image_generation", "model": "gpt-image-1"}]
    found = read(RESPONSES, response(tools=tools, tool_usage={"image_gen": drawing}))

    assert [iteration.model for iteration in found.iterations] == ["gpt-image-1"]
    assert told(found.iterations[0].usage) == {
        "input_tokens": 50,
        "image_input_tokens": 0,
        "image_output_tokens": 1056,
        "total_tokens": 1106,
    }


def test_half_of_a_bill_is_no_bill() -> None:
    found = read(RESPONSES, response(tool_usage={"image_gen": {"input_tokens": -1, "total_tokens": 5}}))

    assert (found.usage, found.iterations) == (None, ())
    assert found.problems


def test_openrouter_tells_its_charge_here_too() -> None:
    route = find_route("POST", "openrouter.ai", "/api/v1/responses")
    found = read(route, response(usage={**USAGE, "cost": 0.002196, "is_byok": False}))

    assert found.provider_cost == Decimal("0.002196")


def test_xais_responses_hold_the_reasoning_in_the_output() -> None:
    found = read(
        find_route("POST", "api.x.ai", "/v1/responses"), response(usage={**USAGE, "total_tokens": None})
    )

    assert told(found.usage)["output_tokens"] == 77


def begun() -> dict[str, Any]:
    return {
        "type": "response.created",
        "response": response(status="in_progress", usage=None, service_tier="auto"),
    }


def delta(text: str) -> dict[str, Any]:
    return {"type": "response.output_text.delta", "item_id": "msg_1", "delta": text}


@pytest.mark.parametrize("end", ["completed", "incomplete"])
def test_a_stream_ends_with_the_response(end: str) -> None:
    item = {"type": "web_search_call", "action": {"type": "search"}}
    last = response(status=end, output=[item], service_tier="flex")
    reader = stream(RESPONSES, begun())
    assert not reader.saw_output

    reader.feed(event(delta("Low "), "response.output_text.delta"))
    assert reader.saw_output
    reader.feed(event({"type": f"response.{end}", "response": last}, f"response.{end}"))
    found = reader.observation()

    assert (reader.finished, reader.failed, found.status) == (True, False, "ok")
    assert told(found.usage) == TOKENS
    assert found.usage is not None
    assert found.usage.charges == {"web_search_request": 1}
    assert (found.usage_source, found.pricing_mode) == ("stream", "flex")


def test_events_need_no_name_and_no_space() -> None:
    data = event({"type": "response.completed", "response": response()}).replace(b"data: ", b"data:")

    assert told(stream(RESPONSES, data).observation().usage) == TOKENS


def test_a_stream_cut_before_its_end_has_told_nothing() -> None:
    reader = stream(RESPONSES, begun(), delta("Low "))
    found = reader.observation()

    assert (reader.finished, found.usage, found.usage_source) == (False, None, "unknown")
    assert (found.model, found.provider_response_id) == ("gpt-5.2-2025-12-11", "resp_lock_1")
    assert found.mode_told is False


def test_a_failed_stream_comes_with_http_200() -> None:
    last = response(
        status="failed", error={"code": "rate_limit_exceeded", "message": "slow down"}, usage=None
    )
    reader = stream(RESPONSES, begun(), {"type": "response.failed", "response": last})

    assert (reader.finished, reader.failed) == (True, True)
    assert reader.observation().error_type == "rate_limit_exceeded"


@pytest.mark.parametrize(
    ("error", "error_type"),
    [
        ({"type": "error", "code": "server_error", "message": "my secret", "param": None}, "server_error"),
        (
            {"type": "error", "error": {"type": "too_many_requests", "message": "my secret"}},
            "too_many_requests",
        ),
        ({"type": "error", "code": None, "message": "my secret"}, "error"),
        ({"type": "error", "code": "my secret words", "message": "my secret"}, "error"),
    ],
)
def test_an_error_event_is_known_by_its_class(error: dict[str, Any], error_type: str) -> None:
    reader = stream(RESPONSES, begun(), delta("Low "), error)
    found = reader.observation()

    assert (reader.failed, found.status, found.error_type) == (True, "error", error_type)
    assert "secret" not in repr(found)
