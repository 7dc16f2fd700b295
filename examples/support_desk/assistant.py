"""Every call to a model. The call sites are plain SDK code; ``with_tags`` says whom a call is for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache

from anthropic import Anthropic
from openai import OpenAI

import stand_in
from flask_llm_cost import with_tags

from .handbook import HANDBOOK
from .models import Ticket
from .models import User

CHAT_MODEL = "gpt-5.4-mini"
SUMMARY_MODEL = "claude-sonnet-4-6"
TRIAGE_MODEL = "gpt-5.4-nano"
SEARCH_MODEL = "text-embedding-3-small"

#: A feature's calls carry its name as a tag, next to the user and the tenant.
FEATURES = ("support_chat", "summarise", "triage", "search")


def stands_in() -> bool:
    """Whether any answer is made up on this machine, for want of a key."""
    return not (os.environ.get("OPENAI_API_KEY") and os.environ.get("ANTHROPIC_API_KEY"))


@cache
def openai_client() -> OpenAI:
    """The real client where there is a key, else the same SDK in front of the stand-in."""
    if os.environ.get("OPENAI_API_KEY"):
        return OpenAI()
    return OpenAI(api_key="stand-in", base_url=f"{stand_in.start()}/v1")


@cache
def anthropic_client() -> Anthropic:
    if os.environ.get("ANTHROPIC_API_KEY"):
        return Anthropic()
    return Anthropic(api_key="stand-in", base_url=stand_in.start())


def stream_answer(ticket: Ticket, question: str, user: User) -> Iterator[str]:
    """Pieces of the assistant's answer to an agent's question about a ticket, as they arrive."""
    messages = [{"role": "system", "content": HANDBOOK}, *_conversation(ticket)]
    messages.append({"role": "user", "content": question})
    # Tags are taken when the call begins, so the block ends here and not when the stream does: a context
    # variable must not stay set across a yield.
    with with_tags(user=user, tenant=ticket.tenant.slug, feature="support_chat", trackable=ticket):
        chunks = openai_client().chat.completions.create(
            model=CHAT_MODEL,
            messages=messages,
            stream=True,
            stream_options={"include_usage": True},  # without it a streamed chat has no usage, hence no cost
        )
    return (piece for chunk in chunks if chunk.choices and (piece := chunk.choices[0].delta.content))


def summarise(ticket: Ticket, user: User | None = None) -> str:
    """Three sentences on a ticket. ``user`` is ``None`` when the nightly job asks."""
    text = "\n\n".join(f"{message.author}: {message.text}" for message in ticket.messages)
    with with_tags(user=user, tenant=ticket.tenant.slug, feature="summarise", trackable=ticket):
        answer = anthropic_client().messages.create(
            model=SUMMARY_MODEL,
            max_tokens=300,
            # The handbook is the same every time: keep it in the provider's cache.
            system=[{"type": "text", "text": HANDBOOK, "cache_control": {"type": "ephemeral"}}],
            messages=[{"role": "user", "content": f"Summarise this ticket in three sentences.\n\n{text}"}],
        )
    return "".join(block.text for block in answer.content if block.type == "text")


def triage(ticket: Ticket, user: User) -> str:
    """How soon a new ticket needs an answer: urgent, normal or low."""
    with with_tags(user=user, tenant=ticket.tenant.slug, feature="triage"):
        answer = openai_client().responses.create(
            model=TRIAGE_MODEL,
            instructions="Say how soon this ticket needs an answer. One word: urgent, normal or low.",
            input=f"{ticket.subject}\n\n{ticket.messages[0].text}",
        )
    word = answer.output_text.split()[0].strip(".,").lower() if answer.output_text else ""
    return word if word in {"urgent", "normal", "low"} else "normal"


def search(tickets: list[Ticket], words: str, user: User) -> list[Ticket]:
    """The tickets whose subjects are nearest in meaning, best first."""
    if not tickets:
        return []
    with with_tags(user=user, tenant=user.tenant.slug, feature="search"):
        answer = openai_client().embeddings.create(
            model=SEARCH_MODEL, input=[words, *(ticket.subject for ticket in tickets)]
        )
    wanted, *found = (item.embedding for item in answer.data)
    scores = [sum(a * b for a, b in zip(wanted, vector, strict=True)) for vector in found]
    ranked = sorted(zip(scores, tickets, strict=True), key=lambda pair: -pair[0])
    return [ticket for score, ticket in ranked if score > 0.2]


def _conversation(ticket: Ticket) -> list[dict[str, str]]:
    roles = {"customer": "user", "agent": "user", "assistant": "assistant"}
    return [{"role": roles[message.author], "content": message.text} for message in ticket.messages]
