"""The route table: what is billed, and in which format it is answered."""

from __future__ import annotations

import pytest

from flask_llm_cost.providers import Route
from flask_llm_cost.providers import find_route
from flask_llm_cost.providers import only_reads
from flask_llm_cost.providers import read_request
from flask_llm_cost.providers.routes import _find_route

OPENAI = "api.openai.com"
ANTHROPIC = "api.anthropic.com"


def post(path: str, host: str = OPENAI) -> Route:
    return find_route("POST", host, path)


@pytest.mark.parametrize(
    "path",
    [
        "/chat/completions",
        "/v1/chat/completions",
        "/v1/chat/completions/",
        "/v1/chat/completions?api-version=2026-02-01",
        "//v1//chat/completions",
        "/openai/v1/chat/completions",
        "/api/v1/chat/completions",
        "/openai/deployments/quay-mini/chat/completions?api-version=2026-02-01",
        "/v1/0a1b2c/gateway/openai/chat/completions",
        "/compatibility/v1/chat/completions",
        "https://gateway.example/v1/chat/completions?trace=1",
    ],
)
def test_chat_is_found_behind_versions_deployments_and_prefixes(path: str) -> None:
    route = post(path)

    assert (route.operation, route.protocol, route.billing) == ("chat", "openai_chat", "usage")


@pytest.mark.parametrize(
    ("path", "operation", "protocol"),
    [
        ("/completions", "completions", "openai_completions"),
        ("/embeddings", "embeddings", "openai_embeddings"),
        ("/responses", "responses", "openai_responses"),
        ("/responses?beta=true", "responses", "openai_responses"),
        ("/v1/responses/compact", "responses", "openai_responses"),
        ("/v1/fim/completions", "completions", "openai_chat"),
        ("/v1/messages", "messages", "anthropic_messages"),
        ("/v1/messages?beta=true", "messages", "anthropic_messages"),
        ("/anthropic/v1/messages", "messages", "anthropic_messages"),
        ("/images/generations", "images", None),
        ("/images/edits", "images", None),
        ("/audio/transcriptions", "transcription", None),
        ("/videos", "videos", "openai_video"),
        ("/videos/video_1/remix", "videos", "openai_video"),
        ("/containers", "other", "openai_container"),
        ("/threads/runs", "other", None),
        ("/threads/thread_1/runs", "other", None),
    ],
)
def test_what_is_billed_and_says_how_much(path: str, operation: str, protocol: str | None) -> None:
    route = post(path)

    assert (route.operation, route.protocol, route.billing) == (operation, protocol, "usage")


@pytest.mark.parametrize(
    ("path", "operation"),
    [
        ("/audio/speech", "speech"),
        ("/images/variations", "images"),
        ("/videos/characters", "videos"),
        ("/v1/complete", "completions"),
        ("/fine_tuning/jobs", "other"),
    ],
)
def test_what_is_billed_without_saying_how_much(path: str, operation: str) -> None:
    route = post(path)

    assert (route.operation, route.protocol, route.billing) == (operation, None, "no_usage")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/responses/input_tokens"),
        ("DELETE", "/responses/resp_1"),
        ("GET", "/models"),
        ("GET", "/models/gpt-5"),
        ("POST", "/files"),
        ("GET", "/files/file_1"),
        ("GET", "/batches"),
        ("GET", "/responses/resp_1/input_items"),
        ("GET", "/threads/thread_1/runs"),
        ("GET", "/threads/thread_1/runs/run_1/steps"),
        ("POST", "/moderations"),
        ("POST", "/batches"),
        ("POST", "/batches/batch_1/cancel"),
        ("POST", "/chat/completions/chatcmpl_1"),
        ("GET", "/chat/completions"),
        ("POST", "/threads/thread_1/messages"),
        ("POST", "/v1/messages/count_tokens?beta=true"),
        ("POST", "/v1/messages/batches"),
        ("POST", "/v1/messages/batches/msgbatch_1/cancel"),
        ("GET", "/v1/messages/batches/msgbatch_1"),
    ],
)
def test_what_costs_nothing(method: str, path: str) -> None:
    assert find_route(method, OPENAI, path).billing == "free"
    assert only_reads(method, path.partition("?")[0]) == (method != "POST")


@pytest.mark.parametrize(
    ("method", "path", "protocol"),
    [
        ("GET", "/responses/resp_1", "openai_responses"),
        ("GET", "/v1/responses/resp_1?stream=true&starting_after=4", "openai_responses"),
        ("POST", "/v1/responses/resp_1/cancel", "openai_responses"),
        ("GET", "/v1/threads/thread_1/runs/run_1", None),
        ("POST", "/threads/thread_1/runs/run_1/cancel", None),
    ],
)
def test_what_asks_for_work_that_was_begun_before(method: str, path: str, protocol: str | None) -> None:
    route = find_route(method, OPENAI, path)

    assert (route.billing, route.protocol) == ("later", protocol)


