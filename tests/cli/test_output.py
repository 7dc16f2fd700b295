"""Printed answers: exact for programs, readable for people, harmless for terminals and spreadsheets."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import subprocess
import sys
from datetime import UTC
from datetime import datetime
from decimal import Decimal

import pytest

from flask_llm_cost.cli import output
from flask_llm_cost.cli import words

COLUMNS = (
    output.Column("model", "Model"),
    output.Column("cost", "Cost", words.money, number=True),
    output.Column("calls", "Calls", words.count, number=True),
)
LONG = "vendor/" + "x" * 180


def table(*rows: dict[str, output.Cell]) -> output.Table:
    return output.Table("models", "By model", COLUMNS, rows, empty="No calls.")


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (None, "unknown"),
        (Decimal(0), "$0.00"),
        (Decimal("0.000000000001"), "$0.000000000001"),
        (Decimal("0.000001234567"), "$0.00000123457"),
        (Decimal("0.00999999999"), "$0.0100"),
        (Decimal("0.0213"), "$0.0213"),
        (Decimal("0.5"), "$0.5000"),
        (Decimal("0.99996"), "$1.00"),
        (Decimal("1"), "$1.00"),
        (Decimal("1234567.891"), "$1,234,567.89"),
        (Decimal("-0.02"), "-$0.0200"),
    ],
)
def test_money_is_never_zero_for_something(amount: Decimal | None, text: str) -> None:
    assert words.money(amount) == text


@pytest.mark.parametrize(
    ("show", "value", "text"),
    [
        (words.count, 1234567, "1,234,567"),
        (words.count, None, "unknown"),
        (words.quantity, Decimal("1200.000000"), "1,200"),
        (words.quantity, Decimal("0.500000"), "0.5"),
        (words.quantity, None, "unknown"),
        (words.rate, Decimal("1.250000000000"), "$1.25"),
        (words.rate, Decimal("10"), "$10"),
        (words.rate, None, "unknown"),
        (words.duration, 812, "812 ms"),
        (words.duration, 4200, "4.2 s"),
        (words.duration, None, "unknown"),
        (words.share, Decimal("0.098"), "9.8 %"),
        (words.share, None, "unknown"),
    ],
)
def test_numbers_are_worded_for_people(show: object, value: object, text: str) -> None:
    assert callable(show)
    assert show(value) == text


def test_piped_text_has_no_colour_no_boxes_and_cuts_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    output.echo_table(table({"model": LONG, "cost": Decimal("123456789.5"), "calls": 1234567}))
    printed = capsys.readouterr().out

    assert "\x1b" not in printed
    assert printed.isascii()
    assert LONG in printed
    assert "$123,456,789.50" in printed
    assert "1,234,567" in printed
    assert len(printed.splitlines()) == 3, "a title, a header and one line per row"
    assert all(line == line.rstrip() for line in printed.splitlines())


def test_piped_numbers_stand_under_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    output.echo_table(
        table(
            {"model": "a", "cost": Decimal("1000"), "calls": 7},
            {"model": "longer-name", "cost": Decimal("2"), "calls": 1200},
        )
    )
    header, first, second = capsys.readouterr().out.splitlines()[1:]

    assert len(header) == len(first) == len(second)
    assert first.endswith("7")
    assert second.endswith("1,200")


def test_a_table_without_rows_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    output.echo_table(table())
    assert capsys.readouterr().out == "By model\nNo calls.\n"


@pytest.mark.parametrize("name", ["[bold]x[/bold]", ":smile:", "a\x1b[31mred", "two\nlines", "‮evil"])
def test_names_cannot_drive_the_terminal_or_the_markup(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    output.echo_table(table({"model": name, "cost": Decimal(1), "calls": 1}))
    row = capsys.readouterr().out.splitlines()[2]

    assert row.startswith(output.plain(name))
    assert row.isprintable()


def test_json_keeps_every_digit_and_null(capsys: pytest.CaptureFixture[str]) -> None:
    values: list[output.Cell] = ["ü", Decimal("0.000000000001"), 1, None, datetime(2026, 11, 22, tzinfo=UTC)]
    output.echo_json({"values": [output.exact(value) for value in values]})

    assert json.loads(capsys.readouterr().out) == {
        "values": ["ü", "0.000000000001", 1, None, "2026-11-22T00:00:00+00:00"]
    }


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@cmd", "\t=1", "  =1", "\r=1"])
def test_csv_cells_are_no_formulas(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    output.echo_csv(["model", "cost"], [{"model": text, "cost": Decimal("-1.5")}])
    header, row = csv.reader(io.StringIO(capsys.readouterr().out))

    assert header == ["model", "cost"]
    assert row[0].startswith("'") or row[0].startswith("\N{REPLACEMENT CHARACTER}")
    assert row[1] == "-1.5", "numbers stay numbers"


def test_csv_quotes_separators_and_leaves_unknown_empty(capsys: pytest.CaptureFixture[str]) -> None:
    output.echo_csv(["model", "cost"], [{"model": 'a,"b"', "cost": None}])
    assert list(csv.reader(io.StringIO(capsys.readouterr().out)))[1] == ['a,"b"', ""]


SCRIPT = f"""
from decimal import Decimal
from flask_llm_cost.cli import output, words
columns = (output.Column("model", "Model"), output.Column("cost", "Cost", words.money, number=True),
           output.Column("status", "Status"))
rows = [{{"model": {LONG!r}, "cost": Decimal("123456789.5"), "status": "error"}}]
output.echo_table(output.Table("m", "By model", columns, rows, status="status"))
"""


def on_terminal(columns: int, **environment: str) -> str:
    """What the script prints to a terminal of that width."""
    leader, follower = pty.openpty()
    size = {"COLUMNS": str(columns), "LINES": "40", "TERM": "xterm-256color"}
    base = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "FORCE_COLOR")}
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT], stdout=follower, env=base | size | environment
    ) as process:
        os.close(follower)
        found = b""
        while True:
            try:
                chunk = os.read(leader, 65536)
            except OSError:  # Linux reports the other end's closing so
                break
            if not chunk:
                break
            found += chunk
    os.close(leader)
    assert process.returncode == 0
    return found.decode()


def test_a_terminal_folds_names_and_never_numbers() -> None:
    printed = on_terminal(60)

    assert "\x1b[" in printed, "a terminal gets colour"
    assert "$123,456,789.50" in printed
    assert "…" not in printed
    assert LONG not in printed


def test_a_terminal_that_is_too_narrow_still_gets_whole_numbers() -> None:
    assert "$123,456,789.50" in on_terminal(12)


def test_no_color_is_respected() -> None:
    assert "\x1b[31m" not in on_terminal(60, NO_COLOR="1")
