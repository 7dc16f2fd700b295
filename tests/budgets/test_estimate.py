"""What an estimate is made of: every rule, and every reason why there is none."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import UTC
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from flask_llm_cost.budgets import Estimate
from flask_llm_cost.budgets import EstimateRequest
from flask_llm_cost.budgets import estimate_cost
from flask_llm_cost.errors import ConfigurationError
from flask_llm_cost.pricing import Catalog
from flask_llm_cost.usage import Usage

AT = datetime(2026, 11, 22, 12, tzinfo=UTC)
#: In millionths of a dollar, in which costs are told here: one for a token in, ten for one out.
ACME: dict[str, Any] = {"input": "1", "output": "10"}
SMALL = {"max_input_tokens": 1000, "max_output_tokens": 50}


def bound(
    body: Any, operation: Any = "chat", *, entry: dict[str, Any] | None = None, **more: Any
) -> Estimate:
    """An estimate for a model of our own; ``more`` names what is told of the request besides its body."""
    catalog_options = {"discounts": more.pop("discounts")} if "discounts" in more else {}
    model = more.pop("model", "m1")
    provider = more.pop("provider", "acme")
    prices = Catalog.load(overrides={f"{provider}/{model}": entry or ACME}, **catalog_options)
    request = EstimateRequest(provider=provider, model=model, operation=operation, body=body, at=AT, **more)
    found = estimate_cost(request, prices)
    return found if found.cost is None else replace(found, cost=found.cost * 1_000_000)


def count(found: Estimate, name: str) -> int:
    assert found.bounded, found.reason
    return int(found.quantities[name])


def says(text: str = "hi", **fields: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], "max_tokens": 10, **fields}


def test_the_cost_is_the_bytes_of_the_prompt_and_the_longest_answer() -> None:
    found = bound(says())
    assert found.bounded
    assert found.cost == found.quantities["input"] + 10 * found.quantities["output"]
    assert found.quantities["output"] == 10
    assert found.reason == f"at most {found.quantities['input']} input, 10 output"


def test_each_byte_of_text_is_taken_for_a_token() -> None:
    plain = count(bound(says("")), "input")
    assert count(bound(says("quay" * 25)), "input") == plain + 100
    assert count(bound(says("ä€🚢")), "input") == plain + 9


def test_a_request_costs_the_same_as_bytes_and_as_fields() -> None:
    body = says("Grüße vom Kai", temperature=0.5, tools=[{"type": "function", "function": {"name": "open"}}])
    assert bound(json.dumps(body).encode()) == bound(body)


@pytest.mark.parametrize(
    ("operation", "fields"),
    [
        ("chat", {"max_tokens": 7}),
        ("chat", {"max_completion_tokens": 7}),
        ("responses", {"max_output_tokens": 7}),
        ("completions", {"max_tokens_to_sample": 7}),
        ("generate_content", {"generationConfig": {"maxOutputTokens": 7}}),
        ("generate_content", {"generation_config": {"max_output_tokens": 7}}),
        ("chat", {"inferenceConfig": {"maxTokens": 7}}),
        ("chat", {"textGenerationConfig": {"maxTokenCount": 7}}),
        ("chat", {"max_gen_len": 7}),
    ],
)
def test_every_providers_limit_of_an_answer_is_known(operation: str, fields: dict[str, Any]) -> None:
    assert count(bound(fields, operation), "output") == 7


@pytest.mark.parametrize(
    ("fields", "tokens"),
    [
        ({"n": 3}, 30),
        ({"best_of": 4, "n": 2}, 40),
        ({"prompt": ["a", "b", "c"]}, 30),
        ({"prompt": [1, 2, 3]}, 10),
        ({"generationConfig": {"candidateCount": 2}}, 20),
        ({"max_completion_tokens": 25}, 25),
        ({"thinking": {"type": "enabled", "budget_tokens": 5}}, 15),
        ({"generationConfig": {"thinkingConfig": {"thinkingBudget": 5}}}, 15),
        ({"generationConfig": {"thinkingConfig": {"thinkingBudget": -1}}}, 10),
        ({"prediction": {"type": "content", "content": "12345"}}, 15),
        ({"prediction": {"type": "content", "content": [{"type": "text", "text": "123"}]}}, 13),
    ],
)
def test_more_answers_thoughts_and_predictions_are_added(fields: dict[str, Any], tokens: int) -> None:
    assert count(bound(says(**fields)), "output") == tokens


def test_without_a_limit_the_models_own_maximum_counts() -> None:
    body = {"messages": []}
    assert count(bound(body, entry={**ACME, **SMALL}), "output") == 50
    found = bound(body)
    assert (found.cost, found.bounded) == (None, False)
    assert "set max_tokens" in found.reason


def test_a_price_of_ones_own_keeps_the_bundled_limits_of_the_model() -> None:
    prices = Catalog.load(overrides={"openai/gpt-5": {"input": "2", "output": "20"}})
    limits = prices.limits("openai", "gpt-5")
    assert (limits.max_input_tokens, limits.max_output_tokens) == (272_000, 128_000)
    assert prices.limits("openai", "nothing") == type(limits)()


@pytest.mark.parametrize("value", [0, "128k", True, 1.5, 10**10])
def test_a_limit_that_is_none_is_refused(value: object) -> None:
    with pytest.raises(ConfigurationError, match="max_output_tokens: must be a number of tokens"):
        Catalog.load(overrides={"acme/m1": {**ACME, "max_output_tokens": value}})


def test_the_dearest_kind_of_input_counts() -> None:
    cached = {**ACME, "cache_read_input": "0.1", "cache_write_input": "1.25"}
    found = bound(says(), entry=cached)
    assert found.cost == found.quantities["input"] * Decimal("1.25") + 100


def test_claudes_cache_is_dearer_only_where_the_request_writes_it() -> None:
    cached = {**ACME, "cache_write_input": "1.25", "cache_write_extended_input": "2"}
    options: Any = {"entry": cached, "model": "claude-pier", "operation": "messages"}

    def rate(**mark: Any) -> Decimal:
        found = bound(says(system=[{"type": "text", "text": "x", **mark}]), **options)
        assert found.cost is not None
        return (found.cost - 100) / found.quantities["input"]

    assert rate() == 1
    assert rate(cache_control={"type": "ephemeral"}) == Decimal("1.25")
    assert rate(cache_control={"type": "ephemeral", "ttl": "1h"}) == 2


def test_a_prompt_that_may_reach_a_tier_is_priced_by_it() -> None:
    tiered = {**ACME, "tiers": [{"over": 300, "input": "2", "output": "20"}]}
    short, long = bound(says(), entry=tiered), bound(says("x" * 300), entry=tiered)
    assert short.cost == short.quantities["input"] + 100
    assert long.cost == 2 * long.quantities["input"] + 200


def test_the_mode_asked_for_and_the_standard_one_count_whichever_is_dearer() -> None:
    modes = {
        **ACME,
        "modes": {
            "priority": {"output": "20"}, "flex": {"output": "5"},
            "data_residency": {"multiplier": "1.1"},
        },
    }  # fmt: skip
    plain, fast, cheap, bound_to_region = (
        bound(says(), entry=modes, pricing_mode=mode) for mode in (None, "priority", "flex", "data_residency")
    )
    assert plain.cost is not None
    assert fast.cost == plain.cost + 100
    assert cheap.cost == plain.cost
    assert bound_to_region.cost == plain.cost * Decimal("1.1")
    unknown = bound(says(), entry=modes, pricing_mode="ultrafast")
    assert not unknown.bounded
    assert unknown.reason == "acme/m1 has no price for the mode ultrafast"


def test_a_discount_lowers_the_bound() -> None:
    full, reduced = bound(says()), bound(says(), discounts={"acme": Decimal("0.5")})
    assert full.cost is not None
    assert reduced.cost == full.cost / 2


def test_rounding_never_takes_it_below_a_bill() -> None:
    """A bill rounds each line, so that two lines can be a stored amount's last digit more than one."""
    tiny = {"input": "0.0000015", "output": "0.0000015", "cache_write_input": "0.0000015"}
    prices = Catalog.load(overrides={"acme/m1": tiny})
    request = EstimateRequest(provider="acme", model="m1", operation="chat", body=says("x" * 7), at=AT)
    found = estimate_cost(request, prices)
    half = int(found.quantities["input"]) // 2
    assert half % 2
    halves = Usage(input_tokens=half, cache_write_input_tokens=half, output_tokens=10)
    billed = prices.price(provider="acme", model="m1", usage=halves, at=AT).total_cost
    assert found.cost is not None
    assert billed is not None
    assert found.cost >= billed > Decimal("0.0000000000015") * (2 * half + 10)
    assert found.cost.as_tuple().exponent == -12


