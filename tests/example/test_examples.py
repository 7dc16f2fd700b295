"""The smaller examples, each run as its first lines say: in a process of its own, with the real SDKs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from openai import OpenAI

EXAMPLES = Path(__file__).parents[2] / "examples"
KEYS = ("OPENAI_API_KEY", "OPENAI_BASE_URL", "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL")

pytestmark = pytest.mark.slow


def printed_by(name: str, folder: Path, **variables: str) -> str:
    """What an example prints, with whatever it writes in ``folder``."""
    environment = {key: value for key, value in os.environ.items() if key not in KEYS}
    done = subprocess.run(
        [sys.executable, "-m", name],
        cwd=EXAMPLES,
        env={
            **environment,
            "FLASK_SQLALCHEMY_DATABASE_URI": f"sqlite:///{folder / 'example.sqlite'}",
            "FLASK_LLM_COST_JOURNAL_DIR": str(folder / "journal"),
            **variables,
        },
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def rows_of(printed: str, *first: str) -> list[list[str]]:
    """The cells of the rows that begin with these, from their second column on."""
    found = [re.split(r" {2,}", line.strip()) for line in printed.splitlines()]
    return [row[1:] for name in first for row in found if row[0] == name]


def test_the_quickstart_prints_a_report_of_its_three_questions(tmp_path: Path) -> None:
    printed = printed_by("quickstart", tmp_path)

    assert re.search(r"^Calls +3$", printed, re.MULTILINE)
    assert [row[2:] for row in rows_of(printed, "ann", "bob", "questions")] == [
        ["2", "0"],
        ["1", "0"],
        ["3", "0"],
    ]


def test_the_stand_in_says_what_to_export_and_answers() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "stand_in"], cwd=EXAMPLES, stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        try:
            told = "".join(run.stdout.readline() for _ in range(2))
            exported = dict(re.findall(r"(\w+)=(\S+)", told))
            assert set(exported) == set(KEYS)
            client = OpenAI(api_key=exported["OPENAI_API_KEY"], base_url=exported["OPENAI_BASE_URL"])
            answer = client.chat.completions.create(
                model="gpt-5-mini", messages=[{"role": "user", "content": "Hello"}]
            )
            assert "stand-in" in str(answer.choices[0].message.content)
            client.close()
        finally:
            run.terminate()


def test_async_views_tag_each_task_and_record_a_stream_that_is_left(tmp_path: Path) -> None:
    printed = printed_by("async_views", tmp_path)

    assert "ann was answered by anthropic and openai." in printed
    assert [row[2:] for row in rows_of(printed, "draft", "review", "ann")] == [
        ["1", "0"],
        ["1", "0"],
        ["2", "0"],
    ]
    assert rows_of(printed, "aborted", "bob") == [["unknown", "unknown", "1", "1"]] * 2


def test_a_celery_worker_without_redis_records_whose_tasks_they_were(tmp_path: Path) -> None:
    for folder in ("queue", "control"):
        (tmp_path / folder).mkdir()
    folders = {"data_folder_in": "queue", "data_folder_out": "queue", "control_folder": "control"}
    broker = {
        "broker_url": "filesystem://",
        "broker_transport_options": {name: str(tmp_path / folder) for name, folder in folders.items()},
        "task_ignore_result": True,
    }
    printed = printed_by("celery_worker", tmp_path, FLASK_CELERY=json.dumps(broker))

    assert [row[2:] for row in rows_of(printed, "ann", "bob", "summaries", "upload")] == [
        ["2", "0"],
        ["1", "0"],
        ["3", "0"],
        ["3", "0"],
    ]


def test_budgets_of_tenants_refuse_with_402_and_of_users_with_429(tmp_path: Path) -> None:
    printed = printed_by("multi_tenant_budgets", tmp_path)

    asked = [line.split(",")[0] for line in printed.splitlines() if re.match(r"\w+: [2-5]\d\d ", line)]
    assert asked == [
        "ann: 200 OK",
        "ann: 200 OK",
        "ann: 429 TOO MANY REQUESTS",
        "amy: 200 OK",
        "amy: 200 OK",
        "abe: 402 PAYMENT REQUIRED",
        "hal: 200 OK",
    ]
    assert re.search(r"try again in \d+ s", printed)
    assert "Notices that ann is shown: 1\nNotices that hal is shown: 0\n" in printed


def test_a_tenants_dashboard_has_its_own_calls_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in KEYS:
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("FLASK_SQLALCHEMY_DATABASE_URI", f"sqlite:///{tmp_path / 'example.sqlite'}")
    monkeypatch.setenv("FLASK_LLM_COST_INGESTION", "inline")
    import multi_tenant_budgets

    app = multi_tenant_budgets.create_app()
    browser = app.test_client()
    for name in ("ann", "hal", "hal"):
        browser.post("/", data={"question": "When?"}, auth=(name, "demo"))
    try:
        seen = {
            name: browser.get("/llm-costs/calls", auth=(name, "demo")).text.count("gpt-5-mini</")
            for name in ("ann", "hal", "root")
        }
        assert (seen["hal"], seen["root"]) == (2 * seen["ann"], 3 * seen["ann"])
        assert seen["ann"]
        assert browser.get("/llm-costs/").status_code == 401
    finally:
        with app.app_context():
            multi_tenant_budgets.tracker.shutdown()
            multi_tenant_budgets.db.engine.dispose()
