"""The ledger's tables as typed models. People write SQL against them: names and meanings are public.

The models live on their own ``DeclarativeBase``; :mod:`.attach` puts a copy with stock types into the host's
metadata. Every constraint and index carries its name, so that a migration written by hand and one that is
generated agree. Token columns: NULL is "not told", 0 is zero. Times are UTC.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import JSON
from sqlalchemy import BigInteger
from sqlalchemy import Boolean
from sqlalchemy import ForeignKeyConstraint
from sqlalchemy import Index
from sqlalchemy import Integer
from sqlalchemy import LargeBinary
from sqlalchemy import MetaData
from sqlalchemy import PrimaryKeyConstraint
from sqlalchemy import String
from sqlalchemy import Text
from sqlalchemy import UniqueConstraint
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.orm import Mapped
from sqlalchemy.orm import mapped_column
from sqlalchemy.orm import relationship

from .binding import BindOfCurrentApp
from .types import Money
from .types import Quantity
from .types import UTCDateTime
from .types import id_column
from .types import key_column

#: Counts up with every change of a table; ``llm_cost_meta`` holds the database's own.
SCHEMA_VERSION = 5

TAG_KEY_LENGTH = 64
TAG_VALUE_LENGTH = 255
NAME_LENGTH = 191
REASON_LENGTH = 255

MYSQL = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mariadb_engine": "InnoDB",
    "mariadb_charset": "utf8mb4",
}


class Base(DeclarativeBase):
    """The registry of the ledger's models, apart from the host's."""

    metadata = MetaData(info=BindOfCurrentApp(owner="flask_llm_cost"))


def _json() -> JSON:
    return JSON(none_as_null=True)


class LlmCall(Base):
    """One billable call. ``total_cost`` is the exact sum of its line items, NULL where nothing was priced."""

    __tablename__ = "llm_cost_calls"
    __table_args__ = (
        PrimaryKeyConstraint("id", name="pk_llm_cost_calls"),
        UniqueConstraint("event_id", name="uq_llm_cost_calls_event_id"),
        Index("ix_llm_cost_calls_occurred", "occurred_at", "id"),
        Index("ix_llm_cost_calls_model", "provider", "model", "occurred_at"),
        Index("ix_llm_cost_calls_user", "user_id", "occurred_at"),
        Index("ix_llm_cost_calls_trackable", "trackable_type", "trackable_id", "occurred_at"),
        Index("ix_llm_cost_calls_cost_status", "cost_status", "occurred_at"),
        Index("ix_llm_cost_calls_batch", "batch_id"),
        MYSQL,
    )

    # What has a fixed width stands together: PostgreSQL fills up what follows a text.
    id: Mapped[int] = mapped_column(id_column(), autoincrement=True)
    occurred_at: Mapped[datetime] = mapped_column(UTCDateTime())
    created_at: Mapped[datetime] = mapped_column(UTCDateTime())
    event_id: Mapped[str] = mapped_column(key_column(36))
    batch_id: Mapped[str] = mapped_column(key_column(36))
    service: Mapped[str] = mapped_column(key_column(NAME_LENGTH))
    provider: Mapped[str] = mapped_column(key_column(64))
    provider_account: Mapped[str | None] = mapped_column(key_column(NAME_LENGTH))
    model: Mapped[str] = mapped_column(key_column(NAME_LENGTH))
    requested_model: Mapped[str | None] = mapped_column(key_column(NAME_LENGTH))
    operation: Mapped[str] = mapped_column(key_column(32))
    status: Mapped[str] = mapped_column(key_column(16))
    http_status: Mapped[int | None] = mapped_column(Integer())
    error_type: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    attempts: Mapped[int] = mapped_column(Integer())
    stream: Mapped[bool] = mapped_column(Boolean())
    usage_source: Mapped[str] = mapped_column(key_column(16))
    provider_response_id: Mapped[str | None] = mapped_column(key_column(NAME_LENGTH))
    input_tokens: Mapped[int | None] = mapped_column(BigInteger())
    cache_read_input_tokens: Mapped[int | None] = mapped_column(BigInteger())
    cache_write_input_tokens: Mapped[int | None] = mapped_column(BigInteger())
    cache_write_extended_input_tokens: Mapped[int | None] = mapped_column(BigInteger())
    output_tokens: Mapped[int | None] = mapped_column(BigInteger())
    reasoning_tokens: Mapped[int | None] = mapped_column(BigInteger())
    audio_input_tokens: Mapped[int | None] = mapped_column(BigInteger())
    audio_output_tokens: Mapped[int | None] = mapped_column(BigInteger())
    image_input_tokens: Mapped[int | None] = mapped_column(BigInteger())
    image_output_tokens: Mapped[int | None] = mapped_column(BigInteger())
    total_tokens: Mapped[int | None] = mapped_column(BigInteger())
    latency_ms: Mapped[int | None] = mapped_column(BigInteger())
    time_to_first_token_ms: Mapped[int | None] = mapped_column(BigInteger())
    pricing_mode: Mapped[str | None] = mapped_column(key_column(64))
    total_cost: Mapped[Decimal | None] = mapped_column(Money())
    cost_status: Mapped[str] = mapped_column(key_column(16))
    cost_source: Mapped[str | None] = mapped_column(key_column(16))
    pricing_snapshot: Mapped[dict[str, Any] | None] = mapped_column(_json())
    user_id: Mapped[str | None] = mapped_column(key_column(NAME_LENGTH))
    request_type: Mapped[str | None] = mapped_column(key_column(NAME_LENGTH))
    trackable_type: Mapped[str | None] = mapped_column(key_column(NAME_LENGTH))
    trackable_id: Mapped[str | None] = mapped_column(key_column(NAME_LENGTH))
    endpoint: Mapped[str | None] = mapped_column(key_column(NAME_LENGTH))
    tags: Mapped[dict[str, str] | None] = mapped_column(_json())
    details: Mapped[dict[str, Any] | None] = mapped_column(_json())

    line_items: Mapped[list[LineItem]] = relationship(order_by="LineItem.position", viewonly=True)
    call_tags: Mapped[list[CallTag]] = relationship(order_by="CallTag.key", viewonly=True)
    repricings: Mapped[list[Repricing]] = relationship(
        order_by="(Repricing.changed_at, Repricing.run_id)", viewonly=True
    )


class LineItem(Base):
    """One component of one call's bill: ``quantity`` at ``rate`` makes ``cost``."""

    __tablename__ = "llm_cost_line_items"
    __table_args__ = (
        PrimaryKeyConstraint("call_id", "position", name="pk_llm_cost_line_items"),
        ForeignKeyConstraint(
            ["call_id"], ["llm_cost_calls.id"], ondelete="CASCADE", name="fk_llm_cost_line_items_call_id"
        ),
        MYSQL,
    )

    call_id: Mapped[int] = mapped_column(BigInteger())
    position: Mapped[int] = mapped_column(Integer())
    component: Mapped[str] = mapped_column(key_column(64))
    quantity: Mapped[Decimal] = mapped_column(Quantity())
    unit: Mapped[str] = mapped_column(key_column(32))
    rate: Mapped[Decimal | None] = mapped_column(Money())
    rate_basis: Mapped[str] = mapped_column(key_column(16))
    cost: Mapped[Decimal | None] = mapped_column(Money())
    cost_status: Mapped[str] = mapped_column(key_column(16))
    provider_field: Mapped[str | None] = mapped_column(String(NAME_LENGTH))


