"""Endpoints and request types: which part of the app makes the calls."""

from __future__ import annotations

from werkzeug.wrappers import Response

from ..breakdowns import ENDPOINT
from ..breakdowns import OPERATION
from ..breakdowns import REQUEST_TYPE
from ..breakdowns import breakdown_table
from ..filters import Filters
from ..framing import Content
from ..framing import View
from ..framing import show
from ..framing import too_many_to_split
from ..listing import PARAMETERS
from ..responses import Place
from ..responses import link
from ..splits import Split

_PLACE = Place(".endpoints")


def endpoints() -> Response:
    """``GET /endpoints``."""
    return show(_PLACE, "endpoints", _content, extra=PARAMETERS)


def _content(view: View) -> Content:
    split = Split(view, ENDPOINT, _overview, paced=True)
    if not split.affordable:
        return too_many_to_split(view, split.tables)
    query, filters = view.asked.query, view.asked.filters
    tables = {
        **split.tables,
        "by-request_type": lambda: breakdown_table(query.spend_by("request_type"), REQUEST_TYPE, filters),
        "by-operation": lambda: breakdown_table(query.spend_by("operation"), OPERATION, filters),
    }
    return Content(
        template="split.html",
        tables=tables,
        context=lambda: {
            "title": "Endpoints and request types",
            "chart": split.chart(),
            "figures": (),
            "note": split.note,
            "main": "by-endpoint",
            "beside": ("by-request_type", "by-operation"),
            "explains": "The Flask endpoint of the request that made the call, and the request type that "
            "with_tags(request_type=...) names.",
            "crosstab_url": link(".crosstab", view.asked.filters.arguments() | {"rows": "endpoint"}),
        },
    )


def _overview(here: Filters) -> str:
    return link(".overview", here.arguments())
