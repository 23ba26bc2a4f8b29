"""Sealed details: kept apart, tied to their leaf, gone for good when they are erased."""

import hashlib
import os
import sqlite3

import orjson
import pytest
from pydantic import ValidationError

from audit import details, details_store
from audit.details import LONGEST, Detail, fresh, parse_submitted
from audit.details_store import DATABASE, KEY_FILE, Details, Erased, open_details_key
from audit.errors import AuditError, BadInput, LogDamaged, LogUnavailable
from audit.event import new_id
from audit.log import Log
from audit.verify import verify

KEY = bytes(range(32))
ADDRESS, BROWSER, COMMENT = (
    "192.0.2.17",
    "Mozilla/5.0 (X11; Linux) Test/7",
    "la dernière colonne compte trop peu",
)
NOW = "2027-12-01T10:00:00.000000Z"


def about(person="researcher-a", **words):
    return Detail(person=person, words=words or {"client": ADDRESS, "browser": BROWSER})


@pytest.fixture
def kept(tmp_path):
    opened = Details(tmp_path / DATABASE, KEY, 0)
    yield opened
    opened.close()


@pytest.fixture
def log(tmp_path, signer):
    opened = Log(tmp_path / "trail", signer, details_key=KEY)
    yield opened
    opened.close()


def bytes_of(folder):
    return b"".join(path.read_bytes() for path in sorted(folder.glob(f"{DATABASE}*")))


# --- what a detail is


@pytest.mark.parametrize(
    "taken",
    [
        {"person": "researcher-a"},
        {"person": "researcher-a", "words": {}},
        {"person": "Camille Martin", "words": {"comment": "x"}},
        {"person": "researcher-a", "words": {"diagnosis": "x"}},
        {"person": "researcher-a", "words": {"comment": ""}},
        {"person": "researcher-a", "words": {"comment": 1}},
        {"person": "researcher-a", "words": {"client": "x" * (LONGEST["client"] + 1)}},
        {"person": "researcher-a", "words": {"comment": "x" * (LONGEST["comment"] + 1)}},
        {"person": "researcher-a", "words": {"comment": "x"}, "more": 1},
        "Camille Martin",
    ],
)
def test_what_is_no_detail_is_refused_without_saying_what_it_held(raw, taken):
    with pytest.raises(BadInput) as refusal:
        parse_submitted(orjson.dumps({**raw(), "detail": taken}))
    assert refusal.value.code == "detail_not_valid"
    assert "Camille" not in refusal.value.message


def test_an_event_is_read_with_and_without_a_detail_and_never_holds_it(raw):
    event = raw()
    words = {"comment": COMMENT}
    read, detail = parse_submitted(orjson.dumps({**event, "detail": {"person": "steward-a", "words": words}}))
    assert detail == Detail(person="steward-a", words=words)
    assert read.as_mapping() == event
    assert parse_submitted(orjson.dumps(event)) == (read, None)


@pytest.mark.parametrize("body", [b'"detail"', b'{"detail":', b'["detail"]'])
def test_what_only_looks_like_a_detail_is_refused_as_no_event(body):
    with pytest.raises(BadInput):
        parse_submitted(body)


def test_the_same_words_twice_have_commitments_that_cannot_be_compared():
    one, other = fresh(about()), fresh(about())
    assert one.commitment() != other.commitment()
    assert one.commitment() != hashlib.sha256(one.detail.content()).hexdigest()


def test_a_detail_is_frozen():
    with pytest.raises(ValidationError):
        about().person = "researcher-b"


# --- the side database


def test_what_is_kept_is_read_again_and_fits_its_commitment(kept):
    commitments = kept.keep(7, [(7, "event-7", about()), (9, "event-9", about("steward-a", comment=COMMENT))])
    opened = kept.read(9)
    assert opened.detail.words == {"comment": COMMENT}
    assert opened.commitment() == commitments[9]
    assert kept.read(8) is None
    assert kept.held() == [(7, "event-7"), (9, "event-9")]
    assert kept.of_person("steward-a") == 1


def test_nothing_in_the_file_is_in_clear(kept, tmp_path):
    kept.keep(0, [(0, "event-0", about(comment=COMMENT, client=ADDRESS, browser=BROWSER))])
    for word in (ADDRESS, BROWSER, COMMENT):
        assert word.encode() not in bytes_of(tmp_path)


