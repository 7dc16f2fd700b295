"""Where calls are seen: taps of the SDKs' base clients, the tee on their responses, and calls told by hand.

The only room that touches SDKs. Nothing here imports one, or an HTTP package, unless the host names it.
"""

from __future__ import annotations

from .collector import StreamCollector
from .collector import track_stream
from .install import SdkStatus
from .install import install
from .install import status
from .install import uninstall
from .manual import track
from .tee import abandon_open_calls

__all__ = [
    "SdkStatus",
    "StreamCollector",
    "abandon_open_calls",
    "install",
    "status",
    "track",
    "track_stream",
    "uninstall",
]
