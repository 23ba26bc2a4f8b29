"""What a trail and the house's books say of each other: what is told, and what a crash explains."""

import subprocess
import sys
from pathlib import Path

import pytest

from audit.completeness import Acts
from audit.errors import BadInput
from audit.event import new_id
from audit.export import export
from audit.log import Log
from audit.reconciliation import NOWHERE, Reconciliation
from audit.statement import SOURCES, Heading, Record, Statement, read_statement
from audit.verify import verify

REQUEST, ASKED, ONE, TWO = new_id(), "q1", "1a" * 32, "2b" * 32
NOW = "2026-11-25T10:00:00.000000Z"


class House:
    """Events in order, and the books that were written meanwhile."""

    def __init__(self) -> None:
        self.events, self.records = [], []
        self.read, self.before, self.after = SOURCES, None, None

    def tell(self, kind, *objects, phase="intent", corr=None, **more):
        event = {
            "seq": len(self.events),
            "id": new_id(),
            "type": kind,
            "phase": phase,
            "corr": corr or new_id(),
            "actor": {"id": "researcher-a", "kind": "person"},
            "source": {"service": "engine"},
            "object": [one if isinstance(one, dict) else thing(*one.split(":")) for one in objects],
            **more,
        }
        self.events.append(event)
        return event

    def end(self, begun, outcome="success", objects=None, **more):
        told = begun["object"] if objects is None else objects
        self.tell(
            begun["type"], *told, phase="outcome", corr=begun["corr"], outcome=outcome,
            **{key: begun[key] for key in ("release",) if key in begun}, **more,
        )  # fmt: skip

    def act(self, kind, *objects, outcome="success", **more):
        begun = self.tell(kind, *objects, **more)
        self.end(begun, outcome)
        return begun

    def ask(self, outcome="success", rho=10, **more):
        return self.act("data.query", f"question:{ASKED}", outcome=outcome, dp={"rho_micro": rho}, **more)

    def write(self, kind, name="r1", by=None, **more):
        named = {} if by is None else {"event": by["id"], "index": by["seq"]}
        self.records.append(Record(kind=kind, id=name, **named | more))

    def charge(self, event, rho=10, **more):
        self.write("charge", "c1", event, rho_micro=rho, **more)
        self.write("answer", "a1", event)

    def found(self):
        size = len(self.events)
        heading = Heading(
            log="enclave.test/trail",
            at=NOW,
            before=size if self.before is None else self.before,
            after=size if self.after is None else self.after,
            read=self.read,
        )
        self.books = Reconciliation(Statement(heading=heading, records=tuple(self.records)))
        acts = Acts(closed=self.books.close)
        for event in self.events:
            acts.see(event)
            self.books.see(event)
        return self.books.anomalies()

    def codes(self):
        return [each.code for each in self.found()]


def thing(kind, name, sha256=None):
    return {"kind": kind, "id": name} | ({} if sha256 is None else {"sha256": sha256})


@pytest.fixture
def house():
    return House()


# --- the ledger


def test_a_question_with_its_charge_and_its_answer_agrees(house):
    house.charge(house.ask())
    assert house.found() == []
    assert house.books.explained == 0


def test_a_ledger_rolled_back_below_an_intact_trail_is_told_at_the_question(house):
    house.ask()
    assert [(each.code, each.index, each.about) for each in house.found()] == [
        ("in_trail_not_in_ledger", 0, "charge"),
        ("in_trail_not_in_ledger", 0, "answer"),
    ]


def test_a_charge_that_nothing_announced_is_told(house):
    house.ask(outcome="denied")
    house.write("charge", "c1", rho_micro=10, event=new_id(), index=7)
    (found,) = house.found()
    assert (found.code, found.index, found.about) == ("in_ledger_not_in_trail", NOWHERE, "c1")


@pytest.mark.parametrize("outcome", ["denied", "failed"])
def test_a_question_without_an_answer_may_have_a_charge_or_none(house, outcome):
    house.ask(outcome=outcome)
    house.write("charge", "c1", house.ask(outcome=outcome), rho_micro=10)
    assert house.found() == []
    assert house.books.explained == 1


def test_a_crash_between_the_intent_and_the_charge_is_no_anomaly(house):
    house.tell("data.query", dp={"rho_micro": 10})
    house.write("charge", "c1", house.tell("data.query", dp={"rho_micro": 10}), rho_micro=10)
    assert (house.found(), house.books.explained) == ([], 1)


def test_an_answer_given_again_is_charged_to_nobody(house):
    begun = house.tell("data.query", dp={"rho_micro": 10}, reason="replayed")
    house.end(begun, reason="replayed")
    assert house.found() == []


