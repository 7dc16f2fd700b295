"""What a budget may be declared as, what it counts, and whose limit a call is under."""

from __future__ import annotations

from datetime import UTC
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import delete

from flask_llm_cost import Budget
from flask_llm_cost import ConfigurationError
from flask_llm_cost.budgets.configured import configured
from flask_llm_cost.budgets.matching import Facts
from flask_llm_cost.budgets.matching import claims_of
from flask_llm_cost.config import Config
from flask_llm_cost.ledger import BudgetWindow
from tests.budgets.conftest import MakeBudgetApp
from tests.made_events import event

CALL = Facts(
    provider="openai",
    models=("gpt-5-2025-08-07", "gpt-5"),
    occurred_at=datetime(2026, 3, 14, tzinfo=UTC),
    user_id="7",
    request_type="chat",
    tags={"tenant": "acme", "feature": "search"},
)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": ""}, "name must be a text of 1 to 64 characters"),
        ({"name": "x" * 65}, "name must be a text of 1 to 64 characters"),
        ({"limit": 1.5}, "a float would not be exact"),
        ({"limit": "-1"}, "limit must be an amount in USD"),
        ({"limit": "lots"}, "limit must be an amount in USD"),
        ({"period": "year"}, "period must be one of 'call', 'hour'"),
        ({"enforcement": "stop"}, "enforcement must be one of"),
        ({"on_unavailable": "wait"}, "on_unavailable must be one of"),
        ({"where": {"models": "gpt-5"}}, "it does not know 'models'"),
        ({"where": {"model": []}}, "where names no value for model"),
        ({"where": {"model": None}}, "must be a text or a list of texts"),
        ({"per": "team"}, "per must be 'user', 'tenant' or 'tag:KEY'"),
        ({"thresholds": (0,)}, "each threshold must be above 0"),
        ({"thresholds": ("half",)}, "thresholds must be shares of the limit"),
        ({"tz": "Mars/Olympus"}, "tz must be an IANA time zone name"),
        ({"lease": 0}, "lease must be whole seconds"),
        ({"exceptions": {"a": 0.5}}, "a float would not be exact"),
    ],
)
def test_a_declaration_that_makes_no_sense_says_why(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Budget(**{"name": "b", "limit": "1", "period": "day", **arguments})


@pytest.mark.parametrize(
    ("where", "counts"),
    [
        ({}, True),
        ({"provider": "openai", "model": "gpt-5"}, True),
        ({"model": ["gpt-4", "gpt-5-2025-08-07"]}, True),
        ({"provider": "anthropic"}, False),
        ({"user": 7, "request_type": "chat"}, True),
        ({"tag:feature": "search"}, True),
        ({"tag:feature": "search", "tag:region": "eu"}, False),
    ],
    ids=str,
)
def test_a_budget_counts_what_all_its_filters_let_through(where: Any, counts: bool) -> None:
    assert bool(list(claims_of([Budget("b", "1", "day", where=where)], CALL))) == counts


@pytest.mark.parametrize(
    ("per", "scope"),
    [(None, ""), ("user", "7"), ("tenant", "acme"), ("tag:feature", "search"), ("tag:x", "")],
)
def test_a_call_is_under_the_limit_of_its_value(per: Any, scope: str) -> None:
    (claim,) = claims_of([Budget("b", "1", "day", per=per)], CALL)

    assert claim.scope == scope


def test_exceptions_go_before_the_common_limit() -> None:
    budget = Budget("b", "1", "day", per="tenant", exceptions={"acme": "50"})

    assert (budget.limit_of("acme"), budget.limit_of("bolt")) == (50, 1)


def test_the_configuration_declares_budgets_too() -> None:
    config = Config.from_mapping(
        {
            "LLM_COST_BUDGETS": [{"name": "team", "limit": "5", "period": "week", "per": "tenant"}],
            "LLM_COST_MONTHLY_BUDGET": "100",
            "LLM_COST_DAILY_BUDGET": 10,
            "LLM_COST_PER_CALL_BUDGET": Decimal("0.5"),
            "LLM_COST_BUDGET_ENFORCEMENT": "block",
            "LLM_COST_TIMEZONE": "Europe/Berlin",
        }
    )

    found = configured(config, [Budget("own", "1", "day", tz="UTC")], with_ledger=True)

    assert [(each.name, each.limit, each.period, each.enforcement, each.zone.key) for each in found] == [
        ("own", 1, "day", "notify", "UTC"),
        ("team", 5, "week", "notify", "Europe/Berlin"),
        ("monthly", 100, "month", "block", "Europe/Berlin"),
        ("daily", 10, "day", "block", "Europe/Berlin"),
        ("per_call", Decimal("0.5"), "call", "block", "Europe/Berlin"),
    ]


@pytest.mark.parametrize(
    ("values", "given", "message"),
    [
        ({"LLM_COST_BUDGETS": [{"name": "a", "limit": "5", "perod": "week"}]}, [], "perod"),
        ({"LLM_COST_BUDGETS": ["a"]}, [], "must hold Budget objects or mappings"),
        ({"LLM_COST_DAILY_BUDGET": "1"}, [Budget("daily", "1", "day")], "Two budgets are named 'daily'"),
    ],
)
def test_a_configuration_that_makes_no_sense_says_why(values: Any, given: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        configured(Config.from_mapping(values), given, with_ledger=True)


def test_a_budget_that_adds_up_needs_the_ledger() -> None:
    with pytest.raises(ConfigurationError, match="there is no ledger"):
        configured(Config(), [Budget("b", "1", "day")], with_ledger=False)
    assert configured(Config(), [Budget("b", "1", "call")], with_ledger=False)


def test_a_budget_that_counts_something_else_begins_anew() -> None:
    assert Budget("b", "1", "day").definition != Budget("b", "1", "day", per="user").definition
    assert Budget("b", "1", "day").definition == Budget("b", "2", "day", enforcement="block").definition


def test_every_filter_reads_the_same_in_sql_as_it_counts(make_app: MakeBudgetApp) -> None:
    """Windows that are counted call by call equal those that are added up from the ledger."""
    budgets = [
        Budget("all", "1", "total"),
        Budget("model", "1", "total", where={"model": "gpt-5"}),
        Budget("both", "1", "total", where={"provider": "openai", "tag:feature": ["chat", "search"]}),
        Budget("user", "1", "total", per="user"),
        Budget("tenant", "1", "month", per="tenant", where={"request_type": "chat"}),
    ]
    app = make_app(*budgets)
    ledger = app.runtime.ledger
    assert ledger is not None
    ledger.write([event(cost="1", user_id="7", request_type="chat", tags={"tenant": "acme"})])
    ledger.write(
        [
            event(cost="2", model="gpt-5-2025-08-07", requested_model="gpt-5", tags={"feature": "chat"}),
            event(cost="4", model="gpt-5", provider="azure", user_id="8", request_type="chat"),
            event(cost="8", request_type="chat", tags={"tenant": "bolt", "feature": "search"}),
            event(cost=None, user_id="7"),
        ]
    )
    counted = {(row.budget, row.scope): (row.spent, row.calls) for row in app.rows(BudgetWindow)}
    ledger.transaction(lambda connection: connection.execute(delete(BudgetWindow)))

    more = [event(cost="0", user_id=user, tags=tags, request_type="chat", **MODEL) for user, tags in VALUES]
    ledger.write(more)

    added = {(row.budget, row.scope): row.spent for row in app.rows(BudgetWindow)}
    assert added == {key: spent for key, (spent, _) in counted.items()}
    assert counted["both", ""] == (Decimal(10), 2)
    assert counted["tenant", ""] == (Decimal(4), 1)


MODEL: Any = {"requested_model": "gpt-5"}
VALUES: list[Any] = [(None, {}), ("7", {"tenant": "acme"}), ("8", {"tenant": "bolt", "feature": "chat"})]
