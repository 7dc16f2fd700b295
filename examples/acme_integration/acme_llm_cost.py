"""Lets flask_llm_cost see the calls of an SDK that it does not know: the (made-up) Acme SDK.

It is loaded when an app starts, so it does not import the SDK itself.
"""

from __future__ import annotations

import functools
import inspect
import logging
import time
from types import ModuleType
from typing import Any

from flask_llm_cost import Usage
from flask_llm_cost import track
from flask_llm_cost.capture import Integration
from flask_llm_cost.capture import covered
from flask_llm_cost.capture import is_wanted

log = logging.getLogger(__name__)


class AcmeTap:
    """Every call of ``acme_sdk.client.Client`` ends in its method ``post``."""

    def broken_contract(self, module: ModuleType) -> str | None:
        """Look before you patch: a new version of the SDK may have moved what you rely on."""
        post = getattr(getattr(module, "Client", None), "post", None)
        if post is None:
            return f"{module.__name__} has no Client.post"
        if "model" not in inspect.signature(post).parameters:
            return f"{module.__name__}.Client.post takes no model"
        return None

    def patch(self, sdk: str, module: ModuleType) -> None:
        if not self.is_patched(module):
            module.Client.post = _recorded(sdk, module.Client.post)  # type: ignore[attr-defined]

    def unpatch(self, module: ModuleType) -> None:
        if self.is_patched(module):
            module.Client.post = module.Client.post.__wrapped__  # type: ignore[attr-defined]

    def is_patched(self, module: ModuleType) -> bool:
        return hasattr(getattr(module.Client, "post", None), "acme_llm_cost")  # type: ignore[attr-defined]


def _recorded(sdk: str, original: Any) -> Any:
    @functools.wraps(original)
    def post(self: Any, model: str, **body: Any) -> Any:
        if not is_wanted(sdk):
            return original(self, model, **body)
        started = time.monotonic()
        with covered():  # so that a tapped HTTP client beneath does not record the call once more
            answer = original(self, model, **body)
        try:
            _record(model, answer, (time.monotonic() - started) * 1000)
        except Exception as error:  # a call never fails because of its recording
            log.warning("A call could not be recorded (%s)", type(error).__name__)
        return answer

    post.acme_llm_cost = True  # type: ignore[attr-defined]
    return post


def _record(model: str, answer: dict[str, Any], latency_ms: float) -> None:
    track(
        provider="acme",
        model=answer.get("model", model),
        operation="chat",
        usage=Usage(input_tokens=answer["tokens"]["read"], output_tokens=answer["tokens"]["written"]),
        provider_response_id=answer.get("id"),
        latency_ms=latency_ms,
    )


def _made_up_call(model: str, response_id: str) -> None:
    """For ``flask llm-cost verify-capture``: through the real client, and nothing leaves the machine."""
    from acme_sdk.client import Client  # type: ignore[import-not-found]

    tokens = {"read": 1_000, "written": 100}
    offline = Client(send=lambda body: {"id": response_id, "model": model, "tokens": tokens})
    offline.post(model, prompt="ping")


integration = Integration(
    name="acme",
    distribution="acme-sdk",
    taps={"acme_sdk.client": AcmeTap()},
    made_up_call=_made_up_call,
)
