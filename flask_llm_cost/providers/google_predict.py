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


class PredictReader(AnswerReader):
    """Pictures are billed each, those that a filter held back are not; embeddings by the character, Gemini's
    by the token.
    """

    def __init__(self, provider: str, operation: Operation) -> None:
        super().__init__(provider, operation)
        self._drawn: int | None = None
        self._statistics: list[Document] = []
        self._metadata: Document = EMPTY

    def whole(self, document: Document) -> None:
        error = mapping(document.get("error"))
        if is_error(document.get("error")):
            self.fail(error_class({"type": error.get("status"), "code": error.get("code")}))
        told = document.get("predictions")
        predictions = [mapping(item) for item in told] if isinstance(told, list) else []
        self._drawn = sum("bytesBase64Encoded" in item or "gcsUri" in item for item in predictions)
        self._statistics = [
            mapping(mapping(item.get("embeddings")).get("statistics")) for item in predictions
        ]
        self._metadata = mapping(document.get("metadata"))

    def reading(self) -> Reading:
        if self.failed or self._drawn is None:
            return Reading()
        usage, fields = self.usage_of(self._embeddings if self.operation == "embeddings" else self._pictures)
        return Reading(usage=None if usage is None or usage.is_empty else usage, fields=fields)

    def _pictures(self) -> Counted:
        counted = Counted()
        counted.charges["image"] = Decimal(self._drawn or 0)  # none is an answer too
        counted.fields["image"] = "predictions"
        return counted

    def _embeddings(self) -> Counted:
        counted = Counted()
        characters = count(self._metadata, "billableCharacterCount")
        if characters and not (self.asked_model or "").startswith("gemini"):
            counted.charge("input_character", characters, "metadata.billableCharacterCount")
            return counted
        tokens = [count(item, "token_count") for item in self._statistics]
        if None in tokens:
            raise InvalidUsage("token_count is missing")
        if tokens:
            told = sum(item or 0 for item in tokens)
            counted.put("input", told, "predictions.embeddings.statistics.token_count")
            counted.tokens["output_tokens"] = 0  # by their nature, not for want of telling
        return counted
