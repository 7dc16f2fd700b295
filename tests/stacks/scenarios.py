"""What one stack of libraries sends, and what is recorded of it. Runs in an environment of the stack's own:
``python -m tests.stacks.scenarios litellm auto,http`` prints a line of JSON per shape.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import warnings
from collections.abc import Callable
from typing import Any

from flask import Flask

from flask_llm_cost import LLMCostTracker
from tests.loopback import LoopbackProvider
from tests.loopback import loopback_provider
from tests.wire_formats import chat_completion

ASK: Any = [{"role": "user", "content": "Is the quay open?"}]
KEY = "loopback"

Shape = Callable[[LoopbackProvider], object]


async def _drained(pieces: Any) -> list[Any]:
    return [piece async for piece in pieces]


def langchain() -> dict[str, Shape]:
    """langchain-openai and langchain-anthropic, on the SDKs of the two."""
    from langchain_anthropic import ChatAnthropic
    from langchain_openai import ChatOpenAI
    from langchain_openai import OpenAIEmbeddings

    def openai(provider: LoopbackProvider, **options: Any) -> Any:
        return ChatOpenAI(model="gpt-quay", api_key=KEY, base_url=f"{provider.url}/v1", **options)

    def claude(provider: LoopbackProvider) -> Any:
        return ChatAnthropic(model="claude-pier", api_key=KEY, base_url=provider.url)

    def embeddings(provider: LoopbackProvider) -> Any:
        options: Any = {"check_embedding_ctx_length": False}
        return OpenAIEmbeddings(model="embed-quay", api_key=KEY, base_url=f"{provider.url}/v1", **options)

    return {
        "ChatOpenAI.invoke": lambda p: openai(p).invoke("Open?"),
        "ChatOpenAI.stream": lambda p: list(openai(p).stream("Open?")),
        "ChatOpenAI.ainvoke": lambda p: asyncio.run(openai(p).ainvoke("Open?")),
        "ChatOpenAI.astream": lambda p: asyncio.run(_drained(openai(p).astream("Open?"))),
        "ChatOpenAI.batch of 2": lambda p: openai(p).batch(["Open?", "Shut?"]),
        "ChatOpenAI, Responses API": lambda p: openai(p, use_responses_api=True).invoke("Open?"),
        "OpenAIEmbeddings": lambda p: embeddings(p).embed_query("quay"),
        "ChatAnthropic.invoke": lambda p: claude(p).invoke("Open?"),
        "ChatAnthropic.stream": lambda p: list(claude(p).stream("Open?")),
        "ChatAnthropic.ainvoke": lambda p: asyncio.run(claude(p).ainvoke("Open?")),
    }


def litellm() -> dict[str, Shape]:
    """litellm, which sends to OpenAI by its SDK and to most others by a client of its own."""
    import litellm as sdk

    sdk.suppress_debug_info = True

    def asked(provider: LoopbackProvider, model: str, **more: Any) -> dict[str, Any]:
        base = f"{provider.url}/v1" if model.startswith(("openai", "mistral")) else provider.url
        return {"model": model, "messages": ASK, "api_base": base, "api_key": KEY, **more}

    def embed(provider: LoopbackProvider) -> Any:
        base = f"{provider.url}/v1"
        return sdk.embedding(model="openai/embed-quay", input=["quay"], api_base=base, api_key=KEY)

    async def streamed(provider: LoopbackProvider, model: str) -> Any:
        return await _drained(await sdk.acompletion(**asked(provider, model, stream=True)))

    shapes: dict[str, Shape] = {"openai embedding": embed}
    for name in ("openai/gpt-quay", "anthropic/claude-pier", "gemini/gemini-jetty", "mistral/quay-large"):
        whose = name.partition("/")[0]
        shapes |= {
            f"{whose} completion": lambda p, m=name: sdk.completion(**asked(p, m)),  # type: ignore[misc]
            f"{whose} stream": lambda p, m=name: list(sdk.completion(**asked(p, m, stream=True))),  # type: ignore[misc]
            f"{whose} acompletion": lambda p, m=name: asyncio.run(sdk.acompletion(**asked(p, m))),  # type: ignore[misc]
            f"{whose} async stream": lambda p, m=name: asyncio.run(streamed(p, m)),  # type: ignore[misc]
        }
    return shapes


def pydantic_ai() -> dict[str, Shape]:
    """pydantic-ai, on the SDKs."""
    from pydantic_ai import Agent
    from pydantic_ai.models.anthropic import AnthropicModel
    from pydantic_ai.models.google import GoogleModel
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.models.openai import OpenAIResponsesModel
    from pydantic_ai.providers.anthropic import AnthropicProvider
    from pydantic_ai.providers.google import GoogleProvider
    from pydantic_ai.providers.openai import OpenAIProvider

    def openai(provider: LoopbackProvider) -> Any:
        return OpenAIProvider(base_url=f"{provider.url}/v1", api_key=KEY)

    def chat(provider: LoopbackProvider) -> Any:
        return Agent(OpenAIChatModel("gpt-quay", provider=openai(provider)))

    def responses(provider: LoopbackProvider) -> Any:
        return Agent(OpenAIResponsesModel("gpt-quay", provider=openai(provider)))

    def claude(provider: LoopbackProvider) -> Any:
        own = AnthropicProvider(base_url=provider.url, api_key=KEY)
        return Agent(AnthropicModel("claude-pier", provider=own))

    def gemini(provider: LoopbackProvider) -> Any:
        return Agent(GoogleModel("gemini-jetty", provider=GoogleProvider(base_url=provider.url, api_key=KEY)))

    async def streamed(agent: Any) -> str:
        async with agent.run_stream("Open?") as result:
            found: str = await result.get_output()
            return found

    return {
        "OpenAI run": lambda p: chat(p).run_sync("Open?"),
        "OpenAI run_stream": lambda p: asyncio.run(streamed(chat(p))),
        "OpenAI Responses run": lambda p: responses(p).run_sync("Open?"),
        "Anthropic run": lambda p: claude(p).run_sync("Open?"),
        "Anthropic run_stream": lambda p: asyncio.run(streamed(claude(p))),
        "Google run": lambda p: gemini(p).run_sync("Open?"),
    }


def instructor() -> dict[str, Shape]:
    """instructor, which asks once more where an answer does not validate."""
    import instructor as sdk
    from openai import AsyncOpenAI
    from openai import OpenAI
    from pydantic import BaseModel

    class Quay(BaseModel):
        berths: int

    asked: Any = {"model": "gpt-quay", "messages": ASK, "response_model": Quay, "max_retries": 1}

    def answers(provider: LoopbackProvider, *texts: str) -> str:
        for text in texts:
            provider.answer(chat_completion("gpt-quay", text))
        return f"{provider.url}/v1"

    def create(provider: LoopbackProvider, *texts: str) -> Any:
        client = OpenAI(api_key=KEY, base_url=answers(provider, *texts))
        return sdk.from_openai(client, mode=sdk.Mode.JSON).chat.completions.create(**asked)

    async def create_async(provider: LoopbackProvider, *texts: str) -> Any:
        client = AsyncOpenAI(api_key=KEY, base_url=answers(provider, *texts))
        return await sdk.from_openai(client, mode=sdk.Mode.JSON).chat.completions.create(**asked)

    good, bad = '{"berths": 7}', '{"berths": "many"}'
    return {
        "create": lambda p: create(p, good),
        "create, two attempts": lambda p: create(p, bad, good),
        "async create, two attempts": lambda p: asyncio.run(create_async(p, bad, good)),
    }


def llama_index() -> dict[str, Shape]:
    """llama-index's OpenAI, on its SDK."""
    from llama_index.llms.openai import OpenAI

    def llm(provider: LoopbackProvider) -> Any:
        return OpenAI(model="gpt-4o-mini", api_key=KEY, api_base=f"{provider.url}/v1")

    async def acomplete(provider: LoopbackProvider) -> Any:
        return await llm(provider).acomplete("Open?")

    return {
        "complete": lambda p: llm(p).complete("Open?"),
        "stream_complete": lambda p: list(llm(p).stream_complete("Open?")),
        "acomplete": lambda p: asyncio.run(acomplete(p)),
    }


