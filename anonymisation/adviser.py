"""Choosing bounds: what each choice leaves out against the noise it saves, from the profile and at no further cost.

A smaller bound on rows or values means less noise and more bias; the least total error (the root of bias squared plus
variance) is proposed for a group of a twentieth of the table, and every choice is shown so that a person may judge.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from math import hypot
from typing import Any, Final

from anonymisation.bounds import Column, Table
from anonymisation.budget import Z95, half_width, scale_for
from anonymisation.profile import STARTS, Profile, Quantile

GROUPS: Final = 20
MEAN_SHARE: Final = 0.45
"""The part of a mean's budget that goes to its sum (budget.WEIGHTS)."""


@dataclass(frozen=True)
class RowsChoice:
    """A bound K on the rows of a unit: the share of rows left out, and the errors of a count in one of the groups."""

    rows: int
    dropped: float
    bias: float
    plus_minus: float
    total: float
    best: bool = False


@dataclass(frozen=True)
class ValueChoice:
    """An upper bound on a column: at most this share is clipped, and the errors of its mean in one of the groups."""

    high: float
    clipped: float
    bias: float
    plus_minus: float
    total: float
    best: bool = False


@dataclass(frozen=True)
class Advice:
    """Proposed bounds for questions of this price: rows K, groups L, and for each number an upper bound."""

    rho_micro: int
    rows: tuple[RowsChoice, ...]
    groups: int
    columns: dict[str, tuple[ValueChoice, ...]]

    def to_json(self) -> dict[str, Any]:
        """Give plain JSON values."""
        return asdict(self)


def advise(table: Table, profile: Profile, rho_micro: int) -> Advice:
    """Propose bounds for a question that offers `rho_micro` for one statistic by about twenty groups."""
    rows = _rows(table, profile, rho_micro)
    best = next((one.rows for one in rows if one.best), table.rows)
    size = profile.rows * (1 - (profile.dropped(best) or 0.0)) / GROUPS
    columns = {
        name: _values(column, quantiles, best, size, rho_micro)
        for name, quantiles in profile.columns.items()
        if (column := table.column(name)) is not None and size >= 1
    }
    return Advice(
        rho_micro, rows, min(best, table.groups), {name: each for name, each in columns.items() if each}
    )


def _rows(table: Table, profile: Profile, rho_micro: int) -> tuple[RowsChoice, ...]:
    """Weigh every bound up to the largest that the profile counts anybody above, or the declared one."""
    most = max((one.low for one in profile.rows_per_unit if one.clear), default=0)
    choices = []
    for rows in (start for start in STARTS if most and start <= max(most, table.rows)):
        dropped = profile.dropped(rows) or 0.0
        scale = scale_for(rows**2, rho_micro)
        bias = dropped * profile.rows / GROUPS
        choices.append(
            RowsChoice(
                rows, round(dropped, 4), round(bias, 1), half_width(scale), round(hypot(bias, scale), 1)
            )
        )
    least = min((one.total for one in choices), default=0.0)
    return _first_best(choices, least)


def _first_best(choices: Sequence[RowsChoice], least: float) -> tuple[RowsChoice, ...]:
    best = next((place for place, one in enumerate(choices) if one.total == least), -1)
    return tuple(RowsChoice(**asdict(one) | {"best": place == best}) for place, one in enumerate(choices))


def _values(
    column: Column, quantiles: Sequence[Quantile], rows: int, size: float, rho_micro: int
) -> tuple[ValueChoice, ...]:
    """Weigh each told quantile from the median on, and the declared bound, as the upper clip of a mean."""
    low, top = float(column.low or 0), float(column.high or 0)
    told = [(float(one.prob), float(one.value)) for one in quantiles if one.value is not None]
    points = [(0.0, low), *told, (1.0, top)]
    highs = sorted({value for prob, value in points if prob >= 0.5 and value > low})  # noqa: PLR2004 - the median
    choices = []
    for high in highs:
        bias = _clipped_away(points, high)
        scale = scale_for(1, max(1, int(rho_micro * MEAN_SHARE))) * rows * (high - low) / 2 / size
        clipped = 1 - max(prob for prob, value in points if value <= high)
        choices.append(
            ValueChoice(
                high, round(clipped, 4), round(bias, 4), round(Z95 * scale, 4), round(hypot(bias, scale), 4)
            )
        )
    least = min((one.total for one in choices), default=0.0)
    best = next((place for place, one in enumerate(choices) if one.total == least), -1)
    return tuple(ValueChoice(**asdict(one) | {"best": place == best}) for place, one in enumerate(choices))


def _clipped_away(points: Sequence[tuple[float, float]], high: float) -> float:
    """Give what clipping at `high` takes from the mean, values spread evenly between two told quantiles."""
    away = 0.0
    for (prob, value), (next_prob, next_value) in pairwise(points):
        low = max(value, high)
        if next_value > low:
            share = (next_prob - prob) * (next_value - low) / (next_value - value)
            away += share * ((low + next_value) / 2 - high)
    return away
