"""The proof of capture: through the SDKs' own clients into the ledger, and out again without a trace."""

from __future__ import annotations

import importlib
import json
import socket
import sys
from decimal import Decimal
from pathlib import Path

import groq
import openai
import pytest
from sqlalchemy import func
from sqlalchemy import select

from flask_llm_cost.doctor import Step
from flask_llm_cost.doctor import verify_capture
from flask_llm_cost.events import Event
from flask_llm_cost.ledger import Base
from flask_llm_cost.ledger import Meta
from flask_llm_cost.ledger import RollupCoverage
from flask_llm_cost.signals import call_recorded
from tests.cli.apps import CommandApp
from tests.cli.apps import MakeCommandApp

STEPS = ["captured", "priced", "stored", "removed"]
LOOKED_AT = ["found", "contract", "tapped"]
SDKS = ["openai", "anthropic", "google", "groq"]
TRANSPORTS = ["http_transport() of httpx", "http_transport() of httpx2", "requests_adapter()"]


def proof(app: CommandApp) -> list[Step]:
    with app.flask.app_context():
        return list(verify_capture(app.runtime))


def of_sdks(steps: list[Step]) -> list[Step]:
    return [step for step in steps if step.subject in SDKS]


def rows(app: CommandApp) -> dict[str, int]:
    """How many rows each table has, the ledger's own facts left out."""
    with app.ledger.session() as session:
        return {
            table.name: session.scalar(select(func.count()).select_from(table)) or 0
            for table in Base.metadata.sorted_tables
            if table.name not in (Meta.__tablename__, RollupCoverage.__tablename__)
        }


def test_a_call_of_each_sdk_goes_all_the_way_and_leaves_nothing(stored: CommandApp) -> None:
    stored.call(tags={"feature": "chat"})
    before = rows(stored)
    steps = proof(stored)

    assert [(step.subject, step.name) for step in steps] == [
        *[(sdk, name) for sdk in SDKS for name in LOOKED_AT],
        *[(way, name) for way in (*SDKS, *TRANSPORTS) for name in STEPS],
    ]
    assert {step.status for step in steps} == {"ok"}
    assert rows(stored) == before


def test_the_exact_cost_is_told_and_is_that_of_the_prices_in_force(
    make_app: MakeCommandApp, tmp_path: Path
) -> None:
    app = make_app(f"sqlite:///{tmp_path / 'a.sqlite'}", LLM_COST_DISCOUNTS={"openai": "0.5"}).create_tables()
    priced = {step.subject: step.evidence for step in proof(app) if step.name == "priced"}

    assert priced["openai"].startswith("0.000225 USD"), "gpt-5-mini: 0.25 and 2 per million, half off"
    assert priced["anthropic"].startswith("0.0045 USD")
    assert priced["google"].startswith("0.00055 USD"), "gemini-2.5-flash: 0.3 and 2.5 per million"


def test_an_sdk_that_only_another_app_of_the_process_taps_is_not_proved(
    make_app: MakeCommandApp, tmp_path: Path
) -> None:
    make_app(f"sqlite:///{tmp_path / 'other.sqlite'}")
    app = make_app(f"sqlite:///{tmp_path / 'a.sqlite'}", LLM_COST_INSTRUMENT=["openai"]).create_tables()
    assert [(step.subject, step.status) for step in of_sdks(proof(app))] == [
        *[("openai", "ok")] * len(LOOKED_AT),
        ("anthropic", "skip"),
        ("google", "skip"),
        ("groq", "skip"),
        *[("openai", "ok")] * len(STEPS),
    ]


def test_the_http_packages_that_the_app_uses_are_proved_where_they_are_asked_for(
    make_app: MakeCommandApp, tmp_path: Path
) -> None:
    for package in ("httpx", "httpx2", "urllib3", "aiohttp"):
        importlib.import_module(package)
    app = make_app(f"sqlite:///{tmp_path / 'a.sqlite'}", LLM_COST_INSTRUMENT=["http"]).create_tables()
    proved = [(step.subject, step.name) for step in proof(app) if step.status == "ok"]
    packages = ("httpx", "httpx2", "urllib3", "aiohttp")
    assert proved == [
        *[(package, step) for package in packages for step in LOOKED_AT],
        *[(way, step) for way in (*packages, *TRANSPORTS) for step in STEPS],
    ]
    assert not any(rows(app).values())


