"""A real Chromium for the dashboard's tests, the app it looks at, and what it says meanwhile."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Literal

import pytest
from flask import Flask
from werkzeug.serving import make_server

if TYPE_CHECKING:
    from playwright.sync_api import Browser
    from playwright.sync_api import Page

Scheme = Literal["light", "dark"]

CHROMIUM = Path(os.environ.get("LLM_COST_TEST_CHROMIUM", "/usr/bin/chromium"))
REQUIRED = os.environ.get("LLM_COST_TEST_REQUIRE_BROWSER") == "1"
PHONE, DESK = 390, 1280
#: The colours a reader may have asked for, and the widths of screens.
LOOKS: tuple[tuple[Scheme, int], ...] = (("light", DESK), ("dark", DESK), ("light", PHONE), ("dark", PHONE))
#: How many pixels of a page stand out of the screen.
WIDER = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
#: The captions of tables that run into the links beside them.
COVERED = """[...document.querySelectorAll(".tabled")].flatMap((tabled) => {
  const links = tabled.querySelector(".downloads"), caption = tabled.querySelector("caption > span")
  if (!links || !caption || links.getClientRects().length === 0) return []
  const [a, b] = [links.firstElementChild.getBoundingClientRect(), caption.getBoundingClientRect()]
  return a.left < b.right && a.top < b.bottom && b.top < a.bottom ? [caption.textContent] : []
})"""

#: Every page with something of its own to draw, for a ledger of :func:`tests.dashboard.ledgers.month`.
PAGES = (
    "/",
    "/?period=7d&bucket=hour&tz=Asia/Tokyo&status=ok",
    "/insight",
    "/insight/what-if",
    "/insight/what-if?as=openai/gpt-5-mini",
    "/models",
    "/models?bucket=week&sort=calls",
    "/tags",
    "/tags/feature",
    "/tags/feature/value?tag.feature=search",
    "/users",
    "/endpoints",
    "/crosstab",
    "/crosstab?rows=user&columns=tag.tenant&show=calls",
    "/calls",
    "/calls/1",
    "/budgets",
    "/quality",
    "/health",
    "/pricing",
    "/pricing/model?provider=openai&model=gpt-5",
    "/pricing/model?call=1",
    "/reconciliation",
    "/reconciliation?by=model",
)
#: What is shown where something is not there, or wrong.
MISTAKES = (
    "/?model=none",
    "/?from=yesterday",
    "/calls/999999",
    "/pricing?search=none",
    "/reconciliation?by=colour",
)


def absent(reason: str) -> None:
    if REQUIRED:
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A started browser; the test is skipped, or fails where it must not be, if there is none."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        absent("playwright is not installed: pip install playwright")
    if not CHROMIUM.exists():
        absent(f"there is no Chromium at {CHROMIUM}: install it, or set LLM_COST_TEST_CHROMIUM")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM)
        yield started
        started.close()


@contextmanager
def served(app: Flask) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/llm-costs"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def opened(browser: Browser, width: int, scheme: str) -> Iterator[tuple[Page, list[str]]]:
    """A page and what its console says."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("requestfailed", lambda request: said.append(f"failed: {request.url}"))
    page.add_init_script(
        "addEventListener('securitypolicyviolation', event => console.error(event.violatedDirective))"
    )
    try:
        yield page, said
    finally:
        context.close()
