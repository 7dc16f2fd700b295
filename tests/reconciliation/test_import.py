"""Importing from an admin API over real HTTP: formats, pages, limits, failures, and doing it again."""

from __future__ import annotations

import logging
from datetime import UTC
from datetime import date
from datetime import datetime
from datetime import timedelta
from decimal import Decimal
from email.utils import format_datetime

import pytest
from sqlalchemy import select

from flask_llm_cost.errors import ConfigurationError
from flask_llm_cost.ledger import Ledger
from flask_llm_cost.reconciliation import BILLING_PROVIDERS
from flask_llm_cost.reconciliation import Period
from flask_llm_cost.reconciliation import ReconciliationError
from flask_llm_cost.reconciliation import imports
from flask_llm_cost.reconciliation.admin_api import ATTEMPTS
from flask_llm_cost.reconciliation.source import Page
from flask_llm_cost.reconciliation.store import IMPORTS
from flask_llm_cost.reconciliation.store import begin
from flask_llm_cost.reconciliation.store import store_page
from tests.cli.apps import CommandApp
from tests.reconciliation.admin_server import COMPLETIONS
from tests.reconciliation.admin_server import COST_REPORT
from tests.reconciliation.admin_server import COSTS
from tests.reconciliation.admin_server import USAGE_REPORT
from tests.reconciliation.admin_server import AdminServer
from tests.reconciliation.admin_server import Fault
from tests.reconciliation.admin_server import anthropic_cost
from tests.reconciliation.admin_server import anthropic_day
from tests.reconciliation.admin_server import openai_cost
from tests.reconciliation.admin_server import openai_day
from tests.reconciliation.admin_server import openai_tokens
from tests.reconciliation.conftest import KEY
from tests.reconciliation.conftest import Importer
from tests.reconciliation.conftest import lines

FIRST_DAYS = Period.of_days(date(2026, 3, 1), date(2026, 3, 5))


@pytest.fixture
def ledger(app: CommandApp) -> Ledger:
    return app.ledger


@pytest.fixture
def on_every_database(stored: CommandApp) -> Ledger:
    return stored.ledger


def five_days(server: AdminServer) -> None:
    server.buckets[COSTS] = [openai_day(day, openai_cost(day)) for day in range(1, 6)]


def amounts(ledger: Ledger) -> list[Decimal]:
    return [line["amount"] for line in lines(ledger)]


def test_openais_costs_are_stored_as_they_are_told(
    on_every_database: Ledger, server: AdminServer, importer: Importer
) -> None:
    told = openai_cost(
        0.13080438340307526, "gpt-5-mini-2025-08-07, cached input", project_id="proj_1", api_key_id="key_1"
    )
    server.buckets[COSTS] = [openai_day(1, told, openai_cost(-2, "credit")), openai_day(2)]
    done = importer(on_every_database, "openai_costs", FIRST_DAYS)

    assert (done.pages, done.lines) == (1, 2)
    cost, credit = sorted(lines(on_every_database), key=lambda line: line["row_type"])
    assert cost["amount"] == Decimal("0.130804383403")
    assert credit["row_type"] == "credit"
    assert credit["amount"] == -2
    assert cost == {
        **cost,
        "provider": "openai",
        "source": "openai_costs",
        "row_type": "cost",
        "bucket_start": datetime(2026, 3, 1, tzinfo=UTC),
        "bucket_end": datetime(2026, 3, 2, tzinfo=UTC),
        "provider_account": "proj_1",
        "api_key_id": "key_1",
        "model": "gpt-5-mini-2025-08-07",
        "line_item": "gpt-5-mini-2025-08-07, cached input",
        "component": "cache_read_input",
        "currency": "USD",
        "rounding": Decimal("0.000000000001"),
    }
    [asked] = server.asked
    assert asked.query["group_by[]"] == ["project_id", "line_item", "api_key_id"]
    assert asked.query["start_time"] == ["1772323200"]
    assert asked.headers["authorization"] == f"Bearer {KEY}"