def picture(kind: str) -> dict[str, Any]:
    data = base64.b64encode(b"x" * 90_000).decode()
    url = f"data:image/png;base64,{data}"
    return {
        "chat": says([{"type": "image_url", "image_url": {"url": url}}]),  # type: ignore[arg-type]
        "responses": {"input": [{"content": [{"type": "input_image", "image_url": url}]}], "max_tokens": 10},
        "messages": says(
            [{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}]  # type: ignore[arg-type]
        ),
        "generate_content": {
            "contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": data}}]}],
            "max_tokens": 10,
        },
    }[kind]


@pytest.mark.parametrize(
    ("operation", "model", "most"),
    [
        ("chat", "gpt-4o", 1_445),
        ("chat", "gpt-4o-mini", 48_169),
        ("responses", "gpt-5-mini", 3_779),
        ("responses", "gpt-9", 60_000),
        ("messages", "claude-pier", 4_800),
        ("generate_content", "gemini-9", 5_160),
    ],
)
def test_a_picture_counts_as_its_largest_number_of_tokens_not_as_its_bytes(
    operation: str, model: str, most: int
) -> None:
    dear = {**ACME, "image_input": "3"}
    found = bound(picture(operation), operation, model=model, entry=dear)
    framing = count(found, "input") - most
    assert 0 < framing < 300
    assert found.cost == framing + 3 * most + 100


