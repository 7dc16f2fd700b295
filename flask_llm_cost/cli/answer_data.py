"""A report for programs: every digit, in JSON and CSV."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence

from .answer import SUMS
from .answer import Answer
from .answer import call_row
from .answer import sums
from .answer import unpriced_row
from .output import Cell
from .output import JSONValue
from .output import echo_csv
from .output import echo_json
from .output import exact


def echo_answer_json(
    answer: Answer, narrowed: Mapping[str, str], tags: Sequence[tuple[str, str]], pending: int
) -> None:
    """Print a report as one document.

    :param narrowed: columns it was narrowed to, and ``tags``.
    """
    document: dict[str, JSONValue] = {
        "start": exact(answer.range[0]) if answer.range else None,
        "end": exact(answer.range[1]) if answer.range else None,
        "time_zone": str(answer.zone),
        "currency": "USD",
        "filters": dict(narrowed),
        "tags": dict(tags),
        "pending_calls": pending,
        "totals": _exact(sums(answer.totals)),
        "previous": None if answer.previous is None else _exact(sums(answer.previous)),
        "latency_ms": {
            "average": answer.latency.average_ms,
            "p50": answer.latency.p50_ms,
            "p95": answer.latency.p95_ms,
            "sampled": answer.latency.sampled,
        },
        "by": {section.dimension: [_json_row(row) for row in section.rows()] for section in answer.sections},
    }
    if answer.whole:
        document["top_calls"] = [_exact(call_row(call)) for call in answer.top_calls]
        document["unpriced_models"] = [_exact(unpriced_row(model)) for model in answer.unpriced]
    echo_json(document)


def _json_row(row: Mapping[str, Cell]) -> dict[str, JSONValue]:
    return {"other": False, **_exact({name: value for name, value in row.items() if name != "name"})}


def _exact(values: Mapping[str, Cell]) -> dict[str, JSONValue]:
    return {name: exact(value) for name, value in values.items()}


def echo_answer_csv(answer: Answer) -> None:
    """Print a report as one table; ``section`` tells its parts apart."""
    echo_csv(("section", "name", "share", *SUMS, "previous_calls", "previous_cost"), _csv_rows(answer))


def _csv_rows(answer: Answer) -> Iterator[dict[str, Cell]]:
    before = answer.previous
    yield {
        "section": "total",
        "name": None,
        **sums(answer.totals),
        "previous_calls": None if before is None else before.calls,
        "previous_cost": None if before is None else before.total_cost,
    }
    for section in answer.sections:
        for row in section.rows():
            name = "(other)" if row.get("other") else row["value"]
            yield {**row, "section": section.dimension, "name": name}
    for call in answer.top_calls:
        yield {
            "section": "top_call",
            "name": str(call.id),
            "calls": 1,
            "total_cost": call.total_cost,
            "average_latency_ms": call.latency_ms,
        }
    for model in answer.unpriced:
        yield {"section": "unpriced_model", "name": f"{model.provider}/{model.model}", **unpriced_row(model)}
