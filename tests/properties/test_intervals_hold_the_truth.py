"""Counts, sums and means: the interval holds the population's value, and its noise part the sample's, as often as they say.

Every draw is a new sample of Poisson size from one population, asked by department: four trials a run. The limits are on both sides: an
interval of another level, or one so wide that it says nothing, falls outside them.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
import polars as pl
import pytest

from anonymisation import answer, cell
from anonymisation.budget import CONFIDENCE
from tests.unit.anonymisation.question_tables import DEPARTMENTS, SEED, question
from tests.unit.anonymisation.test_statistics import (
    EVERY,
    PEOPLE,
    PLACE,
    _truth_of,
    asked,
    people,
)

RUNS, LONG_RUNS = 200, 1_000
ROWS = 3_000
SURE = 4.3
"""Standard errors on either side: honest intervals leave the limits once in 60,000 tries."""
TOO_WIDE = 0.99
ASKS = [
    {"name": "count", "stat": "count"},
    {"name": "units", "stat": "units"},
    {"name": "sum", "stat": "sum", "column": "cost", "high": 4000},
    {"name": "mean", "stat": "mean", "column": "age"},
]
FIGURES = {
    "count": pl.len(),
    "units": pl.len(),
    "sum": pl.col("cost").clip(0, 4000).sum(),
    "mean": pl.col("age").mean(),
}
NOISY, CLEAR = 200_000, 40_000_000
BIG = 400_000


def least(trials: int) -> float:
    """Give the smallest share held that an honest interval is let have."""
    return CONFIDENCE - SURE * sqrt(CONFIDENCE * (1 - CONFIDENCE) / trials)


def figures(data: pl.DataFrame, scale: float = 1.0) -> dict[tuple[str, str], float]:
    """Give each figure by department; counts and sums of the population scaled to a sample's size."""
    rows = data.group_by("dept").agg(**FIGURES).iter_rows(named=True)
    return {
        (name, row["dept"]): float(row[name]) * (1.0 if name == "mean" else scale)
        for row in rows
        for name in FIGURES
    }


@dataclass(frozen=True)
class Trials:
    """How many intervals there were, and how many held what they should."""

    told: Counter[str]
    held: Counter[str]
    noise_told: Counter[str]
    noise_held: Counter[str]


def trials(rho_micro: int) -> Trials:
    found = Trials(Counter(), Counter(), Counter(), Counter())
    truth = figures(people(np.random.default_rng(5), BIG), ROWS / BIG)
    question_ = question(ASKS, by=["dept"], rho_micro=rho_micro)
    draw = np.random.default_rng(17)
    for _ in range(RUNS):
        sample = people(draw, int(draw.poisson(ROWS)))
        exact = figures(sample)
        for (dept,), told in answer.compute(question_, PEOPLE, [sample.lazy()], SEED).groups:
            for name in FIGURES:
                one: Any = told[name]
                if one.holds == "noise and sampling":
                    found.told[name] += 1
                    found.held[name] += one.low <= truth[name, str(dept)] <= one.high
                if one.value is not None:
                    found.noise_told[name] += 1
                    found.noise_held[name] += one.noise_low <= exact[name, str(dept)] <= one.noise_high
    return found


@pytest.fixture(scope="module", params=[NOISY, CLEAR], ids=["much noise", "little noise"])
def counted(request: pytest.FixtureRequest) -> Trials:
    return trials(request.param)


@pytest.mark.parametrize("name", FIGURES)
def test_the_interval_holds_the_populations_value_as_often_as_it_says(name: str, counted: Trials) -> None:
    told = counted.told[name]
    assert told >= RUNS * len(DEPARTMENTS) / 2
    assert least(told) <= counted.held[name] / told <= TOO_WIDE


@pytest.mark.parametrize("name", FIGURES)
def test_the_part_that_is_noise_holds_the_samples_value_as_often_as_it_says(
    name: str, counted: Trials
) -> None:
    told = counted.noise_told[name]
    assert told >= RUNS * len(DEPARTMENTS) / 2
    assert least(told) <= counted.noise_held[name] / told


def narrowed(patch: pytest.MonkeyPatch) -> None:
    """Plant intervals of 90 % that are called 95 %."""
    honest = cell.Spread.of
    patch.setattr(
        cell.Spread,
        "of",
        classmethod(lambda _cls, noise, sampling: honest(0.7 * noise, 0.7 * sampling)),
    )


def widened(patch: pytest.MonkeyPatch) -> None:
    honest = cell.Spread.of
    patch.setattr(
        cell.Spread, "of", classmethod(lambda _cls, noise, sampling: honest(2.5 * noise, 2.5 * sampling))
    )


@pytest.mark.parametrize("fault", [narrowed, widened])
def test_a_mean_with_an_interval_of_another_level_would_be_found(
    fault: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    fault(monkeypatch)
    found = trials(CLEAR)
    share = found.held["mean"] / found.told["mean"]
    assert not least(found.told["mean"]) <= share <= TOO_WIDE


@pytest.fixture(scope="module")
def population() -> pl.DataFrame:
    return people(np.random.default_rng(5), BIG)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("rho_micro", [4_000, 1_000_000])
def test_every_other_interval_holds_the_populations_value_over_a_thousand_draws(
    name: str, rho_micro: int, population: pl.DataFrame
) -> None:
    truth = _truth_of(population.head(200_000) if name == "survival" else population, name)
    ask = dict(EVERY[name]) | ({"edges": list(range(40, 61))} if name == "survival" else {})
    offered = rho_micro * (20 if name in {"correlation", "ols"} else 1)
    draw, held, told = np.random.default_rng(29), 0, 0
    for _ in range(LONG_RUNS):
        found = asked(**ask, rho_micro=offered, data=people(draw)).groups[0][1]["x"]
        one: Any = found.cells[PLACE[name]][1] if name in PLACE else found
        if one.low is not None:
            told += 1
            held += one.low <= truth <= one.high
    assert told >= LONG_RUNS / 2
    assert held / told >= least(told)
