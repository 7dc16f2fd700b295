"""The dashboard beside what apps have anyway: Flask-Login, Flask-WTF, a proxy, templates of their own."""

from __future__ import annotations

from pathlib import Path

import flask_login
from flask import Flask
from flask import redirect
from flask_wtf.csrf import CSRFProtect
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.wrappers import Response

from tests.dashboard.conftest import AppMaker
from tests.dashboard.html_pages import read
from tests.dashboard.ledgers import event
from tests.dashboard.ledgers import import_bill
from tests.dashboard.ledgers import write

#: A page of each kind, and a file of each kind.
PAGES = (
    "/",
    "/calls",
    "/calls/1",
    "/budgets",
    "/pricing",
    "/health",
    "/reconciliation?by=model",
    "/calls.csv",
    "/?table=by-model&format=json",
    "/reconciliation?by=model&table=rows&format=csv",
)


def fill(app: Flask) -> Flask:
    write(app, [event(user_id="7", tags={"feature": "chat"})])
    import_bill(app, Path(app.instance_path))
    return app


class User(flask_login.UserMixin):
    def __init__(self, name: str) -> None:
        self.id = name
        self.is_admin = name == "ada"


def signed_in_admin() -> bool | Response:
    if not flask_login.current_user.is_authenticated:
        return redirect("/login")
    return bool(flask_login.current_user.is_admin)


def test_flask_login_decides_on_every_page_and_file(new_app: AppMaker) -> None:
    app = fill(new_app(authorize=signed_in_admin, SECRET_KEY="secret"))
    login = flask_login.LoginManager(app)
    login.user_loader(User)
    app.add_url_rule("/enter/<name>", view_func=lambda name: str(flask_login.login_user(User(name))))

    nobody, bob, ada = app.test_client(), app.test_client(), app.test_client()
    bob.get("/enter/bob")
    ada.get("/enter/ada")
    for page in PAGES:
        assert nobody.get(f"/llm-costs{page}").location == "/login", page
        assert bob.get(f"/llm-costs{page}").status_code == 403, page
        assert ada.get(f"/llm-costs{page}").status_code == 200, page


def test_flask_wtf_has_nothing_to_protect(new_app: AppMaker) -> None:
    app = fill(new_app(SECRET_KEY="secret"))
    CSRFProtect(app)
    client = app.test_client()
    for page in PAGES:
        response = client.get(f"/llm-costs{page}")
        assert response.status_code == 200, page
        assert "Set-Cookie" not in response.headers, page
        assert "csrf" not in response.text, page
        assert client.post(f"/llm-costs{page}").status_code in (400, 405), page


def test_behind_a_proxy_every_link_has_its_prefix(new_app: AppMaker) -> None:
    app = fill(new_app(LLM_COST_URL_PREFIX="/admin/costs"))
    app.wsgi_app = ProxyFix(app.wsgi_app, x_prefix=1, x_host=1, x_proto=1)  # type: ignore[method-assign]
    told = {
        "X-Forwarded-Prefix": "/behind",
        "X-Forwarded-Host": "costs.example",
        "X-Forwarded-Proto": "https",
    }
    names = ("href", "src", "action")
    for page in PAGES[:7]:
        found = read(app.test_client().get(f"/admin/costs{page}", headers=told).text)
        places = [each.attributes[name] for each in found.walk() for name in names if name in each.attributes]
        assert places
        assert [each for each in places if not each.startswith(("/behind/admin/costs/", "#"))] == []


def test_a_base_template_of_the_host_holds_every_page(new_app: AppMaker) -> None:
    app = fill(new_app())
    folder = Path(app.instance_path) / "templates" / "llm_cost"
    folder.mkdir(parents=True)
    (folder / "base.html").write_text(
        "<!doctype html><html lang='en'><head><title>{% block title %}{% endblock %}</title>"
        "{% include 'llm_cost/_head.html' %}</head><body><nav>ours</nav>"
        "<main>{% block content %}{% endblock %}</main></body></html>"
    )
    for page in PAGES[:7]:
        found = read(app.test_client().get(f"/llm-costs{page}").text)
        assert found.all("nav")[0].text == "ours"
        assert found.all("h1")