@pytest.mark.parametrize(
    ("detail", "most"),
    [("low", 6_150), ("high", 6_150), ("auto", 60_000), ("original", 60_000), (None, 60_000)],
)
def test_a_picture_that_is_reduced_by_the_request_counts_less(detail: str | None, most: int) -> None:
    told = {} if detail is None else {"detail": detail}
    part = {"type": "image_url", "image_url": {"url": "https://example.com/quay.png", **told}}
    chat = count(bound(says([part]), model="gpt-9"), "input")  # type: ignore[arg-type]
    item = {"type": "input_image", "image_url": "https://example.com/quay.png", **told}
    responses = count(
        bound({"input": [{"content": [item]}], "max_tokens": 10}, "responses", model="gpt-9"), "input"
    )
    assert most < chat < most + 200
    assert most < responses < most + 200


def test_sound_counts_by_its_bytes_at_the_rate_of_sound() -> None:
    part = {"type": "input_audio", "input_audio": {"data": "A" * 10_000, "format": "wav"}}
    found = bound(says([part]), entry={**ACME, "audio_input": "5"})  # type: ignore[arg-type]
    assert found.cost is not None
    audio = 1_000 + 8
    assert found.cost == (found.quantities["input"] - audio) + 5 * audio + 100


def test_an_answer_is_priced_as_sound_only_where_sound_is_asked_for() -> None:
    speaks = {**ACME, "audio_output": "80"}
    silent, spoken = bound(says(), entry=speaks), bound(says(modalities=["text", "audio"]), entry=speaks)
    assert silent.cost == silent.quantities["input"] + 100
    assert spoken.cost == spoken.quantities["input"] + 800


STORED = [
    ("chat", says([{"type": "file", "file": {"file_id": "f"}}])),  # type: ignore[arg-type]
    ("messages", says([{"type": "document", "source": {"type": "base64", "data": "A"}}])),  # type: ignore[arg-type]
    ("generate_content", {"contents": [{"parts": [{"fileData": {"fileUri": "u"}}]}], "max_tokens": 10}),
    ("generate_content", {"contents": [], "cachedContent": "c", "max_tokens": 10}),
    ("responses", {"input": "hi", "previous_response_id": "r", "max_output_tokens": 10}),
    ("responses", {"input": "hi", "conversation": "c", "max_output_tokens": 10}),
    ("responses", {"prompt": {"id": "p"}, "max_output_tokens": 10}),
    ("chat", {"messages": [{"content": [{"document": {"source": {"bytes": "A"}}}]}], "max_tokens": 10}),
]


@pytest.mark.parametrize(
    ("operation", "body"), STORED, ids=lambda value: value if isinstance(value, str) else ""
)
def test_what_the_request_does_not_hold_counts_as_the_models_whole_context(
    operation: str, body: dict[str, Any]
) -> None:
    found = bound(body, operation, entry={**ACME, **SMALL})
    assert count(found, "input") == 1000
    assert "whole context of 1,000 tokens" in found.reason
    without = bound(body, operation)
    assert (without.bounded, without.cost) == (False, None)
    assert "is not told" in without.reason


