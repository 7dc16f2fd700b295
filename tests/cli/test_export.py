"""Calls, line items and tags as files: exact, streamed, and resumable."""

from __future__ import annotations

import csv
import io
import json
import os
import resource
import signal
import subprocess
import sys
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet
import pytest
from sqlalchemy import func
from sqlalchemy import select

from flask_llm_cost.ledger import LlmCall
from tests.cli.apps import CommandApp
from tests.cli.apps import MakeCommandApp
from tests.made_events import event

NOW = datetime(2026, 3, 14, 12, 30, tzinfo=UTC)


def fill(app: CommandApp) -> None:
    app.call(at=NOW, user="ann", tags={"feature": "chat", "note": "=1+1"}, details={"ticket": 7})
    app.call("gpt-5-mini", at=NOW + timedelta(days=1), user="ben")
    app.call("claude-sonnet-5", provider="anthropic", at=NOW + timedelta(days=2), trackable=("Ticket", "7"))
    app.call("nobody-knows", at=NOW + timedelta(days=3), status="error", error_type="Timeout")


def as_csv(app: CommandApp, *arguments: str) -> list[dict[str, str]]:
    result = app.run("export", *arguments)
    assert result.exit_code == 0, result.output
    return list(csv.DictReader(io.StringIO(result.stdout)))


def test_calls_come_out_exactly_as_they_are_stored(stored: CommandApp) -> None:
    fill(stored)
    rows = as_csv(stored)

    with stored.flask.app_context():
        calls = list(stored.tracker.calls.rows("asc"))
    assert [row["id"] for row in rows] == [str(call.id) for call in calls]
    assert [row["total_cost"] for row in rows] == [
        "" if call.total_cost is None else format(call.total_cost, "f") for call in calls
    ]
    assert rows[0]["total_cost"] == "0.002250000000"
    assert rows[0]["occurred_at"] == "2026-03-14T12:30:00.000000Z"
    assert json.loads(rows[0]["tags"]) == {"feature": "chat", "note": "=1+1"}
    assert json.loads(rows[0]["details"]) == {"ticket": 7}
    assert (rows[0]["stream"], rows[0]["http_status"], rows[3]["cost_status"]) == ("false", "", "unknown")
    names = [column.name for column in LlmCall.__table__.columns]
    assert set(rows[0]) == {name for name in names if name != "batch_id"}


def test_line_items_add_up_to_their_calls(stored: CommandApp) -> None:
    fill(stored)
    calls = {row["id"]: row for row in as_csv(stored)}
    items = as_csv(stored, "line-items")

    sums: dict[str, Decimal] = {}
    for item in items:
        assert item["event_id"] == calls[item["call_id"]]["event_id"]
        if item["cost"]:
            sums[item["call_id"]] = sums.get(item["call_id"], Decimal(0)) + Decimal(item["cost"])
    assert {key: str(total) for key, total in sums.items()} == {
        key: row["total_cost"] for key, row in calls.items() if row["total_cost"]
    }


def test_no_cell_runs_as_a_formula(stored: CommandApp) -> None:
    fill(stored)
    stored.call(user="=cmd|' /C calc'!A0", request_type="\t=2", at=NOW)
    tags = as_csv(stored, "tags")
    assert [(tag["key"], tag["value"]) for tag in tags] == [("feature", "chat"), ("note", "'=1+1")]
    assert as_csv(stored)[-1]["user_id"].startswith("'=cmd")


def test_json_lines_carry_every_digit_and_every_type(stored: CommandApp) -> None:
    fill(stored)
    result = stored.run("export", "--format", "jsonl")
    rows = [json.loads(line) for line in result.stdout.splitlines()]

    assert rows[0]["tags"] == {"feature": "chat", "note": "=1+1"}
    assert rows[0]["total_cost"] == "0.002250000000"
    assert (rows[0]["input_tokens"], rows[0]["stream"], rows[0]["http_status"]) == (1_000, False, None)
    assert rows[3]["total_cost"] is None
    assert result.stdout.isascii()


