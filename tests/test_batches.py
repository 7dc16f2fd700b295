"""Batches and the ledger: results that are read again, by anybody, leave the same rows and the same sums."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import openai
import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import func
from sqlalchemy import select

from flask_llm_cost import LLMCostTracker
from flask_llm_cost import track
from flask_llm_cost.ledger import LineItem
from flask_llm_cost.ledger import LlmCall
from flask_llm_cost.ledger import rollup_drift
from flask_llm_cost.runtime import Runtime
from flask_llm_cost.runtime import runtime_of
from tests.batch_formats import JSONL
from tests.batch_formats import jsonl
from tests.batch_formats import openai_line
from tests.loopback import LoopbackProvider
from tests.loopback import loopback_provider

#: 100 input, 20 cached and 48 output tokens of gpt-4o-mini, at half of 0.15, 0.075 and 0.60 USD per million.
COST = Decimal("0.00002265")


@pytest.fixture
def provider() -> Iterator[LoopbackProvider]:
    with loopback_provider() as running:
        yield running


class Reader:
    """An app with a client that reads batches."""

    def __init__(self, database_url: str, provider: LoopbackProvider, **config: Any) -> None:
        self.app = Flask("reader")
        self.app.config.update(SQLALCHEMY_DATABASE_URI=database_url, LLM_COST_DASHBOARD=False, **config)
        self.db = SQLAlchemy(self.app)
        self.tracker = LLMCostTracker(self.app, self.db)
        self.client = openai.OpenAI(api_key="test", base_url=f"{provider.url}/v1", max_retries=0)
        with self.app.app_context():
            self.db.create_all()

    @property
    def runtime(self) -> Runtime:
        runtime = runtime_of(self.app)
        assert runtime is not None
        return runtime

    def read(self, file_id: str = "file_1") -> None:
        with self.app.app_context():
            self.client.files.content(file_id)
        assert self.runtime.flush(30)

    def stored(self) -> tuple[int, Decimal]:
        """The number of rows and what they cost, once rollups and line items equal them."""
        ledger = self.runtime.ledger
        assert ledger is not None
        with ledger.session() as session:
            assert rollup_drift(session) == []
            count, cost = session.execute(select(func.count(), func.sum(LlmCall.total_cost))).one()
            assert session.scalar(select(func.sum(LineItem.cost))) == cost
            return count, cost

    def close(self) -> None:
        self.tracker.shutdown()
        self.client.close()
        if (ledger := self.runtime.ledger) is not None:
            ledger.engine.dispose()
        with self.app.app_context():
            self.db.engine.dispose()


@pytest.fixture
def reader(database_url: str, provider: LoopbackProvider) -> Iterator[Reader]:
    made = Reader(database_url, provider, LLM_COST_PRICING_OVERRIDES=_PRICES)
    yield made
    made.close()


_PRICES = {
    "openai/gpt-4o-mini": {
        "input": "0.15",
        "cache_read_input": "0.075",
        "output": "0.60",
        "modes": {"batch": {"input": "0.075", "cache_read_input": "0.0375", "output": "0.30"}},
    }
}


def test_a_file_that_is_read_twice_by_two_processes_is_in_the_ledger_once(
    reader: Reader, provider: LoopbackProvider, database_url: str
) -> None:
    lines = [openai_line(number) for number in range(1, 8)]
    provider.answer(jsonl(lines[:3]), headers=JSONL)
    reader.read()
    assert reader.stored() == (3, 3 * COST)

    provider.answer(jsonl(lines), headers=JSONL, times=2)
    reader.read()
    script = [sys.executable, "-m", "tests.test_batches", database_url, provider.url]
    subprocess.run(script, check=True, timeout=60)

    assert len(provider.requests) == 3
    assert reader.stored() == (7, 7 * COST)


def test_a_key_of_the_hosts_own_is_in_the_ledger_once(reader: Reader) -> None:
    with reader.app.app_context():
        for output in (48, 48, 50):
            track(
                provider="openai",
                model="gpt-4o-mini",
                input_tokens=100,
                cache_read_input_tokens=20,
                output_tokens=output,
                pricing_mode="batch",
                idempotency_key="line-1",
            )
    assert reader.runtime.flush(30)
    assert reader.stored() == (1, COST)


@pytest.mark.parametrize("testing", [False, True], ids=["serving", "testing"])
@pytest.mark.parametrize("way", ["sync", "async", "async in small pieces"])
def test_a_file_with_more_lines_than_the_buffer_holds_is_stored_whole(
    tmp_path: Any, provider: LoopbackProvider, way: str, testing: bool
) -> None:
    reader = Reader(
        f"sqlite:///{tmp_path / 'ledger.sqlite'}", provider, TESTING=testing, LLM_COST_BUFFER_SIZE=50
    )
    provider.answer(jsonl(openai_line(number) for number in range(400)), headers=JSONL)

    async def read() -> None:
        async with openai.AsyncOpenAI(api_key="test", base_url=f"{provider.url}/v1") as client:
            if way == "async":
                await client.files.content("file_1")
                return
            async with client.files.with_streaming_response.content("file_1") as response:
                async for _ in response.iter_bytes(64):
                    pass

    with reader.app.app_context():
        reader.client.files.content("file_1") if way == "sync" else asyncio.run(read())
    assert reader.runtime.flush(30)

    assert reader.stored()[0] == 400
    assert reader.runtime.counters["dropped"] == 0
    reader.close()


def main() -> None:
    """Read the file as another process does."""
    database_url, provider_url = sys.argv[1:]
    app = Flask("other")
    app.config.update(SQLALCHEMY_DATABASE_URI=database_url, LLM_COST_PRICING_OVERRIDES=_PRICES)
    LLMCostTracker(app, SQLAlchemy(app))
    with app.app_context(), openai.OpenAI(api_key="test", base_url=f"{provider_url}/v1") as client:
        client.files.content("file_1")


if __name__ == "__main__":
    main()
