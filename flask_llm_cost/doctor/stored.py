"""Checks of what is stored: calls, their prices, and whether line items and rollups add up to them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from decimal import Decimal
from shlex import quote

from sqlalchemy import Select
from sqlalchemy import case
from sqlalchemy import func
from sqlalchemy import select
from sqlalchemy.orm import Session

from ..analytics.filters import NO_FILTERS
from ..analytics.filters import Filters
from ..analytics.totals import costs
from ..ledger import LineItem
from ..ledger import LlmCall
from ..ledger import Quarantine
from ..ledger import rollup_drift
from ..ledger.coverage import PERIODS
from .check import Check
from .check import error
from .check import ok
from .check import warn
from .rates import line_rates

#: How many of the latest calls are added up without ``--deep``.
SAMPLE = 1_000
#: How many of them are worked out line by line with it.
DEEP_SAMPLE = 20_000
#: Days whose calls are looked through for a missing price or usage without ``--deep``.
RECENT_DAYS = 30
_BATCH = 5_000
_NAMED = 3


def stored_checks(session: Session, *, deep: bool) -> Iterator[Check]:
    """Everything that is asked of a database whose schema is as expected."""
    yield quarantined(session)
    recorded = costs(session, NO_FILTERS).calls if not deep else _counted(session)
    latest = session.scalar(select(func.max(LlmCall.occurred_at)))
    yield calls(recorded, latest)
    if recorded:
        now = datetime.now(UTC)
        asked = NO_FILTERS if deep else Filters(range=(now - timedelta(days=RECENT_DAYS), now))
        asked_of = recorded if deep else costs(session, asked).calls
        yield unpriced(session, asked, asked_of)
        yield usage(session, asked, asked_of)
        yield line_items(session, None if deep else SAMPLE)
        yield line_rates(session, DEEP_SAMPLE if deep else SAMPLE)


def _counted(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(LlmCall)) or 0


def quarantined(session: Session) -> Check:
    """Events that the database refused; their cost is in no total."""
    count = session.scalar(select(func.count()).select_from(Quarantine)) or 0
    if not count:
        return ok("quarantine", "No event was refused by the database.")
    reasons = session.execute(
        select(Quarantine.reason, func.count()).group_by(Quarantine.reason).order_by(func.count().desc())
    ).all()
    named = "; ".join(f"{reason}: {number:,}" for reason, number in reasons[:_NAMED])
    return warn(
        "quarantine",
        f"Events that could not be stored and are in no total: {count:,} ({named}).",
        "Look at them in llm_cost_quarantine; flask llm-cost prune removes old ones.",
    )


def calls(recorded: int, latest: datetime | None) -> Check:
    """Whether anything was recorded at all."""
    if not recorded or latest is None:
        return warn("calls", "No call is recorded yet.", "flask llm-cost verify-capture")
    return ok("calls", f"{recorded:,} recorded, the latest at {latest:%Y-%m-%d %H:%M:%S} UTC.")


def unpriced(session: Session, asked: Filters, of: int) -> Check:
    """How many calls lack a price, in whole or in part; totals are too low by theirs.

    :param of: how many calls there are among which they are looked for.
    """
    rows = session.execute(
        select(LlmCall.provider, LlmCall.model, func.count())
        .where(
            *asked.conditions(),
            LlmCall.cost_status.in_(("unknown", "partial")),
            LlmCall.usage_source != "unknown",
        )
        .group_by(LlmCall.provider, LlmCall.model)
        .order_by(func.count().desc(), LlmCall.provider, LlmCall.model)
    ).all()
    count = sum(number for _, _, number in rows)
    if not count:
        return ok("unpriced", f"Every call{_of_days(asked)} whose usage is known has a complete price.")
    provider, model, _ = rows[0]
    named = ", ".join(f"{row[0]}/{row[1]} ({row[2]:,})" for row in rows[:_NAMED])
    more = f" and {len(rows) - _NAMED} more models" if len(rows) > _NAMED else ""
    return warn(
        "unpriced",
        f"Calls{_of_days(asked)} without a complete price: {_share(count, of)}, so totals are too low: "
        f"{named}{more}.",
        f"flask llm-cost prices explain --provider {quote(provider)} --model {quote(model)}; "
        "once there is a price, flask llm-cost backfill.",
    )


def usage(session: Session, asked: Filters, of: int) -> Check:
    """How many calls told no usage, and how many of these are streams that were never asked for it."""
    count, streams = session.execute(
        select(func.count(), func.count(case((LlmCall.stream & (LlmCall.status == "ok"), 1)))).where(
            *asked.conditions(), LlmCall.usage_source == "unknown", LlmCall.cost_status == "unknown"
        )
    ).one()
    if not count:
        return ok("usage", f"Every call{_of_days(asked)} that may have cost something told its usage.")
    seen = (
        f"Calls{_of_days(asked)} that told no usage: {_share(count, of)}; they failed, were left early, "
        "or never told."
    )
    if not streams:
        return ok("usage", seen)
    return warn(
        "usage",
        f"{seen} Complete streams among them: {streams:,}.",
        'Pass stream_options={"include_usage": True} to streamed OpenAI chat completions.',
    )


def _of_days(asked: Filters) -> str:
    return f" of the last {RECENT_DAYS} days" if asked.range else ""


def _share(count: int, of: int) -> str:
    return f"{count:,} of {of:,} ({Decimal(100 * count) / max(of, 1):.1f} %)"


def line_items(session: Session, sample: int | None) -> Check:
    """Whether the cost of each call is the exact sum of its line items.

    :param sample: how many of the latest calls to add up; ``None`` for all.
    """
    last = session.scalar(select(func.max(LlmCall.id))) or 0
    first = 0 if sample is None else max(0, last - sample)
    added = session.scalar(select(func.count()).where(LlmCall.id > first, LlmCall.id <= last)) or 0
    batches = ((start, min(start + _BATCH, last)) for start in range(first, last, _BATCH))
    wrong = [call_id for batch in batches for call_id in session.scalars(_other_sums(*batch))]
    scope = "all" if sample is None else "the latest"
    if wrong:
        named = ", ".join(str(call_id) for call_id in wrong[:_NAMED])
        return error(
            "line items",
            f"Calls that are not the sum of their line items: {len(wrong):,} of {scope} {added:,} "
            f"(id {named}).",
            "Compare llm_cost_calls.total_cost with llm_cost_line_items.cost of these calls: "
            "something else than this package has written to them.",
        )
    return ok("line items", f"The line items of {scope} {added:,} calls add up to their cost.")


def _other_sums(after: int, to: int) -> Select[int]:
    """The calls whose cost is not what their lines add up to."""
    # Lines that cost nothing beside one that is unknown: then the whole is unknown, not 0.
    added, cost = func.coalesce(func.sum(LineItem.cost), 0), func.coalesce(LlmCall.total_cost, 0)
    return (
        select(LlmCall.id)
        .outerjoin(LineItem, LineItem.call_id == LlmCall.id)
        .where(LlmCall.id > after, LlmCall.id <= to)
        .group_by(LlmCall.id, LlmCall.total_cost)
        .having(added != cost)
        .order_by(LlmCall.id)
    )


def rollups(session: Session, since: datetime | None) -> Check:
    """Whether the sums that are kept equal what the calls add up to, to the last digit.

    :param session: a fresh one, so that both sides are read in one snapshot.
    :param since: only sums of hours that begin then or later; ``None`` for all, of days and tags too.
    """
    drift = rollup_drift(session, since)
    if not drift:
        of = "The rollups" if since is None else f"The rollups per hour since {since:%Y-%m-%d %H:%M} UTC"
        return ok("rollups", f"{of} equal the calls, to the last digit.")
    first = drift[0]
    column, (told, kept) = next(iter(first.differences.items()))
    of = f"{first.provider}/{first.model}" + (f", {first.tag_key}={first.tag_value}" if first.tag_key else "")
    differ = "rollup differs from its" if len(drift) == 1 else "rollups differ from their"
    return error(
        "rollups",
        f"{len(drift):,} {differ} calls; the first: {of} in the {PERIODS[first.grain]} from "
        f"{first.bucket:%Y-%m-%d %H:%M} UTC, {column} {kept} instead of {told}.",
        "flask llm-cost rebuild-rollups, and find out what else writes to the ledger's tables.",
    )
