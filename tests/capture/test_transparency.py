"""The host's objects, exceptions, requests and connections are the same with us and without."""

from __future__ import annotations

import subprocess
import sys


def seen_by_the_host(mode: str) -> tuple[list[str], list[str]]:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.capture.host_script", mode],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines(), done.stderr.splitlines()


def test_a_host_sees_the_same_with_us_and_without() -> None:
    plain, noise = seen_by_the_host("plain")
    tracked, recorded = seen_by_the_host("tracked")
    assert noise == []
    assert len(plain) > 50
    assert tracked == plain
    assert sum(line.startswith("recorded ") for line in recorded) == 30
