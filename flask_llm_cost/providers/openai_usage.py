"""The usage object of OpenAI and of those who copied it, turned into disjoint buckets.

Cached, cache-written, audio and image tokens are parts of the input total, reasoning, audio and image
tokens of the output total. The dialects differ in where they write the cached part.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from .counted import Counted
from .counted import remainder
from .fields import Document
from .fields import InvalidUsage
from .fields import count
from .fields import minutes
from .fields import money


@dataclass(frozen=True, slots=True)
class Names:
    """How a wire format calls its totals and their details."""

    input: str
    input_details: str
    output: str
    output_details: str


CHAT = Names("prompt_tokens", "prompt_tokens_details", "completion_tokens", "completion_tokens_details")
RESPONSES = Names("input_tokens", "input_tokens_details", "output_tokens", "output_tokens_details")
TRANSCRIPTION = Names("input_tokens", "input_token_details", "output_tokens", "output_token_details")

#: 1 USD is 10^10 ticks (https://docs.x.ai/developers/cost-tracking).
_XAI_TICKS = Decimal(10) ** 10


def read_usage(usage: Document, names: Names, provider: str, *, at: str = "usage") -> Counted:
    """The disjoint buckets of an answer that has input and output.

    :param at: where the object stood in the answer, for the line items.
    :raises InvalidUsage: a number is missing, impossible or contradicts another.
    """
    whole = count(usage, names.input)
    output = count(usage, names.output)
    total = count(usage, "total_tokens")
    if whole is None:
        raise InvalidUsage(f"{names.input} is missing")
    if output is None and total is not None:
        # Old completions leave out an output of nothing.
        output = remainder("total_tokens", total, [whole])
    if output is None:
        raise InvalidUsage(f"{names.output} is missing")
    counted = Counted(tokens={"total_tokens": total})
    _read_input(counted, usage, names, whole, at)
    _read_output(counted, usage, names, _all_output(usage, names, provider, whole, output, total), at)
    if provider == "mistral":
        heard = minutes(usage, "prompt_audio_seconds")
        counted.charge("transcription_minute", heard, f"{at}.prompt_audio_seconds")
    elif provider == "perplexity":
        _read_searches(counted, usage, at)
    return counted


def read_input_only(usage: Document, names: Names, *, at: str = "usage") -> Counted:
    """The buckets of an answer that tells of its input only, such as embeddings.

    :raises InvalidUsage: a number is missing, impossible or contradicts another.
    """
    counted = Counted(tokens={"total_tokens": count(usage, "total_tokens")})
    # Voyage tells a total only.
    key = names.input if usage.get(names.input) is not None else "total_tokens"
    whole = count(usage, key)
    if whole is None:
        raise InvalidUsage(f"{names.input} is missing")
    _read_input(counted, usage, names, whole, at)
    counted.fields["input"] = f"{at}.{key}"
    return counted


def read_image_usage(usage: Document, provider: str, *, at: str = "usage") -> Counted:
    """The buckets of drawn images. Older answers do not split their output: all of it is images.

    :raises InvalidUsage: a number is missing, impossible or contradicts another.
    """
    counted = read_usage(usage, RESPONSES, provider, at=at)
    if not usage.get(RESPONSES.output_details):
        counted.put("image_output", counted.tokens.pop("output_tokens"), counted.fields.pop("output"))
    return counted


def read_cost(usage: Document, provider: str) -> Decimal | None:
    """What the provider itself charged, in USD, where its number is authoritative.

    OpenRouter: ``cost``. With the app's own upstream key (``is_byok``) that is only OpenRouter's fee, and
    the upstream's bill comes on top; if that is not told, neither is the charge. Perplexity:
    ``cost.total_cost``. xAI: ``cost_in_usd_ticks``.

    :raises InvalidUsage: an amount is impossible.
    """
    if provider == "openrouter":
        cost = money(usage, "cost")
        if cost is None or not usage.get("is_byok"):
            return cost
        upstream = money(usage, "cost_details", "upstream_inference_cost")
        return None if upstream is None else cost + upstream
    if provider == "perplexity":
        return money(usage, "cost", "total_cost")
    if provider == "xai":
        ticks = count(usage, "cost_in_usd_ticks")
        return None if ticks is None else ticks / _XAI_TICKS
    return None


def _read_input(counted: Counted, usage: Document, names: Names, whole: int, at: str) -> None:
    details = names.input_details
    cached_path, cached = _first(
        usage,
        [
            (details, "cached_tokens"),
            ("prompt_cache_hit_tokens",),  # DeepSeek
            ("num_cached_tokens",),  # Mistral
            ("cached_tokens",),  # Hugging Face's router, Moonshot
        ],
    )
    written = count(usage, details, "cache_write_tokens")
    long_lived = count(usage, details, "cache_write_tokens_details", "ttl_12h_tokens")
    plain = remainder(names.input, whole, [cached, written])
    media = _read_media(counted, usage, details, whole, plain, at)
    counted.put("input", plain - media, f"{at}.{names.input}")
    counted.put("cache_read_input", cached, f"{at}.{cached_path}")
    if written is not None and long_lived:
        short = remainder(f"{details}.cache_write_tokens", written, [long_lived])
        path = f"{at}.{details}.cache_write_tokens_details"
        counted.put("cache_write_input", short, f"{path}.ttl_30m_tokens")
        counted.put("cache_write_extended_input", long_lived, f"{path}.ttl_12h_tokens")
    else:
        counted.put("cache_write_input", written, f"{at}.{details}.cache_write_tokens")


def _read_media(counted: Counted, usage: Document, details: str, whole: int, plain: int, at: str) -> int:
    """Take audio and images out of the input; returns how many of the uncached tokens they are."""
    told = {kind: count(usage, details, f"{kind}_tokens") for kind in ("image", "audio")}
    remainder(f"{details} audio and image tokens", whole, told.values())
    split = {kind: count(usage, details, "cached_tokens_details", f"{kind}_tokens") for kind in told}
    has_split = any(tokens is not None for tokens in split.values())
    for kind, cached in split.items():
        path = f"{details}.cached_tokens_details.{kind}_tokens"
        counted.put(f"cache_read_{kind}_input", cached, f"{at}.{path}")
    fresh = {
        kind: remainder(f"{details}.{kind}_tokens", tokens or 0, [split[kind]])
        for kind, tokens in told.items()
    }
    overlap = max(0, sum(fresh.values()) - plain)
    if overlap and has_split:
        raise InvalidUsage(f"{details} exceed the input they are part of")
    for kind, tokens in told.items():
        # Where cached and media tokens exceed the input together, some media came from the cache although
        # nothing says how many: at least these, and images first, which most models bill like text.
        taken = min(overlap, fresh[kind])
        overlap -= taken
        fresh[kind] -= taken
        counted.put(f"{kind}_input", None if tokens is None else fresh[kind], f"{at}.{details}.{kind}_tokens")
    return sum(fresh.values())


def _all_output(
    usage: Document, names: Names, provider: str, whole: int, output: int, total: int | None
) -> int:
    """The output with its reasoning, which xAI's chat leaves out of it. The total tells, if there is one."""
    reasoning = count(usage, names.output_details, "reasoning_tokens") or 0
    if total == whole + output:
        return output
    if total == whole + output + reasoning:
        return output + reasoning
    return output + reasoning if provider == "xai" and names is CHAT else output


