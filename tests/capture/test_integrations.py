"""Integrations of other packages: installed beside an app, they go the way of the SDKs known here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "acme_integration"
GROUP = "flask_llm_cost.integrations"

#: The SDK that the example taps.
SDK = """
class Client:
    def __init__(self, send=None):
        self._send = send or (lambda body: {
            "id": "acme-1", "model": "acme-large", "tokens": {"read": 70, "written": 30}})

    def post(self, model, **body):
        return self._send({"model": model, **body})
"""
APP = """
import json, logging, sys
logging.basicConfig(format="LOG %(message)s", stream=sys.stdout)
from flask import Flask
from flask_llm_cost import LLMCostTracker, capture

def tracked(name="pier", **config):
    app, events = Flask(name), []
    app.config.update({"LLM_COST_UNKNOWN_PRICING": "ignore", **config})
    tracker = LLMCostTracker()
    tracker.init_app(app, storage=events.append)
    return app, tracker, events

def status(name="acme"):
    return next(((s.state, s.version, s.reason) for s in capture.status() if s.sdk == name), None)
"""


def install(folder: Path, name: str, version: str, entry_points: Mapping[str, str] | None = None) -> None:
    """The metadata that pip would write."""
    metadata = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    lines = [f"{key} = {value}" for key, value in (entry_points or {}).items()]
    (metadata / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *lines, ""]))


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder of installed packages: the SDK, and the example that taps it."""
    (tmp_path / "acme_sdk").mkdir()
    (tmp_path / "acme_sdk" / "__init__.py").touch()
    (tmp_path / "acme_sdk" / "client.py").write_text(SDK)
    install(tmp_path, "acme-sdk", "2.5")
    project: dict[str, Any] = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    install(tmp_path, project["name"], project["version"], project["entry-points"][GROUP])
    (tmp_path / "acme_llm_cost.py").write_text((EXAMPLE / "acme_llm_cost.py").read_text())
    return tmp_path


def run(site: Path, script: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", APP + script],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": f"{site}{os.pathsep}{ROOT}"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def test_an_integration_is_part_of_auto_and_waits_for_its_sdk(site: Path) -> None:
    script = """
app, tracker, events = tracked()
print("acme_sdk" in sys.modules, status())
from acme_sdk.client import Client
print(status())
print(Client().post("acme-large", prompt="Is the pier open?")["id"])
event = events[0]
print(len(events), event.provider, event.model, event.input_tokens, event.output_tokens)
with app.app_context():
    tracker.shutdown()
Client().post("acme-large")
print(len(events), hasattr(Client.post, "__wrapped__"))
"""
    assert run(site, script) == [
        "False ('waiting', '2.5', 'It will be tapped when the app imports it.')",
        "('active', '2.5', 'Every call of its clients is seen. Tapped: acme_sdk.client.')",
        "acme-1",
        "1 acme acme-large 70 30",
        "1 False",
    ]


def test_an_integration_can_be_named_or_left_out(site: Path) -> None:
    script = """
named, _, seen = tracked("named", LLM_COST_INSTRUMENT=["acme"])
without, _, unseen = tracked("without", LLM_COST_INSTRUMENT=["openai"])
from acme_sdk.client import Client
for app in (named, without):
    with app.app_context():
        Client().post("acme-large")
print(len(seen), len(unseen))
"""
    assert run(site, script) == ["1 0"]


def test_an_unknown_name_is_an_error_that_lists_the_integration_too(site: Path) -> None:
    script = """
from flask_llm_cost import ConfigurationError
try:
    tracked(LLM_COST_INSTRUMENT=["acne"])
except ConfigurationError as error:
    print(error)
"""
    (line,) = run(site, script)
    assert line.endswith("known: auto, openai, anthropic, google, groq, http, acme. Did you mean 'acme'?")


def test_an_sdk_that_breaks_the_contract_of_an_integration_is_left_alone(site: Path) -> None:
    (site / "acme_sdk" / "client.py").write_text("class Client:\n    def send(self): ...\n")
    script = """
from flask_llm_cost import CaptureContractError
tracked()
import acme_sdk.client
print(status())
try:
    tracked("named", LLM_COST_INSTRUMENT=["acme"])
except CaptureContractError as error:
    print(error)
"""
    warning, found, error = run(site, script)
    assert warning.startswith(
        "LOG acme-sdk 2.5 cannot be tapped, its calls are not recorded: acme_sdk.client"
    )
    assert "'incompatible', '2.5', 'acme_sdk.client has no Client.post; its calls are not" in found
    assert error.startswith("LLM_COST_INSTRUMENT names 'acme', whose version 2.5 cannot be tapped")


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("raise OSError('secret')", "it raised OSError"),
        ("integration = 3", "it is a int, not an Integration"),
        (
            "from flask_llm_cost.capture import Integration\n"
            "integration = Integration(name='other', distribution='x', taps={})",
            "the integration calls itself 'other'",
        ),
        (
            "from flask_llm_cost.capture import Integration\n"
            "integration = Integration(name='acme', distribution='x', taps={'acme_sdk': object()})",
            "its taps must be a mapping of a module's name to an object with the functions of Tap",
        ),
    ],
    ids=["fails to import", "no integration", "another name", "no tap"],
)
def test_a_broken_integration_warns_once_and_breaks_nothing(site: Path, code: str, problem: str) -> None:
    (site / "acme_llm_cost.py").write_text(code)
    script = """
from flask_llm_cost import CaptureContractError
tracked("one")
tracked("two")
print(status())
try:
    tracked("named", LLM_COST_INSTRUMENT=["acme"])
except CaptureContractError as error:
    print(error)
"""
    warning, found, error = run(site, script)
    assert warning == f"LOG The integration acme of acme-llm-cost is left out: {problem}"
    assert found.startswith("('incompatible', '1.0', ")
    assert f"It is left out: its entry point 'acme_llm_cost:integration' cannot be used: {problem}." in found
    assert error.startswith("LLM_COST_INSTRUMENT names 'acme', which cannot be used: its entry point")


