"""Run a command beside a PostgreSQL and a MariaDB of its own: ``python -m tests.faults.beside make check``.

Their data lies under the system's temporary directory, which may be in memory: the suite makes and drops
some ten thousand tables, and on a disk it would mostly wait for them to be written. A server whose URL is in
the environment already is used as it is.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack

from tests.faults.servers import MariaDB
from tests.faults.servers import PostgreSQL
from tests.faults.servers import running

SERVERS: dict[str, type[PostgreSQL] | type[MariaDB]] = {
    "LLM_COST_TEST_POSTGRESQL_URL": PostgreSQL,
    "LLM_COST_TEST_MARIADB_URL": MariaDB,
}


def main(command: list[str]) -> int:
    if not command:
        sys.exit("Which command? python -m tests.faults.beside make check")
    environment = dict(os.environ)
    with ExitStack() as stack:
        for name, server in SERVERS.items():
            if not environment.get(name):
                environment[name] = stack.enter_context(running(server, connections=200)).url
        return subprocess.call(command, env=environment)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
