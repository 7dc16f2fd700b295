"""Sixty days of calls that never happened, priced and written by the same code as real ones.

Each made-up call goes through ``Recorder.finish``, which prices it by the price list of its day, and
``Ledger.write``: what the dashboard shows of it is what it would show of a real one. The same seed makes the
same calls.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from datetime import timedelta

from flask_llm_cost import Usage
from flask_llm_cost.events import Attribution
from flask_llm_cost.events import CallStart
from flask_llm_cost.events import Observation
from flask_llm_cost.events import OpenCall
from flask_llm_cost.runtime import Runtime

from .models import User

SEED = 20
CALLS_PER_WEEKDAY = 118
CALLS_PER_BATCH = 500
#: Monday to Sunday, as a share of a full day.
WEEK = (1.0, 1.08, 1.05, 1.0, 0.9, 0.3, 0.2)
#: How the hours of a day share its calls, midnight first.
HOURS = (1, 1, 1, 1, 1, 2, 6, 18, 40, 55, 60, 52, 38, 50, 58, 52, 42, 28, 14, 8, 5, 3, 2, 1)
#: Features of the desk and how often each is used.
FEATURES = {"support_chat": 44, "triage": 22, "search": 24, "summarise": 10}
#: So many days ago the chat moved to another model, a tenant began to try its own, and there was an outage.
MODEL_CHANGE, PREVIEW, OUTAGE = 24, 12, 9

Made = tuple[CallStart, Observation]


def write(runtime: Runtime, users: Sequence[User], *, days: int, until: datetime) -> int:
    """Write the calls of ``days`` days before ``until`` to the app's ledger; returns their number."""
    assert runtime.ledger is not None, "the demo keeps its calls in a database"
    events = [runtime.recorder.finish(call, observation) for call, observation in _calls(users, days, until)]
    for first in range(0, len(events), CALLS_PER_BATCH):
        runtime.ledger.write(events[first : first + CALLS_PER_BATCH])
    return len(events)


def _calls(users: Sequence[User], days: int, until: datetime) -> Iterator[tuple[OpenCall, Observation]]:
    rng = random.Random(SEED)
    midnight = until.replace(hour=0, minute=0, second=0, microsecond=0)
    for age in range(days, -1, -1):
        day = midnight - timedelta(days=age)
        for moment in _moments(rng, day, age, days):
            if moment < until:
                yield _daytime_call(rng, users, moment, age)
        if age:
            for number in range(rng.randint(3, 8)):
                yield _nightly_call(rng, users, day + timedelta(hours=2, seconds=40 * number))


def _moments(rng: random.Random, day: datetime, age: int, days: int) -> list[datetime]:
    growth = 1.35 - 0.7 * age / max(days, 1)
    load = CALLS_PER_WEEKDAY * WEEK[day.weekday()] * growth * rng.uniform(0.88, 1.12)
    if age == OUTAGE:
        load *= 2.1  # everybody writes at once
    hours = rng.choices(range(24), HOURS, k=round(load))
    return sorted(day + timedelta(hours=hour, seconds=rng.uniform(0, 3600)) for hour in hours)


def _daytime_call(
    rng: random.Random, users: Sequence[User], moment: datetime, age: int
) -> tuple[OpenCall, Observation]:
    user = rng.choices(users, [1 / (place + 2) for place in range(len(users))])[0]
    feature = rng.choices(list(FEATURES), list(FEATURES.values()))[0]
    if feature == "support_chat":
        start, observation = _chat(rng, _chat_model(rng, user, age))
        endpoint = "desk.ask"
    elif feature == "triage":
        start, observation = _triage(rng)
        endpoint = "desk.create"
    elif feature == "search":
        start, observation = _search(rng)
        endpoint = "desk.tickets"
    else:
        start, observation = _summary(rng)
        endpoint = "desk.summarise"
    who = Attribution(
        tags={"tenant": user.tenant.slug, "feature": feature},
        user_id=str(user.id),
        endpoint=endpoint,
        trackable_type="Ticket" if feature in {"support_chat", "summarise"} else None,
        trackable_id=str(rng.randint(1, 400)) if feature in {"support_chat", "summarise"} else None,
    )
    return _opened(rng, moment, start, who), _with_troubles(rng, start, observation)


def _nightly_call(
    rng: random.Random, users: Sequence[User], moment: datetime
) -> tuple[OpenCall, Observation]:
    """The nightly summaries by way of the batch API: no user, no request, half price, told by ``track``."""
    start = CallStart(provider="anthropic", operation="messages", requested_model="claude-haiku-4-5")
    usage = _usage(fresh=rng.randint(4_000, 16_000), output=rng.randint(120, 420))
    observation = _answered("claude-haiku-4-5-20251001", usage, rng.randint(1_500, 6_000))
    observation = replace(observation, usage_source="manual", pricing_mode="batch", mode_told=True)
    slug = rng.choice(users).tenant.slug
    who = Attribution(
        tags={"tenant": slug, "feature": "summarise", "job": "nightly"},
        trackable_type="Ticket",
        trackable_id=str(rng.randint(1, 400)),
    )
    return _opened(rng, moment, start, who), observation


