"""A stream of 500 MB costs as much memory as a short one."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.capture.long_stream import READERS


@pytest.mark.slow
@pytest.mark.parametrize("reader", READERS)
def test_a_stream_of_500_mb_is_recorded_in_bounded_memory(reader: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.capture.long_stream", reader, "500"],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )

    stored, status, tokens, megabytes, grown = json.loads(done.stdout)
    assert (stored, status, tokens, megabytes) == (2, "ok", [100, 48], 500)
    assert grown < 20, f"{reader}: the peak memory grew by {grown} MB"
