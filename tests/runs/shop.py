"""A Flask app as its users write it, for servers and workers: ``tests.runs.shop:app``."""

from __future__ import annotations

import functools
import json
import os
import signal
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

import openai
from celery import Celery
from celery import Task
from celery import chain
from celery import shared_task
from flask import Flask
from flask import Response
from flask import g
from flask import request
from flask import stream_with_context
from flask_sqlalchemy import SQLAlchemy

from flask_llm_cost import LLMCostTracker
from flask_llm_cost import tagged
from flask_llm_cost import with_tags

ASK: Any = [{"role": "user", "content": "When does the ferry leave?"}]

db = SQLAlchemy()
tracker = LLMCostTracker()


@functools.lru_cache
def client(base_url: str) -> openai.OpenAI:
    """A client of this process: made once, as apps do. Without certificates, which take long to load."""
    http_client = openai.DefaultHttpxClient(verify=False)
    return openai.OpenAI(base_url=base_url, max_retries=0, timeout=60, http_client=http_client)


def async_client() -> openai.AsyncOpenAI:
    """A client for one event loop."""
    return openai.AsyncOpenAI(max_retries=0, http_client=openai.DefaultAsyncHttpxClient(verify=False))


def chat(**more: Any) -> Any:
    return client(os.environ["OPENAI_BASE_URL"]).chat.completions.create(
        model="gpt-4o-mini", messages=ASK, **more
    )


def create_app(config: Mapping[str, Any]) -> Flask:
    app = Flask("shop", instance_path=os.environ["SHOP_INSTANCE"])
    app.config.from_mapping(config)
    db.init_app(app)
    tracker.init_app(app)
    celery_init_app(app)
    add_views(app)
    return app


def celery_init_app(app: Flask) -> Celery:
    """As Flask's documentation has it."""

    class FlaskTask(Task):  # type: ignore[misc]
        def __call__(self, *args: object, **kwargs: object) -> object:
            with app.app_context():
                return self.run(*args, **kwargs)

    celery_app = Celery(app.name, task_cls=FlaskTask)
    celery_app.config_from_object(app.config.get("CELERY", {}))
    celery_app.set_default()
    app.extensions["celery"] = celery_app
    return celery_app


def add_views(app: Flask) -> None:
    @app.before_request
    def tenant() -> None:
        g.llm_cost_tags = {"tenant": "acme", "number": request.args.get("number")}

    @app.get("/plain")
    def plain() -> str:
        with with_tags(user=request.args["number"]):
            return str(chat().choices[0].message.content)

    @app.get("/stream")
    def stream() -> Response:
        with with_tags(user=request.args["number"]):
            chunks = chat(stream=True, stream_options={"include_usage": True})
        return Response(stream_with_context(pieces(chunks)))

    @app.get("/late-stream")
    def late_stream() -> Response:
        """The call begins while the response is sent."""

        def body() -> Iterator[str]:
            with with_tags(user=request.args["number"]):
                chunks = chat(stream=True, stream_options={"include_usage": True})
            yield from pieces(chunks)

        return Response(stream_with_context(body()))

    @app.get("/async")
    async def asynchronous() -> str:
        with with_tags(user=request.args["number"]):
            async with async_client() as asking:
                answer = await asking.chat.completions.create(model="gpt-4o-mini", messages=ASK)
        return str(answer.choices[0].message.content)

    @app.get("/send/<name>")
    def send(name: str) -> str:
        """Send a task, or what stands for several of them."""
        number = request.args["number"]
        with with_tags(user=number, request_type="job", trackable=("Order", number), feature="mail"):
            WORK[name](number)
        return "sent"


def pieces(chunks: Any) -> Iterator[str]:
    for chunk in chunks:
        if chunk.choices:
            yield (chunk.choices[0].delta.content or "") + "\n"


@shared_task  # type: ignore[untyped-decorator]
def ask(step: str = "ask") -> None:
    with with_tags(step=step):
        chat()


@shared_task(base=Task)  # type: ignore[untyped-decorator]
def ask_outside_of_the_app() -> None:
    with with_tags(step="outside"):
        chat()


@shared_task(base=Task)  # type: ignore[untyped-decorator]
def leave_a_stream_open() -> None:
    with with_tags(step="open"):
        next(iter(chat(stream=True)))


@shared_task  # type: ignore[untyped-decorator]
def ask_and_be_killed() -> None:
    chat()
    os.kill(os.getpid(), signal.SIGKILL)


@shared_task(bind=True, max_retries=1)  # type: ignore[untyped-decorator]
def ask_twice(self: Any) -> None:
    if self.request.retries:
        with with_tags(step="try 1"):
            chat()
        return
    with with_tags(step="try 0", first=True):
        chat()
        raise self.retry(countdown=0)


@shared_task  # type: ignore[untyped-decorator]
@tagged(feature="digest")
def ask_and_send() -> None:
    chat()
    ask.delay("inner")


WORK: dict[str, Any] = {
    "ask": lambda number: ask.delay(),
    "outside": lambda number: ask_outside_of_the_app.delay(),
    "killed": lambda number: ask_and_be_killed.delay(),
    "open": lambda number: leave_a_stream_open.delay(),
    "twice": lambda number: ask_twice.delay(),
    "nested": lambda number: ask_and_send.delay(),
    "chain": lambda number: chain(ask.si("first"), ask.si("second"), ask.si("third"))(),
    "broken": lambda number: ask.apply_async(headers={"llm_cost": "{broken"}),
}


def __getattr__(name: str) -> Any:
    """``app`` and ``celery_app`` are made when a server or a worker asks for them."""
    if name not in ("app", "celery_app"):
        raise AttributeError(name)
    app = globals()["app"] = create_app(json.loads(os.environ["SHOP_CONFIG"]))
    globals()["celery_app"] = app.extensions["celery"]
    return globals()[name]
