"""A person is taken out of what budgets keep: no amount is lost, and every window still equals its calls."""

from __future__ import annotations

import threading
import uuid
from contextlib import suppress
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from sqlalchemy import insert

from flask_llm_cost import Budget
from flask_llm_cost.budgets import statements
from flask_llm_cost.budgets.alerting.outbox import DELIVERIES
from flask_llm_cost.budgets.forgetting import Cleared
from flask_llm_cost.budgets.limits import set_limit
from flask_llm_cost.budgets.listing import open_window
from flask_llm_cost.budgets.matching import Claim
from flask_llm_cost.budgets.matching import Demand
from flask_llm_cost.budgets.windows import Window
from flask_llm_cost.ledger import AlertDelivery
from flask_llm_cost.ledger import BudgetAlert
from flask_llm_cost.ledger import BudgetLimit
from flask_llm_cost.ledger import BudgetWindow
from flask_llm_cost.ledger import LedgerUnavailable
from flask_llm_cost.ledger import Meta
from flask_llm_cost.ledger import Reservation
from flask_llm_cost.maintenance import Forgetting
from flask_llm_cost.maintenance import Forgotten
from flask_llm_cost.maintenance import Person
from flask_llm_cost.maintenance import prune
from tests.budgets.conftest import BudgetApp
from tests.budgets.conftest import MakeBudgetApp
from tests.budgets.conftest import reserve
from tests.budgets.test_enforcement import write
from tests.made_events import NOON
from tests.made_events import event
from tests.maintenance.test_forget import everything_stored

ANN = "user-4711"
MAIL = ("email", "ann@example.com")
PER_USER = Budget("users", "10", "month", per="user")
OWNERS = Budget("owners", "10", "total", per="tag:owner")
MAILS = Budget("mails", "10", "day", per="tag:email")
TENANTS = Budget("tenants", "10", "total", per="tenant")
SINGLE = Budget("single", "0.5", "call", per="user")
ALL = Budget("all", "10", "month")
BUDGETS = (PER_USER, OWNERS, MAILS, TENANTS, SINGLE, ALL)


def fill(app: BudgetApp) -> None:
    """Calls of Ann, in two months, of others, and of nobody."""
    later = NOON + timedelta(days=31)
    write(app, "1", "2", user_id=ANN, tags={"owner": ANN, "tenant": "acme"})
    write(app, "4", user_id=ANN, occurred_at=later)
    write(app, "8", user_id="clerk", tags=dict([MAIL]))
    write(app, "0.25", user_id="bob", tags={"owner": "bob", "email": "bob@example.com"})
    write(app, "0.125")
    limit_of(app, "users", ANN, "50")
    limit_of(app, "users", "bob", "60")


def limit_of(app: BudgetApp, budget: str, scope: str, limit: str) -> None:
    app.runtime.ledger.transaction(  # type: ignore[union-attr]
        partial(set_limit, budget=budget, scope=scope, limit=Decimal(limit), by="ops")
    )


def forget(app: BudgetApp, whom: Person | None = None, **options: Any) -> Forgotten:
    work = Forgetting(
        person=whom or Person.named(ANN, (MAIL,)),
        changed_by="dpo",
        batch_size=2,
        budgets=app.keeper.budgets if app.runtime.budgets is not None else (),
        also_undeclared=options.pop("also_undeclared", False),
    )
    assert app.runtime.ledger is not None
    return work.run(app.runtime.ledger, **options)


def windows(app: BudgetApp) -> dict[tuple[str, str, datetime], BudgetWindow]:
    return {(row.budget, row.scope, row.window_start): row for row in app.rows(BudgetWindow)}


def sums(app: BudgetApp) -> dict[tuple[str, datetime], tuple[Any, ...]]:
    """Every amount of every budget's windows, whosever they are."""
    found: dict[tuple[str, datetime], tuple[Any, ...]] = {}
    for row in app.rows(BudgetWindow):
        mine = tuple(getattr(row, name) for name in statements.SUMS)
        known = found.get((row.budget, row.window_start), (0,) * len(mine))
        found[row.budget, row.window_start] = tuple(map(sum, zip(known, mine, strict=True)))
    return found


def assert_windows_equal_their_calls(app: BudgetApp) -> None:
    declared = {budget.name: budget for budget in app.keeper.budgets}
    rows = app.rows(BudgetWindow)
    assert rows
    with app.runtime.ledger.engine.connect() as connection:  # type: ignore[union-attr]
        for row in rows:
            window = Window(row.window_start, row.window_end)
            asked = statements.sum_of_calls(declared[row.budget], row.scope, window)
            cost, calls, blocked = connection.execute(asked).one()
            told = (row.spent, row.calls, row.blocked_calls)
            assert told == (cost or 0, calls, blocked), (row.budget, row.scope)


