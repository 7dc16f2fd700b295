"""``LLMCostTracker``: builds one frozen :class:`~.runtime.Runtime` per app and delegates to it."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import UTC
from datetime import date
from datetime import datetime
from typing import TYPE_CHECKING
from typing import Any
from typing import TypeVar

from flask import Blueprint
from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from . import capture
from . import celery
from .assembly import DefaultTags
from .assembly import Options
from .assembly import build_runtime
from .cli import llm_cost
from .config import Config
from .context import current_flask_app
from .context import with_tags
from .errors import ConfigurationError
from .events import Event
from .events import Operation
from .pricing import Price
from .runtime import EXTENSION
from .runtime import Runtime
from .runtime import registry
from .runtime import resolve_among
from .runtime import runtime_of
from .shutdown import close
from .usage import Usage

if TYPE_CHECKING:
    from .analytics import CallQuery
    from .analytics import Report
    from .budgets import Budget
    from .budgets import BudgetStatus


C = TypeVar("C")


class LLMCostTracker:
    """Record, price and attribute every LLM call of a Flask app.

    ``LLMCostTracker(app)``, ``LLMCostTracker(app, db)`` and the factory form with :meth:`init_app` all work,
    and one tracker serves several apps. Arguments of ``init_app`` win over those given here; what differs
    per deployment is read from ``LLM_COST_*`` keys of ``app.config``.

    :param db: the app's ``SQLAlchemy`` object; found in ``app.extensions`` where it is not given.
    :param authorize: who may see the dashboard: called in each of its requests, sync or async. ``True``
        lets in, a response is passed on, anything else is 403. Without it only a debug app on this machine
        shows it.
    :param scope: whose calls the reader of the dashboard may see: takes all calls, as :attr:`calls`, and
        returns them narrowed by columns or tags, as in ``lambda calls: calls.tagged(tenant=mine())``.
        Called in each request; no filter of a page widens it.
    :param default_tags: tags of every call: a mapping, or a callable asked when a call begins.
    :param user_loader: returns the user a call belongs to (model object or id) where no ``with_tags`` says
        so; without it the user that Flask-Login knows of.
    :param storage: a callable that takes each :class:`~flask_llm_cost.events.Event` and owns persistence.
    :param budgets: limits on what calls may cost: :class:`~flask_llm_cost.Budget` objects.
    :param default: calls outside any app context belong to this app; needed only with several tracked apps.
    """

    def __init__(
        self,
        app: Flask | None = None,
        db: SQLAlchemy | None = None,
        *,
        authorize: Callable[[], Any] | None = None,
        scope: Callable[[CallQuery], CallQuery] | None = None,
        default_tags: DefaultTags | None = None,
        user_loader: Callable[[], object] | None = None,
        storage: Callable[[Event], object] | None = None,
        budgets: Sequence[Budget] = (),
    ) -> None:
        self._db = db
        self._options = Options(
            authorize=authorize,
            scope=scope,
            default_tags=default_tags,
            user_loader=user_loader,
            storage=storage,
            budgets=tuple(budgets),
        )
        self._apps: weakref.WeakSet[Flask] = weakref.WeakSet()
        if app is not None:
            self.init_app(app)

    def init_app(
        self,
        app: Flask,
        db: SQLAlchemy | None = None,
        *,
        authorize: Callable[[], Any] | None = None,
        scope: Callable[[CallQuery], CallQuery] | None = None,
        default_tags: DefaultTags | None = None,
        user_loader: Callable[[], object] | None = None,
        storage: Callable[[Event], object] | None = None,
        budgets: Sequence[Budget] = (),
        default: bool = False,
    ) -> None:
        """Set the app up: read its configuration, add tables, commands and dashboard, tap the SDKs.

        :raises ConfigurationError: a ``LLM_COST_*`` key is unknown or invalid, no database is found, the app
            was initialised before, or a table of ours clashes with one of the app.
        :raises CaptureContractError: an SDK named in ``LLM_COST_INSTRUMENT`` is missing or incompatible.
        """
        if EXTENSION in app.extensions:
            raise ConfigurationError(
                f"A tracker was initialised for the app {app.name!r} before: call init_app once per app, and "
                "not after LLMCostTracker(app)."
            )
        options = self._options.overridden_by(
            {
                "authorize": authorize,
                "scope": scope,
                "default_tags": default_tags,
                "user_loader": user_loader,
                "storage": storage,
                "budgets": tuple(budgets),
                "default": default,
            }
        )
        runtime = build_runtime(app, db or self._db, options)
        if runtime.config.enabled:
            capture.install(runtime.config.instrument)
            celery.install()
        app.extensions[EXTENSION] = runtime
        self._apps.add(app)
        registry.add(app, default=options.default)
        app.cli.add_command(llm_cost)
        if runtime.config.dashboard:
            from .dashboard import create_blueprint  # an app without it need not load its pages

            app.register_blueprint(create_blueprint(runtime.config), url_prefix=runtime.config.url_prefix)

    @property
    def config(self) -> Config:
        """The frozen settings of the current app."""
        return self._runtime.config

    @property
    def calls(self) -> CallQuery:
        """All recorded calls of the current app, to be narrowed and asked."""
        return self._runtime.calls

    @property
    def blueprint(self) -> Blueprint | None:
        """The current app's dashboard, or ``None`` where ``LLM_COST_DASHBOARD`` is false."""
        found = self._app.blueprints.get("llm_cost")
        return found if isinstance(found, Blueprint) else None

    def track(self, **call: Any) -> Event | None:
        """Record a call by hand; see :func:`flask_llm_cost.track`."""
        return capture.track(runtime=self._runtime, **call)

    def track_stream(self, **call: Any) -> AbstractContextManager[capture.StreamCollector]:
        """Record a streamed call by hand; see :func:`flask_llm_cost.track_stream`."""
        return capture.track_stream(runtime=self._runtime, **call)

    def budget_status(self, *, provider: str | None = None, model: str | None = None) -> list[BudgetStatus]:
        """Where the budgets stand that a call made here and now would be under, with its user and tags.

        Those for one provider or model are among them unless you name another one. What waits in this
        process is written first.

        :raises LLMCostError: the database does not answer.
        """
        runtime = self._runtime
        if runtime.budgets is None:
            return []
        runtime.flush_quietly()
        return runtime.budgets.status_here(capture.imagined_call(runtime, provider, model))

    def enforce_budget(self, *, provider: str | None = None, model: str | None = None) -> None:
        """Ask before work that costs more than one call, or that no SDK sends.

        Asks every budget that a call made here and now would be under, but for those whose enforcement is
        ``"notify"``; those for one provider or model only where you name it. May wait for the database: in a
        coroutine, call it in a thread.

        :raises BudgetExceededError: a limit is reached. :raises BudgetUnavailableError: as the budget says.
        """
        runtime = self._runtime
        if runtime.budgets is not None:
            runtime.budgets.enforce(capture.imagined_call(runtime, provider, model))

    def http_transport(self, inner: Any = None, *, tags: capture.Tags | None = None) -> Any:
        """A transport for a client of httpx or httpx2 that no SDK's tap sees:
        ``httpx.Client(transport=tracker.http_transport())``.

        Requests to the hosts of known providers and of ``LLM_COST_PROVIDER_HOSTS`` are recorded, each as one
        call; all others pass untouched, and so does what a tapped SDK sends. The app is that of the context,
        outside any context this tracker's only one.

        :param inner: the transport that sends, sync or async; the package's own where it is not given, of
            whichever package and kind the client is.
        :param tags: on top of those in force: a mapping as :class:`with_tags` takes it, or a callable that
            is asked for one when a call begins.
        :raises TypeError: ``inner`` is no transport, or ``tags`` neither a mapping nor a callable.
        """
        return capture.http_transport(self._runtime_of_request, inner, tags)

    def requests_adapter(self, inner: Any = None, *, tags: capture.Tags | None = None) -> Any:
        """An adapter for a session of requests: ``session.mount("https://", tracker.requests_adapter())``.

        :param inner: the adapter that sends; a plain ``HTTPAdapter`` where it is not given.
        :param tags: as for :meth:`http_transport`.
        :raises TypeError: as :meth:`http_transport`. :raises ImportError: requests is not installed.
        """
        return capture.requests_adapter(self._runtime_of_request, inner, tags)

    def wrap(
        self,
        client: C,
        method: str,
        *,
        provider: str,
        model: capture.ModelOf = None,
        usage: capture.UsageOf | None = None,
        operation: Operation | None = None,
        tags: Mapping[str, object] | None = None,
    ) -> C:
        """Record each call of a method of a client that no tap knows, and return the client.

        ``client = tracker.wrap(Client(), "complete", provider="acme", usage=lambda answer: answer.usage)``

        The call itself, its answer and its exceptions are as before; sync and ``async`` methods both work,
        and what they send is not recorded a second time. An answer that is a stream is better recorded with
        :meth:`track_stream`. Doing so twice is fine.

        :param method: its name, or its path from the client, such as ``"chat.complete"``.
        :param model: the model asked for, or a callable that is given the call's arguments; the call's own
            ``model=`` where it is not given.
        :param usage: is given the answer and tells what was used: a :class:`~flask_llm_cost.Usage`, or a
            mapping by the names of :func:`flask_llm_cost.track`, ``cost``, ``model``, ``details`` and
            ``provider_response_id`` among them. ``None``: nobody knows.
        :param tags: of all its calls, on top of those in force; ``user``, ``trackable`` and ``request_type``
            as :class:`~flask_llm_cost.with_tags` takes them.
        :raises TypeError: there is no such method, or it cannot be replaced.
        """
        wrapping = capture.Wrapping(
            self._runtime_of_request, provider, model, usage, operation, dict(tags or {})
        )
        return capture.wrap(client, method, wrapping)

    def with_tags(self, tags: Mapping[str, object] | None = None, /, **named: object) -> with_tags:
        """Attribute every call inside the block; see :class:`flask_llm_cost.with_tags`."""
        return with_tags(tags, **named)

    def price(
        self,
        *,
        provider: str,
        model: str,
        usage: Usage,
        pricing_mode: str | None = None,
        at: datetime | None = None,
    ) -> Price:
        """What a call would cost. Nothing is recorded.

        :param at: the moment whose prices apply, an aware datetime; now where it is not given.
        """
        moment = at or datetime.now(UTC)
        return self._runtime.catalog.price(
            provider=provider, model=model, usage=usage, pricing_mode=pricing_mode, at=moment
        )

    def report(
        self,
        start: date | None = None,
        end: date | None = None,
        *,
        group_by: str | Sequence[str] = (),
        tag_keys: Sequence[str] = (),
        limit: int | None = 5,
        compare: bool = True,
    ) -> Report:
        """The report of a range, the last 30 days where none is given; ``flask llm-cost report`` prints it.

        :param start: a date or an aware datetime; ``end`` likewise, a date is included. Days are those of
            ``LLM_COST_TIMEZONE``.
        :param group_by: ``day``, ``user``, ``model``, ``provider``, ``request_type``, ``endpoint`` and so on,
            or ``tag:KEY``, or several of them. Without it by provider, model, the tags of ``tag_keys`` and
            user, with the dearest calls and the models without a price.
        :param limit: lines of each group, but days; ``None`` for all. What is left out is in ``other``.
        :param compare: hold all of it against the time just before.
        :raises InvalidFilterError: the range is reversed, or lacks a time zone; a name is unknown.
        """
        from .analytics import build_report  # imported where something is asked, as the queries are
        from .analytics import during

        query = during(self.calls, start, end)
        return build_report(query, group_by=group_by, tag_keys=tag_keys, limit=limit, compare=compare)

    def flush(self, timeout: float | None = None) -> bool:
        """Write what waits in this process; ``False`` where something is left after ``timeout`` seconds."""
        return self._runtime.flush(timeout)

    def shutdown(self, timeout: float | None = None) -> None:
        """Write what waits and stop tracking the current app; done by itself at interpreter exit.

        :param timeout: seconds; ``LLM_COST_SHUTDOWN_TIMEOUT`` where it is not given.
        """
        close(self._app, timeout)

    @property
    def _app(self) -> Flask:
        app = current_flask_app()
        if app is not None and app in self._apps:
            return app
        apps = list(self._apps)
        if app is None and len(apps) == 1:
            return apps[0]
        raise ConfigurationError(
            "No app of this tracker is active. Call tracker.init_app(app) first, and use it inside "
            "'with app.app_context():' where it serves several apps."
        )

    def _runtime_of_request(self) -> Runtime | None:
        return resolve_among(self._apps)

    @property
    def _runtime(self) -> Runtime:
        runtime = runtime_of(self._app)
        assert runtime is not None, "init_app stores the runtime before it remembers the app"  # noqa: S101
        return runtime
