"""A call that a budget forbids sends nothing, whatever it was asked with; its row tells the story."""

from __future__ import annotations

import asyncio
import pickle
import threading
from typing import Any

import anthropic
import openai
import pytest
from google import genai
from sqlalchemy import event

from flask_llm_cost import Budget
from flask_llm_cost import BudgetExceededError
from tests.budgets.conftest import BudgetApp
from tests.budgets.conftest import MakeBudgetApp
from tests.budgets.conftest import cent
from tests.budgets.conftest import reserve
from tests.capture.conftest import RunAsync
from tests.capture.google_calls import generate
from tests.capture.google_calls import quiet_aiohttp
from tests.capture.google_calls import read_all
from tests.capture.google_calls import streamed
from tests.capture.http_clients import ASK
from tests.capture.http_clients import CHAT
from tests.capture.http_clients import CLIENTS
from tests.capture.http_clients import Client
from tests.capture.test_shapes import ANTHROPIC_SHAPES
from tests.capture.test_shapes import ASYNC_SHAPES
from tests.capture.test_shapes import OPENAI_SHAPES
from tests.capture.test_shapes import chat
from tests.loopback import LoopbackProvider

pytestmark = quiet_aiohttp


def assert_refused(app: BudgetApp, loopback: LoopbackProvider, **wanted: Any) -> None:
    (call,) = app.calls
    assert not loopback.requests
    assert (call.status, call.error_type, call.http_status) == ("blocked", "BudgetExceededError", None)
    assert (call.total_cost, call.cost_status) == (None, "free")
    assert not app.reservations
    for name, value in wanted.items():
        assert getattr(call, name) == value


@pytest.fixture
def app(make_sqlite_app: MakeBudgetApp) -> BudgetApp:
    return make_sqlite_app(reserve("0.009", "month"))


@pytest.mark.parametrize("shape", OPENAI_SHAPES)
def test_an_openai_call_is_refused(
    app: BudgetApp, openai_client: Any, provider: LoopbackProvider, shape: str
) -> None:
    call, expected = OPENAI_SHAPES[shape]
    with pytest.raises(BudgetExceededError, match="it would cross the limit") as refused:
        call(openai_client)

    assert (refused.value.limit, refused.value.estimate, refused.value.stage) == (
        cent() - cent() / 10,
        cent(),
        "before",
    )
    assert refused.value.window_end is not None
    assert_refused(app, provider, provider="openai", operation=expected["operation"])


@pytest.mark.parametrize("shape", ANTHROPIC_SHAPES)
def test_an_anthropic_call_is_refused(
    app: BudgetApp, anthropic_client: Any, provider: LoopbackProvider, shape: str
) -> None:
    with pytest.raises(BudgetExceededError):
        ANTHROPIC_SHAPES[shape][0](anthropic_client)

    assert_refused(app, provider, provider="anthropic")


@pytest.mark.parametrize("shape", ASYNC_SHAPES)
def test_an_async_call_is_refused(app: BudgetApp, provider: LoopbackProvider, shape: str) -> None:
    async def run() -> None:
        client: Any
        if "message" in shape:
            client = anthropic.AsyncAnthropic(api_key="loopback", base_url=provider.url)
        else:
            client = openai.AsyncOpenAI(api_key="loopback", base_url=f"{provider.url}/v1")
        async with client:
            with pytest.raises(BudgetExceededError):
                await ASYNC_SHAPES[shape][0](client)

    asyncio.run(run())
    assert_refused(app, provider)


def test_a_groq_call_is_refused(app: BudgetApp, groq_client: Any, provider: LoopbackProvider) -> None:
    with pytest.raises(BudgetExceededError):
        chat(groq_client)

    assert_refused(app, provider, provider="groq")


def test_a_google_call_is_refused(app: BudgetApp, google_client: Any, provider: LoopbackProvider) -> None:
    with pytest.raises(BudgetExceededError):
        generate(google_client)

    assert_refused(app, provider, provider="google")