def _read_output(counted: Counted, usage: Document, names: Names, output: int, at: str) -> None:
    details = names.output_details
    audio = count(usage, details, "audio_tokens")
    image = count(usage, details, "image_tokens")
    reasoning = count(usage, details, "reasoning_tokens")
    text = remainder(names.output, output, [audio, image])
    if reasoning is not None:
        remainder(names.output, text, [reasoning])
        counted.tokens["reasoning_tokens"] = reasoning
    counted.put("output", text, f"{at}.{names.output}")
    counted.put("audio_output", audio, f"{at}.{details}.audio_tokens")
    counted.put("image_output", image, f"{at}.{details}.image_tokens")


def _read_searches(counted: Counted, usage: Document, at: str) -> None:
    """Perplexity's fees. Deep research is billed by the search, with what it cites and thinks; every other
    answer by the request, at a rate for how much of the web it takes in.
    """
    cited = count(usage, "citation_tokens")
    if cited is None:
        counted.charge("request", 1, at)
        return
    counted.charge("citation_token", cited, f"{at}.citation_tokens")
    counted.charge("research_token", count(usage, "reasoning_tokens"), f"{at}.reasoning_tokens")
    counted.charge("web_search_request", count(usage, "num_search_queries"), f"{at}.num_search_queries")


def _first(usage: Document, paths: list[tuple[str, ...]]) -> tuple[str, int | None]:
    for path in paths:
        tokens = count(usage, *path)
        if tokens is not None:
            return ".".join(path), tokens
    return "", None
