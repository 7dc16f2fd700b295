"""What the worker does. It says nothing of users or tenants: that came with the task."""

from __future__ import annotations

from functools import cache

from anthropic import Anthropic
from celery import shared_task

from flask_llm_cost import with_tags

from . import Document
from . import db


@cache
def anthropic() -> Anthropic:
    """One client for each process of the worker, made after it was forked."""
    return Anthropic()


@shared_task
def summarise(document_id: int) -> None:
    document = db.session.get_one(Document, document_id)
    with with_tags(step="summarise"):
        answer = anthropic().messages.create(
            model="claude-haiku-4-5",
            max_tokens=300,
            messages=[{"role": "user", "content": f"Summarise this document.\n\n{document.text}"}],
        )
    document.summary = "".join(block.text for block in answer.content if block.type == "text")
    db.session.commit()