def _chat_model(rng: random.Random, user: User, age: int) -> str:
    if user.tenant.slug == "lumen" and age <= PREVIEW and rng.random() < 0.3:
        return "lumen-support-preview"  # in no price list: the dashboard says so
    if rng.random() < 0.14:
        return "gpt-5.4"
    return "gpt-5-mini" if age > MODEL_CHANGE else "gpt-5.4-mini"


def _chat(rng: random.Random, model: str) -> Made:
    start = CallStart(provider="openai", operation="chat", requested_model=model, stream=True)
    thinking = rng.choice((0, 128, 192, 320, 640)) if model.startswith("gpt-5") else 0
    cached = rng.choice((0, 1024, 1024, 2048, 4096))
    usage = _usage(
        fresh=rng.randint(900, 9_000),
        cached=cached,
        output=thinking + rng.randint(120, 900),
        reasoning=thinking,
    )
    latency = 700 + (usage.output_tokens or 0) * rng.randint(7, 13)
    observation = _answered(_dated(model), usage, latency)
    return start, replace(
        observation, usage_source="stream", time_to_first_token_ms=min(latency, rng.randint(280, 1_400))
    )


def _triage(rng: random.Random) -> Made:
    start = CallStart(provider="openai", operation="responses", requested_model="gpt-5.4-nano")
    thinking = rng.choice((0, 64, 64, 128))
    usage = _usage(fresh=rng.randint(180, 900), output=thinking + rng.randint(4, 9), reasoning=thinking)
    return start, _answered(_dated("gpt-5.4-nano"), usage, rng.randint(420, 1_900))


def _search(rng: random.Random) -> Made:
    start = CallStart(provider="openai", operation="embeddings", requested_model="text-embedding-3-small")
    tokens = rng.randint(300, 2_400)
    usage = Usage(input_tokens=tokens, output_tokens=0, total_tokens=tokens)
    return start, _answered("text-embedding-3-small", usage, rng.randint(90, 420))


def _summary(rng: random.Random) -> Made:
    start = CallStart(provider="anthropic", operation="messages", requested_model="claude-sonnet-4-6")
    written, cached = rng.choice(((0, 1_180), (0, 1_180), (1_180, 0)))
    usage = _usage(
        fresh=rng.randint(1_500, 14_000), cached=cached, written=written, output=rng.randint(90, 480)
    )
    return start, _answered(_dated("claude-sonnet-4-6"), usage, rng.randint(1_800, 7_500))


def _with_troubles(rng: random.Random, start: CallStart, observation: Observation) -> Observation:
    """Now and then a call is refused, times out, or its reader leaves before the usage arrives."""
    chance = rng.random()
    if chance < 0.012:
        return _failed("RateLimitError", 429, attempts=3, latency_ms=rng.randint(1_500, 4_000))
    if chance < 0.016:
        return _failed("InternalServerError", 500, attempts=3, latency_ms=rng.randint(2_000, 6_000))
    if chance < 0.02:
        return _failed("APITimeoutError", None, attempts=3, latency_ms=30_000)
    if start.stream and chance < 0.035:
        return replace(observation, status="aborted", usage=None, usage_source="unknown")
    return observation


def _answered(model: str, usage: Usage, latency_ms: int) -> Observation:
    return Observation(
        model=model, usage=usage, usage_source="response", http_status=200, latency_ms=latency_ms
    )


def _failed(error: str, http_status: int | None, *, attempts: int, latency_ms: int) -> Observation:
    return Observation(
        status="error", error_type=error, http_status=http_status, attempts=attempts, latency_ms=latency_ms
    )


def _usage(*, fresh: int, output: int, cached: int = 0, written: int = 0, reasoning: int = 0) -> Usage:
    return Usage(
        input_tokens=fresh,
        cache_read_input_tokens=cached,
        cache_write_input_tokens=written,
        output_tokens=output,
        reasoning_tokens=reasoning,
        total_tokens=fresh + cached + written + output,
    )


def _dated(model: str) -> str:
    return {
        "gpt-5-mini": "gpt-5-mini-2025-08-07",
        "gpt-5.4-mini": "gpt-5.4-mini-2026-03-17",
        "gpt-5.4-nano": "gpt-5.4-nano-2026-03-17",
    }.get(model, model)


def _opened(rng: random.Random, moment: datetime, start: CallStart, who: Attribution) -> OpenCall:
    event_id = str(uuid.UUID(int=rng.getrandbits(128), version=4))
    return OpenCall(
        event_id=event_id,
        service="support_desk",
        occurred_at=moment,
        started_ns=0,
        start=start,
        attribution=who,
    )
