"""The pages: a list of tickets, one ticket, and what the assistant does with it."""

from __future__ import annotations

from collections.abc import Iterator

from flask import Blueprint
from flask import Response
from flask import abort
from flask import redirect
from flask import render_template
from flask import request
from flask import stream_template
from flask import url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from flask_login import login_required
from sqlalchemy import select

from . import assistant
from .models import Message
from .models import Ticket
from .models import db

bp = Blueprint("desk", __name__)


@bp.before_request
@login_required
def _members_only() -> None:
    """Every page of the desk is for agents who have signed in."""


@bp.get("/")
def tickets() -> str:
    query = select(Ticket).where(Ticket.tenant_id == current_user.tenant_id).order_by(Ticket.id.desc())
    found = list(db.session.scalars(query))
    words = request.args.get("q", "").strip()
    if words:
        found = assistant.search(found, words, current_user)
    return render_template("tickets.html", tickets=found, words=words)


@bp.post("/tickets")
def create() -> ResponseReturnValue:
    subject = request.form.get("subject", "").strip()
    text = request.form.get("text", "").strip()
    if not subject or not text:
        abort(400, "A ticket needs a subject and a description.")
    ticket = Ticket(tenant=current_user.tenant, subject=subject, customer=current_user.name)
    ticket.messages.append(Message(author="customer", text=text))
    ticket.priority = assistant.triage(ticket, current_user)
    db.session.add(ticket)
    db.session.commit()
    return redirect(url_for(".ticket", ticket_id=ticket.id))


@bp.get("/tickets/<int:ticket_id>")
def ticket(ticket_id: int) -> str:
    return render_template("ticket.html", ticket=_own_ticket(ticket_id))


@bp.post("/tickets/<int:ticket_id>/ask")
def ask(ticket_id: int) -> ResponseReturnValue:
    """The ticket's page again, sent while the answer is being written. No script is needed for that."""
    ticket = _own_ticket(ticket_id)
    question = request.form.get("question", "").strip()
    if not question:
        return redirect(url_for(".ticket", ticket_id=ticket.id))
    pieces = assistant.stream_answer(ticket, question, current_user._get_current_object())
    # stream_template sends the page through stream_with_context: the generator finds its app and request.
    page = stream_template(
        "ticket.html", ticket=ticket, question=question, answer=_kept(ticket.id, question, pieces)
    )
    return Response(page, headers={"X-Accel-Buffering": "no"})


def _kept(ticket_id: int, question: str, pieces: Iterator[str]) -> Iterator[str]:
    """Pass the pieces on and store question and answer once the last one is out."""
    parts: list[str] = []
    for piece in pieces:
        parts.append(piece)
        yield piece
    # The context lives on while the page is sent, but the view's session is gone and its objects with it.
    db.session.add(Message(ticket_id=ticket_id, author="agent", text=question))
    db.session.add(Message(ticket_id=ticket_id, author="assistant", text="".join(parts)))
    db.session.commit()


@bp.post("/tickets/<int:ticket_id>/summarise")
def summarise(ticket_id: int) -> ResponseReturnValue:
    ticket = _own_ticket(ticket_id)
    ticket.summary = assistant.summarise(ticket, current_user)
    db.session.commit()
    return redirect(url_for(".ticket", ticket_id=ticket.id))


def _own_ticket(ticket_id: int) -> Ticket:
    """The ticket, if it belongs to the agent's tenant."""
    ticket = db.session.get(Ticket, ticket_id)
    if ticket is None or ticket.tenant_id != current_user.tenant_id:
        abort(404)
    return ticket