def test_openais_tokens_do_not_overlap(ledger: Ledger, server: AdminServer, importer: Importer) -> None:
    newer = openai_tokens(
        input_tokens=1_000, input_cached_tokens=400, input_cache_write_tokens=100, input_uncached_tokens=500,
        input_audio_tokens=50, output_tokens=90, output_audio_tokens=30, num_model_requests=7, batch=True,
    )  # fmt: skip
    older = openai_tokens(input_tokens=100, input_cached_tokens=100, input_audio_tokens=60, model="gpt-4o")
    server.buckets[COMPLETIONS] = [openai_day(1, newer, older)]
    importer(ledger, "openai_usage_completions", FIRST_DAYS)

    found = {(line["model"], line["component"]): line for line in lines(ledger)}
    assert {key: line["quantity"] for key, line in found.items()} == {
        ("gpt-5-mini", "input"): 450,
        ("gpt-5-mini", "audio_input"): 50,
        ("gpt-5-mini", "cache_read_input"): 400,
        ("gpt-5-mini", "cache_write_input"): 100,
        ("gpt-5-mini", "output"): 60,
        ("gpt-5-mini", "audio_output"): 30,
        ("gpt-5-mini", "calls"): 7,
        ("gpt-4o", "cache_read_input"): 100,
    }
    assert found["gpt-5-mini", "input"]["pricing_mode"] == "batch"
    assert {line["row_type"] for line in found.values()} == {"usage"}


def test_every_kind_of_openais_usage_is_asked_for(
    ledger: Ledger, server: AdminServer, importer: Importer
) -> None:
    for kind, field in {
        "images": "images",
        "audio_transcriptions": "seconds",
        "vector_stores": "usage_bytes",
    }.items():
        server.buckets[f"/v1/organization/usage/{kind}"] = [openai_day(1, {field: 90})]
    for source in BILLING_PROVIDERS["openai"].sources:
        importer(ledger, source.name, FIRST_DAYS)

    assert {(line["component"], line["quantity"], line["unit"]) for line in lines(ledger)} == {
        ("image", Decimal(90), "image"),
        ("transcription_minute", Decimal("1.5"), "minute"),
        ("stored_byte", Decimal(90), "byte"),
    }
    assert len({asked.path for asked in server.asked}) == 11


def test_anthropics_cents_become_dollars_without_loss(
    on_every_database: Ledger, server: AdminServer, importer: Importer
) -> None:
    server.buckets[COST_REPORT] = [
        anthropic_day(
            1,
            anthropic_cost("123.78912"),
            anthropic_cost("0.5", "cache_creation.ephemeral_1h_input_tokens", workspace_id="wrkspc_1"),
            anthropic_cost(
                "2", None, cost_type="web_search", model=None, service_tier=None, description="Web Search"
            ),
        )
    ]
    importer(on_every_database, "anthropic_costs", FIRST_DAYS)

    found = {line["component"]: line for line in lines(on_every_database)}
    assert {name: line["amount"] for name, line in found.items()} == {
        "output": Decimal("1.2378912"),
        "cache_write_extended_input": Decimal("0.005"),
        "web_search_request": Decimal("0.02"),
    }
    assert found["cache_write_extended_input"]["provider_account"] == "wrkspc_1"
    [asked] = server.asked
    assert asked.headers["x-api-key"] == KEY
    assert asked.headers["anthropic-version"] == "2023-06-01"
    assert asked.query["starting_at"] == ["2026-03-01T00:00:00Z"]
    assert asked.query["ending_at"] == ["2026-03-06T00:00:00Z"]


def test_anthropics_usage_is_stored_by_component(
    ledger: Ledger, server: AdminServer, importer: Importer
) -> None:
    result = {
        "uncached_input_tokens": 1_500,
        "cache_read_input_tokens": 200,
        "cache_creation": {"ephemeral_1h_input_tokens": 1_000, "ephemeral_5m_input_tokens": 500},
        "output_tokens": 500,
        "server_tool_use": {"web_search_requests": 10},
        "model": "claude-sonnet-5",
        "service_tier": "batch",
        "workspace_id": None,
        "api_key_id": "apikey_1",
    }
    server.buckets[USAGE_REPORT] = [anthropic_day(2, result)]
    importer(ledger, "anthropic_usage_messages", FIRST_DAYS)

    found = lines(ledger)
    assert {line["component"]: line["quantity"] for line in found} == {
        "input": 1_500,
        "cache_read_input": 200,
        "cache_write_extended_input": 1_000,
        "cache_write_input": 500,
        "output": 500,
        "web_search_request": 10,
    }
    assert {(line["pricing_mode"], line["api_key_id"]) for line in found} == {("batch", "apikey_1")}


