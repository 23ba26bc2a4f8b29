"""Choosing bounds: what each choice leaves out against the noise it saves, from the profile and at no further cost.

A smaller bound on rows, groups or values means less noise and more bias; the least total error (the root of bias squared plus
variance) is proposed for a group of a twentieth of the table, and every choice is shown so that a person may judge. Groups are
weighed for the count of units in each value of a category, where a unit in L groups moves L counts by one; values for a mean.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from math import hypot
from typing import Any, Final, TypeVar

from anonymisation import sensitivity
from anonymisation.bounds import Column, Table
from anonymisation.budget import Z95, half_width, scale_for
from anonymisation.profile import STARTS, Bin, Profile, Quantile, left_out, whole

GROUPS: Final = 20
MEAN_SHARE: Final = 0.45
"""The part of a mean's budget that goes to its sum (budget.WEIGHTS)."""
MEDIAN: Final = 0.5


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
class GroupsChoice:
    """A bound L on the values of a category that a unit counts in: the share left out, and the errors of a count of units."""

    groups: int
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
class LowChoice:
    """A lower bound on a column, under the upper one that is proposed: what is clipped, and the errors of its mean."""

    low: float
    clipped: float
    bias: float
    plus_minus: float
    total: float
    best: bool = False


@dataclass(frozen=True)
class Advice:
    """Proposed bounds for questions of this price: rows K, groups L of each category, and for each number two bounds."""

    rho_micro: int
    rows: tuple[RowsChoice, ...]
    groups: int
    columns: dict[str, tuple[ValueChoice, ...]]
    lows: dict[str, tuple[LowChoice, ...]]
    groups_by: dict[str, tuple[GroupsChoice, ...]]

    def to_json(self) -> dict[str, Any]:
        """Give plain JSON values."""
        return asdict(self)


Choice = TypeVar("Choice", RowsChoice, GroupsChoice, ValueChoice, LowChoice)


def advise(table: Table, profile: Profile, rho_micro: int) -> Advice:
    """Propose bounds for a question that offers `rho_micro` for one statistic by about twenty groups."""
    rows = _rows(table, profile, rho_micro)
    best = next((one.rows for one in rows if one.best), table.rows)
    size = profile.rows * (1 - (profile.dropped(best) or 0.0)) / GROUPS
    highs: dict[str, tuple[ValueChoice, ...]] = {}
    lows: dict[str, tuple[LowChoice, ...]] = {}
    for name, quantiles in profile.columns.items():
        column = table.column(name)
        if column is not None and size >= 1:
            highs[name], lows[name] = _values(column, quantiles, best / size, rho_micro)
    groups_by = {
        name: _groups(len(column.domain or ()), bins, best, rho_micro)
        for name, bins in profile.groups_per_unit.items()
        if (column := table.column(name)) is not None
    }
    return Advice(rho_micro, rows, min(best, table.groups), _told(highs), _told(lows), _told(groups_by))


def _told(choices: dict[str, tuple[Choice, ...]]) -> dict[str, tuple[Choice, ...]]:
    return {name: each for name, each in choices.items() if each}


def _least(choices: Sequence[Choice]) -> tuple[Choice, ...]:
    """Mark the first choice of the least total error."""
    least = min((one.total for one in choices), default=0.0)
    best = next((place for place, one in enumerate(choices) if one.total == least), -1)
    return tuple(replace(one, best=place == best) for place, one in enumerate(choices))


# --- rows and groups of a unit --------------------------------------------------------------------------------------------


def _rows(table: Table, profile: Profile, rho_micro: int) -> tuple[RowsChoice, ...]:
    """Weigh every bound up to the largest that the profile counts anybody above, or the declared one."""
    choices = []
    for rows in _starts(profile.rows_per_unit, table.rows):
        dropped = profile.dropped(rows) or 0.0
        scale = scale_for(rows**2, rho_micro)
        bias = dropped * profile.rows / GROUPS
        choices.append(RowsChoice(rows, round(dropped, 4), *_errors(bias, half_width(scale), scale, 1)))
    return _least(choices)


def _groups(domain: int, bins: Sequence[Bin], rows: int, rho_micro: int) -> tuple[GroupsChoice, ...]:
    """Weigh every bound on the groups of a unit; more than it has rows or there are values costs no more."""
    choices = []
    for groups in _starts(bins, 1):
        if groups > min(domain, rows):
            break
        dropped = left_out(bins, groups) or 0.0
        scale = scale_for(sensitivity.units(rows, groups, domain), rho_micro)
        bias = dropped * whole(bins) / domain
        choices.append(GroupsChoice(groups, round(dropped, 4), *_errors(bias, half_width(scale), scale, 1)))
    return _least(choices)


def _starts(bins: Sequence[Bin], least: int) -> list[int]:
    most = max((one.low for one in bins if one.clear), default=0)
    return [start for start in STARTS if most and start <= max(most, least)]


def _errors(bias: float, plus_minus: float, scale: float, decimals: int) -> tuple[float, float, float]:
    return round(bias, decimals), round(plus_minus, decimals), round(hypot(bias, scale), decimals)


# --- bounds of values -----------------------------------------------------------------------------------------------------

Points = Sequence[tuple[float, float]]
"""Shares of the rows, and the value that each does not exceed, from the least to the greatest."""


def _values(
    column: Column, quantiles: Sequence[Quantile], rows_a_size: float, rho_micro: int
) -> tuple[tuple[ValueChoice, ...], tuple[LowChoice, ...]]:
    """Weigh each told quantile from the median on as the upper clip of a mean, then each below as the lower one."""
    low, top = float(column.low or 0), float(column.high or 0)
    told = [(float(one.prob), float(one.value)) for one in quantiles if one.value is not None]
    points = [(0.0, low), *told, (1.0, top)]
    highs = _least([ValueChoice(*one) for one in _clips(points, low, rows_a_size, rho_micro)])
    high = next((one.high for one in highs if one.best), top)
    mirrored = [(1 - prob, -min(value, high)) for prob, value in reversed(points)]
    found = _clips(mirrored, -high, rows_a_size, rho_micro)
    lows = _least([LowChoice(0.0 - value, *errors) for value, errors in ((one[0], one[1:]) for one in found)])
    return highs, lows


def _clips(
    points: Points, floor: float, rows_a_size: float, rho_micro: int
) -> list[tuple[float, float, float, float, float]]:
    """Give each upper clip: its value, the share clipped, bias, noise and total error of a mean above `floor`."""
    scale = scale_for(1, max(1, int(rho_micro * MEAN_SHARE))) * rows_a_size / 2
    found = []
    for value in sorted({value for prob, value in points if prob >= MEDIAN and value > floor}):
        noise = scale * (value - floor)
        clipped = 1 - max(prob for prob, at in points if at <= value)
        found.append(
            (value, round(clipped, 4), *_errors(_clipped_away(points, value), Z95 * noise, noise, 4))
        )
    return found


def _clipped_away(points: Points, high: float) -> float:
    """Give what clipping at `high` takes from the mean, values spread evenly between two told quantiles."""
    away = 0.0
    for (prob, value), (next_prob, next_value) in pairwise(points):
        low = max(value, high)
        if next_value > low:
            share = (next_prob - prob) * (next_value - low) / (next_value - value)
            away += share * ((low + next_value) / 2 - high)
    return away
