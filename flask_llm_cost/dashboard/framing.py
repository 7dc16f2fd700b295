"""What all pages about calls have in common: their filters, the first run, no match, tables to take away."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from werkzeug.wrappers import Response

from ..analytics import TagKey
from ..analytics import Totals
from .asking import Asked
from .asking import ask
from .asking import canonical
from .filter_bar import filter_bar
from .freshness import freshness
from .responses import Place
from .responses import page
from .responses import send_to
from .table_export import About
from .taking_away import PARAMETERS
from .taking_away import Tables
from .taking_away import offered
from .taking_away import taken

MAX_TAG_KEYS = 100


@dataclass(frozen=True, kw_only=True)
class View:
    """What a page is made of.

    :param totals: of all calls that the filters let through.
    """

    place: Place
    asked: Asked
    totals: Totals

    @cached_property
    def keys(self) -> tuple[TagKey, ...]:
        """The tags that these calls carry, the most frequent first."""
        return self.asked.query.tag_keys(limit=MAX_TAG_KEYS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What a page shows between its filters and its end.

    :param tables: by name; the template finds the made ones in ``tables``, under the same names.
    :param context: everything else that the template prints, made only where the page is shown.
    """

    template: str
    tables: Tables
    context: Callable[[], Mapping[str, object]] = dict


def show(
    place: Place,
    current: str,
    build: Callable[[View], Content],
    *,
    extra: tuple[str, ...] = (),
    charts: bool = True,
) -> Response:
    """Answer the current request for a page, or for one of its tables.

    :param current: the page in the header that this one belongs to.
    :param extra: the page's own parameters.
    :param charts: whether the page draws something over time.
    :raises InvalidFilterError: something that was asked for cannot be read.
    """
    asked = ask(extra=(*extra, *PARAMETERS))
    if address := canonical(place, asked.filters):
        return send_to(address)
    view = View(place=place, asked=asked, totals=asked.query.totals())
    content = build(view)
    if (file := taken(asked.filters.extra, content.tables, _about(asked))) is not None:
        return file
    fresh = freshness(asked.visible)
    if fresh.last is None:
        return page("first_run.html", {"current": current, "fresh": fresh})
    keys = asked.in_period.tag_names(limit=MAX_TAG_KEYS)
    shared: dict[str, object] = {
        "current": current,
        "fresh": fresh,
        "bar": filter_bar(place, asked, keys, charts=charts),
    }
    if not view.totals.calls:
        return page("no_match.html", shared | {"without_filters": without_filters(place, asked)})
    kept = asked.filters.arguments() | asked.filters.extra
    tables = offered(content.tables, place, kept)
    return page(content.template, {**shared, **content.context(), "tables": tables})


def without_filters(place: Place, asked: Asked) -> str:
    """The address of the same page without filters; empty where it has none."""
    return place.link(asked.filters.cleared().arguments()) if asked.filters.values else ""


def _about(asked: Asked) -> About:
    period = asked.filters.period
    return About(zone=period.zone.key, first=period.first, last=period.last, filters=asked.filters.values)
