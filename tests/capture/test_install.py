"""The patches: checked before, put on once, visible, and taken off without a trace."""

from __future__ import annotations

import inspect
import subprocess
import sys
import types
from typing import Any

import anthropic
import groq
import openai
import pytest

from flask_llm_cost import capture
from flask_llm_cost.capture import sdk_stainless
from flask_llm_cost.errors import CaptureContractError
from tests.capture.conftest import MakeApp
from tests.capture.conftest import TrackedApp
from tests.loopback import LoopbackProvider

ASK: Any = [{"role": "user", "content": "Is the quay open?"}]
CLASSES = [
    getattr(sdk._base_client, name)
    for sdk in (openai, anthropic, groq)
    for name in ("SyncAPIClient", "AsyncAPIClient")
]


def methods() -> list[object]:
    return [vars(cls)[name] for cls in CLASSES for name in ("request", "_process_response")]


def chat(client: openai.OpenAI) -> Any:
    return client.chat.completions.create(model="gpt-quay", messages=ASK)


def run(script: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_the_last_app_leaves_behind_is_what_was_there_before(make_app: MakeApp) -> None:
    before = methods()
    first, second = make_app("first"), make_app("second")
    patched = methods()
    assert all(new is not old for new, old in zip(patched, before, strict=True))
    first.close()
    assert methods() == patched, "the second app still needs them"
    second.close()
    assert methods() == before


def test_a_patched_method_looks_like_the_original(app: TrackedApp) -> None:
    for cls in CLASSES:
        for name in ("request", "_process_response"):
            method = vars(cls)[name]
            assert inspect.signature(method) == inspect.signature(method.__wrapped__)
            assert inspect.iscoroutinefunction(method) == inspect.iscoroutinefunction(method.__wrapped__)
            assert (method.__name__, method.__doc__) == (name, method.__wrapped__.__doc__)


def test_several_apps_and_installs_make_one_row(make_app: MakeApp, openai_client: openai.OpenAI) -> None:
    first, second = make_app("first"), make_app("second", {"LLM_COST_INSTRUMENT": ["openai"]})
    with first.flask.app_context():
        chat(openai_client)
    assert (len(first.events), len(second.events)) == (1, 0)


def test_another_tools_wrapper_on_top_of_ours_survives_us(
    make_app: MakeApp, openai_client: openai.OpenAI
) -> None:
    seen: list[str] = []
    client_class = openai._base_client.SyncAPIClient
    original = vars(client_class)["request"]
    app = make_app("first")
    ours = vars(client_class)["request"]

    def theirs(self: Any, *args: Any, **kwargs: Any) -> Any:
        seen.append("theirs")
        return ours(self, *args, **kwargs)

    client_class.request = theirs
    try:
        chat(openai_client)
        capture.uninstall("auto")
        assert vars(client_class)["request"] is theirs
        chat(openai_client)
        assert len(app.stored) == 1, "ours only passes on now"
        app.close()
        again = make_app("second")
        assert vars(client_class)["request"] is theirs, "ours is still below it"
        chat(openai_client)
        assert len(again.events) == 1
        assert seen == ["theirs"] * 3
    finally:
        client_class.request = ours
        again.close()
    assert vars(client_class)["request"] is original


def test_a_disabled_app_patches_nothing_and_records_nothing(
    make_app: MakeApp, openai_client: openai.OpenAI
) -> None:
    before = methods()
    app = make_app(config={"LLM_COST_ENABLED": False})
    assert methods() == before
    chat(openai_client)
    assert app.events == []


def test_an_sdk_that_an_app_does_not_name_is_not_recorded_for_it(
    make_app: MakeApp, openai_client: openai.OpenAI
) -> None:
    app, other = make_app("some", {"LLM_COST_INSTRUMENT": ["anthropic"]}), make_app("other")
    for active in (app, other):
        with active.flask.app_context():
            chat(openai_client)
    assert (len(app.events), len(other.events)) == (0, 1)


def test_the_status_names_version_and_state(make_app: MakeApp) -> None:
    app = make_app(config={"LLM_COST_INSTRUMENT": ["openai"]})
    states = {found.sdk: found for found in capture.status()}
    assert (states["openai"].state, states["openai"].version) == ("active", openai.__version__)
    assert states["anthropic"].state == "off"
    app.close()
    assert {found.state for found in capture.status()} == {"off"}


def broken_module(**changes: Any) -> types.ModuleType:
    class SyncAPIClient:
        def request(
            self, cast_to: Any, options: Any, *, stream: bool = False, stream_cls: Any = None
        ) -> None: ...

        def _process_response(
            self, *, cast_to: Any, options: Any, response: Any, stream: Any, stream_cls: Any
        ) -> None: ...

    class AsyncAPIClient:
        async def request(
            self, cast_to: Any, options: Any, *, stream: bool = False, stream_cls: Any = None
        ) -> None: ...

        async def _process_response(
            self, *, cast_to: Any, options: Any, response: Any, stream: Any, stream_cls: Any
        ) -> None: ...

    module = types.ModuleType("openai._base_client")
    module.SyncAPIClient, module.AsyncAPIClient = SyncAPIClient, AsyncAPIClient  # type: ignore[attr-defined]
    for name, value in changes.items():
        owner, _, attribute = name.partition("__")
        if attribute:
            setattr(getattr(module, owner), attribute, value)
        else:
            setattr(module, name, value)
    return module


async def _coroutine(self: Any, cast_to: Any, options: Any, *, stream: Any, stream_cls: Any) -> None: ...


def _positional(
    self: Any, response: Any, *, cast_to: Any, options: Any, stream: Any, stream_cls: Any
) -> None: ...


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({}, None),
        ({"SyncAPIClient__request": lambda self, *args, **kwargs: None}, None),
        ({"SyncAPIClient": None}, "has no class SyncAPIClient"),
        ({"SyncAPIClient__request": 3}, "is no method of the class"),
        ({"SyncAPIClient__request": _coroutine}, "coroutine function"),
        ({"AsyncAPIClient__request": lambda self, options: None}, "coroutine function"),
        ({"SyncAPIClient__request": lambda self, options: None}, "takes no cast_to, stream, stream_cls"),
        ({"SyncAPIClient___process_response": _positional}, "takes response by position"),
    ],
    ids=[
        "kept",
        "wrapped by another tool",
        "class gone",
        "no function",
        "became async",
        "became sync",
        "other arguments",
        "positional",
    ],
)
def test_the_contract_is_checked(changes: dict[str, Any], problem: str | None) -> None:
    found = sdk_stainless.broken_contract(broken_module(**changes))
    assert found is None if problem is None else problem in str(found)


