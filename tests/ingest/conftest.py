"""Hosts for the tests of this room."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.ingest.hosts import Host


@pytest.fixture
def make_host(tmp_path: Path) -> Iterator[Callable[..., Host]]:
    """Makes hosts in inline mode, or as the given configuration says."""
    hosts: list[Host] = []

    def make(url: str, **config: Any) -> Host:
        hosts.append(Host(url, tmp_path, **{"LLM_COST_INGESTION": "inline", **config}))
        return hosts[-1]

    yield make
    for host in hosts:
        host.close()
