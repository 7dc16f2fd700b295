"""Which engine a host's ``db.session`` uses for our models, when the ledger has a bind key of its own."""

from __future__ import annotations

from typing import Any

from ..context import current_flask_app

_KEY = "bind_key"


class BindOfCurrentApp(dict[str, Any]):
    """``MetaData.info`` of our models, answering with ``LLM_COST_BIND_KEY`` of the app that asks.

    Flask-SQLAlchemy's session looks for ``"bind_key"`` in the ``info`` of a mapped table's metadata. Our
    models are the same for all apps of a process while each app has its own key, so a stored value would be
    right for one of them only. The ledger's own sessions always use its own engine and never ask.
    """

    def __contains__(self, key: object) -> bool:
        return _current() is not None if key == _KEY else super().__contains__(key)

    def __getitem__(self, key: str) -> Any:
        if key == _KEY and (current := _current()) is not None:
            return current
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        try:
            return self[key]
        except KeyError:
            return default


def _current() -> str | None:
    app = current_flask_app()
    key = None if app is None else app.config.get("LLM_COST_BIND_KEY")
    return key.strip() if isinstance(key, str) else None
