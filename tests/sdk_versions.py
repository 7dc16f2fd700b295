"""Run tests on other versions of the SDKs, and of the libraries we stand on, than the newest.

``python -m tests.sdk_versions [--short] lowest|oldest|former|newest ...``

``oldest`` are the lower bounds of pyproject.toml, all at once; ``former`` the last ones of the major versions
before. ``lowest`` are the lower bounds of everything that is no SDK: Flask, SQLAlchemy, click and so on. Each
set is installed with pip into a folder of its own that stands before the environment's packages.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / ".venv" / "sdks"
EXTRAS = ("openai", "anthropic", "google", "groq")
FORMER = ("openai<3", "anthropic<1", "google-genai<3", "groq<1")
TESTS = ("tests/capture", "tests/doctor/test_verify.py", "tests/test_main_job.py")
#: What stands on Flask, SQLAlchemy, click, rich and PyYAML.
LOWEST = (
    "tests/extension",
    "tests/ledger",
    "tests/analytics",
    "tests/ingest",
    "tests/dashboard",
    "tests/doctor",
    "tests/cli",
    "tests/pricing/test_documents.py",
    "-m",
    "not browser",
)
LOWEST_EXTRAS = ("migrate", "postgresql", "mysql", "parquet")
#: What the short form leaves out has nothing to do with an SDK, or is slow.
SHORT = (
    "tests/capture/test_shapes.py",
    "tests/capture/test_endings.py",
    "tests/capture/test_failures.py",
    "tests/capture/test_google.py",
    "tests/capture/test_google_endings.py",
    "tests/capture/test_google_failures.py",
    "tests/capture/test_google_interactions.py",
    "tests/capture/test_groq.py",
    "tests/capture/test_sdk_methods.py",
    "tests/capture/test_stream_usage.py",
)


def requirements(versions: str) -> list[str]:
    """What pip is asked for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    if versions == "lowest":
        bounds = [*project["dependencies"], *(extras[extra][0] for extra in LOWEST_EXTRAS)]
        return [bound.replace(">=", "==") for bound in bounds]
    bounds = [extras[extra][0] for extra in EXTRAS]
    if versions == "oldest":
        return [bound.replace(">=", "==") for bound in bounds]
    return list(FORMER) if versions == "former" else [re.split("[<>=]", bound)[0] for bound in bounds]


def install(versions: str) -> Path:
    """A folder with these versions, made anew."""
    folder = FOLDER / versions
    shutil.rmtree(folder, ignore_errors=True)
    command = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--target"]
    subprocess.run([*command, str(folder), *requirements(versions)], check=True, timeout=600)
    return folder


def _tests(versions: str, *, short: bool) -> tuple[str, ...]:
    if versions == "lowest":
        return LOWEST
    return SHORT if short else TESTS


def passes(versions: str, *, short: bool) -> bool:
    """Run the tests on these versions, and say how it went."""
    began = time.monotonic()
    folder = install(versions)
    names = sorted(path.name for path in folder.glob("*.dist-info"))
    told = r"(?i)openai|anthropic|google_genai|groq|flask|sqlalchemy|click|pyyaml"
    sdks = [name for name in names if re.match(told, name)]
    print(f"== {versions}: {', '.join(name.removesuffix('.dist-info') for name in sdks)}", flush=True)
    # An old SDK uses what its dependencies have deprecated since.
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-n",
        "auto",
        "--dist",
        "loadfile",
        "-W",
        "default::DeprecationWarning",
        "-p",
        "no:cacheprovider",
    ]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run(
        [*command, *_tests(versions, short=short)], cwd=ROOT, env=environment, check=False, timeout=3600
    )
    print(
        f"== {versions}: {'passed' if done.returncode == 0 else 'failed'} in {time.monotonic() - began:.0f} s"
    )
    return done.returncode == 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("versions", nargs="+", choices=("lowest", "oldest", "former", "newest"))
    parser.add_argument("--short", action="store_true", help="the tests that differ between versions most")
    given = parser.parse_args()
    return 0 if all([passes(versions, short=given.short) for versions in given.versions]) else 1


if __name__ == "__main__":
    sys.exit(main())
