"""An answer told in French and English: the finding first, then what the interval holds and whom it protects."""

from collections.abc import Mapping, Sequence
from math import floor, log10
from typing import Final

from anonymisation.bounds import Table
from anonymisation.cell import At, Cell, Several, Told
from anonymisation.language import ENGLISH, FRENCH, Language
from anonymisation.plan import Plan
from anonymisation.vectors import Statistic

PERSON_TYPES: Final = frozenset({"nir", "ins", "ipp"})
"""Id types that stand for one person; a unit of another type may be a stay, a household, a site."""
MOST_TOLD: Final = 2
"""Figures told; of more than these in several groups the first alone. The table shows the others."""
AS_PERCENT: Final = 100

Keys = tuple[str | int | bool, ...]
Group = tuple[Keys, Mapping[str, Told]]


def words(plan: Plan, table: Table, groups: Sequence[Group]) -> dict[str, str]:
    """Give the answer in words, `fr` and `en`; the first sentence is the finding."""
    return {
        code: _tell(language, plan, table, groups) for code, language in (("fr", FRENCH), ("en", ENGLISH))
    }


def _tell(language: Language, plan: Plan, table: Table, groups: Sequence[Group]) -> str:
    cells = [cell for _, row in groups for told in row.values() for cell in _cells(told)]
    repaired = any(isinstance(told, Several) and told.repaired for _, row in groups for told in row.values())
    sentences = [
        _finding(language, plan, table, groups),
        _interval(language, cells),
        _below(language, cells),
        language.repaired if repaired else "",
        _bounds(language, plan, table),
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def _cells(told: Told) -> list[Cell]:
    return [told] if isinstance(told, Cell) else [cell for _, cell in told.cells]


def _finding(language: Language, plan: Plan, table: Table, groups: Sequence[Group]) -> str:
    most = 1 if plan.keys and len(plan.statistics) > MOST_TOLD else MOST_TOLD
    told, beyond = plan.statistics[:most], len(plan.statistics) - most
    more = language.more[beyond > 1].format(count=beyond) if beyond > 0 else ""
    if plan.keys:
        found = " ".join(_by_group(language, plan, groups, statistic) for statistic in told)
        return f"{found[:-1]}{language.also}{more}." if more else found
    row = groups[0][1]
    findings = [
        language.named.format(name=one.name) + _one(language, one, row[one.name], table) for one in told
    ]
    return language.also.join([*findings, more] if more else findings) + "."


# --- one group ------------------------------------------------------------------------------------------------------------


def _one(language: Language, statistic: Statistic, told: Told, table: Table) -> str:
    if isinstance(told, Several):
        return _several(language, statistic.stat, told)
    if statistic.stat == "rate" and told.value is not None:
        return language.rate.format(**_figures(language, told))
    if statistic.stat == "units" and table.unit in PERSON_TYPES:
        return language.patients.format(**_figures(language, told))
    return _about(language, told)


def _several(language: Language, stat: str, told: Several) -> str:
    """Tell the one cell that says most."""
    known = [(at, cell) for at, cell in told.cells if cell.value is not None]
    if not known:
        return language.untold
    if stat == "quantile":
        return _quantile(language, *min(known, key=lambda one: abs(float(str(one[0][0][1])) - 0.5)))
    if stat == "survival":
        at, cell = known[-1]
        return language.survival.format(at=at[0][1], **_figures(language, cell, AS_PERCENT))
    if stat == "ols":
        at, cell = known[-1]
        return language.slope.format(term=at[0][1], about=_about(language, cell))
    at, cell = max(known, key=lambda one: one[1].value or 0)
    cells = _number(language, len(told.cells), 0)
    return language.listed.format(cells=cells, at=_place(language, at), about=_about(language, cell))


def _quantile(language: Language, at: At, cell: Cell) -> str:
    share = _number(language, float(str(at[0][1])) * AS_PERCENT, 0)
    ends = {name: getattr(cell, name) for name in ("value", "low", "high")}
    shown = {name: _number(language, end, _own_decimals(end)) for name, end in ends.items()}
    return language.quantile.format(share=share, **shown)


def _own_decimals(number: float) -> int:
    """Give the decimals that a candidate value is written with."""
    return 0 if float(number).is_integer() else len(f"{number:g}".partition(".")[2])


def _place(language: Language, at: At) -> str:
    return _keys(language, tuple(value for _, value in at))


# --- several groups -------------------------------------------------------------------------------------------------------


def _by_group(language: Language, plan: Plan, groups: Sequence[Group], statistic: Statistic) -> str:
    """Name the smallest and the largest cell of one statistic, or how many cells each group has."""
    name = statistic.name
    facts = {"by": ", ".join(key.name for key in plan.keys), "name": name}
    cells = [row[name] for _, row in groups]
    first = cells[0]
    if isinstance(first, Several):
        counts = {
            "groups": _number(language, len(groups), 0),
            "cells": _number(language, len(first.cells), 0),
        }
        return language.tables.format(**counts, **facts)
    known = [(cell, keys) for cell, (keys, _) in zip(cells, groups, strict=True) if _value(cell) is not None]
    if not known:
        return language.extremes.format(**facts)
    least, most = (pick(known, key=lambda one: _value(one[0]) or 0) for pick in (min, max))
    return language.over.format(
        low=_short(language, least[0]),
        low_key=_keys(language, least[1]),
        high=_short(language, most[0]),
        high_key=_keys(language, most[1]),
        **facts,
    )


def _value(told: Told) -> float | None:
    return told.value if isinstance(told, Cell) else None


def _short(language: Language, told: Told) -> str:
    figures = _figures(language, _cells(told)[0])
    return f"{figures['value']} ± {figures['width']}"


def _keys(language: Language, keys: Keys) -> str:
    return ", ".join(language.yes_no[key] if isinstance(key, bool) else str(key) for key in keys)


# --- figures --------------------------------------------------------------------------------------------------------------


def _about(language: Language, cell: Cell) -> str:
    if cell.value is None:
        return language.untold
    if cell.low is None or cell.high is None:
        return language.alone.format(value=_number(language, cell.value, _decimals(abs(cell.value))))
    return language.about.format(**_figures(language, cell))


def _figures(language: Language, cell: Cell, factor: int = 1) -> dict[str, str]:
    """Give a value and the half-width of its interval, written with two significant figures of the width."""
    value, low, high = cell.value or 0, cell.low or 0, cell.high or 0
    width = max(high - value, value - low) * factor
    whole = factor == 1 and all(isinstance(number, int) for number in (value, low, high))
    decimals = 0 if whole else _decimals(width)
    return {
        "value": _number(language, value * factor, decimals),
        "width": _number(language, width, decimals),
    }


def _decimals(width: float) -> int:
    """Keep two significant figures of the width."""
    return 0 if width <= 0 else min(9, max(0, 1 - floor(log10(width))))


def _number(language: Language, number: float, decimals: int) -> str:
    text = f"{number:,.{decimals}f}".replace("-", "\u2212")
    return text.replace(",", "\0").replace(".", language.decimal).replace("\0", language.thousands)


# --- what holds -----------------------------------------------------------------------------------------------------------


def _interval(language: Language, cells: Sequence[Cell]) -> str:
    kinds = {cell.holds for cell in cells if cell.low is not None}
    if not kinds:
        return ""
    return language.mixed if len(kinds) > 1 else language.noise if kinds == {"noise"} else language.both


def _below(language: Language, cells: Sequence[Cell]) -> str:
    count = sum(cell.below_noise for cell in cells)
    if not count or all(cell.value is None for cell in cells):
        return ""
    return language.below.format(count=_number(language, count, 0), cells=_number(language, len(cells), 0))


def _bounds(language: Language, plan: Plan, table: Table) -> str:
    if table.per_row:
        return language.row
    groups = min(plan.groups, plan.rows, plan.size)
    sentence = language.kept_groups if plan.keys else language.kept
    unit = language.patient if table.unit in PERSON_TYPES else language.one.format(unit=table.unit)
    return sentence.format(
        unit=unit, rows=_counted(plan.rows, language.rows), groups=_counted(groups, language.groups)
    )


def _counted(number: int, noun: tuple[str, str]) -> str:
    return f"{number} {noun[number > 1]}"
