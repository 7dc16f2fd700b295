"""Data quality: what is missing from the numbers, and the command that mends it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from shlex import quote

from sqlalchemy.exc import SQLAlchemyError
from werkzeug.wrappers import Response

from ...analytics import DataQuality
from ...analytics import UnpricedModel
from ...doctor import quarantined
from ...ledger import LlmCall
from ...runtime import untracked
from ...usage import BUCKET_FIELDS
from ...wording import plural
from .. import formats
from ..asking import Asked
from ..formats import Shown
from ..framing import MOST_CALLS
from ..framing import Content
from ..framing import View
from ..framing import bounded
from ..framing import show
from ..quality_tables import billed_table
from ..quality_tables import coverage_table
from ..quality_tables import streams_table
from ..quality_tables import tokens_table
from ..responses import Place
from ..responses import link
from ..responses import runtime
from ..scoped import sees_everything
from ..tables import Cell
from ..tables import Column
from ..tables import Table
from ..tables import aligned
from ..taking_away import FORMAT
from ..taking_away import TABLE

_MODELS = 100
_CALLS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One kind of calls whose numbers are missing or doubtful.

    :param href: leads to these calls; empty where no filter names them.
    """

    name: str
    label: str
    value: Shown
    share: str
    explains: str
    href: str = ""


def quality() -> Response:
    """``GET /quality``."""
    # Asked before the page holds its connection: there are two, and another page may hold the other.
    waiting = tuple(_waiting())
    return show(Place(".quality"), "quality", lambda view: _content(view, waiting), charts=False)


_Waiting = tuple[str, str, bool]


def _content(view: View, waiting: tuple[_Waiting, ...]) -> Content:
    asked = view.asked
    found = asked.query.data_quality() if view.is_small else _counted_by_price(view)
    models = cache(
        lambda: asked.query.unpriced_models(limit=_MODELS) if found.unpriced or found.partial else ()
    )
    covered = cache(asked.query.coverage)
    return Content(
        template="quality.html",
        tables={
            "models": lambda: _models_table(models(), asked) if models() else None,
            "totals": lambda: (
                _disagreeing_table(asked.query.disagreeing_calls(_CALLS), asked)
                if found.disagreeing
                else None
            ),
            "coverage": lambda: bounded(
                view,
                "coverage",
                "Coverage",
                view.is_small,
                lambda: coverage_table(covered(), asked.filters),
            ),
            "streams": lambda: streams_table(covered(), asked.filters) if view.is_small else None,
            "kinds": lambda: tokens_table(view),
            "billed": lambda: billed_table(asked.query.components()) if view.is_small else None,
        },
        context=lambda: {
            "findings": tuple(_findings(found, asked, whole=view.is_small)),
            "billed_url": view.place.link(asked.filters.arguments() | {TABLE: "billed", FORMAT: "csv"}),
            "most_calls": "" if view.is_small else f"{MOST_CALLS:,}",
            "is_complete": not (found.unpriced or found.partial or found.untold),
            "commands": tuple(_commands(models())),
            "waiting": waiting if sees_everything(asked.visible) else (),
        },
    )


def _counted_by_price(view: View) -> DataQuality:
    """What an index of the calls and the sums tell of very many calls; the rest is not looked at."""
    untold = view.asked.query.where(cost_status="unknown", usage_source="unknown").count()
    return DataQuality(
        calls=view.totals.calls,
        unpriced=view.totals.unknown_cost_calls - untold,
        partial=view.totals.partial_cost_calls,
        untold=untold,
        estimated=0,
        disagreeing=0,
    )


def _findings(found: DataQuality, asked: Asked, *, whole: bool) -> Iterator[Finding]:
    def one(name: str, label: str, count: int, explains: str, href: str = "") -> Finding:
        share = str(formats.percent(count, found.calls)) if count else ""
        return Finding(
            name=name, label=label, value=formats.number(count), share=share, explains=explains, href=href
        )

    yield one(
        "unpriced",
        "without a price",
        found.unpriced,
        "Their usage is known, the price of their model is not.",
        _calls(asked, price="unknown"),
    )
    yield one("partial", "priced in part", found.partial, "One of their components has no rate.",
              _calls(asked, price="partial"))  # fmt: skip
    yield one(
        "untold",
        "without usage",
        found.untold,
        "They failed, were left early, or streamed without include_usage.",
        _calls(asked, price="unknown", usage="unknown"),
    )
    if not whole:
        return
    yield one("estimated", "estimated", found.estimated, "Their usage was estimated, not told.",
              _calls(asked, usage="estimated"))  # fmt: skip
    yield one(
        "disagreeing",
        "with another total",
        found.disagreeing,
        "Their token counts do not add up to the provider's own total.",
        "#totals" if found.disagreeing else "",
    )


