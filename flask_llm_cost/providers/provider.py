"""What a provider is here: its hosts, its endpoints, and who reads its answers.

The providers of this package and those of other packages (:mod:`~flask_llm_cost.providers.plugins`) are
described alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from typing import Literal

from ..events import Operation
from .answer_reader import AnswerReader

Billing = Literal["usage", "no_usage", "free", "unknown", "later", "results"]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What a request to one path is.

    :param billing: ``usage``: billed, and the answer says how much; ``no_usage``: billed, but the answer
        does not say; ``free``: not recorded; ``unknown``: recorded if the answer has a ``usage`` object;
        ``later``: asks for work that another request began, and is recorded if that went on in the background
        and is over; ``results``: asks for the results of a batch, each of which is a call.
    :param protocol: the wire format of the answer, a key of ``Provider.readers`` or one that is read here
        already, such as ``openai_chat``; ``None``: whatever ``usage`` object the answer has.
    :param stream: whether the path itself asks for a stream; most formats ask in the body.
    """

    operation: Operation
    billing: Billing
    protocol: str | None = None
    stream: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One provider.

    :param name: as in price keys and in the ledger's ``provider``.
    :param hosts: host names; sub-domains count too.
    :param endpoints: POST requests by the end of their path. ``*`` is any one segment, ``{model}`` one that
        names the model; the longest match wins. Paths that are not listed are looked up among those that all
        providers share, such as ``chat/completions``.
    :param readers: who reads the answers, by the protocol that the endpoints name.
    """

    name: str
    hosts: tuple[str, ...] = ()
    endpoints: Mapping[str, Endpoint] = field(default_factory=dict)
    readers: Mapping[str, type[AnswerReader]] = field(default_factory=dict)
