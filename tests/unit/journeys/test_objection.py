"""A patient says no: refused at once, removed at the compaction, attested, and named nowhere."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from anonymisation.bounds import UNIT
from audit.verify import verify
from enclave.agreements.objections import ObjectionKind
from enclave.errors import BadInput, ComponentDown, Damaged, NotFound, Refused
from enclave.journeys.compaction import compact
from enclave.journeys.keys import backup_destroyed, note_backup, rotate, shred
from enclave.journeys.objection import record, standing, standings
from enclave.journeys.statement import BooksOfTheHouse
from enclave.people import Person, Role
from enclave.recording import EventObject, Visitor
from tests.unit.intake.intake_house import AGENT, POLICY, csv, nir, row
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
from vault.errors import VaultDamaged, VaultError, VaultRefused
from vault.keys import Rights

WHO = 4  # of the made-up people, three stays each
OTHERS = ROWS - 3


@pytest.fixture
def house(tmp_path: Path, own_keyring: Path) -> Iterator[ObjectingHouse]:
    made = objecting_house(tmp_path / "state", own_keyring)
    made.bring()
    yield made
    made.close()


def test_from_the_next_question_on_the_person_is_counted_by_none(house: ObjectingHouse, seen: Seen) -> None:
    house.desk.ask(house.order(question(1_000)))
    assert seen.rows.height == ROWS
    assert house.desk.warm.bytes > 0  # the next one reads from memory, and leaves them out all the same
    house.object(nir(WHO))
    house.desk.ask(house.order(question(1_001)))
    assert seen.rows.height == OTHERS
    assert unit_of(house, WHO) not in seen.rows[UNIT].to_list()
    house.desk.make_profile(house.order(rho_micro=1_000))
    assert unit_of(house, WHO) not in seen.rows[UNIT].to_list()


def test_a_file_that_comes_in_later_brings_the_person_into_no_answer(
    house: ObjectingHouse, seen: Seen
) -> None:
    house.object(nir(WHO))
    house.bring(ROWS + 3)
    house.desk.ask(house.order(question(1_000)))
    assert seen.rows.height == ROWS
    assert standings(house.objections, DPO)[0].datasets[0].still_in == (1, 2)


def test_another_dataset_about_the_same_people_leaves_the_person_out_too(
    house: ObjectingHouse, seen: Seen
) -> None:
    told = house.object(nir(WHO))
    assert told.reached == ("stays",)
    other = POLICY.replace("dataset: stays", "dataset: visits")
    house.intake.declare("visits", policy=other)
    house.intake.bring(house.intake.file(csv([row(number) for number in range(ROWS)])), other)
    about = house.intake.tools.agreements.dataset("visits")
    ask = house.order(
        question(1_000, "visits"),
        dataset="visits",
        manifest_sha256=about.manifest_sha256,
        policy_yaml=about.policy_yaml,
        objections=about.objections,
    )
    house.desk.ask(ask)
    assert seen.rows.height == OTHERS


def test_price_and_budget_do_not_tell_that_somebody_objected(house: ObjectingHouse) -> None:
    before = house.desk.price(house.order(question(1_000)))
    catalogue = house.desk.catalogue(house.order())
    house.object(nir(WHO))
    assert house.desk.price(house.order(question(1_000))) == before
    assert house.desk.catalogue(house.order()) == catalogue
    answer = house.desk.ask(house.order(question(1_000)))
    plain = house.desk.ask(house.order(question(1_000), project="asthma", objections=0))
    assert set(answer) == set(plain)


def test_what_was_paid_before_is_given_again_and_what_was_spent_stays_spent(house: ObjectingHouse) -> None:
    first = house.desk.ask(house.order(question(1_000)))
    house.desk.make_profile(house.order(rho_micro=1_000))
    spent = house.spent()
    house.object(nir(WHO))
    again = house.desk.ask(house.order(question(1_000)))
    assert (again["replayed"], again["rows"]) == (True, first["rows"])
    house.compact()
    assert house.spent() == spent
    assert house.desk.profile(house.order(rho_micro=1_000))["profile"]
    later = house.desk.ask(house.order(question(1_000)))
    assert (later["replayed"], later["dataset_version"]) == (False, 2)
    assert house.spent() == spent + 1_000


def test_a_profile_that_was_destroyed_with_its_version_stops_no_later_question(house: ObjectingHouse) -> None:
    house.desk.make_profile(house.order(rho_micro=1_000))
    house.bring()
    shred(house.compaction.care, OPERATOR, "stays", 1)
    assert "dropped" not in house.desk.ask(house.order(question(1_000)))
    with pytest.raises(NotFound):
        house.desk.profile(house.order(rho_micro=1_000))


def test_who_objected_is_in_no_file_of_the_house_and_in_no_event(house: ObjectingHouse) -> None:
    unit = unit_of(house, WHO)
    told = house.object(nir(WHO))
    house.compact()
    held = every_byte(house.intake.state)
    for shown in (nir(WHO).encode(), nir(WHO)[:13].encode(), str(unit).encode(), unit.to_bytes(8, "little")):
        assert shown not in held
    events = [
        one for one in house.intake.recorder.events if one["type"] in {"data.objection", "data.compact"}
    ]
    assert events
    assert told.reference not in str(events)
    assert {one["kind"] for event in events for one in event["object"]} == {
        "population",
        "dataset",
        "manifest",
    }
    assert {key for event in events for key in event.get("counts", {})} == {"version", "from_version"}


def test_after_a_compaction_no_shelf_holds_the_person_and_nothing_older_opens(house: ObjectingHouse) -> None:
    house.bring(ROWS, row(ROWS, sex="X"))
    unit = unit_of(house, WHO)
    assert unit in house.held("identity")[UNIT].to_list()
    old = [one.manifest_sha256 for one in house.intake.tools.agreements.versions("stays")]
    told = house.object(nir(WHO), ObjectionKind.ERASURE)
    assert standing(house.objections, DPO, told.reference).datasets[0].status == "waits"
    progress: list[str] = []
    done = house.compact(lambda shelf, _done, _of: progress.append(shelf))
    assert (done.version, done.from_version, done.rewritten) == (3, 2, True)
    assert list(dict.fromkeys(progress)) == ["research", "text", "identity"]
    for shelf in ("identity", "research", "text"):
        assert house.held(shelf).height == OTHERS
        assert unit not in house.held(shelf)[UNIT].to_list()
    for version, _ in enumerate(old, start=1):
        with pytest.raises(VaultDamaged):
            house.intake.shelf("research", version)
    assert [path.name for path in (house.root / "stays").iterdir()] == ["v3"]
    assert not list(house.intake.tools.quarantine.iterdir())  # rows put aside could be anybody's
    assert house.forgotten
    assert house.intake.recorder.verified().completeness
    (where,) = standing(house.objections, DPO, told.reference).datasets
    assert (where.status, where.removed_from, where.still_in) == ("removed", (1, 2), ())


def test_a_compaction_asked_again_changes_nothing_and_another_objection_asks_for_another(
    house: ObjectingHouse,
) -> None:
    assert house.compact().rewritten is False  # nobody objected
    house.object(nir(WHO))
    assert house.compact().version == 2
    again = house.compact()
    assert (again.version, again.rewritten, again.destroyed) == (2, False, ())
    house.object(nir(WHO + 1))
    assert house.compact().version == 3
    assert house.held("identity").height == OTHERS - 3


def test_a_destruction_that_was_cut_short_is_not_called_removed_and_is_done_again(
    house: ObjectingHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.bring(ROWS, row(ROWS, sex="X"))
    told = house.object(nir(WHO))

    def cut(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as cutting:
        cutting.setattr("enclave.journeys.keys.shred_version", cut)
        with pytest.raises(KeyboardInterrupt):
            house.compact()
    assert house.about().version == 3
    (where,) = standing(house.objections, DPO, told.reference).datasets
    assert (where.status, where.still_in) == ("waits", (1, 2))
    again = house.compact()
    assert (again.rewritten, [one.version for one in again.destroyed]) == (False, [1, 2])
    assert standing(house.objections, DPO, told.reference).datasets[0].status == "removed"
    assert not list(house.intake.tools.quarantine.iterdir())


def test_the_trail_and_the_houses_books_agree_after_objections_and_a_compaction(
    house: ObjectingHouse,
) -> None:
    house.bring()
    house.object(nir(WHO))
    house.compact()
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
    assert [one.id for one in statement.records if one.kind == "version"] == ["stays.v3"]
    found = verify(recorder.directory, against=statement).anomalies
    assert [one.words for one in found if one.code != "in_trail_not_in_ledger"] == []


def test_the_persons_reference_says_pending_until_the_last_backup_is_gone(house: ObjectingHouse) -> None:
    note_backup(house.compaction.care, OPERATOR, "safe-1", None)
    told = house.object(nir(WHO))
    house.compact()
    (where,) = standing(house.objections, DPO, told.reference.upper()).datasets
    assert (where.status, where.backups) == ("pending", ("safe-1",))
    backup_destroyed(house.compaction.care, OPERATOR, "safe-1")
    assert standing(house.objections, DPO, told.reference).datasets[0].status == "removed"


def test_an_objection_recorded_during_a_compaction_waits_for_the_next(house: ObjectingHouse) -> None:
    house.object(nir(WHO))
    late: list[str] = []

    def object_late(shelf: str, done: int, _of: int) -> None:
        if shelf == "text" and done == 1:
            late.append(house.object(nir(WHO + 1)).reference)

    house.compact(object_late)
    assert house.held("identity").height == house.held("research").height == OTHERS
    assert standing(house.objections, DPO, late[0]).datasets[0].still_in == (2,)
    assert house.compact().version == 3
    assert house.held("identity").height == OTHERS - 3


def test_only_the_data_protection_officer_records_and_only_an_operator_compacts(
    house: ObjectingHouse,
) -> None:
    told = house.object(nir(WHO))
    before = len(house.intake.recorder.events)
    steward = Visitor(Person("steward-a", frozenset({Role.STEWARD, Role.SENIOR_STEWARD})))
    for visitor in (steward, OPERATOR, AGENT):
        with pytest.raises(Refused):
            record(house.objections, visitor, POPULATION, ObjectionKind.OBJECTION, nir(WHO))
    for visitor in (steward, AGENT):
        with pytest.raises(Refused):
            standing(house.objections, visitor, told.reference)
    with pytest.raises(Refused):
        compact(house.compaction, DPO, "stays")
    assert len(house.intake.recorder.events) == before


def test_an_identifier_that_is_none_is_refused_without_repeating_it(house: ObjectingHouse) -> None:
    wrong = nir(WHO)[:-2] + "99"
    for identifier in (wrong, "", "Béranger"):
        with pytest.raises(BadInput) as refused:
            house.object(identifier)
        assert refused.value.code == "identifier_unreadable"
        assert not identifier or identifier not in f"{refused.value} {refused.value.params}"
    assert wrong.encode() not in every_byte(house.intake.state)
    assert standings(house.objections, DPO) == ()


def test_a_population_or_an_identifier_type_nobody_knows_is_refused(house: ObjectingHouse) -> None:
    with pytest.raises(NotFound):
        record(house.objections, DPO, "others", ObjectionKind.OBJECTION, nir(WHO))
    for wrong in ("ipp", "row"):
        with pytest.raises(BadInput) as refused:
            record(house.objections, DPO, POPULATION, ObjectionKind.OBJECTION, nir(WHO), wrong)
        assert refused.value.code == "id_type_needed"
    with pytest.raises(NotFound):
        standing(house.objections, DPO, "opp-0000-0000-0000")


def test_before_any_data_an_objection_names_its_identifier_type(tmp_path: Path, own_keyring: Path) -> None:
    house = objecting_house(tmp_path / "state", own_keyring)
    for wrong in (None, "row", nir(WHO)):
        with pytest.raises(BadInput):
            record(house.objections, DPO, POPULATION, ObjectionKind.OBJECTION, nir(WHO), wrong)
    told = record(house.objections, DPO, POPULATION, ObjectionKind.OBJECTION, nir(WHO), "nir")
    assert (told.reached, told.not_reached) == ((), ("stays",))
    assert house.compact().version is None
    house.bring()
    assert house.compact().version == 2
    assert house.held("identity").height == OTHERS
    house.close()


def test_a_list_that_is_gone_or_rolled_back_stops_every_question_before_a_row_is_read(
    house: ObjectingHouse, seen: Seen
) -> None:
    house.object(nir(WHO))
    (file,) = (house.intake.state / "objections").glob("*.sealed")
    older = file.read_bytes()
    house.object(nir(WHO + 1))
    newer = file.read_bytes()
    for content in (None, b"", older):
        file.unlink(missing_ok=True)
        if content is not None:
            file.write_bytes(content)
        with pytest.raises(Damaged) as damaged:
            house.desk.ask(house.order(question(1_000)))
        assert damaged.value.code == "objections_missing"
        with pytest.raises(Damaged):
            house.compact()
        assert [one.version for one in house.intake.tools.agreements.versions("stays")] == [1]
    file.write_bytes(newer[:-1] + bytes([newer[-1] ^ 1]))
    with pytest.raises(VaultError):
        house.desk.ask(house.order(question(1_000)))
    assert seen.rows.is_empty()


def test_without_the_engine_or_the_recorder_nothing_is_promised(house: ObjectingHouse) -> None:
    house.intake.recorder.down = True
    with pytest.raises(ComponentDown):
        house.object(nir(WHO))
    house.intake.recorder.down = False

    def deaf(*_: object) -> None:
        raise ComponentDown("engine_down", "The engine does not answer.")

    object.__setattr__(house.objections, "engine", SimpleNamespace(record=deaf, withdraw=deaf))
    with pytest.raises(ComponentDown):
        house.object(nir(WHO))
    assert standings(house.objections, DPO) == ()


def test_a_rotation_keeps_every_objection(house: ObjectingHouse, seen: Seen) -> None:
    house.object(nir(WHO))
    rotate(house.compaction.care, OPERATOR, retire=True)
    house.desk.ask(house.order(question(1_000)))
    assert seen.rows.height == OTHERS
    assert house.compact().version == 2
    assert house.held("text").height == OTHERS


def test_the_row_is_nobody_and_its_dataset_is_told_as_not_reached(house: ObjectingHouse) -> None:
    rows = (
        POLICY.replace("dataset: stays", "dataset: rows")
        .replace("{id_type: nir, column: nir}", "{id_type: row}")
        .replace("rows: 5, groups: 5", "rows: 1, groups: 1")
    )
    house.intake.declare("rows", policy=rows)
    house.intake.bring(house.intake.file(csv([row(number) for number in range(ROWS)])), rows)
    told = house.object(nir(WHO))
    assert (told.reached, told.not_reached) == (("stays",), ("rows",))
    assert standing(house.objections, DPO, told.reference).not_reached == ("rows",)
    with pytest.raises(VaultRefused):
        house.intake.keys(Rights.OPERATOR).unwrap(
            "objections", "x", f"population:{POPULATION}", _queried(house)
        )


def _queried(house: ObjectingHouse) -> Any:
    return house.intake.recorder.single(
        "data.query", actor=STEWARD, objects=[EventObject("population", POPULATION)]
    )