def test_a_charge_of_another_amount_or_question_is_told(house):
    house.charge(house.ask(rho=10), rho=9)
    assert house.codes() == ["other_amount"]
    house.records.clear()
    house.charge(house.events[0], sha256=ONE)
    assert house.codes() == ["other_question"]


def test_a_charge_that_names_another_act_or_another_place_is_told(house):
    house.charge(house.ask())
    house.write("cap", "k1", house.events[0], rho_micro=5)
    assert house.codes() == ["other_event"]
    house.records.clear()
    house.write("charge", "c1", event=house.events[0]["id"], index=1, rho_micro=10)
    house.write("answer", "a1", house.events[0])
    assert house.codes() == ["other_event"]


def test_a_cap_that_was_set_must_be_there_with_its_amount(house):
    first = house.act("dp.caps", "population:patients", counts={"rho_micro": 0})
    second = house.act("dp.caps", "population:patients", counts={"rho_micro": 50})
    house.write("cap", "k1", first, rho_micro=0)
    assert house.codes() == ["in_trail_not_in_ledger"]
    house.write("cap", "k2", second, rho_micro=500)
    assert house.codes() == ["other_amount"]


def test_what_is_younger_than_the_statement_is_not_asked_for(house):
    house.charge(house.ask())
    house.before = house.after = 2
    house.ask()
    assert house.found() == []


def test_a_book_that_could_not_be_read_is_not_held_against_anybody(house):
    house.ask()
    house.act("release.package", f"request:{REQUEST}", release={"request": REQUEST})
    house.read = ("house",)
    house.write("line", "release_move:1", house.events[2])
    assert house.found() == []


def test_a_trail_shorter_than_the_house_has_seen_is_told_and_nothing_else(house):
    house.ask()
    house.after = 5
    assert house.codes() == ["trail_older_than_statement"]


# --- the house's book


@pytest.mark.parametrize(
    "act",
    [
        ("admin.role", "person:p", {}),
        ("data.import", "dataset:stays", {}),
        ("key.rotate", "manifest:stays.v1", {}),
        ("release.submit", f"request:{REQUEST}", {"release": {"request": REQUEST}}),
    ],
)
def test_an_act_that_must_leave_a_line_and_left_none_is_told(house, act):
    kind, about, more = act
    begun = house.act(kind, about, **more)
    assert house.codes() == ["in_trail_not_in_house"]
    house.write("line", "t:1", begun)
    assert house.found() == []


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("release.view", {"release": {"request": REQUEST}}),
        ("release.check", {}),  # checks run without a request
        ("key.rotate", {}),  # a new version of a purpose key
        ("audit.verify", {}),
    ],
)
def test_an_act_that_leaves_no_line_is_asked_for_none(house, kind, more):
    house.act(kind, "project:cardio", **more)
    assert house.found() == []


def test_a_line_may_name_a_single_event_and_never_an_outcome(house):
    house.write("line", "t:1", house.tell("admin.grant", phase="single"))
    assert (house.found(), house.books.explained) == ([], 0)
    house.act("admin.role", outcome="failed")
    house.write("line", "t:2", house.events[-1])
    assert house.codes() == ["other_event"]


# --- packages


def packaged(house, sha256=ONE, outcome="success"):
    release = {"request": REQUEST}
    begun = house.tell("release.package", f"request:{REQUEST}", release=release)
    house.write("line", f"release_move:{begun['seq']}", begun)
    if outcome is not None:
        told = release | ({"artefact_sha256": sha256} if outcome == "success" else {})
        house.tell("release.package", phase="outcome", corr=begun["corr"], outcome=outcome, release=told)


def test_a_package_that_lies_there_as_the_trail_says_agrees(house):
    packaged(house)
    house.write("package", REQUEST, sha256=ONE)
    assert house.found() == []


@pytest.mark.parametrize("kept", [{"sha256": TWO}, {}])
def test_a_package_swapped_on_the_disk_is_told_where_it_was_made(house, kept):
    packaged(house)
    house.write("package", REQUEST, **kept)
    assert [(each.code, each.index) for each in house.found()] == [("other_bytes", 1)]


def test_a_package_that_is_gone_is_told(house):
    packaged(house)
    assert house.codes() == ["in_trail_not_in_releases"]
    house.before = 0
    assert house.found() == []  # made after the books were read


def test_a_package_nobody_recorded_is_told(house):
    house.write("package", REQUEST, sha256=ONE)
    assert house.codes() == ["in_releases_not_in_trail"]


@pytest.mark.parametrize("outcome", ["failed", None])
def test_a_package_whose_making_was_cut_short_is_explained(house, outcome):
    packaged(house, outcome=outcome)
    house.write("package", REQUEST, sha256=ONE)
    assert house.found() == []