def test_the_made_up_call_looks_like_a_real_one(app: CommandApp) -> None:
    seen: list[Event] = []

    def receive(sender: object, event: Event) -> None:
        seen.append(event)

    with call_recorded.connected_to(receive):
        proof(app)

    for event in seen:
        assert event.tags == {"feature": "llm_cost_verify"}
        assert (event.provider_response_id or "").startswith("llm_cost_verify_")
        assert (event.input_tokens, event.output_tokens) == (1_000, 100)
        assert event.usage_source == "response"
    assert [event.provider for event in seen] == [*SDKS, *["openai"] * len(TRANSPORTS)]
    assert [event.operation for event in seen][:4] == ["chat", "messages", "generate_content", "chat"]


def test_nothing_leaves_the_machine(app: CommandApp, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("GOOGLE_GENAI_USE_VERTEXAI", "true")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)

    assert {step.status for step in proof(app)} == {"ok"}


def test_without_a_tapped_sdk_the_other_ways_are_proved(make_app: MakeCommandApp, database_url: str) -> None:
    app = make_app(database_url, LLM_COST_INSTRUMENT=()).create_tables()
    steps = proof(app)

    assert [(step.subject, step.name, step.status) for step in steps] == [
        *((sdk, "tapped", "skip") for sdk in SDKS),
        *((way, name, "ok") for way in TRANSPORTS for name in STEPS),
    ]
    assert not any(rows(app).values())


