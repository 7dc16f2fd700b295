"""What pricing takes: one call after warm-up, and loading the bundled table. ``make bench`` prints it.

The goals are 15 us per call at the median and 30 ms for the table; nothing is asserted. Both are processor
time of this thread, which a busy machine does not change much.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from datetime import UTC
from datetime import datetime
from decimal import Decimal

from flask_llm_cost import Usage
from flask_llm_cost.components import components
from flask_llm_cost.pricing import Catalog
from flask_llm_cost.pricing.tables import bundled_table

AT = datetime(2026, 11, 22, 12, tzinfo=UTC)
CHAT = Usage(input_tokens=1200, cache_read_input_tokens=800, output_tokens=300, reasoning_tokens=100)
CALLS = {
    "chat": ("openai", "gpt-5-mini", CHAT, None),
    "dated name, batch": ("openai", "gpt-5-2025-08-07", CHAT, "batch"),
    "tiers, region": ("anthropic", "claude-haiku-5-5", CHAT, "data_residency"),
    "hours of the day": ("deepseek", "deepseek-v4-pro", CHAT, None),
    "embedding": ("openai", "text-embedding-3-small", Usage(input_tokens=900), None),
    "web search": (
        "openai",
        "gpt-5",
        Usage(input_tokens=1200, output_tokens=300, charges={"web_search_request": Decimal(2)}),
        None,
    ),
    "unknown model": ("openai", "not-listed", CHAT, None),
}


def median_us(work: Callable[[], object], rounds: int, repeats: int) -> float:
    """Microseconds of one ``work()``: the median of ``rounds`` means over ``repeats``."""
    found = []
    for _ in range(rounds):
        begun = time.thread_time()
        for _ in range(repeats):
            work()
        found.append((time.thread_time() - begun) / repeats * 1e6)
    return statistics.median(found)


def load_table() -> None:
    bundled_table.cache_clear()
    bundled_table()


def main() -> None:
    """Print both."""
    components()
    print(f"loading {len(bundled_table()):,} models: {median_us(load_table, 20, 1) / 1000:.1f} ms")
    catalog = Catalog.load()
    for name, (provider, model, usage, mode) in CALLS.items():

        def price(
            provider: str = provider, model: str = model, usage: Usage = usage, mode: str | None = mode
        ) -> object:
            return catalog.price(provider=provider, model=model, usage=usage, pricing_mode=mode, at=AT)

        print(f"pricing a call, {name:<20} p50 {median_us(price, 50, 200):5.1f} us")


if __name__ == "__main__":
    main()