def test_a_failure_before_a_good_end_explains_nothing_after_it(house):
    packaged(house, outcome="failed")
    packaged(house)
    house.write("package", REQUEST, sha256=TWO)
    assert house.codes() == ["other_bytes"]


# --- keys and versions


def imported(house, name="stays.v1", sha256=ONE):
    begun = house.tell("data.import", "dataset:stays")
    house.write("line", f"dataset_version:{begun['seq']}", begun)
    house.end(begun, objects=[thing("dataset", "stays"), thing("manifest", name, sha256)])


def shredded(house, outcome="success"):
    begun = house.tell("data.shred", "dataset:stays", "manifest:stays.v1")
    house.end(begun, outcome, objects=[thing("dataset", "stays")])


def test_a_version_whose_keys_are_as_recorded_agrees(house):
    imported(house)
    house.write("version", "stays.v1", sha256=ONE)
    assert house.found() == []


def test_a_manifest_replaced_on_the_disk_or_gone_is_told(house):
    imported(house)
    assert house.codes() == ["in_trail_not_in_vault"]
    house.write("version", "stays.v1", sha256=TWO)
    assert house.codes() == ["other_bytes"]


def test_keys_wrapped_anew_are_the_ones_that_count(house):
    imported(house)
    begun = house.tell("key.rotate", "manifest:stays.v1")
    house.write("line", "dataset_manifest:1", begun)
    house.write("version", "stays.v1", sha256=TWO)
    assert house.found() == []  # between renewing the file and the outcome
    house.end(begun, objects=[thing("manifest", "stays.v1", TWO)])
    assert house.found() == []


def test_a_version_written_anew_is_the_next_one_beside_the_one_it_was_made_of(house):
    imported(house)
    before = thing("manifest", "stays.v1", ONE)
    begun = house.tell("data.compact", "dataset:stays", before)
    house.end(begun, objects=[thing("dataset", "stays"), before, thing("manifest", "stays.v2", TWO)])
    house.write("version", "stays.v1", sha256=ONE)
    house.write("version", "stays.v2", sha256=TWO)
    assert house.found() == []


def test_what_was_shredded_must_be_gone(house):
    imported(house)
    shredded(house)
    assert house.found() == []
    house.write("version", "stays.v1", sha256=ONE)
    assert house.codes() == ["in_vault_not_in_trail"]


def test_a_shredding_cut_short_leaves_it_open(house):
    imported(house)
    shredded(house, "failed")
    assert house.found() == []


def test_an_attestation_and_a_destroyed_backup_change_no_version(house):
    imported(house)
    house.act("data.shred", "backup:tape")
    house.write("version", "stays.v1", sha256=ONE)
    assert house.found() == []


def test_a_version_that_no_import_brought_is_told_unless_one_was_cut_short(house):
    house.write("version", "stays.v1", sha256=ONE)
    assert house.codes() == ["in_vault_not_in_trail"]
    house.tell("data.import", "dataset:stays")
    assert house.found() == []


# --- sessions


def session(house, kind, phase="intent"):
    return house.tell(kind, "session:0123456789", phase=phase)


def test_a_session_nobody_recorded_is_told(house):
    house.write("session", "0123456789")
    assert house.codes() == ["in_hub_not_in_trail"]
    begun = session(house, "session.spawn")
    assert house.found() == []
    house.end(begun)
    session(house, "session.stop", "single")
    assert house.codes() == ["in_hub_not_in_trail"]
    house.before = 2  # it stopped while the books were read
    assert house.found() == []


def test_what_a_pruned_prefix_took_away_is_not_missed(house):
    house.charge(house.ask())
    imported(house)
    session(house, "session.spawn")
    house.write("version", "stays.v1", sha256=ONE)
    house.write("session", "0123456789")
    house.tell("audit.verify", phase="single")
    del house.events[:5]
    assert house.found() == []


# --- the statement as a file, and in a verification


def statement(records=(), *, size, read=SOURCES, unread=()):
    heading = Heading(log="enclave.test/trail", at=NOW, before=size, after=size, read=read, unread=unread)
    return Statement(heading=heading, records=tuple(records))


def test_a_statement_is_read_as_it_was_written():
    told = statement([Record(kind="session", id="0123456789", at=NOW)], size=3)
    assert read_statement(told.to_bytes()) == told


HEAD = statement(size=3).to_bytes()


