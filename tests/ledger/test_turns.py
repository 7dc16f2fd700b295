"""Turns: so many at a time, and whoever came first is next."""

from __future__ import annotations

import threading
import time

import pytest
from sqlalchemy.exc import TimeoutError as WaitedTooLong

from flask_llm_cost.ledger.turns import Turns


def test_whoever_came_first_is_next() -> None:
    turns, order = Turns(1), list[int]()

    def come(number: int) -> None:
        with turns.taken(30):
            order.append(number)

    threads = [threading.Thread(target=come, args=(number,)) for number in range(5)]
    with turns.taken(0):
        for number, thread in enumerate(threads, 1):
            thread.start()
            while len(turns._waiting) < number:
                time.sleep(0.001)
    for thread in threads:
        thread.join(30)

    assert order == [0, 1, 2, 3, 4]


def test_whoever_waited_too_long_leaves_the_turn_to_others() -> None:
    turns = Turns(1)
    with turns.taken(0), pytest.raises(WaitedTooLong), turns.taken(0.01):
        pass
    with turns.taken(0):
        pass


def test_a_turn_ends_with_an_exception() -> None:
    turns = Turns(2)
    for _ in range(3):
        with pytest.raises(LookupError), turns.taken(0):
            raise LookupError
