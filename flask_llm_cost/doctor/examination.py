"""The whole examination: which checks there are, in which order, and what is left out when one fails."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC
from datetime import datetime
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from ..errors import LLMCostError
from ..ledger import Ledger
from ..ledger import LedgerUnavailable
from ..ledger import LlmCall
from ..runtime import Runtime
from .advice import CHECK_ADDRESS
from .advice import cause
from .advice import mend
from .advice import place
from .advice import problems
from .bill import bill
from .check import Check
from .check import error
from .check import ok
from .limits import budgets
from .setup import captures
from .setup import configuration
from .setup import dashboard
from .setup import journal
from .setup import prices
from .setup import provider_packages
from .setup import waiting
from .stored import rollups
from .stored import stored_checks
from .structure import structure
from .sums import daily_sums
from .sums import replica

#: How much of the rollups is added up without ``--deep``.
RECENT = timedelta(days=1)


def examine(runtime: Runtime, *, deep: bool = False, debug: bool = False) -> Iterator[Check]:
    """Look at everything that can be wrong with an app's tracking, cheapest first.

    :param deep: add up every call and compare all rollups, which reads the whole ledger.
    :param debug: whether the app runs in debug mode, which opens the dashboard to its own machine.
    """
    yield configuration(runtime)
    yield from captures(runtime)
    yield from provider_packages()
    yield prices(runtime, datetime.now(UTC).date())
    yield dashboard(runtime, debug=debug)
    yield waiting(runtime)
    yield from journal_checks(runtime)
    yield from database(runtime, deep=deep)


def journal_checks(runtime: Runtime) -> Iterator[Check]:
    """The journal's, where the database is configured well enough to know which journal."""
    try:
        yield from journal(runtime, datetime.now(UTC))
    except LLMCostError:
        return  # the check of the configuration says so


def database(runtime: Runtime, *, deep: bool) -> Iterator[Check]:
    """The checks of the ledger; a later one needs the ones before it."""
    try:
        ledger = runtime.ledger
    except LLMCostError as problem:
        yield error("database", str(problem), CHECK_ADDRESS)
        return
    if ledger is None:
        yield ok("database", f"None is used: {runtime.ingest.reason}.")
        return
    report = ledger.check_schema()
    if not report.reachable:
        yield error("database", f"{place(ledger.engine)}: {problems(report)}", mend(report))
        return
    yield ok("database", f"{place(ledger.engine)} answers.")
    if not report.ok:
        yield error("schema", problems(report), mend(report))
        return
    yield ok("schema", "The tables are as this version expects.")
    yield from _stored(ledger, deep=deep)
    yield from budgets(runtime, deep=deep)


def _stored(ledger: Ledger, *, deep: bool) -> Iterator[Check]:
    try:
        yield from structure(ledger)
        with ledger.session() as session:
            yield from stored_checks(session, deep=deep)
            if session.scalar(select(LlmCall.id).limit(1)) is not None:
                yield daily_sums(session, ledger)
            yield from replica(session, ledger)
        with ledger.session() as session:
            yield rollups(session, None if deep else datetime.now(UTC) - RECENT)
        yield bill(ledger)
    except (SQLAlchemyError, LedgerUnavailable) as problem:
        yield error(
            "ledger",
            f"The calls could not be read ({cause(problem)}).",
            "Try again; the server's log says more.",
        )
