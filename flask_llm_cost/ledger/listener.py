"""What others keep of the calls, in the very transaction that stores them."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import Protocol

from sqlalchemy import Connection


class CallListener(Protocol):
    """Hears of calls that are inserted or deleted, each of them once, and may store what comes of it.

    A transaction that fails is tried again: what was heard in it counts for nothing.
    """

    def inserted(self, connection: Connection, calls: Sequence[Mapping[str, Any]]) -> None:
        """These rows of ``llm_cost_calls`` are new; the transaction is about to be committed."""

    def deleted(self, connection: Connection, calls: Sequence[Mapping[str, Any]]) -> None:
        """These rows are taken out of the sums; likewise."""

    def committed(self) -> None:
        """The last transaction of this thread that inserted calls is committed."""
