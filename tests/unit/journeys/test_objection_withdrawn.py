"""A person takes an objection back: counted again at once, never for somebody else, and what is gone stays gone."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from anonymisation.bounds import UNIT
from audit.verify import verify
from enclave.agreements.objections import ObjectionKind
from enclave.commands import objection_commands
from enclave.errors import BadInput, Damaged, NotFound, Refused
from enclave.journeys.objection import Reinstated, standing, standings, withdraw
from enclave.journeys.objection_list import Said
from enclave.journeys.statement import BooksOfTheHouse
from enclave.people import Person, Role
from enclave.recording import EventObject, Visitor
from tests.unit.intake.intake_house import nir
from tests.unit.journeys.engine_for_tests import question
from tests.unit.journeys.objecting_house import (
    DPO,
    OPERATOR,
    POPULATION,
    ROWS,
    STEWARD,
    ObjectingHouse,
    Seen,
    every_byte,
    objecting_house,
    unit_of,
)
from vault.keys import Rights

ROOT = Path(__file__).parents[3]
WHO, OTHER, NOBODY = 4, 5, 1_000  # of the made-up people, three stays each; the last one is in no file
ALL_BUT_ONE = ROWS - 3
SHELVES = ("identity", "research", "text")


@pytest.fixture
def house(tmp_path: Path, own_keyring: Path) -> Iterator[ObjectingHouse]:
    made = objecting_house(tmp_path / "state", own_keyring)
    made.bring()
    yield made
    made.close()


def rows_read(house: ObjectingHouse, seen: Seen, rho: int) -> int:
    house.desk.ask(house.order(question(rho)))
    return seen.rows.height


def status_of(house: ObjectingHouse, reference: str) -> str:
    return standing(house.objections, DPO, reference).datasets[0].status


def sealed(house: ObjectingHouse) -> Path:
    (file,) = (house.intake.state / "objections").glob("*.sealed")
    return file


def test_from_the_next_question_on_the_person_is_counted_again(house: ObjectingHouse, seen: Seen) -> None:
    told = house.object(nir(WHO))
    assert rows_read(house, seen, 1_000) == ALL_BUT_ONE
    assert house.desk.warm.bytes > 0  # the next one reads from memory, and has them all the same
    back = house.withdraw(told.reference.upper(), nir(WHO))
    assert (back.left_out, back.also, back.cut_short) == (False, (), False)
    assert (back.standing.datasets[0].status, back.standing.datasets[0].still_in) == ("lifted", (1,))
    assert rows_read(house, seen, 1_001) == ROWS
    assert unit_of(house, WHO) in seen.rows[UNIT].to_list()
    assert house.desk.ask(house.order(question(1_000)))["replayed"]  # what was paid before is given as it was
    assert house.compact().rewritten is False


def test_a_reference_of_somebody_else_is_refused_alike_whoever_is_typed(
    house: ObjectingHouse, seen: Seen
) -> None:
    mine, theirs = house.object(nir(WHO)), house.object(nir(OTHER))
    before = sealed(house).read_bytes()
    for typed in (OTHER, WHO + 2, NOBODY):
        with pytest.raises(Refused) as refused:
            house.withdraw(mine.reference, nir(typed))
        assert (refused.value.code, refused.value.params) == ("not_this_persons_objection", {})
    assert sealed(house).read_bytes() == before
    assert [one.withdrawn for one in standings(house.objections, DPO)] == [None, None]
    assert rows_read(house, seen, 1_000) == ROWS - 6
    attempts = [one for one in house.intake.recorder.events if one.get("outcome") == "denied"]
    assert {one["reason"] for one in attempts} == {"not_this_persons_objection"}
    assert mine.reference not in str(attempts)
    assert not house.withdraw(theirs.reference, nir(OTHER)).left_out


def test_who_objected_twice_is_left_out_until_both_are_taken_back(house: ObjectingHouse, seen: Seen) -> None:
    first, second = house.object(nir(WHO)), house.object(nir(WHO))
    assert first.reference != second.reference
    told = house.withdraw(first.reference, nir(WHO))
    assert (told.left_out, told.also, told.cut_short) == (True, (second.reference,), False)
    assert rows_read(house, seen, 1_000) == ALL_BUT_ONE
    assert not house.withdraw(second.reference, nir(WHO)).left_out
    assert rows_read(house, seen, 1_001) == ROWS
    third = house.object(nir(WHO))  # and may object again
    assert rows_read(house, seen, 1_002) == ALL_BUT_ONE
    assert house.compact().version == 2
    assert status_of(house, third.reference) == "removed"


def test_an_erasure_taken_back_before_a_compaction_is_not_carried_out(house: ObjectingHouse) -> None:
    told = house.object(nir(WHO), ObjectionKind.ERASURE)
    house.object(nir(OTHER))
    assert house.withdraw(told.reference, nir(WHO)).standing.kind == "erasure"
    assert house.compact().version == 2
    for shelf in SHELVES:
        units = house.held(shelf)[UNIT].to_list()
        assert unit_of(house, WHO) in units
        assert unit_of(house, OTHER) not in units
    assert status_of(house, told.reference) == "lifted"


def test_what_a_compaction_removed_comes_back_only_with_the_partners_next_file(
    house: ObjectingHouse, seen: Seen
) -> None:
    told = house.object(nir(WHO), ObjectionKind.ERASURE)
    house.compact()
    house.withdraw(told.reference, nir(WHO))
    assert status_of(house, told.reference) == "absent"
    assert rows_read(house, seen, 1_000) == ALL_BUT_ONE
    house.object(nir(OTHER))
    house.compact()  # a version written from one without them has them no more than that
    assert status_of(house, told.reference) == "absent"
    house.bring()
    assert status_of(house, told.reference) == "lifted"
    assert rows_read(house, seen, 1_001) == ALL_BUT_ONE
    assert unit_of(house, WHO) in seen.rows[UNIT].to_list()
    house.compact()
    assert (status_of(house, told.reference), house.held("identity").height) == ("lifted", ALL_BUT_ONE)


def test_taken_back_during_a_compaction_every_shelf_still_leaves_out_the_same_people(
    house: ObjectingHouse,
) -> None:
    told = house.object(nir(WHO))

    def late(shelf: str, done: int, _of: int) -> None:
        if shelf == "text" and done == 1:
            house.withdraw(told.reference, nir(WHO))

    assert house.compact(late).version == 2
    for shelf in SHELVES:
        assert house.held(shelf).height == ALL_BUT_ONE
    assert status_of(house, told.reference) == "absent"


def test_a_destruction_that_was_cut_short_is_finished_whatever_was_taken_back_since(
    house: ObjectingHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = house.object(nir(WHO))

    def cut(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as cutting:
        cutting.setattr("enclave.journeys.keys.shred_version", cut)
        with pytest.raises(KeyboardInterrupt):
            house.compact()
    house.withdraw(told.reference, nir(WHO))
    done = house.compact()
    assert (done.rewritten, [one.version for one in done.destroyed]) == (False, [1])


def test_a_list_put_back_from_before_a_withdrawal_stops_everything_and_does_not_grow_into_place(
    house: ObjectingHouse,
) -> None:
    told = house.object(nir(WHO))
    file = sealed(house)
    older = file.read_bytes()
    house.withdraw(told.reference, nir(WHO))
    newer = file.read_bytes()
    for content in (older, None):
        file.unlink()
        if content is not None:
            file.write_bytes(content)
        for act in (
            lambda: house.desk.ask(house.order(question(1_000))),
            lambda: house.object(nir(OTHER)),
            lambda: house.withdraw(told.reference, nir(WHO)),
        ):
            with pytest.raises(Damaged) as damaged:
                act()
            assert damaged.value.code == "objections_missing"
        assert (file.read_bytes() if file.exists() else None) == content
    file.write_bytes(newer)
    assert house.object(nir(OTHER)).reference


def test_taken_back_again_it_comes_to_the_same(house: ObjectingHouse) -> None:
    told = house.object(nir(WHO))
    first = house.withdraw(told.reference, nir(WHO))
    before = sealed(house).read_bytes()
    again = house.withdraw(told.reference, nir(WHO))
    assert again == first
    assert sealed(house).read_bytes() == before
    with pytest.raises(Refused):
        house.withdraw(told.reference, nir(OTHER))


# Loads everything once, then for each line forks a process that does an act and is killed where the engine has it on
# its list and the house does not know of it yet; says how the process ended.
KILLED = """
import os, signal, sys
from pathlib import Path
from enclave.agreements.objections import ObjectionBook
from tests.unit.intake.intake_house import nir
from tests.unit.journeys.objecting_house import objecting_house

