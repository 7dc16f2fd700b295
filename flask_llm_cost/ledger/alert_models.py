"""What became of alerts: which channel has delivered one, and who is at it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger
from sqlalchemy import Boolean
from sqlalchemy import ForeignKeyConstraint
from sqlalchemy import Integer
from sqlalchemy import PrimaryKeyConstraint
from sqlalchemy import String
from sqlalchemy.orm import Mapped
from sqlalchemy.orm import mapped_column

from .models import MYSQL
from .models import Base
from .types import UTCDateTime
from .types import key_column

CHANNEL_LENGTH = 16
REASON_LENGTH = 64


class AlertDelivery(Base):
    """One alert on one channel. Without a row, nobody has tried yet.

    ``claimed_until`` is in milliseconds since 1970, by the database's clock: until then it is ``owner``'s to
    send, or, after a failure, nobody's. ``failure`` is a class or a code, never an address or a reply.
    """

    __tablename__ = "llm_cost_alert_deliveries"
    __table_args__ = (
        PrimaryKeyConstraint("alert_id", "channel", name="pk_llm_cost_alert_deliveries"),
        ForeignKeyConstraint(
            ["alert_id"],
            ["llm_cost_alerts.id"],
            ondelete="CASCADE",
            name="fk_llm_cost_alert_deliveries_alert_id",
        ),
        MYSQL,
    )

    alert_id: Mapped[int] = mapped_column(BigInteger())
    channel: Mapped[str] = mapped_column(key_column(CHANNEL_LENGTH))
    owner: Mapped[str] = mapped_column(key_column(32))
    attempts: Mapped[int] = mapped_column(Integer())
    claimed_until: Mapped[int] = mapped_column(BigInteger())
    delivered_at: Mapped[datetime | None] = mapped_column(UTCDateTime())
    is_given_up: Mapped[bool] = mapped_column(Boolean())
    failure: Mapped[str | None] = mapped_column(String(REASON_LENGTH))
