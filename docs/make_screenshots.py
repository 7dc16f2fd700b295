"""Take the pictures of the README and the documentation from the running example.

Starts the support desk with made-up history in a temporary folder, signs in as its admin and lets Debian's
Chromium look at it. Run by ``make screenshots``; the pictures land in ``docs/_static``.
"""

from __future__ import annotations

import logging
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from pathlib import Path

from flask import current_app
from playwright.sync_api import Browser
from playwright.sync_api import Page
from playwright.sync_api import sync_playwright
from werkzeug.serving import make_server

from flask_llm_cost.reconciliation import import_csv

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs" / "_static"
CHROMIUM = "/usr/bin/chromium"
DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
#: US dollars a day of the made-up bill.
BILLED = {"gpt-5.4": "0.21", "gpt-5.4-mini-2026-03-17": "0.34", "gpt-image-1": "0.04"}

sys.path.insert(0, str(ROOT / "examples"))

from support_desk import create_app  # noqa: E402
from support_desk import seed  # noqa: E402
from support_desk import tracker  # noqa: E402
from support_desk.models import db  # noqa: E402


@contextmanager
def running_desk() -> Iterator[str]:
    """The example's address, with fresh data."""
    with tempfile.TemporaryDirectory() as folder:
        app = create_app(instance_path=folder)
        with app.app_context():
            db.create_all()
            seed.fill()
            import_bill(Path(folder))
        server = make_server("127.0.0.1", 0, app, threaded=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.port}"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()
            with app.app_context():
                tracker.shutdown()


def import_bill(folder: Path) -> None:
    """A made-up bill of the last ten days, so that there is something to hold against the ledger."""
    today = datetime.now(UTC).date()
    days = [today - timedelta(days=age) for age in range(1, 11)]
    lines = [f"{day},{amount},{model},output" for day in days for model, amount in BILLED.items()]
    path = folder / "bill.csv"
    path.write_text("\n".join(("date,amount,model,component", *lines)))
    ledger = current_app.extensions["llm_cost"].ledger
    import_csv(ledger, "openai", path)


@contextmanager
def signed_in(browser: Browser, address: str, *, viewport: dict[str, int], scheme: str) -> Iterator[Page]:
    """A page in a window of its own, signed in as the admin."""
    context = browser.new_context(viewport=viewport, color_scheme=scheme)
    page = context.new_page()
    page.goto(f"{address}/login")
    page.fill("#email", seed.ADMIN)
    page.fill("#password", seed.PASSWORD)
    page.click("main button")
    page.wait_for_url(f"{address}/")
    try:
        yield page
    finally:
        context.close()


def shoot(page: Page, name: str, *, full_page: bool = False) -> None:
    path = PICTURES / f"{name}.png"
    page.screenshot(path=path, full_page=full_page)
    print(path.relative_to(ROOT))


#: The dashboard's pages by the name of their pictures.
PAGES = {
    "overview": "/",
    "insight": "/insight",
    "what-if": "/insight/what-if?as=openai/gpt-5-mini",
    "models": "/models",
    "crosstab": "/crosstab",
    "tags": "/tags",
    "tag": "/tags/feature",
    "tag-value": "/tags/feature/value?tag.feature=support_chat",
    "users": "/users",
    "endpoints": "/endpoints",
    "calls": "/calls",
    "call": "/calls/1",
    "pricing": "/pricing",
    "price": "/pricing/model?provider=openai&model=gpt-5",
    "budgets": "/budgets",
    "bill": "/reconciliation",
    "quality": "/quality",
    "health": "/health",
}
LOOKS = {"light": (DESKTOP, "light"), "dark": (DESKTOP, "dark"), "phone": (PHONE, "light")}


def main() -> None:
    """Every page of the dashboard in light, dark and on a phone, and the desk itself."""
    PICTURES.mkdir(exist_ok=True)
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    with running_desk() as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        for look, (viewport, scheme) in LOOKS.items():
            with signed_in(browser, address, viewport=viewport, scheme=scheme) as page:
                for name, path in PAGES.items():
                    page.goto(f"{address}/llm-costs{path}")
                    shoot(page, f"{name}-{look}")
        with signed_in(browser, address, viewport=DESKTOP, scheme="light") as page:
            page.goto(f"{address}/tickets/1")
            page.fill("#question", "Draft a first answer")
            page.click("form[action$='/ask'] button")
            page.wait_for_load_state("load")
            shoot(page, "desk")
        browser.close()


if __name__ == "__main__":
    main()
