"""How much an answer really loses: a lower bound found by telling two neighbouring tables apart from what is released.

The test is the best there is against a Gaussian (the likelihood ratio of the noisy vectors). From its two error rates follows a lower
bound on the distance mu between the two tables (Nasr and others 2023, by Gaussian differential privacy), hence on rho = mu**2 / 2. Where
the noise is so narrow that its whole numbers show, the bound is the Kullback-Leibler divergence of the two verdicts, which is at most rho.
"""

from dataclasses import dataclass, replace
from math import log, sqrt
from statistics import NormalDist
from typing import Any

import numpy as np

from anonymisation import aggregate, answer, noise
from anonymisation.bounds import Table
from tests.unit.anonymisation.question_tables import SEED, STAYS, frame, question, stays

NORMAL = NormalDist()
RUNS = 5_000
SURE = 4.5
"""Standard errors taken off the distance shown: it is above the true one in 3e-6 of the audits."""
RHO_MICRO = 4_500_000
NARROW = 0.9

TABLE: Table = replace(STAYS, rows=30, groups=3)
EXTREME = {"age": 120, "cost": 5000.0, "dead": True, "dept": "35", "grade": 9}
OTHERS = frame(*(row for unit in (5, 6) for row in stays(unit, 2, age=30, dept="22")))
ONE_MORE = frame(
    *(row for unit in (5, 6) for row in stays(unit, 2, age=30, dept="22")), *stays(9, 40, **EXTREME)
)

TIGHT: dict[str, dict[str, Any]] = {
    "count": {"stat": "count"},
    "units": {"stat": "units"},
    "sum": {"stat": "sum", "column": "cost"},
    "mean": {"stat": "mean", "column": "age"},
    "variance": {"stat": "variance", "column": "age"},
    "sd": {"stat": "sd", "column": "cost"},
    "quantile": {"stat": "quantile", "column": "age", "edges": [60]},
    "histogram": {"stat": "histogram", "column": "age", "edges": [18, 65]},
    "contingency": {"stat": "contingency", "columns": ["dead", "grade"]},
    "survival": {"stat": "survival", "column": "age", "event": "dead", "edges": [60]},
    "rate": {"stat": "rate", "column": "age", "event": "dead", "standard": "esp2013", "edges": [0, 65]},
    "correlation": {"stat": "correlation", "columns": ["age", "dead"]},
    "ols": {"stat": "ols", "column": "cost", "columns": ["age", "dead"]},
}


@dataclass(frozen=True)
class Found:
    """The rho that was claimed, and the most that was shown to be lost."""

    claimed: float
    shown: float


def audit(ask: dict[str, Any], runs: int = RUNS) -> Found:
    """Ask the same question of two tables that differ by one unit, many times, and say how well they can be told apart."""
    asked = question([{"name": "x", **ask}], rho_micro=RHO_MICRO)
    plan, shares, price = answer._priced(asked, TABLE)
    exact = [aggregate.aggregate(plan, [data.lazy()], SEED) for data in (OTHERS, ONE_MORE)]
    scales = {
        vector: sqrt(plan.sensitivity_squared(vector) * 1e6 / (2 * share.rho_micro))
        for vector, share in shares.items()
    }
    gaps = {vector: (exact[1][vector] - exact[0][vector]) for vector in shares}
    scores = [np.zeros(runs), np.zeros(runs)]
    for vector, share in shares.items():
        for place, own in enumerate(exact):
            drawn = noise.add(np.tile(own[vector], runs), share.scale).reshape(runs, -1) - exact[0][vector]
            scores[place] += drawn.astype(float) @ gaps[vector].astype(float) / scales[vector] ** 2
    shown = _shown if min(scales.values()) > NARROW else _shown_by_verdicts
    return Found(price.rho_micro / 1e6, shown(*scores))


def _error_rates(without: np.ndarray, within: np.ndarray) -> list[float]:
    threshold = (without.mean() + within.mean()) / 2
    wrong = [float((without > threshold).mean()), float((within <= threshold).mean())]
    return [min(max(rate, 1 / without.size), 0.5) for rate in wrong]


def _shown_by_verdicts(without: np.ndarray, within: np.ndarray) -> float:
    rates = _error_rates(without, within)
    false, missed = (min(0.5, rate + SURE * sqrt(rate * (1 - rate) / without.size)) for rate in rates)
    return (1 - false) * log((1 - false) / missed) + false * log(false / (1 - missed))


def _shown(without: np.ndarray, within: np.ndarray) -> float:
    rates = _error_rates(without, within)
    points = [NORMAL.inv_cdf(rate) for rate in rates]
    errors = [
        rate * (1 - rate) / without.size / NORMAL.pdf(point) ** 2
        for rate, point in zip(rates, points, strict=True)
    ]
    return max(0.0, -sum(points) - SURE * sqrt(sum(errors))) ** 2 / 2
