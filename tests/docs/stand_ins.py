"""Commands that documented blocks call and that must not do here what they do there."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.docs.blocks import ROOT

#: Only the extras that a requirement names are checked: there is no index here that has this package.
_PIP = f"""#!/bin/sh
exec {sys.executable} -c '
import re, sys
from importlib.metadata import metadata
extras = set(metadata("flask-llm-cost").get_all("Provides-Extra"))
for requirement in sys.argv[1:]:
    if requirement.startswith("flask-llm-cost"):
        named = re.findall(r"[a-z]+", requirement.partition("[")[2])
        assert set(named) <= extras, requirement
' "$@"
"""
STAND_INS = {
    "pip": _PIP,
    "make": f'#!/bin/sh\nexec /usr/bin/make -n -C {ROOT} "$@"\n',
    "jq": f"#!/bin/sh\nexec {sys.executable} -m json.tool > /dev/null\n",
    "mail": '#!/bin/sh\ngrep -c . >/dev/null || { echo "mail: nothing to send" >&2; exit 1; }\n',
}


def write_stand_ins(folder: Path) -> None:
    """Put them into a folder of the PATH."""
    for name, script in STAND_INS.items():
        path = folder / name
        path.write_text(script, "utf-8")
        path.chmod(0o755)
