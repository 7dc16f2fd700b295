"""A report for a chat, an issue or a mail: Markdown, with the numbers of the table for people."""

from __future__ import annotations

import re
from collections.abc import Iterator
from collections.abc import Sequence

import click

from .answer import Answer
from .answer_text import calls_table
from .answer_text import section_table
from .answer_text import title_of
from .answer_text import totals_in_words
from .answer_text import unpriced_table
from .output import Table
from .output import plain

#: What Markdown, or HTML within it, would take for more than text.
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~&])")


def echo_answer_markdown(answer: Answer, narrowed: Sequence[tuple[str, str]], pending: int) -> None:
    """Print a report as Markdown."""
    click.echo(f"# {_escaped(plain(title_of(answer, narrowed)))}\n")
    for label, text in totals_in_words(answer, pending):
        click.echo(f"- **{label}:** {_escaped(text)}")
    for table in _tables(answer):
        click.echo(f"\n## {_escaped(plain(table.title))}\n")
        click.echo("\n".join(_lines(table)) if table.rows else table.empty)


def _tables(answer: Answer) -> Iterator[Table]:
    for section in answer.sections:
        yield section_table(section)
    if answer.top_calls:
        yield calls_table(answer)
    if answer.unpriced:
        yield unpriced_table(answer.unpriced, answer.zone)


def _lines(table: Table) -> Iterator[str]:
    yield f"| {' | '.join(column.label for column in table.columns)} |"
    yield f"|{'|'.join(' ---: ' if column.number else ' --- ' for column in table.columns)}|"
    for row in table.rows:
        yield f"| {' | '.join(_escaped(column.text(row.get(column.name))) for column in table.columns)} |"


def _escaped(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", text)
