"""Commands of the desk: its tables, its demo data and the nightly job."""

from __future__ import annotations

import click
from flask import Flask
from flask.cli import with_appcontext
from sqlalchemy import select

from . import assistant
from . import seed
from .models import Ticket
from .models import db


def register(app: Flask) -> None:
    app.cli.add_command(seed_command)
    app.cli.add_command(summarise_command)


@click.command("seed")
@click.option("--days", default=60, show_default=True, help="How many days of calls to make up.")
@with_appcontext
def seed_command(days: int) -> None:
    """Create the tables and, if they are empty, fill them with people, tickets and calls."""
    db.create_all()
    calls = seed.fill(days=days)
    click.echo(f"{calls:,} made-up calls written." if calls else "There is data already: nothing written.")


@click.command("summarise")
@click.option("--limit", default=20, show_default=True, help="At most this many tickets.")
@with_appcontext
def summarise_command(limit: int) -> None:
    """Summarise the tickets that have no summary yet: the nightly job."""
    waiting = db.session.scalars(select(Ticket).where(Ticket.summary.is_(None)).limit(limit)).all()
    for ticket in waiting:
        ticket.summary = assistant.summarise(ticket)
        db.session.commit()
    click.echo(f"{len(waiting)} tickets summarised.")
