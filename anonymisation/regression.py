"""Pearson correlation and ordinary least squares from noisy sums of products (sufficient statistics released as one vector).

Columns are on a grid from -1 to 1 between their bounds, so one scale of noise suits every product. Errors are to first order.
"""

from math import atanh, sqrt, tanh
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

from anonymisation.budget import Z95
from anonymisation.cell import EXTRA_DECIMALS, Cell, Noisy, Several, Spread, measured
from anonymisation.vectors import GRID, Factor, Linear, Statistic

Floats = NDArray[np.float64]

STEP: Final = 1e-3
"""Step of a numerical derivative, in standard deviations of the noise."""
EDGE: Final = 1 - 1e-9
COEFFICIENT_DECIMALS: Final = 9


def matrix(counts: Noisy, factors: int) -> Floats:
    """Give the symmetric matrix of sums of products of the constant and so many factors."""
    found = np.zeros((factors + 1, factors + 1))
    found[np.triu_indices(factors + 1)] = np.array(counts.values, float) / GRID**2
    return found + np.triu(found, 1).T


# --- correlation ----------------------------------------------------------------------------------------------------------


def correlation(_: Statistic, numbers: list[Noisy]) -> Cell:
    """Give Pearson's r; its sampling error is that of near-normal columns (Fisher's z), joined to the noise on that scale."""
    (counts,) = numbers
    noise = counts.share.scale / GRID**2
    sums = matrix(counts, 2)
    rows = float(sums[0, 0])
    if rows < max(4.0, Z95 * noise) or _too_flat(sums, noise):
        return Cell(None)
    found = min(max(_pearson(sums), -EDGE), EDGE)
    spread = Spread.of(noise**2 * _gradient_squared(sums, noise) / (1 - found**2) ** 2, 1 / (rows - 3))
    ends = [tanh(atanh(found) + reach) for reach in (-spread.both, spread.both, -spread.noise, spread.noise)]
    low, high, noise_low, noise_high = (round(end, EXTRA_DECIMALS) for end in ends)
    clear = abs(atanh(found)) >= 2 * spread.noise
    return Cell(
        round(found, EXTRA_DECIMALS), low, high, noise_low, noise_high, not clear, "noise and sampling"
    )


def _too_flat(sums: Floats, noise: float) -> bool:
    """Say whether the spread of a column is lost in the noise of its square."""
    rows = sums[0, 0]
    spreads = [sums[at, at] - sums[0, at] ** 2 / rows for at in (1, 2)]
    return bool(min(spreads) <= 2 * Z95 * noise)


def _pearson(sums: Floats) -> float:
    rows, left, right = sums[0]
    product = sums[1, 2] - left * right / rows
    return float(product / sqrt((sums[1, 1] - left**2 / rows) * (sums[2, 2] - right**2 / rows)))


def _gradient_squared(sums: Floats, noise: float) -> float:
    total, step = 0.0, noise * STEP
    for row, column in zip(*np.triu_indices(3), strict=True):
        moved = [sums.copy(), sums.copy()]
        for each, sign in zip(moved, (1, -1), strict=True):
            each[row, column] += sign * step
            each[column, row] = each[row, column]
        total += ((_pearson(moved[0]) - _pearson(moved[1])) / (2 * step)) ** 2
    return total


# --- regression -----------------------------------------------------------------------------------------------------------


def regression(statistic: Statistic, numbers: list[Noisy]) -> Several:
    """Give the coefficients of ordinary least squares in the columns' own units.

    Where noise makes the matrix of products singular or not positive its eigenvalues are raised to the size of the noise, the
    coefficients are given without an interval, and the answer says that it was repaired.
    """
    (counts,) = numbers
    factors = cast("Linear", statistic.shape).factors
    noise = counts.share.scale / GRID**2
    sums = matrix(counts, len(factors))
    terms = ("intercept", *(factor.name for factor in factors[:-1]))
    if sums[0, 0] < max(len(terms) + 1.0, 2 * Z95 * noise):
        return Several(tuple(((("term", term),), Cell(None)) for term in terms))
    products, repaired = _repaired(sums[:-1, :-1], noise)
    found: Floats = np.linalg.solve(products, sums[:-1, -1]).astype(np.float64)
    to_units, shift = _to_units(factors)
    values = to_units @ found + shift
    if repaired:
        cells = [Cell(round(float(value), COEFFICIENT_DECIMALS)) for value in values]
    else:
        cells = _coefficients(values, *_variances(sums, found, noise, to_units))
    return Several(
        tuple(((("term", term),), cell) for term, cell in zip(terms, cells, strict=True)), repaired
    )


def _repaired(products: Floats, noise: float) -> tuple[Floats, bool]:
    """Raise eigenvalues that are lost in noise: a symmetric matrix of so large noise has none beyond 2 * noise * sqrt(n)."""
    least = 2 * noise * sqrt(products.shape[0])
    sizes, directions = np.linalg.eigh(products)
    if sizes[0] > 2 * least:
        return products, False
    return (directions * np.maximum(sizes, least)) @ directions.T, True


def _to_units(factors: tuple[Factor, ...]) -> tuple[Floats, Floats]:
    """Give the linear map from coefficients on the grid to those in the columns' own units, and what it adds."""
    centres = np.array([(each.low + each.high) / 2 / 10.0**each.digits for each in factors])
    halves = np.array([(each.high - each.low) / 2 / 10.0**each.digits for each in factors])
    slopes = halves[-1] / halves[:-1]
    to_units = np.diag([halves[-1], *slopes])
    to_units[0, 1:] = -slopes * centres[:-1]
    shift = np.zeros(len(factors))
    shift[0] = centres[-1]
    return to_units, shift


def _variances(sums: Floats, found: Floats, noise: float, to_units: Floats) -> tuple[Floats, Floats]:
    """Give the variance of each coefficient from the noise, and from sampling with the same spread everywhere."""
    inverse = np.linalg.inv(sums[:-1, :-1])
    size = found.size
    moves = [inverse[:, at] for at in range(size)]  # of the products with the outcome
    for row, column in zip(*np.triu_indices(size), strict=True):
        pushed = np.zeros(size)
        pushed[row] = found[column]
        pushed[column] = found[row]  # on the diagonal both are the same cell, moved once
        moves.append(-inverse @ pushed)
    moved = to_units @ np.stack(moves, axis=1)
    rest = sums[-1, -1] - found @ sums[:-1, -1]
    residual = max(0.0, float(rest)) / max(1.0, float(sums[0, 0]) - size)
    sampling = residual * np.diag(to_units @ inverse @ to_units.T)
    return noise**2 * (moved**2).sum(axis=1), np.maximum(sampling, 0.0)


def _coefficients(values: Floats, noise: Floats, sampling: Floats) -> list[Cell]:
    spreads = [Spread.of(float(own), float(drawn)) for own, drawn in zip(noise, sampling, strict=True)]
    return [
        measured(
            float(value), spread, float("-inf"), float("inf"), COEFFICIENT_DECIMALS,
            clear=abs(float(value)) >= 2 * spread.noise, sampled=True,
        )
        for value, spread in zip(values, spreads, strict=True)
    ]  # fmt: skip
