"""The only door to opendp: exact discrete Gaussian noise, its privacy map, and the conversion of rho to (epsilon, delta).

opendp takes seconds to load, so it is loaded at first use. Its plan analyser is never used: it has open privacy bugs
(opendp issues 2949, 2945, 2939); we hand it integer vectors whose sensitivity we state, and charge at least what its map says.
"""

from functools import lru_cache
from math import inf, nextafter, sqrt
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anonymisation.budget import DELTA, MICRO

Integers = NDArray[np.int64]


@lru_cache(maxsize=1)
def _opendp() -> ModuleType:
    import opendp.prelude as dp

    dp.enable_features("contrib")
    return dp


def warm() -> None:
    """Load the library now, so that the first question does not wait for it."""
    epsilon(1)


def _gaussian(scale: float) -> Any:
    dp = _opendp()
    domain, metric = dp.vector_domain(dp.atom_domain(T="i64")), dp.l2_distance(T="f64")
    return dp.m.make_gaussian(domain, metric, scale, MO="ZeroConcentratedDivergence")


def add(exact: Integers, scale: float) -> Integers:
    """Give the vector with exact discrete Gaussian noise of this scale in every cell."""
    return np.array(_gaussian(scale)(exact.tolist()), dtype=np.int64)


def loss(scale: float, sensitivity_squared: int) -> float:
    """Give rho of one release by the library's own map; its input distance is rounded up."""
    return float(_gaussian(scale).map(_root_up(sensitivity_squared)))


def _root_up(squared: int) -> float:
    return nextafter(sqrt(squared), inf)


@lru_cache(maxsize=4096)
def epsilon(rho_micro: int, delta: float = DELTA) -> float:
    """Give epsilon at delta for a total loss in micro-rho, through the library's zCDP profile."""
    dp = _opendp()
    unit = dp.c.make_zCDP_to_approxDP(_gaussian(1.0))
    return float(unit.map(nextafter(sqrt(2 * rho_micro / MICRO), inf)).epsilon(delta))
