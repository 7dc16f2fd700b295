"""Budgets: where each limit stands in the window of now, what was told of it, and what was not sent."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
from datetime import datetime
from datetime import timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from werkzeug.wrappers import Response

from ...budgets import Budget
from ...budgets import BudgetStatus
from ...budgets.alerting.history import past_alerts
from ...budgets.projection import projected
from ...wording import plural
from .. import formats
from ..budget_calls import BudgetCalls
from ..budget_meter import Gauge
from ..budget_meter import gauge
from ..budget_tables import BLOCKED_DAYS
from ..budget_tables import alerts_table
from ..budget_tables import blocked_table
from ..budget_tables import statuses_table
from ..budget_tables import values_table
from ..figures import Figure
from ..formats import Shown
from ..freshness import freshness
from ..parameters import read_parameters
from ..responses import Place
from ..responses import page
from ..responses import runtime
from ..scoped import require_everything
from ..table_export import FORMATS
from ..table_export import About
from ..tables import Table
from ..taking_away import FORMAT
from ..taking_away import PARAMETERS
from ..taking_away import TABLE
from ..taking_away import Tables
from ..taking_away import offered
from ..taking_away import ready
from ..taking_away import taken

_PLACE = Place(".budgets")
#: Values of one budget, alerts and refused calls: those that the page shows, and those of a file.
VALUES, _ALL_VALUES = 100, 100_000
_ALERTS, _ALL_ALERTS = 50, 10_000
_BLOCKED, _ALL_BLOCKED = 20, 200
_PERIODS = {
    "call": "each call",
    "hour": "an hour",
    "day": "a day",
    "week": "a week",
    "month": "a month",
    "total": "in all",
}
_ENFORCEMENT = {
    "notify": "tells when a threshold is reached",
    "raise": "raises once a recorded call reaches it",
    "block": "refuses calls that would cross it",
    "reserve": "sets aside what each call may cost",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One budget as the page shows it: a meter and figures, or a table of its values.

    :param window: the window of now, in words.
    :param counts: which calls it counts, in words; empty where it counts all.
    :param shortfall: what the links to its calls cannot tell.
    :param per: what gives each value a limit of its own.
    :param has_more: whether there may be more values than the table shows.
    """

    id: str
    name: str
    window: str
    about: str
    counts: str
    shortfall: str
    per: str = ""
    is_reached: bool = False
    gauge: Gauge | None = None
    figures: tuple[Figure, ...] = ()
    values: Table | None = None
    has_more: bool = False


def budgets() -> Response:
    """``GET /budgets``. Limits are the whole app's: a reader whose view ``scope`` narrows is refused."""
    given = read_parameters(PARAMETERS)
    require_everything()
    state = runtime()
    state.flush_quietly()
    context: dict[str, object] = {"current": "budgets", "fresh": freshness(state.calls)}
    if state.budgets is None or state.ledger is None:
        if (file := taken(given, {}, _about())) is not None:
            return file
        return page("budgets.html", context)
    now = state.calls.now()
    statuses = state.budgets.statuses(now, _ALL_VALUES if FORMAT in given else VALUES)
    panels = tuple(_panels(state.budgets.budgets, statuses, now))
    tables = _tables(panels, statuses, now, whole=FORMAT in given)
    if (file := taken(given, tables, _about())) is not None:
        return file
    context |= {
        "panels": panels,
        "summary": _summary(state.budgets.budgets, statuses),
        "tables": offered({name: make for name, make in tables.items() if name != "budgets"}, _PLACE, {}),
        "blocked_days": BLOCKED_DAYS,
        "downloads": tuple((kind.upper(), _PLACE.link({TABLE: "budgets", FORMAT: kind})) for kind in FORMATS),
    }
    return page("budgets.html", context)


def _about() -> About:
    return About(zone=runtime().config.timezone.key)


def _tables(
    panels: Sequence[Panel], statuses: Sequence[BudgetStatus], now: datetime, *, whole: bool
) -> Tables:
    """The page's tables, and that of all budgets, which the page shows as panels."""
    zone = runtime().config.timezone
    return {
        "budgets": lambda: statuses_table(statuses, now),
        **ready(*(panel.values for panel in panels if panel.values)),
        "alerts": lambda: _alerts(_ALL_ALERTS if whole else _ALERTS, zone),
        "blocked": lambda: _blocked(_ALL_BLOCKED if whole else _BLOCKED, zone),
    }


def _alerts(most: int, zone: ZoneInfo) -> Table | None:
    ledger = runtime().ledger
    assert ledger is not None  # noqa: S101  (the page needs one)
    found = ledger.reading(lambda connection: past_alerts(connection, most))
    return alerts_table(found, zone) if found else None


