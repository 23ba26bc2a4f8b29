"""The profile of a dataset: how many rows a unit has and where values lie, noisy, paid once and then shown to every project free.

Bounds are where the usefulness of an answer is won or lost, and nobody may look at the data to choose them. So the house asks
once: quantiles as any question would, and rows per unit as a histogram in which a unit adds one to one bin (sensitivity 1).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import orjson
import polars as pl

from anonymisation import answer, budget, noise
from anonymisation.aggregate import Integers
from anonymisation.bounds import UNIT, Table
from anonymisation.errors import BadQuestion
from anonymisation.form import MAX_ASKS, MAX_RHO_MICRO
from anonymisation.question import Question, parse

RHO_MICRO: Final = 20_000
"""What a profile costs unless a steward says otherwise: a hundredth of the recommended cap of a population."""
LEAST_RHO_MICRO: Final = 1_000
PROBS: Final = ("0.01", "0.05", "0.1", "0.25", "0.5", "0.75", "0.9", "0.95", "0.99")
STARTS: Final = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 20, 24, 32, 48, 64, 96, 128, 256, 512, 1_024)
"""Fewest rows of each bin of rows per unit; the last bin is open."""
NUMBERS: Final = ("integer", "decimal")


@dataclass(frozen=True)
class Bin:
    """Units that have `low` to `high` rows (None: or more), as a noisy count; `clear` where it stands out of its noise."""

    low: int
    high: int | None
    units: int
    clear: bool

    @property
    def rows(self) -> float:
        """Rows of one unit of this bin: the middle, or the fewest where it is open."""
        return float(self.low) if self.high is None else (self.low + self.high) / 2


@dataclass(frozen=True)
class Quantile:
    """The value that a share of the rows does not exceed, and the interval of its noise; None where untold."""

    prob: str
    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Profile:
    """What a dataset looks like, as far as was paid for. Everything here is noisy and may be shown to its projects."""

    dataset: str
    version: int
    rho_micro: int
    rows_per_unit: tuple[Bin, ...]
    columns: dict[str, tuple[Quantile, ...]]

    def to_json(self) -> dict[str, Any]:
        """Give plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> "Profile":
        """Read what `to_json` gave."""
        bins = tuple(Bin(**one) for one in told["rows_per_unit"])
        columns = {name: tuple(Quantile(**one) for one in each) for name, each in told["columns"].items()}
        return cls(told["dataset"], told["version"], told["rho_micro"], bins, columns)

    def dropped(self, rows: int) -> float | None:
        """Give the share of the dataset's rows that a bound of `rows` rows a unit leaves out; None where no unit is counted.

        Bins lost in their noise are taken as empty: noise in the tail would otherwise look like rows.
        """
        clear = [one for one in self.rows_per_unit if one.clear]
        whole = sum(one.units * one.rows for one in clear)
        if not whole:
            return None
        return sum(one.units * max(0.0, one.rows - rows) for one in clear) / whole

    @property
    def rows(self) -> float:
        """About how many rows the dataset has; 0 where no unit is counted."""
        return sum(one.units * one.rows for one in self.rows_per_unit if one.clear)


def digest(table: Table, rho_micro: int) -> str:
    """Give the SHA-256 that stands for this profile in the ledger and the trail."""
    asked = {"profile": 1, "dataset": table.dataset, "version": table.version, "rho_micro": rho_micro}
    return hashlib.sha256(orjson.dumps(asked, option=orjson.OPT_SORT_KEYS)).hexdigest()


def price(table: Table, rho_micro: int) -> int:
    """Give what the profile is charged, in micro-rho; a function of the declaration alone."""
    if not LEAST_RHO_MICRO <= rho_micro <= MAX_RHO_MICRO:
        raise BadQuestion(
            "profile_price",
            f"A profile is offered {LEAST_RHO_MICRO} to {MAX_RHO_MICRO} micro-rho.",
            "Offer another amount.",
            least=LEAST_RHO_MICRO,
            most=MAX_RHO_MICRO,
        )
    units = 0 if table.per_row else _charge(_units_share(table, rho_micro))
    return units + sum(answer.price(one, table).rho_micro for one in _questions(table, rho_micro))


