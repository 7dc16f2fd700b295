"""Chat completions, completions and embeddings: every dialect of the usage object, and their streams."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from flask_llm_cost.events import Observation
from flask_llm_cost.providers import Route
from flask_llm_cost.providers import find_route
from tests.providers.streams import CHAT
from tests.providers.streams import COMPLETIONS
from tests.providers.streams import EMBEDDINGS
from tests.providers.streams import GROQ
from tests.providers.streams import OPENROUTER
from tests.providers.streams import XAI
from tests.providers.streams import event
from tests.providers.streams import read
from tests.providers.streams import stream
from tests.providers.streams import told

HEAD = {"id": "chatcmpl-weir-1", "object": "chat.completion.chunk", "model": "gpt-5-mini-2025-08-07"}


def answer(usage: Any, route: Route = CHAT, **fields: Any) -> Observation:
    choice = {"index": 0, "message": {"role": "assistant", "content": "Ebb."}, "finish_reason": "stop"}
    return read(route, {**HEAD, "object": "chat.completion", "choices": [choice], "usage": usage, **fields})


def chunk(delta: dict[str, Any], finish: str | None = None, **fields: Any) -> dict[str, Any]:
    return {**HEAD, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **fields}


def tokens(prompt: int, completion: int, **fields: Any) -> dict[str, Any]:
    total = prompt + completion
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": total, **fields}


def test_an_answer_names_itself_and_counts_its_tokens() -> None:
    found = answer(tokens(31, 7), service_tier="default")

    assert (found.model, found.provider_response_id) == ("gpt-5-mini-2025-08-07", "chatcmpl-weir-1")
    assert told(found.usage) == {"input_tokens": 31, "output_tokens": 7, "total_tokens": 38}
    assert (found.status, found.usage_source, found.problems) == ("ok", "response", ())
    assert (found.pricing_mode, found.mode_told) == (None, True)
    assert found.provider_fields == {"input": "usage.prompt_tokens", "output": "usage.completion_tokens"}


def test_cached_and_written_tokens_are_taken_out_of_the_input() -> None:
    details = {"cached_tokens": 1024, "cache_write_tokens": 512, "audio_tokens": 0}
    found = answer(tokens(1600, 4, prompt_tokens_details=details))

    assert told(found.usage) == {
        "input_tokens": 64,
        "cache_read_input_tokens": 1024,
        "cache_write_input_tokens": 512,
        "output_tokens": 4,
        "audio_input_tokens": 0,
        "total_tokens": 1604,
    }
    assert found.provider_fields["cache_read_input"] == "usage.prompt_tokens_details.cached_tokens"
    assert found.provider_fields["cache_write_input"] == "usage.prompt_tokens_details.cache_write_tokens"


def test_writes_that_live_twelve_hours_are_extended_writes() -> None:
    split = {"ttl_30m_tokens": 200, "ttl_12h_tokens": 300}
    details = {"cached_tokens": 0, "cache_write_tokens": 500, "cache_write_tokens_details": split}
    found = told(answer(tokens(520, 4, prompt_tokens_details=details)).usage)

    assert (found["cache_write_input_tokens"], found["cache_write_extended_input_tokens"]) == (200, 300)
    assert found["input_tokens"] == 20


def test_audio_and_images_are_taken_out_of_both_sides() -> None:
    found = answer(
        tokens(
            150,
            90,
            prompt_tokens_details={"audio_tokens": 60, "image_tokens": 40, "text_tokens": 50},
            completion_tokens_details={"audio_tokens": 70, "text_tokens": 20, "reasoning_tokens": 5},
        )
    )

    assert told(found.usage) == {
        "input_tokens": 50,
        "audio_input_tokens": 60,
        "image_input_tokens": 40,
        "output_tokens": 20,
        "audio_output_tokens": 70,
        "reasoning_tokens": 5,
        "total_tokens": 240,
    }


def test_cached_audio_is_a_part_of_the_cached_tokens() -> None:
    details = {"audio_tokens": 60, "cached_tokens": 100, "cached_tokens_details": {"audio_tokens": 40}}
    found = answer(tokens(150, 9, prompt_tokens_details=details)).usage

    assert told(found) == {
        "input_tokens": 30,
        "audio_input_tokens": 20,
        "cache_read_input_tokens": 100,
        "cache_read_audio_input_tokens": 40,
        "output_tokens": 9,
        "total_tokens": 159,
    }


def test_images_that_must_have_come_from_the_cache_are_not_billed_twice() -> None:
    details = {"image_tokens": 800, "cached_tokens": 900}
    found = answer(tokens(1000, 9, prompt_tokens_details=details)).usage

    assert told(found)["input_tokens"] == 0
    assert told(found)["image_input_tokens"] == 100
    assert found is not None
    assert found.counted_tokens == 1009


def test_reasoning_is_inside_the_output() -> None:
    found = answer(tokens(10, 90, completion_tokens_details={"reasoning_tokens": 64}))

    assert told(found.usage)["output_tokens"] == 90
    assert told(found.usage)["reasoning_tokens"] == 64


@pytest.mark.parametrize(
    ("total", "output"),
    [(260, 250), (110, 100), (None, 250), (999, 250)],
    ids=["total holds it", "folded in already", "no total", "odd total"],
)
def test_xai_leaves_reasoning_out_of_the_output(total: int | None, output: int) -> None:
    reasoning = {"completion_tokens_details": {"reasoning_tokens": 150 if output == 250 else 64}}
    found = answer({"prompt_tokens": 10, "completion_tokens": 100, "total_tokens": total, **reasoning}, XAI)

    assert told(found.usage)["output_tokens"] == output


def test_a_total_that_holds_the_reasoning_on_top_says_so_for_every_provider() -> None:
    found = answer(
        {
            "prompt_tokens": 10,
            "completion_tokens": 20,
            "total_tokens": 130,
            "completion_tokens_details": {"reasoning_tokens": 100},
        }
    )

    assert told(found.usage)["output_tokens"] == 120


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"prompt_cache_hit_tokens": 48, "prompt_cache_miss_tokens": 16}, "prompt_cache_hit_tokens"),
        ({"num_cached_tokens": 48}, "num_cached_tokens"),
        ({"cached_tokens": 48}, "cached_tokens"),
        ({"prompt_tokens_details": {"cached_tokens": 48}}, "prompt_tokens_details.cached_tokens"),
        ({"prompt_tokens_details": {"cached_tokens": 48}, "prompt_cache_hit_tokens": 48},
         "prompt_tokens_details.cached_tokens"),
        ({"prompt_tokens_details": None, "cached_tokens": 48}, "cached_tokens"),
        ({"prompt_tokens_details": [], "cached_tokens": 48}, "cached_tokens"),
    ],
    ids=["DeepSeek", "Mistral", "Hugging Face", "OpenAI", "both", "null details", "empty list"],
)  # fmt: skip
def test_the_cached_part_has_many_names(fields: dict[str, Any], path: str) -> None:
    found = answer(tokens(64, 5, **fields))

    assert told(found.usage)["cache_read_input_tokens"] == 48
    assert told(found.usage)["input_tokens"] == 16
    assert found.provider_fields["cache_read_input"] == f"usage.{path}"


def test_groqs_usage_may_stand_in_its_own_corner() -> None:
    found = read(GROQ, {**HEAD, "choices": [], "x_groq": {"id": "req_1", "usage": tokens(30, 5)}})

    assert told(found.usage)["input_tokens"] == 30
    assert found.provider_fields["input"] == "x_groq.usage.prompt_tokens"


def test_the_on_demand_tier_is_the_standard_one() -> None:
    found = answer(tokens(3, 1), GROQ, service_tier="on_demand")

    assert (found.pricing_mode, found.mode_told) == (None, True)


@pytest.mark.parametrize("tier", [None, "auto", "", 7])
def test_an_answer_without_a_served_tier_leaves_the_requested_one_standing(tier: object) -> None:
    assert answer(tokens(3, 1), service_tier=tier).mode_told is False


def test_the_served_tier_is_the_mode() -> None:
    found = answer(tokens(3, 1), service_tier="priority")

    assert (found.pricing_mode, found.mode_told) == ("priority", True)


def test_openrouters_cost_is_the_charge_to_the_last_digit() -> None:
    usage = tokens(16, 2, cost=1.4e-05, is_byok=False, cost_details={"upstream_inference_cost": 9.1})

    assert answer(usage, OPENROUTER).provider_cost == Decimal("0.000014")


@pytest.mark.parametrize(
    ("upstream", "cost"), [(0.0125, Decimal("0.013125")), (None, None)], ids=["told", "not told"]
)
def test_with_an_own_key_the_upstreams_bill_comes_on_top(upstream: float | None, cost: object) -> None:
    details = {"upstream_inference_cost": upstream}
    usage = tokens(16, 2, cost=0.000625, is_byok=True, cost_details=details)

    assert answer(usage, OPENROUTER).provider_cost == cost


def test_a_free_model_costs_zero_and_not_nothing() -> None:
    assert answer(tokens(16, 2, cost=0), OPENROUTER).provider_cost == Decimal(0)


def test_nobody_elses_cost_is_believed() -> None:
    assert answer(tokens(16, 2, cost=0.5)).provider_cost is None


@pytest.mark.parametrize("cost", [-0.01, "0.01", True, float("nan"), float("inf"), 1e12, {"total": 1}])
def test_an_impossible_cost_is_a_problem_and_keeps_the_tokens(cost: object) -> None:
    found = answer(tokens(16, 2, cost=cost), OPENROUTER)

    assert found.provider_cost is None
    assert told(found.usage)["input_tokens"] == 16
    assert found.problems


def test_a_charge_stands_where_the_tokens_contradict_each_other() -> None:
    usage = tokens(16, 2, cost=0.25, completion_tokens_details={"reasoning_tokens": 300})
    found = answer(usage, OPENROUTER)

    assert (found.usage, found.provider_cost, found.usage_source) == (None, Decimal("0.25"), "response")
    assert found.problems


def test_perplexity_and_xai_tell_their_charge_in_their_own_way() -> None:
    perplexity = find_route("POST", "api.perplexity.ai", "/chat/completions")
    cost = {"input_tokens_cost": 0.001, "request_cost": 0.005, "total_cost": 0.0061}

    assert answer(tokens(9, 9, cost=cost), perplexity).provider_cost == Decimal("0.0061")
    assert answer(tokens(9, 9, cost_in_usd_ticks=37_756_000), XAI).provider_cost == Decimal("0.0037756")


@pytest.mark.parametrize(
    ("model", "searches"),
    [
        ("gpt-4o-search-preview-2025-03-11", 1),
        ("gpt-5-search-api", 1),
        ("gpt-5", 0),
        ("gpt-5-research-api", 0),
        (None, 0),
    ],
)
def test_openais_search_models_search_before_each_answer(model: str | None, searches: int) -> None:
    usage = read(CHAT, {"model": model, "usage": tokens(9, 5)}).usage

    assert usage is not None
    assert usage.charges == ({"web_search_request": searches} if searches else {})


PERPLEXITY = find_route("POST", "api.perplexity.ai", "/chat/completions")


@pytest.mark.parametrize(
    ("more", "charges", "mode"),
    [
        ({}, {"request": 1}, None),
        ({"search_context_size": "low"}, {"request": 1}, "low"),
        (
            {"citation_tokens": 70, "reasoning_tokens": 900, "num_search_queries": 4},
            {"citation_token": 70, "research_token": 900, "web_search_request": 4},
            None,
        ),
    ],
)
def test_perplexity_bills_its_searches_on_top_of_the_tokens(
    more: dict[str, Any], charges: dict[str, int], mode: str | None
) -> None:
    found = answer(tokens(9, 5, **more), PERPLEXITY)

    assert found.usage is not None
    assert (found.usage.charges, found.pricing_mode) == (charges, mode)
    assert (found.usage.input_tokens, found.usage.output_tokens) == (9, 5)


def test_moonshot_streams_its_usage_in_the_last_choice() -> None:
    moonshot = find_route("POST", "api.moonshot.ai", "/v1/chat/completions")
    head = {"id": "chatcmpl-weir-7", "model": "kimi-k3"}
    usage = tokens(19, 5, cached_tokens=4)
    reader = stream(
        moonshot,
        event({**head, "choices": [{"index": 0, "delta": {"content": "Slack"}}]}),
        event({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "usage": usage}]}),
        "[DONE]",
    )
    found = reader.observation()

    assert found.usage is not None
    assert (found.usage.input_tokens, found.usage.cache_read_input_tokens) == (15, 4)
    assert found.provider_fields["input"] == "choices.usage.prompt_tokens"


def test_mistral_bills_what_it_heard_by_the_minute() -> None:
    mistral = find_route("POST", "api.mistral.ai", "/v1/chat/completions")
    heard = answer(tokens(9, 5, prompt_audio_seconds=30), mistral).usage
    silent = answer(tokens(9, 5, prompt_audio_seconds=None), mistral).usage

    assert heard is not None
    assert silent is not None
    assert (heard.charges, silent.charges) == ({"transcription_minute": Decimal("0.5")}, {})


@pytest.mark.parametrize(
    "usage",
    [
        tokens(-1, 5),
        tokens(10, 5, prompt_tokens_details={"cached_tokens": 11}),
        tokens(10, 5, prompt_tokens_details={"cached_tokens": 6, "cache_write_tokens": 5}),
        tokens(10, 5, prompt_tokens_details={"audio_tokens": 11}),
        tokens(10, 5, completion_tokens_details={"reasoning_tokens": 6}),
        tokens(10, 5, completion_tokens_details={"audio_tokens": 6}),
        tokens(10, 5, prompt_tokens_details={"cached_tokens": "4"}),
        tokens(10, 5, prompt_tokens_details="none"),
        tokens(
            10, 5, prompt_tokens_details={"audio_tokens": 4, "cached_tokens_details": {"audio_tokens": 5}}
        ),
        {"prompt_tokens": "10", "completion_tokens": 5},
        {"prompt_tokens": True, "completion_tokens": 5},
        {"prompt_tokens": 10.5, "completion_tokens": 5},
        {"prompt_tokens": float("nan"), "completion_tokens": 5},
        {"prompt_tokens": float("inf"), "completion_tokens": 5},
        {"prompt_tokens": 10**13, "completion_tokens": 5},
        {"prompt_tokens": 10, "completion_tokens": [5]},
        {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": -15},
        {"prompt_tokens": 10},
        {"completion_tokens": 5},
        {"total_tokens": 15},
        {"tokens": 15},
    ],
)
def test_impossible_or_missing_numbers_are_no_usage_and_a_problem(usage: dict[str, Any]) -> None:
    found = answer(usage)

    assert (found.usage, found.usage_source, found.provider_fields) == (None, "unknown", {})
    assert len(found.problems) == 1
    assert found.model == "gpt-5-mini-2025-08-07"


@pytest.mark.parametrize("usage", [None, {}, [], "much", 7])
def test_no_usage_is_not_zero(usage: object) -> None:
    found = answer(usage)

    assert (found.usage, found.usage_source, found.problems) == (None, "unknown", ())


def test_a_whole_number_may_be_written_as_a_fraction() -> None:
    assert told(answer({"prompt_tokens": 12.0, "completion_tokens": 3.0}).usage)["input_tokens"] == 12


def test_an_output_of_nothing_may_be_left_out() -> None:
    found = read(COMPLETIONS, {"id": "cmpl-1", "usage": {"prompt_tokens": 5, "total_tokens": 5}})

    assert told(found.usage) == {"input_tokens": 5, "output_tokens": 0, "total_tokens": 5}


def test_an_error_inside_a_good_answer_is_an_error_by_its_class_only() -> None:
    secret = "the prompt was: where is the key?"
    found = answer(None, error={"code": 502, "message": secret})

    assert (found.status, found.error_type) == ("error", "502")
    assert secret not in repr(found)


def test_embeddings_have_no_output_by_their_nature() -> None:
    found = read(
        EMBEDDINGS, {"model": "text-embedding-3-small", "usage": {"prompt_tokens": 9, "total_tokens": 9}}
    )

    assert told(found.usage) == {"input_tokens": 9, "output_tokens": 0, "total_tokens": 9}
    assert found.model == "text-embedding-3-small"


def test_voyage_tells_a_total_only() -> None:
    found = read(EMBEDDINGS, {"model": "voyage-4", "usage": {"total_tokens": 9}})

    assert told(found.usage) == {"input_tokens": 9, "output_tokens": 0, "total_tokens": 9}
    assert found.provider_fields == {"input": "usage.total_tokens"}


def test_a_stream_is_read_to_its_usage_chunk() -> None:
    reader = stream(
        CHAT,
        chunk({"role": "assistant", "content": ""}, service_tier="flex", usage=None),
        *[chunk({"content": f"wave {number} "}, usage=None) for number in range(20)],
        chunk({}, "stop", usage=None),
        {**HEAD, "choices": [], "usage": tokens(40, 22)},
    )
    assert not reader.finished
    reader.feed(event("[DONE]"))
    found = reader.observation()

    assert (reader.finished, reader.failed, reader.saw_output) == (True, False, True)
    assert told(found.usage) == {"input_tokens": 40, "output_tokens": 22, "total_tokens": 62}
    assert (found.usage_source, found.status) == ("stream", "ok")
    assert (found.model, found.provider_response_id) == ("gpt-5-mini-2025-08-07", "chatcmpl-weir-1")
    assert (found.pricing_mode, found.mode_told) == ("flex", True)


def test_the_role_alone_is_no_output_yet() -> None:
    reader = stream(CHAT, chunk({"role": "assistant", "content": "", "refusal": None}))
    assert not reader.saw_output

    reader.feed(event(chunk({"content": "Ebb"})))
    assert reader.saw_output


@pytest.mark.parametrize(
    "delta",
    [{"reasoning_content": "Hm"}, {"reasoning": "Hm"}, {"tool_calls": [{"index": 0}]}, {"refusal": "No"}],
)
def test_reasoning_tool_calls_and_refusals_are_output(delta: dict[str, Any]) -> None:
    assert stream(CHAT, chunk(delta)).saw_output


def test_a_completion_stream_shows_its_text() -> None:
    reader = stream(
        COMPLETIONS, {"id": "cmpl-1", "model": "davinci-002", "choices": [{"text": " tide"}]}, "[DONE]"
    )

    assert reader.saw_output
    assert reader.finished
    assert reader.observation().usage is None


def test_a_stream_without_usage_has_told_nothing() -> None:
    found = stream(CHAT, chunk({"content": "Ebb"}), chunk({}, "stop"), "[DONE]").observation()

    assert (found.usage, found.usage_source, found.problems) == (None, "unknown", ())
    assert found.model == "gpt-5-mini-2025-08-07"


def test_azures_empty_first_chunk_names_nothing() -> None:
    reader = stream(
        CHAT,
        {"id": "", "model": "", "object": "", "choices": [], "prompt_filter_results": []},
        chunk({"role": "assistant", "content": ""}),
        chunk({"content": "Ebb"}),
    )

    assert reader.observation().model == "gpt-5-mini-2025-08-07"
    assert reader.observation().provider_response_id == "chatcmpl-weir-1"


def test_names_that_never_come_do_not_keep_the_reader_from_the_usage() -> None:
    bare = {"choices": [{"index": 0, "delta": {"content": "x"}}]}
    reader = stream(CHAT, *[bare] * 40, {"choices": [], "usage": tokens(4, 40)}, "[DONE]")

    assert told(reader.observation().usage)["output_tokens"] == 40


def test_a_growing_usage_counts_only_at_the_end() -> None:
    chunks = [chunk({"content": "x"}, usage=tokens(9, number)) for number in range(1, 5)]
    reader = stream(XAI, *chunks)
    assert reader.observation().usage is None  # left early: the rest is not told

    reader.feed(event(chunk({}, "stop", usage=tokens(9, 5))))
    assert told(reader.observation().usage)["output_tokens"] == 5
    reader.feed(event({**HEAD, "choices": [], "usage": tokens(9, 6)}))
    assert told(reader.observation().usage)["output_tokens"] == 6


def test_the_usage_may_come_with_the_last_choice_or_without_a_closing_mark() -> None:
    found = stream(CHAT, chunk({"content": "x"}), chunk({}, "stop", usage=tokens(11, 43))).observation()

    assert told(found.usage)["output_tokens"] == 43


@pytest.mark.parametrize("order", [1, -1])
def test_the_order_of_keys_does_not_matter(order: int) -> None:
    last = {"usage": tokens(40, 22), **HEAD, "choices": []}
    reader = stream(CHAT, chunk({"content": "x"}), dict(list(last.items())[::order]), "[DONE]")

    assert told(reader.observation().usage)["input_tokens"] == 40


def test_words_of_the_format_inside_a_text_change_nothing() -> None:
    text = 'data: [DONE]\n\nevent: error\n{"usage": {"prompt_tokens": 1}, "error": "no"}'
    reader = stream(CHAT, *[chunk({"content": text})] * 3, chunk({}, "stop"))

    assert (reader.finished, reader.failed) == (False, False)
    assert reader.observation().usage is None


def test_an_error_event_after_the_first_words_fails_the_answer() -> None:
    message = "Failed to call a function with the secret words"
    error = {"error": {"message": message, "type": "invalid_request_error", "code": "tool_use_failed"}}
    reader = stream(GROQ, chunk({"content": "x"}), event(error, "error").rstrip(b"\n"))
    found = reader.observation()

    assert (reader.failed, reader.finished) == (True, False)
    assert (found.status, found.error_type, found.usage) == ("error", "invalid_request_error", None)
    assert message not in repr(found)


@pytest.mark.parametrize(
    "error",
    [
        event({"message": "over"}, "error"),
        event(chunk({"content": "x"}, x_groq={"error": "over capacity"})),
        event(chunk({"content": ""}, "error", error={"code": 502, "message": "over"})),
    ],
)
def test_errors_come_in_many_clothes(error: bytes) -> None:
    reader = stream(CHAT, chunk({"content": "x"}), chunk({"content": "y"}), error)

    assert reader.failed
    assert "over" not in repr(reader.observation())


def test_a_failed_answer_that_tells_its_usage_is_billed() -> None:
    last = chunk({}, "error", error={"code": 502}, usage=tokens(10, 3, cost=0.002))
    found = stream(OPENROUTER, chunk({"content": "x"}), last, "[DONE]").observation()

    assert (found.status, found.error_type, found.provider_cost) == ("error", "502", Decimal("0.002"))
    assert told(found.usage)["output_tokens"] == 3


def test_comments_before_the_first_event_are_passed_over() -> None:
    reader = stream(
        OPENROUTER,
        b": OPENROUTER PROCESSING\n\n",
        chunk({"content": "x"}),
        {**HEAD, "choices": [], "usage": tokens(2, 1, cost=0.000837)},
        "[DONE]",
    )

    assert reader.observation().provider_cost == Decimal("0.000837")
