"""The made-up provider Pier, for flask_llm_cost.

Pier answers ``POST /v1/say`` with what it said and with what it bills: words in, words out, and sheets of
paper. With ``"stream": true`` it sends the same object in pieces, as server-sent events; the last one has
the bill.
"""

from __future__ import annotations

from collections.abc import Mapping

from flask_llm_cost.providers import AnswerReader
from flask_llm_cost.providers import Counted
from flask_llm_cost.providers import Endpoint
from flask_llm_cost.providers import InvalidUsage
from flask_llm_cost.providers import Provider
from flask_llm_cost.providers import Reading
from flask_llm_cost.providers import count
from flask_llm_cost.providers import mapping


class SayReader(AnswerReader):
    """One answer: it is shown whole, or event by event, and keeps its bill."""

    must_say_so = True  # a stream without a bill was broken off

    bill: Mapping[str, object] = {}

    def whole(self, document: Mapping[str, object]) -> None:
        self.name_answer(document)  # `id` and `model`
        self.saw_output = self.saw_output or "said" in document
        bill = mapping(document.get("bill"))
        if bill:
            self.bill = bill
            self.finished = True

    def reading(self) -> Reading:
        if not self.bill:
            return Reading()  # not told is not zero
        usage, fields = self.usage_of(self._count)
        return Reading(usage=usage, fields=fields)

    def _count(self) -> Counted:
        words_in = count(self.bill, "words_in")  # a whole number that can be true, or InvalidUsage
        if words_in is None:
            raise InvalidUsage("words_in is missing")
        counted = Counted()
        counted.put("input", words_in, "bill.words_in")
        counted.put("output", count(self.bill, "words_out"), "bill.words_out")
        counted.charge("page", count(self.bill, "sheets"), "bill.sheets")
        return counted


PIER = Provider(
    name="pier",
    hosts=("api.pier.example",),
    endpoints={
        "say": Endpoint("chat", "usage", "pier_say"),
        "hush": Endpoint("other", "free"),
    },
    readers={"pier_say": SayReader},
)