class CallTag(Base):
    """One tag of one call, with the call's time and cost beside it so that a breakdown reads one index."""

    __tablename__ = "llm_cost_tags"
    __table_args__ = (
        PrimaryKeyConstraint("call_id", "key", name="pk_llm_cost_tags"),
        ForeignKeyConstraint(
            ["call_id"], ["llm_cost_calls.id"], ondelete="CASCADE", name="fk_llm_cost_tags_call_id"
        ),
        Index("ix_llm_cost_tags_value", "key", "value", "occurred_at", "total_cost"),
        Index("ix_llm_cost_tags_occurred", "key", "occurred_at", "value", "total_cost"),
        MYSQL,
    )

    call_id: Mapped[int] = mapped_column(BigInteger())
    key: Mapped[str] = mapped_column(key_column(TAG_KEY_LENGTH))
    value: Mapped[str] = mapped_column(key_column(TAG_VALUE_LENGTH))
    occurred_at: Mapped[datetime] = mapped_column(UTCDateTime())
    total_cost: Mapped[Decimal | None] = mapped_column(Money())


class Repricing(Base):
    """What a call's price was before it was priced again: the audit trail, in the change's own transaction.

    One row per call and run of ``backfill`` or ``reprice``; the price that replaced it is the call's own, or
    the old one of the next change.
    """

    __tablename__ = "llm_cost_repricings"
    __table_args__ = (
        PrimaryKeyConstraint("call_id", "run_id", name="pk_llm_cost_repricings"),
        ForeignKeyConstraint(
            ["call_id"], ["llm_cost_calls.id"], ondelete="CASCADE", name="fk_llm_cost_repricings_call_id"
        ),
        Index("ix_llm_cost_repricings_changed", "changed_at"),
        MYSQL,
    )

    call_id: Mapped[int] = mapped_column(BigInteger())
    run_id: Mapped[str] = mapped_column(key_column(36))
    changed_at: Mapped[datetime] = mapped_column(UTCDateTime())
    command: Mapped[str] = mapped_column(key_column(16))
    changed_by: Mapped[str] = mapped_column(String(NAME_LENGTH))
    reason: Mapped[str | None] = mapped_column(String(REASON_LENGTH))
    old_total_cost: Mapped[Decimal | None] = mapped_column(Money())
    old_cost_status: Mapped[str] = mapped_column(key_column(16))
    old_pricing_snapshot: Mapped[dict[str, Any] | None] = mapped_column(_json())
    new_total_cost: Mapped[Decimal | None] = mapped_column(Money())
    new_cost_status: Mapped[str] = mapped_column(key_column(16))


