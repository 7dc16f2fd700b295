"""A support desk for several companies, whose agents are helped by language models.

What it shows of flask_llm_cost: set-up in a factory, tags for user, tenant and feature, a streamed answer, a
job outside of requests, and the dashboard behind the app's own login.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flask import Flask
from flask import Response

from flask_llm_cost import Budget
from flask_llm_cost import LLMCostTracker

from . import assistant
from . import auth
from . import commands
from . import desk
from .models import db

tracker = LLMCostTracker()

#: In USD. They tell; `enforcement="reserve"` would stop a call before it is sent.
BUDGETS = (Budget("everything", "30", "month"), Budget("tenants", "20", "month", per="tenant"))


def create_app(config: Mapping[str, Any] | None = None, *, instance_path: str | None = None) -> Flask:
    """The app. ``FLASK_*`` variables of the environment configure it, then ``config``."""
    app = Flask(__name__, instance_path=instance_path)
    instance = Path(app.instance_path)
    instance.mkdir(parents=True, exist_ok=True)
    app.config.update(
        SQLALCHEMY_DATABASE_URI=f"sqlite:///{instance / 'support_desk.sqlite'}",
        SESSION_COOKIE_SAMESITE="Lax",  # other sites cannot post our forms in a visitor's name
        LLM_COST_SERVICE="support-desk",
        LLM_COST_INSTRUMENT=["openai", "anthropic"],
    )
    app.config.from_prefixed_env()
    app.config.update(config or {})
    app.secret_key = app.secret_key or _secret_key(instance)

    db.init_app(app)
    auth.login_manager.init_app(app)
    tracker.init_app(app, authorize=auth.may_see_costs, budgets=BUDGETS)

    app.register_blueprint(auth.bp)
    app.register_blueprint(desk.bp)
    commands.register(app)
    app.context_processor(lambda: {"stands_in": assistant.stands_in()})
    app.after_request(_strict_headers)
    return app


def _secret_key(instance: Path) -> str:
    """A key of this installation's own, kept from one start to the next."""
    path = instance / "secret_key"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_hex(32))
    return path.read_text()


def _strict_headers(response: Response) -> Response:
    response.headers.setdefault(
        "Content-Security-Policy",
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'",
    )
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "same-origin")
    return response
