from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

from anonymisation.errors import BudgetSpent
from enclave.commands import budget_commands
from enclave.commands.budget_commands import budget
from enclave.engine import application
from enclave.errors import BadInput, Refused
from enclave.journeys import caps
from enclave.journeys.caps import NewCap
from enclave.journeys.ledger_guard import LedgerGuard
from enclave.people import Person, Role
from enclave.recording import Visitor
from tests.unit.journeys.engine_for_tests import Engine, engine, question

STEWARD = Visitor(Person("steward-a", frozenset({Role.STEWARD})))
SENIOR = Visitor(Person("steward-b", frozenset({Role.SENIOR_STEWARD})))
RESEARCHER = Visitor(Person("researcher-a", frozenset({Role.RESEARCHER})))


class OverHttp:
    """The caps through the engine's own HTTP face, as the command line reaches them."""

    def __init__(self, house: Engine) -> None:
        self._engine = TestClient(
            application(house.desk, LedgerGuard(house.recorder, house.desk.ledger, house.desk.root))
        )

    def population(self, population: str) -> dict[str, Any]:
        told: dict[str, Any] = self._engine.get(f"/v1/populations/{population}").json()
        return told

    def set_cap(self, cap: NewCap, visitor: Visitor) -> None:
        actor = vars(visitor.acting_as(Role.SENIOR_STEWARD, Role.STEWARD))
        answer: httpx.Response = self._engine.post("/v1/caps", json={**vars(cap), "actor": actor})
        assert answer.status_code == 200


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Engine]:
    made = engine(tmp_path)
    yield made
    made.desk.ledger.close()
    made.recorder.close()


def test_a_steward_shares_out_and_the_change_is_recorded_before_it_is_made(house: Engine) -> None:
    told = caps.change(OverHttp(house), STEWARD, NewCap("project", "patients", "cardio", 5_000))
    assert "in 100" in told["means"]["en"]
    assert house.desk.ledger.left("patients", "cardio", "").project.cap == 5_000
    event = next(one for one in reversed(house.recorder.events) if one["phase"] == "intent")
    assert (event["type"], event["actor"]["id"], event["counts"]) == (
        "dp.caps",
        "steward-a",
        {"rho_micro": 5_000},
    )
    with pytest.raises(BudgetSpent):
        house.desk.ask(house.order(question(5_001)))


def test_raising_what_a_population_was_promised_takes_a_senior_steward(house: Engine) -> None:
    book, raised = OverHttp(house), NewCap("population", "patients", "", 3_000_000)
    with pytest.raises(Refused) as caught:
        caps.change(book, STEWARD, raised)
    assert caught.value.code == "cap_raise_senior"
    caps.change(book, STEWARD, NewCap("population", "patients", "", 1_000_000))
    caps.change(book, SENIOR, raised)
    assert [one["rho_micro"] for one in book.population("patients")["caps"]] == [
        2_000_000,
        1_000_000,
        3_000_000,
    ]


def test_a_lowered_cap_keeps_what_was_spent(house: Engine) -> None:
    house.desk.ask(house.order(question(200_000)))
    caps.change(OverHttp(house), STEWARD, NewCap("population", "patients", "", 100_000))
    told = caps.seen(OverHttp(house), STEWARD, "patients")
    assert (told["cap"], told["spent"]) == (100_000, 200_000)
    assert told["charges"][0]["answered"] is True
    with pytest.raises(BudgetSpent):
        house.desk.ask(house.order(question(1)))


def test_nobody_else_sets_or_sees_caps(house: Engine) -> None:
    with pytest.raises(Refused):
        caps.change(OverHttp(house), RESEARCHER, NewCap("project", "patients", "cardio", 1))
    with pytest.raises(Refused):
        caps.seen(OverHttp(house), RESEARCHER, "patients")


@pytest.mark.parametrize("rho_micro", [-1, caps.MOST_RHO_MICRO + 1])
def test_an_amount_out_of_range_is_refused(house: Engine, rho_micro: int) -> None:
    with pytest.raises(BadInput):
        caps.change(OverHttp(house), SENIOR, NewCap("population", "patients", "", rho_micro))


def test_a_population_nobody_declared_has_no_cap_to_change(house: Engine) -> None:
    with pytest.raises(Refused) as caught:
        caps.change(OverHttp(house), SENIOR, NewCap("population", "patient", "", 1))
    assert caught.value.code == "no_cap"


def test_the_recommendation_is_told_to_programs_and_people() -> None:
    told = CliRunner().invoke(budget, ["recommend"])
    assert told.exit_code == 0
    assert "population" in told.stdout
    assert '"rho_micro":2000000' in CliRunner().invoke(budget, ["recommend", "--json"]).stdout


@pytest.mark.parametrize("rho", ["x", "nan", "inf", ""])
def test_a_cap_that_is_no_number_is_refused(rho: str) -> None:
    with pytest.raises(BadInput):
        budget_commands._micro(rho)


def test_the_command_needs_to_know_whose_budget() -> None:
    assert isinstance(CliRunner().invoke(budget, []).exception, BadInput)
    wanted = ["set", "--population", "p", "--rho", "1", "--as", "a", "--project", "x", "--person", "y"]
    assert isinstance(CliRunner().invoke(budget, wanted).exception, BadInput)


def test_history_is_told_line_by_line(house: Engine) -> None:
    house.desk.ask(house.order(question()))
    lines = budget_commands._told_history(OverHttp(house).population("patients"))
    assert lines[0] == "patients: 0.010000 of 2.000000 rho spent"
    assert lines[-1].endswith("cardio researcher-a stays v1: 0.010000 rho")
