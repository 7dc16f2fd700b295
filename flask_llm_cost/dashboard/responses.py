"""How the dashboard answers: rendered pages, canonical redirects and static files, with their headers.

The headers go on what is made here and nowhere else: a login page of the host that ``authorize`` hands over,
or the host's own error page, keeps its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from functools import cache
from functools import lru_cache
from importlib.resources import files
from urllib.parse import quote_plus

from flask import current_app
from flask import redirect
from flask import render_template
from flask import request
from flask import url_for
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response

from ..runtime import Runtime

_CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none';"
    " frame-ancestors 'none'"
)
_YEAR_SECONDS = 31_536_000

#: The pages of the header, by endpoint: what was spent, and then whether the numbers can be trusted.
PAGES = (
    ("overview", "Overview"),
    ("insight", "Insight"),
    ("models", "Models"),
    ("tags", "Tags"),
    ("users", "Users"),
    ("endpoints", "Endpoints"),
    ("calls", "Calls"),
    ("budgets", "Budgets"),
    ("pricing", "Prices"),
)
CHECKS = (("quality", "Quality"), ("health", "Health"), ("reconciliation", "Bill"))

STYLESHEET = "llm_cost.css"
ICON = "icon.svg"


class CallNotFound(NotFound):
    """There is no such call, or it was pruned."""


def runtime() -> Runtime:
    """The tracker's state of the app that answers this request."""
    found: Runtime = current_app.extensions["llm_cost"]
    return found


def page(template: str, context: Mapping[str, object], status: int = 200) -> Response:
    """Render one of our templates; the host may have replaced ``llm_cost/base.html``."""
    html = render_template(
        f"llm_cost/{template}",
        service=runtime().config.service or current_app.name,
        stylesheet_url=_asset_url(STYLESHEET),
        icon_url=_asset_url(ICON),
        overview_url=url_for(".overview"),
        calls_url=url_for(".calls"),
        pricing_url=url_for(".pricing"),
        quality_url=url_for(".quality"),
        navigation=tuple((name, words, url_for(f".{name}")) for name, words in PAGES),
        checks=tuple((name, words, url_for(f".{name}")) for name, words in CHECKS),
        **context,
    )
    return protected(current_app.response_class(html, status, mimetype="text/html"))


def link(endpoint: str, arguments: Mapping[str, str], **path_values: int | str) -> str:
    """The address of a page with query parameters, under any mount prefix.

    The query is encoded here because a parameter may be called like one of ``url_for``'s own.

    :param path_values: what the page's own path names: ``call_id``, or a tag's ``key``.
    """
    query = "&".join(f"{_quoted(name)}={_quoted(value)}" for name, value in arguments.items())
    path = url_for(endpoint, **path_values) if path_values else _path(endpoint)  # type: ignore[arg-type]
    return f"{path}?{query}" if query else path


#: A page has five hundred links, of a few dozen values.
_quoted = lru_cache(maxsize=1024)(quote_plus)


def _path(endpoint: str) -> str:
    """The path of a page, made once in a request: its prefix stays the same."""
    paths: dict[str, str] = request.environ.setdefault("flask_llm_cost.paths", {})
    if endpoint not in paths:
        paths[endpoint] = url_for(endpoint)
    return paths[endpoint]


@dataclass(frozen=True, slots=True)
class Place:
    """A page of ours: its endpoint, and what its path names."""

    endpoint: str
    path_values: Mapping[str, int | str] = field(default_factory=dict)

    def link(self, arguments: Mapping[str, str]) -> str:
        """The page's address with query parameters."""
        return link(self.endpoint, arguments, **self.path_values)


def send_to(address: str) -> Response:
    """Redirect a form's query to the address that other people should see and keep."""
    return protected(redirect(address, 302))


def protected(response: Response, *, stored: bool = False) -> Response:
    """Set our headers where the host has set none; only static files may be stored by caches."""
    response.headers.setdefault("Content-Security-Policy", _CONTENT_SECURITY_POLICY)
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "same-origin")
    if not stored:
        response.headers["Cache-Control"] = "no-store"
    return response


def max_age(filename: str | None) -> int | None:
    """One year for an address that carries the file's fingerprint, else ask again each time."""
    fingerprinted = filename in (STYLESHEET, ICON) and request.args.get("v") == _fingerprint(filename)
    return _YEAR_SECONDS if fingerprinted else None


def _asset_url(filename: str) -> str:
    return url_for(".static", filename=filename, v=_fingerprint(filename))


@cache
def _fingerprint(filename: str) -> str:
    content = files(__package__).joinpath("static", filename).read_bytes()
    return hashlib.sha256(content).hexdigest()[:12]
