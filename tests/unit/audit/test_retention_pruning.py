"""A log whose oldest entries were pruned: what is gone, what still holds, and what cannot be passed off as pruning."""

import shutil
import sqlite3

import orjson
import pytest

from audit import retention_pruning
from audit.errors import LogDamaged
from audit.event import new_id
from audit.export import export
from audit.log import DATABASE, Log
from audit.projection import entries
from audit.proof import check_proof
from audit.retention import Rules
from audit.retention_doors import LOG
from audit.retention_pruning import PRUNED_FILE, Pruned, read_pruned
from audit.verify import verify
from tests.unit.audit.house_for_tests import ADDRESS, AUDITOR, DPO, KEY, NOW, House, code, later

OLD, CUT = 600, 512


@pytest.fixture(scope="module")
def aged(tmp_path_factory, signer, make):
    """A closed trail of old entries, signed off, with its checkpoints and proofs of then."""
    folder = tmp_path_factory.mktemp("aged")
    house = House(folder, signer, make)
    for answer in [house.log.submit(make(id=new_id())) for _ in range(OLD)]:
        answer.result()
    notes = {}
    proofs = {index: house.log.prove(index) for index in (0, 255, 256, 511, 512, 599)}
    notes[OLD] = (folder / "trail" / "checkpoint").read_text()
    house.at = later(400)
    house.record("audit.review", actor=AUDITOR, counts={"first": 0, "last": OLD - 1})
    house.log.close()
    return folder, notes, proofs


@pytest.fixture
def house(aged, tmp_path, signer, make):
    shutil.copytree(aged[0] / "trail", tmp_path / "trail")
    opened = House(tmp_path, signer, make)
    opened.at = later(400)
    yield opened
    opened.log.close()


def asked(house, actor=AUDITOR):
    return house.say("audit.prune", LOG, actor, reason="asked", outcome="success")


def announced(house, cut=CUT, **more):
    counts = {**Rules().as_counts(), "boundary": cut}
    return house.intent(kind="audit.prune", about=LOG, counts=counts, **more)


def prune(house, first, under, **more):
    return house.http.post("/v1/prune", json={"asked": first, "receipt": under, **more})


def cut(house):
    corr, first = new_id(), asked(house)
    answer = prune(house, first, announced(house, corr=corr))
    house.say("audit.prune", LOG, DPO, phase="outcome", outcome="success", corr=corr)
    house.log.prove(house.log.head.size - 1)
    return answer.json()


def trail(house):
    return house.log.directory


def test_how_far_the_log_may_be_cut_is_told_and_nothing_is_done(house):
    told = house.http.post("/v1/prune", json={}).json()
    assert told == {"boundary": CUT, "pruned": 0, "size": OLD + 1, "asked": None}
    first = asked(house)
    assert house.http.post("/v1/prune", json={}).json()["asked"]["index"] == first
    assert house.log.store.boundary() == 0


def test_what_was_pruned_is_gone_from_tiles_and_database(house):
    ((leaf, _),) = house.log.store.leaves(7, 8)
    assert cut(house) == {"boundary": CUT, "removed": CUT}
    assert not (trail(house) / "tile/entries/000").exists()
    assert not (trail(house) / "tile/entries/001").exists()
    assert (trail(house) / "tile/0/000").exists()
    assert list(house.log.store.leaves(0, CUT)) == []
    held = b"".join(path.read_bytes() for path in trail(house).glob(f"{DATABASE}*"))
    assert orjson.loads(leaf)["id"].encode() not in held
    told = house.http.post("/v1/prune", json={}).json()
    assert (told["boundary"], told["pruned"], told["asked"]) == (CUT, CUT, None)
    assert house.http.get("/v1/details/511").json() == {"state": "pruned"}
    assert house.http.get("/v1/details/512").json() == {"state": "none"}


def test_the_verification_says_what_was_pruned_when_and_by_which_rule_and_holds(house):
    index = house.log.head.size + 1
    cut(house)
    report = verify(trail(house))
    assert (report.integrity, report.completeness) == (True, True)
    words = report.step("entries").words
    assert f"entries 0 to {CUT - 1} were pruned on {later(400)[:10]}" in words
    assert f"entry {index} states (access 365 days)" in words
    assert "their hashes remain" in words


def test_every_proof_of_before_still_checks_and_new_ones_can_be_made(house, aged, signer):
    kept = dict(enumerate(leaf for leaf, _ in house.log.store.leaves(0, OLD)))
    cut(house)
    for index, proof in aged[2].items():
        assert check_proof(proof, signer.verifier).entry == kept[index]
        fresh = house.log.prove(index)
        assert check_proof(fresh, signer.verifier, kept[index]).checkpoint.size == house.log.head.size
        assert ("extra" in fresh) == (index >= CUT)
        with pytest.raises(Exception, match="lead"):
            check_proof(fresh, signer.verifier, b"another")


