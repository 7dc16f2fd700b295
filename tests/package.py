"""``make package``: what was built is what a stranger needs. ``python -m tests.package dist``

The wheel is installed without extras in an empty environment and used from a folder of its own; the sdist is
unpacked and its tests are begun.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

#: What an installation without extras does not bring.
ABSENT = ("openai", "anthropic", "google", "groq", "httpx", "requests", "celery", "flask_migrate")
IN_WHEEL = (
    "flask_llm_cost/py.typed",
    "flask_llm_cost/pricing/prices.json",
    "flask_llm_cost/dashboard/templates/llm_cost/",
    "flask_llm_cost/dashboard/static/",
    "flask_llm_cost/_migrations/",
)
IN_SDIST = (
    "tests/conftest.py",
    "docs/conf.py",
    "examples/support_desk/__init__.py",
    "migrations_template/",
    "SECURITY.md",
    "CHANGES.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "Makefile",
    "README.md",
)
APP = """
from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from flask_llm_cost import LLMCostTracker

app = Flask(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite:///app.sqlite"
db = SQLAlchemy(app)
LLMCostTracker(app, db)
"""
BARE = "import importlib.util, sys; sys.exit(any(map(importlib.util.find_spec, sys.argv[1:])))"


def missing(names: list[str], wanted: tuple[str, ...]) -> list[str]:
    """What is not in an archive of these names; one with a slash at its end is a folder."""
    return [each for each in wanted if not any(name.startswith(each) for name in names)]


def names_of(archive: Path) -> list[str]:
    """The files of a wheel, or of an sdist without the folder that holds them."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return wheel.namelist()
    with tarfile.open(archive) as sdist:
        return [name.partition("/")[2] for name in sdist.getnames()]


def use_wheel(wheel: Path, folder: Path) -> None:
    """Install it alone, import it, and run the commands with which one begins."""
    python = folder / "wheel" / "bin" / "python"
    _run([sys.executable, "-m", "venv", folder / "wheel"], folder)
    _run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", wheel], folder)
    _run([python, "-c", BARE, *ABSENT], folder)
    _run([python, "-W", "error", "-c", "import flask_llm_cost"], folder)
    (folder / "app.py").write_text(APP, "utf-8")
    for arguments in (["setup"], ["doctor"], ["report"], ["prices", "list", "--provider", "openai"]):
        _run([python, "-m", "flask", "llm-cost", *arguments], folder)


def begin_tests(sdist: Path, folder: Path) -> None:
    """Unpack it, and let its own tests begin: all are found, and some run on the code beside them."""
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    root = folder / sdist.name.removesuffix(".tar.gz")
    pytest = [sys.executable, "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider"]
    _run([*pytest, "--collect-only"], root)
    _run([*pytest, "tests/test_usage.py", "tests/test_wording.py", "tests/test_rooms.py"], root)


def _run(command: list[str | Path], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} failed:\n{done.stdout}{done.stderr}")


def main(dist: Path) -> None:
    [wheel], [sdist] = dist.glob("*.whl"), dist.glob("*.tar.gz")
    for archive, wanted in ((wheel, IN_WHEEL), (sdist, IN_SDIST)):
        if absent := missing(names_of(archive), wanted):
            raise SystemExit(f"{archive.name} lacks {', '.join(absent)}")
    with tempfile.TemporaryDirectory() as name:
        use_wheel(wheel.resolve(), Path(name))
        begin_tests(sdist.resolve(), Path(name))
    print(f"{wheel.name} and {sdist.name} can be used.")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
