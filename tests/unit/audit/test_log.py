import errno
import os
import sqlite3
import threading
from concurrent.futures import Future

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit import log as log_module
from audit.checkpoint import Signer, open_checkpoint
from audit.errors import Conflict, LogDamaged, LogUnavailable, NotFound
from audit.log import Log
from audit.proof import check_proof
from audit.store import Store, Trouble
from audit.verify import verify


def refused(code, act, *args, kind=LogUnavailable):
    with pytest.raises(kind) as caught:
        act(*args)
    assert caught.value.code == code
    return caught.value


def files_of(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def limit_pages(log, spare):
    """Let the database grow by so many pages and no more: SQLite then says that the disk is full."""

    def limit(connection, _record, _proxy):
        used = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {used + spare}")

    sa.event.listen(log.store._engine, "checkout", limit)
    return lambda: sa.event.remove(log.store._engine, "checkout", limit)


def test_an_accepted_event_has_its_index_and_the_hash_that_is_in_the_tree(log, make, signer):
    first, second = log.record(make()), log.record(make())
    assert (first.index, second.index) == (0, 1)
    proven = check_proof(log.prove(1), signer.verifier)
    assert proven.checkpoint.size == 2
    assert log_module.leaf_hash(proven.entry) == second.leaf_sha256


def test_events_that_wait_together_are_committed_together(log, make):
    answers = [log.submit(make()) for _ in range(100)]
    assert [each.result().index for each in answers] == list(range(100))
    with log.store._engine.connect() as db:
        assert db.exec_driver_sql("SELECT count(*) FROM checkpoint").scalar_one() < 100


def test_the_same_event_twice_gets_the_same_answer_and_one_entry(log, make):
    event = make()
    together = [log.submit(event), log.submit(event)]
    assert together[0].result() == together[1].result() == log.record(event)
    assert log.head.size == 1


def test_an_id_with_other_bytes_is_a_conflict_and_writes_nothing(log, make):
    event = make()
    log.record(event)
    refused("event_id_taken", log.record, make(id=event.id, project="project-b"), kind=Conflict)
    assert log.head.size == 1


def test_two_events_with_one_id_in_one_batch_conflict(log, make):
    event = make()
    both = [log.submit(event), log.submit(make(id=event.id, project="project-b"))]
    assert both[0].result().index == 0
    refused("event_id_taken", both[1].result, kind=Conflict)


def test_an_event_nobody_waits_for_any_more_is_not_begun(log, make):
    waiting: Future = Future()
    waiting.cancel()
    log._queue.put(log_module._Waiting(make(), waiting))
    assert log.record(make()).index == 0


def test_a_second_sequencer_on_the_folder_is_refused(log, signer):
    refused("second_recorder", Log, log.directory, signer)


def test_a_closed_log_refuses_and_closes_once(log, make):
    log.close()
    log.close()
    refused("log_closed", log.record, make())


def test_the_folder_is_free_after_closing_and_goes_on_where_it_was(log, make, signer):
    for _ in range(3):
        log.record(make())
    head = log.head
    log.close()
    again = Log(log.directory, signer)
    assert again.head == head
    assert again.record(make()).index == 3
    again.close()
    assert verify(log.directory).integrity


def test_an_empty_log_reopens(log, signer):
    log.close()
    again = Log(log.directory, signer)
    assert again.head.size == 0
    again.close()


def test_files_that_were_lost_are_derived_again_from_the_database(whole, trail, signer):
    for name in ("tile", "checkpoint"):
        (trail / name).rename(trail.parent / name)
    Log(trail, signer).close()
    of_earlier_sizes = {path for path in (whole / "tile").rglob("*.p/*") if path.name not in {"44", "1"}}
    before, after = files_of(whole / "tile"), files_of(trail / "tile")
    before = {path: held for path, held in before.items() if whole / "tile" / path not in of_earlier_sizes}
    assert {path: after[path] for path in before} == before
    assert (trail / "checkpoint").read_bytes() == (whole / "checkpoint").read_bytes()


def test_unfinished_files_of_a_killed_process_are_cleared(trail, signer):
    (trail / "scratch" / "000").write_bytes(b"half")
    Log(trail, signer).close()
    assert not list((trail / "scratch").iterdir())


def test_partial_tiles_are_dropped_once_the_full_one_is_there(log, make):
    log.record(make())
    for each in [log.submit(make()) for _ in range(256)]:
        each.result()
    log.prove(256)
    assert not (log.directory / "tile/0/000.p").exists()
    assert not (log.directory / "tile/entries/000.p").exists()
    assert (log.directory / "tile/0/000").stat().st_size == 8192


def test_a_proof_of_an_entry_that_is_not_there_is_refused(log, make):
    log.record(make())
    refused("no_entry", log.prove, 1, kind=NotFound)
    refused("no_entry", log.prove, -1, kind=NotFound)


def test_files_that_cannot_be_written_refuse_the_next_event_and_heal(log, make):
    """The entry acknowledged first is durable; nothing is added until the files show it."""
    log.record(make())
    log.prove(0)
    level = log.directory / "tile" / "0"
    level.rename(log.directory / "kept")
    level.write_bytes(b"in the way")
    assert log.record(make()).index == 1
    refused("tiles_not_written", log.prove, 1)
    refused("tiles_not_written", log.check_files)
    refused("tiles_not_written", log.record, make())
    assert log.head.size == 2
    level.unlink()
    (log.directory / "kept").rename(level)
    assert log.record(make()).index == 2
    log.close()
    assert verify(log.directory).integrity


def test_a_full_disk_refuses_writes_nothing_and_heals(log, make):
    log.record(make())
    lift = limit_pages(log, spare=0)
    error = refused("disk_full", lambda: [log.record(make()) for _ in range(50)])
    assert "nothing was recorded" in error.message
    size = log.head.size
    lift()
    log.store._engine.dispose()
    assert log.record(make()).index == size
    log.close()
    assert verify(log.directory).integrity


def test_a_database_that_another_process_holds_is_refused_and_heals(log, make, monkeypatch):
    log.record(make())
    other = sqlite3.connect(log.directory / "log.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    refused("log_locked", log.record, make())
    other.execute("ROLLBACK")
    other.close()
    assert log.record(make()).index == 1


def test_a_database_removed_or_replaced_under_the_recorder_is_noticed(log, make):
    log.record(make())
    path = log.directory / "log.db"
    kept = path.rename(path.with_name("kept"))
    refused("log_db_gone", log.record, make())
    path.write_bytes(kept.read_bytes())
    refused("log_db_gone", log.record, make())
    kept.replace(path)
    assert log.record(make()).index == 1


def test_an_fsync_that_fails_refuses_the_next_event_and_loses_nothing(log, make, monkeypatch):
    def fails(_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr("audit.tiles.os.fsync", fails)
        assert log.record(make()).index == 0
        refused("tiles_not_written", log.prove, 0)
        refused("tiles_not_written", log.record, make())
    assert log.record(make()).index == 1
    log.prove(1)
    assert verify(log.directory).exit_code == 0


def test_a_clock_that_steps_back_changes_no_order(tmp_path, signer, make):
    ticks = iter([f"2026-11-25T10:00:0{second}.000000Z" for second in (5, 3, 9)])
    log = Log(tmp_path / "trail", signer, clock=lambda: next(ticks))
    for index in range(3):
        assert log.record(make()).index == index
    log.close()
    assert verify(tmp_path / "trail").exit_code == 0


def test_an_unknown_failure_of_the_disk_stops_the_log_until_a_restart(log, make, signer):
    accepted = log.record(make())

    def break_it(connection, _record, _proxy):
        connection.set_authorizer(lambda act, *_: sqlite3.SQLITE_DENY if act == sqlite3.SQLITE_INSERT else 0)

    sa.event.listen(log.store._engine, "checkout", break_it)
    refused("log_state_unknown", log.record, make())
    sa.event.remove(log.store._engine, "checkout", break_it)
    refused("log_state_unknown", log.record, make())
    refused("log_state_unknown", log.check)
    log.close()
    again = Log(log.directory, signer)
    assert again.head.size == accepted.index + 1
    again.close()


def test_an_event_that_waited_while_the_log_broke_is_refused(log, make):
    answer: Future = Future()
    log._broken = log_module.unknown_state()
    log._queue.put(log_module._Waiting(make(), answer))
    refused("log_state_unknown", answer.result)


def test_a_trail_never_changes_its_key_in_silence(trail):
    other = Signer("enclave.example/trail", Ed25519PrivateKey.generate())
    refused("other_key", Log, trail, other, kind=LogDamaged)


def test_a_database_shorter_than_the_files_is_not_gone_on_with(trail, signer):
    damage(trail, "DELETE FROM entry WHERE seq >= 200", "DELETE FROM checkpoint WHERE size > 200")
    assert refused("log_db_rolled_back", Log, trail, signer, kind=LogDamaged).params["index"] == 200


def test_a_database_with_a_hole_is_not_gone_on_with(trail, signer):
    damage(trail, "DELETE FROM entry WHERE seq = 20")
    refused("log_db_hole", Log, trail, signer, kind=LogDamaged)


def test_a_database_with_other_entries_is_not_gone_on_with(trail, signer):
    damage(trail, "UPDATE entry SET leaf_sha256 = zeroblob(32) WHERE seq = 20")
    refused("root_differs", Log, trail, signer, kind=LogDamaged)


def test_entries_that_no_checkpoint_signs_are_not_gone_on_with(trail, signer):
    damage(trail, "DELETE FROM checkpoint")
    refused("root_differs", Log, trail, signer, kind=LogDamaged)


def test_a_damaged_checkpoint_file_is_not_gone_on_with(trail, signer):
    (trail / "checkpoint").write_text("nothing")
    refused("checkpoint_damaged", Log, trail, signer, kind=LogDamaged)


def test_the_lock_is_free_again_after_a_refused_start(trail, signer):
    note = (trail / "checkpoint").read_bytes()
    (trail / "checkpoint").write_text("nothing")
    refused("checkpoint_damaged", Log, trail, signer, kind=LogDamaged)
    (trail / "checkpoint").write_bytes(note)
    Log(trail, signer).close()


def test_a_database_that_is_none_is_refused_at_the_start(trail, signer):
    for path in trail.glob("log.db*"):
        path.unlink()
    (trail / "log.db").write_bytes(b"no database" * 999)
    refused("log_state_unknown", Log, trail, signer)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path, signer):
    (tmp_path / "file").write_text("")
    refused("log_not_opened", Log, tmp_path / "file" / "trail", signer)


def test_many_threads_get_each_an_index_of_their_own(log, make):
    taken = []

    def client():
        taken.extend(log.record(make()).index for _ in range(20))

    threads = [threading.Thread(target=client) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(taken) == list(range(160))


def test_the_published_checkpoint_is_signed_and_names_the_log(log, make, signer):
    log.record(make())
    log.prove(0)
    note = (log.directory / "checkpoint").read_text()
    assert open_checkpoint(note, signer.verifier) == log.head


@pytest.mark.parametrize("table", ["entry", "entry_object", "checkpoint"])
@pytest.mark.parametrize("act", ["UPDATE {} SET {} = {}", "DELETE FROM {}"])
def test_the_database_itself_refuses_to_change_or_delete(trail, table, act):
    column = "size" if table == "checkpoint" else "seq"
    store = Store(trail / "log.db")
    with pytest.raises(sa.exc.IntegrityError, match="append-only"), store._engine.begin() as db:
        db.exec_driver_sql(act.format(table, column, column))
    store.close()


def test_a_database_of_another_schema_version_is_refused(tmp_path):
    with sqlite3.connect(tmp_path / "log.db") as db:
        db.execute("PRAGMA user_version = 9")
    refused("log_db_version", Store, tmp_path / "log.db", kind=LogDamaged)


def test_a_database_with_foreign_tables_is_refused(tmp_path):
    with sqlite3.connect(tmp_path / "log.db") as db:
        db.execute("CREATE TABLE other (x)")
    refused("log_db_version", Store, tmp_path / "log.db", kind=LogDamaged)


def test_the_database_waits_for_the_disk_and_is_private(log):
    with log.store._engine.connect() as db:
        assert db.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2
        assert db.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
    for path in log.directory.glob("log.db*"):
        assert path.stat().st_mode & 0o077 == 0


def test_an_error_of_the_disk_is_not_taken_for_a_known_one(tmp_path):
    with pytest.raises(Trouble):
        Store(tmp_path / "missing" / "log.db")


def damage(trail, *statements):
    with sqlite3.connect(trail / "log.db") as db:
        for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            db.execute(f"DROP TRIGGER {name}")
        for each in statements:
            db.execute(each)
    db.close()
