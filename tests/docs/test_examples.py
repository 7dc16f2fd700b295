"""Every code block of the README and the documentation is run as it stands, or checked by what it is.

Programs and commands talk to the providers' own hosts, whom :mod:`tests.docs.internet` puts on the loopback.
"""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from flask import Flask

from flask_llm_cost import LLMCostTracker
from tests.docs.blocks import PAGES
from tests.docs.blocks import ROOT
from tests.docs.blocks import Block
from tests.docs.blocks import Program
from tests.docs.blocks import blocks
from tests.docs.blocks import programs
from tests.docs.fork_server import commands
from tests.docs.internet import Internet
from tests.docs.internet import internet
from tests.docs.stand_ins import write_stand_ins
from tests.loopback import loopback_provider
from tests.reconciliation.admin_server import serving as admin_api
from tests.stacks.__main__ import REQUIREMENTS

#: Blocks that are not run, by their page and the beginning of their first line, and why.
NOT_RUN = {
    ("docs/architecture.md", "            extension, assembly"): "a picture",
    ("docs/architecture.md", "your code -> SDK"): "a picture",
    ("docs/quickstart.md", "flask run"): "serves until it is stopped",
    ("docs/tutorial.md", "mkdir desk"): "installs from the package index",
    ("docs/tutorial.md", "flask run"): "serves until it is stopped",
    ("docs/tutorial.md", "COSTS_PASSWORD"): "serves until it is stopped",
    ("docs/tutorial.md", "curl --data"): "asks the app that is served",
    ("docs/tutorial.md", "curl -N"): "asks the app that is served",
}
#: The published price list that ``prices refresh`` finds.
PUBLISHED = [
    {
        "id": "openai",
        "price_comments": "Verified on 2026-11-25.",
        "models": [
            {
                "id": "gpt-quay",
                "match": {"equals": "gpt-quay"},
                "prices": {"input_mtok": 2, "output_mtok": 8},
            }
        ],
    }
]
#: Languages of Sphinx itself, which checks them.
_DIRECTIVE = re.compile(r"\{[a-z-]+\}")
BLOCKS = [block for page in PAGES for block in blocks(page)]
PROGRAMS = [program for page in PAGES for program in programs(page)]


def _reason(block: Block) -> str | None:
    for (page, beginning), reason in NOT_RUN.items():
        if block.page == ROOT / page and block.code.startswith(beginning):
            return reason
    return None


def _in(*languages: str) -> list[object]:
    found = [block for block in BLOCKS if block.language in languages and not _reason(block)]
    return [pytest.param(block, id=str(block)) for block in found]


#: What a page's commands find in place, as commands.
PREPARED = {
    "docs/how-to/migrations.md": "rm instance/shop.sqlite",
    "docs/tutorial.md": "flask llm-cost setup",
    "docs/reconciliation.md": "printf 'day,Cost (USD)\n2026-03-01,3.50\n' > march.csv",
}
#: Pages whose commands are those of the app that the page makes, as far as it has come by then.
WITH_AN_APP = {"docs/tutorial.md"}