def test_documents_that_hold_their_text_count_by_it() -> None:
    part = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x" * 500}}
    assert 500 < count(bound(says([part]), "messages"), "input") < 700  # type: ignore[arg-type]


def test_a_search_that_may_run_twice_is_billed_twice_and_read_twice() -> None:
    tools = [{"type": "web_search_20250305", "name": "web_search", "max_uses": 2}]
    entry = {**ACME, **SMALL, "web_search_request": "0.001"}
    found = bound(says(tools=tools), "messages", entry=entry)
    assert count(found, "web_search_request") == 2
    assert count(found, "input") == 3000
    assert count(found, "output") == 30  # Claude may fill the limit after each
    assert found.cost == 3000 + 300 + 2


def test_openais_tools_share_one_limit() -> None:
    tools = [{"type": "web_search"}, {"type": "file_search", "vector_store_ids": ["v"]}]
    entry = {**ACME, **SMALL, "web_search_request": "0.001", "file_search_call": "0.002"}
    found = bound(
        {"input": "hi", "tools": tools, "max_tool_calls": 2, "max_output_tokens": 10},
        "responses",
        entry=entry,
    )
    assert (count(found, "web_search_request"), count(found, "file_search_call")) == (2, 2)
    assert (count(found, "input"), count(found, "output")) == (3000, 10)


UNLIMITED = [
    ("responses", {"tools": [{"type": "web_search"}]}, "web_search"),
    ("responses", {"tools": [{"type": "code_interpreter"}], "max_tool_calls": 2}, "code_interpreter"),
    ("responses", {"tools": [{"type": "image_generation"}], "max_tool_calls": 2}, "image_generation"),
    ("responses", {"tools": [{"type": "mcp"}], "max_tool_calls": 2}, "mcp"),
    ("responses", {"context_management": [{"type": "compaction"}]}, "compaction"),
    ("messages", {"tools": [{"type": "web_search_20250305"}]}, "web_search_20250305"),
    ("messages", {"tools": [{"type": "code_execution_20250825"}]}, "code_execution_20250825"),
    ("messages", {"mcp_servers": [{"url": "u"}]}, "mcp_servers"),
    ("messages", {"context_management": {"edits": [{"type": "compact_20260112"}]}}, "compaction"),
    ("chat", {"web_search_options": {"search_context_size": "low"}}, "web_search_options"),
    ("chat", {"plugins": [{"id": "web"}]}, "plugins"),
    ("generate_content", {"tools": [{"googleSearch": {}}]}, "googleSearch"),
    ("generate_content", {"tools": [{"code_execution": {}}]}, "code_execution"),
]


@pytest.mark.parametrize(("operation", "fields", "name"), UNLIMITED)
def test_a_tool_of_the_providers_that_nothing_limits_leaves_no_bound(
    operation: str, fields: dict[str, Any], name: str
) -> None:
    found = bound(says(**fields), operation, entry={**ACME, **SMALL})
    assert (found.bounded, found.cost) == (False, None)
    assert found.reason == f"{name} runs at the provider without a limit"


@pytest.mark.parametrize(
    "tools",
    [
        [{"type": "function", "function": {"name": "open"}}],
        [{"name": "open", "input_schema": {"type": "object"}}],
        [{"type": "custom", "name": "open"}],
        [{"type": "bash_20250124", "name": "bash"}],
        [{"type": "text_editor_20250728", "name": "str_replace_based_edit_tool"}],
        [{"functionDeclarations": [{"name": "open"}]}],
    ],
)
def test_tools_of_the_apps_own_are_part_of_the_prompt(tools: list[Any]) -> None:
    assert count(bound(says(tools=tools)), "input") > count(bound(says()), "input") + 600


def test_a_search_of_gemini_2_is_billed_once() -> None:
    body = {"contents": [], "tools": [{"google_search": {}}], "generationConfig": {"maxOutputTokens": 10}}
    found = bound(
        body, "generate_content", model="gemini-2.5-pier", entry={**ACME, "grounding_request": "35"}
    )
    assert count(found, "grounding_request") == 1


def test_pictures_are_priced_by_the_piece_at_the_dearest_size_that_may_be_drawn() -> None:
    sizes = {"image": "0.04", "modes": {"1024x1792": {"image": "0.08"}}}
    assert bound({"prompt": "x", "n": 2}, "images", entry=sizes).cost == 160_000
    named = bound({"prompt": "x", "n": 2}, "images", entry=sizes, pricing_mode="1024x1792")
    assert named.cost == 160_000
    assert bound({"instances": [{"prompt": "x"}]}, "images", entry={"image": "0.04"}).cost == 160_000
    assert not bound({"prompt": "x", "n": "many"}, "images", entry=sizes).bounded