def _calls(asked: Asked, **narrowed: str) -> str:
    filters = asked.filters
    for name, value in narrowed.items():
        filters = filters.narrowed(name, value)
    return link(".calls", filters.arguments())


def _models_table(models: tuple[UnpricedModel, ...], asked: Asked) -> Table:
    columns = (
        Column(label="Model"),
        Column(label="Provider"),
        Column(label="Calls", unit="without a price", numeric=True),
        Column(label="Calls", unit="priced in part", numeric=True),
        Column(label="Input", unit="tokens", numeric=True),
        Column(label="Output", unit="tokens", numeric=True),
        Column(label="First seen"),
        Column(label="Last seen"),
    )
    zone = asked.filters.period.zone
    rows = tuple(
        (
            Cell(
                text=each.model,
                title=each.model,
                code=True,
                href=link(".price", {"provider": each.provider, "model": each.model}),
            ),
            Cell(text=each.provider),
            Cell.of(
                formats.number(each.unknown_cost_calls),
                _calls(asked, provider=each.provider, model=each.model, price="unknown"),
            ),
            Cell.of(
                formats.number(each.partial_cost_calls),
                _calls(asked, provider=each.provider, model=each.model, price="partial"),
            ),
            Cell.of(formats.tokens(each.tokens_in)),
            Cell.of(formats.tokens(each.tokens_out)),
            Cell(text=formats.moment(each.first_seen, zone), moment=each.first_seen.isoformat()),
            Cell(text=formats.moment(each.last_seen, zone), moment=each.last_seen.isoformat()),
        )
        for each in models
    )
    return aligned(
        Table(
            name="models", caption="Models without a complete price", columns=columns, rows=rows, dense=True
        )
    )


def _commands(models: tuple[UnpricedModel, ...]) -> Iterator[str]:
    """What mends the first model; the rest goes alike."""
    for each in models[:1]:
        named = f"--provider {quote(each.provider)} --model {quote(each.model)}"
        yield f"flask llm-cost prices explain {named}"
        yield "flask llm-cost backfill --dry-run"


def _disagreeing_table(calls: tuple[LlmCall, ...], asked: Asked) -> Table:
    columns = (
        Column(label="Call", unit=asked.filters.period.zone.key),
        Column(label="Model"),
        Column(label="Counted", unit="tokens", numeric=True),
        Column(label="Provider's total", unit="tokens", numeric=True),
        Column(label="Difference", unit="tokens", numeric=True),
    )
    rows = []
    for each in calls:
        counted = sum(getattr(each, name) or 0 for name in BUCKET_FIELDS)
        total = each.total_tokens or 0
        difference = formats.signed(total - counted, formats.number(abs(total - counted)))
        rows.append(
            (
                Cell(
                    text=formats.moment(each.occurred_at, asked.filters.period.zone),
                    moment=each.occurred_at.isoformat(),
                    href=link(".call", {}, call_id=each.id),
                ),
                Cell(text=each.model, title=each.model, code=True),
                Cell.of(formats.number(counted)),
                Cell.of(formats.number(total)),
                Cell(text=difference),
            )
        )
    return aligned(
        Table(name="totals", caption="Calls whose totals disagree", columns=columns, rows=tuple(rows))
    )


def _waiting() -> Iterator[_Waiting]:
    """What is not in the numbers at all: name, words, and whether it is bad."""
    state = runtime()
    yield "Waiting to be written", plural(state.pending, "call"), False
    for name, label in (("dropped", "Dropped"), ("lost", "Lost")):
        count = state.counters[name]
        yield f"{label} in this process", plural(count, "call"), count > 0
    if apart := untracked["no_app"] + untracked["untracked_app"]:
        yield "Made for no tracked app in this process", plural(apart, "call"), True
    ledger = state.ledger
    if ledger is not None:
        try:
            with ledger.read_session() as session:
                check = quarantined(session)
        except SQLAlchemyError:
            yield "Quarantine", formats.NOT_KNOWN.text, True
        else:
            yield "Quarantine", check.evidence, check.status != "ok"