class Rollup(Base):
    """Sums of calls per period, provider and model, kept in the transaction of the calls.

    ``grain`` 'h' is a UTC hour, 'd' a day and 'w' a week of the zone that :class:`RollupCoverage` names.
    ``tag_key`` is '' for the sums of all calls, else a tag; ``tag_value`` is that tag's, or '' for the calls
    without it.
    ``dim`` is a 16-byte hash of (provider, model, tag_value), so that the key stays short.
    """

    __tablename__ = "llm_cost_rollups"
    __table_args__ = (
        PrimaryKeyConstraint("grain", "tag_key", "bucket", "dim", name="pk_llm_cost_rollups"),
        Index("ix_llm_cost_rollups_tag", "tag_key", "tag_value", "grain", "bucket"),
        MYSQL,
    )

    grain: Mapped[str] = mapped_column(key_column(1))
    tag_key: Mapped[str] = mapped_column(key_column(TAG_KEY_LENGTH))
    bucket: Mapped[datetime] = mapped_column(UTCDateTime())
    dim: Mapped[bytes] = mapped_column(LargeBinary(16).with_variant(mysql.BINARY(16), "mysql", "mariadb"))
    provider: Mapped[str] = mapped_column(key_column(64), server_default="")
    model: Mapped[str] = mapped_column(key_column(NAME_LENGTH), server_default="")
    tag_value: Mapped[str] = mapped_column(key_column(TAG_VALUE_LENGTH), server_default="")
    calls: Mapped[int] = mapped_column(BigInteger())
    failed_calls: Mapped[int] = mapped_column(BigInteger())
    unknown_cost_calls: Mapped[int] = mapped_column(BigInteger())
    partial_cost_calls: Mapped[int] = mapped_column(BigInteger())
    priced_calls: Mapped[int] = mapped_column(BigInteger())
    input_tokens: Mapped[int] = mapped_column(BigInteger())
    cache_read_input_tokens: Mapped[int] = mapped_column(BigInteger())
    cache_write_input_tokens: Mapped[int] = mapped_column(BigInteger())
    cache_write_extended_input_tokens: Mapped[int] = mapped_column(BigInteger())
    output_tokens: Mapped[int] = mapped_column(BigInteger())
    reasoning_tokens: Mapped[int] = mapped_column(BigInteger())
    audio_input_tokens: Mapped[int] = mapped_column(BigInteger())
    audio_output_tokens: Mapped[int] = mapped_column(BigInteger())
    image_input_tokens: Mapped[int] = mapped_column(BigInteger())
    image_output_tokens: Mapped[int] = mapped_column(BigInteger())
    total_cost: Mapped[Decimal] = mapped_column(Money())
    timed_calls: Mapped[int] = mapped_column(BigInteger())
    latency_ms: Mapped[int] = mapped_column(BigInteger())


class RollupCoverage(Base):
    """Which rollups are kept, in whose days, and from which bucket on they hold every call.

    A writer keeps what stands here, whatever its own configuration says. ``complete_from`` is NULL where no
    call is older than the rollups; there is no end, as long as the row is here.
    """

    __tablename__ = "llm_cost_rollup_coverage"
    __table_args__ = (PrimaryKeyConstraint("grain", "tag_key", name="pk_llm_cost_rollup_coverage"), MYSQL)

    grain: Mapped[str] = mapped_column(key_column(1))
    tag_key: Mapped[str] = mapped_column(key_column(TAG_KEY_LENGTH))
    zone: Mapped[str] = mapped_column(key_column(64))
    complete_from: Mapped[datetime | None] = mapped_column(UTCDateTime())


class Quarantine(Base):
    """An event the database refused, without tags' values or details, and the class of the error."""

    __tablename__ = "llm_cost_quarantine"
    __table_args__ = (
        PrimaryKeyConstraint("id", name="pk_llm_cost_quarantine"),
        UniqueConstraint("event_id", name="uq_llm_cost_quarantine_event_id"),
        MYSQL,
    )

    id: Mapped[int] = mapped_column(id_column(), autoincrement=True)
    event_id: Mapped[str] = mapped_column(key_column(36))
    occurred_at: Mapped[datetime | None] = mapped_column(UTCDateTime())
    reason: Mapped[str] = mapped_column(String(REASON_LENGTH))
    event: Mapped[str] = mapped_column(Text())
    created_at: Mapped[datetime] = mapped_column(UTCDateTime())


class Meta(Base):
    """Facts about the ledger itself, such as ``schema_version`` and ``pruned_before``."""

    __tablename__ = "llm_cost_meta"
    __table_args__ = (PrimaryKeyConstraint("key", name="pk_llm_cost_meta"), MYSQL)

    key: Mapped[str] = mapped_column(key_column(64))
    value: Mapped[str] = mapped_column(String(255))
