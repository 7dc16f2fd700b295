"""gunicorn with four workers under load, while workers are killed, recycled and reloaded.

``python -m tests.faults.serving --seeds 12 URL`` prints one row per way of serving. Each seed is a server
whose requests each make one call with the real SDK, of a provider on loopback. A request that was answered is
in the ledger once; one whose worker was killed may be. ``hits`` counts killed workers.
"""

from __future__ import annotations

import http.client
import itertools
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from tests.faults.processes import Run
from tests.faults.processes import main
from tests.faults.tally import BY_NUMBER
from tests.faults.tally import Tally
from tests.loopback import closed_port
from tests.loopback import loopback_provider

ROOT = Path(__file__).parents[2]
CLIENTS = 8
REQUESTS = 120


class Gunicorn:
    """A master with four workers that serve the shop of ``tests.runs``."""

    def __init__(self, arguments: Sequence[str], environment: dict[str, str], log: Path) -> None:
        self.port = closed_port()
        self._log = log
        command = ("-m", "gunicorn", f"--bind=127.0.0.1:{self.port}", "--workers=4", "--no-control-socket")
        with log.open("w") as output:
            self._master = subprocess.Popen(
                [sys.executable, *command, *arguments, "tests.runs.shop:app"],
                cwd=ROOT,
                env=environment,
                stdout=output,
                stderr=output,
            )

    @property
    def said(self) -> str:
        return self._log.read_text("utf-8", "replace")[-4000:]

    @property
    def workers(self) -> list[int]:
        pid = self._master.pid
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + 120
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert self._master.poll() is None, self.said
            assert time.monotonic() < deadline, self.said
            time.sleep(0.05)

    def reload(self) -> None:
        self._master.send_signal(signal.SIGHUP)

    def stop(self) -> None:
        self._master.send_signal(signal.SIGTERM)
        assert self._master.wait(120) == 0, self.said


def _serving(name: str, *arguments: str, kills: bool = True) -> Run:
    def run(seed: int, rng: random.Random, url: str, folder: Path, tally: Tally) -> None:
        folder.mkdir(parents=True)
        with loopback_provider() as provider:
            environment = {
                **os.environ,
                "OPENAI_API_KEY": "loopback",
                "OPENAI_BASE_URL": f"{provider.url}/v1",
                "SHOP_CONFIG": json.dumps({"SQLALCHEMY_DATABASE_URI": url}),
                "SHOP_INSTANCE": str(folder),
                "PYTHONPATH": str(ROOT),
            }
            server = Gunicorn(arguments, environment, folder / "log")
            try:
                server.wait_until_it_answers()
                trouble = _Trouble(server, rng, tally, kills=kills)
                _ask_all(server.port, [f"{seed}-{number}" for number in range(REQUESTS)], tally, trouble)
            finally:
                server.stop()
            flush = (sys.executable, "-m", "flask", "--app", "tests.runs.shop:app", "llm-cost", "flush")
            done = subprocess.run(flush, cwd=ROOT, env=environment, capture_output=True, text=True)
            assert done.returncode == 0, done.stdout + done.stderr
        assert not list(folder.rglob("*.seg")), "a journal was left"

    run.__name__ = name
    return run


class _Trouble:
    """What the server meets with every few answers: a worker is killed, or all are replaced.

    Not with every so many seconds: on a busy machine no worker would live long enough to answer.
    """

    def __init__(self, server: Gunicorn, rng: random.Random, tally: Tally, *, kills: bool) -> None:
        self._server = server
        self._rng = rng
        self._tally = tally
        self._kills = kills
        self._answers = itertools.count(1)
        self._lock = threading.Lock()

    def answered(self) -> None:
        with self._lock:
            number = next(self._answers)
            if number % (REQUESTS // 3) == 0:
                self._server.reload()
            elif self._kills and number % 10 == 0 and (workers := self._server.workers):
                with suppress(ProcessLookupError):  # it has just ended
                    os.kill(self._rng.choice(workers), signal.SIGKILL)
                    self._tally.hits += 1


def _ask_all(port: int, numbers: Sequence[str], tally: Tally, trouble: _Trouble) -> None:
    def ask(number: str) -> None:
        tally.attempted.add(number)
        if _ask(port, number):
            tally.acknowledged.add(number)
            trouble.answered()

    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(ask, numbers))


def _ask(port: int, number: str) -> bool:
    """Whether the request was answered in full.

    :raises AssertionError: the view failed.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        connection.request("GET", f"/plain?number={number}")
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException):
        return False  # its worker was killed
    finally:
        connection.close()
    assert (answer.status, bool(body)) == (200, True), f"{answer.status} {body[:500]!r}"
    return True


FAULTS: Sequence[Run] = [
    _serving("workers are killed, preloaded", "--preload"),
    _serving("workers are recycled and reloaded, preloaded", "--preload", "--max-requests=15", kills=False),
    _serving("workers are killed, four threads each", "--worker-class=gthread", "--threads=4", "--preload"),
    _serving("workers are killed, not preloaded", "--max-requests=25", "--max-requests-jitter=10"),
]


if __name__ == "__main__":
    main(__doc__ or "", lambda kind: FAULTS, BY_NUMBER)
