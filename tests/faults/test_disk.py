"""When the journal's disk is full, read-only or gone, calls wait in memory and the host notices nothing."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.ingest.hosts import Host

root = pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with room for 64 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", place], capture_output=True)
    if mounted.returncode:
        pytest.skip("no file system can be mounted here")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


@pytest.fixture
def make_host(tmp_path: Path) -> Iterator[Callable[[Path], Host]]:
    hosts: list[Host] = []

    def make(journal: Path) -> Host:
        url = f"sqlite:///{tmp_path / 'app.db'}"
        hosts.append(Host(url, tmp_path, LLM_COST_INGESTION="auto", LLM_COST_JOURNAL_DIR=str(journal)))
        return hosts[-1]

    yield make
    for host in hosts:
        host.close()


@contextmanager
def file_size_limit(length: int) -> Iterator[None]:
    """No file of this process may grow beyond ``length`` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (length, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@root
def test_a_full_disk(make_host: Callable[[Path], Host], disk: Path, caplog: pytest.LogCaptureFixture) -> None:
    host = make_host(disk / "journal")
    with host.app.app_context():
        host.db.drop_all()  # the journal cannot be emptied
        for _ in range(150):
            host.call()
        assert host.counts["recorded"] == 150
        failed = host.counts["journal_errors"]
        assert 0 < failed < 150
        assert host.runtime.pending == 150
        assert "the journal does not take it (OSError" in caplog.text
        host.db.create_all()
        assert host.tracker.flush(20)
        host.call()  # there is room again
        assert host.tracker.flush(20)
    assert (host.stored(), host.counts["journal_errors"]) == (151, failed)


@root
def test_a_disk_that_becomes_read_only(make_host: Callable[[Path], Host], disk: Path) -> None:
    host = make_host(disk / "journal")
    host.call()
    assert host.tracker.flush(10)
    before = host.stored()
    remount = ["mount", "-o", "remount,ro", str(disk)]
    if subprocess.run(remount, capture_output=True).returncode:
        # The segment is open for writing: retire it first, as an idle process does.
        host.tracker.shutdown()
        pytest.skip("the file system cannot be remounted while a segment is open")
    with host.app.app_context():
        host.call()
        assert host.tracker.flush(10)
    assert host.stored() == before + 1


@root
def test_a_disk_that_is_read_only_from_the_start(
    make_host: Callable[[Path], Host], disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    host = make_host(disk / "journal")
    for _ in range(3):
        with host.app.app_context():
            host.call()
    assert (host.stored(), host.runtime.ingest.mode) == (3, "inline")
    assert caplog.text.count("LLM calls wait in memory until they are written") == 1


def test_a_file_that_may_not_grow(make_host: Callable[[Path], Host], tmp_path: Path) -> None:
    """An append that is cut short in the middle leaves no torn record behind."""
    host = make_host(tmp_path / "journal")
    with host.app.app_context():
        host.db.drop_all()
        with file_size_limit(10_000):
            for _ in range(50):
                host.call()
        assert 0 < host.counts["journal_errors"] < 50
        host.call()
        host.db.create_all()
        assert host.tracker.flush(20)
    assert (host.stored(), host.counts["journal_damaged"]) == (51, 0)


def test_a_directory_that_is_deleted_under_a_running_process(
    make_host: Callable[[Path], Host], tmp_path: Path
) -> None:
    host = make_host(tmp_path / "journal")
    host.call()
    subprocess.run(["rm", "-r", str(tmp_path / "journal")], check=True)
    host.call()
    assert host.tracker.flush(10)
    assert host.stored() == 2
