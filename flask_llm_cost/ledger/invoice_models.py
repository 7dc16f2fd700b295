"""The tables of reconciliation: what a provider says it billed. Only commands write to them."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from sqlalchemy import BigInteger
from sqlalchemy import Index
from sqlalchemy import Integer
from sqlalchemy import PrimaryKeyConstraint
from sqlalchemy import String
from sqlalchemy import Text
from sqlalchemy import UniqueConstraint
from sqlalchemy.orm import Mapped
from sqlalchemy.orm import mapped_column

from .models import MYSQL
from .models import NAME_LENGTH
from .models import REASON_LENGTH
from .models import Base
from .types import Money
from .types import Quantity
from .types import UTCDateTime
from .types import id_column
from .types import key_column

LINE_ITEM_LENGTH = 255


class InvoiceImport(Base):
    """One period of one source, and how far its import has come. Importing it again reuses the row.

    ``source`` is what was asked, such as ``openai_costs`` or ``csv``; ``page_token`` is the provider's name
    of the next page, where a run that broke off goes on. The lines of a run bear its ``run_id``.
    """

    __tablename__ = "llm_cost_invoice_imports"
    __table_args__ = (
        PrimaryKeyConstraint("id", name="pk_llm_cost_invoice_imports"),
        UniqueConstraint(
            "provider", "source", "period_start", "period_end", name="uq_llm_cost_invoice_imports_period"
        ),
        MYSQL,
    )

    id: Mapped[int] = mapped_column(id_column(), autoincrement=True)
    provider: Mapped[str] = mapped_column(key_column(64))
    source: Mapped[str] = mapped_column(key_column(64))
    period_start: Mapped[datetime] = mapped_column(UTCDateTime())
    period_end: Mapped[datetime] = mapped_column(UTCDateTime())
    run_id: Mapped[str] = mapped_column(key_column(36))
    status: Mapped[str] = mapped_column(key_column(16))
    page_token: Mapped[str | None] = mapped_column(Text())
    page_count: Mapped[int] = mapped_column(Integer())
    line_count: Mapped[int] = mapped_column(BigInteger())
    problem: Mapped[str | None] = mapped_column(String(REASON_LENGTH))
    started_at: Mapped[datetime] = mapped_column(UTCDateTime())
    changed_at: Mapped[datetime] = mapped_column(UTCDateTime())


class InvoiceLine(Base):
    """One line of what a provider says about one span of time, as far as it tells what the line is for.

    ``line_key`` is a hash of all that tells lines apart, so that a line that is told again is the same row.
    ``rounding`` is by how much the told amount may be off, as it was written with so many digits.
    """

    __tablename__ = "llm_cost_invoice_lines"
    __table_args__ = (
        PrimaryKeyConstraint("line_key", name="pk_llm_cost_invoice_lines"),
        Index("ix_llm_cost_invoice_lines_bucket", "provider", "source", "bucket_start"),
        MYSQL,
    )

    line_key: Mapped[str] = mapped_column(key_column(64))
    run_id: Mapped[str] = mapped_column(key_column(36))
    provider: Mapped[str] = mapped_column(key_column(64))
    source: Mapped[str] = mapped_column(key_column(64))
    row_type: Mapped[str] = mapped_column(key_column(16))
    bucket_start: Mapped[datetime] = mapped_column(UTCDateTime())
    bucket_end: Mapped[datetime] = mapped_column(UTCDateTime())
    provider_account: Mapped[str | None] = mapped_column(key_column(NAME_LENGTH))
    api_key_id: Mapped[str | None] = mapped_column(key_column(NAME_LENGTH))
    model: Mapped[str | None] = mapped_column(key_column(NAME_LENGTH))
    line_item: Mapped[str | None] = mapped_column(key_column(LINE_ITEM_LENGTH))
    component: Mapped[str | None] = mapped_column(key_column(64))
    pricing_mode: Mapped[str | None] = mapped_column(key_column(64))
    amount: Mapped[Decimal | None] = mapped_column(Money())
    currency: Mapped[str | None] = mapped_column(key_column(8))
    rounding: Mapped[Decimal | None] = mapped_column(Money())
    quantity: Mapped[Decimal | None] = mapped_column(Quantity())
    unit: Mapped[str | None] = mapped_column(key_column(32))
