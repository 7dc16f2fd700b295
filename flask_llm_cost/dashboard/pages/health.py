"""Health: does every call reach the ledger. Journal, writer, quarantine, the SDKs' taps, and the tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from flask import current_app
from werkzeug.wrappers import Response

from ...doctor import Check
from ...doctor import examine
from ...runtime import untracked
from ...wording import plural
from ..figures import Figure
from ..formats import number
from ..responses import page
from ..responses import runtime
from ..scoped import require_everything

#: The parts of the examination as on the page: a heading, and the checks by the start of their names.
_PARTS = (
    ("On the way to the ledger", ("configuration", "pending", "journal")),
    ("The ledger", ("database", "replica", "schema", "quarantine", "calls", "ledger", "daily sums")),
    ("SDKs and providers", ("capture", "provider")),
    ("Numbers", ("prices", "unpriced", "usage", "line items", "budgets", "reconciliation")),
    ("This dashboard", ("dashboard",)),
)
_REST = "Further"
_WORDS = {"ok": "fine", "warn": "look at it", "error": "broken"}
#: Counts of this process, as the page names them.
_COUNTS = (
    ("recorded", "Calls recorded"),
    ("dropped", "Calls dropped"),
    ("lost", "Calls lost"),
    ("storage_errors", "Writes that failed"),
    ("capture_errors", "Calls that could not be read"),
)


@dataclass(frozen=True, slots=True)
class Part:
    """Some checks under one heading."""

    heading: str
    checks: tuple[Check, ...]


def health() -> Response:
    """``GET /health``: what doctor finds, for people without a terminal.

    It is about the whole app, so a reader whose view ``scope`` narrows is refused.
    """
    require_everything()
    state = runtime()
    checks = tuple(examine(state, debug=current_app.debug))
    worst = next((name for name in ("error", "warn") if any(each.status == name for each in checks)), "ok")
    context = {
        "current": "health",
        "parts": tuple(_parts(checks)),
        "words": _WORDS,
        "worst": worst,
        "summary": _summary(checks),
        "figures": tuple(_figures()),
    }
    return page("health.html", context)


def _parts(checks: tuple[Check, ...]) -> Iterator[Part]:
    for heading in (*(heading for heading, _ in _PARTS), _REST):
        mine = tuple(each for each in checks if _owner(each) == heading)
        if mine:
            yield Part(heading, mine)


def _owner(check: Check) -> str:
    return next((heading for heading, names in _PARTS if check.name.startswith(names)), _REST)


def _summary(checks: tuple[Check, ...]) -> str:
    broken = sum(each.status == "error" for each in checks)
    doubtful = sum(each.status == "warn" for each in checks)
    if broken:
        return f"{plural(broken, 'check')} failed"
    return f"{plural(doubtful, 'check')} to look at" if doubtful else "Everything is in order"


def _figures() -> Iterator[Figure]:
    state = runtime()
    yield Figure(
        label="Waiting to be written", value=number(state.pending), note=f"ingestion: {state.ingest.mode}"
    )
    for name, label in _COUNTS:
        count = state.counters[name]
        if count or name in ("recorded", "lost"):
            yield Figure(label=label, value=number(count), note="in this process")
    apart = untracked["no_app"] + untracked["untracked_app"]
    if apart:
        yield Figure(label="Made for no tracked app", value=number(apart), note="in this process")
