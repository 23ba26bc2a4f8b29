"""From noisy vectors to cells: a value, the interval of its noise, and where it can be told, of noise and sampling together.

All of it is post-processing: it sees noisy values and public scales only, so it costs nothing. Sampling takes rows as independent
draws (a count as Poisson, a sum as compound Poisson, a mean by the spread of its values).
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import sqrt
from typing import Final

from anonymisation.budget import SUM_WITHOUT_COUNT, Z95, noise_of_sum
from anonymisation.cell import EXTRA_DECIMALS, Cell, Noisy, Several, Spread, Told, counted, measured
from anonymisation.curves import listed, quantiles, rate, survival
from anonymisation.regression import correlation, regression
from anonymisation.vectors import Statistic, Vector

__all__ = ["Cell", "Noisy", "Several", "Told", "cell"]


def cell(statistic: Statistic, noisy: Mapping[Vector, Noisy]) -> Told:
    """Give one statistic from the noisy numbers of one group."""
    return _ESTIMATORS[statistic.stat](statistic, [noisy[vector] for vector in statistic.vectors])


def _count(_: Statistic, numbers: list[Noisy]) -> Cell:
    return counted(numbers[0].value, numbers[0].share)


def _sum(statistic: Statistic, numbers: list[Noisy]) -> Cell:
    total, squares = numbers[0], numbers[-1]
    middle, count = total.share.vector.centre, (numbers[1].value if len(numbers) > SUM_WITHOUT_COUNT else 0)
    value = total.value + middle * count
    noise = noise_of_sum([number.share for number in numbers])
    variance = _second_moment(squares) + 2 * middle * total.value + middle**2 * count
    sampled = variance >= 2 * Z95 * _noise_of_second_moment(numbers)
    reach = Z95 * sqrt(noise**2 + variance) if sampled else Z95 * noise

    def told(distance: float) -> int | float:
        whole = round(value + distance)
        return whole if statistic.digits == 0 else whole / 10.0**statistic.digits

    return Cell(
        told(0), told(-reach), told(reach), told(-Z95 * noise), told(Z95 * noise), abs(value) < 2 * Z95 * noise,
        "noise and sampling" if sampled else "noise",
    )  # fmt: skip


def _noise_of_second_moment(numbers: list[Noisy]) -> float:
    """Give the noise of the sum of squares about zero, put together from those about the middle of the bounds."""
    total, squares = numbers[0], numbers[-1].share
    middle = total.share.vector.centre
    of_count = numbers[1].share.scale if len(numbers) > SUM_WITHOUT_COUNT else 0.0
    parts = (squares.scale * 4.0**squares.vector.shift, 2 * middle * total.share.scale, middle**2 * of_count)
    return sqrt(sum(part**2 for part in parts))


def _mean(statistic: Statistic, numbers: list[Noisy]) -> Cell:
    """A ratio of two noisy numbers, its error to first order; untold where the count is within its own noise."""
    total, count, squares = numbers
    if count.value < max(1, count.share.half_width):
        return Cell(None)
    vector = total.share.vector
    low, high = vector.low - vector.centre, vector.high - vector.centre
    distance = min(max(total.value / count.value, low), high)
    noise = (total.share.scale**2 + (distance * count.share.scale) ** 2) / count.value**2
    spread = max(0.0, _second_moment(squares) / count.value - distance**2) if squares.positive else 0.0
    units = 10.0**statistic.digits
    return measured(
        (vector.centre + distance) / units,
        Spread.of(noise / units**2, spread / count.value / units**2),
        vector.low / units, vector.high / units, statistic.digits + EXTRA_DECIMALS,
        clear=count.positive, sampled=squares.positive,
    )  # fmt: skip


def _variance(statistic: Statistic, numbers: list[Noisy]) -> Cell:
    """The mean square distance from the mean, its noise to first order.

    Its sampling variance is at most `(R**2 - v) * v / n`, where no value is further than R from the mean (a square of at most R**2
    has a second moment of at most R**2 times its mean): wide for a column whose bounds are far from its values, never too narrow.
    """
    total, count, squares = numbers
    rows = count.value
    if rows < max(2, count.share.half_width):
        return Cell(None)
    vector = total.share.vector
    ends = (vector.low - vector.centre, vector.high - vector.centre)
    distance = min(max(total.value / rows, ends[0]), ends[1])
    found = _without_floor(squares, total.value, rows) / rows - distance**2
    noise = (
        (squares.share.scale * 4.0**squares.share.vector.shift) ** 2
        + (2 * distance * total.share.scale) ** 2
        + ((distance**2 - found) * count.share.scale) ** 2
    ) / rows**2
    reach = max(ends[1] - distance, distance - ends[0])
    sampling = max(0.0, (reach**2 - found) * found) / rows
    units = 100.0**statistic.digits
    most = ((vector.high - vector.low) / 2) ** 2 / units  # Popoviciu 1935
    spread = Spread.of(noise / units**2, sampling / units**2)
    clear = count.positive and found / units >= 2 * spread.noise
    decimals = 2 * statistic.digits + EXTRA_DECIMALS
    return measured(found / units, spread, 0.0, most, decimals, clear=clear, sampled=clear)


def _deviation(statistic: Statistic, numbers: list[Noisy]) -> Cell:
    """The square root of the variance and of the ends of its intervals."""
    squared = _variance(statistic, numbers)
    roots = {
        name: None if end is None else round(sqrt(end), statistic.digits + EXTRA_DECIMALS)
        for name in ("value", "low", "high", "noise_low", "noise_high")
        if (end := getattr(squared, name)) is not None
    }
    return replace(squared, **roots)  # type: ignore[arg-type]  # the five are numbers


def _second_moment(squares: Noisy) -> float:
    """Give the noisy sum of squares in squared steps of the column's last decimal."""
    return float(squares.value * 4**squares.share.vector.shift)


def _without_floor(squares: Noisy, total: int, rows: int) -> float:
    """Take back what cutting the last bits before squaring took off on average: each loses 0 to 2**shift - 1, all alike."""
    lost = (2.0**squares.share.vector.shift - 1) / 2
    spread = (4.0**squares.share.vector.shift - 1) / 12
    return _second_moment(squares) + 2 * lost * total + rows * (spread - lost**2)


_ESTIMATORS: Final[dict[str, Callable[[Statistic, list[Noisy]], Told]]] = {
    "count": _count,
    "units": _count,
    "sum": _sum,
    "mean": _mean,
    "variance": _variance,
    "sd": _deviation,
    "quantile": quantiles,
    "histogram": listed,
    "contingency": listed,
    "survival": survival,
    "rate": rate,
    "correlation": correlation,
    "ols": regression,
}
