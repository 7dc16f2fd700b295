"""Getting a published price list over HTTPS, only where it is newer than the one at hand."""

from __future__ import annotations

import http.client
from dataclasses import dataclass

from ...download import REDIRECTS
from ...download import SIZE_LIMIT as SIZE_LIMIT
from ...download import TOTAL_TIMEOUT
from ...download import DownloadError
from ...download import download
from .errors import RefreshError


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a server answered. ``content`` is ``None`` where it is the same as before.

    :param url: where the answer came from, after redirects.
    """

    url: str
    content: bytes | None
    etag: str | None


def fetch(url: str, etag: str | None = None, *, timeout: float = TOTAL_TIMEOUT) -> Fetched:
    """The content behind an ``https:`` URL.

    :param etag: of the content that is at hand; a server that has nothing newer says so.
    :raises RefreshError: not HTTPS, too slow, too large, cut off, or not answered with success.
    """
    try:
        answer = download(url, {"If-None-Match": etag} if etag else {}, timeout=timeout, follow=True)
    except DownloadError as error:
        raise RefreshError(str(error)) from error
    if answer.status == http.client.NOT_MODIFIED:
        return Fetched(url, None, etag)
    if answer.status in REDIRECTS:
        raise RefreshError(f"{url} redirects too often, or to what is no https:// address.")
    if not 200 <= answer.status < 300:
        raise RefreshError(f"{url} answered {answer.status}.")
    return Fetched(answer.url, answer.content, answer.headers.get("ETag"))
