"""The app's own table."""

from __future__ import annotations

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import Mapped
from sqlalchemy.orm import mapped_column

db = SQLAlchemy()


class Notice(db.Model):  # type: ignore[name-defined]
    """Something that all people of a tenant are to know."""

    id: Mapped[int] = mapped_column(primary_key=True)
    tenant: Mapped[str]
    text: Mapped[str]
