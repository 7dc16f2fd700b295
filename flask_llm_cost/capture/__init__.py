"""Where calls are seen: taps of the SDKs' base clients and of HTTP clients, the tee on their responses, and
calls told by hand.

The only room that touches SDKs. Nothing here imports one, or an HTTP package, unless the host names it.
"""

from __future__ import annotations

from .collector import StreamCollector
from .collector import track_stream
from .http_tap import Tags
from .install import SdkStatus
from .install import install
from .install import status
from .install import uninstall
from .manual import track
from .requests_adapter import requests_adapter
from .tee import abandon_open_calls
from .transport import http_transport

__all__ = [
    "SdkStatus",
    "StreamCollector",
    "Tags",
    "abandon_open_calls",
    "http_transport",
    "install",
    "requests_adapter",
    "status",
    "track",
    "track_stream",
    "uninstall",
]