@pytest.mark.parametrize(
    ("path", "protocol", "resource"),
    [
        ("/files/file_1/content", "openai_batch", "file_1"),
        ("/openai/v1/files/file_1/content", "openai_batch", "file_1"),
        ("/openai/files/file_1/content?api-version=2026-02-01", "openai_batch", "file_1"),
        ("/v1/messages/batches/msgbatch_1/results", "anthropic_batch", "msgbatch_1"),
        ("https://api.anthropic.com/v1/messages/batches/msgbatch_1/results", "anthropic_batch", "msgbatch_1"),
        ("batches/9f1", "gemini_batch", "9f1"),
        ("/v1beta/batches/9f1", "gemini_batch", "9f1"),
        ("files/batch-9f1:download?alt=media", "gemini_batch_file", "batch-9f1"),
        ("/download/v1beta/files/batch-9f1:download?alt=media", "gemini_batch_file", "batch-9f1"),
    ],
)
def test_what_asks_for_the_results_of_a_batch(path: str, protocol: str, resource: str) -> None:
    route = find_route("GET", OPENAI, path)

    assert (route.billing, route.protocol, route.resource) == ("results", protocol, resource)


@pytest.mark.parametrize("path", ["/v1/rerank", "/novelties", "/agents/quays", "/", ""])
def test_a_request_that_nobody_knows_is_judged_by_its_answer(path: str) -> None:
    route = post(path)

    assert (route.operation, route.protocol, route.billing) == ("other", None, "unknown")


def test_the_provider_is_the_hosts_else_the_apps_word_else_the_sdks_name() -> None:
    def provider(host: str, sdk: str | None = "openai") -> str:
        hosts = {"gateway.example": "mistral"}
        return find_route("POST", host, "/chat/completions", sdk=sdk, provider_hosts=hosts).provider

    assert provider("openrouter.ai") == "openrouter"
    assert provider("gateway.example") == "mistral"
    assert provider("127.0.0.1:9999") == "openai"
    assert provider("127.0.0.1:9999", sdk=None) == "unknown"


def test_the_host_of_a_full_url_wins() -> None:
    assert post("https://api.deepseek.com/chat/completions").provider == "deepseek"


def test_an_azure_deployment_is_the_model_where_the_request_names_none() -> None:
    route = post("/openai/deployments/Quay-Mini/chat/completions", "harbour.openai.azure.com")

    assert route.provider == "azure"
    assert read_request(route, {"messages": []}).model == "Quay-Mini"
    assert read_request(route, {"model": "quay-large"}).model == "quay-large"


def test_a_request_tells_its_model_stream_and_tier() -> None:
    facts = read_request(post("/responses"), {"model": "gpt-5", "stream": True, "service_tier": "flex"})

    assert (facts.model, facts.stream, facts.pricing_mode) == ("gpt-5", True, "flex")


def test_a_request_without_a_body_tells_nothing() -> None:
    facts = read_request(post("/responses"), None)

    assert (facts.model, facts.stream, facts.pricing_mode) == (None, False, None)


def test_odd_values_in_a_request_are_not_told() -> None:
    facts = read_request(post("/responses"), {"model": 5, "stream": "yes", "service_tier": ["flex"]})

    assert (facts.model, facts.stream, facts.pricing_mode) == (None, False, None)


@pytest.mark.parametrize(
    ("fields", "mode"),
    [
        ({"service_tier": "auto"}, None),
        ({"service_tier": "standard_only"}, None),
        ({"speed": "fast"}, "fast"),
        ({"speed": "fast", "inference_geo": "us"}, "fast_data_residency"),
        ({"inference_geo": "us"}, "data_residency"),
        ({"inference_geo": "global"}, None),
    ],
)
def test_an_anthropic_request_asks_for_speed_and_place(fields: dict[str, object], mode: str | None) -> None:
    assert read_request(post("/v1/messages", ANTHROPIC), fields).pricing_mode == mode


def test_fast_is_openais_other_name_for_the_priority_tier() -> None:
    assert read_request(post("/chat/completions"), {"service_tier": "fast"}).pricing_mode == "priority"


GEMINI = "generativelanguage.googleapis.com"
VERTEX = "europe-west4-aiplatform.googleapis.com"
PLACE = "/v1/projects/quay/locations/europe-west4"


