"""The exact integer vectors that statistics are computed from: what one row adds to them, and how much at most."""

from dataclasses import dataclass, replace
from typing import Final, Literal

GRID: Final = 2**12
"""Steps from the middle of a column's bounds to either end, where columns are multiplied: products of two fit a 64-bit sum."""

VectorKind = Literal["rows", "present", "units", "sum", "squares", "cells", "moments"]


@dataclass(frozen=True)
class Vector:
    """One exact integer vector over the declared groups, with `width` cells in each.

    Sums add `(value - centre) >> shift` (squared for squares). A row adds one to the cell that the column `column` of codes names
    (cells), or to every cell a product of two of its `factors`, each within `-GRID..GRID`, the first always GRID (moments).
    """

    kind: VectorKind
    column: str = ""
    low: int = 0
    high: int = 0
    centre: int = 0
    shift: int = 0
    width: int = 1
    factors: tuple[str, ...] = ()

    @property
    def magnitude(self) -> int:
        """The largest absolute value that one row adds to one cell."""
        if self.kind == "moments":
            return GRID**2
        if self.kind not in {"sum", "squares"}:
            return 1
        ends = [(end - self.centre) >> self.shift for end in (self.low, self.high)]
        largest = max(abs(end) for end in ends)
        return largest**2 if self.kind == "squares" else largest

    @property
    def length_squared(self) -> int:
        """The largest squared length of what one row adds: moments fill every cell of the group, the others one."""
        return self.magnitude**2 * (self.width if self.kind == "moments" else 1)


@dataclass(frozen=True)
class Listed:
    """Coordinates of each cell of a statistic that gives several: `(("sex", "F"), ("plan", "A"))`."""

    at: tuple[tuple[tuple[str, str | int | bool], ...], ...]


@dataclass(frozen=True)
class Quantiles:
    """Candidate values in increasing order, counted one by one and in blocks, and the shares asked for."""

    candidates: tuple[int, ...]
    block: int
    probs: tuple[str, ...]


@dataclass(frozen=True)
class Survival:
    """Ends of the intervals of follow-up time, as told."""

    times: tuple[str, ...]


@dataclass(frozen=True)
class Rate:
    """Weight of each age band (they add up to 1), and the public number of persons in it where there is one.

    Of a denominator that is told by the values of a category, `persons_of` holds the numbers of each group, and
    `persons` those of the group with the most noise.
    """

    weights: tuple[float, ...]
    persons: tuple[int, ...] = ()
    split: str = ""
    persons_of: tuple[tuple[str, tuple[int, ...]], ...] = ()

    def of(self, value: str) -> "Rate":
        """Give the rate of one group."""
        return replace(self, persons=dict(self.persons_of)[value])


@dataclass(frozen=True)
class Factor:
    """A column of a linear statistic: its bounds in steps of its last decimal."""

    name: str
    low: int
    high: int
    digits: int


@dataclass(frozen=True)
class Linear:
    """The columns of a correlation or a regression, the outcome last."""

    factors: tuple[Factor, ...]


Shape = Listed | Quantiles | Survival | Rate | Linear


@dataclass(frozen=True)
class Statistic:
    """One asked statistic: the vectors it is computed from, the decimals of its values, and what else it is made of."""

    name: str
    stat: str
    vectors: tuple[Vector, ...]
    digits: int = 0
    shape: Shape | None = None
