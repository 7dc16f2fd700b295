"""Answers about what is billed by the piece: videos by the second, and containers by the session.

A container is billed once, whether its creation is answered or a response says that code ran in it.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from ..events import Iteration
from ..events import Observation
from ..events import Operation
from ..usage import Usage
from .answer_reader import AnswerReader
from .answer_reader import Reading
from .counted import Counted
from .fields import EMPTY
from .fields import Document
from .fields import error_class
from .fields import is_error
from .fields import name
from .fields import seconds
from .modes import join_modes
from .modes import variant

#: What a container's session is priced as, whichever model let the code run: ``openai/container``.
CONTAINER_MODEL = "container"
#: Containers remembered in one process. They end after twenty minutes.
CONTAINERS_KEPT = 10_000


class VideoReader(AnswerReader):
    """A video that is being made. Its length and size are what was asked for, or the provider's defaults."""

    def __init__(self, provider: str, operation: Operation) -> None:
        super().__init__(provider, operation)
        self._video: Document = EMPTY

    def whole(self, document: Document) -> None:
        self.name_answer(document)
        self._video = {"seconds": document.get("seconds")}
        if is_error(document.get("error")) or document.get("status") == "failed":
            self.fail(error_class(document.get("error")))
        size = variant(document.get("size"))
        if size is not None:
            self.pricing_mode, self.mode_told = join_modes(size), True

    def reading(self) -> Reading:
        if self.failed or self._video.get("seconds") is None:
            return Reading()
        usage, fields = self.usage_of(self._count)
        return Reading(usage=usage, fields=fields)

    def _count(self) -> Counted:
        counted = Counted()
        counted.charge("video_second", seconds(self._video, "seconds"), "seconds")
        return counted


class ContainerReader(AnswerReader):
    """A container that was created. A larger memory costs more."""

    def whole(self, document: Document) -> None:
        self.response_id = name(document.get("id"))
        self.model = CONTAINER_MODEL
        memory = variant(document.get("memory_limit"))
        if memory is not None:
            self.pricing_mode, self.mode_told = memory, True

    def reading(self) -> Reading:
        if self.response_id is None:
            return Reading()
        usage = Usage(charges={"container_session": Decimal(1)})
        return Reading(usage=usage, fields={"container_session": "id"}, containers=(self.response_id,))


def sessions(containers: int) -> Iteration:
    """The sessions of that many containers, to be billed on top of a response."""
    return Iteration(model=CONTAINER_MODEL, usage=Usage(charges={"container_session": Decimal(containers)}))


def without_billed(found: Observation, billed: dict[str, object]) -> Observation:
    """``found`` without the sessions of containers that ``billed`` holds already; it holds them all then.

    ``billed`` belongs to one process. No lock is taken: a finalizer may call this.
    """
    if not found.containers:
        return found
    mark = object()
    fresh = sum(billed.setdefault(container, mark) is mark for container in found.containers)
    while len(billed) > CONTAINERS_KEPT:
        billed.pop(next(iter(tuple(billed))), None)
    if fresh == len(found.containers):
        return found
    others = [item for item in found.iterations if item.model != CONTAINER_MODEL]
    charged = found.usage is not None and "container_session" in found.usage.charges
    return replace(
        found,
        usage=Usage(charges={"container_session": Decimal(fresh)}) if charged else found.usage,
        iterations=(*others, *([sessions(fresh)] if fresh and not charged else [])),
    )
