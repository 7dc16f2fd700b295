"""The pinned packages that prices come from, and the throwaway environment that reads them."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import venv
import zipfile
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import fields
from decimal import Decimal
from pathlib import Path
from typing import Any

from ...errors import LLMCostError
from ..published.litellm import Rows


class BuildError(LLMCostError, RuntimeError):
    """The table cannot be made: a package is not what was pinned, or its data breaks a rule."""


@dataclass(frozen=True, slots=True)
class Pin:
    """One package, to the byte. All three are what a wheel's name and licence file say."""

    name: str
    version: str
    sha256: str
    licence: str

    def as_source(self) -> dict[str, str]:
        """What the table says of it."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


GENAI_PRICES = Pin(
    name="genai-prices",
    version="0.2.3",
    sha256="56976ce2b04ec206117f7d0e53f4849211a6724ab3a12119afec304eba63ee25",
    licence="MIT",
)
LITELLM = Pin(
    name="litellm",
    version="1.109.1",
    sha256="1c8b4dd671fa0cd0850aa751678704ff77e595fb1e6085b2dc3be39ee19bdaaf",
    licence="MIT",
)
_LITELLM_JSON = "litellm/model_prices_and_context_window_backup.json"
# litellm's wheels differ by platform only in compiled code; one of them is pinned.
_WHEEL_TAGS = ("--platform", "manylinux_2_28_x86_64", "--python-version", "3.11")


def fetch(pin: Pin, directory: Path) -> Path:
    """Download a pinned wheel with pip.

    :raises BuildError: the wheel's hash is not the pinned one.
    """
    wanted = f"{pin.name}=={pin.version}"
    options = ("--no-deps", "--only-binary", ":all:", "--quiet", "--disable-pip-version-check")
    _run([sys.executable, "-m", "pip", "download", *options, *_WHEEL_TAGS, "-d", str(directory), wanted])
    pattern = f"{pin.name.replace('-', '_')}-{pin.version}-*.whl"
    wheel = next(directory.glob(pattern))
    found = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if found != pin.sha256:
        raise BuildError(f"{wheel.name} has the hash {found}, pinned is {pin.sha256}.")
    return wheel


def litellm_rows(wheel: Path) -> Rows:
    """The price table inside litellm's wheel, numbers as exact decimals. The package is not installed."""
    with zipfile.ZipFile(wheel) as archive:
        rows: Rows = json.loads(archive.read(_LITELLM_JSON), parse_float=Decimal)
    return rows


def genai_data(wheel: Path, directory: Path, candidates: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """The data of genai-prices as plain JSON values, read by a Python of its own.

    :param candidates: names, by provider, of which it shall say to which of its models they belong.
    """
    environment = directory / "environment"
    venv.create(environment, with_pip=True)
    python = str(environment / "bin" / "python")
    _run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(wheel)])
    script = Path(__file__).with_name("genai_dump.py")
    answer = _run([python, str(script)], text=json.dumps(candidates))
    data: dict[str, Any] = json.loads(answer)
    return data


def _run(command: Sequence[str], text: str = "") -> str:
    # The command is made of constants and paths of ours.
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise BuildError(f"{' '.join(command[:4])} failed:\n{done.stderr[-2000:]}")
    return done.stdout
