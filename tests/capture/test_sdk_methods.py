"""Every method of an SDK that sends a request is known to be billed or not.

A new release with a method that is not in the tables below fails here: find out whether the provider bills
it, put it down, and give it a route if it is.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field
from fnmatch import fnmatchcase
from inspect import signature
from types import ModuleType
from typing import Any

import anthropic
import groq
import openai
import pytest

from tests.capture.conftest import TrackedApp
from tests.capture.conftest import http_of

#: Recorded, whether or not the answer tells a usage.
BILLED = {
    "openai": """
        audio.speech.create audio.transcriptions.create audio.translations.create
        beta.agents.automations.invocations.create beta.agents.sessions.create
        beta.agents.sessions.events.create beta.chat.completions.create beta.chat.completions.parse
        beta.responses.compact beta.responses.create beta.threads.create_and_run beta.threads.runs.create
        beta.threads.runs.submit_tool_outputs chat.completions.create chat.completions.parse
        completions.create containers.create decisions.create embeddings.create evals.runs.create
        fine_tuning.alpha.graders.run fine_tuning.jobs.create images.create_variation images.edit
        images.generate live.create live.sessions.accept live.sessions.fork realtime.calls.accept
        realtime.calls.create responses.compact responses.create responses.parse videos.create
        videos.create_character videos.edit videos.extend videos.remix
    """,
    "anthropic": """
        beta.deployments.run beta.dreams.create beta.messages.create beta.messages.parse
        beta.prompt_caching.messages.create beta.sessions.events.send completions.create messages.create
        messages.parse messages.stream
    """,
    "groq": """
        audio.speech.create audio.transcriptions.create audio.translations.create chat.completions.create
        embeddings.create
    """,
}
#: Not recorded, whatever the answer says.
FREE = {
    "openai": """
        batches.cancel batches.create beta.chat.completions.update beta.responses.cancel
        beta.responses.input_tokens.count beta.threads.messages.create beta.threads.messages.update
        beta.threads.runs.cancel beta.threads.runs.update chat.completions.update containers.files.create
        files.create moderations.create responses.cancel responses.input_tokens.count
        uploads.complete uploads.create vector_stores.files.create beta.agents.environments.files.create
        beta.vector_stores.files.create
    """,
    "anthropic": """
        beta.files.upload beta.messages.batches.cancel beta.messages.batches.create
        beta.messages.count_tokens files.upload messages.batches.cancel messages.batches.create
        messages.count_tokens
    """,
    "groq": "batches.cancel batches.create files.create",
}
#: Not billed by themselves, as far as the provider says; recorded if an answer tells a usage one day.
UNKNOWN = {
    "openai": """
        admin.* audio.voice_consents.* audio.voices.* beta.agents.create beta.agents.update
        beta.agents.automations.create beta.agents.automations.pause beta.agents.automations.resume
        beta.agents.automations.update beta.agents.environments.* beta.agents.sessions.update
        beta.agents.vaults.* beta.assistants.create beta.assistants.update beta.chatkit.sessions.*
        beta.realtime.sessions.create beta.realtime.transcription_sessions.create beta.threads.create
        beta.threads.update beta.vector_stores.* content_provenance_checks.create conversations.create
        conversations.items.create conversations.update evals.create evals.update evals.runs.cancel
        fine_tuning.alpha.graders.validate fine_tuning.checkpoints.permissions.create
        fine_tuning.jobs.cancel fine_tuning.jobs.pause fine_tuning.jobs.resume live.sessions.hangup
        live.sessions.refer live.sessions.reject realtime.calls.hangup realtime.calls.refer
        realtime.calls.reject realtime.client_secrets.create realtime.translations.client_secrets.create
        skills.create skills.update skills.versions.create uploads.cancel uploads.parts.create
        vector_stores.create vector_stores.search vector_stores.update vector_stores.file_batches.cancel
        vector_stores.file_batches.create vector_stores.files.update
        webhooks.create webhooks.rotate_secret webhooks.test webhooks.update
    """,
    "anthropic": """
        beta.agents.* beta.compliance.* beta.deployments.archive beta.deployments.create
        beta.deployments.pause beta.deployments.unpause beta.deployments.update beta.dreams.archive
        beta.dreams.cancel beta.environments.* beta.memory_stores.* beta.organization.*
        beta.sessions.archive beta.sessions.create beta.sessions.update beta.sessions.resources.*
        beta.sessions.threads.archive beta.skills.* beta.tunnels.* beta.user_profiles.* beta.vaults.*
        organization.* skills.create skills.versions.create user_profiles.*
    """,
    "groq": "",
}
CLASSES = {"billed": BILLED, "free": FREE, "unknown": UNKNOWN}
#: What a method is given where the letter x will not do.
ARGUMENTS: dict[str, Any] = {
    "archive": b"x",
    "audio_sample": b"x",
    "body": {"x": 1},
    "data": b"x",
    "file": b"x",
    "files": [b"x"],
    "image": b"x",
    "max_tokens": 5,
    "messages": [],
    "recording": b"x",
    "requests": [],
    "stream": False,
    "video": b"x",
}
USED = {"usage": {"input_tokens": 7, "output_tokens": 3}}

_SENDS = re.compile(r"self\._(get|post|put|patch|delete|get_api_list)\(")


def resources(node: Any, base: type, path: str = "") -> Iterator[tuple[str, Any]]:
    for name in dir(node):
        found = None if name.startswith(("_", "with_")) else getattr(node, name)
        if isinstance(found, base):
            yield f"{path}{name}.", found
            yield from resources(found, base, f"{path}{name}.")


def sending_methods(client: Any, sdk: ModuleType) -> Iterator[tuple[str, Callable[..., Any]]]:
    base = importlib.import_module(f"{sdk.__name__}._resource").SyncAPIResource
    for path, resource in resources(client, base):
        for name, function in inspect.getmembers(type(resource), inspect.isfunction):
            if not name.startswith("_") and _SENDS.search(inspect.getsource(inspect.unwrap(function))):
                yield f"{path}{name}", getattr(resource, name)


@dataclass
class Sent:
    """What the client sends to its transport, and what that answers."""

    answer: dict[str, Any] = field(default_factory=dict)
    method: str | None = None


def call(method: Callable[..., Any], sent: Sent) -> None:
    """Call a method with as little as it accepts; some want one of several sets of arguments."""
    parameters = signature(inspect.unwrap(method)).parameters.values()
    named = [each for each in parameters if each.name != "self" and each.kind is not each.VAR_KEYWORD]
    required = [each for each in named if each.default is each.empty]
    for given, values in ((required, ARGUMENTS), (named, ARGUMENTS), (named, {})):
        sent.method = None
        names = [each.name for each in given if not each.name.startswith(("extra_", "timeout", "betas"))]
        try:
            method(**{name: values.get(name, "x") for name in names})
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
        if sent.method is not None:
            return
    raise AssertionError(f"{method} sends nothing, give it ARGUMENTS: {problem}")


def expected(sdk: str, name: str) -> str:
    exact = [kind for kind, table in CLASSES.items() if name in table[sdk].split()]
    wild = [kind for kind, table in CLASSES.items() if any(fnmatchcase(name, p) for p in table[sdk].split())]
    return (exact or wild or ["in no table"])[0]


def is_recorded(app: TrackedApp, method: Callable[..., Any], sent: Sent) -> bool:
    app.stored.clear()
    call(method, sent)
    return bool(app.events)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("sdk", "client_class"),
    [(openai, "OpenAI"), (anthropic, "Anthropic"), (groq, "Groq")],
    ids=["openai", "anthropic", "groq"],
)
def test_every_method_that_sends_a_request_is_billed_or_not(
    app: TrackedApp, sdk: ModuleType, client_class: str
) -> None:
    sent = Sent()
    http = http_of(sdk)

    def answer(request: Any) -> Any:
        sent.method = request.method
        return http.Response(200, json=sent.answer)

    make = getattr(sdk, client_class)
    keys = {key: "loopback" for key in ("api_key", "admin_api_key") if key in signature(make).parameters}
    pool = http.Client(transport=http.MockTransport(answer))
    found: dict[str, str] = {}
    wanted: dict[str, str] = {}
    with make(**keys, http_client=pool, max_retries=0) as client:
        for name, method in sending_methods(client, sdk):
            sent.answer = USED
            told = is_recorded(app, method, sent)
            sent.answer = {}
            untold = is_recorded(app, method, sent)
            found[name] = "billed" if untold else "unknown" if told else "free"
            wanted[name] = expected(sdk.__name__, name) if sent.method == "POST" else "free"
    assert {"chat.completions.create", "messages.create"} & found.keys()
    assert {name: kind for name, kind in found.items() if kind != wanted[name]} == {}
