"""What is billed by the piece, through the real SDKs: speech, pictures, videos, recordings and containers."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import openai
import pytest
from google import genai

from flask_llm_cost.events import Event
from tests.capture.conftest import MakeApp
from tests.capture.conftest import TrackedApp
from tests.loopback import LoopbackProvider
from tests.wire_formats import response_object

PRICES: dict[str, Any] = {
    "openai/tts-quay": {"text_to_speech_character": "15"},
    "openai/draw-quay": {
        "image": "0.04",
        "modes": {
            "1024x1024": {"image": "0.04"},
            "1024x1792": {"image": "0.08"},
            "1024x1792_hd": {"image": "0.12"},
        },
    },
    "openai/one-size-quay": {"image": "0.02"},
    "openai/film-quay": {"video_second": "0.3", "modes": {"1792x1024": {"video_second": "0.5"}}},
    "openai/container": {"container_session": "0.03", "modes": {"1g": {"container_session": "0.03"}}},
    "openai/gpt-quay": {"input": "1", "output": "1"},
    "openai/hear-quay": {"transcription_minute": "0.006"},
    "vertex/imagen-quay": {"image": "0.04"},
    "vertex/veo-quay": {"video_second": "0.4", "modes": {"4k": {"video_second": "0.6"}}},
}

#: The SDKs warn of parts that will go; apps that use them pay all the same.
deprecated = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:.*deprecated")


@pytest.fixture
def app(make_app: MakeApp) -> TrackedApp:
    return make_app(config={"LLM_COST_PRICING_OVERRIDES": PRICES})


def cost(event: Event) -> tuple[str, Decimal | None]:
    return event.cost_status, event.total_cost


def test_speech_is_billed_by_the_characters_of_the_request(
    app: TrackedApp, provider: LoopbackProvider, openai_client: openai.OpenAI
) -> None:
    provider.answer(b"\xff\xfb" * 64, headers={"content-type": "audio/mpeg"})
    openai_client.audio.speech.create(model="tts-quay", voice="alloy", input="ö" * 2_000)

    assert (app.event.operation, app.event.usage_source) == ("speech", "estimated")
    assert cost(app.event) == ("complete", Decimal("0.03"))
    assert "ö" not in repr(app.event)


def test_speech_left_half_heard_is_billed_all_the_same(
    app: TrackedApp, provider: LoopbackProvider, openai_client: openai.OpenAI
) -> None:
    provider.stream([b"\xff\xfb"] * 4, headers={"content-type": "audio/mpeg"}, hold_after=2)
    asked: Any = {"model": "tts-quay", "voice": "alloy", "input": "x" * 2_000}
    with openai_client.audio.speech.with_streaming_response.create(**asked) as response:
        next(response.iter_bytes())
    provider.release()

    assert (app.event.status, *cost(app.event)) == ("aborted", "complete", Decimal("0.03"))


def test_refused_speech_costs_nothing(
    app: TrackedApp, provider: LoopbackProvider, openai_client: openai.OpenAI
) -> None:
    provider.fail(400)
    with pytest.raises(openai.BadRequestError):
        openai_client.audio.speech.create(model="tts-quay", voice="alloy", input="x")

    assert (app.event.usage_source, *cost(app.event)) == ("unknown", "free", None)


@pytest.mark.parametrize(
    ("asked", "mode", "status", "total"),
    [
        ({"model": "draw-quay"}, None, "complete", "0.08"),
        ({"model": "draw-quay", "size": "1024x1024"}, "1024x1024", "complete", "0.08"),
        ({"model": "draw-quay", "size": "1024x1792"}, "1024x1792", "complete", "0.16"),
        ({"model": "draw-quay", "size": "1024x1792", "quality": "hd"}, "1024x1792_hd", "complete", "0.24"),
        ({"model": "draw-quay", "size": "512x512"}, "512x512", "unknown", None),
        ({"model": "one-size-quay", "size": "512x512", "quality": "hd"}, "512x512_hd", "complete", "0.04"),
        ({"model": "nobodys-quay"}, None, "unknown", None),
    ],
)
def test_pictures_are_billed_by_count_size_and_quality(
    app: TrackedApp,
    provider: LoopbackProvider,
    openai_client: openai.OpenAI,
    asked: Any,
    mode: str | None,
    status: str,
    total: str | None,
) -> None:
    provider.answer({"created": 1, "data": [{"url": "https://images.example/1"}] * 2})
    openai_client.images.generate(prompt="the quay", n=2, **asked)

    assert (app.event.pricing_mode, app.event.usage_source) == (mode, "response")
    assert cost(app.event) == (status, None if total is None else Decimal(total))


def test_an_edited_picture_is_asked_for_in_a_form(
    app: TrackedApp, provider: LoopbackProvider, openai_client: openai.OpenAI
) -> None:
    provider.answer({"created": 1, "data": [{"b64_json": "AAAA"}]})
    openai_client.images.edit(model="draw-quay", image=b"PNG", prompt="the quay", size="1024x1792")  # type: ignore[call-overload]

    assert cost(app.event) == ("complete", Decimal("0.08"))


@pytest.mark.parametrize(
    ("told", "total"),
    [
        ({"duration": 90.0}, "0.009"),
        ({"duration": 10.0}, "0.001"),
        ({"usage": {"type": "duration", "seconds": 60}}, "0.006"),
    ],
)
def test_a_recording_is_billed_by_the_minute(
    app: TrackedApp,
    provider: LoopbackProvider,
    openai_client: openai.OpenAI,
    told: dict[str, Any],
    total: str,
) -> None:
    provider.answer({"task": "transcribe", "language": "english", "text": "low water", **told})
    openai_client.audio.transcriptions.create(
        model="hear-quay", file=("quay.wav", b"RIFF"), response_format="verbose_json"
    )

    assert (app.event.operation, app.event.model) == ("transcription", "hear-quay")
    assert cost(app.event) == ("complete", Decimal(total))


@deprecated
def test_a_video_is_billed_by_its_seconds_and_size(
    app: TrackedApp, provider: LoopbackProvider, openai_client: openai.OpenAI
) -> None:
    video = {"id": "video_quay", "object": "video", "status": "queued", "created_at": 1, "progress": 0}
    provider.answer({**video, "model": "film-quay", "seconds": "8", "size": "1792x1024"})
    openai_client.videos.create(model="film-quay", prompt="the quay", seconds="8", size="1792x1024")

    assert app.event.operation == "videos"
    assert (app.event.usage_source, app.event.pricing_mode) == ("response", "1792x1024")
    assert cost(app.event) == ("complete", Decimal("4"))


def code_ran_in(*containers: str) -> dict[str, Any]:
    items = [
        {
            "type": "code_interpreter_call",
            "id": f"ci_{number}",
            "container_id": name,
            "code": "",
            "outputs": [],
            "status": "completed",
        }
        for number, name in enumerate(containers)
    ]
    usage = {"input_tokens": 1_000, "output_tokens": 0, "total_tokens": 1_000}
    return response_object("gpt-quay", output=items, usage=usage)


def test_a_container_is_billed_once_however_many_calls_name_it(
    app: TrackedApp, provider: LoopbackProvider, openai_client: openai.OpenAI
) -> None:
    made = {"object": "container", "created_at": 1, "name": "quay", "status": "running", "memory_limit": "1g"}
    provider.answer({**made, "id": "cntr_a"})
    openai_client.containers.create(name="quay")
    for containers in (["cntr_a"], ["cntr_a", "cntr_b"], ["cntr_b"]):
        provider.answer(code_ran_in(*containers))
        openai_client.responses.create(model="gpt-quay", input="Is the quay open?")

    assert [event.model for event in app.events] == ["container", "gpt-quay", "gpt-quay", "gpt-quay"]
    assert [cost(event) for event in app.events] == [
        ("complete", Decimal("0.03")),
        ("complete", Decimal("0.001")),
        ("complete", Decimal("0.031")),
        ("complete", Decimal("0.001")),
    ]


def test_a_larger_container_has_a_price_of_its_own(
    app: TrackedApp, provider: LoopbackProvider, openai_client: openai.OpenAI
) -> None:
    made = {"object": "container", "created_at": 1, "name": "quay", "status": "running"}
    provider.answer({**made, "id": "cntr_c", "memory_limit": "4g"})
    openai_client.containers.create(name="quay", memory_limit="4g")

    assert (app.event.pricing_mode, *cost(app.event)) == ("4g", "unknown", None)


def drawn(client: genai.Client) -> None:
    client.models.generate_images(model="imagen-quay", prompt="the quay", config={"number_of_images": 2})


def filmed(resolution: str) -> Callable[[genai.Client], None]:
    def film(client: genai.Client) -> None:
        client.models.generate_videos(
            model="veo-quay",
            prompt="the quay",
            config={"duration_seconds": 8, "number_of_videos": 1, "resolution": resolution},
        )

    return film


PICTURE = {"bytesBase64Encoded": "AAAA", "mimeType": "image/png"}


@deprecated
@pytest.mark.parametrize(
    ("ask", "answer", "source", "total"),
    [
        (drawn, {"predictions": [PICTURE]}, "response", "0.04"),  # of two, a filter held one back
        (filmed("4k"), {"name": "models/veo-quay/operations/77"}, "estimated", "4.8"),
        (filmed("720p"), {"name": "models/veo-quay/operations/77"}, "estimated", None),
    ],
    ids=["pictures", "a video of a known size", "a video of an unknown size"],
)
def test_googles_pictures_and_videos_are_billed_by_the_piece(
    app: TrackedApp,
    provider: LoopbackProvider,
    ask: Callable[[genai.Client], None],
    answer: dict[str, Any],
    source: str,
    total: str | None,
) -> None:
    provider.answer(answer)
    options: Any = {"base_url": provider.url, "timeout": 5_000}
    with genai.Client(vertexai=True, api_key="loopback", http_options=options) as client:
        ask(client)

    assert app.event.usage_source == source
    assert app.event.total_cost == (None if total is None else Decimal(total))
