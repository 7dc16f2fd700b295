"""What every protocol's reader has in common: it is shown an answer, whole or in events, and keeps little."""

from __future__ import annotations

from abc import ABC
from abc import abstractmethod
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from datetime import datetime
from decimal import Decimal
from typing import Any
from typing import ClassVar
from typing import TypeVar

from ..events import Iteration
from ..events import Observation
from ..events import Operation
from ..events import Status
from ..events import UsageSource
from ..usage import Usage
from .counted import Counted
from .fields import EMPTY
from .fields import Document
from .fields import InvalidUsage
from .fields import mapping
from .fields import moment
from .fields import name
from .modes import normalise_mode

T = TypeVar("T")

#: A stream may be odd in every event; the log needs to hear it a few times only.
_PROBLEM_LIMIT = 8
#: What of every reader its observation is made of, where the charge is told by this answer alone.
_KEPT = frozenset(
    {
        "asked_model",
        "model",
        "response_id",
        "pricing_mode",
        "mode_told",
        "status",
        "error_type",
        "finished",
        "answered",
        "problems",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What the kept numbers mean."""

    usage: Usage | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    iterations: tuple[Iteration, ...] = ()
    provider_cost: Decimal | None = None
    containers: tuple[str, ...] = ()


class AnswerReader(ABC):
    """Keeps of one answer only what its cost depends on: ids, model, tier, the last usage.

    A whole body goes through :meth:`whole`, a stream's events through :meth:`event`, in order. Neither
    raises; numbers are judged once, by :meth:`observation`. Every event may be shown twice.

    A reader for another format overrides :meth:`whole` and :meth:`reading`, and :meth:`event` where events
    are something else than whole answers.
    """

    #: A stream always says so when it is over; without it the server, or a proxy, broke off.
    must_say_so: ClassVar[bool] = False
    #: A body may be a list of events, or have one on each line.
    is_chunked: ClassVar[bool] = False
    #: The attributes of its own that :meth:`reading` needs, where they are JSON: an answer of the format can
    #: be kept as :meth:`kept` and judged later, by another process if need be. ``None``: it is judged now.
    keeps: ClassVar[tuple[str, ...] | None] = None

    #: The model that the URL names, where the answer does not.
    asked_model: str | None = None
    model: str | None = None
    response_id: str | None = None
    pricing_mode: str | None = None
    mode_told = False
    status: Status = "ok"
    error_type: str | None = None
    #: Of work that goes on when the request is answered: what it is called, and whether it is done.
    charge_id: str | None = None
    is_settled = True
    began: datetime | None = None
    #: The terminal event was seen.
    finished = False
    #: The answer is whole: at most a correction of its usage may follow.
    answered = False
    #: The first piece of output was seen.
    saw_output = False
    problems: tuple[str, ...] | list[str] = ()

    def __init__(self, provider: str, operation: Operation) -> None:
        self.provider = provider
        self.operation = operation

    @abstractmethod
    def whole(self, document: Document) -> None:
        """Take in a complete response body."""

    def event(self, event_name: str, document: Document) -> None:
        """Take in one event of a stream."""
        self.whole(document)

    def headers(self, headers: Mapping[str, str]) -> None:  # noqa: B027  most formats tell nothing there
        """Take in the response's headers, before its body. Nothing of them is kept that is no count."""

    def can_skip(self, raw: bytes) -> bool:
        """Whether ``raw``, one event's data or several events' bytes, holds nothing to keep.

        It looks for words in the bytes, which costs a tenth of parsing them. A JSON key stands there as
        ``"key"``, whatever the order; in a text the quotes would be escaped.
        """
        return False

    @abstractmethod
    def reading(self) -> Reading:
        """Judge the kept numbers; what is wrong with them goes to :meth:`note`."""

    @property
    def failed(self) -> bool:
        """Whether the answer says that it failed."""
        return self.status == "error"

    def note(self, problem: str) -> None:
        """Remember what was wrong with the answer, in words of ours."""
        if problem not in self.problems and len(self.problems) < _PROBLEM_LIMIT:
            self.problems = [*self.problems, problem]

    def judged(self, read: Callable[[], T]) -> T | None:
        """What ``read`` makes of the numbers; ``None``, and a note, where they cannot be true."""
        try:
            return read()
        except InvalidUsage as error:
            self.note(f"usage: {error}")
            return None

    def usage_of(self, read: Callable[[], Counted]) -> tuple[Usage | None, Mapping[str, str]]:
        """The usage that ``read`` counts, and where each component was told."""
        counted = self.judged(read)
        usage = None if counted is None else self.judged(counted.usage)
        return (None, {}) if counted is None or usage is None else (usage, counted.fields)

    def take_tier(self, tier: object) -> None:
        """The tier that served the answer. ``auto`` is what was asked for, not what was served."""
        if tier and isinstance(tier, str) and tier != "auto":
            self.pricing_mode, self.mode_told = normalise_mode(tier), True

    def fail(self, error_type: str) -> None:
        """The answer is an error of this class."""
        self.status = "error"
        self.error_type = error_type

    def take_background(self, document: Document, *, under_way: Collection[str]) -> None:
        """Take in the state of work that goes on in the background, ``under_way`` in some of its states."""
        self.charge_id = self.charge_id or name(document.get("id"))
        self.is_settled = document.get("status") not in under_way
        self.began = moment(document.get("created_at")) or self.began

    def name_answer(self, document: Document) -> None:
        """Take id and model from ``document``. Azure's first chunk has both empty: they stay unknown then."""
        self.response_id = self.response_id or name(document.get("id"))
        self.model = name(document.get("model")) or self.model

    def kept(self) -> dict[str, Any] | None:
        """What :meth:`observation` needs, if it is JSON; ``None`` where it has to be asked now."""
        if self.keeps is None or self.charge_id is not None:
            return None
        told = vars(self)  # what differs from the class
        kept = {attribute: told[attribute] for attribute in told.keys() & _KEPT}
        for own in self.keeps:
            if value := getattr(self, own):
                kept[own] = value
        return kept

    def recall(self, kept: Mapping[str, Any]) -> None:
        """Be again the reader that :meth:`kept` was asked of.

        :raises KeyError: a later version has kept more than is known here.
        """
        for attribute, value in kept.items():
            if attribute not in _KEPT and attribute not in (self.keeps or ()):
                raise KeyError(attribute)
            setattr(self, attribute, value)

    def observation(self, source: UsageSource) -> Observation:
        """Everything that is known by now."""
        reading = self.reading()
        billed = reading.usage is not None or reading.iterations or reading.provider_cost is not None
        return Observation(
            status=self.status,
            model=self.model,
            provider_response_id=self.response_id,
            usage=reading.usage,
            iterations=reading.iterations,
            usage_source=source if billed else "unknown",
            pricing_mode=self.pricing_mode,
            mode_told=self.mode_told,
            provider_cost=reading.provider_cost,
            containers=reading.containers,
            provider_fields=reading.fields,
            error_type=self.error_type,
            problems=tuple(self.problems),
            charge_id=self.charge_id,
            is_settled=self.is_settled,
            occurred_at=self.began,
        )


class UsageReader(AnswerReader):
    """A whole answer with one object that tells its usage, at :attr:`place`; heirs count it."""

    place = "usage"

    def __init__(self, provider: str, operation: Operation) -> None:
        super().__init__(provider, operation)
        self.usage: Document = EMPTY

    def whole(self, document: Document) -> None:
        self.name_answer(document)
        self.usage = mapping(document.get(self.place))

    def reading(self) -> Reading:
        if not self.usage:
            return Reading()
        usage, fields = self.usage_of(self._count)
        return Reading(usage=usage, fields=fields)

    @abstractmethod
    def _count(self) -> Counted:
        """
        :raises InvalidUsage: the numbers cannot be true.
        """


def names_only_null(raw: bytes, key: bytes) -> bool:
    """Whether every ``key`` (with its quotes) in ``raw`` has the value null."""
    return raw.count(key) == raw.count(key + b":null") + raw.count(key + b": null")


def tells_of_error(raw: bytes) -> bool:
    """Whether ``raw`` holds an event of the name ``error``, or an ``error`` that is not null."""
    return b"event: error" in raw or b"event:error" in raw or not names_only_null(raw, b'"error"')
