"""A question fitted to a table: its recodes, filter, declared groups, bounds, and the exact vectors its statistics need.

Everything here depends on the question and on what the steward declared, never on data; so a price does not either.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Final, Literal, NoReturn

import polars as pl

from anonymisation import recodes, sensitivity
from anonymisation.bounds import Table, scaled
from anonymisation.columns import Day, Label, Number, Truth, Typed
from anonymisation.errors import BadQuestion
from anonymisation.form import Ask, Question
from anonymisation.recodes import LET_PREFIX, MAX_MAGNITUDE, Scope

MAX_GROUPS: Final = 10_000
MAX_CELLS: Final = 50_000
"""Noisy cells of one answer: exact noise takes about 30 microseconds a cell."""
SQUARE_BITS: Final = 15
"""Values are cut to this many bits before they are squared: a spread needs no more, and 2**30 rows still fit the sum."""

VectorKind = Literal["rows", "present", "units", "sum", "squares"]

ROUTES: Final[dict[str, str]] = {
    "quantile": "Ask counts by bins of the column and read the quantile from them.",
    "median": "Ask counts by bins of the column and read the median from them.",
    "histogram": "Ask a count by bins of the column.",
    "contingency": "Ask a count by the two columns.",
    "variance": "Ask the mean of the column and of its square (a let with *).",
    "survival": "Ask counts by bins of the follow-up time and by event.",
    "correlation": "Ask the means of both columns, their squares and their product (lets with *).",
    "ols": "Ask the means of the columns, their squares and products (lets with *).",
}
STATISTICS: Final = ("count", "units", "sum", "mean")


@dataclass(frozen=True)
class Key:
    """One column grouped by: the code of each row (null outside the domain) and what the codes stand for."""

    name: str
    code: pl.Expr
    values: tuple[str | int | bool, ...]


@dataclass(frozen=True)
class Vector:
    """One exact integer vector over the declared groups; sums add `(value - centre) >> shift` (squared for squares)."""

    kind: VectorKind
    column: str = ""
    low: int = 0
    high: int = 0
    centre: int = 0
    shift: int = 0

    @property
    def magnitude(self) -> int:
        """The largest absolute value that one row adds."""
        ends = [(end - self.centre) >> self.shift for end in (self.low, self.high)]
        largest = max(abs(end) for end in ends)
        return largest**2 if self.kind == "squares" else largest


@dataclass(frozen=True)
class Statistic:
    """One asked statistic: the vectors it is computed from and the decimals of its values."""

    name: str
    stat: str
    vectors: tuple[Vector, ...]
    digits: int = 0


@dataclass(frozen=True)
class Plan:
    """What is to be computed, and the bounds under which it is."""

    lets: tuple[tuple[str, pl.Expr], ...]
    where: pl.Expr | None
    keys: tuple[Key, ...]
    rows: int
    groups: int
    statistics: tuple[Statistic, ...]
    values: dict[str, pl.Expr]

    @property
    def size(self) -> int:
        """The number of declared groups, 1 where nothing is grouped by."""
        return prod(len(key.values) for key in self.keys)

    @property
    def vectors(self) -> tuple[Vector, ...]:
        """Each vector once, in the order first asked."""
        return tuple(dict.fromkeys(vector for statistic in self.statistics for vector in statistic.vectors))

    def sensitivity_squared(self, vector: Vector) -> int:
        """Give the squared L2 distance that one unit can move this vector by."""
        if vector.kind == "units":
            return sensitivity.units(self.rows, self.groups, self.size)
        if vector.kind in {"rows", "present"}:
            return sensitivity.counts(self.rows)
        return sensitivity.sums(self.rows, vector.magnitude)


def fit(question: Question, table: Table) -> Plan:
    """Fit a question to a table; raises `BadQuestion` naming the column, the step and the closest supported form."""
    if question.dataset != table.dataset:
        raise BadQuestion(
            "dataset_other", "The question is about another dataset than the one it was brought to."
        )
    scope, lets = _recodes(question, table)
    where = None if question.where is None else recodes.condition(question.where, scope)
    keys = tuple(_key(name, scope.column(name)) for name in question.by)
    rows, groups = _unit_bounds(question, table)
    fitted = [_statistic(ask, scope) for ask in question.ask]
    values = {
        ask.column: value
        for ask, (_, value) in zip(question.ask, fitted, strict=True)
        if ask.column and value is not None
    }
    plan = Plan(lets, where, keys, rows, groups, tuple(statistic for statistic, _ in fitted), values)
    _check_size(plan)
    return plan


def _recodes(question: Question, table: Table) -> tuple[Scope, tuple[tuple[str, pl.Expr], ...]]:
    scope, lets = Scope(table), []
    for let in question.let:
        value = recodes.read(let.expr, scope)
        scope = scope.with_let(let.name, value)
        lets.append((LET_PREFIX + let.name, value.expr))
    return scope, tuple(lets)


def _unit_bounds(question: Question, table: Table) -> tuple[int, int]:
    if table.per_row:
        return 1, 1
    return question.unit.rows or table.rows, question.unit.groups or table.groups


def _check_size(plan: Plan) -> None:
    if plan.size > MAX_GROUPS:
        raise BadQuestion(
            "too_many_groups",
            f"The declared groups multiply to more than {MAX_GROUPS}.",
            "Group by fewer or coarser columns.",
        )
    if plan.size * len(plan.vectors) > MAX_CELLS:
        raise BadQuestion(
            "too_many_cells",
            f"The answer would hold more than {MAX_CELLS} noisy cells.",
            "Ask fewer statistics or coarser groups.",
        )


# --- groups -------------------------------------------------------------------------------------------------------------


def _key(name: str, value: Typed) -> Key:
    if isinstance(value, Label):
        return Key(name, value.expr, value.domain)
    if isinstance(value, Truth):
        return Key(name, value.expr.cast(pl.UInt32), (False, True))
    if isinstance(value, Day) or value.keys is None:
        raise BadQuestion(
            "group_without_domain",
            f"Column {name} has no declared domain to group by.",
            "Make bins of it, or take its year or month.",
            column=name,
        )
    if len(value.keys) > MAX_GROUPS:
        raise BadQuestion(
            "too_many_groups",
            f"Column {name} has more than {MAX_GROUPS} declared values.",
            "Make bins of it.",
            column=name,
        )
    return Key(name, _code(value.expr, value.keys), tuple(value.keys))


def _code(expr: pl.Expr, keys: tuple[int, ...] | range) -> pl.Expr:
    """Give the place of a whole number among its declared values; anything else is null."""
    if isinstance(keys, range):
        return pl.when(expr.is_between(keys.start, keys.stop - 1)).then(expr - keys.start).cast(pl.UInt32)
    return expr.replace_strict(list(keys), list(range(len(keys))), default=None, return_dtype=pl.UInt32)


# --- statistics ---------------------------------------------------------------------------------------------------------


def _statistic(ask: Ask, scope: Scope) -> tuple[Statistic, pl.Expr | None]:
    if ask.stat not in STATISTICS:
        _unsupported(ask.stat)
    if ask.stat in {"count", "units"}:
        return _counted(ask, scope)
    return _summed(ask, scope)


def _unsupported(stat: str) -> NoReturn:
    known = ", ".join(STATISTICS)
    if stat in ROUTES:
        raise BadQuestion(
            "statistic_not_yet", f"The statistic {stat} is not supported yet.", ROUTES[stat], stat=stat
        )
    raise BadQuestion("statistic_unknown", "A statistic asked for is not known.", f"Supported: {known}.")


def _counted(ask: Ask, scope: Scope) -> tuple[Statistic, pl.Expr | None]:
    if ask.low is not None or ask.high is not None or (ask.stat == "units" and ask.column):
        raise BadQuestion(
            "statistic_arguments",
            f"Statistic {ask.stat} does not take these arguments.",
            "Only count takes a column, and no bounds.",
        )
    if ask.stat == "units":
        return Statistic(ask.name, "units", (Vector("units"),)), None
    if ask.column is None:
        return Statistic(ask.name, "count", (Vector("rows"),)), None
    return Statistic(ask.name, "count", (Vector("present", ask.column),)), _value(scope.column(ask.column))


def _value(value: Typed) -> pl.Expr:
    """Give what is summed or counted of a column, always as 64-bit integers so that all asks of it agree."""
    return value.expr.cast(pl.Int64)


def _summed(ask: Ask, scope: Scope) -> tuple[Statistic, pl.Expr]:
    if ask.column is None:
        raise BadQuestion(
            "column_missing", f"Statistic {ask.stat} needs a column.", 'Add "column".', stat=ask.stat
        )
    value = _summable(ask.column, scope.column(ask.column))
    low, high = _clip_bounds(ask, value)
    vectors = (
        _mean_vectors(ask.column, low, high) if ask.stat == "mean" else _sum_vectors(ask.column, low, high)
    )
    return Statistic(ask.name, ask.stat, vectors, value.digits), _value(value)


def _summable(name: str, value: Typed) -> Number:
    if isinstance(value, Truth):
        return Number(value.expr, 0, 0, 1)
    if isinstance(value, Number):
        return value
    raise BadQuestion(
        "number_expected",
        f"Column {name} is not a number.",
        "Group by it, or recode it with case, year or month.",
        column=name,
    )


def _clip_bounds(ask: Ask, value: Number) -> tuple[int, int]:
    """Give the clip bounds of the ask, else the declared ones; the asked ones lie within the declared ones."""
    low = value.low if ask.low is None else scaled(ask.low, value.digits)
    high = value.high if ask.high is None else scaled(ask.high, value.digits)
    name = ask.column or ""
    if low is None or high is None:
        raise BadQuestion(
            "bounds_missing",
            f"Column {name} needs low and high, with at most {value.digits} decimal(s).",
            'Add "low" and "high".',
            column=name,
        )
    if low >= high or max(abs(low), abs(high)) > MAX_MAGNITUDE:
        raise BadQuestion(
            "bounds_form",
            f"The bounds of {name} are empty or too large.",
            "low < high, up to 2**32 steps of the last decimal.",
            column=name,
        )
    if (value.low is not None and low < value.low) or (value.high is not None and high > value.high):
        raise BadQuestion(
            "bounds_outside",
            f"The bounds asked for {name} are wider than those declared.",
            "Stay within the catalogue's bounds.",
            column=name,
        )
    return low, high


def _sum_vectors(column: str, low: int, high: int) -> tuple[Vector, ...]:
    return Vector("sum", column, low, high), _squares(column, low, high, 0)


def _mean_vectors(column: str, low: int, high: int) -> tuple[Vector, ...]:
    """A mean sums distances from the middle of its bounds: half the sensitivity of summing values."""
    centre = (low + high) // 2
    return (
        Vector("sum", column, low, high, centre),
        Vector("present", column),
        _squares(column, low, high, centre),
    )


def _squares(column: str, low: int, high: int, centre: int) -> Vector:
    """The second moment, from which the sampling error is estimated."""
    reach = max(high - centre, centre - low)
    return Vector("squares", column, low, high, centre, max(0, reach.bit_length() - SQUARE_BITS))


def cells(plan: Plan) -> Iterator[tuple[str | int | bool, ...]]:
    """Give the key values of each declared group, in the order of the vectors' cells."""
    shape = [len(key.values) for key in plan.keys]
    for index in range(plan.size):
        yield tuple(key.values[place] for key, place in zip(plan.keys, _places(index, shape), strict=True))


def _places(index: int, shape: list[int]) -> list[int]:
    places = []
    for size in reversed(shape):
        index, place = divmod(index, size)
        places.append(place)
    return places[::-1]
