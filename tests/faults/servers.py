"""Database servers of a test's own, to be stopped and started again; none of them is the machine's.

Their data lies in a directory of its own under the system's temporary one: servers do not run as root, and
root's tests keep their files to themselves.
"""

from __future__ import annotations

import glob
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.loopback import closed_port


class ServerMissing(Exception):
    """The server's program is not installed here."""


class Server:
    """A server with data of its own on a free port of this machine.

    :ivar address: where it listens.
    :ivar connections: how many it takes at a time.
    """

    user = "nobody"
    url = ""
    #: Signals that end it: as a restart does, and as a crash.
    restart, crash = signal.SIGTERM, signal.SIGKILL

    def __init__(self, folder: Path, address: str = "127.0.0.1", connections: int = 100) -> None:
        self.folder = folder
        self.address = address
        self.connections = connections
        self.port = closed_port()
        self.process: subprocess.Popen[bytes] | None = None
        self._prepare()

    def _prepare(self) -> None:
        raise NotImplementedError

    def _command(self) -> Sequence[str]:
        raise NotImplementedError

    def start(self) -> None:
        """Start it and wait until it listens."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self._command(), stdout=log, stderr=log, cwd=self.folder, **self._as_user()
            )
        deadline = time.monotonic() + 60
        while not self._listens():
            assert self.process.poll() is None, self.log
            assert time.monotonic() < deadline, self.log
            time.sleep(0.05)

    def stop(self, how: signal.Signals | None = None) -> None:
        """End it, by default as a restart does."""
        if self.process is not None:
            self.process.send_signal(how or self.restart)
            self.process.wait(60)
            self.process = None

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text("utf-8", "replace")[-4000:]

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((self.address, self.port)) == 0

    def _as_user(self) -> dict[str, Any]:
        return {"user": self.user, "group": self.user, "extra_groups": []} if os.geteuid() == 0 else {}

    def _run(self, *command: str) -> None:
        done = subprocess.run(command, capture_output=True, cwd=self.folder, text=True, **self._as_user())
        assert done.returncode == 0, done.stdout + done.stderr


class PostgreSQL(Server):
    """A cluster with one superuser, ``root``, whom it trusts."""

    user = "postgres"
    restart, crash = signal.SIGINT, signal.SIGQUIT

    def _prepare(self) -> None:
        self._bin = Path(_program("postgres", "/usr/lib/postgresql/*/bin/postgres")).parent
        self._run(f"{self._bin}/initdb", "-D", "data", "-A", "trust", "-U", "root", "--no-sync", "-E", "UTF8")
        with (self.folder / "data" / "pg_hba.conf").open("a") as rules:
            rules.write("host all all 10.0.0.0/8 trust\n")
        self.url = f"postgresql+psycopg://root@{self.address}:{self.port}/postgres"

    def _command(self) -> Sequence[str]:
        settings = {
            "port": self.port,
            "listen_addresses": self.address,
            "unix_socket_directories": "",
            "fsync": "off",  # nobody pulls the plug
            "shared_buffers": "16MB",
            "max_connections": self.connections,
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [f"{self._bin}/postgres", "-D", "data", *options]


class MariaDB(Server):
    """A server whose user ``root`` needs no password."""

    user = "mysql"

    def _prepare(self) -> None:
        self._program = _program("mariadbd", "/usr/sbin/mariadbd")
        self._run(
            _program("mariadb-install-db", "/usr/bin/mariadb-install-db"),
            "--no-defaults",
            f"--datadir={self.folder}/data",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
        )
        self.url = f"mariadb+pymysql://root@{self.address}:{self.port}/mysql"

    def _command(self) -> Sequence[str]:
        return [
            self._program,
            "--no-defaults",
            f"--datadir={self.folder}/data",
            f"--port={self.port}",
            f"--bind-address={self.address}",
            f"--socket={self.folder}/socket",
            f"--pid-file={self.folder}/pid",
            "--innodb-buffer-pool-size=16M",
            "--innodb-flush-log-at-trx-commit=2",  # survives the server, not the machine
            "--character-set-server=utf8mb4",  # as Debian has it
            f"--max-connections={self.connections}",
        ]


class PgBouncer(Server):
    """A pooler in transaction mode in front of a PostgreSQL; ``url`` leads through it."""

    user = "postgres"

    def __init__(self, folder: Path, behind: PostgreSQL) -> None:
        self._behind = behind
        super().__init__(folder)

    def _prepare(self) -> None:
        self._program = _program("pgbouncer", "/usr/sbin/pgbouncer")
        (self.folder / "users").write_text('"root" ""\n')
        (self.folder / "settings").write_text(
            "[databases]\n"
            f"* = host={self._behind.address} port={self._behind.port}\n"
            "[pgbouncer]\n"
            f"listen_addr = {self.address}\nlisten_port = {self.port}\nunix_socket_dir =\n"
            f"auth_type = trust\nauth_file = {self.folder}/users\n"
            "pool_mode = transaction\ndefault_pool_size = 3\nmax_client_conn = 200\n"
        )
        self.url = self._behind.url.replace(f":{self._behind.port}/", f":{self.port}/")

    def _command(self) -> Sequence[str]:
        return [self._program, "settings"]


@contextmanager
def running(
    make: type[PostgreSQL] | type[MariaDB], address: str = "127.0.0.1", connections: int = 100
) -> Iterator[Any]:
    """A server with nothing in it, deleted afterwards.

    :raises ServerMissing: its program is not installed.
    """
    with _folder(make.user) as folder:
        server = make(folder, address, connections)
        server.start()
        try:
            yield server
        finally:
            server.stop(server.crash)


@contextmanager
def pooled(behind: PostgreSQL) -> Iterator[PgBouncer]:
    """PgBouncer in front of a server. :raises ServerMissing: it is not installed."""
    with _folder(PgBouncer.user) as folder:
        pooler = PgBouncer(folder, behind)
        pooler.start()
        try:
            yield pooler
        finally:
            pooler.stop()


@contextmanager
def _folder(user: str) -> Iterator[Path]:
    name = tempfile.mkdtemp(prefix="llm-cost-")
    try:
        if os.geteuid() == 0:
            shutil.chown(name, user, user)
        yield Path(name)
    finally:
        shutil.rmtree(name, ignore_errors=True)


def _program(name: str, pattern: str) -> str:
    found = shutil.which(name) or next(iter(sorted(glob.glob(pattern), reverse=True)), None)
    if found is None:
        raise ServerMissing(f"{name} is not installed")
    return found