def test_with_nothing_installed_the_way_of_track_is_proved(
    make_app: MakeCommandApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("httpx", "httpx2", "requests"):
        monkeypatch.setitem(sys.modules, package, None)
    app = make_app(f"sqlite:///{tmp_path / 'a.sqlite'}", LLM_COST_INSTRUMENT=()).create_tables()
    assert [(step.subject, step.status) for step in proof(app)][len(SDKS) :] == [("track()", "ok")] * len(
        STEPS
    )


def test_an_sdk_that_breaks_the_contract_fails_the_proof_and_says_what_is_broken(
    make_app: MakeCommandApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(groq._base_client.AsyncAPIClient, "_process_response")
    app = make_app(f"sqlite:///{tmp_path / 'a.sqlite'}").create_tables()
    failed = [step for step in proof(app) if step.status == "error"]

    assert [(step.subject, step.name) for step in failed] == [("groq", "contract")]
    assert (
        "groq._base_client.AsyncAPIClient._process_response is no method of the class" in failed[0].evidence
    )
    assert failed[0].fix.startswith("pip install --upgrade groq flask-llm-cost")


def test_an_sdk_that_is_not_asked_for_is_skipped(make_app: MakeCommandApp, tmp_path: Path) -> None:
    app = make_app(f"sqlite:///{tmp_path / 'a.sqlite'}", LLM_COST_INSTRUMENT=["anthropic"]).create_tables()
    assert [(step.subject, step.status) for step in of_sdks(proof(app))] == [
        ("openai", "skip"),
        *[("anthropic", "ok")] * len(LOOKED_AT),
        ("google", "skip"),
        ("groq", "skip"),
        *[("anthropic", "ok")] * len(STEPS),
    ]


def test_a_switched_off_tracker_fails_the_proof(make_app: MakeCommandApp, tmp_path: Path) -> None:
    result = make_app(f"sqlite:///{tmp_path / 'a.sqlite'}", LLM_COST_ENABLED=False).run("verify-capture")

    assert result.exit_code == 1
    assert "LLM_COST_ENABLED = True" in result.stdout


def test_calls_that_go_to_the_log_are_not_sent_there(
    make_app: MakeCommandApp, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    result = make_app(f"sqlite:///{tmp_path / 'a.sqlite'}", LLM_COST_STORAGE="log").run("verify-capture")

    assert result.exit_code == 0
    assert "LLM_COST_STORAGE is 'log'" in result.stdout
    assert not caplog.records


def test_a_storage_callable_is_not_called(make_app: MakeCommandApp, tmp_path: Path) -> None:
    received: list[Event] = []
    app = make_app(f"sqlite:///{tmp_path / 'a.sqlite'}", storage=received.append)

    assert app.run("verify-capture").exit_code == 0
    assert not received


def test_a_tag_limit_of_zero_does_not_fail_the_proof(make_app: MakeCommandApp, tmp_path: Path) -> None:
    app = make_app(f"sqlite:///{tmp_path / 'a.sqlite'}", LLM_COST_MAX_TAGS=0).create_tables()
    assert {step.status for step in proof(app)} == {"ok"}


def test_in_memory_sqlite_is_proved_on_its_one_connection(make_app: MakeCommandApp) -> None:
    app = make_app("sqlite://").create_tables()
    assert {step.status for step in proof(app)} == {"ok"}


def test_tags_of_the_app_do_not_get_in_the_way(make_app: MakeCommandApp, tmp_path: Path) -> None:
    app = make_app(
        f"sqlite:///{tmp_path / 'a.sqlite'}", default_tags={"region": "eu", "feature": "chat"}
    ).create_tables()
    assert {step.status for step in proof(app)} == {"ok"}


def test_a_ledger_that_loses_line_items_fails_the_proof_and_is_left_clean(app: CommandApp) -> None:
    with app.ledger.engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER lose AFTER INSERT ON llm_cost_line_items "
            "BEGIN DELETE FROM llm_cost_line_items; END"
        )
    result = app.run("verify-capture")

    assert result.exit_code == 1
    assert "The line items do not add up to the cost." in result.stdout
    assert not any(rows(app).values())


def test_a_proof_that_is_broken_off_leaves_nothing(app: CommandApp) -> None:
    with app.flask.app_context():
        steps = verify_capture(app.runtime)
        for step in steps:
            if step.name == "stored":
                break
        steps.close()  # type: ignore[attr-defined]

    assert not any(rows(app).values())


def test_json_tells_every_step(stored: CommandApp) -> None:
    result = stored.run("verify-capture", "--format", "json")
    document = json.loads(result.stdout)

    assert result.exit_code == 0
    assert document["ok"] is True
    assert document["steps"][0]["evidence"] == f"openai {openai.__version__}"
    assert document["steps"][len(SDKS) * len(LOOKED_AT)] == {
        "subject": "openai",
        "step": "captured",
        "status": "ok",
        "evidence": "openai/gpt-5-mini was seen once.",
        "fix": "",
    }


def test_the_text_says_which_way_calls_arrive(app: CommandApp) -> None:
    assert "Calls arrive by way of openai, anthropic, google, groq, " in app.run("verify-capture").stdout


def test_rollups_of_real_calls_are_as_before(stored: CommandApp) -> None:
    stored.call("gpt-5-mini")
    proof(stored)

    with stored.flask.app_context():
        assert stored.tracker.calls.total_cost() == Decimal("0.00045")
        assert stored.tracker.calls.count() == 1
    assert "rollups equal the calls" in stored.run("doctor", "--deep").stdout


def test_an_sdk_that_is_installed_and_cannot_be_imported_fails_the_proof(
    make_app: MakeCommandApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "groq._base_client", None)
    app = make_app(f"sqlite:///{tmp_path / 'a.sqlite'}").create_tables()
    failed = [step for step in proof(app) if step.status == "error"]
    assert [(step.subject, step.evidence) for step in failed] == [
        ("groq", f"groq {groq.__version__}: It is installed and cannot be imported.")
    ]


@pytest.mark.parametrize(
    "arguments", [["--format", "xml"], ["--sdk"], ["openai"]], ids=lambda given: given[-1]
)
def test_wrong_arguments_are_a_usage_error_and_call_nothing(app: CommandApp, arguments: list[str]) -> None:
    seen: list[Event] = []

    def receive(sender: object, event: Event) -> None:
        seen.append(event)

    with call_recorded.connected_to(receive):
        result = app.run("verify-capture", *arguments)
    assert (result.exit_code, seen) == (2, [])
    assert "Usage: " in result.output
