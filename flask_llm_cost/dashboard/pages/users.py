"""Users: what each one costs, and what one costs on average."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from werkzeug.wrappers import Response

from ...analytics import Breakdown
from ...analytics import Costs
from ...money import EXACT
from ...money import MONEY_SCALE
from ...money import to_scale
from .. import charts
from ..breakdowns import USER
from ..costs import shown_cost
from ..figures import Figure
from ..filters import Filters
from ..formats import Shown
from ..formats import money
from ..formats import number
from ..formats import percent
from ..framing import Content
from ..framing import View
from ..framing import show
from ..framing import too_many_to_split
from ..listing import PARAMETERS
from ..responses import Place
from ..responses import link
from ..splits import Split

_PLACE = Place(".users")


def users() -> Response:
    """``GET /users``."""
    return show(_PLACE, "users", _content, extra=PARAMETERS)


def _content(view: View) -> Content:
    split = Split(view, USER, _overview)
    if not split.affordable:
        return too_many_to_split(view, split.tables)
    return Content(
        template="split.html",
        tables=split.tables,
        context=lambda: {
            "title": "Users",
            "chart": split.chart(),
            "figures": tuple(_figures(view, split.found())),
            "main": "by-user",
            "beside": (),
            "explains": "The user that with_tags(user=...) names, or whom the app's login knows.",
            "crosstab_url": link(".crosstab", view.asked.filters.arguments() | {"rows": "user"}),
        },
    )


def _overview(here: Filters) -> str:
    return link(".overview", here.arguments())


def _figures(view: View, found: Breakdown) -> Iterator[Figure]:
    nobody = _without_user(view, found)
    count = len(found.rows) + found.other_values - (nobody is not None)
    yield Figure(label="Users", value=number(count))
    yield Figure(
        label="Average cost of a user",
        value=_average(view, nobody, count),
        note="what calls with a user cost, by the number of users",
    )
    yield Figure(
        label="Average cost of a priced call",
        value=shown_cost(view.totals.average_cost, unknown_calls=view.totals.unknown_cost_calls),
        href=link(".calls", view.asked.filters.arguments() | {"sort": "cost"}),
    )
    untold = nobody.calls if nobody else 0
    yield Figure(
        label="Calls without a user",
        value=number(untold),
        href=link(".calls", view.asked.filters.narrowed("user", None).arguments()),
        note=f"{percent(untold, view.totals.calls)} of calls",
        meter=charts.meter([(1, Decimal(untold))], Decimal(view.totals.calls)),
    )


def _without_user(view: View, found: Breakdown) -> Costs | None:
    """The calls without a user; ``None`` where each has one."""
    shown = next((row for row in found.rows if row.value is None), None)
    if shown is not None or not found.other:
        return shown
    return view.asked.query.spend_of("user_id", [None]).get(None)


def _average(view: View, nobody: Costs | None, count: int) -> Shown:
    if view.totals.total_cost is None or not count:
        return money(None)
    theirs = view.totals.total_cost - ((nobody.total_cost if nobody else None) or Decimal(0))
    return money(to_scale(EXACT.divide(theirs, Decimal(count)), MONEY_SCALE))
