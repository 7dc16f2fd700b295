"""What an alert says. Values only; the same words in a log line, a mail and a chat."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from datetime import datetime
from decimal import Decimal

from ...money import EXACT
from ...wording import money_digits
from ...wording import plain_digits


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One threshold that one window of a budget has reached. Amounts are in USD.

    :param key: the same for every attempt to deliver it, by whichever process.
    :param scope: the value whose limit it is where the budget has one for each, else ``""``.
    :param threshold: a share of the limit: 0.8 is 80 percent of it.
    """

    key: str
    service: str
    budget: str
    scope: str
    threshold: Decimal
    limit: Decimal
    spent: Decimal
    window_start: datetime
    window_end: datetime | None
    reached_at: datetime

    @property
    def is_exceeded(self) -> bool:
        """Whether the limit itself is reached, and not just a part of it."""
        return self.threshold >= 1

    @property
    def subject(self) -> str:
        """One line, without the amounts."""
        whom = f" of {self.scope}" if self.scope else ""
        what = "has reached its limit" if self.threshold == 1 else f"has reached {_percent(self.threshold)}"
        return _one_line(f"Budget {self.budget}{whom} {what} ({self.service})")

    @property
    def text(self) -> str:
        """One line with everything a reader needs."""
        limit = f"${money_digits(self.spent)} of ${money_digits(self.limit)}"
        share = f", {_percent(EXACT.divide(self.spent, self.limit))}" if self.limit else ""
        return f"{self.subject}: {limit} spent{share}, {self._window}."

    @property
    def payload(self) -> dict[str, object]:
        """For machines: ``text`` for chats that take Slack's format, and every value by its name."""
        return {
            "text": self.text,
            "alert": {
                "id": self.key,
                "event": "budget_exceeded" if self.is_exceeded else "budget_threshold_reached",
                "service": self.service,
                "budget": self.budget,
                "scope": self.scope or None,
                "threshold": plain_digits(self.threshold),
                "limit": plain_digits(self.limit),
                "spent": plain_digits(self.spent),
                "currency": "USD",
                "window_start": self.window_start.isoformat(),
                "window_end": None if self.window_end is None else self.window_end.isoformat(),
                "reached_at": self.reached_at.isoformat(),
            },
        }

    @property
    def _window(self) -> str:
        if self.window_end is None:
            return "in all"
        if self.window_start == self.window_end:
            return f"in one call at {_minute(self.window_start)} UTC"
        return f"from {_minute(self.window_start)} to {_minute(self.window_end)} UTC"


def _percent(share: Decimal) -> str:
    return f"{plain_digits(round(share * 100, 1))} %"


def _minute(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}"


def _one_line(text: str) -> str:
    """A tag's value is the app's users': no line of it must become a header of a mail."""
    return " ".join(text.split())
