"""The wheel, built without the network: what is in it, and what it says of itself."""

from __future__ import annotations

import re
import subprocess
import sys
from email.message import Message
from email.parser import BytesParser
from pathlib import Path
from zipfile import ZipFile

import pytest

import flask_llm_cost
from tests.package import IN_WHEEL
from tests.package import missing

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    [found] = folder.glob("*.whl")
    return found


def test_the_wheel_brings_types_prices_pages_and_revisions(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        names = archive.namelist()
    assert missing(names, IN_WHEEL) == []
    package = {f"flask_llm_cost/{path.relative_to(ROOT / 'flask_llm_cost')}" for path in _sources()}
    assert package <= set(names)
    assert not [name for name in names if name.startswith(("tests/", "docs/", "examples/"))]


def _sources() -> list[Path]:
    return list(Path(flask_llm_cost.__file__).parent.rglob("*.py"))


def _metadata(wheel: Path) -> Message:
    with ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return BytesParser().parsebytes(archive.read(name))


def test_the_page_on_pypi_has_no_link_that_leads_nowhere(wheel: Path) -> None:
    page = str(_metadata(wheel).get_payload())
    links = re.findall(r"\]\(([^)]*)\)|(?:src|srcset|href)=\"([^\"]*)\"", page)
    assert not [link for link in links if not "".join(link).startswith("https://")]
    paths = re.findall(r"\(`([^`]+)`\)", page)
    assert "docs/quickstart.md" in paths
    assert not [path for path in paths if not (ROOT / path).exists()]


def test_no_sdk_is_needed_without_extras(wheel: Path) -> None:
    metadata = _metadata(wheel)
    needed = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert {line.split(">")[0] for line in needed} == {
        "blinker", "click", "flask", "flask-sqlalchemy", "pyyaml", "rich", "sqlalchemy", "tzdata",
    }  # fmt: skip
    assert (metadata["Name"], metadata["License-Expression"]) == ("flask-llm-cost", "MIT")
    assert metadata["Description-Content-Type"] == "text/markdown"
