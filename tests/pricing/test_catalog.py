from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from flask_llm_cost.errors import ConfigurationError
from flask_llm_cost.pricing import Catalog
from flask_llm_cost.pricing.watch import FILE_CHECK_INTERVAL
from flask_llm_cost.usage import Usage
from tests.pricing.asking import ask
from tests.pricing.asking import catalog
from tests.pricing.asking import rates

TOKEN = Usage(input_tokens=1_000_000)


def write(path: Path, entries: dict[str, Any]) -> None:
    """Put a new file in the old one's place, as deployments do, with a date of its own."""
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(entries))
    os.replace(fresh, path)


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds

    def reach_next_look(self) -> None:
        self.seconds += FILE_CHECK_INTERVAL


def price_of(prices: Catalog, model: str = "m1") -> Decimal | None:
    return ask(prices, TOKEN, model=model).total_cost


def test_overrides_win_over_the_file_which_wins_over_the_bundle(tmp_path: Path) -> None:
    path = tmp_path / "prices.json"
    entry = {"input": "2", "output": "2"}
    write(path, {"openai/gpt-5": entry, "openai/gpt-5-mini": entry})
    prices = Catalog.load(overrides={"openai/gpt-5": {"input": "3"}}, prices_file=path)

    found = {
        model: ask(prices, TOKEN, provider="openai", model=model)
        for model in ("gpt-5", "gpt-5-mini", "gpt-5-nano")
    }

    sources = {model: (price.snapshot or {})["source"] for model, price in found.items()}
    assert sources == {"gpt-5": "overrides", "gpt-5-mini": "file", "gpt-5-nano": "bundled"}
    assert rates(found["gpt-5"]) == {"input": Decimal(3)}


def test_a_record_is_taken_whole_and_never_mixed_with_a_lower_one() -> None:
    prices = catalog({"openai/gpt-5": {"input": "3"}})
    price = ask(prices, Usage(input_tokens=1, output_tokens=1), provider="openai", model="gpt-5")

    # The bundled record knows the output rate, but this record does not.
    assert price.cost_status == "partial"


