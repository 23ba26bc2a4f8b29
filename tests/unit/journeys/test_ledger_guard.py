"""A ledger that is older than the trail answers nothing, until what it lost is entered again from the trail."""

import shutil
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from anonymisation.ledger import Ledger
from audit.event import new_id
from enclave.engine import application
from enclave.errors import Damaged
from enclave.journeys import ledger_guard
from enclave.journeys.ledger_guard import LedgerGuard
from enclave.recording import Actor
from tests.unit.journeys.engine_for_tests import Engine, engine, question

SENIOR = Actor("senior-steward-a", "person", "senior_steward")


@pytest.fixture
def house(tmp_path: Path) -> Engine:
    return engine(tmp_path)


def back(house: Engine, copy: Path) -> LedgerGuard:
    """Put the ledger back to a copy of it and start anew."""
    house.desk.ledger.close()
    ledger = copy.parent / "ledger.db"
    for path in copy.parent.glob("ledger.db*"):
        path.unlink()
    shutil.copy(copy, ledger)
    return LedgerGuard(house.recorder, Ledger.open(ledger), house.desk.root)


def copied(house: Engine, tmp_path: Path) -> Path:
    house.desk.ledger.close()  # a checkpoint of the WAL: the file alone is the whole ledger
    return Path(shutil.copy(tmp_path / "ledger.db", tmp_path / "backup"))


def refused(guard: LedgerGuard) -> Damaged:
    guard.look()
    with pytest.raises(Damaged) as told:
        guard.check()
    return told.value


def test_a_ledger_that_knows_every_answer_and_cap_is_let_be(house: Engine) -> None:
    house.desk.ask(house.order(question()))
    house.desk.ask(house.order(question()))  # given again: charged to nobody
    guard = LedgerGuard(house.recorder, house.desk.ledger, house.desk.root)
    guard.look()
    guard.check()
    assert guard.reenter(SENIOR) == 0
    assert house.recorder.told("dp.caps")[-1][2] is None


def test_a_ledger_put_back_under_an_intact_trail_is_refused_and_says_since_when(
    house: Engine, tmp_path: Path
) -> None:
    house.desk.ask(house.order(question(1_000)))
    backup = copied(house, tmp_path)
    answer = house.desk.ask(house.order(question(2_000)))
    told = refused(back(house, backup))
    assert (told.code, told.params["lost"]) == ("ledger_older_than_trail", 1)
    assert told.params["index"] < answer["index"] + 1


def test_a_ledger_that_was_deleted_is_refused(house: Engine, tmp_path: Path) -> None:
    empty = copied(house, tmp_path)
    Ledger.open(empty.with_name("fresh")).close()
    house.desk.ask(house.order(question()))
    assert refused(back(house, empty.with_name("fresh"))).params["lost"] == 1 + 3  # and the three caps


def test_a_cap_that_was_lowered_and_came_back_is_refused(house: Engine, tmp_path: Path) -> None:
    backup = copied(house, tmp_path)
    house.desk.set_cap("population", "patients", "", 10, SENIOR)
    assert refused(back(house, backup)).params["lost"] == 1


@pytest.mark.parametrize("closed", ["interrupted", None])
def test_an_announcement_without_a_charge_is_a_crash_and_no_rollback(
    house: Engine, closed: str | None
) -> None:
    told = house.recorder.intent("data.query", actor=SENIOR, objects=[], dp={"rho_micro": 10})
    if closed:
        house.recorder.outcome(told, "failed", reason=closed)
    guard = LedgerGuard(house.recorder, house.desk.ledger, house.desk.root)
    guard.look()
    guard.check()


def test_an_outcome_whose_announcement_was_pruned_proves_nothing(house: Engine) -> None:
    pruned = {"type": "data.query", "phase": "outcome", "corr": new_id(), "outcome": "success"}
    house.recorder._send({**pruned, "actor": {"id": "researcher-a", "kind": "person"}})
    guard = LedgerGuard(house.recorder, house.desk.ledger, house.desk.root)
    guard.look()
    guard.check()


def test_nothing_is_asked_priced_or_capped_of_an_older_ledger(house: Engine, tmp_path: Path) -> None:
    backup = copied(house, tmp_path)
    order = house.order(question())
    house.desk.ask(order)
    guard = back(house, backup)
    guard.look()
    http = TestClient(application(house.desk, guard))
    actor = vars(SENIOR)
    bodies = {
        **dict.fromkeys(("ask", "price", "catalogue", "left", "profile", "cancel"), order.model_dump()),
        "population": {"population": "patients", "cap": 9, "actor": actor},
        "caps": {"scope": "population", "population": "patients", "own": "", "rho_micro": 9, "actor": actor},
    }
    for address, body in bodies.items():
        answer = http.post(f"/v1/{address}", json=body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (500, "ledger_older_than_trail"), (
            address
        )
    assert http.get("/v1/health").status_code == 200
    assert http.post("/v1/reenter", json={"actor": actor}).json() == {
        "entered": 3
    }  # its caps, and the charge
    assert http.post("/v1/left", json=order.model_dump()).status_code == 200


def test_what_was_lost_is_entered_again_and_counts(house: Engine, tmp_path: Path) -> None:
    backup = copied(house, tmp_path)
    house.desk.ask(house.order(question(1_000)))
    house.desk.make_profile(house.order(rho_micro=5_000))
    house.desk.set_cap("project", "patients", "cardio", 3_000, SENIOR)
    guard = back(house, backup)
    spent_before = guard.ledger.left("patients", "cardio", "researcher-a").population.spent
    lost = refused(guard).params["lost"]
    assert guard.reenter(SENIOR) == lost
    left = guard.ledger.left("patients", "cardio", "researcher-a")
    assert (spent_before, left.population.spent, left.project.spent) == (0, 6_000, 1_000)
    assert left.project.cap == 3_000  # the newest of the caps is the newest again
    versions = {one.reservation.charge.version for one in guard.ledger.charges("patients")}
    assert versions == {1, ledger_guard.UNKNOWN_VERSION}  # a profile's event names no manifest
    assert house.recorder.told("dp.caps")[-1] == ("dp.caps", "success", "reentered")


def test_a_long_trail_is_read_by_the_page(
    house: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_guard, "PAGE", 3)
    backup = copied(house, tmp_path)
    for rho in (1_000, 2_000, 3_000):
        house.desk.ask(house.order(question(rho)))
    for _ in range(4):
        house.desk.ask(house.order(question(3_000)))  # pages of answers given again prove nothing
    guard = back(house, backup)
    assert refused(guard).code == "ledger_older_than_trail"
    assert guard.reenter(SENIOR) == 3 + 2
    assert guard.ledger.left("patients", "", "").population.spent == 6_000


def test_the_ledger_tells_its_lines_with_the_events_they_were_written_under(house: Engine) -> None:
    house.desk.ask(house.order(question(1_000)))
    told = house.desk.ledger_records()
    assert [(one["kind"], one["rho_micro"]) for one in told] == [
        ("charge", 1_000),
        ("answer", None),
        ("cap", 2_000_000),
        ("cap", 500_000),
        ("cap", 250_000),
    ]
    known = house.desk.ledger.knows([one["event_id"] for one in told])
    assert known == {one["event_id"] for one in told}
