"""Mistral's optical character recognition, billed by the page (https://docs.mistral.ai/api/#tag/ocr)."""

from __future__ import annotations

from .answer_reader import UsageReader
from .counted import Counted
from .fields import InvalidUsage
from .fields import count
from .provider import Endpoint
from .provider import Provider


class PagesReader(UsageReader):
    """A document's text, and how many pages were read."""

    place = "usage_info"

    def _count(self) -> Counted:
        pages = count(self.usage, "pages_processed")
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
