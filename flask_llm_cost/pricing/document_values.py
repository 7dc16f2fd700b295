"""Single values of a price document, read strictly.

Each reader takes the place and the value as it was parsed, and raises :class:`ConfigurationError`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from datetime import date
from datetime import datetime
from datetime import time
from decimal import Decimal

from ..components import components
from ..errors import ConfigurationError
from ..money import MONEY_SCALE

#: Dearer than this per rate basis is a slip of the unit: the dearest token sold costs 600 USD per million.
RATE_CEILINGS = {"token": 1_000, "character": 1_000, "request": 10_000, "minute": 1_000}
RATE_CEILING = 1_000
#: As documents name them, in the order of ``datetime.weekday()``.
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MONEY = re.compile(r"\d{1,9}(\.\d{1,12})?")
_CLOCK = re.compile(r"(\d\d):(\d\d)")
_MONEY_FORM = 'a plain decimal in quotes, such as "1.25", or a whole number'


@dataclass(frozen=True, slots=True)
class Place:
    """Where in which table something stands, for error messages."""

    table: str
    path: str = ""

    def __truediv__(self, step: str | int) -> Place:
        text = f"[{step}]" if isinstance(step, int) else f".{step}" if self.path else step
        return Place(self.table, self.path + text)

    def refuse(self, problem: str) -> ConfigurationError:
        """The error to raise."""
        return ConfigurationError(f"{self.table}: {self.path}: {problem}")


def money(place: Place, component: str, value: object) -> Decimal:
    """A rate in USD per rate basis of the component: never a binary fraction, never over the ceiling."""
    if isinstance(value, float) and math.isfinite(value):
        raise place.refuse(
            f'{value!r} is a binary fraction, which money must not be; put it in quotes: "{value!r}"'
        )
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        raise place.refuse(f"must be {_MONEY_FORM}, got {value!r}")
    amount = Decimal(value) if isinstance(value, Decimal) or _MONEY.fullmatch(str(value)) else None
    if amount is None or not amount.is_finite() or amount < 0:
        raise place.refuse(f"must be {_MONEY_FORM} and not negative, got {value!r}")
    exponent = amount.normalize().as_tuple().exponent
    if isinstance(exponent, int) and -exponent > MONEY_SCALE:
        raise place.refuse(f"has more than {MONEY_SCALE} digits behind the point: {value!r}")
    kind = components()[component]
    ceiling = RATE_CEILINGS.get(kind.unit, RATE_CEILING)
    if amount > ceiling:
        basis = kind.rate_basis.divisor
        per = kind.unit if basis == 1 else f"{basis:,} {kind.unit}s"
        raise place.refuse(f"{value} is over the ceiling of {ceiling}; the rate is in USD per {per}")
    return amount


def minute_of_day(place: Place, value: object) -> int:
    """A time of day in UTC, as minutes since midnight."""
    found = _CLOCK.fullmatch(value) if isinstance(value, str) else None
    if found is None or not (int(found[1]) < 24 and int(found[2]) < 60):
        raise place.refuse(f'must be a time of day in UTC in quotes, such as "16:30", got {value!r}')
    return int(found[1]) * 60 + int(found[2])


def weekdays(place: Place, raw: object) -> frozenset[int]:
    """Days of the week by number; 0 is Monday."""
    days = sequence(place, raw)
    if not days or not all(day in DAYS for day in days):
        raise place.refuse(f"must be a list of some of {', '.join(DAYS)}, got {raw!r}")
    return frozenset(DAYS.index(str(day)) for day in days)


def moment(place: Place, value: object) -> datetime:
    """Midnight UTC of a day, or an instant with its zone."""
    form = 'must be a day such as "2026-12-01" or an instant with a zone such as "2026-12-01T08:00:00Z"'
    found = value
    if isinstance(value, str):
        try:
            found = datetime.fromisoformat(value) if "T" in value else date.fromisoformat(value)
        except ValueError as error:
            raise place.refuse(f"{form}, got {value!r}") from error
    if isinstance(found, datetime) and found.tzinfo is not None:
        return found.astimezone(UTC)
    if isinstance(found, date) and not isinstance(found, datetime):
        return datetime.combine(found, time(), tzinfo=UTC)
    raise place.refuse(f"{form}, got {value!r}")


def usd_only(place: Place, value: object) -> None:
    """Refuse any other currency."""
    if value != "USD":
        raise (place / "currency").refuse(
            f"must be 'USD', the only currency of the ledger so far, got {value!r}"
        )


def flag(place: Place, value: object) -> bool:
    if not isinstance(value, bool):
        raise place.refuse(f"must be true or false, got {value!r}")
    return value


def mapping(place: Place, value: object) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise place.refuse(f"must be a mapping, got {type(value).__name__}")
    return value


def sequence(place: Place, value: object) -> Sequence[object]:
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        raise place.refuse(f"must be a list, got {type(value).__name__}")
    return value
