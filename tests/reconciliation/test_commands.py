"""``flask llm-cost reconcile`` and what doctor says of it."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from flask_llm_cost.doctor.bill import bill as bill_check
from flask_llm_cost.reconciliation.admin_api import ATTEMPTS
from tests.cli.apps import CommandApp
from tests.reconciliation.admin_server import COST_REPORT
from tests.reconciliation.admin_server import COSTS
from tests.reconciliation.admin_server import AdminServer
from tests.reconciliation.admin_server import Fault
from tests.reconciliation.admin_server import anthropic_cost
from tests.reconciliation.admin_server import anthropic_day
from tests.reconciliation.admin_server import openai_cost
from tests.reconciliation.admin_server import openai_day
from tests.reconciliation.conftest import KEY
from tests.reconciliation.test_compare import bill
from tests.reconciliation.test_compare import call

DAYS = ("--from", "2026-03-01", "--to", "2026-03-02")


def import_openai(app: CommandApp, server: AdminServer, *more: str) -> object:
    return app.run(
        "reconcile", "import", "--provider", "openai", *DAYS, "--address", server.address, *more
    )  # fmt: skip


def test_import_and_diff_from_end_to_end(stored: CommandApp, server: AdminServer) -> None:
    server.buckets[COSTS] = [openai_day(1, openai_cost(0.5)), openai_day(2, openai_cost(2))]
    server.buckets[COST_REPORT] = [anthropic_day(1, anthropic_cost("150"))]
    call(stored, 1, "0.5")
    call(stored, 2, "2.01")
    call(stored, 1, "1.5", provider="anthropic", model="claude-sonnet-5")
    for provider in ("openai", "anthropic"):
        done = stored.run(
            "reconcile", "import", "--provider", provider, *DAYS, "--what", "costs", "--address",
            server.address, "--format", "json",
        )  # fmt: skip
        assert done.exit_code == 0, done.output
        assert KEY not in done.output
        [told] = json.loads(done.stdout)["imports"]
        assert (told["source"], told["pages"]) == (f"{provider}_costs", 1)

    text = stored.run("reconcile", "diff", *DAYS, "--by", "day", "--by", "model")
    assert text.exit_code == 0, text.output
    assert "2026-03-02" in text.stdout
    assert "agree. Drift is a difference of more than 5 % of the bill, and more than rounding" in text.stdout
    assert "unknown" not in text.stdout.replace("Unknown cost", "")
    told = json.loads(stored.run("reconcile", "diff", *DAYS, "--by", "day", "--format", "json").stdout)
    assert [Decimal(row["difference"]) for row in told["rows"]] == [0, 0, Decimal("0.01")]
    assert told["drifts"] is False
    assert told["unmatched"] == []
    rows = csv.DictReader(
        io.StringIO(stored.run("reconcile", "diff", *DAYS, "--by", "model", "--format", "csv").stdout)
    )
    assert [(row["model"], row["state"]) for row in rows] == [
        ("claude-sonnet-5", "agrees"),
        ("gpt-5-mini", "agrees"),
    ]


def test_drift_exits_1_and_shows_what_has_no_counterpart(app: CommandApp, tmp_path: Path) -> None:
    bill(app, tmp_path, "date,amount,model\n2026-03-01,3,gpt-5-mini\n2026-03-01,4,gpt-5\n")
    call(app, 1, "3")
    found = app.run("reconcile", "diff", *DAYS)

    assert found.exit_code == 1
    assert "The ledger and the bill differ." in found.stdout
    assert "--unmatched shows them" in found.stdout
    assert "gpt-5 " in app.run("reconcile", "diff", *DAYS, "--unmatched").stdout
    assert app.run("reconcile", "diff", *DAYS, "--threshold", "60").exit_code == 0
    bounded = app.run("reconcile", "diff", *DAYS, "--threshold-amount", "4")
    assert (bounded.exit_code, "more than 4.00, and" in bounded.stdout) == (0, True)


def test_a_comparison_of_nothing_exits_1(app: CommandApp, tmp_path: Path) -> None:
    bill(app, tmp_path, "date,amount,model\n2026-03-01,3,gpt-5-mini\n")
    call(app, 1, "3")
    mistyped = app.run("reconcile", "diff", *DAYS, "--provider", "openai", "--provider", "opneai")

    assert app.run("reconcile", "diff", *DAYS, "--provider", "openai").exit_code == 0
    assert mistyped.exit_code == 1
    assert "opneai: no costs are imported of 2026-03-01" in mistyped.stdout
    listed = app.run("reconcile", "diff", *DAYS, "--provider", "opneai", "--format", "csv")
    assert (listed.exit_code, "opneai: no costs are imported" in listed.stderr) == (1, True)


def test_calls_of_unknown_cost_are_said_to_be_unknown(app: CommandApp, tmp_path: Path) -> None:
    bill(app, tmp_path, "date,amount,model\n2026-03-01,3,gpt-5-mini\n")
    call(app, 1, "3")
    call(app, 1, None, model="nobody-knows")
    found = app.run("reconcile", "diff", *DAYS, "--by", "model")

    [row] = [line for line in found.stdout.splitlines() if "nobody-knows" in line]
    assert " ".join(row.split()) == "openai USD nobody-knows none unknown 1 1 cost unknown"
    assert found.exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("diff", "--by", "colour"), "no 'colour' to split by"),
        (("diff", "--threshold", "much"), "not a number from 0 on"),
        (("diff", "--from", "2026-03-02", "--to", "2026-03-01"), "is no period"),
        (("import", "--provider", "mistral"), "--csv FILE"),
        (("import", "--provider", "openai", "--column", "amount=x"), "--column is for --csv"),
        (("import", "--provider", "openai", "--address", "http://example.com/v1"), "cannot be asked"),
        (("import", "--provider", "openai"), "OPENAI_ADMIN_KEY is not set"),
        (("import",), "--provider"),
    ],
)
def test_a_wrong_use_exits_2(
    app: CommandApp, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], message: str
) -> None:
    monkeypatch.delenv("OPENAI_ADMIN_KEY", raising=False)
    done = app.run("reconcile", *arguments)

    assert (done.exit_code, message in done.output) == (2, True), done.output


def test_before_anything_is_imported_diff_says_how_to_begin(app: CommandApp) -> None:
    done = app.run("reconcile", "diff")

    assert done.exit_code == 1
    assert "flask llm-cost reconcile import --provider openai" in done.stdout


def test_a_bad_file_exits_1_and_names_the_place(app: CommandApp, tmp_path: Path) -> None:
    (tmp_path / "march.csv").write_text("date,amount\n2026-03-01,a lot\n")
    done = app.run("reconcile", "import", "--provider", "mistral", "--csv", str(tmp_path / "march.csv"))

    assert done.exit_code == 1
    assert "march.csv was not imported.\nLine 2, column 'amount' is 'a lot'" in done.output


def test_a_file_is_imported_by_command(app: CommandApp, tmp_path: Path) -> None:
    (tmp_path / "march.csv").write_text("When,amount,Note\n2026-03-01,1,x\n")
    done = app.run(
        "reconcile", "import", "--provider", "mistral", "--csv", str(tmp_path / "march.csv"), "--column",
        "date=When",
    )  # fmt: skip

    assert done.exit_code == 0, done.output
    assert "Columns that were not read: 'Note'." in done.stdout


def test_doctor_tells_of_an_import_that_broke_off_and_of_drift(
    app: CommandApp, server: AdminServer, tmp_path: Path
) -> None:
    assert bill_check(app.ledger).status == "ok"
    server.faults.extend([Fault(503, {"Retry-After": "0"})] * ATTEMPTS)
    assert import_openai(app, server).exit_code == 1  # type: ignore[attr-defined]
    broken = bill_check(app.ledger)
    assert (broken.status, "1 import did not end" in broken.evidence) == ("warn", True)
    assert broken.fix == f"flask llm-cost reconcile import --provider openai {' '.join(DAYS)}"
    assert "openai_costs from" in app.run("reconcile", "diff", *DAYS).stdout
    # Nobody needs to go on with it where other imports tell its days, as those of the next nights do.
    more = ("--to", "2026-03-20")
    assert import_openai(app, server, *more).exit_code == 0  # type: ignore[attr-defined]
    assert bill_check(app.ledger).status == "ok"
    assert "openai_costs from" not in app.run("reconcile", "diff", *DAYS).stdout

    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    bill(app, tmp_path, f"date,amount\n{yesterday},10\n", "mistral")
    drift = bill_check(app.ledger)
    assert drift.status == "warn"
    assert "bill of mistral differ by 10 USD (-100.00 %)" in drift.evidence
    old = bill_check(app.ledger, datetime.now(UTC) + timedelta(days=20))
    assert "import of openai is 20 days old" in old.evidence
    assert old.fix == "flask llm-cost reconcile import --provider openai"
    examined = json.loads(app.run("doctor", "--format", "json").stdout)
    assert "reconciliation" in json.dumps(examined)
