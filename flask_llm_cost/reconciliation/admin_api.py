"""Asking a provider's admin API, page by page and with patience.

Keys come from the environment, go into one header, and are in no message. What a provider answers to a
request that it refuses is not told either: it can quote the request.
"""

from __future__ import annotations

import http.client
import os
import time
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from datetime import UTC
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlencode
from urllib.parse import urlsplit

from ..download import Answer
from ..download import DownloadError
from ..download import check_url
from ..download import download
from ..errors import ConfigurationError
from .document import parsed
from .errors import PageTokenRefused
from .errors import ReconciliationError

#: How often one page is asked for, and the seconds before the second time; doubled for each further one.
ATTEMPTS = 6
FIRST_PAUSE = 1.0
#: A provider that asks for a longer pause is left for later: what is imported stays.
LONGEST_PAUSE = 120.0
#: Seconds that one page may take.
TIMEOUT = 60.0
#: Answers after which another attempt can succeed; 529 is Anthropic's for "overloaded".
_PASSING = frozenset({408, 429, 500, 502, 503, 504, 529})

Parameters = Sequence[tuple[str, str | int]]


def admin_key(variable: str) -> str:
    """The admin key in an environment variable.

    :raises ConfigurationError: there is none, or what is there can be no key.
    """
    key = os.environ.get(variable, "").strip()
    if not key:
        raise ConfigurationError(
            f"{variable} is not set. Put an admin key of the organisation there, for this command only; "
            "an ordinary API key is refused."
        )
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ConfigurationError(f"{variable} holds no key: there is a blank or another odd character in it.")
    return key


@dataclass(frozen=True, slots=True)
class AdminApi:
    """An admin API at an address.

    :param headers: of every request, the key among them.
    :param key_variable: the environment variable its key comes from; named where the key is refused.
    :param pause: waits for so many seconds.
    """

    address: str
    headers: Mapping[str, str] = field(repr=False)
    key_variable: str
    pause: Callable[[float], object] = time.sleep
    timeout: float = TIMEOUT

    def page(self, path: str, parameters: Parameters, *, token: str | None = None) -> Mapping[str, Any]:
        """One page of an answer.

        :param token: the provider's name of the page; the first one without.
        :raises PageTokenRefused: the provider does not take the token.
        :raises ReconciliationError: no answer, or one that is no success, after some attempts.
        """
        where = self.place(path)
        query = [*parameters, *([("page", token)] if token else [])]
        url = f"{self.address.rstrip('/')}{path}?{urlencode(query)}"
        answer = self._answer(url, where)
        if answer.status in (400, 404, 410, 422) and token:
            raise PageTokenRefused(f"{where} does not know the page any more ({answer.status}).")
        if not 200 <= answer.status < 300:
            raise ReconciliationError(self._refusal(answer.status, where))
        return parsed(answer.content, where)

    def place(self, path: str) -> str:
        """The address without its query, for messages."""
        parts = urlsplit(self.address)
        return f"{parts.netloc}{parts.path.rstrip('/')}{path}"

    def _answer(self, url: str, where: str) -> Answer:
        wait = FIRST_PAUSE
        for attempt in range(1, ATTEMPTS + 1):
            problem, told = "", None
            try:
                answer = download(url, self.headers, timeout=self.timeout, plain_loopback=True)
            except DownloadError as error:
                problem = str(error).replace(url, where)
                if not error.passing:
                    raise ReconciliationError(problem) from None
            else:
                if answer.status not in _PASSING:
                    return answer
                problem = f"{where} answered {answer.status}."
                told = _retry_after(answer)
            if attempt == ATTEMPTS:
                break
            if told is not None and told > LONGEST_PAUSE:
                raise ReconciliationError(
                    f"{problem} It asks to be left alone for {told:.0f} seconds: run the command again then, "
                    "it goes on where it stopped."
                )
            self.pause(wait if told is None else told)
            wait *= 2
        raise ReconciliationError(
            f"{problem} That was attempt {ATTEMPTS}: run the command again later, it goes on where it "
            "stopped."
        )

    def _refusal(self, status: int, where: str) -> str:
        if status in (401, 403):
            return (
                f"{where} refused the key ({status}). {self.key_variable} must hold an admin key that may "
                "read usage and costs; an ordinary API key may not."
            )
        if 300 <= status < 400:
            return f"{where} redirects ({status}), which is not followed: the key would go along."
        reason = http.client.responses.get(status, "")
        return f"{where} answered {status}{f' ({reason})' if reason else ''}."


def _retry_after(answer: Answer) -> float | None:
    """The seconds that ``Retry-After`` asks for: a number of them, or a date. RFC 9110, section 10.2.3."""
    told = (answer.headers.get("Retry-After") or "").strip()
    if told.replace(".", "", 1).isdigit() and told.isascii():
        return float(told)
    try:
        moment = parsedate_to_datetime(told)
    except (ValueError, TypeError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def checked_address(address: str) -> str:
    """An address to send an admin key to. :raises ConfigurationError: it is not safe to."""
    try:
        check_url(address, plain_loopback=True)
    except DownloadError:
        raise ConfigurationError(
            f"{urlsplit(address).hostname or 'That address'} cannot be asked: an admin API has an https:// "
            "address without user and password; http:// is taken on this machine only."
        ) from None
    if urlsplit(address).query or urlsplit(address).fragment:
        raise ConfigurationError("The address of an admin API has no query and no fragment.")
    return address