def test_a_google_stream_is_refused(app: BudgetApp, google_client: Any, provider: LoopbackProvider) -> None:
    with pytest.raises(BudgetExceededError):
        list(streamed(google_client))

    assert_refused(app, provider, provider="google", stream=True)


@pytest.mark.parametrize("work", [generate, read_all], ids=["whole", "stream"])
def test_an_async_google_call_is_refused(
    app: BudgetApp, run_google: RunAsync, provider: LoopbackProvider, work: Any
) -> None:
    async def refused(client: Any) -> None:
        with pytest.raises(BudgetExceededError):
            await work(client)

    run_google(refused)
    assert_refused(app, provider, provider="google")


@pytest.mark.skipif(not hasattr(genai.Client, "interactions"), reason="this google-genai has none yet")
@pytest.mark.filterwarnings("ignore:.*experimental.*:UserWarning")
def test_an_interaction_is_refused(app: BudgetApp, google_client: Any, provider: LoopbackProvider) -> None:
    with pytest.raises(BudgetExceededError):
        google_client.interactions.create(model="gemini-2.5-flash", input="Is the jetty open?")

    assert_refused(app, provider, provider="google")


@pytest.mark.parametrize("client", CLIENTS, ids=repr)
def test_a_plain_request_is_refused(
    make_sqlite_app: MakeBudgetApp, provider: LoopbackProvider, client: Client
) -> None:
    config = {"LLM_COST_PROVIDER_HOSTS": {f"127.0.0.1:{provider.port}": "openai"}, **client.config}
    app = make_sqlite_app(reserve("0.009"), config=config)

    with pytest.raises(BudgetExceededError):
        client.post(f"{provider.url}{CHAT}", tracker=app.tracker, json=ASK)

    assert_refused(app, provider, provider="openai", requested_model="gpt-quay")


def test_an_event_loop_is_not_held_up_by_the_database(
    make_app: MakeBudgetApp, provider: LoopbackProvider
) -> None:
    app = make_app(
        reserve(),
        Budget("soft", "1", "day", enforcement="block"),
        Budget("told", "1", "day", enforcement="raise"),
    )
    threads: list[int] = []
    event.listen(
        app.keeper.ledger().engine, "before_cursor_execute", lambda *_: threads.append(threading.get_ident())
    )

    async def run() -> int:
        async with openai.AsyncOpenAI(api_key="loopback", base_url=f"{provider.url}/v1") as client:
            await chat(client)
        return threading.get_ident()

    loop_thread = asyncio.run(run())

    assert threads
    assert loop_thread not in threads
    assert len(app.calls) == 1


def test_a_task_that_is_cancelled_while_it_waits_leaves_nothing_set_aside(
    make_sqlite_app: MakeBudgetApp, provider: LoopbackProvider
) -> None:
    asking: list[threading.Thread] = []
    reserving, go_on = threading.Event(), threading.Event()

    def slow(request: Any) -> Any:
        asking.append(threading.current_thread())
        reserving.set()
        go_on.wait(10)
        return cent()

    app = make_sqlite_app(reserve(estimate=slow))

    async def run() -> None:
        async with openai.AsyncOpenAI(api_key="loopback", base_url=f"{provider.url}/v1") as client:
            task = asyncio.create_task(chat(client))
            while not reserving.is_set():
                await asyncio.sleep(0.005)
            task.cancel()
            go_on.set()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(run())
    asking.pop().join(30)  # the thread that asks the database goes on without the task
    app.keeper.leases.catch_up()

    assert not provider.requests
    assert not app.calls
    assert not app.reservations
    assert app.window.reserved == 0


def test_the_exception_travels_between_processes() -> None:
    with pytest.raises(BudgetExceededError) as raised:
        raise BudgetExceededError(
            "spent", budget="b", scope="s", limit=cent(), spent=cent(), reserved=cent(),
            estimate=None, window_end=None, stage="before",
        )  # fmt: skip

    copy = pickle.loads(pickle.dumps(raised.value))

    assert (str(copy), copy.budget, copy.limit, copy.estimate) == ("spent", "b", cent(), None)
