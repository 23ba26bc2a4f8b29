"""What may be asked about a group: each statistic names a column and the bounds its values are clipped to."""

import re
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from .errors import WrongType
from .expression import Column, as_wire
from .language import say

Number = int | float | Decimal
LONGEST_NAME = 40


@dataclass(frozen=True)
class Statistic:
    """One requested figure; `.alias("name")` renames it."""

    stat: str
    name: str
    column: str | None = None
    low: Number | None = None
    high: Number | None = None

    def alias(self, name: str) -> "Statistic":
        """Give the figure another name in the answer."""
        return replace(self, name=name)

    def wire(self) -> dict[str, Any]:
        """Give the JSON form of one `ask` entry; what was not said is left to the declared bounds."""
        given = {"column": self.column, "low": self.low, "high": self.high}
        return {"name": self.name, "stat": self.stat} | {
            key: as_wire(value) for key, value in given.items() if value is not None
        }


def count(column: Column | str | None = None) -> Statistic:
    """Count rows; with a column, the rows where it was recorded."""
    return Statistic("count", "count") if column is None else _of("count", column)


def units() -> Statistic:
    """Count distinct privacy units, usually patients."""
    return Statistic("units", "units")


n_distinct = n_unique = patients = units


def sum(column: Column | str, low: Number | None = None, high: Number | None = None) -> Statistic:  # noqa: A001 - the name every library uses
    """Sum a column whose values are clipped to [low, high], its declared bounds unless given."""
    return _of("sum", column, low, high)


def mean(column: Column | str, low: Number | None = None, high: Number | None = None) -> Statistic:
    """Average a column whose values are clipped to [low, high], its declared bounds unless given."""
    return _of("mean", column, low, high)


def column_name(column: object) -> str:
    """Accept `ds.age` as well as "age"."""
    if isinstance(column, Column):
        return column.name
    if isinstance(column, str):
        return column
    raise WrongType(
        "not_a_column",
        say("Il faut ici le nom d'une colonne.", "The name of a column is needed here."),
        say(
            "Pour un calcul, nommez-le d'abord : .with_columns(nom=...).",
            "For a computed value, name it first: .with_columns(name=...).",
        ),
    )


def _of(stat: str, column: Column | str, low: Number | None = None, high: Number | None = None) -> Statistic:
    name = column_name(column)
    return Statistic(stat, _figure_name(f"{stat}_{name}"), name, low, high)


def _figure_name(text: str) -> str:
    """Bring a column's name into the letters an answer's names may have."""
    return re.sub(r"[^a-z0-9_]", "_", text.lower())[:LONGEST_NAME]