def _blocked(most: int, zone: ZoneInfo) -> Table | None:
    # What is not sent is free, and an index tells that, so where few were blocked few calls are read.
    recent = runtime().calls.last_days(BLOCKED_DAYS).where(cost_status="free", status="blocked")
    found = recent.page(size=most).calls
    return blocked_table(found, zone) if found else None


def _summary(declared: Sequence[Budget], statuses: Sequence[BudgetStatus]) -> str:
    reached = sum(status.period != "call" and status.is_reached for status in statuses)
    if not reached:
        return f"{plural(len(declared), 'budget')}, no limit is reached"
    return f"{plural(len(declared), 'budget')}, {plural(reached, 'limit is', 'limits are')} reached"


def _panels(declared: Sequence[Budget], statuses: Sequence[BudgetStatus], now: datetime) -> Iterator[Panel]:
    zone = runtime().config.timezone
    for number, budget in enumerate(declared, 1):
        calls = BudgetCalls(budget, zone, now.astimezone(zone).date())
        mine = [status for status in statuses if status.budget == budget.name]
        about = f"{_PERIODS[budget.period]}, {_ENFORCEMENT[budget.enforcement]}"
        panel = Panel(
            id=f"budget-{number}",
            name=budget.name,
            window=_window(budget, mine),
            about=about,
            counts=calls.counts,
            shortfall=calls.shortfall,
        )
        if budget.period == "call":
            yield replace(panel, figures=(_limit(budget.limit),))
        elif budget.per is not None:
            values = values_table(f"values-{number}", mine, calls, now) if mine else None
            yield replace(
                panel,
                per=budget.per.removeprefix("tag:"),
                values=values,
                has_more=len(mine) == VALUES,
                figures=(_limit(budget.limit),),
            )
        else:
            (status,) = mine
            expected = projected(status, now)
            figures = tuple(_figures(status, expected, calls))
            yield replace(panel, is_reached=status.is_reached, gauge=gauge(status, expected), figures=figures)


def _window(budget: Budget, statuses: Sequence[BudgetStatus]) -> str:
    """The window of now in words, in the budget's own zone."""
    if budget.period in ("call", "total") or not statuses:
        return ""
    start, end = statuses[0].window_start.astimezone(budget.zone), statuses[0].window_end
    if end is None:
        return ""
    if budget.period == "hour":
        return f"{start:%H:%M} to {end.astimezone(budget.zone):%H:%M}, {budget.zone.key}"
    last = (end - timedelta(microseconds=1)).astimezone(budget.zone)
    return f"{formats.days(start.date(), last.date())}, {budget.zone.key}"


def _limit(amount: Decimal) -> Figure:
    return Figure(label="Limit", value=formats.money(amount))


def _figures(status: BudgetStatus, expected: Decimal | None, calls: BudgetCalls) -> Iterator[Figure]:
    all_calls = calls.of(status)
    share = str(formats.percent(status.used, status.limit)) if status.limit else ""
    yield Figure(label="Spent", value=formats.money(status.spent), href=all_calls, note=share)
    yield _limit(status.limit)
    yield Figure(label="Left", value=formats.money(status.remaining))
    if status.enforcement == "reserve" or status.reserved:
        yield Figure(label="Reserved", value=formats.money(status.reserved), note="for calls under way")
    if status.window_end is not None:
        shown = Shown("too early") if expected is None else formats.money(expected)
        yield Figure(label="At the end of the window", value=shown, note="at its pace so far")
    yield Figure(label="Calls", value=formats.number(status.calls), href=all_calls)
    blocked = calls.of(status, status="blocked")
    yield Figure(label="Blocked", value=formats.number(status.blocked_calls), href=blocked)
    if status.unpriced:
        unpriced = calls.of(status, price="unknown")
        yield Figure(label="Without a price", value=formats.money(status.unpriced), href=unpriced,
                     note="counted at their estimates")  # fmt: skip
    if status.estimated:
        yield from _estimates(status, all_calls)


def _estimates(status: BudgetStatus, all_calls: str) -> Iterator[Figure]:
    """How far what was set aside is from what was billed."""
    note = f"estimated {formats.money(status.estimated)}, billed {formats.money(status.settled)}"
    error = formats.percent(status.estimated, status.settled) if status.settled else formats.NOT_KNOWN
    yield Figure(label="Estimates, of what was billed", value=error, href=all_calls, note=note)
    yield Figure(
        label="Over their estimates",
        value=formats.money(status.excess),
        note="by which a hard limit can be crossed",
    )
