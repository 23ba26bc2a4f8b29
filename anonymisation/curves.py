"""Statistics read off noisy counts in cells: tables, quantiles, survival curves and standardised rates, with their intervals."""

from functools import lru_cache
from math import sqrt
from typing import cast

import numpy as np
from numpy.typing import NDArray

from anonymisation.budget import RATE_PER, Z95
from anonymisation.cell import EXTRA_DECIMALS, Cell, Noisy, Several, Spread, counted, measured
from anonymisation.vectors import Listed, Quantiles, Rate, Statistic, Survival

Floats = NDArray[np.float64]


def listed(statistic: Statistic, numbers: list[Noisy]) -> Several:
    """Give a count for each cell of a histogram or a contingency table."""
    (counts,) = numbers
    at = cast("Listed", statistic.shape).at
    return Several(
        tuple((place, counted(value, counts.share)) for place, value in zip(at, counts.values, strict=True))
    )


# --- quantiles ----------------------------------------------------------------------------------------------------------


def quantiles(statistic: Statistic, numbers: list[Noisy]) -> Several:
    """Give, for each share asked, the smallest candidate that so many of the rows do not exceed.

    Counts of candidates and of blocks are joined by least squares (Hay, Rastogi, Miklau and Suciu 2010, for two levels), added up
    and made monotone; the interval is that of all candidates whose running count may be the one looked for.
    """
    shape = cast("Quantiles", statistic.shape)
    fine, coarse = numbers
    counts = _Ranks(fine, coarse, shape)
    cells = tuple(((("prob", prob),), counts.cell(float(prob), statistic.digits)) for prob in shape.probs)
    return Several(cells)


class _Ranks:
    """Running counts over the candidates, and the noise of any weighted sum of their counts."""

    def __init__(self, fine: Noisy, coarse: Noisy, shape: Quantiles) -> None:
        self._shape = shape
        self._block = np.arange(len(shape.candidates)) // shape.block
        self._sizes = np.bincount(self._block)
        self._scale = fine.share.scale
        self._ratio = (coarse.share.scale / fine.share.scale) ** 2
        single = np.array(fine.values, float)
        gap = np.array(coarse.values, float) - np.bincount(self._block, single)
        joined = np.cumsum(single + (gap / (self._sizes + self._ratio))[self._block])
        self._rows = float(joined[-1])
        self._rank = (np.maximum.accumulate(joined) + np.minimum.accumulate(joined[::-1])[::-1]) / 2

    def cell(self, prob: float, digits: int) -> Cell:
        rows = self._rows
        noise = self._scale**2 * _rank_noise(self._block.size, self._shape.block, self._ratio, prob)
        if rows < max(
            1.0,
            Z95 * self._scale * sqrt(_rank_noise(self._block.size, self._shape.block, self._ratio, 0.0)[-1]),
        ):
            return Cell(None)
        over = self._rank - prob * rows
        spread = Z95 * np.sqrt(noise)
        both = Z95 * np.sqrt(noise + rows * prob * (1 - prob))
        ends = [*self._between(over, both), *self._between(over, spread)]
        value, low, high, noise_low, noise_high = (
            self._told(place, digits) for place in (self._first(over), *ends)
        )
        clear = 2 * float(spread[self._first(over)]) <= min(prob, 1 - prob) * rows
        return Cell(value, low, high, noise_low, noise_high, not clear, "noise and sampling")

    def _between(self, over: Floats, width: Floats) -> tuple[int, int]:
        """Give the first candidate that may be the one, and the last."""
        surely_short = np.flatnonzero(over - width < 0)
        last = int(surely_short[-1]) + 1 if surely_short.size else 0
        return self._first(over + width), min(last, over.size - 1)

    @staticmethod
    def _first(over: Floats) -> int:
        enough = np.flatnonzero(over >= 0)
        return int(enough[0]) if enough.size else over.size - 1

    def _told(self, place: int, digits: int) -> int | float:
        candidate = self._shape.candidates[place]
        return candidate if digits == 0 else candidate / 10.0**digits


@lru_cache(maxsize=64)
def _rank_noise(size: int, block: int, ratio: float, prob: float) -> Floats:
    """Give the variance of each running count less `prob` of all rows, in squared scales of a candidate's count."""
    blocks = np.arange(size) // block
    weights = np.tril(np.ones((size, size))) - prob
    by_block = np.stack([np.bincount(blocks, row) for row in weights])
    joined = (by_block**2 / (np.bincount(blocks) + ratio)).sum(axis=1)
    return np.asarray((weights**2).sum(axis=1) - joined, float)


# --- survival ---------------------------------------------------------------------------------------------------------------


