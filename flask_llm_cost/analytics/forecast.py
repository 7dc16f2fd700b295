"""What the running month will cost: the days so far, and the days to come by their weekday, with a range.

The level is the recent average day, half as heavy for every two weeks that it lies back; a weekday's factor
is its own average against all days, pulled towards one where few such days were seen. The range holds four of
five outcomes where days vary as they did: the spread of single days, and that of the level itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from .periods import month_start

if TYPE_CHECKING:
    from .query import CallQuery

HISTORY_DAYS = 56
#: With fewer days nothing is foretold: a first week has not even seen each weekday.
LEAST_DAYS = 7
_HALF_LIFE = 14.0
#: Days of an average weekday that a factor is mixed with.
_SHRINKAGE = 1.5
#: Standard deviations to each side that hold 80 % of a normal distribution.
_SPREAD = 1.2816
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """A month in USD.

    :param spent: up to now; ``expected`` by its end, most likely between ``low`` and ``high``.
    :param days_left: after today; ``days_seen`` how many complete days it is learnt from.
    :param path: the expected total at the end of today and of each day to come, with its range.
    """

    month: date
    today: date
    spent: Decimal
    expected: Decimal
    low: Decimal
    high: Decimal
    days_left: int
    days_seen: int
    path: tuple[tuple[date, Decimal, Decimal, Decimal], ...]


def month_forecast(query: CallQuery) -> Forecast | None:
    """The running month of ``query``'s calls, whatever its range; ``None`` where too few days are known."""
    today = query.now().astimezone(query.zone).date()
    first = min(today - HISTORY_DAYS * _DAY, month_start(today))
    buckets = query.days(first, today).series("day").buckets
    costs = {bucket.label: bucket.total_cost for bucket in buckets}
    begun = next((bucket.label for bucket in buckets if bucket.calls), today)
    history = [
        (day, float(cost))
        for day, cost in costs.items()
        if begun <= day < today and day >= today - HISTORY_DAYS * _DAY and cost is not None
    ]
    if len(history) < LEAST_DAYS:
        return None
    spent = [cost for day, cost in costs.items() if day >= month_start(today) and cost is not None]
    return foretold(history, sum(spent, Decimal(0)), costs.get(today) or Decimal(0), today)


def foretold(
    history: Sequence[tuple[date, float]], spent: Decimal, spent_today: Decimal, today: date
) -> Forecast:
    """The forecast from complete days and what was spent so far.

    :param history: complete days before ``today`` and their cost, oldest first, at least one.
    :param spent: of the month, with ``spent_today`` in it.
    """
    factors = _factors(history)
    level, deviation, weight = _level(history, factors, today)
    end = month_start(month_start(today) + 31 * _DAY) - _DAY
    rest = max(0.0, level * factors[today.weekday()] - float(spent_today))
    total, squares, sum_of_factors = float(spent) + rest, 0.0, 0.0
    if rest:
        squares, sum_of_factors = factors[today.weekday()] ** 2, factors[today.weekday()]
    path = [_point(today, total, _margin(squares, sum_of_factors, deviation, weight), spent)]
    for number in range(1, (end - today).days + 1):
        day = today + number * _DAY
        factor = factors[day.weekday()]
        total += level * factor
        squares, sum_of_factors = squares + factor**2, sum_of_factors + factor
        path.append(_point(day, total, _margin(squares, sum_of_factors, deviation, weight), spent))
    _, expected, low, high = path[-1]
    return Forecast(
        month=month_start(today),
        today=today,
        spent=spent,
        expected=expected,
        low=low,
        high=high,
        days_left=len(path) - 1,
        days_seen=len(history),
        path=tuple(path),
    )


def _factors(history: Sequence[tuple[date, float]]) -> Mapping[int, float]:
    """How dear each weekday is against the average day."""
    mean = sum(cost for _, cost in history) / len(history)
    if not mean:
        return dict.fromkeys(range(7), 1.0)
    found = {}
    for weekday in range(7):
        mine = [cost for day, cost in history if day.weekday() == weekday]
        found[weekday] = (sum(mine) / mean + _SHRINKAGE) / (len(mine) + _SHRINKAGE)
    return found


def _level(
    history: Sequence[tuple[date, float]], factors: Mapping[int, float], today: date
) -> tuple[float, float, float]:
    """The average day without its weekday, how far single days are from it, and on how many that stands."""
    weights = [0.5 ** ((today - day).days / _HALF_LIFE) for day, _ in history]
    plain = [cost / max(factors[day.weekday()], 0.05) for day, cost in history]
    # Weighted by the factor too: a quiet Sunday says little about the level.
    pull = [weight * factors[day.weekday()] for weight, (day, _) in zip(weights, history, strict=True)]
    level = sum(w * value for w, value in zip(pull, plain, strict=True)) / sum(pull)
    variance = sum(w * (value - level) ** 2 for w, value in zip(pull, plain, strict=True)) / sum(pull)
    effective = sum(weights) ** 2 / sum(weight**2 for weight in weights)
    return level, math.sqrt(variance * effective / max(effective - 1, 1)), effective


def _margin(squares: float, sum_of_factors: float, deviation: float, weight: float) -> float:
    return _SPREAD * deviation * math.sqrt(squares + sum_of_factors**2 / weight)


def _point(day: date, total: float, margin: float, spent: Decimal) -> tuple[date, Decimal, Decimal, Decimal]:
    expected, low, high = (Decimal(round(value, 6)).quantize(Decimal("0.000001")) for value in
                           (total, max(total - margin, 0.0), total + margin))  # fmt: skip
    return day, max(expected, spent), max(low, spent), max(high, spent)
