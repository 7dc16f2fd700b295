"""A prices file that is replaced, well and badly, while calls are priced."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from decimal import Decimal
from pathlib import Path

import pytest

from flask_llm_cost import Usage
from flask_llm_cost.pricing import Catalog
from tests.pricing.asking import ask as ask_for

MILLION = Usage(input_tokens=1_000_000)


def good(rate: int) -> bytes:
    return json.dumps({f"acme/m{number}": {"input": str(rate)} for number in range(300)}).encode()


BAD = [
    good(7)[:-3],
    b"",
    b'{"acme/m1": {"input": NaN}}',
    b'{"acme/m1": {"input": "-1"}}',
    b'{"acme/m1": {"input": "5000"}}',
    b'{"acme/m1": {"inptu": "1"}}',
    b" " * 3_000_000,
    b"[" * 100_000,
]


def test_the_last_good_prices_hold_whatever_is_put_in_the_files_place(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "prices.json"
    path.write_bytes(good(1))
    # A clock two hundred times too fast: the file is looked at every five milliseconds.
    prices = Catalog.load(prices_file=path, clock=lambda: time.monotonic() * 200)
    seen: set[Decimal | None] = set()
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            seen.add(ask_for(prices, MILLION).total_cost)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    with caplog.at_level(logging.WARNING, logger="flask_llm_cost"):
        for thread in threads:
            thread.start()
        try:
            for rate, bad in enumerate(BAD, start=2):
                path.write_bytes(bad)  # in place, so that half of it can be read
                time.sleep(0.03)
                (tmp_path / "new.json").write_bytes(good(rate))
                os.replace(tmp_path / "new.json", path)
                _wait_for(seen, Decimal(rate))
        finally:
            stop.set()
            for thread in threads:
                thread.join(10)

    assert seen == {Decimal(rate) for rate in range(1, len(BAD) + 2)}
    assert caplog.records
    assert all("the old prices stay" in record.getMessage() for record in caplog.records)


def _wait_for(seen: set[Decimal | None], rate: Decimal) -> None:
    end = time.monotonic() + 20
    while rate not in seen and time.monotonic() < end:
        time.sleep(0.005)
