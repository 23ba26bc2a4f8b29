"""The parts of an answer: a cell with its interval, several cells with their coordinates, and the noisy numbers they come from."""

from dataclasses import dataclass
from math import ceil, floor, sqrt
from typing import Final, Literal

from anonymisation.budget import Z95, Share

Holds = Literal["noise", "noise and sampling"]
EXTRA_DECIMALS: Final = 6
"""Decimals kept of a mean, a rate or a coefficient beyond those of its column."""

At = tuple[tuple[str, str | int | bool], ...]


@dataclass(frozen=True)
class Cell:
    """One statistic of one group; `holds` says what `low..high` contains. A null value means too few rows to tell.

    Counts and sums are unbiased, so a small one may be below zero; a display may clamp it. A value without `low` and `high` is
    one for which no honest interval is known.
    """

    value: int | float | None
    low: int | float | None = None
    high: int | float | None = None
    noise_low: int | float | None = None
    noise_high: int | float | None = None
    below_noise: bool = True
    holds: Holds = "noise"


@dataclass(frozen=True)
class Several:
    """A statistic that gives several cells: where each stands, and the cell; `repaired` where a noisy matrix had to be."""

    cells: tuple[tuple[At, Cell], ...]
    repaired: bool = False


Told = Cell | Several


@dataclass(frozen=True)
class Noisy:
    """The noisy numbers of one group in one vector and the share of budget that made them."""

    values: tuple[int, ...]
    share: Share

    @property
    def value(self) -> int:
        """The number, where the vector has one cell in each group."""
        return self.values[0]

    @property
    def clear(self) -> bool:
        """True where the value stands out of its noise: at least twice the 95 % half-width."""
        return abs(self.value) >= 2 * self.share.half_width

    @property
    def positive(self) -> bool:
        """True where the value is clearly above zero."""
        return self.clear and self.value > 0


def counted(value: int, share: Share) -> Cell:
    """Give the cell of a count: its sampling is taken as Poisson."""
    width = share.half_width
    reach = max(width, Z95 * sqrt(share.scale**2 + max(value, 0)))
    low, high = floor(value - reach), ceil(value + reach)
    clear = value > 0 and value >= 2 * width
    return Cell(
        value, low, high, value - width, value + width, below_noise=not clear, holds="noise and sampling"
    )


@dataclass(frozen=True)
class Spread:
    """The 95 % half-widths about a value: of the noise, and of noise and sampling together."""

    noise: float
    both: float

    @classmethod
    def of(cls, noise_variance: float, sampling_variance: float) -> "Spread":
        """Join two independent errors."""
        return cls(Z95 * sqrt(noise_variance), Z95 * sqrt(noise_variance + sampling_variance))


def measured(
    value: float, spread: Spread, low: float, high: float, decimals: int, *, clear: bool, sampled: bool
) -> Cell:
    """Give the cell of a value that lies between `low` and `high` by its nature, rounded to so many decimals."""

    def told(offset: float) -> float:
        return round(min(max(value + offset, low), high), decimals)

    reach = spread.both if sampled else spread.noise
    return Cell(
        told(0), told(-reach), told(reach), told(-spread.noise), told(spread.noise),
        below_noise=not clear, holds="noise and sampling" if sampled else "noise",
    )  # fmt: skip
