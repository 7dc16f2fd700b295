"""Every page, whatever the ledger holds, is well-formed HTML without scripts or inline styles."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC
from datetime import datetime
from datetime import timedelta

import pytest

from flask_llm_cost.events import Event
from tests.dashboard.conftest import AppMaker
from tests.dashboard.html_pages import read
from tests.dashboard.ledgers import REFUSED
from tests.dashboard.ledgers import UNPRICED
from tests.dashboard.ledgers import bill
from tests.dashboard.ledgers import event
from tests.dashboard.ledgers import month
from tests.dashboard.ledgers import write

HOSTILE = "<script>alert('\"&')</script>"


def _now() -> datetime:
    return datetime.now(UTC)


def _many_models() -> Iterable[Event]:
    for number in range(300):
        yield event(model=f"family-{number}/{'x' * (number % 60)}", **bill("1", "2", 10 * number + 1, 5))


LEDGERS: dict[str, Callable[[], Iterable[Event]]] = {
    "nothing": lambda: (),
    "one call": lambda: (event(user_id="7", tags={"feature": "chat"}, details={"ticket": 12}),),
    "a normal month": lambda: month(_now(), days=10, per_day=6),
    "300 models": _many_models,
    "long values": lambda: (event(user_id="u" * 191, tags={"k" * 64: "v" * 255, "feature": "v" * 255}),),
    "hostile values": lambda: (
        event(model=HOSTILE, user_id=HOSTILE, tags={"feature": HOSTILE}, details={"a": HOSTILE}),
    ),
    "one day 1000 times the others": lambda: (
        event(**bill("1000", "1000", 10**6, 1)),
        event(occurred_at=_now() - timedelta(days=2)),
    ),
    "all costs unknown": lambda: (replace(made, **UNPRICED) for made in month(_now(), days=10, per_day=4)),
    "all refused": lambda: (event(**REFUSED), event(**REFUSED, stream=True)),
    "nothing measured": lambda: (
        event(**UNPRICED, stream=True, latency_ms=None, input_tokens=None, output_tokens=None),
    ),
}
ADDRESSES = (
    "/",
    "/?by=provider",
    "/?period=today",
    "/?period=last-month",
    "/?full=model",
    "/?full=tag.feature",
    "/?model=gpt-5-mini&status=ok&stream=no&without=user,tag.tenant",
    "/?model=nothing-like-it",
    "/calls",
    "/calls?sort=cost&direction=asc&size=100",
    "/calls?model=nothing-like-it",
    "/calls/1",
    "/insight",
    "/insight/what-if",
    "/insight/what-if?as=openai/gpt-5-mini",
    "/models",
    "/models?sort=latency&direction=asc&bucket=week",
    "/models?full=model&period=7d&bucket=hour&tz=Asia%2FTokyo",
    "/tags",
    "/tags/feature",
    "/tags/never-used",
    "/tags/feature/value?tag.feature=search",
    "/tags/feature/value?without=tag.feature",
    "/users",
    "/users?sort=name",
    "/endpoints",
    "/crosstab",
    "/crosstab?rows=user&columns=model&show=calls",
    "/health",
    "/pricing",
    "/pricing?search=gpt-5&provider=openai&source=bundled",
    "/pricing?page=3",
    "/pricing?search=nothing-like-it",
    "/pricing/model?provider=openai&model=gpt-5",
    "/pricing/model?provider=openai&model=gpt-5-minni",
    "/pricing/model?model=none&input_tokens=1%2C200&charges=web_search_request%3D2",
    "/pricing/model?call=1",
    "/quality",
    "/quality?period=today",
    "/quality?model=nothing-like-it",
    "/reconciliation",
)


@pytest.mark.parametrize("fill", LEDGERS.values(), ids=LEDGERS)
def test_every_page_is_valid(new_app: AppMaker, fill: Callable[[], Iterable[Event]]) -> None:
    app = new_app()
    write(app, fill())
    client = app.test_client()
    for address in ADDRESSES:
        response = client.get(f"/llm-costs{address}")
        assert response.status_code in (200, 404), address
        read(response.text)


@pytest.mark.parametrize(
    "address",
    [
        "/?from=yesterday",
        "/?nonsense=1",
        f"/?{HOSTILE}=1",
        f"/?status={HOSTILE}",
        "/?bucket=minute",
        "/?bucket=hour&from=2026-01-01&to=2026-06-30",
        "/?tz=Europe/Atlantis",
        "/models?sort=beauty",
        "/models?table=by-model&format=xls",
        "/models?table=nothing&format=csv",
        "/tags/feature/value",
        "/tags/a%20b",
        "/crosstab?rows=weather",
        "/crosstab?rows=model&columns=model",
        "/insight/what-if?as=gpt-5",
        "/insight/what-if?as=nobody/nothing",
        "/calls?cursor=x",
        "/calls/99",
        "/pricing?page=999",
        f"/pricing?source={HOSTILE}",
        "/pricing/model",
        "/pricing/model?call=99",
        "/pricing/model?model=m&input_tokens=-1",
        "/pricing/model?model=m&charges=coffee",
        "/pricing/model?model=m&at=soon",
    ],
)
def test_the_pages_for_mistakes_are_valid_too(new_app: AppMaker, address: str) -> None:
    app = new_app()
    write(app, [event()])
    response = app.test_client().get(f"/llm-costs{address}")
    assert response.status_code in (400, 404)
    read(response.text)
