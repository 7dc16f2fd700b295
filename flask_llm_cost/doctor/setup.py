"""Checks of what the app was set up with: configuration, capture, prices and the dashboard's door."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from datetime import datetime
from datetime import timedelta

from .. import capture
from ..errors import CaptureContractError
from ..errors import LLMCostError
from ..ingest.choice import DatabaseIngest
from ..journal import DAMAGED_SUFFIX
from ..journal import survey
from ..providers import plugins
from ..runtime import Runtime
from .check import Check
from .check import error
from .check import ok
from .check import warn

#: Providers change prices every few weeks; an older table is likely to miss a model.
FRESH_DAYS = 30

#: Counts of what went wrong with calls.
_TROUBLES = (
    "dropped",
    "lost",
    "storage_errors",
    "journal_errors",
    "journal_damaged",
    "capture_errors",
    "answer_problems",
    "unraised_errors",
    "signal_errors",
    "usage_errors",
    "celery_errors",
    "alert_errors",
    "background_forgotten",
)

#: A call that has waited for longer was not written by the next process either.
JOURNAL_AGE = timedelta(minutes=5)
_KEYS = {"overrides": "LLM_COST_PRICING_OVERRIDES", "file": "LLM_COST_PRICES_FILE"}


def configuration(runtime: Runtime) -> Check:
    """Whether calls are recorded at all, where they go and how."""
    config = runtime.config
    if not config.enabled:
        return warn(
            "configuration",
            "LLM_COST_ENABLED is False: calls pass by and are not recorded.",
            "Set LLM_COST_ENABLED = True.",
        )
    try:
        ingestion = f"{runtime.ingest.mode} ({runtime.ingest.reason})"
    except LLMCostError as problem:
        return error(
            "configuration",
            str(problem),
            "Correct SQLALCHEMY_DATABASE_URI, SQLALCHEMY_BINDS or LLM_COST_BIND_KEY.",
        )
    where = "database" if runtime.ledger_source else runtime.ingest.mode
    return ok(
        "configuration", f"Calls go to: {where}. Ingestion: {ingestion}. Days are those of {config.timezone}."
    )


def cannot_start(problem: LLMCostError) -> Check:
    """Of an app whose ``init_app`` raised."""
    if isinstance(problem, CaptureContractError):
        return error("capture", str(problem), "Mend it, or take the SDK out of LLM_COST_INSTRUMENT.")
    return error(
        "configuration", f"The app cannot start: {problem}", "Correct it where the app is configured."
    )


def not_tracked() -> Check:
    """Of an app without a tracker."""
    return error(
        "configuration",
        "This app does not track LLM costs yet.",
        "Call LLMCostTracker().init_app(app) where it is created; flask llm-cost setup shows how.",
    )


def captures(runtime: Runtime) -> Iterator[Check]:
    """One check per SDK that can be tapped, and a warning where none is."""
    if not runtime.config.enabled:
        return
    found = capture.status(runtime.config.instrument)
    for sdk in found:
        name = f"capture {sdk.sdk}"
        version = f"{sdk.distribution} {sdk.version}: " if sdk.version else ""
        evidence = f"{version}{sdk.state}. {sdk.reason}"
        if sdk.state == "incompatible":
            fix = (
                f"pip install --upgrade {sdk.distribution} flask-llm-cost, or record its calls with track()."
            )
            yield error(name, evidence, fix)
        else:
            yield ok(name, evidence)
    if not any(sdk.state in ("active", "waiting") for sdk in found):
        yield warn(
            "capture",
            "No SDK is tapped: only calls recorded with track() are seen.",
            "Install openai, anthropic, google-genai or groq, or name them in LLM_COST_INSTRUMENT.",
        )


def provider_packages() -> Iterator[Check]:
    """One check per provider that another package describes."""
    for plugin in plugins.all():
        name = f"provider {plugin.entry_point}"
        if plugin.provider is None:
            fix = f"Mend or uninstall {plugin.package.partition(' ')[0]}; its calls are not recorded."
            yield warn(name, f"{plugin.package}: {plugin.problem}.", fix)
        else:
            hosts = ", ".join(plugin.provider.hosts) or "named by LLM_COST_PROVIDER_HOSTS"
            yield ok(name, f"{plugin.package}: its hosts are {hosts}.")


def prices(runtime: Runtime, today: date) -> Check:
    """How old the newest dated price table is, and what stands above the bundled one."""
    tables = runtime.catalog.tables
    bundled = tables[-1]
    above = [f"{len(table):,} from {_KEYS[table.source]}" for table in tables[:-1]]
    evidence = f"{len(bundled):,} bundled ({bundled.version})" + "".join(f", {part}" for part in above) + "."
    dates = {table.source: table.generated_at for table in tables if table.generated_at is not None}
    if not dates:
        return ok("prices", evidence)
    if dates.get("file", date.max) < dates.get("bundled", date.min):
        return warn(
            "prices",
            f"{evidence} The prices file is of {dates['file']}, older than the bundled prices below it.",
            "flask llm-cost prices refresh, or remove what it fetched before from LLM_COST_PRICES_FILE.",
        )
    age = (today - max(dates.values())).days
    if age > FRESH_DAYS:
        return warn(
            "prices",
            f"{evidence} The newest prices are {age:,} days old: newer models and rates are missing.",
            "flask llm-cost prices refresh (with LLM_COST_PRICES_FILE set), or "
            "pip install --upgrade flask-llm-cost.",
        )
    return ok("prices", evidence)


def dashboard(runtime: Runtime, *, debug: bool) -> Check:
    """Whether somebody can see the dashboard."""
    config = runtime.config
    if not config.dashboard:
        return ok("dashboard", "LLM_COST_DASHBOARD is False: there is none.")
    if runtime.authorize is not None:
        return ok("dashboard", f"At {config.url_prefix}, for whom authorize lets in.")
    if debug:
        return ok("dashboard", f"At {config.url_prefix}, on this machine only (debug mode, no authorize).")
    return warn(
        "dashboard",
        f"Nobody can see {config.url_prefix}: there is no authorize, and the app is not in debug mode.",
        "Pass authorize= to LLMCostTracker or init_app.",
    )


def journal(runtime: Runtime, now: datetime) -> Iterator[Check]:
    """What waits on this machine's disk for the ledger, of running processes and of those that are gone."""
    ingest = runtime.ingest
    if not isinstance(ingest, DatabaseIngest) or ingest.mode != "journal":
        return
    found = survey(ingest.journal_folder)
    waits = f"{found.pending:,} pending" if found.pending else "nothing pending"
    if found.oldest is not None:
        waits += f", the oldest for {_duration(now - found.oldest)}"
    evidence = (
        f"{ingest.journal_folder}: {waits}, {found.segments - found.orphans:,} files of running processes, "
        f"{found.orphans:,} of others, {found.damaged:,} bytes set aside."
    )
    if found.unreadable:
        yield warn("journal", f"{evidence} Not readable: {found.unreadable:,}.", "Run it as the app's user.")
    elif found.oldest is not None and now - found.oldest > JOURNAL_AGE:
        yield warn("journal", evidence, "flask llm-cost flush")
    elif found.damaged:
        fix = f"Look at the files *{DAMAGED_SUFFIX} in that directory, and delete them."
        yield warn("journal", evidence, fix)
    else:
        yield ok("journal", evidence)


def _duration(passed: timedelta) -> str:
    seconds = max(0, int(passed.total_seconds()))
    if seconds < 120:
        return f"{seconds} s"
    return f"{seconds // 60:,} min" if seconds < 7200 else f"{seconds // 3600:,} h"


def waiting(runtime: Runtime) -> Check:
    """What this process accepted and has not stored, or could not."""
    counts = runtime.counters.snapshot()
    listed = [f"{counts[name]:,} {name.replace('_', ' ')}" for name in _TROUBLES if counts.get(name)]
    waiting = [f"{runtime.pending:,} pending"]
    if awaited := runtime.recorder.charges.awaited:
        waiting.append(f"{awaited:,} in the background whose end was not seen here")
    if declined := counts.get("declined"):
        waiting.append(f"{declined:,} that the storage callable did not keep")
    evidence = f"In this process: {', '.join([*waiting, *listed])}."
    if listed:
        return warn("pending", evidence, "The log of flask_llm_cost names the reason.")
    return ok("pending", evidence)