def test_a_row_moved_to_another_event_or_person_does_not_open(kept, tmp_path):
    kept.keep(0, [(0, "event-0", about()), (1, "event-1", about("researcher-b"))])
    with sqlite3.connect(tmp_path / DATABASE) as db:
        db.execute("UPDATE detail SET event = 'event-1' WHERE seq = 0")
        db.execute("UPDATE detail SET person = 'researcher-a' WHERE seq = 1")
    db.close()
    for seq in (0, 1):
        with pytest.raises(LogDamaged):
            kept.read(seq)


def test_a_row_without_its_key_does_not_open(kept, tmp_path):
    kept.keep(0, [(0, "event-0", about())])
    with sqlite3.connect(tmp_path / DATABASE) as db:
        db.execute("DELETE FROM person_key")
    db.close()
    with pytest.raises(LogDamaged):
        kept.read(0)


def test_what_a_crash_left_of_an_entry_never_recorded_is_gone_at_the_next_start(tmp_path):
    before = Details(tmp_path / DATABASE, KEY, 0)
    before.keep(0, [(0, "event-0", about()), (1, "event-1", about())])
    before.close()
    after = Details(tmp_path / DATABASE, KEY, 1)
    assert after.held() == [(0, "event-0")]
    after.close()


def test_what_a_refused_batch_left_gives_way_to_the_entry_that_takes_its_place(kept):
    kept.keep(0, [(0, "refused", about())])
    kept.keep(0, [(0, "recorded", about("steward-a", comment=COMMENT))])
    assert kept.held() == [(0, "recorded")]


def test_erased_bytes_are_in_no_file_and_the_rule_is_told(kept, tmp_path):
    kept.keep(0, [(seq, f"event-{seq}", about(comment=COMMENT * 20)) for seq in range(40)])
    with sqlite3.connect(tmp_path / DATABASE) as db:
        sealed = dict(db.execute("SELECT seq, sealed FROM detail"))
    db.close()
    assert all(each[:48] in bytes_of(tmp_path) for each in sealed.values())
    assert kept.erase({"access": range(0, 44, 2)}, NOW, 41) == 20
    held = bytes_of(tmp_path)
    assert not [seq for seq in range(0, 40, 2) if sealed[seq][:48] in held]
    assert all(sealed[seq] in held or kept.read(seq) for seq in range(1, 40, 2))
    assert kept.read(2) == kept.state(2) == Erased("access", NOW, 41)
    assert kept.state(1) is True
    assert kept.state(99) is False


def test_a_key_that_opens_nothing_any_more_goes_with_the_last_detail(kept, tmp_path):
    kept.keep(0, [(0, "event-0", about()), (1, "event-1", about("steward-a", comment=COMMENT))])
    with sqlite3.connect(tmp_path / DATABASE) as db:
        (wrapped,) = db.execute("SELECT wrapped FROM person_key WHERE person = 'researcher-a'").fetchone()
    db.close()
    kept.erase({"access": [0]}, NOW, 2)
    assert wrapped not in bytes_of(tmp_path)
    assert kept.read(1).detail.words == {"comment": COMMENT}
    kept.keep(3, [(3, "event-3", about())])
    assert kept.read(3).detail == about()


def test_a_destroyed_key_takes_what_it_sealed_and_nobody_elses(kept, tmp_path):
    kept.keep(0, [(0, "e-0", about()), (1, "e-1", about()), (2, "e-2", about("steward-a", comment=COMMENT))])
    with sqlite3.connect(tmp_path / DATABASE) as db:
        rows = db.execute("SELECT sealed FROM detail WHERE person = 'researcher-a'").fetchall()
        rows += db.execute("SELECT wrapped FROM person_key WHERE person = 'researcher-a'").fetchall()
    db.close()
    assert kept.destroy("researcher-a", Erased("person", NOW, 5)) == 2
    assert not [each for (each,) in rows if each in bytes_of(tmp_path)]
    assert kept.read(0) == Erased("person", NOW, 5)
    assert kept.read(2).detail.person == "steward-a"
    assert kept.of_person("researcher-a") == 0


