"""What every command starts with: the app's runtime, and trouble worded as one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click
from flask import current_app
from sqlalchemy.exc import SQLAlchemyError

from ..doctor import database_advice
from ..doctor import not_tracked
from ..errors import InvalidFilterError
from ..errors import LLMCostError
from ..errors import StorageError
from ..ledger import Ledger
from ..ledger import LedgerUnavailable
from ..runtime import Runtime
from ..runtime import runtime_of


def current_runtime() -> Runtime:
    """The state of the current app.

    :raises click.ClickException: the extension was never initialised for it.
    """
    found = runtime_of(current_app)
    if found is None:
        missing = not_tracked()
        raise click.ClickException(f"{missing.evidence} {missing.fix}")
    return found


def require_ledger(runtime: Runtime) -> Ledger:
    """The ledger of an app that has one.

    :raises click.ClickException: calls go to the log or to a callable, so there is nothing to read.
    """
    ledger = runtime.ledger
    if ledger is None:
        raise click.ClickException(
            f"This app keeps no ledger: {runtime.ingest.reason}. "
            "Set LLM_COST_STORAGE to 'database', and give no storage= callable, to keep one."
        )
    return ledger


@contextmanager
def one_sentence_errors(runtime: Runtime) -> Iterator[None]:
    """Turn what a database can do to us into one sentence with its cure, and exit 1.

    A filter that cannot be asked is the caller's mistake: a usage error, exit 2.
    """
    try:
        yield
    except InvalidFilterError as error:
        raise click.UsageError(str(error)) from error
    except (LedgerUnavailable, StorageError, SQLAlchemyError) as error:
        raise click.ClickException(database_advice(require_ledger(runtime), error)) from error
    except LLMCostError as error:
        raise click.ClickException(str(error)) from error
