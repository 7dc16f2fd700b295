"""The patches of google-genai: checked before, put on once, and taken off without a trace."""

from __future__ import annotations

import inspect
import subprocess
import sys
import types as python_types
from typing import Any

import pytest
from google import genai
from google.genai import _api_client

from flask_llm_cost import capture
from flask_llm_cost.capture import sdk_google
from flask_llm_cost.errors import CaptureContractError
from tests.capture.conftest import MakeApp
from tests.capture.conftest import RunAsync
from tests.capture.conftest import TrackedApp
from tests.capture.google_calls import generate
from tests.capture.google_calls import quiet_aiohttp
from tests.capture.google_calls import read_all
from tests.capture.google_calls import streamed
from tests.loopback import LoopbackProvider

pytestmark = quiet_aiohttp

METHODS = (*sdk_google._METHODS, *sdk_google._ATTEMPTS)


def methods() -> list[object]:
    return [vars(_api_client.BaseApiClient)[name] for name in METHODS]


def test_the_last_app_leaves_the_sdk_as_it_was(make_app: MakeApp, google_client: genai.Client) -> None:
    before = methods()
    first, second = make_app("first"), make_app("second")
    patched = methods()
    assert all(new is not old for new, old in zip(patched, before, strict=True))
    with second.flask.app_context():
        generate(google_client)
    assert (len(first.events), len(second.events)) == (0, 1)
    first.close()
    assert methods() == patched
    second.close()
    assert methods() == before


def test_a_patched_method_looks_like_the_original(app: TrackedApp) -> None:
    for method in methods():
        original = method.__wrapped__  # type: ignore[attr-defined]
        for look in (inspect.signature, inspect.iscoroutinefunction, inspect.isgeneratorfunction):
            assert look(method) == look(original)  # type: ignore[operator]
        assert method.__doc__ == original.__doc__


def test_an_sdk_that_an_app_does_not_name_is_not_recorded_for_it(
    make_app: MakeApp, google_client: genai.Client
) -> None:
    app, other = make_app("some", {"LLM_COST_INSTRUMENT": ["openai"]}), make_app("other")
    for active in (app, other):
        with active.flask.app_context():
            generate(google_client)
            list(streamed(google_client))
    assert (len(app.events), len(other.events)) == (0, 2)


def test_a_wrapper_that_could_not_be_taken_off_only_passes_on(
    make_app: MakeApp, google_client: genai.Client, run_google: RunAsync
) -> None:
    app = make_app("first")
    ours = vars(_api_client.BaseApiClient)["request"]

    def theirs(self: Any, *args: Any, **kwargs: Any) -> Any:
        return ours(self, *args, **kwargs)

    _api_client.BaseApiClient.request = theirs  # type: ignore[method-assign]
    try:
        capture.uninstall("auto")
        generate(google_client)
        list(streamed(google_client))
        run_google(generate)
        run_google(read_all)
        assert app.events == []
    finally:
        _api_client.BaseApiClient.request = ours  # type: ignore[method-assign]
        capture.install("auto")


def test_the_status_names_version_and_state(make_app: MakeApp) -> None:
    app = make_app(config={"LLM_COST_INSTRUMENT": ["google"]})

    def status() -> capture.SdkStatus:
        return next(found for found in capture.status() if found.sdk == "google")

    assert (status().state, status().version, status().distribution) == (
        "active",
        genai.__version__,
        "google-genai",
    )
    app.close()
    assert status().state == "off"


def module_with(**changes: Any) -> python_types.ModuleType:
    class BaseApiClient:
        def request(
            self, http_method: Any, path: Any, request_dict: Any, http_options: Any = None
        ) -> None: ...
        async def async_request(
            self, http_method: Any, path: Any, request_dict: Any, http_options: Any = None
        ) -> None: ...
        def request_streamed(
            self, http_method: Any, path: Any, request_dict: Any, http_options: Any = None
        ) -> None: ...
        async def async_request_streamed(
            self, http_method: Any, path: Any, request_dict: Any, http_options: Any = None
        ) -> None: ...

    module = python_types.ModuleType("google.genai._api_client")
    module.BaseApiClient = BaseApiClient  # type: ignore[attr-defined]
    for name, value in changes.items():
        setattr(module if name == "BaseApiClient" else BaseApiClient, name, value)
    return module


async def _any_async(self: Any, **kwargs: Any) -> None: ...


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({}, None),
        ({"request": lambda self, *args, **kwargs: None, "async_request": _any_async}, None),
        ({"BaseApiClient": None}, "has no class BaseApiClient"),
        ({"request_streamed": 3}, "request_streamed is no method of the class"),
        ({"request": _any_async}, "coroutine function"),
        ({"async_request_streamed": lambda self, **kwargs: None}, "coroutine function"),
        ({"request": lambda self, path: None}, "takes no http_method, request_dict, http_options"),
    ],
    ids=["kept", "wrapped by another tool", "class gone", "no function", "async", "sync", "other arguments"],
)
def test_the_contract_is_checked(changes: dict[str, Any], problem: str | None) -> None:
    found = sdk_google.broken_contract(module_with(**changes))
    assert found is None if problem is None else problem in str(found)


def test_the_real_sdk_keeps_the_contract_patched_or_not(make_app: MakeApp) -> None:
    assert sdk_google.broken_contract(_api_client) is None
    make_app()
    assert sdk_google.broken_contract(_api_client) is None


def test_an_incompatible_sdk_asked_for_by_name_is_an_error(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "google.genai._api_client", module_with(request=3))
    with pytest.raises(CaptureContractError, match="request is no method of the class"):
        make_app(config={"LLM_COST_INSTRUMENT": ["google"]})


def test_an_sdk_imported_later_is_tapped(provider: LoopbackProvider) -> None:
    script = f"""
from flask import Flask
from flask_llm_cost import capture
from flask_llm_cost.extension import LLMCostTracker

events = []
app = Flask("harbour")
LLMCostTracker(app, storage=events.append)
states = [found.state for found in capture.status() if found.sdk == "google"]
from google import genai

with genai.Client(api_key="k", http_options={{"base_url": "{provider.url}"}}) as client:
    client.models.generate_content(model="gemini-jetty", contents="Is the jetty open?")
states += [found.state for found in capture.status() if found.sdk == "google"]
print(*states, *(event.model for event in events))
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["waiting", "active", "gemini-jetty"]
