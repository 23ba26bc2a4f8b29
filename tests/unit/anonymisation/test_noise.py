"""The noise that comes out is the noise that was paid for, and the library's losses are those of the literature."""

from math import exp, expm1, inf, log, log1p, sqrt

import numpy as np
import pytest

from anonymisation import noise
from anonymisation.budget import own_loss

DRAWS = 40_000
# Chi-square with 20 degrees of freedom exceeds this with probability 1e-6: the false-alarm rate of each audit below.
CHI_SQUARE_20_MILLIONTH = 65.43
# |mean| and a cell's dependence on its neighbour stay within five standard errors but for 6e-7 of the runs.
FIVE_SIGMA = 5


def distance_from(scale: float, draws: np.ndarray) -> float:
    """Give the chi-square distance of draws from a discrete Gaussian, over 21 bins of whole numbers."""
    reach = int(20 * scale) + 2
    support = np.arange(-reach, reach + 1)
    mass = np.exp(-(support**2) / (2 * scale**2))
    mass /= mass.sum()
    cuts = np.searchsorted(np.cumsum(mass), np.arange(1, 21) / 21)
    expected = np.diff(np.concatenate([[0], np.cumsum(mass)[cuts], [1]])) * draws.size
    observed = np.bincount(np.searchsorted(support[cuts], draws), minlength=21)
    return float(((observed - expected) ** 2 / expected).sum())


@pytest.mark.parametrize("scale", [15.0, 141.42135623745])
def test_the_noise_follows_the_claimed_distribution(scale: float) -> None:
    assert distance_from(scale, noise.add(np.zeros(DRAWS, np.int64), scale)) < CHI_SQUARE_20_MILLIONTH


@pytest.mark.parametrize("fault", [0.94, 1.06])
def test_a_scale_a_few_percent_off_would_be_found(fault: float) -> None:
    draws = noise.add(np.zeros(DRAWS, np.int64), 141.42135623745 * fault)
    assert distance_from(141.42135623745, draws) > CHI_SQUARE_20_MILLIONTH


def test_noise_is_centred_and_independent_between_cells() -> None:
    draws = noise.add(np.zeros(DRAWS, np.int64), 50.0) / 50.0
    assert abs(draws.mean()) < FIVE_SIGMA / sqrt(DRAWS)
    assert abs((draws[1:] * draws[:-1]).mean()) < FIVE_SIGMA / sqrt(DRAWS)


def test_noise_is_added_to_exact_integers_far_beyond_what_a_double_holds() -> None:
    exact = np.array([2**60 + 1, -(2**60) - 1], np.int64)
    assert abs(noise.add(exact, 0.001) - exact).max() == 0


@pytest.mark.parametrize("squared", [1, 2, 400, (20 * 2**32) ** 2])
def test_the_librarys_map_agrees_with_our_formula(squared: int) -> None:
    assert noise.loss(33.3, squared) == pytest.approx(float(own_loss(squared, 33.3)), rel=1e-12)
    assert noise.loss(33.3, squared) >= float(own_loss(squared, 33.3)) * (1 - 1e-15)


def epsilon_by_hand(rho: float, delta: float) -> float:
    """Canonne, Kamath and Steinke 2020, proposition 12, minimised over alpha on a fine grid."""
    best = inf
    for step in range(1, 20_000):
        alpha = 1 + expm1(step * 6e-4)
        best = min(
            best, alpha * rho + (log(1 / delta) + (alpha - 1) * log1p(-1 / alpha) - log(alpha)) / (alpha - 1)
        )
    return best


@pytest.mark.parametrize("rho_micro", [1_000, 50_000, 1_000_000])
def test_epsilon_is_that_of_the_literature(rho_micro: int) -> None:
    assert noise.epsilon(rho_micro) == pytest.approx(epsilon_by_hand(rho_micro / 1e6, 1e-6), rel=1e-3)


def test_epsilon_grows_with_rho_and_is_the_same_every_time() -> None:
    assert noise.epsilon(1) < noise.epsilon(1_000) < noise.epsilon(2_000) == noise.epsilon(2_000)
    assert exp(noise.epsilon(1_000)) < 2


def test_the_library_can_be_loaded_ahead() -> None:
    noise.warm()
