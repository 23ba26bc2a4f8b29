"""What verification says of trails that are whole, live, remembered, or not there."""

import shutil
import socket

import pytest

from audit.checkpoint import Checkpoint
from audit.errors import BadInput
from audit.export import export
from audit.log import Log
from audit.report import ORDER
from audit.snapshot import Snapshot, Unreadable
from audit.tiles import TileReader
from audit.tree import Frontier, leaf_hash
from audit.verify import verify


def test_a_whole_trail_passes_every_step_in_order(whole, signer):
    report = verify(whole, signer.verifier.vkey())
    assert (report.integrity, report.completeness, report.exit_code) == (True, True, 0)
    assert [step.number for step in report.steps] == list(range(1, 17))
    assert [step.name for step in report.steps] == list(ORDER)
    assert {step.verdict for step in report.steps} == {"ok", "not done"}
    assert report.step("remembered").verdict == "not done"
    assert (report.size, report.first_broken_index) == (300, None)


def test_a_key_taken_from_the_folder_is_said_to_be(whole, signer):
    assert "from the folder itself" in verify(whole).step("key").words
    assert "as given" in verify(whole, signer.verifier.vkey()).step("key").words


def test_a_folder_without_key_is_not_verified(trail):
    (trail / "vkey").unlink()
    report = verify(trail)
    assert report.exit_code == 5
    assert report.step("key").verdict == "failed"
    assert report.step("entries").verdict == "not done"


def test_a_malformed_key_given_is_a_usage_error(whole):
    with pytest.raises(BadInput, match="not of the form"):
        verify(whole, "key")


def test_no_folder_is_a_usage_error(tmp_path):
    with pytest.raises(BadInput, match="no folder"):
        verify(tmp_path / "nothing")


def test_a_checkpoint_that_is_not_text_fails_its_step(trail):
    (trail / "checkpoint").write_bytes(b"\xff\xfe")
    assert verify(trail).step("checkpoint").verdict == "failed"


def test_a_tile_that_cannot_be_read_fails_its_step(trail):
    for name in ("tile/1/000.p/1", "tile/0/000", "tile/entries/000"):
        (trail / name).unlink()
        (trail / name).mkdir()
        assert verify(trail).exit_code == 5


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 300])
def test_a_remembered_checkpoint_the_log_continues_is_ok(whole, signer, size):
    reader = TileReader(whole, 300)
    entries = [*reader.bundle(0), *reader.bundle(1)]
    root = Frontier().extended(leaf_hash(each) for each in entries[:size]).root()
    since = signer.sign(Checkpoint(signer.name, size, root))
    assert verify(whole, since=since).step("remembered").verdict == "ok"


def test_a_remembered_checkpoint_of_another_key_cannot_be_used(whole, signer):
    report = verify(whole, since="nothing")
    assert report.step("remembered").verdict == "failed"
    assert "cannot be used" in report.step("remembered").words


def test_a_remembered_checkpoint_is_not_judged_when_entries_are_missing(trail, whole):
    (trail / "tile/entries/000").unlink()
    report = verify(trail, since=(whole / "checkpoint").read_text())
    assert report.step("remembered").verdict == "not done"
    assert report.completeness is None


def test_an_intent_without_outcome_is_an_anomaly_and_not_a_tampering(log, make):
    log.record(make())
    log.record(make(phase="intent"))
    log.close()
    report = verify(log.directory)
    assert (report.integrity, report.completeness, report.exit_code) == (True, False, 1)
    assert report.intents_without_outcome == 1
    assert report.anomalies[0].index == 1


def test_interrupted_acts_are_counted_apart_and_explained(log, make):
    for _ in range(21):
        intent = make(phase="intent")
        log.record(intent)
        log.record(make(phase="outcome", corr=intent.corr, outcome="failed", reason="interrupted"))
    log.close()
    report = verify(log.directory)
    assert (report.exit_code, report.interrupted) == (0, 21)
    assert "cut short by a restart" in report.step("interrupted").words
    assert ", ..." in report.step("interrupted").words


def test_a_package_without_votes_is_an_anomaly(log, make):
    log.record(make(type="release.package", release={"request": make().id}))
    log.close()
    report = verify(log.directory)
    assert report.step("releases").verdict == "anomaly"
    assert report.anomalies[0].code == "no_submit"


