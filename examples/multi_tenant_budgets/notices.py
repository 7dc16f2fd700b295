"""Telling a tenant that its budget is nearly spent."""

from __future__ import annotations

from flask import Flask

from flask_llm_cost.budgets import Alert

from .models import Notice
from .models import db


def keep(app: Flask, alert: Alert) -> None:
    """Receives ``budget_threshold_reached``, once per tenant and month, whichever process finds out.

    It runs where calls are written, outside of any request.
    """
    if alert.budget.name != "tenants":
        return
    text = f"Your company has used {alert.threshold:.0%} of what its questions may cost this month."
    with app.app_context():
        db.session.add(Notice(tenant=alert.scope, text=text))
        db.session.commit()