def test_it_still_continues_a_checkpoint_somebody_kept_from_inside_what_is_gone(house, aged):
    cut(house)
    report = verify(trail(house), since=aged[1][OLD])
    assert report.step("remembered").verdict == "ok"


def test_the_log_goes_on_and_opens_again(house, tmp_path, signer):
    cut(house)
    house.record("auth.logout")
    house.log.close()
    for _ in range(2):
        again = Log(tmp_path / "trail", signer, details_key=KEY)
        assert again.store.boundary() == CUT
        again.record(house.make())
        again.prove(again.head.size - 1)
        again.close()
    assert verify(tmp_path / "trail").integrity


def test_an_export_says_it_too_and_verifies(house, tmp_path):
    cut(house)
    export(trail(house), tmp_path / "export")
    report = verify(tmp_path / "export")
    assert report.integrity
    assert "were pruned" in report.step("entries").words
    readme = (tmp_path / "export" / "README.md").read_text()
    assert f"Entries 0 to {CUT - 1} were pruned" in readme
    assert "tile/entries/002" in readme
    first = next(entries(tmp_path / "export", report.size))
    assert orjson.loads(first)["seq"] == CUT


def test_pruned_twice_is_pruned_once_further(house):
    cut(house)
    for answer in [house.log.submit(house.make(id=new_id())) for _ in range(300)]:
        answer.result()
    house.at = later(800)
    house.record("audit.review", actor=AUDITOR, counts={"first": 0, "last": house.log.head.size - 1})
    told = house.http.post("/v1/prune", json={}).json()
    # the first cut was a decision and stays ten years: it holds what comes after it
    assert told["boundary"] == CUT
    house.at = later(5_000)
    assert prune(house, asked(house), announced(house, 768)).json() == {"boundary": 768, "removed": 256}
    assert house.log.store.pruned()[0] == 768


# --- what stands in the way


@pytest.mark.parametrize(
    ("boundary", "why"), [(256, None), (0, "not"), (300, "not"), (768, "not"), (None, "not")]
)
def test_a_cut_is_made_at_whole_tiles_and_no_further_than_the_rules_let_it(house, boundary, why):
    counts = {**Rules().as_counts()} if boundary is None else {**Rules().as_counts(), "boundary": boundary}
    first = asked(house)
    answer = prune(house, first, house.intent(kind="audit.prune", about=LOG, counts=counts))
    assert (answer.status_code == 200) == (why is None)
    assert house.log.store.boundary() == (boundary if why is None else 0)


def test_nothing_unread_is_pruned_nor_what_has_a_detail_still(tmp_path, signer, make):
    house = House(tmp_path, signer, make)
    house.login()
    for answer in [house.log.submit(make(id=new_id())) for _ in range(300)]:
        answer.result()
    house.at = later(400)
    assert house.http.post("/v1/prune", json={}).json()["boundary"] == 0
    house.record("audit.review", actor=AUDITOR, counts={"first": 0, "last": 300})
    assert house.http.post("/v1/prune", json={}).json()["boundary"] == 0
    house.retention(receipt=house.intent())
    assert house.http.post("/v1/prune", json={}).json()["boundary"] == 256
    house.log.close()


def test_a_cut_takes_two_of_two_roles_and_the_durations_it_announced(house):
    first = asked(house)
    assert code(prune(house, first, announced(house, actor=AUDITOR))) == "same_person"
    assert code(prune(house, 3, announced(house))) == "nobody_asked"
    assert code(prune(house, first, announced(house), decision_years=1)) == "receipt_mismatch"
    early = announced(house)
    assert code(prune(house, asked(house), early)) == "nobody_asked"
    assert house.log.store.boundary() == 0


# --- what cannot be passed off as pruning


def test_the_database_lets_nothing_go_that_no_entry_announces(house):
    database = trail(house) / DATABASE
    for pruned in (
        Pruned(CUT, 3, NOW),
        Pruned(CUT, announced(house, 256), NOW),
        Pruned(300, announced(house, 300), NOW),
    ):
        with pytest.raises(LogDamaged) as refusal:
            retention_pruning.note(database, pruned)
        assert refusal.value.code == "prune_not_announced"
    db = sqlite3.connect(database)
    for act in (
        "DELETE FROM entry WHERE seq = 0",
        "DELETE FROM entry_object",
        "UPDATE entry SET leaf = x'00' WHERE seq = 0",
    ):
        with pytest.raises(sqlite3.IntegrityError):
            db.execute(act)
    db.close()


def test_above_the_cut_the_database_stays_append_only(house):
    cut(house)
    db = sqlite3.connect(trail(house) / DATABASE)
    for act in (
        "DELETE FROM entry WHERE seq = 512",
        "DELETE FROM entry_object WHERE seq = 512",
        "DELETE FROM pruned",
        "UPDATE pruned SET boundary = 768",
        "INSERT INTO pruned VALUES (256, 601, 'x')",
        "DELETE FROM checkpoint",
    ):
        with pytest.raises(sqlite3.IntegrityError):
            db.execute(act)
    db.close()