def test_an_erasure_says_when_somebody_keeps_the_old_bytes_open(kept, tmp_path, monkeypatch):
    monkeypatch.setattr(details_store, "BUSY_MS", 50)
    kept.keep(0, [(0, "event-0", about())])
    kept._db.execute("PRAGMA busy_timeout = 50")
    reader = sqlite3.connect(tmp_path / DATABASE, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM detail").fetchone()
    with pytest.raises(LogUnavailable) as refusal:
        kept.erase({"access": [0]}, NOW, 1)
    assert refusal.value.code == "details_not_tidied"
    reader.close()
    kept.tidy()
    assert kept.state(0) == Erased("access", NOW, 1)


def test_another_key_or_version_is_refused(tmp_path):
    Details(tmp_path / DATABASE, KEY, 0).close()
    with pytest.raises(LogDamaged) as other_key:
        Details(tmp_path / DATABASE, bytes(32), 0)
    assert other_key.value.code == "details_other_key"
    with sqlite3.connect(tmp_path / DATABASE) as db:
        db.execute("PRAGMA user_version = 9")
    db.close()
    with pytest.raises(LogDamaged) as version:
        Details(tmp_path / DATABASE, KEY, 0)
    assert version.value.code == "details_db_version"


def test_the_side_database_is_private(kept, tmp_path):
    assert {path.stat().st_mode & 0o777 for path in tmp_path.glob(f"{DATABASE}*")} == {0o600}


def test_a_write_that_fails_leaves_nothing(kept, monkeypatch):
    def fails(*_):
        raise BadInput("x", "x")

    monkeypatch.setattr(details, "seal", fails)
    with pytest.raises(AuditError):
        kept.keep(0, [(0, "event-0", about())])
    assert kept.held() == []


# --- its key


def test_the_key_is_made_once_and_a_lost_one_is_not_made_again(tmp_path):
    trail, beside = tmp_path / "trail", tmp_path / "trail.key"
    trail.mkdir()
    made = open_details_key(trail, beside, b"words")
    assert open_details_key(trail, beside, b"words") == made
    with pytest.raises(BadInput):
        open_details_key(trail, beside, b"other words")
    Details(trail / DATABASE, made, 0).close()
    (tmp_path / KEY_FILE).unlink()
    with pytest.raises(LogDamaged) as gone:
        open_details_key(trail, beside, b"words")
    assert gone.value.code == "details_key_gone"


# --- with the log


def test_the_leaf_has_the_commitment_and_nothing_of_the_words(log, make, tmp_path):
    event = make(type="auth.login")
    accepted = log.record(event, detail=about())
    (held,) = log.store.find([event.id]).values()
    assert orjson.loads(held.leaf)["sealed"] == {"sha256": log.details.read(accepted.index).commitment()}
    log.prove(0)
    everything = [path for path in (tmp_path / "trail").rglob("*") if path.is_file()]
    assert not [path for path in everything if ADDRESS.encode() in path.read_bytes()]
    assert verify(tmp_path / "trail").integrity


def test_the_same_event_and_detail_again_is_the_same_answer_and_other_words_a_conflict(log, make):
    event, plain = make(), make()
    first = log.record(event, detail=about())
    assert log.record(event, detail=about()) == first
    log.record(plain)
    for again, detail in ((event, about(comment=COMMENT)), (event, None), (plain, about())):
        with pytest.raises(AuditError) as refusal:
            log.record(again, detail=detail)
        assert refusal.value.code == "event_id_taken"
    log.details.erase({"access": [first.index]}, NOW, 1)
    assert log.record(event, detail=about()) == first


def test_two_of_a_kind_in_one_batch_are_one_entry(log, make):
    event = make(id=new_id())
    both = [log.submit(event, about()) for _ in range(2)]
    assert len({each.result().index for each in both}) == 1
    assert len(log.details.held()) == 1


def test_a_detail_that_cannot_be_kept_leaves_no_event(log, make, monkeypatch):
    def full(*_):
        raise LogUnavailable("disk_full", "the disk of the trail is full; nothing was recorded")

    monkeypatch.setattr(log.details, "keep", full)
    with pytest.raises(LogUnavailable):
        log.record(make(), detail=about())
    assert log.head.size == 0
    assert log.record(make()).index == 0


def test_a_recorder_without_the_key_refuses_an_event_with_a_detail(tmp_path, signer, make):
    plain = Log(tmp_path / "plain", signer)
    with pytest.raises(LogUnavailable) as refusal:
        plain.record(make(), detail=about())
    assert refusal.value.code == "no_details"
    event = make()
    first = plain.record(event)
    assert plain.record(event) == first
    plain.close()


def test_a_log_that_opens_again_has_its_details(tmp_path, signer, make):
    for _ in range(2):
        log = Log(tmp_path / "trail", signer, details_key=KEY)
        log.record(make(), detail=about())
        log.close()
    log = Log(tmp_path / "trail", signer, details_key=KEY)
    assert [log.details.read(seq).detail for seq in range(2)] == [about(), about()]
    log.close()


def test_an_opening_is_random():
    assert len({fresh(about()).opening for _ in range(8)}) == 8
    assert len(os.urandom(details.OPENING_BYTES)) == len(fresh(about()).opening)
