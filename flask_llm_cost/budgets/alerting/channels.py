"""The channels that an app's configuration asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote
from urllib.parse import urlsplit

from ...config import Config
from .channel import Channel

if TYPE_CHECKING:
    from .mail import Server

_PORTS = {"smtp": 587, "smtps": 465}


def channels_of(config: Config) -> list[Channel]:
    """One for each way of telling people that is configured; the log is none of them."""
    found: list[Channel] = []
    if config.alert_webhook_url is not None:
        from .webhook import Webhook  # an app without alerts loads no client of either protocol

        found.append(Webhook(config.alert_webhook_url))
    if config.alert_email_to and config.alert_email_from and config.alert_smtp_url:
        from .mail import Mail

        found.append(Mail(_server(config.alert_smtp_url), config.alert_email_from, config.alert_email_to))
    return found


def _server(url: str) -> Server:
    from .mail import Server

    parts = urlsplit(url)
    return Server(
        host=parts.hostname or "",
        port=parts.port or _PORTS[parts.scheme],
        is_tls=parts.scheme == "smtps",
        user=None if parts.username is None else unquote(parts.username),
        password=None if parts.password is None else unquote(parts.password),
    )
