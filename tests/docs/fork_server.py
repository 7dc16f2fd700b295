"""Runs ``python`` and ``flask`` in forks of one process that has imported already what programs import.

That saves a second and more for each. The two are scripts to be found on the PATH, which do not differ from
the real ones for those who call them: arguments, folder, environment, standard streams, exit code.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import runpy
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PRELOADED = (
    "flask.cli",
    "flask_login",
    "flask_migrate",
    "flask_sqlalchemy",
    "openai",
    "anthropic",
    "google.genai",
    "celery",
    "rich.table",
    "sqlalchemy.dialects.sqlite",
)
OURS = ("analytics", "assembly", "budgets", "cli", "dashboard", "doctor", "ingest", "ledger", "maintenance")
_COMMAND = """#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    told = json.dumps([sys.argv, os.getcwd(), dict(os.environ)]).encode()
    socket.send_fds(server, [told[:1024]], [0, 1, 2])
    server.sendall(told[1024:])
    server.shutdown(socket.SHUT_WR)
    sys.exit(int(server.recv(16) or 70))
"""


@contextmanager
def commands(folder: Path) -> Iterator[Path]:
    """A folder with ``python`` and ``flask``."""
    address = str(folder / "fork_server")
    found = folder / "bin"
    found.mkdir()
    for name in ("python", "flask"):
        path = found / name
        path.write_text(_COMMAND.format(python=sys.executable, address=address), "utf-8")
        path.chmod(0o755)
    server = subprocess.Popen(
        [sys.executable, "-W", "error::DeprecationWarning:__main__", __file__, address],
        stdout=subprocess.PIPE,
    )
    with server:
        assert server.stdout is not None
        try:
            assert server.stdout.readline() == b"ready\n"
            yield found
        finally:
            server.terminate()


def serve(address: str) -> None:
    """Fork for each command that connects."""
    for name in PRELOADED:
        importlib.import_module(name)
    for room in OURS:
        importlib.import_module(f"flask_llm_cost.{room}")
    gc.freeze()  # what is imported is neither looked at nor copied by the forks
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        print("ready", flush=True)
        while True:
            connection, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                _watch(connection)
                return
            connection.close()
            with contextlib.suppress(ChildProcessError):
                os.waitpid(-1, os.WNOHANG)


def _watch(connection: socket.socket) -> None:
    """Fork the command itself, wait for it and tell how it ended."""
    told, descriptors, _, _ = socket.recv_fds(connection, 1024, 3)
    while received := connection.recv(65_536):
        told += received
    if (child := os.fork()) == 0:
        connection.close()
        _become(*json.loads(told), descriptors)
        return
    _, status = os.waitpid(child, 0)
    connection.sendall(str(os.waitstatus_to_exitcode(status) % 256).encode())
    os._exit(0)


def _become(arguments: list[str], folder: str, environment: dict[str, str], descriptors: list[int]) -> None:
    """Be the command; what is raised, ``SystemExit`` too, ends this process as it would end any other."""
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[0] = folder
    name = Path(arguments[0]).name
    sys.argv[:] = [name, *arguments[1:]] if name == "flask" else arguments[1:]
    if name == "flask":
        importlib.import_module("flask.cli").main()
    else:
        runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    serve(sys.argv[1])
