"""The arithmetic of the privacy budget: integers of micro-rho, the split of a question, the scale of its noise.

Loss is zero-concentrated (Bun and Steinke 2016): a discrete Gaussian of scale sigma on a vector of squared sensitivity s2 costs
rho = s2 / (2 sigma**2) (Canonne, Kamath and Steinke 2020, theorem 4), and losses add. Everything rounds against the asker.
"""

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import ceil, sqrt
from typing import Final

import numpy as np

from anonymisation.errors import BadQuestion
from anonymisation.plan import Plan, Statistic, Vector

MICRO: Final = 1_000_000
DELTA: Final = 1e-6
"""The delta at which a loss is told as (epsilon, delta)."""
CONFIDENCE: Final = 0.95
Z95: Final = 1.959963984540054
"""The 97.5 % point of the normal distribution."""
SCALE_MARGIN: Final = 1 + 1e-12
"""Widens each scale so that rounding can never make the loss cross its integer."""
EXACT_TAIL: Final = 200
"""Below this scale the half-width is summed exactly, above it the normal approximation is within one."""

WEIGHTS: Final[dict[tuple[str, str], int]] = {
    ("count", "rows"): 20,
    ("count", "present"): 20,
    ("units", "units"): 20,
    ("sum", "sum"): 18,
    ("sum", "squares"): 2,
    ("mean", "sum"): 9,
    ("mean", "present"): 9,
    ("mean", "squares"): 2,
}
"""How a statistic's share is split over its vectors: every statistic weighs 20, a tenth of a sum or mean pays for its spread."""


@dataclass(frozen=True)
class Share:
    """One vector's part of the question: its micro-rho and the scale of noise that this buys."""

    vector: Vector
    sensitivity_squared: int
    rho_micro: int
    scale: float

    @property
    def half_width(self) -> int:
        """95 % of the noise lies within this distance."""
        return half_width(self.scale)


@dataclass(frozen=True)
class Accuracy:
    """What to expect of a statistic before asking: 95 % of its noise lies within `plus_minus` (a mean: at `at_count` rows)."""

    name: str
    stat: str
    plus_minus: float
    at_count: int | None = None


def split(plan: Plan, rho_micro: int) -> tuple[Share, ...]:
    """Split a question's micro-rho over its vectors; a vector two statistics share is paid by both and computed once."""
    weights = _weights(plan)
    total = sum(weights.values())
    parts = {vector: rho_micro * weight // total for vector, weight in weights.items()}
    parts[next(iter(parts))] += rho_micro - sum(parts.values())
    if min(parts.values()) < 1:
        raise BadQuestion(
            "rho_too_small",
            "The budget offered is too small for so many statistics.",
            "Offer more rho_micro or ask less.",
        )
    return tuple(_share(plan, vector, part) for vector, part in parts.items())


def _weights(plan: Plan) -> dict[Vector, int]:
    weights: dict[Vector, int] = {}
    for statistic in plan.statistics:
        for vector in statistic.vectors:
            weights[vector] = weights.get(vector, 0) + WEIGHTS[statistic.stat, vector.kind]
    return weights


def _share(plan: Plan, vector: Vector, rho_micro: int) -> Share:
    squared = plan.sensitivity_squared(vector)
    return Share(vector, squared, rho_micro, scale_for(squared, rho_micro))


def scale_for(sensitivity_squared: int, rho_micro: int) -> float:
    """Give the least scale (rounded up) whose loss is at most `rho_micro`."""
    return sqrt(sensitivity_squared * MICRO / (2 * rho_micro)) * SCALE_MARGIN


def own_loss(sensitivity_squared: int, scale: float) -> Fraction:
    """Give rho exactly, from the formula."""
    return Fraction(sensitivity_squared) / (2 * Fraction(scale) ** 2)


def charge(own: Fraction, other: float) -> int:
    """Give the micro-rho to charge: the larger of our own and the noise library's loss, rounded up."""
    return ceil(max(own, Fraction(other)) * MICRO)


@lru_cache(maxsize=1024)
def half_width(scale: float) -> int:
    """Give the smallest w with P(|noise| <= w) >= 95 % for a discrete Gaussian of this scale."""
    if scale >= EXACT_TAIL:
        return ceil(Z95 * scale)
    masses = np.exp(-np.square(np.arange(ceil(10 * scale) + 2, dtype=float)) / (2 * scale**2))
    within = 2 * np.cumsum(masses) - masses[0]
    return int(np.searchsorted(within, CONFIDENCE * within[-1]))


MEAN_AT: Final = 1_000
"""The accuracy of a mean is told for a group of so many rows, since it depends on the count that nobody may know yet."""


def accuracy(statistic: Statistic, shares: dict[Vector, Share]) -> Accuracy:
    """Give the expected accuracy of a statistic; a function of the question alone."""
    main = shares[statistic.vectors[0]]
    if statistic.stat != "mean":
        return Accuracy(statistic.name, statistic.stat, main.half_width / 10**statistic.digits)
    count = shares[statistic.vectors[1]]
    worst = sqrt(main.scale**2 + (main.vector.magnitude * count.scale) ** 2)
    return Accuracy(statistic.name, "mean", Z95 * worst / MEAN_AT / 10**statistic.digits, MEAN_AT)
