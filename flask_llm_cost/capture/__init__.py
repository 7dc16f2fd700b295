"""Where calls are seen: taps of the SDKs' base clients and of HTTP clients, the tee on their responses, and
calls told by hand.

The only room that touches SDKs. Nothing here imports one, or an HTTP package, unless the host names it.
"""

from __future__ import annotations

from . import sdk_speakeasy as speakeasy
from . import sdk_stainless as stainless
from .call import is_wanted
from .collector import StreamCollector
from .collector import track_stream
from .http_tap import Tags
from .install import SdkStatus
from .install import install
from .install import load
from .install import status
from .install import uninstall
from .integrations import Integration
from .integrations import Tap
from .manual import imagined_call
from .manual import track
from .mute import covered
from .requests_adapter import requests_adapter
from .synthetic import ID_PREFIX
from .synthetic import USAGE
from .synthetic import MadeUpCall
from .synthetic import transport_calls
from .tee import abandon_open_calls
from .transport import http_transport
from .wrap import ModelOf
from .wrap import UsageOf
from .wrap import Wrapping
from .wrap import wrap

__all__ = [
    "ID_PREFIX",
    "USAGE",
    "Integration",
    "MadeUpCall",
    "ModelOf",
    "SdkStatus",
    "StreamCollector",
    "Tags",
    "Tap",
    "UsageOf",
    "Wrapping",
    "abandon_open_calls",
    "covered",
    "http_transport",
    "install",
    "is_wanted",
    "load",
    "requests_adapter",
    "speakeasy",
    "stainless",
    "status",
    "imagined_call",
    "track",
    "track_stream",
    "transport_calls",
    "uninstall",
    "wrap",
]