def test_parquet_has_exact_decimals_and_utc(stored: CommandApp, tmp_path: Path) -> None:
    fill(stored)
    path = tmp_path / "calls.parquet"
    result = stored.run("export", "--format", "parquet", "--output", str(path))
    assert result.exit_code == 0, result.output

    table = pyarrow.parquet.read_table(path)
    assert table.num_rows == 4
    assert table["total_cost"].to_pylist()[:2] == [Decimal("0.002250000000"), Decimal("0.000450000000")]
    assert table["total_cost"].to_pylist()[3] is None
    assert table["occurred_at"].to_pylist()[0] == NOW
    assert table["input_tokens"].to_pylist()[0] == 1_000
    assert json.loads(table["tags"].to_pylist()[0]) == {"feature": "chat", "note": "=1+1"}


@pytest.mark.parametrize("what", ["line-items", "tags"])
def test_children_come_as_parquet_too(app: CommandApp, tmp_path: Path, what: str) -> None:
    fill(app)
    path = tmp_path / "rows.parquet"
    assert app.run("export", what, "--format", "parquet", "--output", str(path)).exit_code == 0
    assert pyarrow.parquet.read_table(path).num_rows == len(as_csv(app, what))


@pytest.mark.parametrize(
    ("narrowed", "models"),
    [
        (["--provider", "openai", "--model", "gpt-5"], ["gpt-5"]),
        (["--from", "2026-03-15", "--to", "2026-03-16"], ["gpt-5-mini", "claude-sonnet-5"]),
        (["--month", "2026-02"], []),
        (["--user", "ben"], ["gpt-5-mini"]),
        (["--tag", "feature=chat"], ["gpt-5"]),
        (["--trackable", "Ticket:7"], ["claude-sonnet-5"]),
        (["--status", "error"], ["nobody-knows"]),
    ],
    ids=lambda given: " ".join(given),
)
def test_only_what_is_asked_for_comes_out(stored: CommandApp, narrowed: list[str], models: list[str]) -> None:
    fill(stored)
    assert [row["model"] for row in as_csv(stored, *narrowed)] == models


def test_days_are_those_of_the_reports_zone_and_it_is_named(make_app: MakeCommandApp, tmp_path: Path) -> None:
    app = make_app(f"sqlite:///{tmp_path / 'app.sqlite'}", LLM_COST_TIMEZONE="Asia/Kolkata").create_tables()
    app.call(at=datetime(2026, 3, 14, 18, 29, tzinfo=UTC))
    app.call(at=datetime(2026, 3, 14, 18, 30, tzinfo=UTC))
    result = app.run("export", "--from", "2026-03-15", "--to", "2026-03-15")

    assert [row["id"] for row in csv.DictReader(io.StringIO(result.stdout))] == ["2"]
    assert result.stderr.startswith("Exported 1 call: 2026-03-15 00:00 to 2026-03-16 00:00 (Asia/Kolkata), ")
    assert result.stderr.endswith("times in UTC. The last call is 2.\n")


def test_nothing_to_export_is_a_header_and_a_word(app: CommandApp) -> None:
    result = app.run("export", "tags")
    assert result.exit_code == 0
    assert result.stdout == "call_id,event_id,occurred_at,provider,model,key,value,total_cost\n"
    assert result.stderr == "No calls match.\n"


def test_an_export_goes_on_in_the_same_file(app: CommandApp, tmp_path: Path) -> None:
    path = tmp_path / "calls.csv"
    fill(app)
    first = app.run("export", "--to", "2026-03-15", "--from", "2026-03-01", "--output", str(path))
    assert first.stderr.endswith("The last call is 2.\n")
    assert app.run("export", "--after", "2", "--output", str(path)).exit_code == 0
    assert path.read_text() == app.run("export").stdout


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--output", "there.csv"], "is there already"),
        (["--output", "torn.csv", "--after", "1"], "not whole"),
        (["--output", "there.csv", "--after", "1", "--format", "parquet"], "cannot be continued"),
        (["--format", "parquet"], "needs --output"),
        (["--status", "fine"], "accepted: ok, error"),
        (["everything"], "not one of"),
        (["--to", "2026-03-01"], "--to needs --from"),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, list) else given,
)
def test_a_wrong_request_is_refused_and_touches_no_file(
    app: CommandApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], reason: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("there.csv").write_text("id\n1\n")
    Path("torn.csv").write_text("id\n1\n2")
    fill(app)
    result = app.run("export", *arguments)
    assert result.exit_code == 2, result.output
    assert reason in result.output
    assert (Path("there.csv").read_text(), Path("torn.csv").read_text()) == ("id\n1\n", "id\n1\n2")


