"""Wire formats stop here: a route table and, per protocol, ``bytes -> Observation``. Values only.

No Flask, no SQL, no SDK and no price is known here, and nothing here raises on what a provider sent: an
answer that cannot be read has ``usage=None`` and says why in ``problems``.
"""

from __future__ import annotations

from .hosts import is_nobodys
from .hosts import provider_of_host
from .modes import normalise_mode
from .reading import StreamReader
from .reading import read_body
from .routes import UNKNOWN_PROVIDER
from .routes import Billing
from .routes import Protocol
from .routes import RequestFacts
from .routes import Route
from .routes import find_route
from .routes import read_request

__all__ = [
    "UNKNOWN_PROVIDER",
    "Billing",
    "Protocol",
    "RequestFacts",
    "Route",
    "StreamReader",
    "find_route",
    "is_nobodys",
    "normalise_mode",
    "provider_of_host",
    "read_body",
    "read_request",
]