def test_all_pages_are_read(on_every_database: Ledger, server: AdminServer, importer: Importer) -> None:
    five_days(server)
    server.page_size = 2
    done = importer(on_every_database, "openai_costs", FIRST_DAYS)

    assert (done.pages, done.lines) == (3, 5)
    assert server.pages_asked(COSTS) == ["", "2", "4"]
    assert amounts(on_every_database) == [1, 2, 3, 4, 5]


def test_importing_twice_gives_the_same_rows(
    on_every_database: Ledger, server: AdminServer, importer: Importer
) -> None:
    five_days(server)
    server.page_size = 2
    importer(on_every_database, "openai_costs", FIRST_DAYS)
    once = lines(on_every_database)
    importer(on_every_database, "openai_costs", FIRST_DAYS)

    assert lines(on_every_database) == once
    [state] = imports(on_every_database)
    assert (state.status, state.pages, state.lines) == ("complete", 3, 5)


def test_what_the_provider_has_corrected_replaces_what_it_said(
    on_every_database: Ledger, server: AdminServer, importer: Importer
) -> None:
    five_days(server)
    importer(on_every_database, "openai_costs", FIRST_DAYS)
    server.buckets[COSTS] = [openai_day(1, openai_cost("1.5")), openai_day(2)]  # and the rest is left out
    importer(on_every_database, "openai_costs", FIRST_DAYS)

    assert amounts(on_every_database) == [Decimal("1.5")]


def test_a_day_that_two_imports_share_is_there_once(
    on_every_database: Ledger, server: AdminServer, importer: Importer
) -> None:
    five_days(server)
    importer(on_every_database, "openai_costs", Period.of_days(date(2026, 3, 1), date(2026, 3, 3)))
    importer(on_every_database, "openai_costs", Period.of_days(date(2026, 3, 3), date(2026, 3, 5)))

    assert amounts(on_every_database) == [1, 2, 3, 4, 5]


def test_results_that_nothing_tells_apart_are_added_up(
    on_every_database: Ledger, server: AdminServer, importer: Importer
) -> None:
    """On one page, and where a day goes on on the next one."""
    server.buckets[COSTS] = [
        openai_day(1, openai_cost(1), openai_cost(2)),
        openai_day(1, openai_cost(4)),
    ]
    server.page_size = 1
    importer(on_every_database, "openai_costs", FIRST_DAYS)

    assert amounts(on_every_database) == [7]


def test_a_rate_limit_is_waited_for(ledger: Ledger, server: AdminServer, importer: Importer) -> None:
    five_days(server)
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    server.faults.extend([Fault(429, {"Retry-After": "7"}), Fault(429, {"Retry-After": later}), Fault(429)])
    importer(ledger, "openai_costs", FIRST_DAYS)

    assert importer.pauses[0] == 7
    assert 0 < importer.pauses[1] <= 30
    assert importer.pauses[2] == 4
    assert len(lines(ledger)) == 5


@pytest.mark.parametrize(
    "fault", [Fault(500), Fault(503), Fault(529), Fault()], ids=["500", "503", "529", "cut off"]
)
def test_a_failure_that_passes_is_tried_again(
    ledger: Ledger, server: AdminServer, importer: Importer, fault: Fault
) -> None:
    five_days(server)
    server.faults.extend([fault, fault])
    importer(ledger, "openai_costs", FIRST_DAYS)

    assert importer.pauses == [1, 2]
    assert amounts(ledger) == [1, 2, 3, 4, 5]


def test_a_broken_import_goes_on_where_it_stopped(
    on_every_database: Ledger, server: AdminServer, importer: Importer
) -> None:
    five_days(server)
    server.page_size = 2
    server.faults.extend([None, *[Fault()] * ATTEMPTS])
    with pytest.raises(ReconciliationError, match=r"was cut off.*goes on where it stopped"):
        importer(on_every_database, "openai_costs", FIRST_DAYS)

    assert amounts(on_every_database) == [1, 2]
    [state] = imports(on_every_database)
    assert (state.status, state.pages, state.problem) == ("failed", 1, "ReconciliationError")
    server.asked.clear()
    done = importer(on_every_database, "openai_costs", FIRST_DAYS)

    assert server.pages_asked(COSTS) == ["2", "4"]
    assert (done.resumed, done.pages, done.lines) == (True, 3, 5)
    assert amounts(on_every_database) == [1, 2, 3, 4, 5]


