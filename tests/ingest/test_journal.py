"""In journal mode a call waits on disk until its row is committed, whatever happens to disk and database."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Connection
from sqlalchemy import event
from sqlalchemy import text
from sqlalchemy.orm import Session

from flask_llm_cost import StorageError
from flask_llm_cost import call_recorded
from flask_llm_cost.events import Event
from flask_llm_cost.ingest import writer
from flask_llm_cost.journal import encode
from flask_llm_cost.journal import frame
from flask_llm_cost.journal import survey
from flask_llm_cost.ledger import rollup_drift
from tests import made_events
from tests.ingest.hosts import Host
from tests.ingest.hosts import eventually


@pytest.fixture
def make(make_host: Callable[..., Host]) -> Callable[..., Host]:
    """Makes hosts in journal mode."""

    def make(url: str, **config: Any) -> Host:
        return make_host(url, **{"LLM_COST_INGESTION": "journal", **config})

    return make


def recorded(host: Host, event: Event) -> None:
    host.runtime.recorder.record(event)


def rollups_agree(host: Host) -> bool:
    assert host.runtime.ledger is not None
    with Session(host.engine) as session:
        return rollup_drift(session) == []


def files(host: Host, suffix: str = ".seg") -> list[Path]:
    return sorted(host.journal.glob(f"*{suffix}"))


def test_a_call_is_on_disk_before_it_returns_and_in_the_ledger_soon(
    make: Callable[..., Host], database_url: str
) -> None:
    host = make(database_url)
    with host.app.app_context():
        host.call()
        found = survey(host.journal)
        assert (found.segments, found.orphans) == (1, 0)
        assert eventually(lambda: host.stored() == 1)
    assert eventually(lambda: host.runtime.pending == 0)
    assert host.counts["written"] == 1


def test_the_hosts_rollback_does_not_take_the_call_along(
    make: Callable[..., Host], database_url: str
) -> None:
    host = make(database_url)

    @host.app.get("/")
    def page() -> str:
        host.db.session.add(host.Note(body="half done"))
        host.db.session.flush()
        host.call()
        raise ValueError("the view fails")

    assert host.app.test_client().get("/").status_code == 500
    assert host.tracker.flush(10)
    assert (host.stored(), host.notes()) == (1, 0)


def test_nothing_is_written_in_the_thread_of_the_call(make: Callable[..., Host], database_url: str) -> None:
    host = make(database_url)
    threads: set[str] = set()

    @event.listens_for(host.runtime.ledger.engine, "before_cursor_execute")  # type: ignore[union-attr]
    def executed(*args: object) -> None:
        threads.add(threading.current_thread().name)

    with host.app.app_context():
        host.call()
        assert host.tracker.flush(10)
    assert threads == {"llm-cost-writer"}


def test_calls_are_written_in_batches_and_the_journal_goes_with_them(
    make: Callable[..., Host], tmp_path: Path
) -> None:
    host = make(f"sqlite:///{tmp_path / 'app.db'}")
    commits: list[int] = []

    @event.listens_for(host.runtime.ledger.engine, "commit")  # type: ignore[union-attr]
    def committed(connection: Connection) -> None:
        commits.append(1)

    for _ in range(1200):
        host.call()
    assert host.tracker.flush(30)
    assert host.stored() == 1200
    assert len(commits) <= 20
    host.tracker.shutdown()
    assert files(host) == []
    assert rollups_agree(host)


def test_while_the_tables_are_missing_calls_wait_and_the_log_says_so_once(
    make: Callable[..., Host], database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    host = make(database_url)
    with host.app.app_context():
        host.db.drop_all()
        for _ in range(3):
            host.call()
        assert host.tracker.flush(2) is False
        assert (host.runtime.pending, host.counts["recorded"]) == (3, 3)
        assert caplog.text.count("Calls wait in the journal") == 1
        host.db.create_all()
        assert host.tracker.flush(10)
    assert host.stored() == 3


def test_who_waits_for_a_write_that_fails_has_it_tried_again(
    make: Callable[..., Host], tmp_path: Path
) -> None:
    host = make(f"sqlite:///{tmp_path / 'app.db'}")
    with host.app.app_context():
        host.db.drop_all()
        host.call()
        mended = threading.Thread(target=_mend, args=(host,))
        mended.start()
        assert host.tracker.flush(60)
        mended.join()
    assert host.counts["storage_errors"] >= 2


def _mend(host: Host) -> None:
    """Make the tables once writing has failed twice."""
    assert eventually(lambda: host.counts["storage_errors"] >= 2)
    with host.app.app_context():
        host.db.create_all()


def test_a_database_that_comes_back_is_found_without_being_asked(
    make: Callable[..., Host], tmp_path: Path
) -> None:
    host = make(f"sqlite:///{tmp_path / 'app.db'}")
    with host.app.app_context():
        host.db.drop_all()
        host.call()
        assert eventually(lambda: host.counts["storage_errors"] >= 2)  # it tries again by itself
        host.db.create_all()
    assert eventually(lambda: host.stored() == 1)


def test_what_a_closed_process_could_not_write_the_next_one_writes(
    make: Callable[..., Host], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url = f"sqlite:///{tmp_path / 'app.db'}"
    first = make(url)
    with first.app.app_context():
        first.db.drop_all()
        first.call()
        first.tracker.shutdown()
        assert "1 calls wait in" in caplog.text
        first.db.create_all()
    assert first.stored() == 0
    second = make(url)
    assert survey(first.journal).orphans == 1
    with second.app.app_context():
        assert second.tracker.calls.count() == 1  # a reader brings it along
    assert (second.stored(), second.counts["journal_adopted"]) == (1, 1)
    assert files(second) == []


def test_two_databases_share_a_directory_and_keep_to_themselves(
    make: Callable[..., Host], tmp_path: Path
) -> None:
    one, other = (make(f"sqlite:///{tmp_path / name}.db") for name in ("one", "other"))
    with one.app.app_context():
        one.db.drop_all()
        one.call()
        one.tracker.shutdown()
        one.db.create_all()
    other.call()
    assert other.tracker.flush(10)
    assert (one.stored(), other.stored()) == (0, 1)
    assert len(list((tmp_path / "llm_cost").iterdir())) == 2
    again = make(f"sqlite:///{tmp_path / 'one'}.db")
    assert again.tracker.flush(10)
    assert (one.stored(), other.stored()) == (1, 1)


def test_replayed_journals_count_once(make: Callable[..., Host], database_url: str) -> None:
    """Eight copies of the same journal, as if every checkpoint had been lost."""
    host = make(database_url)
    for _ in range(20):
        host.call()
    (segment,) = files(host)
    copies = [segment.with_name(f"00000000-{number}-copy.seg") for number in range(8)]
    content = segment.read_bytes()
    assert host.tracker.flush(10)
    for copy in copies:
        copy.write_bytes(content)
    replayers = [make(database_url) for _ in range(4)]
    threads = [threading.Thread(target=replayer.tracker.flush, args=(20,)) for replayer in replayers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(replayer.tracker.flush(20) for replayer in replayers)
    assert host.stored() == 20
    assert sum(replayer.counts["journal_adopted"] for replayer in replayers) == 8
    assert rollups_agree(host)


def test_an_event_told_twice_differently_counts_as_it_was_first(
    make: Callable[..., Host], tmp_path: Path
) -> None:
    host = make(f"sqlite:///{tmp_path / 'app.db'}")
    first = made_events.event(cost="0.5")
    for one in (first, replace(first, model="another", total_cost=Decimal(7))):
        recorded(host, one)
        assert host.tracker.flush(10)
    with host.app.app_context():
        assert host.tracker.calls.total_cost() == Decimal("0.5")
    assert host.stored() == 1


def test_a_poisoned_event_does_not_hold_up_the_others(make: Callable[..., Host], database_url: str) -> None:
    host = make(database_url)
    for number in range(40):
        poisoned = {"input_tokens": -1} if number == 17 else {}
        recorded(host, made_events.event(**poisoned))
    assert host.tracker.flush(20)
    assert host.stored() == 39
    with host.engine.connect() as connection:
        reasons = connection.scalars(text("SELECT reason FROM llm_cost_quarantine")).all()
    assert reasons == ["input_tokens is not a whole number in range"]
    assert rollups_agree(host)


def test_an_event_that_breaks_the_writer_itself_is_set_aside(
    make: Callable[..., Host], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    host = make(f"sqlite:///{tmp_path / 'app.db'}")
    strange = json.loads(encode(made_events.event())) | {"tags": 7}
    host.call()
    (segment,) = files(host)
    with segment.with_name("00000000-1-strange.seg").open("wb") as file:
        file.write(segment.read_bytes()[:47])
        file.write(frame(json.dumps(strange).encode()))
        file.write(frame(encode(made_events.event())))
        file.write(b"\x1e00000004 deadbeef gone\n")
        file.write(frame(b"[]"))
    assert host.tracker.flush(10)
    assert host.stored() == 2
    assert host.counts["journal_damaged"] == 3
    (aside,) = files(host, ".damaged")
    assert aside.read_bytes().count(b"\x1e") == 3
    assert "set aside" in caplog.text


def test_a_journal_of_a_later_version_waits_for_it(make: Callable[..., Host], tmp_path: Path) -> None:
    host = make(f"sqlite:///{tmp_path / 'app.db'}")
    host.call()
    (segment,) = files(host)
    later = segment.with_name("00000000-1-later.seg")
    told = json.loads(encode(made_events.event())) | {"carbon_grams": "1"}
    later.write_bytes(segment.read_bytes()[:47] + frame(json.dumps(told).encode()))
    assert host.tracker.flush(10)
    assert host.stored() == 1
    assert (later.exists(), survey(host.journal).orphans) == (True, 1)


def test_an_abandoned_call_is_brought_along_by_the_writer(make: Callable[..., Host], tmp_path: Path) -> None:
    host = make(f"sqlite:///{tmp_path / 'app.db'}")
    host.call()
    host.runtime.recorder.record(made_events.event(), from_finalizer=True)
    assert host.runtime.pending >= 1
    assert host.tracker.flush(10)
    assert host.stored() == 2


def test_an_abandoned_call_is_on_disk_when_its_request_ends(
    make: Callable[..., Host], tmp_path: Path
) -> None:
    host = make(f"sqlite:///{tmp_path / 'app.db'}")
    with host.app.app_context():
        host.runtime.recorder.record(made_events.event(), from_finalizer=True)
        assert host.runtime.recorder.pending == 1
    assert host.runtime.recorder.pending == 0
    assert survey(host.journal).segments == 1
    assert eventually(lambda: host.stored() == 1)


def test_many_abandoned_calls_before_any_other_are_taken_one_after_another(
    make: Callable[..., Host], tmp_path: Path
) -> None:
    host = make(f"sqlite:///{tmp_path / 'app.db'}")
    for _ in range(300):
        host.runtime.recorder.record(made_events.event(), from_finalizer=True)
    host.call()
    assert host.tracker.flush(10)
    assert host.stored() == 301


def test_an_abandoned_call_outside_of_every_request_is_found_soon(
    make: Callable[..., Host], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert writer.IDLE_SECONDS <= 5  # as docs/limits.md says
    monkeypatch.setattr(writer, "IDLE_SECONDS", 0.05)
    host = make(f"sqlite:///{tmp_path / 'app.db'}")
    host.call()
    assert eventually(lambda: host.stored() == 1)
    host.runtime.recorder.record(made_events.event(), from_finalizer=True)
    assert eventually(lambda: host.stored() == 2)


def test_a_receiver_that_flushes_in_the_writer_does_not_wait_for_itself(
    make: Callable[..., Host], tmp_path: Path
) -> None:
    host = make(f"sqlite:///{tmp_path / 'app.db'}")
    answers: list[bool] = []

    def receiver(app: object, event: Event) -> None:
        if threading.current_thread().name == "llm-cost-writer":
            answers.append(host.tracker.flush())

    with call_recorded.connected_to(receiver):
        host.runtime.recorder.record(made_events.event(), from_finalizer=True)
        host.runtime.ingest.accept(made_events.event())  # wakes the writer, which brings the other along
        assert eventually(lambda: host.stored() == 2)
    assert answers == [False]


def test_a_write_lock_held_by_the_request_itself_only_delays_the_row(
    make: Callable[..., Host], tmp_path: Path
) -> None:
    path = tmp_path / "app.db"
    host = make(f"sqlite:///{path}")
    with host.app.app_context():
        host.call()
        assert host.tracker.flush(10)
        host.db.session.execute(text("BEGIN IMMEDIATE"))
        host.db.session.add(host.Note(body="kept"))
        host.db.session.flush()
        began = time.monotonic()
        host.call()
        assert time.monotonic() - began < 1
        time.sleep(0.4)  # the writer meets the lock
        host.db.session.commit()
    assert host.tracker.flush(10)
    assert (host.stored(), host.notes()) == (2, 1)


def test_a_journal_that_is_full_falls_back_to_memory_and_then_raises_if_asked(
    make: Callable[..., Host], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    host = make(
        f"sqlite:///{tmp_path / 'app.db'}",
        LLM_COST_JOURNAL_MAX_BYTES=1 << 20,
        LLM_COST_BUFFER_SIZE=2,
        LLM_COST_STORAGE_ERROR="raise",
        TESTING=True,  # what is in memory is written by flush() only
    )
    big = {f"part_{number}": "x" * 900 for number in range(7)}
    with host.app.app_context():
        host.db.drop_all()
        event = made_events.event(details=big)
        while host.counts["journal_errors"] < 2:
            recorded(host, replace(event, event_id=str(uuid4())))
        with pytest.raises(StorageError, match="LLM_COST_BUFFER_SIZE"):
            recorded(host, event)
        calls = host.counts["recorded"]
        assert calls < 400
        assert host.runtime.pending == calls
        assert host.counts["journal_errors"] == 3
        assert host.counts["dropped"] == 1
        assert "the journal does not take it (JournalFull" in caplog.text
        host.db.create_all()
        assert host.tracker.flush(30)
        assert host.stored() == calls
        host.call()
    assert host.counts["journal_errors"] == 3


@pytest.mark.parametrize("fsync", ["never", "always"])
def test_how_often_the_disk_is_waited_for_changes_no_row(
    make: Callable[..., Host], tmp_path: Path, fsync: str
) -> None:
    host = make(f"sqlite:///{tmp_path / 'app.db'}", LLM_COST_JOURNAL_FSYNC=fsync)
    for _ in range(3):
        host.call()
    assert host.tracker.flush(10)
    assert host.stored() == 3


def test_many_threads_append_to_one_segment(make: Callable[..., Host], tmp_path: Path) -> None:
    host = make(f"sqlite:///{tmp_path / 'app.db'}")
    threads = [threading.Thread(target=lambda: [host.call() for _ in range(50)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert host.tracker.flush(20)
    assert host.stored() == 400
    assert rollups_agree(host)


def test_a_stop_in_the_middle_of_a_write_writes_what_came_meanwhile(
    make: Callable[..., Host], tmp_path: Path
) -> None:
    host = make(f"sqlite:///{tmp_path / 'app.db'}", LLM_COST_SHUTDOWN_TIMEOUT=20)
    writing = threading.Event()

    @event.listens_for(host.runtime.ledger.engine, "commit")  # type: ignore[union-attr]
    def slow(connection: Connection) -> None:
        writing.set()
        time.sleep(0.3)

    host.call()
    assert writing.wait(10)
    host.call()
    began = time.monotonic()
    host.tracker.shutdown()
    assert time.monotonic() - began < 10
    assert host.stored() == 2
    assert files(host) == []


def test_nothing_private_is_in_the_journal(make: Callable[..., Host], tmp_path: Path) -> None:
    host = make(f"sqlite:///{tmp_path / 'app.db'}", LLM_COST_JOURNAL_FSYNC="never")
    with host.app.app_context():
        host.db.drop_all()
        host.tracker.track(
            provider="openai",
            model="gpt-4o-mini",
            input_tokens=1,
            tags={"api_key": "hunter2", "note": "sk-abcdefghijklmnopqrstuvwxyz0123456789"},
        )
        (segment,) = files(host)
        told = segment.read_text("ascii")
        host.db.create_all()
    assert "[redacted]" in told
    assert "hunter2" not in told
    assert "sk-abc" not in told


def test_nothing_is_logged_when_all_is_well(
    make: Callable[..., Host], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    host = make(f"sqlite:///{tmp_path / 'app.db'}")
    with caplog.at_level(logging.WARNING):
        host.call()
        assert host.tracker.flush(10)
        host.tracker.shutdown()
    assert caplog.text == ""
