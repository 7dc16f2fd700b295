"""The main job, whole: unchanged SDK calls in an app, its database, its dashboard and its command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from flask import Flask
from flask import Response
from flask import g
from flask import stream_with_context
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import text

from flask_llm_cost import LLMCostTracker
from flask_llm_cost import with_tags
from flask_llm_cost.runtime import runtime_of
from tests.loopback import LoopbackProvider
from tests.loopback import loopback_provider

ASK = [{"role": "user", "content": "Which tide is it, and what did the harbour master say?"}]


@pytest.fixture
def provider() -> Iterator[LoopbackProvider]:
    with loopback_provider() as running:
        yield running


@pytest.fixture
def shop(database_url: str, provider: LoopbackProvider, tmp_path: Path) -> Iterator[Flask]:
    app = Flask("shop", instance_path=str(tmp_path))
    app.config.update(SQLALCHEMY_DATABASE_URI=database_url, LLM_COST_TIMEZONE="Europe/Berlin")
    db = SQLAlchemy(app)
    tracker = LLMCostTracker(app, authorize=lambda: True)
    openai_client = openai.OpenAI(api_key="test", base_url=f"{provider.url}/v1", max_retries=0)
    anthropic_client = anthropic.Anthropic(api_key="test", base_url=provider.url, max_retries=0)

    @app.before_request
    def who() -> None:
        g.llm_cost_tags = {"tenant": "acme"}

    @app.get("/chat")
    def chat() -> str:
        with with_tags(user=7, feature="chat"):
            answer = openai_client.chat.completions.create(model="gpt-4o-mini", messages=ASK)  # type: ignore[arg-type]
        return str(answer.choices[0].message.content)

    @app.get("/stream")
    def stream() -> Response:
        def chunks() -> Iterator[str]:
            with (
                with_tags(user=8, feature="stream"),
                anthropic_client.messages.stream(
                    model="claude-sonnet-4-6",
                    max_tokens=50,
                    messages=ASK,  # type: ignore[arg-type]
                ) as events,
            ):
                yield from events.text_stream

        return Response(stream_with_context(chunks()))

    with app.app_context():
        db.create_all()
        engine = db.engine
    yield app
    tracker.shutdown()
    openai_client.close()
    anthropic_client.close()
    runtime = runtime_of(app)
    assert runtime is not None
    assert runtime.ledger is not None
    runtime.ledger.engine.dispose()
    engine.dispose()


@pytest.fixture
def sql(shop: Flask) -> Callable[[str], list[Any]]:
    """Ask the database in plain SQL, as a user of the ledger would, once what waits is written."""

    def ask(statement: str) -> list[Any]:
        runtime = runtime_of(shop)
        assert runtime is not None
        assert runtime.flush(10)
        with shop.app_context():
            engine = shop.extensions["sqlalchemy"].engine
        with engine.connect() as connection:
            return list(connection.execute(text(statement)))

    return ask


def test_unchanged_sdk_calls_reach_ledger_dashboard_and_command_line(
    shop: Flask, sql: Callable[[str], list[Any]]
) -> None:
    client = shop.test_client()
    assert client.get("/chat").status_code == 200
    assert client.get("/stream").text

    rows = sql(
        "SELECT provider, model, operation, status, user_id, endpoint, cost_status, usage_source, total_cost "
        "FROM llm_cost_calls ORDER BY occurred_at"
    )
    assert [tuple(row[:8]) for row in rows] == [
        ("openai", "gpt-4o-mini", "chat", "ok", "7", "chat", "complete", "response"),
        ("anthropic", "claude-sonnet-4-6", "messages", "ok", "8", "stream", "complete", "stream"),
    ]
    assert sorted(
        tuple(row) for row in sql('SELECT "key", value FROM llm_cost_tags'.replace('"', quote(shop)))
    ) == [
        ("feature", "chat"),
        ("feature", "stream"),
        ("tenant", "acme"),
        ("tenant", "acme"),
    ]

    scale = Decimal(10) ** -12 if shop.config["SQLALCHEMY_DATABASE_URI"].startswith("sqlite") else Decimal(1)
    total = sum((Decimal(row.total_cost) * scale for row in rows), Decimal(0))
    (line_items,) = sql("SELECT sum(cost) AS cost FROM llm_cost_line_items")
    assert Decimal(line_items.cost) * scale == total

    page = client.get("/llm-costs/")
    assert page.status_code == 200
    assert f"{total.normalize():f}" in page.text
    assert "gpt-4o-mini" in page.text
    assert "claude-sonnet-4-6" in page.text

    answer = shop.test_cli_runner().invoke(args=["llm-cost", "report", "--format", "json"])
    assert answer.exit_code == 0, answer.output
    assert Decimal(json.loads(answer.output)["totals"]["total_cost"]) == total


def quote(app: Flask) -> str:
    return '"' if not app.config["SQLALCHEMY_DATABASE_URI"].startswith("mariadb") else "`"


def test_nothing_of_the_conversation_is_stored(
    shop: Flask, provider: LoopbackProvider, sql: Callable[[str], list[Any]], caplog: pytest.LogCaptureFixture
) -> None:
    client = shop.test_client()
    client.get("/chat")
    journal = "".join(path.read_text() for path in Path(shop.instance_path).rglob("*.seg"))
    assert "gpt-4o-mini" in journal
    client.get("/chat")
    assert client.get("/stream").text
    provider.fail(
        400, {"error": {"message": "harbour master is not allowed", "type": "invalid_request_error"}}
    )
    assert client.get("/chat").status_code == 500
    stored = str(
        [
            sql(f"SELECT * FROM {table}")
            for table in ("llm_cost_calls", "llm_cost_line_items", "llm_cost_tags")
        ]
    )
    stored += journal
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("flask_llm_cost")]
    for secret in ("harbour", "tide", "127.0.0.1", "Bearer", "not allowed"):
        assert secret not in stored
        assert secret not in str(ours)


class TestBadAnswers:
    """Whatever a provider sends, the host gets what it would get without us, and there is one row."""

    @pytest.fixture
    def row(self, shop: Flask, sql: Callable[[str], list[Any]]) -> Callable[[], Any]:
        def ask() -> Any:
            shop.test_client().get("/chat")
            (found,) = sql("SELECT * FROM llm_cost_calls")
            return found

        return ask

    @pytest.mark.parametrize(
        "usage",
        [
            {"prompt_tokens": -5, "completion_tokens": 1, "total_tokens": -4},
            {"prompt_tokens": "many", "completion_tokens": 1, "total_tokens": 2},
            {"prompt_tokens": 10**30, "completion_tokens": 1, "total_tokens": 2},
            {"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": 9}, "completion_tokens": 1},
        ],
        ids=["negative", "text", "huge", "part larger than the whole"],
    )
    def test_impossible_usage_is_unknown(
        self, usage: dict[str, Any], provider: LoopbackProvider, row: Callable[[], Any]
    ) -> None:
        provider.answer(
            {
                "id": "chatcmpl-1",
                "object": "chat.completion",
                "created": 1,
                "model": "gpt-4o-mini",
                "choices": [
                    {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Ebb."}}
                ],
                "usage": usage,
            }
        )
        found = row()
        assert (found.status, found.cost_status, found.input_tokens, found.total_cost) == (
            "ok",
            "unknown",
            None,
            None,
        )

    def test_a_model_nobody_knows_is_unpriced_but_counted(
        self, provider: LoopbackProvider, row: Callable[[], Any]
    ) -> None:
        provider.answer(
            {
                "id": "chatcmpl-1",
                "object": "chat.completion",
                "created": 1,
                "model": "sea-serpent-9",
                "choices": [],
                "usage": {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6},
            }
        )
        found = row()
        assert (found.model, found.cost_status, found.total_cost, found.input_tokens) == (
            "sea-serpent-9",
            "unknown",
            None,
            5,
        )
