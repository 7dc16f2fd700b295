"""Whose calls the reader may see: every page asks :func:`visible_calls`, and nothing else, for calls.

The host's ``scope`` narrows the query itself. Conditions of a query only ever add up, so no filter of a page
can widen what it left.
"""

from __future__ import annotations

from collections.abc import Callable

from flask import current_app
from werkzeug.exceptions import Forbidden

from ..analytics import CallQuery
from ..errors import ConfigurationError
from .responses import runtime

#: What ``scope`` may be: it takes all calls and returns those that the reader of this request may see.
Scope = Callable[[CallQuery], CallQuery]


def visible_calls() -> CallQuery:
    """The calls that the reader of this request may see; all of them where the app sets no ``scope``.

    An exception of ``scope`` goes its way to the host's error handling: nothing is shown.

    :raises ConfigurationError: ``scope`` returned anything but the query it was given, narrowed.
    """
    calls = runtime().calls
    scope = runtime().scope
    if scope is None:
        return calls
    narrowed = current_app.ensure_sync(scope)(calls)
    if not isinstance(narrowed, CallQuery) or narrowed.ledger is not calls.ledger:
        raise ConfigurationError(
            f"scope returned a {type(narrowed).__name__}. Return the calls it was given, narrowed, as in "
            "scope=lambda calls: calls.tagged(tenant=current_user.tenant)."
        )
    if narrowed.range is not None:
        raise ConfigurationError(
            "scope chose a range of time, which every page replaces by its own. Narrow by columns or tags."
        )
    return narrowed


def require_everything() -> None:
    """For pages about the whole app.

    :raises Forbidden: ``scope`` narrows this reader's view.
    """
    if runtime().scope is not None and (runtime().ledger is None or not sees_everything(visible_calls())):
        raise Forbidden("This page is about the whole app, and your view is narrowed to a part of it.")


def sees_everything(calls: CallQuery) -> bool:
    """Whether ``scope`` left out nothing. What is counted for the whole app is shown only then."""
    return not calls.filters.columns and not calls.filters.tags