def test_the_snapshot_names_the_version_of_its_table(tmp_path: Path) -> None:
    path = tmp_path / "prices.json"
    versions = []
    for entries in ({"acme/m1": {"input": "1"}}, {"acme/m1": {"input": "2"}}):
        write(path, entries)
        versions.append((ask(Catalog.load(prices_file=path), TOKEN).snapshot or {})["version"])
    write(path, {"version": "2026-q4", "models": {"acme/m1": {"input": "1"}}})
    named = (ask(Catalog.load(prices_file=path), TOKEN).snapshot or {})["version"]

    assert versions[0] != versions[1]
    assert named.startswith("2026-q4+")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"overrides": {"acme/m1": {"input": 1.5}}}, r"LLM_COST_PRICING_OVERRIDES: acme/m1.input: 1.5"),
        ({"overrides": {"currency": "EUR", "models": {}}}, "USD"),
        ({"prices_file": "/nowhere/prices.yml"}, "/nowhere/prices.yml: cannot read the prices file"),
        ({"discounts": {"openai": Decimal("1.5")}}, "LLM_COST_DISCOUNTS: openai"),
        ({"discounts": {"openai": 0.15}}, "LLM_COST_DISCOUNTS: openai"),
        ({"discounts": {"openai": Decimal("NaN")}}, "LLM_COST_DISCOUNTS: openai"),
    ],
)
def test_bad_settings_are_refused_at_start_up(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Catalog.load(**arguments)


def test_yaml_files_are_read_with_unquoted_days_and_whole_numbers(tmp_path: Path) -> None:
    path = tmp_path / "prices.yml"
    path.write_text(
        "acme/m1:\n"
        "  input: '1.5'\n"
        "  output: 6\n"
        "  modes: {batch: {input: '0.75'}}\n"
        "  periods:\n"
        "    - {from: 2020-01-01, input: '2'}\n"
    )

    assert price_of(Catalog.load(prices_file=str(path))) == 2


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "prices.json"
    write(path, {"acme/m1": {"input": "1"}})
    clock = Clock()
    prices = Catalog.load(prices_file=path, clock=clock)
    assert price_of(prices) == 1

    write(path, {"acme/m1": {"input": "2"}, "acme/m2": {"input": "5"}})
    clock.reach_next_look()

    assert price_of(prices) == 2
    assert price_of(prices, "m2") == 5


def test_the_file_is_not_looked_at_for_every_call(tmp_path: Path) -> None:
    path = tmp_path / "prices.json"
    write(path, {"acme/m1": {"input": "1"}})
    clock = Clock()
    prices = Catalog.load(prices_file=path, clock=clock)
    write(path, {"acme/m1": {"input": "2"}})
    clock.seconds = FILE_CHECK_INTERVAL - 0.01

    assert price_of(prices) == 1


def test_a_bad_new_file_keeps_the_old_prices_and_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    contents = {
        "truncated to nothing": b"",
        "half written": b'{"acme/m1": ',
        "a float": b'{"acme/m1": {"input": 2.5}}',
        "a dead reference": b'{"acme/x": {"same_as": "acme/none"}}',
        "deleted": None,
    }
    paths = {kind: tmp_path / f"{kind}.json" for kind in contents}
    for path in paths.values():
        write(path, {"acme/m1": {"input": "1"}})
    clock = Clock()
    catalogs = {kind: Catalog.load(prices_file=path, clock=clock) for kind, path in paths.items()}
    for kind, content in contents.items():
        if content is None:
            paths[kind].unlink()
        else:
            paths[kind].write_bytes(content)

    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            clock.reach_next_look()
            assert {price_of(prices) for prices in catalogs.values()} == {Decimal(1)}
    assert len(caplog.records) == len(contents)
    assert all("the old prices stay" in record.getMessage() for record in caplog.records)
    assert all(record.exc_info is None for record in caplog.records)

    for path in paths.values():
        write(path, {"acme/m1": {"input": "3"}})
    clock.reach_next_look()
    assert {price_of(prices) for prices in catalogs.values()} == {Decimal(3)}


def test_eight_threads_see_one_table_or_the_other_while_the_file_changes(tmp_path: Path) -> None:
    path = tmp_path / "prices.json"
    write(path, {"acme/m1": {"input": "1", "output": "1"}})
    clock = Clock()
    prices = Catalog.load(prices_file=path, clock=clock)
    usage = Usage(input_tokens=1_000_000, output_tokens=1_000_000)
    all_have_asked = threading.Barrier(9, timeout=30)
    deadline = time.monotonic() + 30

    def ask_on() -> list[Decimal | None]:
        seen = [ask(prices, usage).total_cost]
        all_have_asked.wait()
        while seen[-1] != 6 and time.monotonic() < deadline:
            seen.append(ask(prices, usage).total_cost)
            for number in range(50):
                ask(prices, usage, model=f"other-{number}")
        return seen

    with ThreadPoolExecutor(8) as pool:
        asking = [pool.submit(ask_on) for _ in range(8)]
        all_have_asked.wait()
        write(path, {"acme/m1": {"input": "3", "output": "3"}})
        clock.reach_next_look()
        seen = [future.result() for future in asking]

    assert {cost for costs in seen for cost in costs} == {Decimal(2), Decimal(6)}
    assert {costs[-1] for costs in seen} == {Decimal(6)}


def test_eight_threads_may_ask_for_everything_at_once() -> None:
    prices = catalog({"acme/m1": {"input": "1"}})
    keys = [match.key.partition("/") for match in prices.entries()]

    def look_up(_: int) -> list[Any]:
        return [getattr(prices.find(provider, model), "key", None) for provider, _, model in keys]

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(look_up, range(8)))

    assert all(answer == ["/".join((provider, model)) for provider, _, model in keys] for answer in answers)


def test_catalogs_of_two_apps_do_not_know_each_other() -> None:
    one, other = catalog({"acme/m1": {"input": "1"}}), catalog({"acme/m1": {"input": "2"}})

    assert (price_of(one), price_of(other), price_of(Catalog.load())) == (1, 2, None)


def test_entries_lists_each_key_once_from_the_table_that_wins() -> None:
    found = {match.key: match.source for match in catalog({"openai/gpt-5": {"input": "1"}}).entries()}

    assert found["openai/gpt-5"] == "overrides"
    assert found["openai/gpt-5-mini"] == "bundled"
    assert len(found) > 700


def test_importing_pricing_reads_no_price_table() -> None:
    code = (
        "import sys, flask_llm_cost.pricing as p; from flask_llm_cost.pricing.tables import bundled_table;"
        "assert bundled_table.cache_info().currsize == 0;"
        "assert 'flask_llm_cost.pricing.build' not in sys.modules"
    )

    subprocess.run([sys.executable, "-c", code], check=True)