state, keyring, person = Path(sys.argv[1]), Path(sys.argv[2]), nir(int(sys.argv[3]))
ObjectionBook.note = ObjectionBook.note_withdrawal = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        house = objecting_house(state, keyring)
        house.withdraw(line.strip(), person) if line.strip() else house.object(person)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def test_kill_9_between_the_list_and_the_house_leaves_one_record_when_asked_again(
    tmp_path: Path, own_keyring: Path
) -> None:
    state = tmp_path / "state"
    house = objecting_house(state, own_keyring)
    command = [sys.executable, "-c", KILLED, str(state), str(own_keyring), str(WHO)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:

        def killed(reference: str) -> ObjectingHouse:
            house.close()
            assert parent.stdin is not None
            assert parent.stdout is not None
            parent.stdin.write(f"{reference}\n")
            parent.stdin.flush()
            assert parent.stdout.readline() == "-9\n"
            return objecting_house(state, own_keyring)

        house.bring()
        house = killed("")
        assert (standings(house.objections, DPO), len(entries(house))) == ((), 1)
        told = house.object(nir(WHO))
        assert [one["reference"] for one in entries(house)] == [told.reference]
        house = killed(told.reference)
        assert standing(house.objections, DPO, told.reference).withdrawn is None
        assert len(entries(house)) == 2
        back = house.withdraw(told.reference, nir(WHO))
        assert (back.left_out, len(entries(house))) == (False, 2)
        assert standing(house.objections, DPO, told.reference).withdrawn is not None
        house.close()
        assert parent.stdin is not None
        parent.stdin.close()


def entries(house: ObjectingHouse) -> list[dict[str, object]]:
    keys = house.intake.keys(Rights.ENGINE)
    about = [EventObject("population", POPULATION)]
    receipt = house.intake.recorder.single("data.query", actor=STEWARD, objects=about)
    return house.desk.objections.lists.read(POPULATION, keys, receipt)


def test_a_record_that_was_cut_short_is_told_and_taken_up_by_recording_again(house: ObjectingHouse) -> None:
    lost = Said("opp-0000-0000-0001", "erasure", POPULATION, "nir", nir(WHO), 0)
    house.desk.objections.record(lost, [], STEWARD)  # the engine has it, the house was never told
    mine = house.object(nir(WHO))  # an objection is not that erasure
    back = house.withdraw(mine.reference, nir(WHO))
    assert (back.left_out, back.also, back.cut_short) == (True, (), True)
    taken_up = house.object(nir(WHO), ObjectionKind.ERASURE)
    assert taken_up.reference == lost.reference
    assert not house.withdraw(taken_up.reference, nir(WHO)).left_out


def test_only_the_data_protection_officer_takes_back_and_only_what_was_recorded(
    house: ObjectingHouse,
) -> None:
    told = house.object(nir(WHO))
    before = len(house.intake.recorder.events)
    steward = Visitor(Person("steward-a", frozenset({Role.STEWARD, Role.AUDITOR})))
    for visitor in (steward, OPERATOR):
        with pytest.raises(Refused):
            withdraw(house.objections, visitor, told.reference, nir(WHO))
    with pytest.raises(NotFound):
        house.withdraw("opp-0000-0000-0000", nir(WHO))
    assert len(house.intake.recorder.events) == before
    wrong = nir(WHO)[:-2] + "99"
    with pytest.raises(BadInput) as refused:
        house.withdraw(told.reference, wrong)
    assert wrong not in f"{refused.value} {refused.value.params}"
    assert status_of(house, told.reference) == "waits"


def test_who_took_it_back_is_in_no_file_and_the_trail_has_neither_person_nor_reference(
    house: ObjectingHouse,
) -> None:
    told = house.object(nir(WHO))
    back = house.withdraw(told.reference, nir(WHO))
    unit = unit_of(house, WHO)
    held = every_byte(house.intake.state)
    for shown in (nir(WHO).encode(), nir(WHO)[:13].encode(), str(unit).encode(), unit.to_bytes(8, "little")):
        assert shown not in held
    assert told.reference not in str(house.intake.recorder.events)
    assert house.intake.recorder.told("data.objection")[-4:] == [
        ("data.objection", "intent", "withdrawn"),
        ("data.objection", "intent", "unlisted"),
        ("data.objection", "success", "unlisted"),
        ("data.objection", "success", "withdrawn"),
    ]
    assert back.standing.withdrawn == len(house.intake.recorder.events) - 4
    assert nir(WHO) not in repr(Said("r", "objection", POPULATION, "nir", nir(WHO), 0))


def test_the_trail_and_the_houses_books_agree_after_a_withdrawal(house: ObjectingHouse) -> None:
    told = house.object(nir(WHO))
    house.withdraw(told.reference, nir(WHO))
    house.withdraw(told.reference, nir(WHO))
    books = BooksOfTheHouse(
        recorder=house.intake.recorder,
        engine=SimpleNamespace(call=lambda *_: {"records": []}),  # type: ignore[arg-type]
        house=house.intake.tools.agreements._engine,
        publisher=lambda: (SimpleNamespace(requests=list), house.intake.keys(Rights.PUBLISHER)),  # type: ignore[arg-type,return-value]
        shelves=house.root,
        hub=Path("nowhere"),
    )
    recorder = house.intake.recorder
    statement = books.statement(recorder.single("audit.verify", actor=STEWARD, objects=[]))
    lines = [one.id for one in statement.records if one.id.startswith("objection")]
    assert lines == ["objection:1", "objection_withdrawal:1"]
    found = verify(recorder.directory, against=statement)
    assert [one.words for one in found.anomalies if one.code != "in_trail_not_in_ledger"] == []


def test_the_officer_reads_in_both_languages_whether_the_person_is_counted(
    house: ObjectingHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = house.object(nir(WHO)), house.object(nir(WHO), ObjectionKind.ERASURE)
    kept = house.withdraw(first.reference, nir(WHO))
    done = house.withdraw(second.reference, nir(WHO))
    cut = Reinstated(done.standing, (), cut_short=True)
    for spoken, not_yet, counted in (
        ("fr_FR.UTF-8", "pas encore comptée", "comptent cette personne"),
        ("en_GB.UTF-8", "not counted yet", "questions count this person"),
    ):
        monkeypatch.setenv("LC_ALL", spoken)
        for told in (kept, cut):
            lines = list(objection_commands._told_back(told))
            assert any(not_yet in line for line in lines)
            assert not any(counted in line for line in lines)
        lines = list(objection_commands._told_back(done))
        assert any(counted in line for line in lines)
        assert len(lines) == 3
        listed = [list(objection_commands._told(one)) for one in standings(house.objections, DPO)]
        assert not any(str(done.standing.withdrawn) in line for line in listed[0])
        assert any(str(done.standing.withdrawn) in line for line in listed[1])
