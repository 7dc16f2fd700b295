"""Mistral's optical character recognition, billed by the page (https://docs.mistral.ai/api/#tag/ocr)."""

from __future__ import annotations

from ..events import Operation
from .answer_reader import AnswerReader
from .answer_reader import Reading
from .counted import Counted
from .fields import EMPTY
from .fields import Document
from .fields import InvalidUsage
from .fields import count
from .fields import mapping
from .provider import Endpoint
from .provider import Provider


class PagesReader(AnswerReader):
    """A document's text, and how many pages were read."""

    def __init__(self, provider: str, operation: Operation) -> None:
        super().__init__(provider, operation)
        self._usage: Document = EMPTY

    def whole(self, document: Document) -> None:
        self.name_answer(document)
        self._usage = mapping(document.get("usage_info"))

    def reading(self) -> Reading:
        if not self._usage:
            return Reading()
        usage, fields = self.usage_of(self._count)
        return Reading(usage=usage, fields=fields)

    def _count(self) -> Counted:
        pages = count(self._usage, "pages_processed")
        if pages is None:
            raise InvalidUsage("pages_processed is missing")
        counted = Counted()
        counted.charge("page", pages, "usage_info.pages_processed")
        return counted


_PAGES = "mistral_ocr"

MISTRAL = Provider(
    name="mistral",
    hosts=("api.mistral.ai", "codestral.mistral.ai"),
    endpoints={"ocr": Endpoint("other", "usage", _PAGES)},
    readers={_PAGES: PagesReader},
)
