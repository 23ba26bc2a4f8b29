"""What may be asked about a group: each statistic names a column and the bounds its values are clipped to."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from .errors import WrongType
from .expression import Column, Value, as_wire, decimal_text
from .language import say

Number = int | float | Decimal


@dataclass(frozen=True)
class Statistic:
    """One requested figure; `.alias("name")` renames it."""

    stat: str
    name: str
    column: str | None = None
    low: Number | None = None
    high: Number | None = None
    more: tuple[tuple[str, Any], ...] = ()

    def alias(self, name: str) -> "Statistic":
        """Give the figure another name in the answer."""
        return Statistic(self.stat, name, self.column, self.low, self.high, self.more)

    def wire(self) -> dict[str, Any]:
        """Give the JSON form of one `ask` entry."""
        entry: dict[str, Any] = {"name": self.name, "stat": self.stat}
        if self.column is not None:
            entry["column"] = self.column
        if self.low is not None and self.high is not None:
            entry["low"], entry["high"] = number_wire(self.low), number_wire(self.high)
        return entry | dict(self.more)


def count() -> Statistic:
    """Count rows."""
    return Statistic("count", "count")


def units() -> Statistic:
    """Count distinct privacy units, usually patients."""
    return Statistic("distinct", "units")


n_distinct = n_unique = patients = units


def sum(column: Column | str, low: Number, high: Number) -> Statistic:  # noqa: A001 - the name every library uses
    """Sum a column whose values are clipped to [low, high]."""
    return _bounded("sum", column, low, high)


def mean(column: Column | str, low: Number, high: Number) -> Statistic:
    """Average a column whose values are clipped to [low, high]."""
    return _bounded("mean", column, low, high)


def variance(column: Column | str, low: Number, high: Number) -> Statistic:
    """Variance of a column whose values are clipped to [low, high]."""
    return _bounded("variance", column, low, high)


def quantile(column: Column | str, q: Number, low: Number, high: Number) -> Statistic:
    """Quantile of order q (0.5 is the median) of a column between low and high."""
    name = column_name(column)
    return Statistic("quantile", f"q{decimal_text(q)}_{name}", name, low, high, (("q", decimal_text(q)),))


def median(column: Column | str, low: Number, high: Number) -> Statistic:
    """Median of a column between low and high."""
    return quantile(column, 0.5, low, high).alias(f"median_{column_name(column)}")


def histogram(column: Column | str, edges: list[Number]) -> Statistic:
    """Count between consecutive edges, edges[0] included, the last edge excluded."""
    name = column_name(column)
    return Statistic(
        "histogram", f"histogram_{name}", name, more=(("edges", tuple(number_wire(edge) for edge in edges)),)
    )


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


def number_wire(value: Value) -> int | str:
    """Ints stay ints; anything else travels as a decimal string."""
    wire: int | str = as_wire(value)[1]
    return wire


def _bounded(stat: str, column: Column | str, low: Number, high: Number) -> Statistic:
    name = column_name(column)
    return Statistic(stat, f"{stat}_{name}", name, low, high)
