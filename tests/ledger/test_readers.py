"""Pages and reports read on connections that the writer does not wait for."""

from __future__ import annotations

import threading

from sqlalchemy import func
from sqlalchemy import select

from flask_llm_cost.ledger import Ledger
from flask_llm_cost.ledger import LlmCall
from flask_llm_cost.ledger.engine import READERS
from tests.made_events import event


def test_however_many_read_who_writes_finds_a_connection(ledger: Ledger) -> None:
    reading, done = threading.Semaphore(0), threading.Event()
    counted: list[int | None] = []

    def read() -> None:
        with ledger.read_session() as session:
            session.connection()
            reading.release()
            assert done.wait(60)
            counted.append(session.scalar(select(func.count()).select_from(LlmCall)))

    readers = [threading.Thread(target=read) for _ in range(READERS + 2)]
    for reader in readers:
        reader.start()
    for _ in range(READERS):
        assert reading.acquire(timeout=30)
    try:
        assert not reading.acquire(timeout=0.1)  # the others wait for their turn
        assert ledger.write([event()]) == 1
    finally:
        done.set()
        for reader in readers:
            reader.join(60)

    assert counted == [1] * len(readers)
