"""Demo data: three companies, twelve agents, some tickets, and what their calls cost so far."""

from __future__ import annotations

from datetime import UTC
from datetime import datetime
from datetime import timedelta

from flask import current_app
from sqlalchemy import select
from werkzeug.security import generate_password_hash

from flask_llm_cost import LlmCall

from . import history
from .models import Message
from .models import Tenant
from .models import Ticket
from .models import User
from .models import db

PASSWORD = "demo"
ADMIN = "ada@acme.example"
AGENT = "gus@harbour.example"

#: Company by slug: its name and its agents.
COMPANIES = {
    "acme": ("Acme Tools", ("Ada", "Bela", "Carl", "Dora", "Emil")),
    "harbour": ("Harbour Ferries", ("Gus", "Hana", "Ivo", "Jana")),
    "lumen": ("Lumen Health", ("Kira", "Lars", "Mona")),
}

#: Subject and first message of the tickets, dealt out to the companies in turn.
TICKETS = (
    (
        "Cannot sign in since this morning",
        "I get back to the sign-in page every time. The password is right.",
    ),
    ("Charged twice in November", "My statement shows two payments of the same amount on the same day."),
    ("Where do I find my invoices?", "Our bookkeeping asks for the invoices of this year as files."),
    ("The export has no header line", "The file opens, but the columns have no names since the last update."),
    ("Please change our billing address", "We have moved. The new address should be on the next invoice."),
    ("Import stops at line 400", "The first lines arrive, then the page says that something went wrong."),
    ("No notifications on the phone", "They stopped last week. On the computer they still arrive."),
    ("Can I restore a deleted record?", "I deleted the wrong one an hour ago and lost its notes."),
    ("Limit of the interface reached", "Our nightly job is refused after a minute. Can the limit be raised?"),
)


def fill(days: int = 60) -> int:
    """Make up whatever is missing: people, tickets, calls. Returns how many calls were written."""
    if db.session.scalar(select(User.id).limit(1)) is None:
        _add_people_and_tickets()
        db.session.commit()
    if db.session.scalar(select(LlmCall.id).limit(1)) is not None:
        return 0
    users = list(db.session.scalars(select(User).order_by(User.id)))
    db.session.rollback()  # nothing of ours may be open while the ledger writes
    return history.write(current_app.extensions["llm_cost"], users, days=days, until=datetime.now(UTC))


def _add_people_and_tickets() -> None:
    password_hash = generate_password_hash(PASSWORD)
    tenants = []
    for slug, (name, people) in COMPANIES.items():
        tenant = Tenant(slug=slug, name=name)
        tenants.append(tenant)
        for person in people:
            email = f"{person.lower()}@{slug}.example"
            db.session.add(
                User(
                    tenant=tenant,
                    email=email,
                    name=person,
                    password_hash=password_hash,
                    is_admin=email == ADMIN,
                )
            )
    now = datetime.now(UTC).replace(tzinfo=None)
    for number, (subject, text) in enumerate(TICKETS):
        written = now - timedelta(hours=7 * (len(TICKETS) - number))
        ticket = Ticket(tenant=tenants[number % 3], subject=subject, created_at=written)
        ticket.customer = f"Customer {4107 + 31 * number}"
        ticket.priority = "urgent" if "Charged" in subject or "Cannot" in subject else "normal"
        ticket.messages.append(Message(author="customer", text=text, created_at=written))
        db.session.add(ticket)
