"""What all pages about calls have in common: their filters, the first run, no match, tables to take away."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from werkzeug.wrappers import Response

from ..analytics import CallQuery
from ..analytics import Latency
from ..analytics import TagKey
from ..analytics import Totals
from .asking import Asked
from .asking import ask
from .asking import canonical
from .filter_bar import filter_bar
from .freshness import freshness
from .responses import Place
from .responses import link
from .responses import page
from .responses import send_to
from .table_export import About
from .tables import Table
from .taking_away import PARAMETERS
from .taking_away import Tables
from .taking_away import offered
from .taking_away import taken

MAX_TAG_KEYS = 100
_TOO_MANY_PAGE = "too_many.html"
#: Of more calls a page shows what sums tell, and says what it leaves out; an export has all.
MOST_CALLS = 100_000
#: The same of calls that are found one by one, by a tag or a user.
MOST_FILTERED = 20_000
TOO_MANY = (
    "Too many calls would have to be read one by one for this. "
    "Choose a shorter period, or take it as CSV or JSON."
)


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
        """The tags that these calls carry, the most frequent first; where there are too many calls, of a tag
        without sums some are counted, and filters are left out, so that it is any tag of the period.
        """
        asked = self.asked
        query = asked.query if self.is_small or not asked.filters.values else asked.in_period
        return query.tag_keys(limit=MAX_TAG_KEYS, at_most=None if self.is_small else MOST_FILTERED)

    @cached_property
    def is_small(self) -> bool:
        """Whether all calls that have to be looked at may be read for this: few, or for an export."""
        return self.asked.exporting or not self._reads_many

    def latency(self, query: CallQuery) -> Latency:
        """How long the calls of this period or of the one before took; of many that only a walk through all
        calls would find, such as the failed ones, the average alone.
        """
        return query.latency(MOST_FILTERED if self.is_small else 0)

    def affords(self, *dimensions: str) -> bool:
        """Whether a split is read from sums, or from calls that are few enough."""
        return self.is_small or self.asked.query.is_summed(*dimensions)

    @cached_property
    def _reads_many(self) -> bool:
        if self.asked.filters.values and self.totals.calls > MOST_FILTERED:
            return True
        return self.asked.query.reads_more_than(MOST_CALLS)


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
    with asked.at_once() as now:
        return _shown(place, now, current, build, charts=charts)


def _shown(
    place: Place, asked: Asked, current: str, build: Callable[[View], Content], *, charts: bool
) -> Response:
    if not answerable(asked):
        return too_many(place, asked, current, charts=charts)
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


def answerable(asked: Asked) -> bool:
    """Whether a page can be told its totals in time; an export takes what it needs."""
    query = asked.query
    return asked.exporting or query.is_summed() or not query.reads_more_than(MOST_CALLS)


def too_many(place: Place, asked: Asked, current: str, *, charts: bool, to_sort: bool = False) -> Response:
    """What a page says instead of reading very many calls one by one."""
    keys = asked.in_period.tag_names(limit=MAX_TAG_KEYS)
    bar = filter_bar(place, asked, keys, charts=charts)
    shared = {"current": current, "fresh": freshness(asked.visible), "bar": bar, "to_sort": to_sort}
    return page(_TOO_MANY_PAGE, shared | _words_of_too_many(place, asked))


def too_many_to_split(view: View, tables: Tables, *, tag: bool = False) -> Content:
    """A page about a dimension by which no sums are kept. An export of its tables has them."""
    words = _words_of_too_many(view.place, view.asked)
    return Content(template=_TOO_MANY_PAGE, tables=tables if view.asked.exporting else {},
                   context=lambda: words | {"tag": tag})  # fmt: skip


def _words_of_too_many(place: Place, asked: Asked) -> dict[str, object]:
    return {
        "most_calls": f"{MOST_CALLS:,}",
        "without_filters": without_filters(place, asked),
        "calls": link(".calls", asked.filters.arguments()),
    }


def bounded(view: View, name: str, caption: str, can: bool, make: Callable[[], Table | None]) -> Table | None:
    """``make()``, or a table that says why it has no rows."""
    return make() if can else Table(name=name, caption=caption, columns=(), rows=(), instead=TOO_MANY)


def without_filters(place: Place, asked: Asked) -> str:
    """The address of the same page without filters; empty where it has none."""
    return place.link(asked.filters.cleared().arguments()) if asked.filters.values else ""


def _about(asked: Asked) -> About:
    period = asked.filters.period
    return About(zone=period.zone.key, first=period.first, last=period.last, filters=asked.filters.values)