def test_no_table_of_budgets_names_the_person_and_no_amount_is_lost(make_app: MakeBudgetApp) -> None:
    app = make_app(*BUDGETS)
    fill(app)
    before, alerts = sums(app), app.rows(BudgetAlert)
    assert {(alert.budget, alert.scope) for alert in alerts} >= {("single", ANN), ("mails", MAIL[1])}

    done = forget(app)

    left = everything_stored(app.runtime.ledger)  # type: ignore[arg-type]
    assert ANN not in left
    assert MAIL[1] not in left
    assert sums(app) == before
    assert_windows_equal_their_calls(app)
    march = datetime(2026, 3, 1, tzinfo=UTC)
    found = windows(app)
    assert found["users", "", march].spent == Decimal("3.125")
    assert found["users", "clerk", march].spent == 8
    assert found["tenants", "acme", found_start(found, "tenants")].spent == 3
    assert [(row.budget, row.scope, row.limit_amount) for row in app.rows(BudgetLimit)] == [
        ("users", "bob", 60)
    ]
    assert len(app.rows(BudgetAlert)) == len(alerts), "what was told stays"
    mine = sum(alert.scope in (ANN, MAIL[1]) for alert in alerts)
    assert done.budgets == Cleared(windows=4, alerts=mine, limits=1)
    (audit,) = [row.value for row in app.rows(Meta) if row.key.startswith("forget ")]
    assert f"4 calls, 3 tags, 0 details, {5 + mine} rows of budgets" in audit


def found_start(found: dict[tuple[str, str, datetime], BudgetWindow], budget: str) -> datetime:
    return next(start for name, _, start in found if name == budget)


def test_a_dry_run_counts_the_same_and_changes_nothing(make_app: MakeBudgetApp) -> None:
    app = make_app(*BUDGETS)
    fill(app)
    write(app, "1", user_id="clerk", tags={"owner": ANN})
    before = everything_stored(app.runtime.ledger)  # type: ignore[arg-type]

    promised = forget(app, dry_run=True)

    assert everything_stored(app.runtime.ledger) == before  # type: ignore[arg-type]
    assert promised.budgets.rows
    assert forget(app).budgets == promised.budgets
    assert forget(app).is_nothing


def test_a_value_that_stands_for_something_else_stays(make_app: MakeBudgetApp) -> None:
    app = make_app(OWNERS, TENANTS, PER_USER)
    write(app, "1", user_id="clerk", tags={"tenant": ANN, "owner": ANN})
    write(app, "2", user_id=ANN, tags={"owner": ANN})
    limit_of(app, "tenants", ANN, "70")

    forget(app, Person.named(ANN))

    spent = {(row.budget, row.scope): row.spent for row in app.rows(BudgetWindow)}
    assert spent == {
        ("owners", ANN): 1,
        ("owners", ""): 2,
        ("tenants", ANN): 1,
        ("tenants", ""): 2,
        ("users", "clerk"): 1,
        ("users", ""): 2,
    }
    assert [(row.budget, row.scope) for row in app.rows(BudgetLimit)] == [("tenants", ANN)]
    assert_windows_equal_their_calls(app)


def test_what_pruned_calls_have_cost_stays_spent(make_app: MakeBudgetApp) -> None:
    app = make_app(Budget("users", "10", "total", per="user"))
    write(app, "1", user_id=ANN, occurred_at=NOON - timedelta(days=9))
    write(app, "2", user_id=ANN)
    write(app, "4")
    prune(app.runtime.ledger, NOON - timedelta(days=1))  # type: ignore[arg-type]

    forget(app)

    assert [(row.scope, row.spent, row.calls) for row in app.rows(BudgetWindow)] == [("", 7, 3)]


def test_calls_that_nobody_had_counted_are_counted_once(make_app: MakeBudgetApp, database_url: str) -> None:
    older = make_app()
    write(older, "4")
    app = make_app(Budget("users", "10", "total", per="user"), url=database_url)
    write(app, "1", user_id=ANN)
    assert [row.scope for row in app.rows(BudgetWindow)] == [ANN]

    forget(app)

    assert [(row.scope, row.spent, row.calls) for row in app.rows(BudgetWindow)] == [("", 5, 2)]


