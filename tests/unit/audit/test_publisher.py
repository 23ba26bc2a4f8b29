"""Files that follow the database: what happens while they do not."""

import errno
import os
import shutil
import sqlite3
import threading

import pytest

from audit import publisher
from audit.errors import LogUnavailable
from audit.log import Log
from audit.store import Trouble
from audit.verify import verify


def refused(code, act, *args):
    with pytest.raises(LogUnavailable) as caught:
        act(*args)
    assert caught.value.code == code


@pytest.fixture
def gate(log):
    """Hold the files back until it is opened, as a disk that hangs would."""
    opened, write = threading.Event(), log._publisher._write

    def hang(newest):
        opened.wait()
        return write(newest)

    log._publisher._write = hang
    yield opened
    opened.set()


def fails(_):
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_nobody_waits_for_the_files(log, make, gate):
    assert [log.record(make()).index for _ in range(20)] == list(range(20))
    refused("tiles_behind", log.prove, 3, 0.01)
    gate.set()
    assert log.prove(19)
    assert log.prove(0)
    assert verify(log.directory).size == 20


def test_commits_that_come_quickly_share_their_files(log, make, gate):
    for _ in range(20):
        log.record(make())
    gate.set()
    log.prove(19)
    assert len(list((log.directory / "tile/0/000.p").iterdir())) < 20


def test_a_log_that_is_never_quiet_shows_its_files_all_the_same(log, make, monkeypatch):
    monkeypatch.setattr(publisher, "QUIET_SECONDS", 60)
    monkeypatch.setattr(publisher, "BUSY_SECONDS", 60)
    monkeypatch.setattr(publisher, "BUSY_COMMITS", 3)
    for _ in range(3):
        log.record(make())
    with log._publisher._turn:
        assert log._publisher._turn.wait_for(lambda: log._publisher.shown.size == 3, 10)


def test_files_that_hang_stop_the_log_after_a_while(log, make, gate, monkeypatch):
    log.record(make())
    monkeypatch.setattr(publisher, "MOST_SECONDS_BEHIND", 0)
    refused("tiles_behind", log.record, make())
    assert log.head.size == 1
    gate.set()
    log.prove(0)
    log.check_files()
    assert log.record(make()).index == 1


def test_the_log_never_goes_far_ahead_of_its_files(log, make, gate, monkeypatch):
    monkeypatch.setattr(publisher, "MOST_COMMITS_BEHIND", 2)
    monkeypatch.setattr(publisher, "PATIENCE_SECONDS", 0.01)
    log.record(make())
    log.record(make())
    refused("tiles_behind", log.record, make())
    assert log.head.size == 2
    gate.set()
    log.prove(1)
    assert log.record(make()).index == 2


def test_what_is_committed_while_files_are_written_is_shown_next(log, make, gate):
    log.record(make())
    log._publisher._urgent = True
    log._publisher.offer(log._publisher._newest)
    log.record(make())
    gate.set()
    log.prove(1)
    assert verify(log.directory).size == 2


def test_files_that_fail_are_tried_again_without_being_asked(log, make, monkeypatch):
    monkeypatch.setattr(publisher, "RETRY_SECONDS", 0.01)
    with monkeypatch.context() as patch:
        patch.setattr("audit.tiles.os.fsync", fails)
        log.record(make())
        refused("tiles_not_written", log.prove, 0)
    with log._publisher._turn:
        assert log._publisher._turn.wait_for(lambda: log._publisher.shown.size == 1, 10)


def test_a_database_that_cannot_be_read_for_the_files_stops_the_log(log, make, monkeypatch):
    def breaks(_start, _end):
        raise Trouble("disk I/O error")

    monkeypatch.setattr(log.store, "leaves", breaks)
    log.record(make())
    refused("log_state_unknown", log.prove, 0)
    refused("log_state_unknown", log.record, make())


def test_a_refusal_of_the_database_is_passed_on(log, make, monkeypatch):
    def refuses(_start, _end):
        raise LogUnavailable("disk_full", "the disk of the trail is full; nothing was recorded")

    monkeypatch.setattr(log.store, "leaves", refuses)
    log.record(make())
    refused("disk_full", log.prove, 0)


def test_what_the_files_lack_at_the_end_is_made_up_for_at_the_next_start(log, make, signer, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("audit.tiles.os.fsync", fails)
        log.record(make())
        log.close()
    again = Log(log.directory, signer)
    assert again.head.size == 1
    again.close()
    assert verify(log.directory).size == 1


def test_a_start_that_cannot_write_the_files_is_refused(trail, signer):
    shutil.rmtree(trail / "tile")
    (trail / "checkpoint").unlink()
    (trail / "tile").write_bytes(b"in the way")
    refused("tiles_not_written", Log, trail, signer)
    (trail / "tile").unlink()
    Log(trail, signer).close()
    assert verify(trail).size == 300


def test_an_end_that_cannot_be_noted_ends_all_the_same(log, make, monkeypatch, caplog):
    def breaks(_):
        raise Trouble("disk I/O error")

    log.record(make())
    monkeypatch.setattr(log.store, "note_shown", breaks)
    log.close()
    assert "not noted" in caplog.text
    assert verify(log.directory).exit_code == 0


def test_what_was_committed_is_moved_into_the_database_behind_the_commits(log, make, tmp_path):
    log.record(make())
    log.prove(0)
    with log._publisher._turn:  # the files are shown only after the pages were moved
        shutil.copy(log.directory / "log.db", tmp_path / "alone.db")
    with sqlite3.connect(tmp_path / "alone.db") as db:
        assert db.execute("SELECT count(*) FROM entry").fetchone() == (1,)
    db.close()
