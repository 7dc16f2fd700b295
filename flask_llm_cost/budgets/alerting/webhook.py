"""Alerts as JSON to a URL: Slack's incoming webhooks, what speaks their format, and services of one's own."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from typing import Any

from .channel import TIMEOUT
from .channel import NotDelivered
from .message import Message


class Webhook:
    """Posts each alert to one URL, which is a secret: it never stands in a message or a log line."""

    name = "webhook"

    def __init__(self, url: str) -> None:
        self._url = url

    def send(self, message: Message) -> None:
        request = urllib.request.Request(  # noqa: S310 - the configuration takes http and https only
            self._url,
            data=json.dumps(message.payload).encode(),
            headers={
                "Content-Type": "application/json",
                "User-Agent": "flask-llm-cost",
                "Idempotency-Key": message.key,
            },
            method="POST",
        )
        try:
            urllib.request.build_opener(_NoRedirects()).open(request, timeout=TIMEOUT).close()
        except urllib.error.HTTPError as error:
            with error:
                raise NotDelivered(f"HTTP {error.code}", is_final=error.code in (400, 404, 410)) from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            raise NotDelivered(type(reason).__name__) from None


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirected POST would arrive as a GET without its content, and be taken for a success."""

    def redirect_request(self, *_: Any) -> None:
        return None
