"""The tables of budgets. Amounts are in USD; what they mean is told by :mod:`flask_llm_cost.budgets`."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from sqlalchemy import BigInteger
from sqlalchemy import Boolean
from sqlalchemy import Index
from sqlalchemy import PrimaryKeyConstraint
from sqlalchemy import String
from sqlalchemy import UniqueConstraint
from sqlalchemy.orm import Mapped
from sqlalchemy.orm import mapped_column

from .models import MYSQL
from .models import NAME_LENGTH
from .models import TAG_VALUE_LENGTH
from .models import Base
from .types import Money
from .types import Quantity
from .types import UTCDateTime
from .types import id_column
from .types import key_column

BUDGET_NAME_LENGTH = 64


class BudgetWindow(Base):
    """What one budget's calls have cost in one window, and what is set aside for those under way.

    ``scope`` is the value whose limit it is where a budget has one for each, else ``''``. ``definition``
    stands for what the budget counts: one that is declared anew begins with rows of its own.
    """

    __tablename__ = "llm_cost_budgets"
    __table_args__ = (
        PrimaryKeyConstraint("id", name="pk_llm_cost_budgets"),
        UniqueConstraint("budget", "definition", "scope", "window_start", name="uq_llm_cost_budgets_window"),
        Index("ix_llm_cost_budgets_spent", "budget", "definition", "window_start", "spent"),
        MYSQL,
    )

    id: Mapped[int] = mapped_column(id_column(), autoincrement=True)
    budget: Mapped[str] = mapped_column(key_column(BUDGET_NAME_LENGTH))
    definition: Mapped[str] = mapped_column(key_column(16))
    scope: Mapped[str] = mapped_column(key_column(TAG_VALUE_LENGTH))
    window_start: Mapped[datetime] = mapped_column(UTCDateTime())
    window_end: Mapped[datetime | None] = mapped_column(UTCDateTime())
    #: What the recorded calls have cost, to the last digit.
    spent: Mapped[Decimal] = mapped_column(Money())
    #: The estimates of calls under way: the sum of the window's reservations.
    reserved: Mapped[Decimal] = mapped_column(Money())
    #: The estimates of calls that were answered and did not tell what they used.
    unpriced: Mapped[Decimal] = mapped_column(Money())
    #: By how much calls have cost more than was set aside for them.
    excess: Mapped[Decimal] = mapped_column(Money())
    #: What was set aside for the calls that have settled since, and what those have cost.
    estimated: Mapped[Decimal] = mapped_column(Money())
    settled: Mapped[Decimal] = mapped_column(Money())
    calls: Mapped[int] = mapped_column(BigInteger())
    blocked_calls: Mapped[int] = mapped_column(BigInteger())
    #: Whether ``spent`` holds the calls from before this row, too.
    is_counted: Mapped[bool] = mapped_column(Boolean())
    reconciled_at: Mapped[datetime | None] = mapped_column(UTCDateTime())


class BudgetLimit(Base):
    """A limit that was set by command, for a budget or one of its values, in place of the declared one."""

    __tablename__ = "llm_cost_budget_limits"
    __table_args__ = (PrimaryKeyConstraint("budget", "scope", name="pk_llm_cost_budget_limits"), MYSQL)

    budget: Mapped[str] = mapped_column(key_column(BUDGET_NAME_LENGTH))
    scope: Mapped[str] = mapped_column(key_column(TAG_VALUE_LENGTH))
    limit_amount: Mapped[Decimal] = mapped_column(Money())
    changed_at: Mapped[datetime] = mapped_column(UTCDateTime())
    changed_by: Mapped[str] = mapped_column(String(NAME_LENGTH))


class Reservation(Base):
    """What is set aside for one call under way in one budget's window.

    ``budget_id`` is the window's; no foreign key, which would be looked up with every reservation. Whoever
    deletes the row takes its amount back, once. ``expires_at`` is in milliseconds since 1970, by the
    database's clock.
    """

    __tablename__ = "llm_cost_reservations"
    __table_args__ = (
        PrimaryKeyConstraint("event_id", "budget_id", name="pk_llm_cost_reservations"),
        Index("ix_llm_cost_reservations_expires", "budget_id", "expires_at"),
        MYSQL,
    )

    event_id: Mapped[str] = mapped_column(key_column(36))
    budget_id: Mapped[int] = mapped_column(BigInteger())
    amount: Mapped[Decimal] = mapped_column(Money())
    expires_at: Mapped[int] = mapped_column(BigInteger())


class BudgetAlert(Base):
    """A threshold that was reached. The unique key is what makes one announcement of many processes' finds.

    ``window_key`` is the start of the window, or the event of a limit for single calls.
    """

    __tablename__ = "llm_cost_alerts"
    __table_args__ = (
        PrimaryKeyConstraint("id", name="pk_llm_cost_alerts"),
        UniqueConstraint(
            "budget", "definition", "scope", "window_key", "threshold", name="uq_llm_cost_alerts_threshold"
        ),
        Index("ix_llm_cost_alerts_reached", "reached_at"),
        MYSQL,
    )

    id: Mapped[int] = mapped_column(id_column(), autoincrement=True)
    budget: Mapped[str] = mapped_column(key_column(BUDGET_NAME_LENGTH))
    definition: Mapped[str] = mapped_column(key_column(16))
    scope: Mapped[str] = mapped_column(key_column(TAG_VALUE_LENGTH))
    window_key: Mapped[str] = mapped_column(key_column(40))
    #: A share of the limit.
    threshold: Mapped[Decimal] = mapped_column(Quantity())
    limit_amount: Mapped[Decimal] = mapped_column(Money())
    spent: Mapped[Decimal] = mapped_column(Money())
    window_start: Mapped[datetime] = mapped_column(UTCDateTime())
    window_end: Mapped[datetime | None] = mapped_column(UTCDateTime())
    reached_at: Mapped[datetime] = mapped_column(UTCDateTime())
    #: Whose find it is: who reads its own mark here tells the receivers.
    found_by: Mapped[str] = mapped_column(key_column(36))
