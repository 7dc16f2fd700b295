"""Async views that ask several models at once. Each call bears the tags of the task that made it.

    cd examples && python -m async_views

A stream that is left before its end is recorded as aborted, with an unknown cost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from anthropic import AsyncAnthropic
from flask import Flask
from flask import request
from flask_sqlalchemy import SQLAlchemy
from openai import AsyncOpenAI

import stand_in
from flask_llm_cost import LLMCostTracker
from flask_llm_cost import with_tags

db = SQLAlchemy()
tracker = LLMCostTracker()


def create_app() -> Flask:
    stand_in.answer_where_no_key_is()
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite:///async_views.sqlite"
    app.config.from_prefixed_env()
    db.init_app(app)
    tracker.init_app(app, default_tags={"example": "async_views"})
    with app.app_context():
        db.create_all()
    app.add_url_rule("/compare", view_func=compare)
    app.add_url_rule("/first", view_func=first_words)
    return app


async def compare() -> Mapping[str, str]:
    """The answers of two providers to one question, asked at the same time."""
    question = request.args["q"]
    with with_tags(user=request.args["user"], feature="compare"):
        # A task takes the tags along that are in force where it begins, and adds its own to its own calls.
        draft, review = await asyncio.gather(_ask_openai(question), _ask_anthropic(question))
    return {"openai": draft, "anthropic": review}


async def _ask_openai(question: str) -> str:
    # Flask runs each async view in an event loop of its own, and a client belongs to one loop.
    async with AsyncOpenAI() as client:
        with with_tags(role="draft"):
            answer = await client.responses.create(model="gpt-5-mini", input=question)
    return answer.output_text


async def _ask_anthropic(question: str) -> str:
    async with AsyncAnthropic() as client:
        with with_tags(role="review"):
            answer = await client.messages.create(
                model="claude-haiku-4-5", max_tokens=300, messages=[{"role": "user", "content": question}]
            )
    return "".join(block.text for block in answer.content if block.type == "text")


async def first_words() -> str:
    """The beginning of a streamed answer. The rest is not read: the call is recorded as aborted."""
    words: list[str] = []
    messages: list[Any] = [{"role": "user", "content": request.args["q"]}]
    async with AsyncOpenAI() as client:
        with with_tags(user=request.args["user"], feature="first_words"):
            stream = await client.chat.completions.create(
                model="gpt-5-mini", messages=messages, stream=True, stream_options={"include_usage": True}
            )
        async with stream:
            async for chunk in stream:
                words.append(chunk.choices[0].delta.content or "")
                if len(words) == 8:
                    break
    return "".join(words)