def test_pictures_are_priced_by_their_tokens_where_those_are_known() -> None:
    low = {"prompt": "x", "n": 2, "quality": "low", "size": "1024x1024"}
    assert count(bound(low, "images", model="gpt-image-1"), "output") == 2 * 272
    assert (
        count(bound({"prompt": "x", "partial_images": 2}, "images", model="gpt-image-1"), "output") == 6_440
    )
    edit = {"prompt": "x", "image": "data:"}
    assert not bound(edit, "images", model="gpt-image-1").bounded
    assert not bound(low, "images", model="gpt-image-1", has_files=True).bounded
    assert not bound(low, "images", model="gpt-image-9").bounded


def test_speech_is_priced_by_its_characters() -> None:
    found = bound({"input": "Grüße"}, "speech", entry={"text_to_speech_character": "1"})
    assert (found.cost, count(found, "text_to_speech_character")) == (5, 5)
    assert not bound({"input": "Grüße"}, "speech").bounded
    assert count(bound({"input": "Grüße"}, "speech", entry={**ACME, **SMALL}), "output") == 50


def test_the_fee_of_a_request_is_part_of_the_bound() -> None:
    fee = {**ACME, "request": "0.005", "modes": {"high": {"request": "0.012"}}}
    found = bound(says(), provider="perplexity", model="pier", entry=fee)
    assert found.cost == found.quantities["input"] + 100 + 12
    assert not bound(says(), provider="perplexity", model="pier-deep-research", entry=fee).bounded


def test_charges_that_the_request_tells_are_priced() -> None:
    seconds = {"video_second": Decimal(8)}
    film = {"video_second": "0.1", "modes": {"1080p": {"video_second": "0.2"}}}
    assert bound({}, "other", entry=film, charges=seconds).cost == 1_600_000
    assert not bound({}, "other", entry=film).bounded


def test_a_cap_stands_in_where_there_is_no_bound_but_never_below_what_is_known() -> None:
    open_end = {"tools": [{"type": "web_search"}]}
    assert bound(says(**open_end), "responses", cap=Decimal("0.01")).cost == 10_000
    known = bound(says("x" * 20_000, **open_end), "responses", cap=Decimal("0.01"))
    assert known.cost is not None
    assert known.cost > 20_000
    assert not known.bounded
    assert bound(says(), cap=Decimal(1)).bounded


@pytest.mark.parametrize("body", [b"", b"--form\r\n", b"[1]", b"{", b"\xff", b"[" * 100_000, None])
def test_a_body_that_cannot_be_read_has_no_bound(body: bytes | None) -> None:
    found = bound(body)
    assert (found.bounded, found.reason) == (False, "its request cannot be read")


def test_strange_values_are_counted_or_refused_but_never_raise() -> None:
    nested: Any = "x"
    for _ in range(3_000):
        nested = [nested]
    assert "nested too deep" in bound(says(nested)).reason
    assert "no JSON" in bound(says(object())).reason  # type: ignore[arg-type]
    odd = bound(says("\ud800", max_tokens="10", max_completion_tokens=float("inf"), n=-1, tools=7))
    assert not odd.bounded
    assert bound({1: {"type": 3}, "max_tokens": 10.5, "messages": "hi"}).quantities["output"] == 11


def test_a_recording_has_no_bound_and_what_is_free_costs_nothing() -> None:
    assert "how long the recording is" in bound(None, "transcription").reason
    assert bound(None, "moderation").cost == 0
    assert bound(None, entry={"free": True}).cost == 0


def test_a_model_without_a_price_has_no_bound() -> None:
    request = EstimateRequest(provider="acme", model="m2", operation="chat", body=says())
    found = estimate_cost(request, Catalog.load())
    assert (found.cost, found.bounded, found.reason) == (None, False, "acme/m2 has no price")


def test_xais_limit_that_leaves_reasoning_out_is_no_bound() -> None:
    assert not bound(says(), provider="xai").bounded
    assert bound({"messages": [], "max_completion_tokens": 10}, provider="xai").bounded
    assert count(bound(says(), provider="xai", entry={**ACME, **SMALL}), "output") == 60
