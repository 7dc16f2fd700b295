"""How long a price takes, and how long the bundled list takes to load."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from datetime import UTC
from datetime import datetime

from flask_llm_cost.pricing import Catalog
from flask_llm_cost.usage import Usage

_LOADING = """
import time
import flask_llm_cost
from flask_llm_cost.pricing import Catalog
begun = time.process_time()
catalog = Catalog.load()
catalog.tables[-1].version
print((time.process_time() - begun) * 1e3)
"""


def report_catalog() -> None:
    """Print microseconds per price once warm, and milliseconds for the list in fresh processes."""
    catalog = Catalog.load()
    usage = Usage(input_tokens=100, cache_read_input_tokens=20, output_tokens=48, reasoning_tokens=8)
    times = []
    for _ in range(2000):
        at = datetime.now(UTC)
        begun = time.thread_time_ns()
        catalog.price(provider="openai", model="gpt-5-mini", usage=usage, at=at)
        times.append((time.thread_time_ns() - begun) / 1e3)
    loads = [float(subprocess.check_output([sys.executable, "-c", _LOADING])) for _ in range(5)]
    print(f"price, once warm         cpu   p50 {statistics.median(times):6.1f} us")
    print(f"load the bundled prices  cpu   median {statistics.median(loads):4.0f} ms of 5", flush=True)