def compute(table: Table, rho_micro: int, parts: Sequence[pl.LazyFrame], seed: bytes) -> Profile:
    """Make a profile that has been paid for."""
    cost = price(table, rho_micro)
    bins = () if table.per_row else _rows_per_unit(parts, _units_share(table, rho_micro))
    columns: dict[str, tuple[Quantile, ...]] = {}
    for question in _questions(table, rho_micro):
        columns |= _read(question, answer.compute(question, table, parts, seed).to_json()["rows"][0])
    return Profile(table.dataset, table.version, cost, bins, columns)


def words(share: float, rows: int) -> dict[str, str]:
    """Say which share of all rows a bound leaves out, `fr` and `en`."""
    of_100 = f"{100 * share:.1f}" if share < 0.1 else f"{100 * share:.0f}"  # noqa: PLR2004 - one decimal for a small share
    french = of_100.replace(".", ",")
    return {
        "fr": f"D’après le profil du jeu entier, retenir au plus {rows} ligne(s) par unité en laisse de côté environ {french}\u00a0%.",
        "en": f"By the profile of the whole dataset, keeping at most {rows} row(s) of each unit leaves about {of_100}% of rows out.",
    }


# --- rows per unit --------------------------------------------------------------------------------------------------------


def _units_share(table: Table, rho_micro: int) -> int:
    """Half for rows per unit, or all where no column is a number."""
    return rho_micro // 2 if _numbers(table) else rho_micro


def _charge(rho_micro: int) -> int:
    scale = budget.scale_for(1, rho_micro)
    return budget.charge(budget.own_loss(1, scale), noise.loss(scale, 1))


def _rows_per_unit(parts: Sequence[pl.LazyFrame], rho_micro: int) -> tuple[Bin, ...]:
    scale = budget.scale_for(1, rho_micro)
    counted: Integers = sum((_counted(part) for part in parts), start=np.zeros(len(STARTS), np.int64))
    noisy, width = noise.add(counted, scale).tolist(), budget.half_width(scale)
    ends = (*(start - 1 for start in STARTS[1:]), None)
    return tuple(
        Bin(low, high, units, units >= 2 * width)
        for low, high, units in zip(STARTS, ends, noisy, strict=True)
    )


def _counted(part: pl.LazyFrame) -> Integers:
    """Count units by how many rows they have; a unit's rows lie in one part."""
    sizes = part.select(UNIT).group_by(UNIT).len().collect()["len"].to_numpy()
    places = np.searchsorted(STARTS, sizes, side="right") - 1
    return np.bincount(places, minlength=len(STARTS)).astype(np.int64)


# --- values ---------------------------------------------------------------------------------------------------------------


def _numbers(table: Table) -> list[str]:
    return [
        one.name
        for one in table.columns
        if one.kind in NUMBERS and one.domain is None and one.low is not None and one.low != one.high
    ]


def _questions(table: Table, rho_micro: int) -> list[Question]:
    """Ask the quantiles of every number with declared bounds, at most so many in one question."""
    names = _numbers(table)
    offered = rho_micro if table.per_row else rho_micro - _units_share(table, rho_micro)
    if not names:
        return []
    parts = [names[place : place + MAX_ASKS] for place in range(0, len(names), MAX_ASKS)]
    return [_question(table, part, offered * len(part) // len(names)) for part in parts]


def _question(table: Table, names: Sequence[str], rho_micro: int) -> Question:
    asked = [
        {"name": f"c{place}", "stat": "quantile", "column": name, "probs": list(PROBS)}
        for place, name in enumerate(names)
    ]
    return parse({"v": 1, "dataset": table.dataset, "ask": asked, "rho_micro": rho_micro})


def _read(question: Question, row: dict[str, Any]) -> dict[str, tuple[Quantile, ...]]:
    return {str(ask.column): _quantiles(row[ask.name]["cells"]) for ask in question.ask}


def _quantiles(cells: list[dict[str, Any]]) -> tuple[Quantile, ...]:
    return tuple(
        Quantile(one["at"]["prob"], one["value"], one["noise_low"], one["noise_high"]) for one in cells
    )
