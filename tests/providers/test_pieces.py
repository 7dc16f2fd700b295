"""What is billed by the piece: told by the answer, or by the request where the answer is silent."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from flask_llm_cost.events import Observation
from flask_llm_cost.providers import Route
from flask_llm_cost.providers import completed
from flask_llm_cost.providers import find_route
from flask_llm_cost.providers import read_body
from flask_llm_cost.providers import read_request
from flask_llm_cost.providers import without_billed
from flask_llm_cost.usage import Usage
from tests.providers.streams import read
from tests.providers.streams import told

OPENAI = "api.openai.com"
GOOGLE = "generativelanguage.googleapis.com"
VERTEX = "aiplatform.googleapis.com"


def post(path: str, host: str = OPENAI) -> Route:
    return find_route("POST", host, path)


SPEECH = post("/v1/audio/speech")
IMAGES = post("/v1/images/generations")
VIDEOS = post("/v1/videos")
IMAGEN = post("/v1beta/models/imagen-4.0-generate-001:predict", GOOGLE)
VEO = post("/v1beta/models/veo-3.1-generate-001:predictLongRunning", GOOGLE)
OCR = post("/v1/ocr", "api.mistral.ai")
ANSWERED = Observation(http_status=200)


@pytest.mark.parametrize(
    ("route", "asked", "charges", "variant"),
    [
        (SPEECH, {"input": "naïve 🌊"}, {"text_to_speech_character": 7}, None),
        (SPEECH, {"input": ["a"]}, {}, None),
        (IMAGES, {"model": "dall-e-3"}, {"image": 1}, None),
        (IMAGES, {"n": 3, "size": "1024x1792", "quality": "hd"}, {"image": 3}, "1024x1792_hd"),
        (IMAGES, {"n": "2", "size": "auto", "quality": "standard"}, {"image": 2}, None),  # a form's text
        (IMAGES, {"n": None, "size": "as large as you can"}, {"image": 1}, None),
        (IMAGES, {"n": -1}, {}, None),
        (VIDEOS, {"seconds": "8", "size": "1792x1024"}, {"video_second": 8}, "1792x1024"),
        (VIDEOS, {}, {}, None),
        (
            post("/v1/videos/generations", "api.x.ai"),
            {"duration": 6, "resolution": "720p"},
            {"video_second": 6},
            "720p",
        ),
        (IMAGEN, {"parameters": {"sampleCount": 2}}, {"image": 2}, None),
        (IMAGEN, {"parameters": {"sampleCount": 2, "sampleImageSize": "2K"}}, {"image": 2}, "2k"),
        (IMAGEN, {}, {}, None),
        (VEO, {"parameters": {"durationSeconds": 8}}, {"video_second": 8}, None),
        (
            VEO,
            {
                "parameters": {
                    "durationSeconds": 6,
                    "sampleCount": 2,
                    "resolution": "4k",
                    "generateAudio": False,
                }
            },
            {"video_second": 12},
            "4k_silent",
        ),
        (VEO, {"parameters": {"sampleCount": 2}}, {}, None),
        (OCR, {"document_annotation_format": {"type": "json_schema"}}, {}, "annotated"),
        (OCR, {"document": {}}, {}, None),
    ],
)
def test_a_request_tells_counts_and_sizes(
    route: Route, asked: dict[str, Any], charges: dict[str, int], variant: str | None
) -> None:
    facts = read_request(route, asked)

    assert (facts.charges, facts.variant) == (charges, variant)


@pytest.mark.parametrize("value", [True, 0, -2, 1.5e9, "1e5", "two", float("nan"), float("inf"), [3], 10**9])
def test_what_can_be_no_number_of_pieces_is_not_told(value: object) -> None:
    assert read_request(IMAGES, {"n": value}).charges == {}
    assert read_request(VIDEOS, {"seconds": value}).charges == {}
    assert read_request(VEO, {"parameters": {"durationSeconds": value}}).charges == {}


def test_the_requests_quantities_stand_in_for_a_silent_answer() -> None:
    facts = read_request(SPEECH, {"model": "tts-1", "input": "x" * 500})
    found = completed(ANSWERED, SPEECH, facts)

    assert found.usage == Usage(charges={"text_to_speech_character": Decimal(500)})
    assert found.usage_source == "estimated"


@pytest.mark.parametrize(
    "found",
    [
        Observation(status="error", http_status=500),
        Observation(status="error", http_status=200),
        Observation(status="aborted"),
        Observation(http_status=301),
    ],
)
def test_what_was_not_answered_is_not_estimated(found: Observation) -> None:
    assert completed(found, SPEECH, read_request(SPEECH, {"input": "x"})) == found


def test_what_the_answer_tells_is_not_estimated() -> None:
    usage = Usage(input_tokens=9, audio_output_tokens=80)
    found = Observation(http_status=200, usage=usage, usage_source="stream")

    assert completed(found, SPEECH, read_request(SPEECH, {"input": "x"})) == found


def test_size_and_quality_are_a_mode_of_what_is_billed_by_the_piece_only() -> None:
    facts = read_request(IMAGES, {"size": "1024x1536", "quality": "high"})
    pieces = read(IMAGES, {"data": [{}, {}]})
    tokens = read(IMAGES, {"data": [{}], "usage": {"input_tokens": 50, "output_tokens": 100}})

    def mode(found: Observation) -> tuple[bool, str | None]:
        done = completed(Observation(http_status=200, usage=found.usage), IMAGES, facts)
        return done.mode_told, done.pricing_mode

    assert mode(pieces) == (True, "1024x1536_high")
    assert mode(tokens) == (False, None)


def test_a_video_is_as_long_and_as_large_as_its_answer_says() -> None:
    video = {"id": "video_quay", "object": "video", "model": "sora-2-pro", "status": "queued"}
    found = read(VIDEOS, {**video, "seconds": "8", "size": "1792x1024"})

    assert found.usage is not None
    assert (found.usage.charges, found.usage_source) == ({"video_second": 8}, "response")
    assert (found.pricing_mode, found.mode_told, found.model) == ("1792x1024", True, "sora-2-pro")
    assert read(VIDEOS, {**video, "status": "failed", "seconds": "8"}).usage is None
    assert read(VIDEOS, {**video, "seconds": "long"}).problems == ("usage: seconds is not a duration",)


def test_pictures_that_a_filter_held_back_cost_nothing() -> None:
    drawn = read(IMAGEN, {"predictions": [{"bytesBase64Encoded": "AAAA"}, {"raiFilteredReason": "no"}]})
    none = read(IMAGEN, {})

    assert drawn.usage is not None
    assert none.usage is not None
    assert (drawn.usage.charges, none.usage.charges) == ({"image": 1}, {"image": 0})


@pytest.mark.parametrize(
    ("model", "expected", "charges"),
    [
        ("text-embedding-005", {}, {"input_character": 31}),
        ("gemini-embedding-001", {"input_tokens": 11, "output_tokens": 0}, {}),
    ],
)
def test_vertex_embeddings_are_billed_by_the_character_and_geminis_by_the_token(
    model: str, expected: dict[str, int], charges: dict[str, int]
) -> None:
    route = post(f"/v1/projects/quay/locations/us/publishers/google/models/{model}:predict", VERTEX)
    found = read(
        route,
        {
            "predictions": [
                {"embeddings": {"statistics": {"token_count": tokens, "truncated": False}, "values": [0.5]}}
                for tokens in (7, 4)
            ],
            "metadata": {"billableCharacterCount": 31},
        },
    )

    assert found.usage is not None
    assert (told(found.usage), found.usage.charges) == (expected, charges)


def test_google_refuses_by_its_own_words() -> None:
    found = read(IMAGEN, {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "secret"}})

    assert (found.status, found.error_type, found.usage) == ("error", "RESOURCE_EXHAUSTED", None)


def test_pages_are_counted_as_they_were_read() -> None:
    usage = {"pages_processed": 3, "doc_size_bytes": 9_000}
    found = read(OCR, {"pages": [], "model": "mistral-ocr-2505-completion", "usage_info": usage})

    assert found.usage is not None
    assert (found.usage.charges, found.model) == ({"page": 3}, "mistral-ocr-2505-completion")
    assert read(OCR, {"usage_info": {"doc_size_bytes": 1}}).usage is None


def test_voyages_pictures_are_billed_by_the_pixel() -> None:
    route = post("/v1/multimodalembeddings", "api.voyageai.com")
    usage = {"text_tokens": 20, "image_pixels": 2_000_000, "total_tokens": 3_591}
    found = read(route, {"model": "voyage-multimodal-3", "usage": usage})

    assert found.usage is not None
    assert told(found.usage) == {"input_tokens": 20, "output_tokens": 0, "total_tokens": 3_591}
    assert found.usage.charges == {"input_pixel": 2_000_000}


@pytest.mark.parametrize("path", ["/v1/embeddings", "/v1/rerank", "/v1/contextualizedembeddings"])
def test_voyage_tells_a_total_only(path: str) -> None:
    found = read(post(path, "api.voyageai.com"), {"model": "voyage-4", "usage": {"total_tokens": 12}})

    assert told(found.usage)["input_tokens"] == 12
    assert not found.problems


def container(answer: dict[str, Any]) -> Observation:
    return read(post("/v1/containers"), {"object": "container", **answer})


def test_a_created_container_is_a_session_of_its_size() -> None:
    found = container({"id": "cntr_quay", "memory_limit": "4g"})

    assert found.usage is not None
    assert (found.usage.charges, found.model, found.pricing_mode) == (
        {"container_session": 1},
        "container",
        "4g",
    )
    assert read_body(post("/v1/containers"), b"{}").usage is None


def answered_in(*containers: str) -> Observation:
    items = [{"type": "code_interpreter_call", "container_id": name} for name in containers]
    usage = {"input_tokens": 5, "output_tokens": 2}
    return read(post("/v1/responses"), {"model": "gpt-5", "output": items, "usage": usage})


def session_count(found: Observation) -> Decimal:
    usages = [found.usage, *(item.usage for item in found.iterations)]
    return sum((usage.charges.get("container_session", Decimal(0)) for usage in usages if usage), Decimal(0))


def test_a_container_is_billed_once_in_a_process_whoever_names_it() -> None:
    billed: dict[str, object] = {}
    calls = [
        container({"id": "cntr_a"}),
        answered_in("cntr_a"),
        answered_in("cntr_a", "cntr_b"),
        answered_in("cntr_b"),
        answered_in(),
    ]

    found = [without_billed(call, billed) for call in calls]
    assert [session_count(call) for call in found] == [1, 0, 1, 0, 0]
    assert [len(call.iterations) for call in found] == [0, 0, 1, 0, 0]
    assert all(call.usage for call in found)


def test_containers_are_not_remembered_without_end() -> None:
    billed: dict[str, object] = {}
    for number in range(10_050):
        without_billed(Observation(containers=(f"cntr_{number}",)), billed)

    assert len(billed) == 10_000
    assert "cntr_10049" in billed
    assert "cntr_49" not in billed
