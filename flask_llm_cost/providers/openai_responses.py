"""OpenAI's Responses API: ``responses``, ``responses/compact``, and their streams."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from ..events import Iteration
from ..events import Operation
from ..usage import Usage
from .answer_reader import AnswerReader
from .answer_reader import Reading
from .answer_reader import tells_of_error
from .counted import Counted
from .fields import EMPTY
from .fields import Document
from .fields import count
from .fields import error_class
from .fields import is_error
from .fields import mapping
from .fields import name
from .openai_usage import RESPONSES
from .openai_usage import read_cost
from .openai_usage import read_image_usage
from .openai_usage import read_usage
from .pieces import sessions

#: Events after which nothing comes. An incomplete response is billed like a complete one.
_TERMINAL = ("response.completed", "response.incomplete", "response.failed", "response.cancelled")
#: Statuses of a background response whose work, and usage, is still to come.
_UNDER_WAY = ("queued", "in_progress")
#: Images are drawn by a model of their own. A response that does not name it has no known price for them.
_UNNAMED_IMAGE_MODEL = "image_generation"


class ResponsesReader(AnswerReader):
    """A response object, alone or inside the events that carry it; the last one counts."""

    must_say_so = True
    keeps = ("_usage", "_tool_usage", "_image_model", "_counted")

    def __init__(self, provider: str, operation: Operation) -> None:
        super().__init__(provider, operation)
        self._usage: Document = EMPTY
        self._tool_usage: Document = EMPTY
        self._image_model = _UNNAMED_IMAGE_MODEL
        self._items = ItemCounts()

    def whole(self, document: Document) -> None:
        self.name_answer(document)
        self.take_tier(document.get("service_tier"))
        status = document.get("status")
        if document.get("background") is True:
            self.take_background(document, under_way=_UNDER_WAY)
        if is_error(document.get("error")) or status == "failed":
            self.fail(error_class(document.get("error")))
        elif status == "cancelled":
            self.status = "aborted"
        if status not in _UNDER_WAY:
            self._usage = mapping(document.get("usage"))
            self._tool_usage = mapping(document.get("tool_usage"))
            self._items = ItemCounts.of(document.get("output"))
            self._image_model = _image_model(document.get("tools"))

    def event(self, event_name: str, document: Document) -> None:
        kind = document.get("type") or event_name
        if kind == "error" or event_name == "error":
            # Both {"type": "error", "code": ...} and {"type": "error", "error": {...}} occur.
            error = document.get("error")
            self.fail(error_class(error if is_error(error) else document))
            return
        response = mapping(document.get("response"))
        if response:
            self.whole(response)
        if kind in _TERMINAL:
            self.finished = True
            if kind == "response.failed":
                self.fail(error_class(response.get("error")))

    def can_skip(self, raw: bytes) -> bool:
        if not self.saw_output and b'.delta"' in raw:
            self.saw_output = True
        return (
            b'"response"' not in raw
            and (b"error" not in raw or not tells_of_error(raw))
            and b"[DONE]" not in raw
        )

    def kept(self) -> dict[str, Any] | None:
        # Whether the session of a container is billed already has to be asked in the order of the answers.
        return None if self._items.containers else super().kept()

    @property
    def _counted(self) -> list[Any]:
        """What its items hold beside containers, as JSON."""
        return [self._items.searches, self._items.file_searches, self._items.images]

    @_counted.setter
    def _counted(self, counted: list[Any]) -> None:
        self._items = ItemCounts()
        self._items.searches, self._items.file_searches, self._items.images = counted

    def reading(self) -> Reading:
        if not self._usage:
            return Reading()
        usage, fields = self.usage_of(self._count)
        cost = self.judged(lambda: read_cost(self._usage, self.provider))
        further = self.judged(self._tools) if usage is not None else None
        if further is None:
            # Half of a bill is no bill.
            return Reading(provider_cost=cost)
        return Reading(
            usage=usage,
            fields=fields,
            iterations=further,
            provider_cost=cost,
            containers=tuple(self._items.containers),
        )

    def _tools(self) -> tuple[Iteration, ...]:
        """What is billed at another model than the one that answered: drawn images, and containers."""
        found = []
        drawing = mapping(self._tool_usage.get("image_gen"))
        if drawing.get("total_tokens"):
            drawn = read_image_usage(drawing, self.provider, at="tool_usage.image_gen").usage()
            found.append(Iteration(model=self._image_model, usage=drawn))
        elif self._items.images:
            # How many tokens they are is not told; that they were drawn is.
            drawn = Usage(charges={"image": Decimal(self._items.images)})
            found.append(Iteration(model=self._image_model, usage=drawn))
        if self._items.containers:
            found.append(sessions(len(self._items.containers)))
        return tuple(found)

    def _count(self) -> Counted:
        counted = read_usage(self._usage, RESPONSES, self.provider)
        told = count(self._tool_usage, "web_search", "num_requests")
        if told:
            counted.charge("web_search_request", told, "tool_usage.web_search.num_requests")
        else:
            counted.charge("web_search_request", self._items.searches, "output.web_search_call")
        counted.charge("file_search_call", self._items.file_searches, "output.file_search_call")
        return counted


class ItemCounts:
    """How many billed tool runs an output holds."""

    def __init__(self) -> None:
        self.searches = 0
        self.file_searches = 0
        self.images = 0
        #: By id, in the order of the items.
        self.containers: dict[str, None] = {}

    @classmethod
    def of(cls, output: object) -> ItemCounts:
        """Count the items of a response's ``output``; anything but a list holds none."""
        counts = cls()
        for item in output if isinstance(output, list) else ():
            counts._add(mapping(item))
        return counts

    def _add(self, item: Document) -> None:
        kind = item.get("type")
        if kind == "web_search_call":
            # Opening a page or searching in it is an item of the same type, and free.
            searched = mapping(item.get("action")).get("type") == "search"
            self.searches += searched and item.get("status") != "failed"
        elif kind == "file_search_call":
            self.file_searches += 1
        elif kind == "image_generation_call":
            self.images += item.get("status") != "failed"
        elif kind in ("code_interpreter_call", "shell_call"):
            # One session however many calls ran in the container.
            place = item if kind == "code_interpreter_call" else mapping(item.get("environment"))
            container = name(place.get("container_id"))
            if container is not None:
                self.containers[container] = None


def _image_model(tools: object) -> str:
    for tool in tools if isinstance(tools, list) else ():
        if mapping(tool).get("type") == "image_generation":
            return name(mapping(tool).get("model")) or _UNNAMED_IMAGE_MODEL
    return _UNNAMED_IMAGE_MODEL