@pytest.mark.parametrize(
    ("raw", "line"),
    [
        (b"", 1),
        (b"[]\n", 1),
        (HEAD + b"not json\n", 2),
        (HEAD + b'{"kind":"charge","id":"c1","name":"Dupont"}\n', 2),
        (HEAD + 2 * b'{"kind":"charge","id":"c1"}\n', 3),
        (statement(size=3, read=("house",)).to_bytes() + b'{"kind":"charge","id":"c1"}\n', 2),
    ],
)
def test_a_file_that_is_no_statement_is_refused_at_its_line(raw, line):
    with pytest.raises(BadInput) as refused:
        read_statement(raw)
    assert (refused.value.code, refused.value.params["line"]) == ("bad_statement", line)


@pytest.fixture
def asked(tmp_path, signer, make):
    """A trail of one answered question."""
    log = Log(tmp_path / "trail", signer)
    begun = make(phase="intent", dp={"rho_micro": 10})
    log.record(begun)
    log.record(make(phase="outcome", outcome="success", corr=begun.corr))
    log.close()
    return tmp_path / "trail", begun


def test_verification_compares_with_the_books_and_names_the_first_difference(asked):
    trail, _ = asked
    report = verify(trail, against=statement(size=2))
    assert (report.integrity, report.completeness, report.exit_code) == (True, False, 1)
    assert report.step("reconciled").words == (
        "2 records do not agree with the trail, first at 0: "
        "data.query at 0 ended well, and the ledger has no charge of it"
    )


def test_a_difference_without_a_place_is_named_by_its_words(asked):
    trail, begun = asked
    records = [Record(kind=kind, id="x", event=begun.id, index=0) for kind in ("charge", "answer")]
    records.append(Record(kind="session", id="0123456789"))
    step = verify(trail, against=statement(records, size=2)).step("reconciled")
    assert step.verdict == "anomaly"
    assert step.words.endswith("no event announced the session 0123456789 of the hub, which is running")


def test_books_that_agree_say_so_and_books_not_read_are_named(asked):
    trail, begun = asked
    records = [Record(kind=kind, id="x", event=begun.id, index=0) for kind in ("charge", "answer")]
    step = verify(trail, against=statement(records, size=2)).step("reconciled")
    assert (step.verdict, step.words[:50]) == ("ok", "2 records of ledger, house, releases, vault, hub a")
    step = verify(trail, against=statement(records, size=2, read=("ledger",), unread=("hub",))).step(
        "reconciled"
    )
    assert (step.verdict, step.words) == (
        "not done",
        "2 records of ledger agree with the trail; not read: hub",
    )


def test_a_record_whose_act_did_not_end_well_is_counted_apart(tmp_path: Path, signer, make):
    log = Log(tmp_path / "trail", signer)
    begun = make(phase="intent", dp={"rho_micro": 10})
    log.record(begun)
    log.close()
    records = [Record(kind="charge", id="x", event=begun.id, index=0)]
    step = verify(tmp_path / "trail", against=statement(records, size=1)).step("reconciled")
    assert step.words.endswith("1 of them by an act that did not end well")


def test_an_export_carries_the_statement_and_compares_with_it(asked, tmp_path):
    trail, _ = asked
    out = tmp_path / "export"
    export(trail, out, statement(size=2))
    assert "--against statement.jsonl" in (out / "README.md").read_text()
    command = [sys.executable, "-m", "audit", "verify", str(out), "--against", str(out / "statement.jsonl")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert (
        "at 0: data.query at 0 ended well, and the ledger has no charge of it (in_trail_not_in_ledger)"
        in (done.stdout)
    )


def test_without_a_statement_the_step_says_what_would_not_show(whole):
    step = verify(whole).step("reconciled")
    assert (step.verdict, "rolled back" in step.words) == ("not done", True)


def test_a_trail_without_its_beginning_accuses_no_session():
    acts = Acts()
    actor = {"id": "researcher-a", "session": "0123456789"}
    acts.see({"seq": 7, "type": "data.query", "phase": "single", "corr": new_id(), "actor": actor})
    assert acts.session_anomalies() == []


def test_a_session_that_acted_and_was_never_opened_is_told(tmp_path, signer, make):
    log = Log(tmp_path / "trail", signer)
    actor = {"id": "researcher-a", "kind": "person", "session": "0123456789"}
    for kind in ("session.spawn", "data.query"):
        log.record(make(type=kind, actor=actor))
    for _ in range(2):
        log.record(make(actor={**actor, "session": "9876543210"}))
    log.close()
    report = verify(tmp_path / "trail")
    assert report.step("sessions").words.startswith(
        "1 notebook sessions acted that nobody opened, first at 2: "
    )
    assert [(each.code, each.index, each.about) for each in report.anomalies] == [
        ("session_unknown", 2, "9876543210")
    ]
