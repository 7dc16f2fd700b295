"""One answered call as capture saw it: everything its event is made of, and nothing of it judged yet."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from ..events import Observation
from ..events import OpenCall
from .reading import Answer
from .requested import RequestFacts
from .requested import completed
from .routes import Route


class Sighting(NamedTuple):
    """A call, what it asked for, its answer, and how that arrived.

    :param answer: an observation where there was nothing to read, as of a request that failed.
    """

    call: OpenCall
    route: Route
    asked: RequestFacts
    answer: Answer | Observation
    http_status: int | None = None
    provider_account: str | None = None
    attempts: int = 1
    latency_ms: int | None = None
    time_to_first_token_ms: int | None = None

    @property
    def can_wait(self) -> bool:
        """Whether its event can be made later, of what :meth:`Answer.kept` tells. Of what is billed by the
        piece, or told by several answers, it cannot.
        """
        if self.route.billing != "usage" or self.asked.charges or self.asked.variant:
            return False
        return isinstance(self.answer, Answer)

    def is_call(self, found: Observation) -> bool:
        """Whether what came of the request is a call, or a further one than its results."""
        if self.route.billing == "unknown":
            return found.usage is not None or bool(found.problems)
        if self.route.billing == "later":
            # What did not go on in the background was billed when it was asked for.
            return found.charge_id is not None and found.is_settled
        return self.route.billing != "results"

    def observation(self) -> Observation:
        """Judge what was seen. Never raises."""
        answer = self.answer
        found = answer.observation() if isinstance(answer, Answer) else answer
        told = replace(
            found,
            http_status=found.http_status or self.http_status,
            provider_account=found.provider_account or self.provider_account,
            attempts=self.attempts,
            latency_ms=self.latency_ms,
            time_to_first_token_ms=self.time_to_first_token_ms,
            # What began here began when this says so, to the millisecond.
            occurred_at=found.occurred_at if self.route.billing == "later" else None,
        )
        return completed(told, self.route, self.asked)
