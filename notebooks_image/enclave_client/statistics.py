"""What may be asked about a group: each statistic names a column and the bounds its values are clipped to."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from .errors import WrongType
from .expression import Column, Value, as_wire, decimal_text
from .language import say

Number = int | float | Decimal
Named = Column | str
LONGEST_NAME = 40
EUROPEAN_STANDARD = "esp2013"


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
        return replace(self, name=name)

    def wire(self) -> dict[str, Any]:
        """Give the JSON form of one `ask` entry; what was not said is left to the declared bounds."""
        given = {"column": self.column, "low": self.low, "high": self.high}
        told = {"name": self.name, "stat": self.stat} | {
            key: as_wire(value) for key, value in given.items() if value is not None
        }
        return told | dict(self.more)

    @property
    def columns(self) -> list[str]:
        """Every column the statistic reads."""
        more = dict(self.more)
        return [
            name for name in (self.column, *more.get("columns", ()), more.get("event")) if name is not None
        ]


def count(column: Named | None = None) -> Statistic:
    """Count rows; with a column, the rows where it was recorded."""
    return Statistic("count", "count") if column is None else _of("count", column)


def units() -> Statistic:
    """Count distinct privacy units, usually patients."""
    return Statistic("units", "units")


n_distinct = n_unique = patients = units


def sum(column: Named, low: Number | None = None, high: Number | None = None) -> Statistic:  # noqa: A001 - the name every library uses
    """Sum a column whose values are clipped to [low, high], its declared bounds unless given."""
    return _of("sum", column, low, high)


def mean(column: Named, low: Number | None = None, high: Number | None = None) -> Statistic:
    """Average a column whose values are clipped to [low, high], its declared bounds unless given."""
    return _of("mean", column, low, high)


def variance(column: Named, low: Number | None = None, high: Number | None = None) -> Statistic:
    """Give the variance of a column (`var` is the same)."""
    return _of("variance", column, low, high)


def sd(column: Named, low: Number | None = None, high: Number | None = None) -> Statistic:
    """Give the standard deviation of a column (`std` is the same)."""
    return _of("sd", column, low, high)


def quantile(
    column: Named,
    probs: Number | Sequence[Number] = 0.5,
    low: Number | None = None,
    high: Number | None = None,
    *,
    edges: Iterable[Value] = (),
) -> Statistic:
    """Give the values that these shares of the rows do not exceed, such as 0.5 or [0.25, 0.5, 0.75].

    The answer is one of about 200 even steps between the bounds, or of `edges` where they are given.
    """
    shares = [probs] if isinstance(probs, int | float | Decimal) else list(probs)
    more: dict[str, Any] = {
        "probs": [decimal_text(Decimal(str(share))) for share in shares],
        "edges": _edges(edges),
    }
    return _of("quantile", column, low, high, **more)


def median(column: Named, low: Number | None = None, high: Number | None = None) -> Statistic:
    """Give the median of a column."""
    return quantile(column, 0.5, low, high).alias(_figure_name(f"median_{column_name(column)}"))


def histogram(column: Named, edges: Iterable[Value]) -> Statistic:
    """Count rows between these edges of a number or a date (`hist` is the same)."""
    return _of("histogram", column, edges=_edges(edges))


def crosstab(*columns: Named) -> Statistic:
    """Count rows by every combination of the declared values of two columns or more (`contingency` is the same)."""
    return _several("contingency", columns)


def kaplan_meier(time: Named, event: Named, edges: Iterable[Value]) -> Statistic:
    """Give the Kaplan-Meier curve at these follow-up times; `event` is a column that is true where it happened.

    `survival` and `km` are the same. `Surv(time, event)` of R and `lifelines` take the same two columns.
    """
    return _of("survival", time, event=column_name(event), edges=_edges(edges))


def rate(
    age: Named,
    event: Named | None = None,
    *,
    denominator: str | None = None,
    persons: Sequence[int] = (),
    edges: Iterable[int] = (),
    standard: str = EUROPEAN_STANDARD,
) -> Statistic:
    """Give an age-standardised rate: events over public numbers of persons, or over the rows themselves.

    `denominator` names a table the steward declared (`ds.denominators`), else `persons` gives one number for each age band.
    `edges` are the youngest ages of the bands; the standard's own bands where they are left out.
    """
    more: dict[str, Any] = {
        "standard": standard,
        "event": None if event is None else column_name(event),
        "edges": _edges(edges),
        "persons": [int(each) for each in persons],
        "denominator": denominator,
    }
    return _of("rate", age, **more)


def corr(left: Named, right: Named) -> Statistic:
    """Give Pearson's correlation of two columns (`cor` and `correlation` are the same)."""
    return _several("correlation", (left, right))


def ols(outcome: Named, *columns: Named, low: Number | None = None, high: Number | None = None) -> Statistic:
    """Fit ordinary least squares: `ols("cost", "age", "length_of_stay")`, or R's `ols("cost ~ age + length_of_stay")`.

    Values are held within the declared bounds (of the outcome: within `low` and `high`).
    """
    if isinstance(outcome, str) and "~" in outcome:
        outcome, _, right = (part.strip() for part in outcome.partition("~"))
        columns = (*columns, *(part.strip() for part in right.split("+")))
    return _of("ols", outcome, low, high, columns=[column_name(each) for each in columns])


var, std, hist = variance, sd, histogram
contingency = table = crosstab
survival = km = kaplan_meier
standardised_rate = rate
cor = correlation = corr
lm = ols


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


def _edges(edges: Iterable[Value]) -> list[str]:
    return [str(as_wire(edge)) for edge in edges]


def _of(
    stat: str, column: Named, low: Number | None = None, high: Number | None = None, **more: Any
) -> Statistic:
    name = column_name(column)
    said = tuple((key, value) for key, value in more.items() if value not in (None, []))
    return Statistic(stat, _figure_name(f"{stat}_{name}"), name, low, high, said)


def _several(stat: str, columns: Sequence[Named]) -> Statistic:
    names = [column_name(column) for column in columns]
    return Statistic(stat, _figure_name(f"{stat}_{'_'.join(names)}"), more=(("columns", names),))


def _figure_name(text: str) -> str:
    """Bring a column's name into the letters an answer's names may have."""
    return re.sub(r"[^a-z0-9_]", "_", text.lower())[:LONGEST_NAME]
