"""The reference pages say what the code says: every key, command, table and column."""

from __future__ import annotations

import re
from collections.abc import Iterator
from collections.abc import Mapping
from pathlib import Path
from typing import Literal
from typing import get_args
from typing import get_origin
from typing import get_type_hints
from zoneinfo import ZoneInfo

import click
import pytest

import flask_llm_cost
from flask_llm_cost.cli import llm_cost
from flask_llm_cost.config import KEYS
from flask_llm_cost.config import PREFIX
from flask_llm_cost.config import Config
from flask_llm_cost.ledger.models import Base

DOCS = Path(__file__).parents[2] / "docs"


def _rows(text: str) -> list[list[str]]:
    """The cells of every table row whose first cell is code."""
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def _as_documented(value: object) -> str:
    if isinstance(value, Mapping):
        value = dict(value)
    if isinstance(value, ZoneInfo):
        value = value.key
    return repr(value).replace("'", '"')


def test_every_configuration_key_is_documented_with_its_default() -> None:
    rows = _rows((DOCS / "configuration.md").read_text("utf-8"))
    defaults = Config()
    expected = [
        [f"`{key}`", f"`{_as_documented(getattr(defaults, key.removeprefix(PREFIX).lower()))}`"]
        for key in KEYS
    ]
    assert [row[:2] for row in rows] == expected
    assert all(len(row) == 4 and row[3] for row in rows)


def test_every_choice_of_a_configuration_key_is_documented() -> None:
    allowed = {row[0].strip("`"): row[2] for row in _rows((DOCS / "configuration.md").read_text("utf-8"))}
    choices = {
        PREFIX + name.upper(): [
            choice
            for part in (hint, *get_args(hint))
            if get_origin(part) is Literal
            for choice in get_args(part)
        ]
        for name, hint in get_type_hints(Config).items()
    }
    assert sum(map(bool, choices.values())) >= 7
    for key, names in choices.items():
        for name in names:
            assert f'`"{name}"`' in allowed[key], f"{key}: {name} is not documented"


@pytest.mark.parametrize("table", sorted(Base.metadata.tables))
def test_every_column_is_documented(table: str) -> None:
    _, _, section = (DOCS / "data-model.md").read_text("utf-8").partition(f"\n## `{table}`\n")
    section = section.partition("\n## ")[0]
    documented = [row[0].strip("`") for row in _rows(section)]
    assert documented == [column.name for column in Base.metadata.tables[table].columns]


def _commands(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from _commands(inner, f"{path} {name}")


COMMANDS = dict(_commands(llm_cost, "flask llm-cost"))


def _section(path: str) -> str:
    """What the reference says of a command."""
    text = (DOCS / "cli.md").read_text("utf-8")
    heading = re.search(rf"^#+ `{re.escape(path)}`$", text, re.MULTILINE)
    assert heading, f"docs/cli.md has no heading for {path}"
    return re.split(r"^#+ ", text[heading.end() :], maxsplit=1, flags=re.MULTILINE)[0]


@pytest.mark.parametrize("path", [path for path in COMMANDS if path != "flask llm-cost"])
def test_every_command_and_option_is_documented(path: str) -> None:
    command = COMMANDS[path]
    section = _section(path)
    assert command.help, f"{path} has no help"
    for parameter in command.params:
        if isinstance(parameter, click.Option) and not parameter.hidden and parameter.name != "help":
            assert f"`{parameter.opts[0]}" in section, f"{path}: {parameter.opts[0]} is not documented"


@pytest.mark.parametrize("path", [path for path in COMMANDS if path != "flask llm-cost"])
def test_no_documented_option_is_gone(path: str) -> None:
    cells = [row[0] for row in _rows(_section(path))]
    documented = {option for cell in cells for option in re.findall(r"`(--?[a-z-]+)", cell)}
    assert documented <= _options(COMMANDS[path])


def _options(command: click.Command) -> set[str]:
    return {name for parameter in command.params for name in [*parameter.opts, *parameter.secondary_opts]}


def test_no_documented_command_is_gone() -> None:
    text = (DOCS / "cli.md").read_text("utf-8")
    documented = set(re.findall(r"^#+ `(flask llm-cost [^`]+)`$", text, re.MULTILINE))
    assert documented <= set(COMMANDS)


def test_commands_and_options_that_are_mentioned_exist() -> None:
    root = DOCS.parent
    for page in [root / "README.md", root / "CHANGES.md", root / "CONTRIBUTING.md", *DOCS.rglob("*.md")]:
        for mentioned in re.findall(r"flask llm-cost ([a-z][^\n`|&#]*)", page.read_text("utf-8")):
            words = re.findall(r"[a-z-]+", mentioned)
            path = f"flask llm-cost {words[0]}"
            assert path in COMMANDS, f"{page.name} mentions {path}"
            if isinstance(COMMANDS[path], click.Group) and len(words) > 1:
                path = f"{path} {words[1]}"
                assert path in COMMANDS, f"{page.name} mentions {path}"
            strangers = set(re.findall(r"(?<=\s)--[a-z-]+", mentioned)) - _options(COMMANDS[path])
            assert not strangers, f"{page.name} mentions {strangers} of {path}"


def test_every_public_name_is_in_the_api_reference() -> None:
    text = (DOCS / "api.md").read_text("utf-8")
    for name in flask_llm_cost.__all__:
        assert re.search(rf"\b{name}\b", text), f"docs/api.md does not name {name}"


def test_every_page_is_in_the_table_of_contents() -> None:
    listed = {"index"}
    for contents in DOCS.rglob("index.md"):
        for entry in re.findall(r"^([a-z/-]+)$", contents.read_text("utf-8"), re.MULTILINE):
            listed.add(str((contents.parent / entry).relative_to(DOCS)))
    assert {str(page.relative_to(DOCS).with_suffix("")) for page in DOCS.rglob("*.md")} == listed


def test_links_between_the_readme_and_the_repository_hold() -> None:
    root = DOCS.parent
    for page in ("README.md", "CONTRIBUTING.md"):
        targets = re.findall(r"\]\(([^)#:]+)\)", (root / page).read_text("utf-8"))
        missing = [target for target in targets if not (root / target).exists()]
        assert not missing, f"{page} links to {missing}"


def test_every_check_of_doctor_is_documented() -> None:
    section = (
        (DOCS / "cli.md")
        .read_text("utf-8")
        .partition("\n## `flask llm-cost doctor`\n")[2]
        .partition("\n## ")[0]
    )
    documented = {
        name.partition(" ")[0] for row in _rows(section) for name in re.findall(r"`([^`]+)`", row[0])
    }
    source = "".join(
        path.read_text("utf-8") for path in sorted((DOCS.parent / "flask_llm_cost" / "doctor").glob("*.py"))
    )
    named = set(re.findall(r"\b(?:ok|warn|error)\(\s*\"([a-z ]+)\"", source))
    assert len(named) > 15
    assert {name.partition(" ")[0] for name in named} <= documented
