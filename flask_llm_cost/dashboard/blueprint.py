"""The blueprint: its rules, the one access check before them, and the pages for what goes wrong."""

from __future__ import annotations

import logging
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

from flask import Blueprint
from flask import Response as FlaskResponse
from flask import request
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.exc import TimeoutError as WaitedTooLong
from werkzeug.utils import import_string
from werkzeug.wrappers import Response

from ..config import Config
from ..errors import InvalidFilterError
from ..ledger import LedgerUnavailable
from ..ledger import SchemaReport
from .access import AccessRefused
from .access import check_access
from .responses import CallNotFound
from .responses import max_age
from .responses import page
from .responses import protected
from .responses import runtime

log = logging.getLogger("flask_llm_cost")

#: Rules that show no data and so need no permission: the stylesheet and the icon.
PUBLIC = frozenset({"static"})
#: Rules whose answer does not come from the ledger.
WITHOUT_LEDGER = frozenset({"pricing", "price", "health"})


#: Each page's address, and where it is defined below this room.
_PAGES = (
    ("/", "overview:overview"),
    ("/insight", "insight:insight"),
    ("/insight/what-if", "what_if:what_if"),
    ("/models", "models:models"),
    ("/tags", "tags:tags"),
    ("/tags/<key>", "tags:tag_key"),
    ("/tags/<key>/value", "tags:tag_value"),
    ("/users", "users:users"),
    ("/endpoints", "endpoints:endpoints"),
    ("/crosstab", "crosstab:crosstab"),
    ("/calls", "calls:calls"),
    ("/calls.csv", "calls:export"),
    ("/calls.json", "calls:export_json"),
    ("/calls/<int:call_id>", "call:call"),
    ("/budgets", "budgets:budgets"),
    ("/pricing", "pricing:pricing"),
    ("/pricing/model", "price:price"),
    ("/quality", "quality:quality"),
    ("/health", "health:health"),
    ("/reconciliation", "reconciliation:reconciliation"),
)


class Dashboard(Blueprint):
    """The dashboard of one app. ``schema_is_ok`` remembers that its tables were found in order once."""

    schema_is_ok = False

    def get_send_file_max_age(self, filename: str | None) -> int | None:
        return max_age(filename)

    def send_static_file(self, filename: str) -> FlaskResponse:
        response = super().send_static_file(filename)
        protected(response, stored=True)
        return response


def create_blueprint(config: Config) -> Blueprint:
    """The dashboard as a blueprint called ``llm_cost``; it reads the runtime of the app that serves it.

    :param config: gives the prefix for a registration without one.
    """
    blueprint = Dashboard(
        "llm_cost",
        __package__ or __name__,
        url_prefix=config.url_prefix,
        static_folder="static",
        static_url_path="/static",
        template_folder="templates",
    )
    # A list of methods leaves out nothing that Flask adds by itself: HEAD and OPTIONS.
    for rule, place in _PAGES:
        name = place.rpartition(":")[2]
        blueprint.add_url_rule(rule, endpoint=name, view_func=_late(place), methods=["GET"])
    blueprint.before_request(lambda: _admit(blueprint))
    blueprint.register_error_handler(InvalidFilterError, _on_invalid_filter)
    blueprint.register_error_handler(AccessRefused, _on_refused)
    blueprint.register_error_handler(CallNotFound, _on_missing)
    blueprint.register_error_handler(SQLAlchemyError, _on_database_error)
    blueprint.register_error_handler(LedgerUnavailable, _on_database_error)
    return blueprint


def _late(place: str) -> Callable[..., Response]:
    """A view whose page is imported when somebody asks for it: most workers never show one."""

    def view(**arguments: Any) -> Response:
        shown: Callable[..., Response] = import_string(f"{__package__}.pages.{place}")
        return shown(**arguments)

    return view


def _admit(blueprint: Dashboard) -> Response | None:
    """Decide on access first; then whether there is a ledger with tables to read."""
    if _endpoint() in PUBLIC:
        return None
    if (answer := check_access(runtime().authorize)) is not None:
        return answer
    if _endpoint() in WITHOUT_LEDGER:
        return None
    ledger = runtime().ledger
    if ledger is None:
        return _no_ledger()
    if not blueprint.schema_is_ok:
        report = ledger.check_schema()
        if not report.ok:
            return _setup_required(report)
        blueprint.schema_is_ok = True
    return None


def _endpoint() -> str:
    return (request.endpoint or "").rpartition(".")[2]


def _state(
    status: int,
    heading: str,
    *sentences: str,
    problems: Sequence[str] = (),
    command: str | None = None,
    back: bool = False,
) -> Response:
    """A page that shows no data, only what is the matter and what to do."""
    context = {
        "current": "",
        "heading": heading,
        "sentences": sentences,
        "problems": problems,
        "command": command,
        "back": back,
    }
    return page("state.html", context, status)


def _no_ledger() -> Response:
    return _state(
        404,
        "Calls are not kept in a database here",
        f"This app hands its calls on elsewhere ({runtime().ingest.reason}): there is nothing to add up.",
        "Set LLM_COST_STORAGE to 'database', and give no storage function, to see them here.",
    )


def _setup_required(report: SchemaReport) -> Response:
    if not report.reachable:
        return _database_error()
    return _state(
        503,
        "The ledger's tables need attention",
        "Calls cannot be shown, and may not be stored, until this is done:",
        problems=report.problems,
        command=report.fix,
    )


def _database_error() -> Response:
    return _state(
        500,
        "The database did not answer",
        "The numbers cannot be read now. Try again in a moment. If it stays so, this says more:",
        command="flask llm-cost doctor",
    )


def _crowded() -> Response:
    return _state(
        503,
        "Too many pages are being read at once",
        "This one did not get its turn. Try again in a moment, or ask for fewer days.",
    )


def _on_invalid_filter(error: InvalidFilterError) -> Response:
    return _state(
        400,
        f"The filter \u201c{error.field}\u201d cannot be read",
        f"{error.field}: {error.message}",
        back=True,
    )


def _on_refused(error: AccessRefused) -> Response:
    return _state(
        403,
        "You may not see this page",
        "The app that this dashboard belongs to decides who may.",
        "For its developers: pass authorize= to LLMCostTracker, a function that returns True for those "
        "who may see costs. The app's log says why this request was refused.",
    )


def _on_missing(error: CallNotFound) -> Response:
    return _state(404, "There is no such call", "Its number is wrong, or it was pruned since.", back=True)


def _on_database_error(error: SQLAlchemyError | LedgerUnavailable) -> Response:
    if isinstance(error, WaitedTooLong):
        return _crowded()
    log.error("dashboard: the ledger could not be read (%s)", type(error).__name__)
    ledger = runtime().ledger
    report = ledger.check_schema() if ledger else None
    return _setup_required(report) if report and not report.ok else _database_error()
