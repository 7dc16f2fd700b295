"""Reserve, settle, expire, crash, give back and reconcile in any order: the windows equal a model's."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle
from hypothesis.stateful import RuleBasedStateMachine
from hypothesis.stateful import invariant
from hypothesis.stateful import multiple
from hypothesis.stateful import rule
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy import delete
from sqlalchemy import update

from flask_llm_cost.budgets.matching import Claim
from flask_llm_cost.budgets.matching import Demand
from flask_llm_cost.budgets.reconciling import reconcile
from flask_llm_cost.budgets.store import Full
from flask_llm_cost.budgets.store import LedgerStore
from flask_llm_cost.budgets.windows import EVER
from flask_llm_cost.budgets.windows import Window
from flask_llm_cost.ledger import BudgetWindow
from flask_llm_cost.ledger import LlmCall
from flask_llm_cost.ledger import Reservation
from flask_llm_cost.ledger.rows import CHILDREN
from tests.budgets.conftest import BudgetApp
from tests.budgets.conftest import MakeBudgetApp
from tests.budgets.conftest import reserve
from tests.made_events import event

LIMIT = 100
CENTS = st.integers(1, 40).map(Decimal)


class Machine(RuleBasedStateMachine):
    """One budget of 100, reserved and settled by whole dollars.

    The model: which calls hold how much, which of those are past their time, and what was spent.
    """

    app: BudgetApp
    held = Bundle("held")

    def __init__(self) -> None:
        super().__init__()
        ledger = self.app.runtime.ledger
        assert ledger is not None
        self.ledger = ledger
        for model in (*CHILDREN, LlmCall, Reservation, BudgetWindow):
            self.ledger.transaction(lambda connection, gone=model: connection.execute(delete(gone)))
        store = self.app.keeper.store()
        assert isinstance(store, LedgerStore)
        self.store = store
        self.claim = Claim(self.app.keeper.budgets[0], "", Window(EVER, None))
        self.reserved: dict[str, Decimal] = {}
        self.expired: set[str] = set()
        self.spent = self.unpriced = self.excess = Decimal(0)
        self.store.standing([self.claim])

    @property
    def live(self) -> Decimal:
        return sum((amount for name, amount in self.reserved.items() if name not in self.expired), Decimal(0))

    def take_back_expired(self) -> None:
        for name in self.expired:
            self.reserved.pop(name, None)
        self.expired.clear()

    @rule(target=held, amount=CENTS)
    def reserves(self, amount: Decimal) -> Any:
        name = str(uuid4())
        full = self.spent + self.unpriced + sum(self.reserved.values())
        fits = self.spent + self.unpriced + self.live + amount <= LIMIT
        try:
            self.store.reserve([Demand(self.claim, amount)], name)
        except Full:
            assert not fits
            self.take_back_expired()
            return multiple()
        assert fits
        if full + amount > LIMIT:
            self.take_back_expired()  # room was made
        self.reserved[name] = amount
        return name

    @rule(name=held, cost=st.one_of(st.none(), CENTS), answered=st.booleans(), times=st.integers(1, 3))
    def settles(self, name: str, cost: Decimal | None, answered: bool, times: int) -> None:
        """A call's row is written, perhaps more than once, perhaps after its reservation has expired."""
        told = event(
            event_id=name, cost=None if cost is None else str(cost), http_status=200 if answered else None
        )
        with self.ledger.session() as session:
            known = session.query(LlmCall).filter_by(event_id=name).count()
        for _ in range(times):
            self.ledger.write([told])
        if known:
            return
        amount = self.reserved.pop(name, None)
        self.expired.discard(name)
        self.spent += cost or 0
        if amount is not None and cost is None:
            self.unpriced += amount if answered else 0
        if amount is not None and cost is not None:
            self.excess += max(Decimal(0), cost - amount)

    @rule(cost=CENTS)
    def spends_without_asking(self, cost: Decimal) -> None:
        self.ledger.write([event(cost=str(cost))])
        self.spent += cost

    @rule(name=held, times=st.integers(1, 2))
    def gives_back(self, name: str, times: int) -> None:
        for _ in range(times):
            self.store.release([name])
        self.reserved.pop(name, None)
        self.expired.discard(name)

    @rule(name=held)
    def crashes(self, name: str) -> None:
        """The worker is gone, and the database's clock passes the end of the reservation."""
        if name in self.reserved:
            self.ledger.transaction(
                lambda connection: connection.execute(
                    update(Reservation).where(Reservation.event_id == name).values(expires_at=0)
                )
            )
            self.expired.add(name)

    @rule(name=held)
    def renews(self, name: str) -> None:
        self.store.renew([name], 300)
        self.expired.discard(name)

    @rule(drift=st.sampled_from([-7, 0, 7]))
    def reconciles(self, drift: int) -> None:
        """Whatever somebody has written there."""
        self.ledger.transaction(
            lambda connection: connection.execute(
                update(BudgetWindow).values(spent=BudgetWindow.spent + Decimal(drift))
            )
        )
        (found,) = reconcile(self.ledger, self.app.keeper.budgets)
        assert (found.drift, found.is_changed) == (Decimal(-drift), bool(drift))
        assert found.expired == len(self.expired)
        self.take_back_expired()

    @invariant()
    def equals_the_model(self) -> None:
        with self.ledger.session() as session:
            window = session.query(BudgetWindow).one()
            leases = {each.event_id: each.amount for each in session.query(Reservation)}
        assert (window.spent, window.unpriced, window.excess) == (self.spent, self.unpriced, self.excess)
        assert leases == self.reserved
        assert window.reserved == sum(self.reserved.values())


@pytest.mark.slow
def test_any_order_of_events_leaves_the_windows_exact(make_app: MakeBudgetApp, database_url: str) -> None:
    Machine.app = make_app(reserve(str(LIMIT)))
    kind = database_url.partition(":")[0]
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Machine,
        settings=settings(
            max_examples=40 if kind == "sqlite" else 10,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