def test_a_page_that_the_provider_has_forgotten_begins_the_import_anew(
    ledger: Ledger, server: AdminServer, importer: Importer
) -> None:
    five_days(server)
    server.page_size = 2
    server.known_tokens = False
    with pytest.raises(ReconciliationError, match="does not know the page any more"):
        importer(ledger, "openai_costs", FIRST_DAYS)  # which it had named just before
    assert server.pages_asked(COSTS) == ["", "2"]
    server.page_size = 1_000
    done = importer(ledger, "openai_costs", FIRST_DAYS)

    assert server.pages_asked(COSTS)[2:] == ["2", ""]
    assert (done.resumed, done.pages) == (False, 1)
    assert amounts(ledger) == [1, 2, 3, 4, 5]


def test_of_two_imports_of_one_period_only_the_later_goes_on(
    on_every_database: Ledger, server: AdminServer, importer: Importer
) -> None:
    server.buckets[COSTS] = [openai_day(1, openai_cost(1))]
    earlier = begin(on_every_database, "openai", "openai_costs", FIRST_DAYS)
    importer(on_every_database, "openai_costs", FIRST_DAYS)
    with pytest.raises(ReconciliationError, match="goes on at the same time"):
        store_page(on_every_database, earlier, Page([], [], None))

    assert amounts(on_every_database) == [1]


def test_the_key_is_in_no_representation(importer: Importer) -> None:
    assert KEY not in repr(importer.api("openai"))


def test_a_long_pause_is_left_to_the_user(ledger: Ledger, server: AdminServer, importer: Importer) -> None:
    five_days(server)
    server.faults.append(Fault(429, {"Retry-After": "3600"}))
    with pytest.raises(ReconciliationError, match="left alone for 3600 seconds: run the command again"):
        importer(ledger, "openai_costs", FIRST_DAYS)

    assert importer.pauses == []


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (401, r"refused the key \(401\)\. OPENAI_ADMIN_KEY must hold an admin key"),
        (403, "refused the key"),
        (302, "redirects .*not followed"),
        (400, r"answered 400 \(Bad Request\)"),
    ],
)
def test_a_refusal_says_what_to_do_and_quotes_nothing(
    ledger: Ledger,
    server: AdminServer,
    importer: Importer,
    caplog: pytest.LogCaptureFixture,
    status: int,
    message: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    server.faults.append(Fault(status, {"Location": server.address}))
    with pytest.raises(ReconciliationError, match=message) as refused:
        importer(ledger, "openai_costs", FIRST_DAYS)

    assert importer.pauses == []
    assert len(server.asked) == 1
    stored = ledger.reading(lambda connection: connection.execute(select(IMPORTS)).mappings().one())
    for text in (str(refused.value), caplog.text, repr(dict(stored))):
        assert "sk-" not in text
        assert "start_time" not in text


@pytest.mark.parametrize(
    ("result", "place"),
    [
        (openai_cost("much"), r"data\[0\]\.results\[0\]\.amount\.value is no amount"),
        (openai_cost(10_000_000), r"amount\.value is no amount below 1,000,000"),
        (openai_cost("NaN"), "is no amount below"),
        (openai_cost(1, project_id=7), r"project_id is no text"),
    ],
    ids=["text", "too much", "nan", "name"],
)
def test_what_makes_no_sense_is_refused_with_its_place(
    ledger: Ledger, server: AdminServer, importer: Importer, result: dict[str, object], place: str
) -> None:
    server.buckets[COSTS] = [openai_day(1, result)]
    with pytest.raises(ReconciliationError, match=rf"/v1/organization/costs, page 1: .*{place}"):
        importer(ledger, "openai_costs", FIRST_DAYS)

    assert lines(ledger) == []


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("http://api.example.com/v1", "api.example.com cannot be asked"),
        ("https://me:secret@api.example.com/v1", "without user and password"),
        ("https://api.example.com/v1?key=1", "no query"),
    ],
)
def test_the_key_goes_to_safe_addresses_only(server: AdminServer, address: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as refused:
        BILLING_PROVIDERS["openai"].api(address)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("key", ["", "  ", "sk-a\nb", "sk-ä"])
def test_a_missing_or_odd_key_is_named_and_not_quoted(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("ANTHROPIC_ADMIN_KEY", key)
    with pytest.raises(ConfigurationError, match="ANTHROPIC_ADMIN_KEY") as refused:
        BILLING_PROVIDERS["anthropic"].api()
    assert "sk-" not in str(refused.value)
