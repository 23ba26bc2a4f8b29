"""The profile of a dataset: how many rows and groups a unit has and where values lie, noisy, paid once, then free to every project.

Bounds are where the usefulness of an answer is won or lost, and nobody may look at the data to choose them. So the house asks
once: quantiles as any question would, and rows per unit, and groups per unit of each category, as histograms in which a unit
adds one to one bin (sensitivity 1 each; losses add).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np
import orjson
import polars as pl

from anonymisation import answer, budget, noise
from anonymisation.aggregate import Integers
from anonymisation.bounds import UNIT, Column, Table
from anonymisation.columns import typed
from anonymisation.errors import BadQuestion
from anonymisation.form import MAX_ASKS, MAX_RHO_MICRO
from anonymisation.groups import MAX_GROUPS
from anonymisation.question import Question, parse

RHO_MICRO: Final = 20_000
"""What a profile costs unless a steward says otherwise: a hundredth of the recommended cap of a population."""
LEAST_RHO_MICRO: Final = 1_000
PROBS: Final = ("0.01", "0.05", "0.1", "0.25", "0.5", "0.75", "0.9", "0.95", "0.99")
STARTS: Final = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 20, 24, 32, 48, 64, 96, 128, 256, 512, 1_024)
"""Fewest rows of each bin of rows per unit; the last bin is open."""
ROWS: Final = ""
"""Stands for the rows themselves where a category's name is expected; no column has it."""
NUMBERS: Final = ("integer", "decimal")
MAX_GROUPED: Final = 8
"""Categories whose groups per unit are counted, the first declared: each takes its share of the price."""


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
    groups_per_unit: dict[str, tuple[Bin, ...]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Give plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> "Profile":
        """Read what `to_json` gave."""
        bins = tuple(Bin(**one) for one in told["rows_per_unit"])
        columns = {name: tuple(Quantile(**one) for one in each) for name, each in told["columns"].items()}
        groups = {
            name: tuple(Bin(**one) for one in each) for name, each in told.get("groups_per_unit", {}).items()
        }
        return cls(told["dataset"], told["version"], told["rho_micro"], bins, columns, groups)

    def dropped(self, rows: int) -> float | None:
        """Give the share of the dataset's rows that a bound of `rows` rows a unit leaves out; None where no unit is counted.

        Bins lost in their noise are taken as empty: noise in the tail would otherwise look like rows.
        """
        return left_out(self.rows_per_unit, rows)

    @property
    def rows(self) -> float:
        """About how many rows the dataset has; 0 where no unit is counted."""
        return whole(self.rows_per_unit)


def whole(bins: Sequence[Bin]) -> float:
    """Give how many rows (or groups of units) there are, in the bins that stand out of their noise."""
    return sum(one.units * one.rows for one in bins if one.clear)


def left_out(bins: Sequence[Bin], most: int) -> float | None:
    """Give the share of them that a bound of `most` a unit leaves out."""
    of = whole(bins)
    return sum(one.units * max(0.0, one.rows - most) for one in bins if one.clear) / of if of else None


def digest(table: Table, rho_micro: int) -> str:
    """Give the SHA-256 that stands for this profile in the ledger and the trail."""
    asked = {"profile": 2, "dataset": table.dataset, "version": table.version, "rho_micro": rho_micro}
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
    counted = 0 if table.per_row else sum(_charge(share) for share in _unit_shares(table, rho_micro).values())
    return counted + sum(answer.price(one, table).rho_micro for one in _questions(table, rho_micro))


def compute(table: Table, rho_micro: int, parts: Sequence[pl.LazyFrame], seed: bytes) -> Profile:
    """Make a profile that has been paid for."""
    cost = price(table, rho_micro)
    shares = {} if table.per_row else _unit_shares(table, rho_micro)
    bins = {
        name: _per_unit([_sizes(part, table.column(name)) for part in parts], share)
        for name, share in shares.items()
    }
    columns: dict[str, tuple[Quantile, ...]] = {}
    for question in _questions(table, rho_micro):
        columns |= _read(question, answer.compute(question, table, parts, seed).to_json()["rows"][0])
    return Profile(table.dataset, table.version, cost, bins.pop(ROWS, ()), columns, bins)


def words(share: float, rows: int) -> dict[str, str]:
    """Say which share of all rows a bound leaves out, `fr` and `en`."""
    of_100 = f"{100 * share:.1f}" if share < 0.1 else f"{100 * share:.0f}"  # noqa: PLR2004 - one decimal for a small share
    french = of_100.replace(".", ",")
    return {
        "fr": f"D’après le profil du jeu entier, retenir au plus {rows} ligne(s) par unité en laisse de côté environ {french}\u00a0%.",
        "en": f"By the profile of the whole dataset, keeping at most {rows} row(s) of each unit leaves about {of_100}% of rows out.",
    }


# --- rows and groups per unit ---------------------------------------------------------------------------------------------


def _units_share(table: Table, rho_micro: int) -> int:
    """Half for what is counted of units, or all where no column is a number."""
    return rho_micro // 2 if _numbers(table) else rho_micro


def _unit_shares(table: Table, rho_micro: int) -> dict[str, int]:
    """Give each histogram its micro-rho: half for rows per unit, the rest over the categories, or all where there is none."""
    offered, names = _units_share(table, rho_micro), _categories(table)
    if not names:
        return {ROWS: offered}
    own = max(1, offered // 2 // len(names))
    return {ROWS: offered - own * len(names)} | dict.fromkeys(names, own)


def _categories(table: Table) -> list[str]:
    names = [
        one.name
        for one in table.columns
        if one.kind == "category" and 1 < len(one.domain or ()) <= MAX_GROUPS
    ]
    return names[:MAX_GROUPED]


def _charge(rho_micro: int) -> int:
    scale = budget.scale_for(1, rho_micro)
    return budget.charge(budget.own_loss(1, scale), noise.loss(scale, 1))


def _per_unit(sizes: Sequence[pl.Series], rho_micro: int) -> tuple[Bin, ...]:
    """Count units by how many they have, each in one bin, and add noise."""
    scale = budget.scale_for(1, rho_micro)
    counted: Integers = sum((_counted(one) for one in sizes), start=np.zeros(len(STARTS), np.int64))
    noisy, width = noise.add(counted, scale).tolist(), budget.half_width(scale)
    ends = (*(start - 1 for start in STARTS[1:]), None)
    return tuple(
        Bin(low, high, units, units >= 2 * width)
        for low, high, units in zip(STARTS, ends, noisy, strict=True)
    )


def _sizes(part: pl.LazyFrame, column: Column | None) -> pl.Series:
    """Give of each unit its rows, or its different values of a category; a unit's rows lie in one part."""
    if column is None:
        return part.select(UNIT).group_by(UNIT).agg(most=pl.len()).collect()["most"]
    coded = part.select(UNIT, typed(column).expr.alias("code")).drop_nulls().unique()
    return coded.group_by(UNIT).agg(most=pl.len()).collect()["most"]


def _counted(sizes: pl.Series) -> Integers:
    places = np.searchsorted(STARTS, sizes.to_numpy(), side="right") - 1
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
