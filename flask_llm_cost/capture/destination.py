"""Where requests of one kind go, and what of a request says what it asks for: the same ones come again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..events import CallStart
from ..providers import MODE_FIELDS
from ..providers import RequestFacts
from ..providers import Route
from ..providers import read_request
from ..providers import says_more_than_modes

#: So many different requests are remembered: models may be named by users.
_KEPT = 256

Request = tuple[RequestFacts, CallStart]


class Destination:
    """A route, and the requests to it that were read already."""

    __slots__ = ("_known", "_reads_all", "route")

    def __init__(self, route: Route) -> None:
        self.route = route
        self._reads_all = says_more_than_modes(route)
        self._known: dict[tuple[object, ...], Request] = {}

    def read(self, body: Mapping[str, Any] | None) -> Request:
        """What a request with this JSON or these form fields asks for."""
        if self._reads_all or not body:
            return _read(self.route, body)
        told = (*map(body.get, MODE_FIELDS), body.get("stream") is True)
        try:
            known = self._known.get(told)
        except TypeError:  # lists and objects in place of words
            return _read(self.route, body)
        if known is None:
            if len(self._known) >= _KEPT:
                self._known.clear()
            known = self._known[told] = _read(self.route, body)
        return known


def _read(route: Route, body: Mapping[str, Any] | None) -> Request:
    facts = read_request(route, body)
    start = CallStart(
        provider=route.provider,
        operation=route.operation,
        requested_model=facts.model,
        requested_mode=facts.pricing_mode,
        stream=facts.stream,
        regional=route.regional,
    )
    return facts, start
