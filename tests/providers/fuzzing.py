"""How often the fuzz tests run: each its own number in the suite, ``FUZZ_TIMES`` as many in ``make fuzz``."""

from __future__ import annotations

import functools
import os
from collections import Counter
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck
from hypothesis import settings

#: Cases that ran, by test.
RAN: Counter[str] = Counter()
#: How many times the suite's number; ``None`` in the suite itself.
TIMES = int(os.environ["FUZZ_TIMES"]) if os.environ.get("FUZZ_TIMES") else None


def fuzz(examples: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Run a property this often in the suite, and ``FUZZ_TIMES`` as often for ``make fuzz``."""

    def decorate(test: Any) -> Callable[..., None]:
        inner = test.hypothesis.inner_test

        @functools.wraps(inner)
        def counted(*args: Any, **kwargs: Any) -> None:
            RAN[test.__name__] += 1
            inner(*args, **kwargs)

        test.hypothesis.inner_test = counted
        chosen: Callable[..., None] = settings(
            max_examples=examples * (TIMES or 1),
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        )(test)
        return chosen

    return decorate
