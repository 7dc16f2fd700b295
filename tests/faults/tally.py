"""What came of the runs of a fault: which calls had returned, and what the ledger says of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from typing import Any

from sqlalchemy import Select
from sqlalchemy import create_engine
from sqlalchemy import select
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from flask_llm_cost.ledger import CallTag
from flask_llm_cost.ledger import LlmCall
from flask_llm_cost.ledger import rollup_drift


@dataclass
class Tally:
    """The runs of one fault.

    :param fault: what was done, in words.
    :param hits: how often it was: processes killed, connections cut, errors that a driver raised.
    :param acknowledged: calls that had returned; ``attempted`` those that were begun.
    :param slowest: seconds that the slowest call took.
    """

    fault: str
    runs: int = 0
    hits: int = 0
    acknowledged: set[str] = field(default_factory=set)
    attempted: set[str] = field(default_factory=set)
    stored: list[str] = field(default_factory=list)
    drift: int = 0
    slowest: float = 0.0
    seconds: float = 0.0
    seen: Counter[str] = field(default_factory=Counter)

    @property
    def missing(self) -> int:
        return len(self.acknowledged - set(self.stored))

    @property
    def twice(self) -> int:
        return len(self.stored) - len(set(self.stored))

    @property
    def passed(self) -> bool:
        return not (self.missing or self.twice or self.drift) and bool(self.acknowledged)


#: By what a call of a tally is known in the ledger.
BY_ID = select(LlmCall.provider_response_id)
BY_NUMBER = select(CallTag.value).where(CallTag.key == "number")


def compare(url: str, tallies: Sequence[Tally], names: Select[Any] = BY_ID) -> None:
    """Look up in the ledger what became of the calls of all tallies; nobody else may have made any."""
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        rows = connection.execute(names).scalars().all()
    with Session(engine) as session:
        drift = len(rollup_drift(session))
    for tally in tallies:
        tally.stored = [row for row in rows if row in tally.attempted]
        tally.drift = drift
    strangers = set(rows) - set[str]().union(*(tally.attempted for tally in tallies))
    assert not strangers, f"calls that nobody made: {sorted(strangers)[:5]}"


def report(tallies: Sequence[Tally]) -> str:
    """One line per fault."""
    heads = ("runs", "hits", "acked", "stored", "missing", "twice", "drift", "slowest s", "took s")
    lines = [f"{'fault':<44}" + "".join(f"{head:>10}" for head in heads)]
    for one in tallies:
        counts = (one.runs, one.hits, len(one.acknowledged), len(one.stored))
        found = (one.missing, one.twice, one.drift, f"{one.slowest:.2f}", f"{one.seconds:.1f}")
        lines.append(f"{one.fault:<44}" + "".join(f"{count:>10}" for count in (*counts, *found)))
        if one.seen:
            lines.append("  seen: " + ", ".join(f"{code} {times}" for code, times in one.seen.most_common()))
    return "\n".join(lines)
