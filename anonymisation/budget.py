"""The arithmetic of the privacy budget: integers of micro-rho, the split of a question, the scale of its noise.

Loss is zero-concentrated (Bun and Steinke 2016): a discrete Gaussian of scale sigma on a vector of squared sensitivity s2 costs
rho = s2 / (2 sigma**2) (Canonne, Kamath and Steinke 2020, theorem 4), and losses add. Everything rounds against the asker.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import ceil, sqrt
from typing import Final

import numpy as np

from anonymisation.errors import BadQuestion
from anonymisation.plan import Plan
from anonymisation.vectors import GRID, Linear, Listed, Quantiles, Rate, Statistic, Survival, Vector

MICRO: Final = 1_000_000
DELTA: Final = 1e-6
"""The delta at which a loss is told as (epsilon, delta)."""
CONFIDENCE: Final = 0.95
Z95: Final = 1.959963984540054
"""The 97.5 % point of the normal distribution."""
SCALE_MARGIN: Final = 1 + 1e-12
"""Widens each scale so that rounding can never make the loss cross its integer."""
RATE_PER: Final = 100_000
"""Persons that a standardised rate is told per."""
EXACT_TAIL: Final = 200
"""Below this scale the half-width is summed exactly, above it the normal approximation is within one."""

WHOLE: Final = 20
"""What every statistic weighs."""
WEIGHTS: Final[dict[str, tuple[int, ...]]] = {
    "mean": (9, 9, 2),
    "variance": (5, 5, 10),
    "sd": (5, 5, 10),
    "quantile": (10, 10),
}
"""How a statistic's share is split over its vectors; a tenth of a sum or a mean pays for its spread. The others have one vector."""
SUM_WITHOUT_COUNT: Final = 2
"""Vectors of a sum whose bounds have zero in the middle: it and its squares."""
OF_SUM: Final = 18
"""What a sum weighs without its spread, split between distances and count as they weigh in its noise."""


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
    """What to expect of a statistic before asking: 95 % of its noise lies within `plus_minus`, of what `of` says.

    Where the noise of the result depends on how many rows there are, it is told for `at_count` rows.
    """

    name: str
    stat: str
    plus_minus: float
    at_count: int | None = None
    of: str = "value"


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
        own = _weights_of_sum(statistic) if statistic.stat == "sum" else WEIGHTS.get(statistic.stat, (WHOLE,))
        for vector, weight in zip(statistic.vectors, own, strict=True):
            weights[vector] = weights.get(vector, 0) + weight
    return weights


def _weights_of_sum(statistic: Statistic) -> tuple[int, ...]:
    """Split so that the noise is least: a distance moves it by the reach of the bounds, a row by their middle."""
    total = statistic.vectors[0]
    if not total.centre:
        return OF_SUM, WHOLE - OF_SUM
    of_distances = round(OF_SUM * total.magnitude / (total.magnitude + abs(total.centre)))
    held = min(max(of_distances, 1), OF_SUM - 1)
    return held, OF_SUM - held, WHOLE - OF_SUM


def noise_of_sum(own: Sequence[Share]) -> float:
    """Give the standard deviation of a sum's noise, in the column's last decimal: of its distances and of the middle for each row."""
    if len(own) == SUM_WITHOUT_COUNT:
        return own[0].scale
    total, count, _ = own
    return sqrt(total.scale**2 + (total.vector.centre * count.scale) ** 2)


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
"""Accuracy is told for a group of so many rows where it depends on the count, which nobody may know yet."""
FAIR_SPREAD: Final = 0.25
"""Variance on the grid from -1 to 1 at which a correlation's or a slope's accuracy is told: a quarter of the bounds' width."""


def accuracy(statistic: Statistic, shares: Mapping[Vector, Share]) -> Accuracy:
    """Give the expected accuracy of a statistic; a function of the question alone."""
    own = [shares[vector] for vector in statistic.vectors]
    if statistic.stat == "mean":
        found = _worst(*own[:2]) * Z95 / MEAN_AT / 10**statistic.digits
    elif statistic.stat in {"variance", "sd"}:
        found = _accuracy_of_spread(statistic, own)
    elif statistic.stat == "sum":
        return Accuracy(statistic.name, "sum", Z95 * noise_of_sum(own) / 10**statistic.digits)
    elif statistic.shape is None or isinstance(statistic.shape, Listed):
        return Accuracy(statistic.name, statistic.stat, own[0].half_width / 10**statistic.digits)
    else:
        return _accuracy_of_shape(statistic, own[0], statistic.shape)
    return Accuracy(statistic.name, statistic.stat, found, MEAN_AT)


def _accuracy_of_shape(
    statistic: Statistic, share: Share, shape: Quantiles | Survival | Rate | Linear
) -> Accuracy:
    """Of a quantile the error of its rank is told, of a regression that of a slope on the grid: both whatever the values are."""
    told, of = Z95 * share.scale / MEAN_AT, "value"
    at_count: int | None = MEAN_AT
    if isinstance(shape, Quantiles):
        told, of = told * _rank_noise(shape), "share of rows"
    elif isinstance(shape, Survival):
        told *= sqrt(len(shape.times))
    elif isinstance(shape, Linear):
        told, of = told / GRID**2 / FAIR_SPREAD, "value" if statistic.stat == "correlation" else "slope"
    else:
        told *= _rate_noise(shape)
        at_count = None if shape.persons else MEAN_AT
    return Accuracy(statistic.name, statistic.stat, told, at_count, of)


def _worst(total: Share, count: Share) -> float:
    """Give the noise of a sum divided by its count, times the count, at a mean as far from the middle as it can be."""
    return sqrt(total.scale**2 + (total.vector.magnitude * count.scale) ** 2)


def _accuracy_of_spread(statistic: Statistic, own: list[Share]) -> float:
    """A variance at worst; a standard deviation at one of half the distance from the middle to a bound."""
    total, count, squares = own
    reach = total.vector.magnitude
    noise = sqrt(
        (squares.scale * 4**squares.vector.shift) ** 2
        + (2 * reach * total.scale) ** 2
        + (reach**2 * count.scale) ** 2
    )
    of_variance = Z95 * noise / MEAN_AT / 100.0**statistic.digits
    return of_variance if statistic.stat == "variance" else of_variance / (reach / 10.0**statistic.digits)


def _rank_noise(shape: Quantiles) -> float:
    """Give the noise, in scales, of a running count that ends in the middle of the candidates and of a block."""
    blocks = len(shape.candidates) / shape.block / 2
    return sqrt(blocks * shape.block / (shape.block + 1) + shape.block / 4)


def _rate_noise(shape: Rate) -> float:
    """Give the noise of a rate, in scales over so many rows in every band; over public persons the rows do not matter."""
    persons = shape.persons or (MEAN_AT,) * len(shape.weights)
    return RATE_PER * MEAN_AT * sqrt(sum((w / n) ** 2 for w, n in zip(shape.weights, persons, strict=True)))
