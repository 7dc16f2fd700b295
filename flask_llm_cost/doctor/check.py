"""The answer of one check: how it stands, what was seen, and the command that mends it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "warn", "error"]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    :param evidence: what was seen, in one sentence, with the numbers.
    :param fix: what to run or to set; empty where nothing needs mending.
    """

    name: str
    status: Verdict
    evidence: str
    fix: str = ""


def ok(name: str, evidence: str) -> Check:
    """Fine."""
    return Check(name, "ok", evidence)


def warn(name: str, evidence: str, fix: str) -> Check:
    """Works, but numbers may be too low, too old or not visible."""
    return Check(name, "warn", evidence, fix)


def error(name: str, evidence: str, fix: str) -> Check:
    """Calls are not recorded, or what is recorded is wrong."""
    return Check(name, "error", evidence, fix)


def healthy(checks: Iterable[Check], *, strict: bool = False) -> bool:
    """Whether no check ended in an error; warnings do not fail a deployment, unless it is to be strict."""
    return all(check.status == "ok" or (check.status == "warn" and not strict) for check in checks)
