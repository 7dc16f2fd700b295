"""How often the fuzz tests run: each its own number in the suite, ``FUZZ_TIMES`` as many in ``make fuzz``."""

from __future__ import annotations

import functools
import inspect
import os
from collections import Counter
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

from hypothesis import HealthCheck
from hypothesis import note
from hypothesis import settings

#: Cases that ran, by test.
RAN: Counter[str] = Counter()
#: How many times the suite's number; ``None`` in the suite itself.
TIMES = int(os.environ["FUZZ_TIMES"]) if os.environ.get("FUZZ_TIMES") else None

Test = Callable[..., None]


def fuzz(examples: int) -> Callable[[Test], Test]:
    """Draw this many examples in the suite, and ``FUZZ_TIMES`` as many in ``make fuzz``."""

    def decorate(test: Any) -> Test:
        inner = test.hypothesis.inner_test
        if not hasattr(inner, "routes"):
            test.hypothesis.inner_test = _counted(inner)
        chosen: Test = settings(
            max_examples=examples * (TIMES or 1),
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        )(test)
        return chosen

    return decorate


def on_each(routes: Sequence[Any]) -> Callable[[Test], Test]:
    """Run a test with what was drawn on each of these routes, its first argument: drawing takes longer than
    reading.
    """

    def decorate(test: Test) -> Test:
        counted = _counted(test)

        @functools.wraps(test)
        def run(*drawn: Any, **named: Any) -> None:
            for route in routes:
                note(f"on {route}")
                counted(route, *drawn, **named)

        signature = inspect.signature(test)
        without = [value for name, value in signature.parameters.items() if name != "route"]
        run.__signature__ = signature.replace(parameters=without)  # type: ignore[attr-defined]
        run.routes = routes  # type: ignore[attr-defined]
        return run

    return decorate


def _counted(test: Test) -> Test:
    @functools.wraps(test)
    def counted(*args: Any, **kwargs: Any) -> None:
        RAN[test.__name__] += 1
        test(*args, **kwargs)

    return counted
