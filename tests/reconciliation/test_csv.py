"""Bills in CSV files: what they may look like, and what is said of one that cannot be read."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from flask_llm_cost.errors import ConfigurationError
from flask_llm_cost.ledger import Ledger
from flask_llm_cost.reconciliation import Imported
from flask_llm_cost.reconciliation import InvoiceFileError
from flask_llm_cost.reconciliation import import_csv
from tests.cli.apps import CommandApp
from tests.reconciliation.conftest import lines


@pytest.fixture
def ledger(app: CommandApp) -> Ledger:
    return app.ledger


def imported(ledger: Ledger, folder: Path, text: str | bytes, **columns: str) -> Imported:
    path = folder / "bill.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return import_csv(ledger, "mistral", path, columns=columns)


def test_a_file_is_read_by_the_names_of_its_columns(stored: CommandApp, tmp_path: Path) -> None:
    done = imported(
        stored.ledger,
        tmp_path,
        "Model,Cost,Day,Project,Component,Note\n"
        "mistral-large,1.25,2026-03-01,p1,output,x\n"
        'mistral-large,"0.5",2026-03-03T00:00:00Z,p1,input,\n'
        "mistral-large,-0.10,2026-03-03,p1,,\n",
    )

    assert (str(done.period), done.lines) == ("2026-03-01 to 2026-03-03", 3)
    assert done.unread == ("Note",)
    found = lines(stored.ledger)
    assert {(line["component"], line["row_type"], line["amount"]) for line in found} == {
        ("output", "cost", Decimal("1.25")),
        ("input", "cost", Decimal("0.5")),
        (None, "credit", Decimal("-0.1")),
    }
    assert {line["rounding"] for line in found} == {Decimal("0.005"), Decimal("0.05")}
    assert {(line["provider"], line["source"], line["currency"]) for line in found} == {
        ("mistral", "csv", "USD")
    }


def test_importing_a_file_twice_gives_the_same_rows(stored: CommandApp, tmp_path: Path) -> None:
    text = "date,amount\n2026-03-01,1\n2026-03-02,2\n"
    imported(stored.ledger, tmp_path, text)
    once = lines(stored.ledger)
    imported(stored.ledger, tmp_path, text)

    assert lines(stored.ledger) == once


def test_columns_with_other_names_can_be_named(ledger: Ledger, tmp_path: Path) -> None:
    imported(ledger, tmp_path, "When,Cost (USD)\n2026-03-01,7\n", date="When", amount="Cost (USD)")

    assert [line["amount"] for line in lines(ledger)] == [7]
    with pytest.raises(ConfigurationError, match=r"no column 'price'\. There are: date, amount"):
        imported(ledger, tmp_path, "date,amount\n", price="x")


def test_a_byte_order_mark_and_crlf_do_not_matter(ledger: Ledger, tmp_path: Path) -> None:
    imported(ledger, tmp_path, b"\xef\xbb\xbfdate,amount\r\n2026-03-01,7\r\n")

    assert [line["amount"] for line in lines(ledger)] == [7]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("date,amount\n2026-03-01,1\n2026-02-30,2\n", r"Line 3, column 'date' is '2026-02-30', not a day"),
        ('date,Cost\n2026-03-01,"1,234.50"\n', r"Line 2, column 'Cost' is '1,234.50', not a number"),
        ("date,amount\n2026-03-01,$5\n", r"column 'amount' is '\$5'"),
        ("date,amount\n2026-03-01,\n", "Line 2, column 'quantity' is empty"),
        ("date,amount\n2026-03-01,99999999\n", "Line 2, column 'amount' is no amount below"),
        ("date,amount,currency\n2026-03-01,1,dollars\n", "column 'currency' is 'DOLLARS', not a code"),
        ("date,amount,component\n2026-03-01,1,tokens\n", "column 'component' is 'tokens', not one of input"),
        ("date,amount,type\n2026-03-01,1,tax\n", "column 'type' is 'tax', not one of cost, usage"),
        ("date,amount\n2026-03-01\n", "Line 2 has not as many cells as the header"),
        ("date,amount\n2026-03-01,1,2\n", "Line 2 has not as many cells as the header"),
        ("when,amount\n2026-03-01,1\n", r"no column 'date'\..*columns: 'when', 'amount'\. Name one with"),
        ("date;amount\n2026-03-01;1,50\n", "only column is 'date;amount': columns are separated by commas"),
        ("date,model\n2026-03-01,x\n", "neither a column 'amount' nor 'quantity'"),
        ("date,cost,amount\n2026-03-01,1,1\n", "both 'cost' and 'amount' are 'amount'"),
        ("date,amount\n", "no line in it below the header"),
        ("", "no column 'date'"),
        (b"date,amount\n2026-03-01,\xff\n", "not in UTF-8"),
        ('date,amount\n2026-03-01,"1', "It is no CSV"),
        ("date,amount\n2020-01-01,1\n2026-03-01,1\n", "no period of 1 to 1,000 days"),
    ],
)
def test_a_problem_is_named_by_line_and_column_and_nothing_is_imported(
    ledger: Ledger, tmp_path: Path, text: str | bytes, message: str
) -> None:
    with pytest.raises(InvoiceFileError, match=rf"^bill\.csv: .*{message}"):
        imported(ledger, tmp_path, text)

    assert lines(ledger) == []


def test_only_the_first_problems_are_told(ledger: Ledger, tmp_path: Path) -> None:
    with pytest.raises(InvoiceFileError) as refused:
        imported(ledger, tmp_path, "date,amount\n" + "x,1\n" * 50)

    assert len(refused.value.problems) == 5