def test_a_real_sdk_keeps_the_contract_patched_or_not(make_app: MakeApp) -> None:
    for _ in range(2):
        assert sdk_stainless.broken_contract(openai._base_client) is None
        assert sdk_stainless.broken_contract(anthropic._base_client) is None
        assert sdk_stainless.broken_contract(groq._base_client) is None
        make_app("some")


def test_an_incompatible_sdk_is_left_alone_with_one_warning(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    module = broken_module(SyncAPIClient__request=lambda self, options: None)
    before = vars(module.SyncAPIClient)["request"]
    monkeypatch.setitem(sys.modules, "openai._base_client", module)
    make_app("first")
    make_app("second")
    assert vars(module.SyncAPIClient)["request"] is before
    assert caplog.text.count("cannot be tapped") == 1
    status = next(found for found in capture.status() if found.sdk == "openai")
    assert status.state == "incompatible"
    assert "takes no cast_to" in status.reason


def test_an_incompatible_sdk_asked_for_by_name_is_an_error(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openai._base_client", broken_module(AsyncAPIClient=None))
    with pytest.raises(CaptureContractError, match="has no class AsyncAPIClient"):
        make_app(config={"LLM_COST_INSTRUMENT": ["openai"]})


def test_a_missing_sdk_asked_for_by_name_is_an_error_that_says_how_to_install_it(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openai._base_client", None)
    with pytest.raises(CaptureContractError, match=r"flask-llm-cost\[openai\]"):
        make_app(config={"LLM_COST_INSTRUMENT": ["openai"]})


INIT = """
import sys
from flask import Flask
from flask_llm_cost.extension import LLMCostTracker
from flask_llm_cost import capture
app = Flask("harbour")
events = []
LLMCostTracker(app, storage=events.append)
"""


def test_auto_imports_no_sdk_and_no_http_package() -> None:
    names = ("openai", "anthropic", "google.genai", "aiohttp", "httpx", "httpx2")
    heavy = run(INIT + f"print([n for n in {names} if n in sys.modules])")
    assert heavy.strip() == "[]"


def test_an_sdk_imported_later_is_tapped(provider: LoopbackProvider) -> None:
    script = INIT + (
        "before = capture.status()[0].state\n"
        "import openai\n"
        f"with openai.OpenAI(api_key='k', base_url='{provider.url}/v1') as client:\n"
        "    client.chat.completions.create(model='gpt-quay', messages=[])\n"
        "module = sys.modules['openai._base_client']\n"
        "loaders = type(module.__loader__).__name__, type(module.__spec__.loader).__name__\n"
        "print(before, capture.status()[0].state, len(events), *loaders)"
    )
    assert run(script).split() == ["waiting", "active", "1", "SourceFileLoader", "SourceFileLoader"]


def test_a_stream_that_is_open_at_exit_is_recorded(provider: LoopbackProvider) -> None:
    script = INIT.replace("events.append", "lambda event: print(event.status)") + (
        "import openai\n"
        f"client = openai.OpenAI(api_key='k', base_url='{provider.url}/v1')\n"
        "stream = client.chat.completions.create(model='gpt-quay', messages=[], stream=True)\n"
        "next(stream)"
    )
    assert run(script).strip() == "aborted"


def test_an_sdk_imported_by_another_thread_is_tapped_even_while_apps_are_made() -> None:
    script = INIT + (
        "import threading\n"
        "threading.excepthook = print\n"
        "threads = [threading.Thread(target=__import__, args=('openai',)) for _ in range(3)]\n"
        "for thread in threads: thread.start()\n"
        "for number in range(30): LLMCostTracker(Flask(str(number)), storage=events.append)\n"
        "for thread in threads: thread.join()\n"
        "print(capture.status()[0].state)"
    )
    printed = run(script)
    while "AST constructor recursion depth mismatch" in printed:
        # CPython parses in several threads at once and miscounts (python/cpython#106905): no import of ours.
        printed = run(script)
    assert printed.strip() == "active"


def test_a_reloaded_sdk_is_tapped_again_once() -> None:
    script = INIT + (
        "import importlib, openai\n"
        "module = importlib.reload(sys.modules['openai._base_client'])\n"
        "method = vars(module.SyncAPIClient)['request']\n"
        "print(capture.status()[0].state, hasattr(method, '__wrapped__'), "
        "hasattr(method.__wrapped__, '__wrapped__'))"
    )
    assert run(script).split() == ["active", "True", "False"]


def test_an_sdk_that_fails_to_import_fails_as_without_us() -> None:
    script = INIT + (
        "import os, tempfile\n"
        "with tempfile.TemporaryDirectory() as folder:\n"
        "    os.mkdir(folder + '/openai')\n"
        "    open(folder + '/openai/__init__.py', 'w').write('from . import _base_client')\n"
        "    open(folder + '/openai/_base_client.py', 'w').write('raise OSError(\"no disk\")')\n"
        "    sys.path.insert(0, folder)\n"
        "    try:\n"
        "        import openai\n"
        "    except OSError as error:\n"
        "        print(error, capture.status()[0].state, 'openai._base_client' in sys.modules)\n"
    )
    assert run(script).strip() == "no disk waiting False"


def test_the_import_watcher_answers_for_nothing_else(app: TrackedApp) -> None:
    from flask_llm_cost.capture.install import _watcher

    assert _watcher in sys.meta_path
    assert _watcher.find_spec("openai", None) is None
    assert _watcher.find_spec("json", None) is None
    app.close()
    assert _watcher not in sys.meta_path