def test_a_directory_that_is_not_there_is_named(app: CommandApp, tmp_path: Path) -> None:
    result = app.run("export", "--output", str(tmp_path / "no" / "calls.csv"))
    assert result.exit_code == 1
    assert "No such file or directory" in result.output


PROGRAM = """
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from flask_llm_cost import LLMCostTracker

app = Flask("harbour")
app.config.update(SQLALCHEMY_DATABASE_URI={url!r}, LLM_COST_INSTRUMENT=[], LLM_COST_INGESTION="inline")
SQLAlchemy(app)
LLMCostTracker(app)
"""


@pytest.fixture
def many(app: CommandApp) -> CommandApp:
    """A ledger of 6,000 calls."""
    for _ in range(12):
        app.ledger.write([event(tags={"feature": "chat" * 20}) for _ in range(500)])
    return app


def command(app: CommandApp, tmp_path: Path, *arguments: str) -> list[str]:
    program = tmp_path / "program.py"
    url = app.ledger.engine.url.render_as_string(hide_password=False)
    program.write_text(PROGRAM.format(url=url))
    return [sys.executable, "-m", "flask", "--app", str(program), "llm-cost", *arguments]


def test_memory_does_not_grow_with_the_calls(many: CommandApp, tmp_path: Path) -> None:
    """Six times as many calls take no more memory, whatever they are written as."""

    def peak(*arguments: str) -> int:
        with subprocess.Popen(
            [*command(many, tmp_path, "export", *arguments)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        ) as process:
            assert process.stderr is not None
            told = process.stderr.read().decode()
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0, told
        return used.ru_maxrss

    few = peak("--after", "5000")
    assert peak() < few + 6_000  # KiB; as rows in memory, 6,000 calls take 20 MB and more


def test_the_disk_is_full_and_the_export_goes_on_elsewhere(many: CommandApp, tmp_path: Path) -> None:
    path = tmp_path / "calls.csv"
    limit = 1 << 20

    def limited() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    done = subprocess.run(
        command(many, tmp_path, "export", "--output", str(path)),
        preexec_fn=limited,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "The file takes no more (File too large). Everything up to call " in done.stderr
    last = done.stderr.rpartition("--after ")[2].strip(".\n")
    assert path.read_text().endswith("\n"), "no half of a batch is left"
    assert path.read_text().rpartition("\n")[0].rpartition("\n")[2].startswith(f"{last},")

    rest = subprocess.run(
        command(many, tmp_path, "export", "--output", str(path), "--after", last), check=False
    )
    assert rest.returncode == 0
    with path.open() as file:
        ids = [int(row["id"]) for row in csv.DictReader(file)]
    with many.ledger.session() as session:
        assert ids == sorted(set(ids))
        assert len(ids) == session.scalar(select(func.count()).select_from(LlmCall))


def test_a_reader_that_goes_away_ends_it_quietly(many: CommandApp, tmp_path: Path) -> None:
    with subprocess.Popen(
        command(many, tmp_path, "export"), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        told = process.stderr.read().decode()
        assert process.wait() == 1
    assert "Traceback" not in told


def test_calls_that_arrive_meanwhile_neither_wait_nor_are_chased(many: CommandApp) -> None:
    from flask_llm_cost.maintenance import batches
    from flask_llm_cost.maintenance import extent

    query = many.runtime.calls
    found = extent(query)
    seen: list[int] = []
    for batch in batches(query, "calls", found, size=700):
        assert many.ledger.write([event()]) == 1, "no lock is held between two batches"
        seen += [row[0] for row in batch.rows]
    assert len(seen) == found.calls == 6_000
    assert len(set(seen)) == 6_000