def remove_bundle(folder):
    (folder / "tile/entries/000").unlink()


def test_a_missing_bundle_without_a_word_is_tampering(house):
    house.log.close()
    remove_bundle(trail(house))
    report = verify(trail(house))
    assert not report.integrity
    assert report.first_broken_index == 0


@pytest.mark.parametrize("entry", [3, 601, 99_999])
def test_a_planted_word_is_tampering(house, entry):
    announced(house, 512)  # of another boundary than the one that is planted, at 601
    house.log.close()
    remove_bundle(trail(house))
    said = {"boundary": 256, "entry": entry, "at": NOW}
    (trail(house) / PRUNED_FILE).write_bytes(orjson.dumps(said))
    report = verify(trail(house))
    assert not report.integrity
    assert "no entry announces" in report.step("entries").words


def test_an_announced_cut_that_was_refused_excuses_nothing(house):
    corr = new_id()
    index = announced(house, 256, corr=corr)
    house.say("audit.prune", LOG, DPO, phase="outcome", outcome="denied", corr=corr)
    house.log.close()
    remove_bundle(trail(house))
    (trail(house) / PRUNED_FILE).write_bytes(orjson.dumps({"boundary": 256, "entry": index, "at": NOW}))
    assert not verify(trail(house)).integrity


def test_a_cut_cannot_be_said_to_reach_beyond_the_log(house):
    house.log.close()
    (trail(house) / PRUNED_FILE).write_bytes(orjson.dumps({"boundary": 1 << 40, "entry": 3, "at": NOW}))
    assert not verify(trail(house)).integrity


@pytest.mark.parametrize("said", [b"no json", b"{}", b"[]", b'{"boundary": "x", "entry": 1, "at": ""}'])
def test_a_word_that_cannot_be_read_is_damage(house, said):
    house.log.close()
    (trail(house) / PRUNED_FILE).write_bytes(said)
    with pytest.raises(LogDamaged):
        read_pruned(trail(house))
    assert not verify(trail(house)).integrity


def test_a_changed_hash_of_a_pruned_entry_is_found(house):
    cut(house)
    house.log.close()
    tile = trail(house) / "tile/0/000"
    raw = bytearray(tile.read_bytes())
    raw[5] ^= 1
    tile.write_bytes(raw)
    assert not verify(trail(house)).integrity


def test_a_missing_hash_tile_below_the_cut_is_named_and_the_log_does_not_open(house, signer):
    cut(house)
    house.log.close()
    (trail(house) / "tile/0/001").unlink()
    report = verify(trail(house))
    assert report.first_broken_index == 256
    with pytest.raises(LogDamaged):
        Log(trail(house), signer, details_key=KEY)


def test_a_log_without_its_checkpoint_cannot_be_written_anew_once_it_was_pruned(house, signer):
    cut(house)
    house.log.close()
    (trail(house) / "checkpoint").unlink()
    with pytest.raises(LogDamaged) as damage:
        Log(trail(house), signer, details_key=KEY)
    assert damage.value.code == "pruned_tiles_gone"


def test_a_hole_above_the_cut_is_damage(house, signer):
    cut(house)
    house.log.close()
    db = sqlite3.connect(trail(house) / DATABASE)
    db.execute("DROP TRIGGER entry_no_delete")
    with db:
        db.execute("DELETE FROM entry WHERE seq < 520")
    db.close()
    with pytest.raises(LogDamaged):
        Log(trail(house), signer, details_key=KEY)


# --- whatever interrupts it


@pytest.mark.parametrize("where", ["_delete_rows", "write_files"])
def test_a_cut_that_was_interrupted_is_finished_at_the_next_start(house, signer, monkeypatch, where):
    first, under = asked(house), announced(house)

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(retention_pruning, where, stop)
    with pytest.raises(KeyboardInterrupt):
        house.log.prune(CUT, under)
    monkeypatch.undo()
    house.log.close()
    assert verify(trail(house)).integrity
    again = Log(trail(house), signer, details_key=KEY)
    assert list(again.store.leaves(0, CUT)) == []
    again.close()
    assert not (trail(house) / "tile/entries/000").exists()
    assert read_pruned(trail(house)).entry == under
    assert verify(trail(house)).integrity
    assert first < under


def test_a_cut_killed_between_rows_and_bundles_verifies_and_is_finished(house, signer):
    under = announced(house)
    pruned = Pruned(CUT, under, later(400))
    house.log.prove(under)
    retention_pruning.note(trail(house) / DATABASE, pruned)
    retention_pruning._delete_rows(trail(house) / DATABASE, 300)
    house.log.close()
    again = Log(trail(house), signer, details_key=KEY)
    assert again.head.size == under + 1
    again.close()
    assert verify(trail(house)).integrity


def test_no_address_is_left_anywhere(house):
    cut(house)
    assert not [p for p in trail(house).rglob("*") if p.is_file() and ADDRESS.encode() in p.read_bytes()]