def test_a_log_at_work_verifies_at_any_moment(log, make):
    for _ in range(10):
        waiting = [log.submit(make()) for _ in range(10)]
        waiting[0].result()
        assert verify(log.directory).integrity
        assert waiting[-1].result()


def test_an_empty_log_is_whole(log):
    log.close()
    report = verify(log.directory)
    assert (report.exit_code, report.size) == (0, 0)


def test_a_recorder_at_work_is_given_a_moment_to_show_what_is_durable(log, make):
    for _ in range(3):
        intent = make(phase="intent")
        log.record(intent)
        log.prove(log.head.size - 1)
        log.record(make(phase="outcome", corr=intent.corr, outcome="success"))
        assert verify(log.directory).exit_code == 0


@pytest.mark.parametrize(
    "lock", [pytest.param(True, id="its lock is left"), pytest.param(False, id="no lock")]
)
def test_files_behind_the_database_are_those_of_a_log_that_was_killed(
    trail, signer, make, tmp_path, monkeypatch, lock
):
    """Nobody is there to show what is missing, so nobody is waited for."""
    monkeypatch.setattr("audit.snapshot.time.sleep", lambda _: pytest.fail("waited for nobody"))
    log = Log(trail, signer)
    log._publisher.offer = lambda _: None
    for _ in range(3):
        log.record(make())
    killed = shutil.copytree(trail, tmp_path / "killed")
    log.close()
    if not lock:
        (killed / "lock").unlink()
    report = verify(killed)
    assert (report.exit_code, report.size) == (0, 300)
    again = Log(killed, signer)
    assert again.head.size == 303
    again.close()
    assert verify(killed).size == 303


def test_files_behind_what_the_database_saw_them_show_were_rolled_back(trail, signer, make, whole):
    log = Log(trail, signer)
    log.record(make())
    log.close()
    shutil.rmtree(trail / "tile")
    shutil.copytree(whole / "tile", trail / "tile")
    shutil.copy(whole / "checkpoint", trail / "checkpoint")
    report = verify(trail)
    assert (report.step("database").verdict, report.first_broken_index) == ("failed", 300)


def test_a_database_that_cannot_be_opened_here_says_nothing_about_the_trail(trail):
    """As on a read-only medium with a write-ahead file; a socket gives SQLite the same refusal for any user."""
    (trail / "log.db").unlink()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(trail / "log.db"))
        with pytest.raises(Unreadable):
            Snapshot(trail / "log.db")
        report = verify(trail)
    assert report.exit_code == 0
    assert report.step("database").verdict == "not done"


def test_a_snapshot_is_one_moment_however_far_the_log_goes_on(log, make):
    log.record(make())
    with Snapshot(log.directory / "log.db") as moment:
        log.record(make())
        assert moment.size == 1
        assert len(moment.rows(0, 10)) == 1


def test_an_export_holds_what_the_checkpoint_covers_and_no_database(whole, tmp_path, signer):
    export(whole, tmp_path / "out")
    files = sorted(
        str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file()
    )
    assert files == [
        "README.md",
        "checkpoint",
        "tile/0/000",
        "tile/0/001.p/44",
        "tile/1/000.p/1",
        "tile/entries/000",
        "tile/entries/001.p/44",
        "vkey",
    ]
    assert verify(tmp_path / "out", signer.verifier.vkey()).exit_code == 0
    assert signer.verifier.vkey() in (tmp_path / "out" / "README.md").read_text()


def test_an_export_taken_while_a_tile_fills_is_cut_to_its_checkpoint(trail, whole, signer, make, tmp_path):
    """The partial tiles of the checkpoint are gone by then: the full ones stand in for them."""
    log = Log(trail, signer)
    for each in [log.submit(make()) for _ in range(300)]:
        each.result()
    log.close()
    shutil.copy(whole / "checkpoint", trail / "checkpoint")
    assert not (trail / "tile/0/001.p/44").exists()
    export(trail, tmp_path / "out")
    assert verify(tmp_path / "out").exit_code == 0
    assert (tmp_path / "out/tile/entries/001.p/44").read_bytes() == (
        whole / "tile/entries/001.p/44"
    ).read_bytes()


def test_an_export_never_mixes_with_what_is_there(whole, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="something in"):
        export(whole, tmp_path)


def test_an_export_of_no_trail_is_a_usage_error(tmp_path):
    with pytest.raises(BadInput, match="no trail"):
        export(tmp_path, tmp_path / "out")
