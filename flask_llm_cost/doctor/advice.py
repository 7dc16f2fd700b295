"""Trouble with the database in one sentence: what it is, and the command that mends it."""

from __future__ import annotations

from sqlalchemy import Engine

from ..ledger import Ledger
from ..ledger import LedgerUnavailable
from ..ledger import SchemaReport

CHECK_ADDRESS = (
    "Check SQLALCHEMY_DATABASE_URI or SQLALCHEMY_BINDS, that the server is running and has this database."
)


def database_advice(ledger: Ledger, error: BaseException) -> str:
    """Why ``error`` came from the database, in words.

    Only the error's class and code are named: a driver's message may quote values of the row it was about.
    """
    report = ledger.check_schema()
    if not report.ok:
        return f"{place(ledger.engine)}: {problems(report)} {cure(report)}"
    return (
        f"{place(ledger.engine)} refused ({cause(error)}), although its tables are as expected. "
        "Try again; if it stays so, see the server's log and the rights of its user."
    )


def problems(report: SchemaReport) -> str:
    """What is wrong with the tables; those that are missing altogether in one sentence."""
    missing = report.missing_tables
    if not missing:
        return " ".join(report.problems)
    others = report.problems[len(missing) :]  # one sentence per missing table comes first
    if report.is_empty:
        return f"None of the ledger's {len(missing)} tables is there."
    told = f"{'Table' if len(missing) == 1 else 'Tables'} {', '.join(missing)} not found."
    return " ".join((told, *others))


def mend(report: SchemaReport) -> str:
    """The command that mends it, or where to look first."""
    return report.fix or CHECK_ADDRESS


def cure(report: SchemaReport) -> str:
    """The same as a sentence."""
    return f"Mend it with: {report.fix}" if report.fix else CHECK_ADDRESS


def place(engine: Engine) -> str:
    """Where the ledger is, without user and password: dialect, host and database."""
    url = engine.url
    kind = url.get_backend_name()
    if not url.host:
        return f"The {kind} database {url.database or '(in memory)'}"
    return f"The {kind} database {url.database} on {url.host}{f':{url.port}' if url.port else ''}"


def cause(error: BaseException) -> str:
    """The class (and code) of a database error, never its message."""
    if isinstance(error, LedgerUnavailable):
        return error.reason
    deeper = getattr(error, "orig", None) or error.__cause__
    return cause(deeper) if isinstance(deeper, Exception) else type(error).__name__
