"""The same journal again and again, by many processes at once, some of them killed: each call counts once.

``python -m tests.faults.replay --seeds 20 URL`` prints one row per fault. ``hits`` counts replayers that were
killed.
"""

from __future__ import annotations

import os
import random
import shutil
import time
from collections.abc import Callable
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from flask_llm_cost.journal.segment import HEADER_LENGTH
from tests.faults.crash import go_on
from tests.faults.crash import kill_self
from tests.faults.processes import Process
from tests.faults.processes import Run
from tests.faults.processes import build_app
from tests.faults.processes import in_threads
from tests.faults.processes import main
from tests.faults.processes import tracked
from tests.faults.tally import Tally

REPLAYERS = 8
CALLS = 120


def the_same_files_by_eight_processes(
    seed: int, rng: random.Random, url: str, folder: Path, tally: Tally
) -> None:
    """Each finds every copy; whoever locks a copy first replays it."""
    _fill_journals(seed, url, folder, tally)
    _multiply(folder, REPLAYERS, rng)
    for process in [Process(lambda tell: go_on(url, folder)) for _ in range(REPLAYERS)]:
        process.wait()
    assert not list(folder.rglob("*.seg")), "a file was left"


def a_copy_each_by_eight_processes(
    seed: int, rng: random.Random, url: str, folder: Path, tally: Tally
) -> None:
    """Each has a directory of its own, as on machines that were restored from one backup."""
    _fill_journals(seed, url, folder, tally)
    _multiply(folder, 2, rng)
    folders = [folder.with_name(f"{folder.name}-{number}") for number in range(REPLAYERS)]
    for one in folders:
        shutil.copytree(folder, one)
    for process in [Process(partial(_go_on_in, url, one)) for one in folders]:
        process.wait()


def replayers_are_killed(seed: int, rng: random.Random, url: str, folder: Path, tally: Tally) -> None:
    _fill_journals(seed, url, folder, tally)
    _multiply(folder, REPLAYERS, rng)
    for moment in [0.02 + rng.random() * 0.4 for _ in range(3)]:
        doomed = [Process(lambda tell: go_on(url, folder)) for _ in range(3)]
        time.sleep(moment)
        for process in doomed:
            process.kill()
        tally.hits += sum(process.wait()[1] for process in doomed)
    Process(lambda tell: go_on(url, folder)).wait()
    assert not list(folder.rglob("*.seg")), "a file was left"


def _go_on_in(url: str, folder: Path, tell: Callable[[str], None]) -> None:
    go_on(url, folder)


def _fill_journals(seed: int, url: str, folder: Path, tally: Tally) -> None:
    """Two processes make calls and die, most likely before any is written."""
    for process in range(2):
        names = [f"{seed}-{process}-{number}" for number in range(CALLS)]
        told, _ = Process(partial(_work, names, url, folder)).wait()
        tally.attempted.update(names)
        tally.acknowledged.update(told.returned)


def _work(names: Sequence[str], url: str, folder: Path, tell: Callable[[str], None]) -> None:
    app = build_app(url, folder)

    def call(name: str) -> None:
        tracked(app, name, tags={"name": name})
        tell(f"returned {name}")

    in_threads(names, call)
    kill_self()


def _multiply(folder: Path, copies: int, rng: random.Random) -> None:
    """Copies beside each file, without checkpoints, to be found in any order."""
    for segment in list(folder.rglob("*.seg")):
        content = segment.read_bytes()
        for number in range(copies):
            copy = segment.with_name(f"00000000-{number}-{segment.name}")
            copy.write_bytes(b"\0" * HEADER_LENGTH + content[HEADER_LENGTH:])
            os.utime(copy, (rng.random() * 1e9,) * 2)


FAULTS: Sequence[Run] = [
    the_same_files_by_eight_processes,
    a_copy_each_by_eight_processes,
    replayers_are_killed,
]


if __name__ == "__main__":
    main(__doc__ or "", lambda kind: FAULTS)
