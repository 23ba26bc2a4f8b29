"""A written analysis plan of twenty questions, asked of the engine and answered exactly beside it: docs/analysis-plan.md.

`python benchmarks/analysis_plan.py [--seeds 3] [--patients 30000] [--table]` makes the generated stays anew for each seed, brings
them in, prices and asks every question under one project's recommended cap, and prints one JSON line a claim.
"""

import argparse
import json
import math
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from anonymisation import noise
from anonymisation.ledger_words import RECOMMENDED
from benchmarks.privacy.asking_house import POPULATION, AskingHouse, asking_house
from benchmarks.privacy.claims import claim
from benchmarks.privacy.conclusions import Verdict, judged
from benchmarks.privacy.exact_analysis import EXACT, cells_of, prepared
from enclave.demo.hospital_stays import hospital_stays

PLAN: list[dict[str, Any]] = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
PEOPLE = ("researcher-a", "researcher-b")
"""A person's recommended cap is half a project's: two researchers ask ten questions each."""
SEED, PATIENTS = 1, 30_000
STAYS_EACH = 10 / 3
SHARE = 0.95


@dataclass(frozen=True)
class Judged:
    """One question's cells: the exact values, the answer's cells, the ones that agree, and the written conclusions."""

    number: int
    rho_micro: int
    exact: Mapping[str, float]
    answer: Mapping[str, Mapping[str, Any]]
    verdict: Verdict

    def agrees(self, cell: str) -> bool:
        """True for a cell above its noise, of the exact sign, whose every conclusion is that of the exact analysis."""
        told, exact = self.answer[cell], self.exact[cell]
        return (
            not told["below_noise"]
            and told["value"] * exact >= 0
            and (told["value"] == 0) == (exact == 0)
            and not self.verdict.touches(cell)
        )

    @property
    def agreeing(self) -> int:
        """How many cells agree."""
        return sum(self.agrees(cell) for cell in self.exact)


def run(folder: Path, seed: int, patients: int, plan: Sequence[Mapping[str, Any]] = PLAN) -> list[Judged]:
    """Make the stays of one seed, ask the plan's questions of the engine, and judge each against the exact analysis."""
    stays = hospital_stays(patients, round(patients * STAYS_EACH), seed)
    house = asking_house(folder, stays)
    frame = prepared(stays)
    try:
        found = [_asked(house, one, EXACT[one["number"]](frame)) for one in plan]
        spent = house.desk.ledger.left(POPULATION, house.project, "").project
        assert spent.spent == sum(one.rho_micro for one in found), "the ledger and the prices differ"
        assert spent.cap == RECOMMENDED.project, "the demonstration's policy has another cap than recommended"
        return found
    finally:
        house.close()


def _asked(house: AskingHouse, one: Mapping[str, Any], exact: Mapping[str, float]) -> Judged:
    order = house.order(PEOPLE[one["number"] % len(PEOPLE)], one["question"])
    price = house.desk.price(order)
    answer = house.desk.ask(order)
    assert answer["spent"]["rho_micro"] == price["rho_micro"], "another price than was told"
    cells = cells_of(answer)
    missing = exact.keys() - cells.keys()
    assert not missing, f"question {one['number']}: cells that the answer does not tell: {sorted(missing)}"
    told = {name: math.nan if cells[name]["value"] is None else float(cells[name]["value"]) for name in exact}
    own = {name: {**cells[name], "value": told[name]} for name in exact}
    return Judged(one["number"], price["rho_micro"], exact, own, judged(one["conclusions"], exact, told))


def claims(runs: Sequence[Sequence[Judged]], patients: int) -> Iterator[bool]:
    """Print what the plan promises: it fits the cap, its cells and its conclusions are those of the exact analysis."""
    against = (
        f"exact analysis of the same {patients:,} generated patients in plain polars, {len(runs)} seed(s)"
    )
    spent = [sum(one.rho_micro for one in found) / RECOMMENDED.project for found in runs]
    yield claim(
        "written plan: share of a project's recommended cap spent",
        spent,
        1,
        "the recommended cap",
        worst=True,
    )
    cells = [sum(one.agreeing for one in found) / sum(len(one.exact) for one in found) for found in runs]
    told = "written plan: share of cells above the noise, of the same sign and conclusion"
    yield claim(told, cells, SHARE, against, at_least=True, worst=True)
    held = [sum(one.verdict.holds for one in found) / len(found) for found in runs]
    told = "written plan: share of questions with every conclusion the same"
    yield claim(told, held, SHARE, against, at_least=True, worst=True)


def table(found: Sequence[Judged]) -> Iterator[str]:
    """Show each cell: exact, answered with its interval, and whether it agrees."""
    for one in found:
        wrong = ", ".join(kind for kind, cells in one.verdict.failed.items() if cells) or "same conclusions"
        yield f"{one.number:>2}. {one.rho_micro} micro-rho, {one.agreeing} of {len(one.exact)} cells agree: {wrong}"
        for cell, exact in one.exact.items():
            told = one.answer[cell]
            value = f"{told['value']:.4g} [{told['low']}; {told['high']}]"
            yield f"    {cell:<38} exact {exact:<12.5g} answer {value}{'' if one.agrees(cell) else '  <- not the same'}"


def main() -> int:
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("--seeds", type=int, default=3)
    flags.add_argument("--patients", type=int, default=PATIENTS)
    flags.add_argument("--table", action="store_true", help="every cell of the last seed")
    chosen = flags.parse_args()
    noise.warm()
    runs = []
    for seed in range(SEED, SEED + chosen.seeds):
        with tempfile.TemporaryDirectory() as folder:
            runs.append(run(Path(folder), seed, chosen.patients))
    if chosen.table:
        print("\n".join(table(runs[-1])), file=sys.stderr)
    return 0 if all([*claims(runs, chosen.patients)]) else 1


if __name__ == "__main__":
    sys.exit(main())
