"""Caps and profiles in a real house: set and shown at the command line, felt by the next question, recorded in the trail."""

import json
from pathlib import Path

import pytest

from enclave.demo.cast import HOSPITAL, PROJECT, RESEARCHER, STEWARDS
from tests.living import Lived

POPULATION = "hospital-patients"
QUESTION = {
    "v": 1,
    "dataset": HOSPITAL,
    "by": ["sex"],
    "ask": [{"name": "stays", "stat": "count"}],
    "unit": {"rows": 1, "groups": 1},
    "rho_micro": 20_000,
}


@pytest.fixture
def question(tmp_path: Path) -> str:
    file = tmp_path / "question.json"
    file.write_text(json.dumps(QUESTION))
    return str(file)


def history(lived: Lived) -> dict[str, object]:
    asked = lived.command("budget", "history", "--population", POPULATION, "--json", person=STEWARDS[0])
    told: dict[str, object] = json.loads(asked.stdout)
    return told


def spent(lived: Lived) -> int:
    return int(str(history(lived)["spent"]))


def test_a_profile_is_charged_to_the_population_and_felt_by_every_answer(lived: Lived, question: str) -> None:
    refused = lived.command("dataset", "profile", HOSPITAL, "--json", person=RESEARCHER)
    assert (refused.returncode, json.loads(refused.stderr)["error"]["code"]) == (3, "role_missing")
    before = spent(lived)
    made = json.loads(lived.command("dataset", "profile", HOSPITAL, "--json", person=STEWARDS[0]).stdout)
    assert made["profile"]["dataset"] == HOSPITAL
    assert spent(lived) - before == made["profile"]["rho_micro"]
    again = lived.command("dataset", "profile", HOSPITAL, "--json", person=STEWARDS[0])
    assert json.loads(again.stderr)["error"]["code"] == "profile_there"
    asked = lived.command("ask", "--project", PROJECT, "--file", question, "--json", person=RESEARCHER)
    answer = json.loads(asked.stdout)
    assert answer["dropped"]["rows"] == 1
    assert "laisse de côté environ" in answer["words"]["fr"]


def test_a_cap_set_at_the_command_line_holds_the_next_question(lived: Lived, tmp_path: Path) -> None:
    set_cap = ("budget", "set", "--population", POPULATION, "--json")
    told = lived.command(*set_cap, "--project", PROJECT, "--rho", "0.001", person=STEWARDS[0])
    assert json.loads(told.stdout)["rho_micro"] == 1_000
    file = tmp_path / "another.json"
    file.write_text(json.dumps(QUESTION | {"rho_micro": 40_000}))
    dear = lived.command("ask", "--project", PROJECT, "--file", str(file), "--json", person=RESEARCHER)
    lived.command(*set_cap, "--project", PROJECT, "--rho", "0.5", person=STEWARDS[0])
    assert (dear.returncode, json.loads(dear.stderr)["error"]["code"]) == (3, "budget_spent")
    refused = lived.command(*set_cap, "--rho", "50", person=RESEARCHER)
    assert refused.returncode == 3
    caps = history(lived)["caps"]
    assert isinstance(caps, list)
    assert [one["rho_micro"] for one in caps if one["own"] == PROJECT][-2:] == [1_000, 500_000]


def test_a_question_takes_features_of_its_own_patients_at_the_command_line(
    lived: Lived, tmp_path: Path
) -> None:
    ill = {
        "dataset": HOSPITAL,
        "where": ["==", "cim10", "I50"],
        "take": [{"name": "failures", "stat": "count", "high": 2}],
    }
    file = tmp_path / "features.json"
    file.write_text(json.dumps(QUESTION | {"features": ill, "by": ["failures"], "rho_micro": 2_000}))
    ask = ("--project", PROJECT, "--file", str(file), "--json")
    price = json.loads(lived.command("price", *ask, person=RESEARCHER).stdout)
    answer = json.loads(lived.command("ask", *ask, person=RESEARCHER).stdout)
    assert answer["spent"]["rho_micro"] == price["rho_micro"] <= 2_000
    assert answer["features"]["dataset"] == HOSPITAL
    found = {row["failures"]: row["stays"]["value"] for row in answer["rows"]}
    assert found[0] > found[1] > 0
