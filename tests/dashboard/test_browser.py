"""The pages in a real Chromium: nothing is blocked, nothing overflows."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from flask_talisman import Talisman

from flask_llm_cost.events import Event
from tests.dashboard.browsers import COVERED
from tests.dashboard.browsers import DESK
from tests.dashboard.browsers import LOOKS
from tests.dashboard.browsers import PHONE
from tests.dashboard.browsers import WIDER
from tests.dashboard.browsers import opened
from tests.dashboard.browsers import served
from tests.dashboard.conftest import AppMaker
from tests.dashboard.ledgers import UNPRICED
from tests.dashboard.ledgers import bill
from tests.dashboard.ledgers import event
from tests.dashboard.ledgers import month
from tests.dashboard.ledgers import write

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser


def _now() -> datetime:
    return datetime.now(UTC)


def _many_models() -> Iterable[Event]:
    for number in range(300):
        moment = _now() - timedelta(days=number % 28)
        name = f"vendor-{number % 17}/family-{number}-{'x' * (number % 23)}"
        yield event(model=name, occurred_at=moment, **bill("1", "2", 100 * number + 1, 5))


SCENES: dict[str, Callable[[], Iterable[Event]]] = {
    "nothing": lambda: (),
    "one call": lambda: (event(user_id="7", tags={"feature": "chat"}),),
    "a normal month": lambda: month(_now(), days=60, per_day=8),
    "300 models": _many_models,
    "a tag value of 255 characters": lambda: (
        event(user_id="u" * 191, tags={"feature": "v" * 255, "k" * 64: "v"}),
        event(tags={"feature": "short"}),
    ),
    "one day 1000 times the others": lambda: (
        *month(_now(), days=40, per_day=4),
        event(occurred_at=_now() - timedelta(days=9), **bill("1000", "4000", 30_000, 90_000)),
    ),
    "all costs unknown": lambda: (replace(made, **UNPRICED) for made in month(_now(), days=40, per_day=4)),
}


@pytest.mark.parametrize("scene", SCENES)
def test_pages_are_drawn_without_a_violation_and_fit_every_screen(
    new_app: AppMaker, browser: Browser, scene: str
) -> None:
    app = new_app()
    Talisman(app, force_https=False)
    events = list(SCENES[scene]())
    write(app, events)
    paths = (
        "/",
        "/insight",
        "/insight/what-if?as=openai/gpt-5-mini",
        "/models",
        "/tags/feature",
        "/users",
        "/crosstab",
        "/calls",
        "/quality",
        *(("/calls/1",) if events else ()),
    )
    if scene == "a normal month":
        explained = ("/pricing/model?provider=openai&model=gpt-5", "/pricing/model?model=none")
        paths = (*paths, "/pricing", "/pricing?search=none", *explained, "/pricing/model?call=1")
    with served(app) as root, opened(browser, DESK, "light") as (page, said):
        for path in paths:
            response = page.goto(root + path)
            assert response is not None
            assert response.status == 200
            for scheme, width in LOOKS:
                page.emulate_media(color_scheme=scheme)
                page.set_viewport_size({"width": width, "height": 900})
                assert page.evaluate(WIDER) == 0, f"{path} is wider than {width} pixels"
                assert page.evaluate(COVERED) == [], path
        assert said == []


def test_our_own_policy_blocks_nothing_of_ours(new_app: AppMaker, browser: Browser) -> None:
    app = new_app()
    write(app, month(_now(), days=10))
    with served(app) as root, opened(browser, DESK, "light") as (page, said):
        page.goto(root + "/")
        bar = page.locator("rect.segment").first
        assert bar.bounding_box() is not None
        assert bar.evaluate("bar => getComputedStyle(bar).fill") != "rgb(0, 0, 0)"
        assert page.locator(".share rect").first.evaluate("bar => bar.getBoundingClientRect().width") > 0
        assert said == []


def test_the_colours_follow_the_readers_scheme(new_app: AppMaker, browser: Browser) -> None:
    app = new_app()
    grounds = []
    with served(app) as root:
        for scheme in ("light", "dark"):
            with opened(browser, DESK, scheme) as (page, _):
                page.goto(root + "/")
                grounds.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert grounds == ["rgb(246, 246, 249)", "rgb(15, 16, 21)"]


@pytest.mark.parametrize("width", [DESK, PHONE])
def test_the_charts_labels_do_not_touch(new_app: AppMaker, browser: Browser, width: int) -> None:
    app = new_app()
    write(app, month(_now(), days=60))
    with served(app) as root, opened(browser, width, "light") as (page, _):
        for query in ("?period=7d", "", "?from=2026-01-01&to=2026-12-31"):
            page.goto(f"{root}/{query}")
            labels = page.locator("svg.plot > text:visible")
            boxes = [box for index in range(labels.count()) if (box := labels.nth(index).bounding_box())]
            edges = [(box["x"], box["x"] + box["width"]) for box in boxes]
            assert len(edges) >= 2
            assert all(left[1] < right[0] for left, right in pairwise(edges)), query
            assert edges[-1][1] <= width


def test_the_filter_form_works_without_scripts(new_app: AppMaker, browser: Browser) -> None:
    app = new_app()
    write(app, [event(tags={"feature": "chat"}), event(model="other")])
    with served(app) as root, opened(browser, DESK, "light") as (page, said):
        page.goto(f"{root}/?period=7d")
        page.get_by_text("More filters").click()
        page.get_by_role("combobox", name="Model", exact=True).fill("gpt-5-mini")
        page.get_by_label("Tag", exact=True).fill("feature")
        page.get_by_label("Value of the tag").fill("chat")
        page.get_by_role("button", name="Apply").click()
        assert page.url == f"{root}/?period=7d&model=gpt-5-mini&tag.feature=chat"
        assert page.locator("#tile-calls .tile-value").inner_text() == "1"
        page.get_by_label("Remove the filter Model").click()
        assert page.url == f"{root}/?period=7d&tag.feature=chat"
        assert said == []


def test_the_keyboard_reaches_content_filters_and_tables(new_app: AppMaker, browser: Browser) -> None:
    app = new_app()
    write(app, [event()])
    with served(app) as root, opened(browser, DESK, "light") as (page, _):
        page.goto(root + "/")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to content"
        tag = "document.activeElement.closest('[role=region]') ? 'region' : document.activeElement.tagName"
        reached = []
        for _press in range(80):
            page.keyboard.press("Tab")
            reached.append(page.evaluate(tag))
        assert {"A", "INPUT", "SELECT", "BUTTON", "SUMMARY", "region"} <= set(reached)


def test_a_printed_page_leaves_out_what_only_a_screen_can_do(new_app: AppMaker, browser: Browser) -> None:
    app = new_app()
    write(app, [event()])
    with served(app) as root, opened(browser, DESK, "dark") as (page, _):
        page.goto(root + "/")
        page.emulate_media(media="print")
        assert not page.locator(".filters form").is_visible()
        assert page.locator("#tile-spend").is_visible()
        assert page.evaluate("getComputedStyle(document.body).color") == "rgb(25, 26, 35)"
        assert not page.locator(".filters").is_visible()
        page.goto(root + "/?model=gpt-5-mini")
        assert page.locator(".filters").inner_text() == "Model gpt-5-mini"


def test_what_is_printed_fits_on_the_paper(new_app: AppMaker, browser: Browser) -> None:
    app = new_app()
    write(app, month(_now(), days=40, per_day=4))
    write(app, [event(model="m" * 191, user_id="u" * 191, tags={"feature": "v" * 255})])
    cut = (
        "[...document.querySelectorAll('.scroll, .panel')]"
        ".filter(each => each.scrollWidth > each.clientWidth + 1).map(each => each.innerText.slice(0, 40))"
    )
    # A4 less its margins is 186 mm wide, at 96 dots an inch.
    with served(app) as root, opened(browser, 703, "light") as (page, _):
        page.emulate_media(media="print")
        for path in ("/", "/models", "/calls", "/crosstab?rows=user", "/quality"):
            page.goto(root + path)
            assert page.evaluate(cut) == [], path


def test_forced_colours_keep_series_apart(new_app: AppMaker, browser: Browser) -> None:
    app = new_app()
    write(app, [event(), event(model="other")])
    with served(app) as root, opened(browser, DESK, "light") as (page, said):
        page.emulate_media(forced_colors="active")
        page.goto(root + "/")
        fills = page.locator("rect.segment").evaluate_all(
            "bars => bars.map(bar => getComputedStyle(bar).fill)"
        )
        assert len(set(fills)) == 2
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        others, here = page.locator(".nav a:not([aria-current])"), page.locator(".nav a[aria-current]")
        lines = others.evaluate_all("all => all.map(link => getComputedStyle(link).borderBottomColor)")
        assert set(lines) == {ground}
        assert here.evaluate("link => getComputedStyle(link).borderBottomColor") != ground
        assert here.evaluate("link => getComputedStyle(link).outlineStyle") == "solid"
        assert said == []