def boto3() -> dict[str, Shape]:
    """boto3's bedrock-runtime, on botocore's own pools of urllib3."""
    import boto3 as sdk

    usage = {"inputTokens": 100, "outputTokens": 48, "totalTokens": 148}
    said = {"role": "assistant", "content": [{"text": "Open."}]}
    converse = {
        "output": {"message": said},
        "stopReason": "end_turn",
        "usage": usage,
        "metrics": {"latencyMs": 7},
    }

    def client(provider: LoopbackProvider) -> Any:
        keys = {"aws_access_key_id": KEY, "aws_secret_access_key": KEY, "region_name": "eu-west-1"}
        return sdk.client("bedrock-runtime", endpoint_url=provider.url, **keys)

    def invoke(provider: LoopbackProvider) -> Any:
        provider.answer(
            {"id": "msg_1", "model": "claude-pier", "usage": {"input_tokens": 100, "output_tokens": 48}}
        )
        body = json.dumps({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9, "messages": ASK})
        answer = client(provider).invoke_model(modelId="anthropic.claude-pier-v1:0", body=body)
        return answer["body"].read()

    def talk(provider: LoopbackProvider) -> Any:
        provider.answer(converse)
        messages = [{"role": "user", "content": [{"text": "Open?"}]}]
        return client(provider).converse(modelId="anthropic.claude-pier-v1:0", messages=messages)

    return {"invoke_model": invoke, "converse": talk}


STACKS: dict[str, Callable[[], dict[str, Shape]]] = {
    "langchain": langchain,
    "litellm": litellm,
    "pydantic-ai": pydantic_ai,
    "instructor": instructor,
    "llama-index": llama_index,
    "boto3": boto3,
}


def main(stack: str, instrument: str) -> None:
    """Run every shape of a stack and print how many requests arrived and what was recorded."""
    warnings.simplefilter("ignore")
    events: list[Any] = []
    app = Flask("stacks")
    app.config["LLM_COST_INSTRUMENT"] = instrument
    app.config["LLM_COST_PROVIDER_HOSTS"] = {"127.0.0.1": "bedrock" if stack == "boto3" else "openai"}
    app.config["LLM_COST_DASHBOARD"] = False
    tracker = LLMCostTracker(app, storage=events.append)
    for name, shape in STACKS[stack]().items():
        events.clear()
        with loopback_provider() as provider:
            failure = None
            try:
                shape(provider)
            except Exception as error:
                failure = f"{type(error).__name__}: {error}"[:300]
            gc.collect()  # some leave a stream where it is
            with app.app_context():
                tracker.flush()
            sent = sum(request.method == "POST" for request in provider.requests)
        rows = [
            f"{event.provider} {event.operation} {event.status} {event.output_tokens}" for event in events
        ]
        print(json.dumps({"shape": name, "sent": sent, "rows": rows, "failure": failure}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
