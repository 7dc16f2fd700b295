"""Who may see the dashboard: one decision, taken before every request to it.

The host's ``authorize`` decides. Without one the dashboard answers on a developer's own machine only.
"""

from __future__ import annotations

import inspect
import ipaddress
import logging
from collections.abc import Awaitable
from collections.abc import Callable
from urllib.parse import urlsplit

from flask import Request
from flask import current_app
from flask import request
from werkzeug.exceptions import Forbidden
from werkzeug.wrappers import Response

log = logging.getLogger("flask_llm_cost")

#: What ``authorize`` may be: it returns ``True`` (come in), a response (a login page), or else (403).
Authorize = Callable[[], object]


class AccessRefused(Forbidden):
    """Our own 403; one that the host's ``authorize`` raises stays the host's."""


_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


def check_access(authorize: Authorize | None) -> Response | None:
    """Let the current request pass (``None``), or answer it with the host's own response.

    An exception of ``authorize`` goes its way to the host's error handling: the dashboard stays shut.

    :raises AccessRefused: the answer was neither exactly ``True`` nor a response.
    """
    if authorize is None:
        if current_app.debug and is_local(request):
            return None
        raise _refused("no authorize function is set, and this is not a local request in debug mode")
    answer = _ask(authorize)
    if answer is True:
        return None
    if isinstance(answer, Response):
        return answer
    raise _refused(f"authorize returned {'False' if answer is False else type(answer).__name__}")


def _ask(authorize: Authorize) -> object:
    answer = current_app.ensure_sync(authorize)()
    if inspect.isawaitable(answer):  # a plain function or object that hands back a coroutine
        return current_app.async_to_sync(_awaited)(answer)
    return answer


async def _awaited(answer: Awaitable[object]) -> object:
    return await answer


def _refused(reason: str) -> AccessRefused:
    log.warning("dashboard: refused %s: %s", request.endpoint, reason)
    return AccessRefused()


def is_local(asked: Request) -> bool:
    """Whether a request comes from this machine, by its own address and name, through no proxy.

    The name is checked because a foreign page can point a name of its own at 127.0.0.1; forwarding headers,
    because behind a proxy every peer is local.
    """
    forwarded = any(
        name.lower() == "forwarded" or name.lower().startswith("x-forwarded") or name.lower() == "x-real-ip"
        for name in asked.headers.keys()  # noqa: SIM118  (iterating headers yields pairs)
    )
    return not forwarded and _is_loopback(asked.remote_addr) and _hostname(asked) in _LOCAL_NAMES


def _is_loopback(address: str | None) -> bool:
    try:
        peer = ipaddress.ip_address(address or "")
    except ValueError:
        return False
    mapped = peer.ipv4_mapped if isinstance(peer, ipaddress.IPv6Address) else None
    return (mapped or peer).is_loopback


def _hostname(asked: Request) -> str | None:
    try:
        return urlsplit(f"//{asked.host}").hostname
    except ValueError:
        return None