def survival(statistic: Statistic, numbers: list[Noisy]) -> Several:
    """Give the Kaplan-Meier estimate at the end of each interval, its events taken before its censorings.

    The curve is made monotone after the product; its variance is Greenwood's plus that of the noise to first order. From the
    interval on in which those at risk are lost in noise nothing is told.
    """
    (counts,) = numbers
    times = cast("Survival", statistic.shape).times
    cells = np.array(counts.values, float)
    events, after = cells[1::2], np.cumsum(cells[::-1])[::-1]
    at_risk = after[0 : 2 * len(times) : 2]
    noise_of_risk = counts.share.scale * np.sqrt(np.arange(cells.size, 1, -2))
    told = _told_until(events, at_risk, noise_of_risk)
    if not told:
        return Several(tuple(((("time", time),), Cell(None)) for time in times))
    curve, spreads = _curve(events[:told], at_risk[:told], counts.share.scale, cells.size)
    sampled = bool(events[:told].sum() >= 2 * Z95 * counts.share.scale * sqrt(told))
    clear = at_risk[:told] >= 2 * Z95 * noise_of_risk[:told]
    shown = [
        measured(value, spread, 0.0, 1.0, EXTRA_DECIMALS, clear=bool(stands), sampled=sampled)
        for value, spread, stands in zip(curve, spreads, clear, strict=True)
    ]
    shown += [Cell(None)] * (len(times) - told)
    return Several(tuple(((("time", time),), cell) for time, cell in zip(times, shown, strict=True)))


def _told_until(events: Floats, at_risk: Floats, noise: Floats) -> int:
    """Give the number of intervals before those at risk are lost in noise."""
    lost = np.flatnonzero((at_risk < np.maximum(1.0, Z95 * noise)) | (at_risk - events < 1))
    return int(lost[0]) if lost.size else events.size


def _curve(events: Floats, at_risk: Floats, scale: float, cells: int) -> tuple[list[float], list[Spread]]:
    raw = np.cumprod(1 - events / at_risk)
    falling = (np.minimum.accumulate(raw) + np.maximum.accumulate(raw[::-1])[::-1]) / 2
    curve = np.clip(falling, 0, 1)
    pull = events / (at_risk * (at_risk - events))  # how much one more at risk raises the logarithm of a step
    greenwood = np.cumsum(np.maximum(pull, 0))
    spreads = [
        Spread.of(value**2 * scale**2 * _pulls(pull, events, at_risk, last, cells), value**2 * sampling)
        for last, (value, sampling) in enumerate(zip(curve, greenwood, strict=True))
    ]
    return curve.tolist(), spreads


def _pulls(pull: Floats, events: Floats, at_risk: Floats, last: int, cells: int) -> float:
    """Give the squared length of the gradient of log S at the end of interval `last`, over all cells counted."""
    of_censored = np.cumsum(pull[: last + 1])
    of_events = of_censored - 1 / (at_risk - events)[: last + 1]
    later = cells - 2 * (last + 1)  # each of them is at risk in all intervals so far
    return float((of_censored**2).sum() + (of_events**2).sum() + later * of_censored[-1] ** 2)


# --- rates ------------------------------------------------------------------------------------------------------------------


def rate(statistic: Statistic, numbers: list[Noisy]) -> Cell:
    """Give the directly standardised rate per 100,000: band rates weighted by a standard population."""
    (counts,) = numbers
    shape = cast("Rate", statistic.shape)
    weights = np.array(shape.weights) * RATE_PER
    if shape.persons:
        return _rate_of_persons(weights / np.array(shape.persons, float), counts)
    return _rate_of_rows(weights, counts)


def _rate_of_persons(weights: Floats, counts: Noisy) -> Cell:
    """Over a public number of persons a rate is linear in the noisy counts; its sampling is taken as Poisson."""
    events = np.array(counts.values, float)
    value = float(weights @ events)
    noise = counts.share.scale**2 * float((weights**2).sum())
    spread = Spread.of(noise, max(0.0, float((weights**2) @ events)))
    low, high = float("-inf"), float("inf")
    return measured(value, spread, low, high, EXTRA_DECIMALS, clear=value >= 2 * spread.noise, sampled=True)


def _rate_of_rows(weights: Floats, counts: Noisy) -> Cell:
    """Over the rows themselves each band is a noisy ratio; untold where one band is lost in noise."""
    without, events = np.array(counts.values[::2], float), np.array(counts.values[1::2], float)
    rows = without + events
    if (rows < max(1.0, Z95 * sqrt(2) * counts.share.scale)).any():
        return Cell(None)
    shares = events / rows
    held = np.clip(shares, 0, 1)
    noise = counts.share.scale**2 * (weights / rows) ** 2 @ (held**2 + (1 - held) ** 2)
    sampling = (weights**2) @ (held * (1 - held) / rows)
    spread, value = Spread.of(float(noise), float(sampling)), float(weights @ shares)
    return measured(
        value, spread, 0.0, float(RATE_PER), EXTRA_DECIMALS, clear=value >= 2 * spread.noise, sampled=True
    )
