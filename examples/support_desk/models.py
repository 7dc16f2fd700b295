"""The desk's own tables. The tracker's tables join them in the same metadata."""

from __future__ import annotations

from datetime import UTC
from datetime import datetime

from flask_login import UserMixin
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import ForeignKey
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.orm import Mapped
from sqlalchemy.orm import mapped_column
from sqlalchemy.orm import relationship
from werkzeug.security import check_password_hash


class Base(DeclarativeBase):
    pass


db = SQLAlchemy(model_class=Base)


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


class Tenant(db.Model):
    """A company whose customers write tickets. ``slug`` is what its calls are tagged with."""

    id: Mapped[int] = mapped_column(primary_key=True)
    slug: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]


class User(UserMixin, db.Model):
    """A support agent. An admin also sees what the models cost, for all tenants."""

    id: Mapped[int] = mapped_column(primary_key=True)
    tenant_id: Mapped[int] = mapped_column(ForeignKey("tenant.id"))
    email: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    password_hash: Mapped[str]
    is_admin: Mapped[bool] = mapped_column(default=False)

    tenant: Mapped[Tenant] = relationship(lazy="joined")

    def has_password(self, password: str) -> bool:
        return check_password_hash(self.password_hash, password)


class Ticket(db.Model):
    id: Mapped[int] = mapped_column(primary_key=True)
    tenant_id: Mapped[int] = mapped_column(ForeignKey("tenant.id"), index=True)
    subject: Mapped[str]
    customer: Mapped[str]
    priority: Mapped[str] = mapped_column(default="normal")
    summary: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(default=_now)

    tenant: Mapped[Tenant] = relationship()
    messages: Mapped[list[Message]] = relationship(
        order_by="Message.id", back_populates="ticket", cascade="all, delete-orphan"
    )


class Message(db.Model):
    """One turn of a ticket's conversation. ``author`` is customer, agent or assistant."""

    id: Mapped[int] = mapped_column(primary_key=True)
    ticket_id: Mapped[int] = mapped_column(ForeignKey("ticket.id"), index=True)
    author: Mapped[str]
    text: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(default=_now)

    ticket: Mapped[Ticket] = relationship(back_populates="messages")