def test_a_call_under_way_is_settled_where_its_window_went(make_app: MakeBudgetApp) -> None:
    budget = reserve("5", "month", per="user")
    app = make_app(budget)
    now = datetime.now(UTC)
    write(app, "1", user_id=ANN, occurred_at=now)
    (declared,), event_id = app.keeper.budgets, str(uuid.uuid4())
    claim = Claim(declared, ANN, open_window(declared, now))
    app.keeper.store().reserve([Demand(claim, Decimal(2))], event_id)

    forget(app)

    assert [(row.scope, row.spent, row.reserved) for row in app.rows(BudgetWindow)] == [("", 1, 2)]
    assert [row.budget_id for row in app.rows(Reservation)] == [app.window.id]
    app.runtime.ledger.write(  # type: ignore[union-attr]
        [event(event_id=event_id, cost="1.5", occurred_at=now)]
    )
    assert not app.rows(Reservation)
    (window,) = app.rows(BudgetWindow)
    assert (window.spent, window.reserved, window.settled) == (Decimal("2.5"), 0, Decimal("1.5"))


def test_an_alert_stays_with_its_delivery_and_keeps_none_from_being_told(make_app: MakeBudgetApp) -> None:
    app = make_app(Budget("users", "1", "total", per="user", thresholds=(1,)))
    write(app, "2", user_id=ANN)
    write(app, "3", user_id="bob")
    (mine, _) = app.rows(BudgetAlert)
    delivery = {"alert_id": mine.id, "channel": "webhook", "owner": "", "attempts": 1, "claimed_until": 0}
    app.runtime.ledger.transaction(  # type: ignore[union-attr]
        lambda connection: connection.execute(insert(DELIVERIES).values(**delivery, is_given_up=True))
    )

    forget(app)
    write(app, "1")

    alerts = {row.scope: row.spent for row in app.rows(BudgetAlert)}
    assert alerts == {f"[forgotten {mine.id}]": 2, "bob": 3, "": 3}
    assert [row.alert_id for row in app.rows(AlertDelivery)] == [mine.id]


def test_an_interrupted_run_leaves_every_window_right(make_app: MakeBudgetApp) -> None:
    app = make_app(*BUDGETS)
    fill(app)
    before = sums(app)

    def interrupt(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        forget(app, on_progress=interrupt)

    assert_windows_equal_their_calls(app)
    forget(app)
    assert ANN not in everything_stored(app.runtime.ledger)  # type: ignore[arg-type]
    assert sums(app) == before
    assert_windows_equal_their_calls(app)


def test_calls_may_arrive_meanwhile(make_app: MakeBudgetApp) -> None:
    app = make_app(PER_USER, OWNERS)
    for _ in range(10):
        write(app, *["0.01"] * 4, user_id=ANN, tags={"owner": ANN})
    stop = threading.Event()

    def keep_writing(user_id: str | None) -> None:
        while not stop.is_set():
            with suppress(LedgerUnavailable):  # then nothing was stored, and the journal would try again
                write(app, "0.01", "0.02", user_id=user_id)

    writers = [threading.Thread(target=keep_writing, args=(who,)) for who in (None, "bob")]
    for writer in writers:
        writer.start()
    try:
        forget(app)
    finally:
        stop.set()
        for writer in writers:
            writer.join()

    assert ANN not in everything_stored(app.runtime.ledger)  # type: ignore[arg-type]
    assert_windows_equal_their_calls(app)


def test_budgets_that_are_declared_elsewhere_are_told_of_and_left(
    make_app: MakeBudgetApp, database_url: str
) -> None:
    other = make_app(Budget("of others", "10", "total", per="tenant"))
    write(other, "1", tags={"tenant": ANN})
    write(other, "2")
    app = make_app(PER_USER, url=database_url)
    write(app, "4", user_id=ANN)
    run = partial(app.flask.test_cli_runner().invoke)

    result = run(args=["llm-cost", "forget", "--user", ANN, "--yes"])

    assert result.exit_code == 1
    assert "out of 1 call, 0 tags and the details of 0 calls, and 1 window, 0 alerts and 0 limits of" in (
        result.stdout
    )
    assert "what they keep may name the person: of others. Run this in the app" in result.stderr
    assert {row.scope for row in other.rows(BudgetWindow) if row.budget == "of others"} == {"", ANN}

    result = run(args=["llm-cost", "forget", "--user", ANN, "--yes", "--undeclared-budgets"])

    assert result.exit_code == 0, result.output
    found = [(row.scope, row.spent) for row in other.rows(BudgetWindow) if row.budget == "of others"]
    assert found == [("", 3)]
