"""Features of a privacy unit: what a second dataset says of the same patient, in one value, as a column of the first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .errors import WrongType
from .expression import Expression, as_wire
from .language import say
from .statistics import Number, Statistic

if TYPE_CHECKING:
    from .question import Steps

ALSO_STATISTICS = ("count", "sum")


@dataclass(frozen=True)
class Feature:
    """One value made of a unit's own rows; as `with_features(other, name=...)` takes it."""

    stat: str
    column: str | None = None
    order: str | None = None
    low: Number | None = None
    high: Number | None = None

    def wire(self, name: str) -> dict[str, Any]:
        """Give the JSON form; what was not said is left to the declared bounds."""
        given = {"column": self.column, "order": self.order, "low": self.low, "high": self.high}
        return {"name": name, "stat": self.stat} | {
            key: as_wire(value) for key, value in given.items() if value is not None
        }

    @property
    def columns(self) -> list[str]:
        """The columns of the second dataset it reads."""
        return [name for name in (self.column, self.order) if name is not None]


@dataclass(frozen=True)
class Features:
    """A second dataset, prepared, and what is taken from it."""

    steps: Steps
    taken: tuple[tuple[str, Feature], ...]

    @property
    def names(self) -> list[str]:
        """The columns they become."""
        return [name for name, _ in self.taken]

    def wire(self) -> dict[str, Any]:
        """Give the JSON form."""
        steps = self.steps
        return {
            "dataset": steps.dataset.name,
            "let": [{"name": name, "expr": wire} for name, wire in steps.let],
            "where": steps.where,
            "take": [one.wire(name) for name, one in self.taken],
        }


def exists() -> Feature:
    """Say whether the unit has any row."""
    return Feature("exists")


def by_order(stat: str, column: Expression, order: object) -> Feature:
    """Give the value at the least or the greatest of another column."""
    return Feature(stat, plain_column(column), plain_column(order))


def plain_column(value: object) -> str:
    """Give the name of a bare column; a computed one needs a name first."""
    if isinstance(value, str):
        return value
    if isinstance(value, Expression) and value.wire[0] == "col":
        return str(value.wire[1])
    raise WrongType(
        "feature_needs_a_column",
        say("Il faut une colonne, pas un calcul.", "A column is needed, not a computation."),
        say(
            "Nommez d'abord le calcul : autre.with_columns(nom=...)",
            "Name the computation first: other.with_columns(name=...)",
        ),
    )


def feature(value: object, steps: Steps) -> Feature:
    """Give a feature, also where a statistic or a whole count was written, as `other.count()` is."""
    figures = getattr(value, "figures", None)  # a question that counts the prepared rows
    if figures is not None and len(figures) == 1 and getattr(value, "steps", None) == steps:
        value = figures[0]
    if isinstance(value, Statistic) and value.stat in ALSO_STATISTICS and not value.more:
        return Feature(value.stat, value.column, None, value.low, value.high)
    if isinstance(value, Feature):
        return value
    raise WrongType(
        "not_a_feature",
        say(
            "Ce n'est pas une caractéristique d'une unité (un patient).",
            "This is not a feature of one unit (a patient).",
        ),
        say(
            'Par exemple : autre.exists(), autre.count(), autre.cost.sum(0, 1000), autre.value.max(), autre.kind.first("date")',
            'For example: other.exists(), other.count(), other.cost.sum(0, 1000), other.value.max(), other.kind.first("date")',
        ),
    )


def no_join() -> WrongType:
    """Name the closest form to a join of rows."""
    return WrongType(
        "rows_are_not_joined",
        say(
            "Deux jeux ne se joignent pas ligne à ligne : ce que l'un dit d'un patient devient une colonne de l'autre.",
            "Two datasets are not joined row by row: what one says of a patient becomes a column of the other.",
        ),
        say(
            'Par exemple : ds.with_features(autre.filter(autre.kind == "x"), vus=autre.count())',
            'For example: ds.with_features(other.filter(other.kind == "x"), seen=other.count())',
        ),
    )