def test_a_tap_that_raises_breaks_nothing(site: Path) -> None:
    (site / "acme_llm_cost.py").write_text(
        "from flask_llm_cost.capture import Integration\n"
        "class Tap:\n"
        "    def broken_contract(self, module): return None\n"
        "    def patch(self, sdk, module): raise OSError('secret')\n"
        "    def unpatch(self, module): raise OSError('secret')\n"
        "    def is_patched(self, module): raise OSError('secret')\n"
        "integration = Integration(name='acme', distribution='acme-sdk', taps={'acme_sdk.client': Tap()})"
    )
    script = """
app, tracker, events = tracked()
import acme_sdk.client
print(status())
with app.app_context():
    tracker.shutdown()
"""
    assert run(site, script) == [
        "LOG acme-sdk 2.5 cannot be tapped, its calls are not recorded: "
        "acme_sdk.client could not be patched (OSError)",
        "('incompatible', '2.5', 'acme_sdk.client could not be patched (OSError); its calls are not "
        "recorded.')",
        "LOG acme_sdk.client could not be left as it was (OSError)",
    ]


def test_an_integration_cannot_take_the_name_of_ours(site: Path) -> None:
    install(site, "impostor", "1.0", {"openai": "acme_llm_cost:integration"})
    lines = run(site, "tracked()\nprint([s.distribution for s in capture.status() if s.sdk == 'openai'])")
    assert lines[0].endswith("of impostor is left out: an integration of this name is known already")
    assert lines[1].startswith("['openai'")


def test_doctor_and_verify_capture_show_an_integration(site: Path) -> None:
    prices = {"acme/acme-large": {"input": "1", "output": "2"}}
    script = f"""
from flask_sqlalchemy import SQLAlchemy
app = Flask("pier")
app.config.update(SQLALCHEMY_DATABASE_URI="sqlite://", LLM_COST_INSTRUMENT=["acme"],
                  LLM_COST_PRICING_OVERRIDES={prices!r})
db = SQLAlchemy(app)
LLMCostTracker(app, db)
with app.app_context():
    db.create_all()
run = app.test_cli_runner().invoke
print(run(args=["llm-cost", "verify-capture", "--format", "json"]).output.replace("\\n", ""))
print(run(args=["llm-cost", "doctor", "--format", "json"]).output.replace("\\n", ""))
"""
    proof, checks = map(json.loads, run(site, script))
    steps = [step for step in proof["steps"] if step["subject"] == "acme"]
    names = ["found", "contract", "tapped", "captured", "priced", "stored", "removed"]
    assert [(step["step"], step["status"]) for step in steps] == [(name, "ok") for name in names]
    assert steps[0]["evidence"] == "acme-sdk 2.5"
    assert steps[4]["evidence"] == "0.0012 USD for 1,000 tokens in and 100 out."
    check = next(check for check in checks["checks"] if check["check"] == "capture acme")
    assert check["evidence"].startswith("acme-sdk 2.5: active. Every call of its clients is seen")
