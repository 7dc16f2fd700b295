"""Pages that everybody can use: axe-core finds nothing against WCAG 2.2 AA, and the keyboard reaches all."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC
from datetime import datetime
from importlib.resources import files
from typing import TYPE_CHECKING
from typing import Any

import pytest
from flask import Flask

from flask_llm_cost import Budget
from tests.dashboard.browsers import DESK
from tests.dashboard.browsers import MISTAKES
from tests.dashboard.browsers import PAGES
from tests.dashboard.browsers import PHONE
from tests.dashboard.browsers import WIDER
from tests.dashboard.browsers import opened
from tests.dashboard.browsers import served
from tests.dashboard.html_pages import read
from tests.dashboard.ledgers import close
from tests.dashboard.ledgers import import_bill
from tests.dashboard.ledgers import make_app
from tests.dashboard.ledgers import month
from tests.dashboard.ledgers import write

if TYPE_CHECKING:
    from playwright.sync_api import Browser
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

#: Runs some rules of axe-core; to describe in full what is well would take most of the time.
AXE = (
    "rules => axe.run(document, {"
    "runOnly: {type: 'tag', values: rules}, resultTypes: ['violations'], selectors: false})"
)
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    folder = tmp_path_factory.mktemp("accessible")
    budgets = [Budget("all", "10", "month"), Budget("tenants", "1", "month", per="tag:tenant")]
    made = make_app(folder, LLM_COST_BUDGETS=budgets)
    write(made, month(datetime.now(UTC), days=62, per_day=8))
    import_bill(made, folder)
    yield made
    close(made)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    made = make_app(tmp_path_factory.mktemp("empty"))
    yield made
    close(made)


def violations(page: Page) -> list[str]:
    """What axe-core has against a page: the rule, what it wants, and where. It is run from outside of the
    page's policy, as a reader's own tool would be."""
    axe = files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
    page.evaluate(axe)
    found: dict[str, Any] = page.evaluate(AXE, RULES)
    assert found["passes"], "axe-core looked at nothing"
    return [
        f"{each['id']}: {node['failureSummary']} {node['html'][:200]}"
        for each in found["violations"]
        for node in each["nodes"][:3]
    ]


@pytest.mark.parametrize(("scheme", "width"), [("light", DESK), ("dark", PHONE)])
def test_axe_finds_nothing_on_any_page(app: Flask, browser: Browser, scheme: str, width: int) -> None:
    with served(app) as root, opened(browser, width, scheme) as (page, said):
        for path in PAGES:
            response = page.goto(root + path)
            assert response is not None
            assert response.status == 200, path
            assert page.evaluate(WIDER) == 0, f"{path} is wider than the screen"
            assert said == [], path
            for summary in page.locator("summary").all():
                summary.click()
            assert violations(page) == [], path


def test_axe_finds_nothing_where_something_is_wrong(app: Flask, browser: Browser) -> None:
    with served(app) as root, opened(browser, DESK, "dark") as (page, _):
        for path in MISTAKES:
            page.goto(root + path)
            assert violations(page) == [], path


def test_axe_finds_nothing_on_a_first_run(empty: Flask, browser: Browser) -> None:
    with served(empty) as root, opened(browser, DESK, "light") as (page, _):
        for path in ("/", "/insight", "/health", "/tags"):
            page.goto(root + path)
            assert violations(page) == [], path


def test_the_keyboard_reaches_every_link_and_field_and_shows_where_it_is(
    app: Flask, browser: Browser
) -> None:
    seen = (
        "(() => { const at = document.activeElement;"
        " return {here: at === document.body, outline: getComputedStyle(at).outlineStyle,"
        " name: at.outerHTML.slice(0, 120), place: [...document.querySelectorAll('*')].indexOf(at)} })()"
    )
    with served(app) as root, opened(browser, DESK, "light") as (page, _):
        for path in ("/", "/models", "/reconciliation?by=model", "/budgets"):
            page.goto(root + path)
            count = page.locator(
                "a[href]:visible:not([tabindex='-1']), button:visible, input:visible, select:visible"
            ).count()
            reached = set()
            for _press in range(count + 60):
                page.keyboard.press("Tab")
                found = page.evaluate(seen)
                if found["here"]:
                    break
                assert found["outline"] != "none", found["name"]
                reached.add(found["place"])
            assert len(reached) >= count, path


def test_marks_that_are_no_tab_stops_have_their_links_in_the_table_below(app: Flask) -> None:
    for path in ("/", "/models", "/tags/feature/value?tag.feature=search", "/?period=today"):
        page = read(app.test_client().get(f"/llm-costs{path}").text)
        links = page.all("a")
        marks = {link.attributes["href"] for link in links if link.attributes.get("tabindex") == "-1"}
        stops = {link.attributes["href"] for link in links if "tabindex" not in link.attributes}
        assert marks <= stops, path


@pytest.mark.parametrize("path", ["/models", "/users", "/calls"])
def test_a_sorted_table_says_so_and_turns(app: Flask, browser: Browser, path: str) -> None:
    with served(app) as root, opened(browser, DESK, "light") as (page, said):
        page.goto(f"{root}{path}?sort=input")
        head = page.locator("th[aria-sort]")
        assert head.count() == 1
        assert head.get_attribute("aria-sort") == "descending"
        head.locator("a").click()
        assert page.locator("th[aria-sort]").get_attribute("aria-sort") == "ascending"
        assert all(
            page.locator("caption").nth(at).text_content() for at in range(page.locator("caption").count())
        )
        assert said == []
