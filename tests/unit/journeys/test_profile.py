from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from anonymisation import profile as profiling
from anonymisation.errors import BudgetSpent
from enclave.errors import NotFound, Refused
from enclave.journeys.profile import HOUSE
from enclave.journeys.question import Desk
from tests.unit.journeys.engine_for_tests import STEWARD, Engine, engine, question

RHO = 20_000


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Engine]:
    made = engine(tmp_path)
    yield made
    made.desk.ledger.close()
    made.recorder.close()


def make(house: Engine, **changes: Any) -> dict[str, Any]:
    asked = house.order(person="steward-a", role="steward", project=HOUSE, rho_micro=RHO, **changes)
    return house.desk.make_profile(asked)


def test_a_profile_is_charged_once_to_the_population_and_then_free_to_every_project(house: Engine) -> None:
    make(house)
    assert 0 < house.spent() <= RHO
    spent = house.spent()
    for project in ("cardio", "asthma"):
        told = house.desk.profile(house.order(project=project))
        assert told["profile"]["dataset"] == "stays"
        assert {one["rows"] for one in told["advice"]["rows"]} >= {1, 2, 4}
    assert house.spent() == spent
    (charge,) = house.desk.population("patients")["charges"]
    assert (charge["project"], charge["person"], charge["answered"]) == (HOUSE, "steward-a", True)


def test_a_second_profile_of_the_same_version_is_refused_and_a_new_version_pays_anew(house: Engine) -> None:
    make(house)
    spent = house.spent()
    with pytest.raises(Refused) as caught:
        make(house)
    assert caught.value.code == "profile_there"
    house.bring_in(version=2)
    assert house.desk.profile(house.order(version=2))["profile"]["version"] == 1
    make(house, version=2)
    assert house.desk.profile(house.order(version=2))["profile"]["version"] == 2
    assert house.spent() == 2 * spent


def test_a_profile_the_population_cannot_pay_is_not_made(house: Engine) -> None:
    house.desk.set_cap("population", "patients", "", 100, STEWARD)
    with pytest.raises(BudgetSpent):
        make(house)
    assert house.spent() == 0


def test_each_answer_says_which_share_of_rows_its_bound_leaves_out(house: Engine) -> None:
    assert "dropped" not in house.desk.ask(house.order(question(1_000)))
    make(house)
    answer = house.desk.ask(house.order(question(2_000, unit={"rows": 1, "groups": 1})))
    assert answer["dropped"]["rows"] == 1
    assert 0.3 < answer["dropped"]["share"] < 0.9
    assert answer["words"]["en"].endswith(answer["dropped"]["words"]["en"])
    again = house.desk.ask(house.order(question(1_000)))
    assert again["replayed"] is True
    assert again["dropped"]["rows"] == 4


def test_a_profile_is_kept_sealed_and_opened_once_after_a_restart_with_an_event(
    house: Engine, tmp_path: Path
) -> None:
    told = make(house)["profile"]
    for file in tmp_path.glob("ledger.db*"):
        assert b"rows_per_unit" not in file.read_bytes()
    restarted = Desk(house.desk.root, house.desk.ledger, house.desk.keys, house.recorder)
    before = len(house.recorder.events)
    first = restarted.profile(house.order())
    assert first["profile"] == told
    assert house.recorder.told()[before:] == [
        ("data.query", "intent", "replayed"),
        ("data.query", "success", "replayed"),
    ]
    restarted.profile(house.order())
    assert len(house.recorder.events) == before + 2


def test_a_dataset_without_a_profile_says_whom_to_ask(house: Engine) -> None:
    with pytest.raises(NotFound) as caught:
        house.desk.profile(house.order())
    assert caught.value.code == "no_profile"


def test_what_a_crash_left_of_a_profile_is_spent_and_not_shown(
    house: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(profiling, "compute", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        make(house)
    assert house.spent() > 0
    with pytest.raises(NotFound):
        house.desk.profile(house.order())
