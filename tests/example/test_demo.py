"""``make demo`` from outside: a process that serves on loopback and stops when it is told to."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.request
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.parse import urlencode

import pytest

from examples.support_desk import seed

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.slow
def test_the_demo_fills_itself_serves_and_stops_on_ctrl_c(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "PORT": "0",
        "PYTHONUNBUFFERED": "1",
        "FLASK_SQLALCHEMY_DATABASE_URI": f"sqlite:///{tmp_path / 'demo.sqlite'}",
    }
    with subprocess.Popen(
        [sys.executable, "-m", "support_desk"],
        cwd=EXAMPLES,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        # Tests that run in the background of a script ignore Ctrl-C, and so would the demo.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        try:
            assert process.stdout is not None
            greeting = ""
            while "Ctrl-C" not in greeting and (line := process.stdout.readline()):
                greeting += line
            addresses = re.findall(r"http://\S+", greeting)
            assert [address.split(":")[1] for address in addresses] == ["//127.0.0.1"] * 2
            assert re.search(r"wrote [56],\d{3} made-up calls", greeting)
            desk, costs = addresses
            browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
            with browser.open(desk) as page:
                assert page.status == 200
            form = urlencode({"email": seed.ADMIN, "password": seed.PASSWORD}).encode()
            with browser.open(f"{desk}login", data=form) as page:
                assert page.status == 200
            with browser.open(costs) as page:
                assert "support-desk" in page.read().decode()
            process.send_signal(signal.SIGINT)
            assert process.communicate(timeout=20)[0].strip() == "Stopped."
            assert process.returncode == 0
        finally:
            process.kill()
