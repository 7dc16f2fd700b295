"""Exported rows as CSV, JSON Lines and Parquet, each exact: no amount ever becomes a float."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from collections.abc import Sequence
from datetime import UTC
from datetime import datetime
from decimal import Decimal
from typing import IO
from typing import Any
from typing import Literal
from typing import Protocol

from sqlalchemy import Boolean
from sqlalchemy import Column
from sqlalchemy import Integer

from ..errors import ConfigurationError
from ..ledger.types import Money
from ..ledger.types import Quantity
from ..ledger.types import UTCDateTime
from ..wording import spreadsheet_text

FileFormat = Literal["csv", "jsonl", "parquet"]
Columns = Sequence[Column[Any]]
Rows = Sequence[Sequence[Any]]

#: Rows of one group of a Parquet file: smaller ones compress badly, larger ones take memory.
_GROUP = 20_000


class RowWriter(Protocol):
    """Writes rows to an open file; what :meth:`write` was given is there when it returns, or at the end."""

    def write(self, rows: Rows) -> None:
        """Add rows."""

    def close(self) -> None:
        """Write what is left, and what ends the file. The file stays open."""


class CSVWriter:
    """Text with a header. What is not known is empty, and no cell is run as a formula by a spreadsheet.

    :param header: false where the file has one already.
    """

    def __init__(self, file: IO[bytes], columns: Columns, *, header: bool = True) -> None:
        self._file = file
        if header:
            self.write([[column.name for column in columns]])

    def write(self, rows: Rows) -> None:
        buffer = io.StringIO()
        csv.writer(buffer, lineterminator="\n").writerows([_csv_cell(value) for value in row] for row in rows)
        self._file.write(buffer.getvalue().encode())

    def close(self) -> None:
        """Nothing is left."""


class JSONLinesWriter:
    """One JSON object a line, in ASCII, amounts as decimal strings."""

    def __init__(self, file: IO[bytes], columns: Columns, *, header: bool = True) -> None:
        self._file = file
        self._names = [column.name for column in columns]

    def write(self, rows: Rows) -> None:
        lines = (json.dumps(self._object(row), separators=(",", ":")) for row in rows)
        self._file.write("".join(f"{line}\n" for line in lines).encode("ascii"))

    def close(self) -> None:
        """Nothing is left."""

    def _object(self, row: Sequence[Any]) -> dict[str, Any]:
        return {name: _json_value(value) for name, value in zip(self._names, row, strict=True)}


class ParquetWriter:
    """Parquet by pyarrow: exact decimals, moments in UTC, JSON as text.

    :raises ConfigurationError: pyarrow is not installed.
    """

    def __init__(self, file: IO[bytes], columns: Columns, *, header: bool = True) -> None:
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError as error:
            raise ConfigurationError(
                "Parquet needs pyarrow: pip install 'flask-llm-cost[parquet]', or choose csv or jsonl."
            ) from error
        self._arrow = pyarrow
        self._schema = pyarrow.schema(
            [(column.name, _arrow_type(pyarrow, column), column.nullable) for column in columns]
        )
        self._writer = pyarrow.parquet.ParquetWriter(file, self._schema, compression="zstd")
        self._waiting: list[Sequence[Any]] = []

    def write(self, rows: Rows) -> None:
        self._waiting += rows
        if len(self._waiting) >= _GROUP:
            self._write_group()

    def close(self) -> None:
        if self._waiting:
            self._write_group()
        self._writer.close()

    def _write_group(self) -> None:
        columns = zip(*self._waiting, strict=True)
        arrays = [
            self._arrow.array(map(_arrow_value, values), field.type)
            for field, values in zip(self._schema, columns, strict=True)
        ]
        self._writer.write_table(self._arrow.Table.from_arrays(arrays, schema=self._schema))
        self._waiting = []


WRITERS: dict[FileFormat, Callable[..., RowWriter]] = {
    "csv": CSVWriter,
    "jsonl": JSONLinesWriter,
    "parquet": ParquetWriter,
}


def _csv_cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    plain = _json_value(value)
    if isinstance(plain, dict | list):
        plain = json.dumps(plain, ensure_ascii=False, sort_keys=True)
    return (
        spreadsheet_text(plain) if isinstance(plain, str) and not isinstance(value, Decimal) else str(plain)
    )


def _json_value(value: Any) -> Any:
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return value


def _arrow_type(arrow: Any, column: Column[Any]) -> Any:
    if isinstance(column.type, Money | Quantity):
        return arrow.decimal128(24, column.type.scale)
    if isinstance(column.type, UTCDateTime):
        return arrow.timestamp("us", tz="UTC")
    if isinstance(column.type, Boolean):
        return arrow.bool_()
    return arrow.int64() if isinstance(column.type, Integer) else arrow.string()


def _arrow_value(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False, sort_keys=True) if isinstance(value, dict | list) else value
