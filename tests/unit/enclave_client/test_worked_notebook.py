"""The worked notebook, run in a real kernel of the notebook environment against answers that the engine's own code made, with noise."""

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from anonymisation import adviser, answer, mock, profile, rehearsal
from anonymisation.bounds import Table
from anonymisation.question import parse
from enclave.agreements.policy import load_policy, to_table
from enclave.demo import cast
from enclave.journeys.matter import declared_json
from enclave.people import Person
from enclave.web.sheets import (
    Allowance,
    BudgetSheet,
    Charge,
)
from tests.places import NOTEBOOK_VENV
from tests.unit.enclave_client.conftest import serving
from tests.unit.web.house_for_tests import NOW, HouseForTests

ROOT = Path(__file__).parents[3]
NOTEBOOK = ROOT / "notebooks_image" / "examples" / "epidemiology.ipynb"
RUNNER = Path(__file__).with_name("run_notebook.py")
LEFT = {"population": 1_900_000, "project": 400_000, "person": 200_000}
ROWS = 8_000


class HouseWithData(HouseForTests):
    """Answers as the engine does, over made-up rows of the demonstration's own policies."""

    def tables(self) -> list[Table]:
        return [to_table(load_policy(cast.policy(name))) for name in (cast.HOSPITAL, cast.RAND)]

    def declared(self, dataset: str) -> Table:
        return next(one for one in self.tables() if one.dataset == dataset)

    def rows(self, table: Table) -> list[Any]:
        return [mock.rows(table, ROWS, seed=11).lazy()]

    def datasets(self, person: Person, project: str) -> Sequence[Any]:
        return [{**declared_json(one), "title": one.dataset} for one in self.tables()]

    def price(self, person: Person, project: str, question: Any) -> Any:
        asked = parse(question)
        return {**answer.price(asked, self.declared(asked.dataset)).to_json(), "left": LEFT}

    def ask(self, person: Person, project: str, question: Any) -> Any:
        asked = parse(question)
        table = self.declared(asked.dataset)
        found = answer.compute(asked, table, self.rows(table), b"s" * 32)
        spent = {"rho_micro": found.rho_micro, "epsilon": found.epsilon, "delta": found.delta}
        return {**found.to_json(), "spent": spent, "left": LEFT, "replayed": False, "index": 1}

    def profile(self, person: Person, project: str, dataset: str, rho_micro: int | None) -> Any:
        table = self.declared(dataset)
        found = profile.compute(table, 20_000, self.rows(table), b"s" * 32)
        return {
            "profile": found.to_json(),
            "advice": adviser.advise(table, found, rho_micro or 10_000).to_json(),
        }

    def rehearse(self, person: Person, project: str, question: Any, rows: int, seed: int) -> Any:
        asked = parse(question)
        told = rehearsal.rehearse(asked, self.declared(asked.dataset), rows, seed)
        return {**told, "left": LEFT, "index": None}

    def budget(self, person: Person, project: str) -> Sequence[BudgetSheet]:
        whole = Allowance(500_000, 400_000)
        paid = (Charge(NOW, "researcher-a", cast.HOSPITAL, 100_000, "ab" * 32),)
        return [BudgetSheet(project, one.population, whole, whole, whole, paid) for one in self.tables()]


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    if not (NOTEBOOK_VENV / "bin" / "python").exists():
        pytest.fail("the notebook environment is not there: scripts/setup.sh makes it")
    with serving(HouseWithData(), tmp_path_factory.mktemp("run")) as socket:
        done = subprocess.run(
            [NOTEBOOK_VENV / "bin" / "python", RUNNER, NOTEBOOK],
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(tmp_path_factory.mktemp("home")),
                "PYTHONPATH": str(ROOT / "notebooks_image"),
                "ENCLAVE_SOCK": str(socket),
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=280,
        )
    assert done.returncode == 0, done.stderr
    return {one["cell"]: one for one in map(json.loads, done.stdout.splitlines())}


def test_every_cell_of_the_worked_notebook_runs(cells: dict[str, Any]) -> None:
    written = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    assert [one["id"] for one in written if one["cell_type"] == "code"] == list(cells)
    assert {cell: one["error"] for cell, one in cells.items() if one["error"]} == {}


def test_each_question_is_drawn_beside_the_true_curve_on_the_mock(cells: dict[str, Any]) -> None:
    """Advice, length of stay, survival, regression, visits by plan, counts, and what was spent."""
    assert sum(one["drawn"] for one in cells.values()) == 7
    shown = "\n".join(text for one in cells.values() for text in one["text"])
    for words in (
        "Would cost 5%",
        "On made-up data, without noise",
        "length_of_stay",
        "give or take",
        "noise and sampling",
    ):
        assert words in shown


def test_the_notebook_is_kept_without_outputs() -> None:
    for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]:
        assert cell.get("outputs", []) == []
        assert cell.get("execution_count") is None