@dataclass(frozen=True)
class Site:
    """Where documented code is run."""

    internet: Internet
    environment: dict[str, str]
    shop: Path
    #: Hosts that are answered by others, by page.
    hosts_of: dict[str, dict[str, int]] = field(default_factory=dict)

    def run(self, command: list[str], folder: Path, **more: str) -> str:
        """Run a command; what it printed. The test fails where it does."""
        done = subprocess.run(
            command,
            cwd=folder,
            env={**self.environment, **more},
            input="y\n" * 9,  # commands that change the ledger ask first
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if done.returncode:
            pytest.fail(f"exit code {done.returncode}\n{done.stdout}{done.stderr}", pytrace=False)
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    shop = folder / "shop"
    shutil.copytree(Path(__file__).parent / "shop", shop)
    with (
        loopback_provider() as provider,
        loopback_provider() as publisher,
        admin_api() as admin,
        internet(folder, provider.port) as net,
        commands(folder) as bin_folder,
    ):
        write_stand_ins(bin_folder)
        publisher.answer(PUBLISHED, times=2)
        net.ports["raw.githubusercontent.com"] = publisher.port
        inherited = {name: value for name, value in os.environ.items() if not name.upper().endswith("_PROXY")}
        environment = {
            **inherited,
            **net.environment,
            "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}",
            "OPENAI_API_KEY": "loopback",
            "ANTHROPIC_API_KEY": "loopback",
            "FLASK_SQLALCHEMY_DATABASE_URI": "sqlite:///shop.sqlite",
        }
        found = Site(net, environment, shop)
        found.run(["python", "app.py"], shop)
        found.run(["flask", "db", "init"], shop)
        price = '{"openai/not-priced-yet": {"input": "1", "output": "2"}}'
        backfill = ["flask", "llm-cost", "backfill", "--from", "2026-10-01", "--to", "2026-10-31", "--yes"]
        found.run(backfill, shop, FLASK_LLM_COST_PRICING_OVERRIDES=price)
        # Only an admin key asks for this in OpenAI's name.
        admin_port = urlsplit(admin.address).port
        assert admin_port
        found.hosts_of["docs/reconciliation.md"] = {"api.openai.com": admin_port}
        yield found


@pytest.mark.parametrize(
    "program", [pytest.param(each, id=str(each.blocks[0])) for each in PROGRAMS if not each.stack]
)
def test_a_program_runs_and_prints_what_is_said(program: Program, site: Site, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(program.code, "utf-8")
    # What patches the standard library has to come before anything is imported.
    python = sys.executable if "monkey.patch_all()" in program.code else "python"
    printed = site.run([python, "app.py"], tmp_path)
    for output in program.outputs:
        expected = ".*".join(re.escape(part) for part in output.strip().split("..."))
        assert re.search(expected, printed, re.DOTALL), f"{output}\nis not in\n{printed}"


@pytest.mark.parametrize("block", _in("sh"))
def test_commands_succeed(block: Block, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = str(block.page.relative_to(ROOT))
    folder = tmp_path / "shop"
    if page in WITH_AN_APP:
        folder.mkdir()
        (folder / "app.py").write_text(_app_above(block), "utf-8")
    else:
        shutil.copytree(site.shop, folder)
    prepared = PREPARED.get(page, "")
    monkeypatch.setattr(site.internet, "ports", {**site.internet.ports, **site.hosts_of.get(page, {})})
    site.run(["bash", "-euo", "pipefail", "-c", f"{prepared}\n{block.code}"], folder)


def _app_above(command: Block) -> str:
    """The page's last program above a command, as far as it has come there."""
    begun = [program for program in programs(command.page) if program.blocks[0].line < command.line][-1]
    return "\n".join(block.code for block in begun.blocks if block.line < command.line)


@pytest.mark.parametrize("block", _in("sql"))
def test_sql_finds_rows(block: Block, site: Site) -> None:
    with sqlite3.connect(site.shop / "instance" / "shop.sqlite") as connection:
        for statement in filter(str.strip, re.sub("--.*", "", block.code).split(";")):
            assert connection.execute(statement).fetchall(), statement
    connection.close()


@pytest.mark.parametrize("block", _in("yaml"))
def test_yaml_is_a_prices_file(block: Block, tmp_path: Path) -> None:
    (tmp_path / "prices.yml").write_text(block.code, "utf-8")
    app = Flask("shop", root_path=str(tmp_path))
    app.config.update(
        LLM_COST_STORAGE="log", LLM_COST_PRICES_FILE="prices.yml", LLM_COST_INSTRUMENT=[], TESTING=True
    )
    tracker = LLMCostTracker(app)
    tracker.shutdown()


@pytest.mark.parametrize("block", _in("toml"))
def test_toml_is_that_of_an_example(block: Block) -> None:
    said = tomllib.loads(block.code)["project"]
    examples = [tomllib.loads(path.read_text()) for path in (ROOT / "examples").glob("*/pyproject.toml")]
    assert any(said.items() <= example["project"].items() for example in examples)


def test_every_block_is_of_a_language_that_is_run() -> None:
    known = {"python", "sh", "sql", "yaml", "toml"}
    strangers = [
        f"{block} ({block.language})"
        for block in BLOCKS
        if block.language not in known
        and block.mark != "output"
        and not _DIRECTIVE.match(block.language)
        and not _reason(block)
    ]
    assert not strangers


def test_blocks_that_are_not_run_are_there() -> None:
    excused = [block for block in BLOCKS if _reason(block)]
    assert len(excused) == len(NOT_RUN)


def test_blocks_of_a_stack_name_one_that_is_tested() -> None:
    named = {program.stack for program in PROGRAMS if program.stack}
    assert named <= set(REQUIREMENTS)
    for program in PROGRAMS:
        if program.stack:
            compile(program.code, str(program.blocks[0]), "exec")
