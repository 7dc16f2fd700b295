"""What OpenAI's admin API tells: costs per day, and quantities per day.

Formats: https://platform.openai.com/docs/api-reference/usage. Costs come in whole days only; amounts are
numbers in the currency's unit. ``input_tokens`` of completions includes cached tokens.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from datetime import UTC
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any

from .admin_api import Parameters
from .document import amount
from .document import as_object
from .document import count
from .document import name
from .errors import ReconciliationError
from .line import CALLS
from .line import Line
from .line import cost_line
from .line import usage_line
from .source import Bucket
from .source import Period
from .source import Source

PROVIDER = "openai"
ADDRESS = "https://api.openai.com/v1"
KEY_VARIABLE = "OPENAI_ADMIN_KEY"

#: Buckets of one page: the most that are allowed.
_COST_DAYS = 180
_USAGE_DAYS = 31

#: The last words of a line item such as ``gpt-6-astra, input_tokens``, which are not documented as a list.
_COMPONENTS = {
    "input": "input",
    "cached input": "cache_read_input",
    "input cached": "cache_read_input",
    "cache write input": "cache_write_input",
    "input cache write": "cache_write_input",
    "output": "output",
    "audio input": "audio_input",
    "input audio": "audio_input",
    "audio output": "audio_output",
    "output audio": "audio_output",
    "image input": "image_input",
    "input image": "image_input",
    "image output": "image_output",
    "output image": "image_output",
}
_TOOLS = {
    "web search": "web_search_request",
    "file search": "file_search_call",
    "code interpreter": "container_session",
}


def headers(key: str) -> Mapping[str, str]:
    """How a request bears the key."""
    return {"Authorization": f"Bearer {key}"}


def _ask(period: Period, *, limit: int, group_by: tuple[str, ...]) -> Parameters:
    return [
        ("start_time", int(period.start.timestamp())),
        ("end_time", int(period.end.timestamp())),
        ("bucket_width", "1d"),
        ("limit", limit),
        *(("group_by[]", each) for each in group_by),
    ]


def _bucket(bucket: Mapping[str, Any], where: str) -> Bucket:
    return _moment(bucket, "start_time", where), _moment(bucket, "end_time", where)


def _moment(bucket: Mapping[str, Any], key: str, where: str) -> datetime:
    told = bucket.get(key)
    try:
        if isinstance(told, int) and not isinstance(told, bool):
            return datetime.fromtimestamp(told, UTC)
    except (ValueError, OverflowError, OSError):
        pass
    raise ReconciliationError(f"{where}.{key} is no time in seconds.")


def _cost(result: Mapping[str, Any], where: str, bucket: Bucket) -> Iterator[Line]:
    money = as_object(result.get("amount"), f"{where}.amount")
    place = f"{where}.amount.value"
    line_item = name(result, "line_item", where, 255)
    model, component = _meaning(line_item or "")
    yield cost_line(
        amount(money.get("value"), place),
        where=place,
        bucket=bucket,
        currency=name(money, "currency", f"{where}.amount", 8) or "usd",
        provider_account=name(result, "project_id", where),
        api_key_id=name(result, "api_key_id", where),
        line_item=line_item,
        model=model,
        component=component,
    )


def _meaning(line_item: str) -> tuple[str | None, str | None]:
    """The model and the component of a line item, as far as it names them.

    >>> _meaning("gpt-6-astra, input_tokens"), _meaning("web search tool calls")
    (('gpt-6-astra', 'input'), (None, 'web_search_request'))
    """
    model, comma, kind = line_item.rpartition(", ")
    if comma and model and " " not in model:
        words = kind.lower().replace("_", " ").removesuffix(" tokens").strip()
        return model[:191], _COMPONENTS.get(words)
    words = line_item.lower()
    return None, next((component for tool, component in _TOOLS.items() if tool in words), None)


def _usage(result: Mapping[str, Any], where: str, bucket: Bucket, *, kind: str) -> Iterator[Line]:
    for component, quantity in _quantities(kind, result, where).items():
        if quantity:
            yield usage_line(
                component,
                quantity,
                where=f"{where} ({component})",
                bucket=bucket,
                provider_account=name(result, "project_id", where),
                api_key_id=name(result, "api_key_id", where),
                model=name(result, "model", where),
                pricing_mode=_mode(result, where),
                line_item=kind,
            )


def _mode(result: Mapping[str, Any], where: str) -> str | None:
    if result.get("batch") is True:
        return "batch"
    tier = name(result, "service_tier", where, 64)
    return None if tier in ("default", "standard", "auto") else tier


def _quantities(kind: str, result: Mapping[str, Any], where: str) -> dict[str, Decimal | None]:
    if kind == "completions":
        return {**_completions(result, where), CALLS: count(result, "num_model_requests", where)}
    field, component = _FIELDS[kind]
    quantity = count(result, field, where)
    if quantity is not None and component == "transcription_minute":
        quantity /= 60
    return {component: quantity, CALLS: count(result, "num_model_requests", where)}


#: Of each kind but completions the field that is counted, and what it counts.
_FIELDS = {
    "embeddings": ("input_tokens", "input"),
    "moderations": ("input_tokens", "moderation_token"),
    "images": ("images", "image"),
    "audio_speeches": ("characters", "text_to_speech_character"),
    "audio_transcriptions": ("seconds", "transcription_minute"),
    "web_search_calls": ("num_requests", "web_search_request"),
    "file_search_calls": ("num_requests", "file_search_call"),
    "code_interpreter_sessions": ("num_sessions", "container_session"),
    "vector_stores": ("usage_bytes", "stored_byte"),
}


def _completions(result: Mapping[str, Any], where: str) -> dict[str, Decimal | None]:
    """Tokens in buckets that do not overlap, as the ledger has them."""

    def told(key: str) -> Decimal:
        return count(result, key, where) or Decimal(0)

    cached, written = told("input_cached_tokens"), told("input_cache_write_tokens")
    uncached = count(result, "input_uncached_tokens", where)
    if uncached is None:
        uncached = told("input_tokens") - cached - written
    if uncached < 0:
        raise ReconciliationError(f"{where}: more tokens are cached than there are.")
    return {
        **_by_modality("input", uncached, told("input_audio_tokens"), told("input_image_tokens")),
        "cache_read_input": cached,
        "cache_write_input": written,
        **_by_modality(
            "output", told("output_tokens"), told("output_audio_tokens"), told("output_image_tokens")
        ),
    }


def _by_modality(side: str, total: Decimal, audio: Decimal, image: Decimal) -> dict[str, Decimal | None]:
    if audio + image > total:
        # Older answers count cached audio in here, too: then only the whole is certain.
        return {side: total}
    return {side: total - audio - image, f"audio_{side}": audio, f"image_{side}": image}


_BY_KEY = ("project_id", "api_key_id")
_BY_MODEL = (*_BY_KEY, "model")
_USAGE = {
    "completions": (*_BY_MODEL, "batch", "service_tier"),
    "embeddings": _BY_MODEL,
    "moderations": _BY_MODEL,
    "images": _BY_MODEL,
    "audio_speeches": _BY_MODEL,
    "audio_transcriptions": _BY_MODEL,
    "web_search_calls": _BY_MODEL,
    "file_search_calls": _BY_KEY,
    "code_interpreter_sessions": ("project_id",),
    "vector_stores": ("project_id",),
}

SOURCES = (
    Source(
        name="openai_costs",
        provider=PROVIDER,
        path="/organization/costs",
        ask=partial(_ask, limit=_COST_DAYS, group_by=("project_id", "line_item", "api_key_id")),
        bucket=_bucket,
        read=_cost,
    ),
    *(
        Source(
            name=f"openai_usage_{kind}",
            provider=PROVIDER,
            path=f"/organization/usage/{kind}",
            ask=partial(_ask, limit=_USAGE_DAYS, group_by=group_by),
            bucket=_bucket,
            read=partial(_usage, kind=kind),
        )
        for kind, group_by in _USAGE.items()
    ),
)
