"""Models: what each one was used for and cost, how fast it answered and how often it failed."""

from __future__ import annotations

from collections.abc import Iterator

from werkzeug.wrappers import Response

from ...analytics import Breakdown
from ...wording import plural
from ..breakdowns import MODEL
from ..breakdowns import PROVIDER
from ..breakdowns import breakdown_table
from ..costs import shown_cost
from ..figures import Figure
from ..filters import Filters
from ..formats import number
from ..framing import Content
from ..framing import View
from ..framing import show
from ..listing import PARAMETERS
from ..responses import Place
from ..responses import link
from ..splits import Split

_PLACE = Place(".models")


def models() -> Response:
    """``GET /models``."""
    return show(_PLACE, "models", _content, extra=PARAMETERS)


def _content(view: View) -> Content:
    split = Split(view, MODEL, _overview, paced=True)
    tables = {
        **split.tables,
        "by-provider": lambda: breakdown_table(
            view.asked.query.spend_by("provider"), PROVIDER, view.asked.filters
        ),
    }
    return Content(
        template="split.html",
        tables=tables,
        context=lambda: {
            "title": "Models",
            "chart": split.chart(),
            "figures": tuple(_figures(view, split.found())),
            "note": split.note,
            "main": "by-model",
            "beside": ("by-provider",),
            "explains": "Tokens, cost and pace of each model that answered. "
            "A first token is timed where an answer is streamed.",
            "crosstab_url": link(".crosstab", view.asked.filters.arguments()),
        },
    )


def _overview(here: Filters) -> str:
    return link(".overview", here.arguments())


def _figures(view: View, found: Breakdown) -> Iterator[Figure]:
    unknown = view.totals.unknown_cost_calls
    calls = link(".calls", view.asked.filters.arguments() | {"sort": "cost"})
    yield Figure(label="Models", value=number(len(found.rows) + found.other_values))
    yield Figure(
        label="Spend",
        value=shown_cost(view.totals.total_cost, unknown_calls=unknown),
        href=calls,
        note=f"without {plural(unknown, 'call')} of unknown cost" if unknown else "",
    )
    yield Figure(
        label="Average cost of a priced call",
        value=shown_cost(view.totals.average_cost, unknown_calls=unknown),
        href=calls,
    )
