"""The figures of an answer: one cell a group, or several cells with coordinates (bins, times, terms); as lines and as frames."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from .language import number, say

Row = dict[str, Any]
PARTS = ("low", "high")


@dataclass(frozen=True)
class Cell:
    """A value and the interval about it; the value is None where there is too little to tell."""

    value: float | None
    low: float | None
    high: float | None
    below_noise: bool
    holds: str

    @classmethod
    def of(cls, told: Row) -> "Cell":
        """Read a cell as it came."""
        value, low, high = (None if told.get(key) is None else float(told[key]) for key in ("value", *PARTS))
        return cls(value, low, high, bool(told.get("below_noise")), str(told.get("holds", "noise")))

    def shown(self) -> list[str]:
        """Write the value and its interval."""
        if self.value is None:
            return ["", ""]
        lost = say(" (perdu dans le bruit)", " (lost in noise)") if self.below_noise else ""
        known = self.low is not None and self.high is not None
        return [
            number(self.value) + lost,
            f"{number(self.low or 0.0)} – {number(self.high or 0.0)}" if known else "",
        ]

    def flat(self, name: str) -> Row:
        """Spread the cell as a frame wants it."""
        return {
            name: self.value,
            f"{name}_low": self.low,
            f"{name}_high": self.high,
            f"{name}_below_noise": self.below_noise,
        }


@dataclass(frozen=True)
class Line:
    """One line of a figure: the group, the coordinates inside the statistic, the cell."""

    group: tuple[tuple[str, Any], ...]
    at: tuple[tuple[str, Any], ...]
    cell: Cell

    @property
    def label(self) -> str:
        """Group and coordinates as one text."""
        return " · ".join(str(value) for _, value in (*self.group, *self.at))


@dataclass(frozen=True)
class Figure:
    """One asked statistic through all groups."""

    name: str
    by: tuple[str, ...]
    lines: tuple[Line, ...]
    repaired: bool = False

    @property
    def several(self) -> bool:
        """True where a group has more than one cell."""
        return any(line.at for line in self.lines)

    @property
    def coordinates(self) -> tuple[str, ...]:
        """Names of the coordinates inside the statistic: bin, time, term, prob, or the columns of a table."""
        return tuple(name for name, _ in self.lines[0].at) if self.lines else ()

    def table(self, holds: str) -> tuple[list[str], list[list[str]]]:
        """Give a head and lines of text; a group column named as a coordinate is told once."""
        head = [*self.by, *self.coordinates, self.name, holds]
        return head, [
            [*(str(value) for _, value in (*line.group, *line.at)), *line.cell.shown()] for line in self.lines
        ]

    def flat(self) -> list[Row]:
        """Give one record a line, for a frame."""
        return [dict(line.group) | dict(line.at) | line.cell.flat(self.name) for line in self.lines]


def figures(rows: Sequence[Row], by: tuple[str, ...]) -> dict[str, Figure]:
    """Read every figure of an answer's rows."""
    names = [name for name, told in rows[0].items() if _is_told(told)] if rows else []
    return {name: _figure(name, rows, by) for name in names}


def _figure(name: str, rows: Sequence[Row], by: tuple[str, ...]) -> Figure:
    lines = tuple(line for row in rows for line in _lines(name, row, by))
    return Figure(name, by, lines, any(row[name].get("repaired") for row in rows))


def _lines(name: str, row: Row, by: tuple[str, ...]) -> Iterator[Line]:
    group = tuple((key, row[key]) for key in by)
    if "cells" not in row[name]:
        yield Line(group, (), Cell.of(row[name]))
    for told in row[name].get("cells", ()):
        yield Line(group, tuple(told["at"].items()), Cell.of(told))


def _is_told(value: object) -> bool:
    return isinstance(value, dict) and ("value" in value or "cells" in value)


def interval_name(lines: Sequence[Line]) -> str:
    """Say what the intervals hold; they are called confidence intervals nowhere."""
    holds = {line.cell.holds for line in lines if line.cell.value is not None}
    if holds == {"noise and sampling"}:
        return say("bruit et échantillon", "noise and sampling")
    if "noise and sampling" in holds:
        return say("bruit, ou bruit et échantillon", "noise, or noise and sampling")
    return say("bruit seul", "noise only")
