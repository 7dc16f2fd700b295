"""An app of several companies, each with a budget of its own that no number of workers can cross.

    cd examples && python -m multi_tenant_budgets

What it shows of flask_llm_cost: budgets that reserve, an error page for a call that was refused, a receiver
that tells a tenant when it is nearly through, and a dashboard in which each tenant sees its own calls only.
"""

from __future__ import annotations

from flask import Flask
from flask import g
from flask import request
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Unauthorized

import stand_in
from flask_llm_cost import Budget
from flask_llm_cost import LLMCostTracker
from flask_llm_cost import budget_threshold_reached

from . import notices
from . import pages
from . import refusals
from .models import db
from .people import find_person

#: In USD, and small enough to be spent in a minute. Calls have to fit before they are sent.
BUDGETS = (
    Budget(
        "tenants",
        "0.0028",
        "month",
        per="tenant",
        exceptions={"harbour": "5"},  # a larger plan
        enforcement="reserve",
        thresholds=(0.8,),
    ),
    Budget("users", "0.0015", "day", per="user", enforcement="reserve", thresholds=()),
)

tracker = LLMCostTracker()


def create_app() -> Flask:
    stand_in.answer_where_no_key_is()
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite:///multi_tenant_budgets.sqlite"
    app.config.from_prefixed_env()
    db.init_app(app)
    tracker.init_app(
        app,
        budgets=BUDGETS,
        user_loader=lambda: g.person.name,
        authorize=lambda: True,  # who is nobody's was turned away before
        scope=lambda calls: calls if g.person.is_admin else calls.tagged(tenant=g.person.tenant),
    )
    app.before_request(_sign_in)
    app.register_blueprint(pages.bp)
    refusals.register(app)
    budget_threshold_reached.connect(notices.keep, sender=app)
    with app.app_context():
        db.create_all()
    return app


def _sign_in() -> None:
    """Who is asking. Every call of the request is that person's, and their tenant's."""
    person = find_person(request.authorization)
    if person is None:
        raise Unauthorized(www_authenticate=WWWAuthenticate("basic", {"realm": "multi_tenant_budgets"}))
    g.person = person
    g.llm_cost_tags = {"tenant": person.tenant}
