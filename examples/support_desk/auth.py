"""Signing in and out with Flask-Login."""

from __future__ import annotations

from flask import Blueprint
from flask import flash
from flask import redirect
from flask import render_template
from flask import request
from flask import url_for
from flask.typing import ResponseReturnValue
from flask_login import LoginManager
from flask_login import current_user
from flask_login import login_required
from flask_login import login_user
from flask_login import logout_user
from sqlalchemy import select

from .models import User
from .models import db

bp = Blueprint("auth", __name__)

login_manager = LoginManager()
login_manager.login_view = "auth.login"
login_manager.login_message = None


@login_manager.user_loader
def load_user(user_id: str) -> User | None:
    return db.session.get(User, int(user_id))


def may_see_costs() -> bool | ResponseReturnValue:
    """The dashboard's ``authorize``: admins in, others 403, strangers to the login page."""
    if not current_user.is_authenticated:
        return login_manager.unauthorized()
    return current_user.is_admin


@bp.route("/login", methods=["GET", "POST"])
def login() -> ResponseReturnValue:
    if request.method == "GET":
        return render_template("login.html")
    user = db.session.scalar(select(User).where(User.email == request.form.get("email", "").strip()))
    if user is None or not user.has_password(request.form.get("password", "")):
        flash("This address and password do not belong together.")
        return render_template("login.html"), 401
    login_user(user)
    return redirect(_own_page(request.args.get("next")) or url_for("desk.tickets"))


@bp.post("/logout")
@login_required
def logout() -> ResponseReturnValue:
    logout_user()
    return redirect(url_for("auth.login"))


def _own_page(target: str | None) -> str | None:
    """``target`` if it is a path of this site; browsers read ``//host`` and ``/\\host`` as another one."""
    if target and target.startswith("/") and target[1:2] not in {"/", "\\"}:
        return target
    return None
