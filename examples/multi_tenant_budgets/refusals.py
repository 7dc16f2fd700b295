"""What a browser is shown where a budget refused a call. Nothing was sent then, and nothing is billed."""

from __future__ import annotations

from datetime import UTC
from datetime import datetime

from flask import Flask
from flask import Response
from flask import make_response
from flask import render_template

from flask_llm_cost import BudgetExceededError
from flask_llm_cost import BudgetUnavailableError


def register(app: Flask) -> None:
    app.register_error_handler(BudgetExceededError, refused)
    app.register_error_handler(BudgetUnavailableError, unavailable)


def refused(error: BudgetExceededError) -> Response:
    """402 where the company has to pay for more, 429 where it is enough to wait."""
    status = 402 if error.budget == "tenants" else 429
    response = make_response(render_template("refused.html", error=error, status=status), status)
    if status == 429 and error.window_end is not None:
        seconds = (error.window_end - datetime.now(UTC)).total_seconds()
        response.retry_after = max(1, round(seconds))
    return response


def unavailable(error: BudgetUnavailableError) -> tuple[str, int]:
    """The database did not say whether there is room: rather no call than one too many."""
    return render_template("refused.html", error=None, status=503), 503
