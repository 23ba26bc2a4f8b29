"""From noisy vectors to cells: a value, the interval of its noise, and where it can be told, of noise and sampling together.

All of it is post-processing: it sees noisy values and public scales only, so it costs nothing. Sampling takes rows as independent
draws (a count as Poisson, a sum as compound Poisson, a mean by the spread of its values).
"""

from dataclasses import dataclass
from math import ceil, floor, sqrt
from typing import Literal

from anonymisation.budget import Z95, Share
from anonymisation.plan import Statistic, Vector

Holds = Literal["noise", "noise and sampling"]
MEAN_DECIMALS = 6
"""Decimals kept of a mean beyond those of its column."""


@dataclass(frozen=True)
class Cell:
    """One statistic of one group; `holds` says what `low..high` contains. A null value means too few rows to tell.

    Counts and sums are unbiased, so a small one may be below zero; a display may clamp it.
    """

    value: int | float | None
    low: int | float | None = None
    high: int | float | None = None
    noise_low: int | float | None = None
    noise_high: int | float | None = None
    below_noise: bool = True
    holds: Holds = "noise"


@dataclass(frozen=True)
class Noisy:
    """One noisy number and the share of budget that made it."""

    value: int
    share: Share

    @property
    def clear(self) -> bool:
        """True where the value stands out of its noise: at least twice the 95 % half-width."""
        return abs(self.value) >= 2 * self.share.half_width


def cell(statistic: Statistic, noisy: dict[Vector, Noisy]) -> Cell:
    """Give the cell of one statistic from the noisy numbers of one group."""
    first, *others = (noisy[vector] for vector in statistic.vectors)
    if statistic.stat == "mean":
        return _mean(first, others[0], others[1], statistic.digits)
    if statistic.stat == "sum":
        return _sum(first, others[0], statistic.digits)
    return _count(first)


def _count(count: Noisy) -> Cell:
    width = count.share.half_width
    reach = max(width, Z95 * sqrt(count.share.scale**2 + max(count.value, 0)))
    low, high = floor(count.value - reach), ceil(count.value + reach)
    noise = (count.value - width, count.value + width)
    return Cell(
        count.value, low, high, *noise, below_noise=not _stands_out(count), holds="noise and sampling"
    )


def _stands_out(count: Noisy) -> bool:
    return count.clear and count.value > 0


def _sum(total: Noisy, squares: Noisy, digits: int) -> Cell:
    width = total.share.half_width
    reach = float(width)
    if _stands_out(squares):
        reach = max(reach, Z95 * sqrt(total.share.scale**2 + _second_moment(squares)))

    def told(distance: float) -> int | float:
        return _unscaled(total.value + distance, digits)

    return Cell(
        told(0), told(-reach), told(reach), told(-width), told(width), not total.clear, _holds(squares)
    )


def _mean(total: Noisy, count: Noisy, squares: Noisy, digits: int) -> Cell:
    """A ratio of two noisy numbers, its error to first order; untold where the count is within its own noise."""
    if count.value < max(1, count.share.half_width):
        return Cell(None)
    vector = total.share.vector
    distance = min(max(total.value / count.value, vector.low - vector.centre), vector.high - vector.centre)
    noise = (total.share.scale**2 + (distance * count.share.scale) ** 2) / count.value**2
    spread = max(0.0, _second_moment(squares) / count.value - distance**2) if _stands_out(squares) else 0.0
    width, reach = Z95 * sqrt(noise), Z95 * sqrt(noise + spread / count.value)

    def told(offset: float) -> float:
        return _rounded(min(max(vector.centre + distance + offset, vector.low), vector.high), digits)

    return Cell(
        told(0), told(-reach), told(reach), told(-width), told(width), not _stands_out(count), _holds(squares)
    )


def _holds(squares: Noisy) -> Holds:
    return "noise and sampling" if _stands_out(squares) else "noise"


def _second_moment(squares: Noisy) -> float:
    """Give the noisy sum of squares in squared steps of the column's last decimal."""
    step: int = 4**squares.share.vector.shift
    return float(squares.value * step)


def _unscaled(number: float, digits: int) -> int | float:
    whole = round(number)
    return whole if digits == 0 else whole / 10.0**digits


def _rounded(number: float, digits: int) -> float:
    return round(number / 10.0**digits, digits + MEAN_DECIMALS)
