"""Two simulated machines write to one PostgreSQL, each with a journal of its own.

``python -m tests.faults.machines --seeds 6`` starts a PostgreSQL and, as root, two network namespaces with a
name and a boot id of their own, which reach it over virtual cables. On each, four processes make calls at
once, one of which is killed. Then each machine writes what its own processes have left. In every second run a
cable is pulled for a while. ``hits`` counts killed processes and pulled cables.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from tests.faults.crash import go_on
from tests.faults.processes import Process
from tests.faults.processes import Told
from tests.faults.processes import build_app
from tests.faults.processes import in_threads
from tests.faults.processes import run_seeds
from tests.faults.processes import store_all
from tests.faults.processes import tracked
from tests.faults.servers import PostgreSQL
from tests.faults.servers import ServerMissing
from tests.faults.servers import running
from tests.faults.tally import Tally
from tests.faults.tally import report

ROOT = Path(__file__).parents[2]
PROCESSES = 4
CALLS = 150


class Machine:
    """A network namespace with a cable to this one, and a mount and a host name of its own.

    ``address`` is this machine's end of the cable.
    """

    def __init__(self, number: int, folder: Path) -> None:
        self.folder = folder
        self.cable = f"llm{os.getpid() % 10_000}x{number}"
        subnet = f"10.{200 + number}.{os.getpid() // 250 % 250}"
        self.address = f"{subnet}.1"
        folder.mkdir()
        (folder / "boot_id").write_text(f"{uuid.uuid4()}\n")
        self._holder = subprocess.Popen(
            ["unshare", "--net", "--mount", "--uts", "sh", "-c", "echo ready; exec sleep infinity"],
            stdout=subprocess.PIPE,
        )
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == b"ready\n"
        there = f"{self.cable}y"
        _run("ip", "link", "add", self.cable, "type", "veth", "peer", "name", there)
        _run("ip", "link", "set", there, "netns", str(self._holder.pid))
        _run("ip", "address", "add", f"{self.address}/24", "dev", self.cable)
        _run("ip", "link", "set", self.cable, "up")
        self._run("ip", "address", "add", f"{subnet}.2/24", "dev", there)
        self._run("ip", "link", "set", there, "up")
        self._run("hostname", f"machine-{number}")
        self._run("mount", "--bind", str(folder / "boot_id"), "/proc/sys/kernel/random/boot_id")

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Run this module there."""
        return subprocess.Popen(
            [*self._enter, sys.executable, "-m", "tests.faults.machines", *arguments],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )

    def plug(self, state: str) -> None:
        """Pull the cable ("down") or plug it in ("up")."""
        _run("ip", "link", "set", self.cable, state)

    def close(self) -> None:
        self._holder.kill()
        self._holder.wait()
        with contextlib.suppress(AssertionError):  # it goes with the namespace
            _run("ip", "link", "delete", self.cable)

    @property
    def _enter(self) -> Sequence[str]:
        return ["nsenter", "-t", str(self._holder.pid), "--net", "--mount", "--uts", f"--wd={ROOT}"]

    def _run(self, *command: str) -> None:
        _run(*self._enter, *command)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"


def _both_at_once(machines: Sequence[Machine], server: PostgreSQL, *, pulled: bool) -> Callable[..., None]:
    def run(seed: int, rng: random.Random, url: str, folder: Path, tally: Tally) -> None:
        working = [
            machine.start("--work", _url(server, machine), str(machine.folder), f"{seed}-{number}")
            for number, machine in enumerate(machines)
        ]
        timer = threading.Timer(1.0, _pull, (machines[0],)) if pulled else None
        if timer:
            timer.start()
            tally.hits += 1
        for number, process in enumerate(working):
            said, _ = process.communicate(timeout=300)
            assert process.returncode == 0
            told = Told()
            for line in said.splitlines():
                told.hear(line)
            tally.attempted.update(f"{seed}-{number}-{one}" for one in range(PROCESSES * CALLS))
            tally.acknowledged.update(told.returned)
            tally.slowest = max(tally.slowest, told.slowest)
            tally.hits += 1
        if timer:
            timer.join()
        for machine in machines:
            assert not list(machine.folder.rglob("*.seg")), "a journal was left"

    run.__name__ = "two machines" + (", one of them cut off for 2 s" if pulled else "")
    return run


def _pull(machine: Machine) -> None:
    machine.plug("down")
    time.sleep(2)
    machine.plug("up")


def _url(server: PostgreSQL, machine: Machine) -> str:
    return server.url.replace(server.address, machine.address)


def work(url: str, folder: Path, prefix: str) -> None:
    """On one of the machines: make calls in several processes, kill one, write what is left."""
    names = [f"{prefix}-{number}" for number in range(PROCESSES * CALLS)]
    workers = [Process(partial(_calls, names[number::PROCESSES], url, folder)) for number in range(PROCESSES)]
    time.sleep(0.5)
    workers[0].kill()
    told = Told()
    for worker in workers:
        worker.wait(told)
    Process(lambda tell: go_on(url, folder)).wait()
    for name in sorted(told.returned):
        print(f"returned {name}")
    print(f"slowest {told.slowest}")


def _calls(names: Sequence[str], url: str, folder: Path, tell: Callable[[str], None]) -> None:
    app = build_app(url, folder)
    slowest = [0.0]

    def call(name: str) -> None:
        began = time.monotonic()
        tracked(app, name, tags={"machine": os.uname().nodename})
        slowest.append(time.monotonic() - began)
        tell(f"returned {name}")

    in_threads(names, call, 0.02)
    store_all(app)
    tell(f"slowest {max(slowest)}")


@contextlib.contextmanager
def _machines(folder: Path) -> Iterator[list[Machine]]:
    for program in ("ip", "unshare", "nsenter"):
        if os.geteuid() or not shutil.which(program):
            raise ServerMissing(f"network namespaces need root and {program}")
    made: list[Machine] = []
    try:
        for number in range(2):
            made.append(Machine(number, folder / f"machine-{number}"))
        yield made
    finally:
        for machine in made:
            machine.close()


def run(seeds: int) -> list[Tally]:
    """Run on two machines.

    :raises ServerMissing: there can be none here.
    """
    with (
        tempfile.TemporaryDirectory() as name,
        _machines(Path(name)) as machines,
        running(PostgreSQL, "0.0.0.0") as server,
    ):
        faults = [_both_at_once(machines, server, pulled=pulled) for pulled in (True, False)]
        return run_seeds(server.url, Path(name), faults, range(seeds))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--work", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        work(given.work[0], Path(given.work[1]), given.work[2])
        return
    try:
        tallies = run(given.seeds)
    except ServerMissing as missing:
        print(f"not run: {missing}", file=sys.stderr)
        sys.exit(3)
    print(f"postgresql, {given.seeds} seeds\n{report(tallies)}\n", flush=True)
    sys.exit(not all(tally.passed for tally in tallies))


if __name__ == "__main__":
    main()
