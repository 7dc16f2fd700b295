"""How one app's :class:`~.runtime.Runtime` is put together: configuration, options, parts."""

from __future__ import annotations

import os
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
from typing import TYPE_CHECKING
from typing import Any

from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from .config import Config
from .counters import Counters
from .errors import ConfigurationError
from .events import Event
from .ingest import CallableIngest
from .ingest import Ingest
from .ingest import LogIngest
from .pricing import Catalog
from .recorder import Recorder
from .runtime import Runtime
from .scope import Scope

if TYPE_CHECKING:
    from .analytics import CallQuery
    from .budgets import Budget
    from .budgets.keeper import BudgetKeeper
    from .ingest.choice import DatabaseIngest
    from .ledger import LedgerSource

DefaultTags = Mapping[str, object] | Callable[[], Mapping[str, object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the constructor was given and ``init_app`` may give again."""

    authorize: Callable[[], Any] | None = None
    scope: Callable[[CallQuery], CallQuery] | None = None
    default_tags: DefaultTags | None = None
    user_loader: Callable[[], object] | None = None
    storage: Callable[[Event], object] | None = None
    budgets: Sequence[Budget] = ()
    default: bool = False

    def overridden_by(self, given: Mapping[str, Any]) -> Options:
        return replace(
            self, **{name: value for name, value in given.items() if value not in (None, False, ())}
        )


def build_runtime(app: Flask, db: SQLAlchemy | None, options: Options) -> Runtime:
    """Read the app's configuration and put the parts together."""
    config = Config.from_mapping(app.config)
    counters = Counters()
    catalog = Catalog.load(
        overrides=config.pricing_overrides,
        prices_file=_absolute(app, config.prices_file),
        discounts=config.discounts,
    )
    source = _ledger_source(app, db, config) if _wants_ledger(config, options) else None
    keeper = _budget_keeper(app, config, options, source, catalog, counters)
    stored = None if source is None else _database_ingest(app, config, source, counters)
    ingest = _other_ingest(app, config, counters, options) if stored is None else stored
    recorder = Recorder(
        app,
        config,
        catalog,
        ingest,
        counters,
        default_tags=Scope.of(options.default_tags)
        if isinstance(options.default_tags, Mapping)
        else options.default_tags,
        user_loader=options.user_loader,
        budgets=keeper,
    )
    context_ended = recorder.catch_up
    if stored is not None:
        stored.before_flush = recorder.catch_up
        stored.judge = recorder.judge
        if keeper is not None:
            keeper.ingest = stored
        context_ended = stored.context_ended
    # Flask runs teardown functions last to first: the first one runs when the host's session is gone,
    # whichever of the extensions was initialised first.
    app.teardown_appcontext_funcs.insert(0, lambda error: context_ended())
    return Runtime(
        config=config,
        catalog=catalog,
        counters=counters,
        ingest=ingest,
        recorder=recorder,
        ledger_source=source,
        budgets=keeper,
        authorize=options.authorize,
        scope=options.scope,
    )


def _wants_ledger(config: Config, options: Options) -> bool:
    return config.storage == "database" and options.storage is None


def _ledger_source(app: Flask, db: SQLAlchemy | None, config: Config) -> LedgerSource:
    from .ledger import LedgerSource  # as slow to import as all else; not every app has one
    from .ledger import attach_tables
    from .ledger import check_read_bind

    found = db or app.extensions.get("sqlalchemy")
    if found is None:
        raise ConfigurationError(
            "No database: pass it, as in LLMCostTracker(app, db), or call db.init_app(app) before the "
            "tracker's. For a try without one set LLM_COST_STORAGE to 'log'."
        )
    attach_tables(found, config.bind_key)
    check_read_bind(found, config.read_bind_key)
    return LedgerSource(app, found, config)


def _budget_keeper(
    app: Flask,
    config: Config,
    options: Options,
    source: LedgerSource | None,
    catalog: Catalog,
    counters: Counters,
) -> BudgetKeeper | None:
    """What keeps the app's budgets; ``None`` where none is declared, or nothing is tracked."""
    if not (options.budgets or config.budgets or any(amount is not None for amount in config.budget_amounts)):
        return None
    from .budgets.alerting.receivers import AlertReceivers
    from .budgets.configured import configured  # an app without budgets need not load them
    from .budgets.keeper import BudgetKeeper

    budgets = configured(config, options.budgets, with_ledger=source is not None)
    if not config.enabled:
        return None
    keeper = BudgetKeeper(app, budgets, source, catalog, counters)
    keeper.alerts = AlertReceivers(app, config, source, counters)
    if source is not None:
        source.listener = keeper
    return keeper


def _database_ingest(app: Flask, config: Config, source: LedgerSource, counters: Counters) -> DatabaseIngest:
    from .ingest.choice import DatabaseIngest

    return DatabaseIngest(app, config, source, counters)


def _other_ingest(app: Flask, config: Config, counters: Counters, options: Options) -> Ingest:
    if options.storage is not None:
        return CallableIngest(options.storage, config.storage_error, counters)
    return LogIngest(app.logger, config.storage_error, counters)


def _absolute(app: Flask, path: str | None) -> str | None:
    """A prices file's path; a relative one counts from the app's root, as Flask's own config files do."""
    return None if path is None else os.path.join(app.root_path, path)
