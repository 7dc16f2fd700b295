"""What Google's ``predict`` answers: Imagen's pictures, and Vertex AI's older embeddings.

https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api
"""

from __future__ import annotations

from decimal import Decimal

from ..events import Operation
from .answer_reader import AnswerReader
from .answer_reader import Reading
from .counted import Counted
from .fields import EMPTY
from .fields import Document
from .fields import InvalidUsage
from .fields import count
from .fields import error_class
from .fields import is_error
from .fields import mapping

_CHARACTERS = "metadata.billableCharacterCount"
_TOKENS = "predictions.embeddings.statistics.token_count"


class PredictReader(AnswerReader):
    """Pictures are billed each, those that a filter held back are not; embeddings by the character, Gemini's
    by the token.
    """

    def __init__(self, provider: str, operation: Operation) -> None:
        super().__init__(provider, operation)
        self._answer: Document | None = None

    def whole(self, document: Document) -> None:
        self._answer = document
        error = mapping(document.get("error"))
        if is_error(document.get("error")):
            self.fail(error_class({"type": error.get("status"), "code": error.get("code")}))

    def reading(self) -> Reading:
        if self.failed or self._answer is None:
            return Reading()
        usage, fields = self.usage_of(self._embeddings if self.operation == "embeddings" else self._pictures)
        return Reading(usage=None if usage is None or usage.is_empty else usage, fields=fields)

    def _predictions(self) -> list[Document]:
        found = (self._answer or EMPTY).get("predictions")
        return [mapping(item) for item in found] if isinstance(found, list) else []

    def _pictures(self) -> Counted:
        counted = Counted()
        drawn = sum("bytesBase64Encoded" in item or "gcsUri" in item for item in self._predictions())
        counted.charges["image"] = Decimal(drawn)  # none is an answer too
        counted.fields["image"] = "predictions"
        return counted

    def _embeddings(self) -> Counted:
        counted = Counted()
        characters = count(self._answer or EMPTY, "metadata", "billableCharacterCount")
        tokens = [count(item, "embeddings", "statistics", "token_count") for item in self._predictions()]
        if characters and not (self.asked_model or "").startswith("gemini"):
            counted.charge("input_character", characters, _CHARACTERS)
            return counted
        if None in tokens:
            raise InvalidUsage("token_count is missing")
        if tokens:
            counted.put("input", sum(told or 0 for told in tokens), _TOKENS)
            counted.tokens["output_tokens"] = 0  # by their nature, not for want of telling
        return counted