@pytest.mark.parametrize(
    ("host", "path", "operation", "model"),
    [
        (GEMINI, "models/gemini-2.5-flash:generateContent", "generate_content", "gemini-2.5-flash"),
        (GEMINI, "/v1beta/models/gemini-2.5-flash:generateContent", "generate_content", "gemini-2.5-flash"),
        (GEMINI, "tunedModels/quay-1:generateContent", "generate_content", "tunedModels/quay-1"),
        (GEMINI, "models/gemini-embedding-001:batchEmbedContents", "embeddings", "gemini-embedding-001"),
        (
            VERTEX,
            f"{PLACE}/publishers/google/models/gemini-embedding-2:embedContent",
            "embeddings",
            "gemini-embedding-2",
        ),
        (
            VERTEX,
            f"{PLACE}/publishers/google/models/gemini-3.5-flash:generateContent",
            "generate_content",
            "gemini-3.5-flash",
        ),
        (VERTEX, f"{PLACE}/endpoints/77:generateContent", "generate_content", "endpoints/77"),
    ],
)
def test_gemini_names_verb_and_model_in_the_path(host: str, path: str, operation: str, model: str) -> None:
    route = post(path, host)

    assert (route.operation, route.protocol, route.billing) == (operation, "gemini_generate", "usage")
    assert (route.provider, route.stream) == ("google" if host == GEMINI else "vertex", False)
    assert read_request(route, {"model": "models/other"}).model == model


def test_gemini_asks_for_a_stream_in_the_path_and_for_a_tier_in_the_body() -> None:
    route = post("models/gemini-3.5-flash:streamGenerateContent?alt=sse", GEMINI)

    facts = read_request(route, {"contents": [], "serviceTier": "flex"})
    assert (facts.model, facts.stream, facts.pricing_mode) == ("gemini-3.5-flash", True, "flex")
    assert read_request(route, {"serviceTier": "unspecified"}).pricing_mode is None
    assert read_request(route, {"service_tier": "flex"}).pricing_mode is None


@pytest.mark.parametrize(
    ("path", "operation"),
    [
        ("cachedContents", "other"),
        ("tunedModels", "other"),
        ("fileSearchStores/quay:importFile", "other"),
    ],
)
def test_what_google_bills_without_saying_how_much(path: str, operation: str) -> None:
    route = post(path, GEMINI)

    assert (route.operation, route.protocol, route.billing) == (operation, None, "no_usage")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "models/gemini-2.5-flash:countTokens"),
        ("POST", "publishers/google/models/gemini-2.5-flash:computeTokens"),
        ("POST", "models/gemini-2.5-flash:batchGenerateContent"),
        ("POST", "models/gemini-embedding-001:asyncBatchEmbedContent"),
        ("POST", "batches/77:cancel"),
        ("POST", "upload/v1beta/files"),
        ("POST", "auth_tokens"),
        ("GET", "models/gemini-2.5-flash"),
        ("PATCH", "cachedContents/77"),
        ("DELETE", "tunedModels/quay-1"),
    ],
)
def test_what_costs_nothing_at_google(method: str, path: str) -> None:
    assert find_route(method, GEMINI, path).billing == "free"


@pytest.mark.parametrize(
    ("path", "operation", "protocol"),
    [
        ("models/imagen-4:predict", "images", "google_predict"),
        ("publishers/google/models/text-embedding-005:predict", "embeddings", "google_predict"),
        ("models/veo-3:predictLongRunning", "videos", "google_video"),
    ],
)
def test_what_google_bills_by_the_piece(path: str, operation: str, protocol: str) -> None:
    route = post(path, GEMINI)

    assert (route.operation, route.protocol) == (operation, protocol)
    assert route.model == path.split("/")[-1].split(":")[0]


def test_a_verb_that_nobody_knows_is_judged_by_its_answer() -> None:
    route = post("models/gemini-9:dream", GEMINI)

    assert (route.protocol, route.billing, route.model) == ("gemini_generate", "unknown", "gemini-9")
    assert post("/v1/responses/resp:1/dream").billing == "unknown"


def test_geminis_compatible_paths_speak_openais_format() -> None:
    route = post("/v1beta/openai/chat/completions", GEMINI)

    assert (route.provider, route.protocol) == ("google", "openai_chat")


def test_a_key_in_the_address_is_not_remembered_and_changes_nothing() -> None:
    address = "generativelanguage.googleapis.com/v1beta/models/gemini-2.5-flash:generateContent"
    plain = find_route("POST", "", f"https://{address}")
    remembered = _find_route.cache_info().currsize

    assert find_route("POST", "", f"https://{address}?key=quay-secret") == plain
    assert find_route("POST", "", f"https://harbour:quay-secret@{address}") == plain
    assert (plain.provider, plain.model) == ("google", "gemini-2.5-flash")
    assert _find_route.cache_info().currsize == remembered
