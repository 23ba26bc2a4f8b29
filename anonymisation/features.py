"""Features of a unit, from a second table about the same units: columns of the first table, computed from the second.

A feature is a function of one unit's own rows in the second table: whether it has any, how many, their sum, least, greatest or
first value, each held within declared bounds. Every row of the unit in the first table then has it, like any other column, before
filter, bounding and groups. Sensitivity is therefore what it is without features. Neighbours differ by one unit, in both tables:
(1) its own rows of the first table come or go whole, whatever its features are, and bounding keeps at most K rows in L groups of
them; (2) another unit's features are computed from its own rows alone, so nothing of it changes; (3) the second table is read
once a unit, so the join neither adds nor drops rows of the first: a unit absent from the second has 0, false or nothing, and one
that is only in the second adds no row. The value that a row adds is held within the bounds of its statistic like every value.

The two tables may lie in buckets of different number and keys: features of all the second's parts are gathered, then joined to each part of the first.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import polars as pl

from anonymisation import form, recodes
from anonymisation.bounds import UNIT, Table, scaled
from anonymisation.columns import Day, Label, Number, Truth, Typed
from anonymisation.errors import BadQuestion, Damaged
from anonymisation.recodes import LET_PREFIX, MAX_MAGNITUDE, Scope

VALUE: Final = "value"
ORDER: Final = "order"

# --- fitted to what was declared ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Derived:
    """One feature: what is read of each row, what the rows of a unit make of it, and what a unit without rows has."""

    name: str
    read: dict[str, pl.Expr]
    of_unit: pl.Expr
    value: Typed
    absent: bool | int | None = None

    @property
    def bounds(self) -> tuple[int | None, int | None]:
        """The least and the greatest that the feature may be, as the frame holds it."""
        if isinstance(self.value, Label):
            return 0, len(self.value.domain) - 1
        return (None, None) if isinstance(self.value, Truth) else (self.value.low, self.value.high)


@dataclass(frozen=True)
class Features:
    """What is derived from the second table, row by row and then unit by unit."""

    lets: tuple[tuple[str, pl.Expr], ...]
    where: pl.Expr | None
    derived: tuple[Derived, ...]


def fit(asked: form.Features, first: Table, second: Table | None) -> Features:
    """Fit features to their table; raises `BadQuestion` where the two may not be asked together, or a feature does not fit."""
    second = _askable_together(asked, first, second)
    scope, lets = recodes.lets(asked.let, Scope(second))
    where = None if asked.where is None else recodes.condition(asked.where, scope)
    return Features(lets, where, tuple(_derived(one, scope, second) for one in asked.take))


def named(features: Features, scope: Scope) -> Scope:
    """Give the first table's scope with each feature as a column of it."""
    for one in features.derived:
        scope = scope.with_let(one.name.removeprefix(LET_PREFIX), one.value)
    return scope


def _askable_together(asked: form.Features, first: Table, second: Table | None) -> Table:
    if second is None or asked.dataset != second.dataset:
        raise BadQuestion(
            "dataset_other",
            f"The features of {asked.dataset} were brought to another dataset.",
            dataset=asked.dataset,
        )
    if first.population != second.population:
        raise BadQuestion(
            "features_population",
            f"{first.dataset} and {second.dataset} are about different populations: one budget could not pay for both.",
            "Take a dataset of the same population.",
            dataset=second.dataset,
        )
    if first.per_row or first.unit != second.unit:
        raise BadQuestion(
            "features_unit",
            f"{first.dataset} and {second.dataset} do not say of the same units whose rows are whose.",
            "Take datasets whose privacy unit is the same kind of identifier.",
            dataset=second.dataset,
        )
    shut = [one.dataset for one in (first, second) if not one.linkable]
    if shut and first.dataset != second.dataset:
        raise BadQuestion(
            "features_not_linkable",
            f"The policy of {shut[0]} does not let it be asked together with another dataset.",
            "Ask its steward: once the partner agrees, the policy says linkable: true.",
            dataset=shut[0],
        )
    return second


def _derived(asked: form.Feature, scope: Scope, table: Table) -> Derived:
    if asked.stat not in _FEATURES:
        raise BadQuestion(
            "feature_unknown",
            "A feature is asked that is not known.",
            f"Known: {', '.join(_FEATURES)}.",
            known=", ".join(_FEATURES),
        )
    needed, allowed, made = _FEATURES[asked.stat]
    given = {name for name in ("column", "order", "low", "high") if getattr(asked, name) is not None}
    if set(needed) - given or given - {*needed, *allowed}:
        takes = ", ".join((*needed, *(f"{name} (optional)" for name in allowed))) or "none"
        raise BadQuestion(
            "statistic_arguments",
            f"Feature {asked.stat} needs other arguments than it was given.",
            f"Arguments of {asked.stat}: {takes}.",
            stat=asked.stat,
            takes=takes,
        )
    found = made(asked, scope, table)
    read = {f"{asked.name}:{part}": expr for part, expr in found.read.items()}
    return replace(found, name=LET_PREFIX + asked.name, read=read)


def _of(asked: form.Feature, part: str = VALUE) -> pl.Expr:
    return pl.col(f"{asked.name}:{part}")


def _exists(_asked: form.Feature, _scope: Scope, _table: Table) -> Derived:
    return Derived("", {}, pl.len() > 0, Truth(pl.lit(None)), absent=False)


def _count(asked: form.Feature, scope: Scope, table: Table) -> Derived:
    high = table.rows if asked.high is None else scaled(asked.high, 0)
    if high is None or not 1 <= high <= MAX_MAGNITUDE:
        raise _bad_bounds(asked)
    read = {} if asked.column is None else {VALUE: scope.column(asked.column).expr}
    counted = _of(asked).count() if read else pl.len()
    held = counted.cast(pl.Int64).clip(0, high)
    return Derived("", read, held, Number(held, 0, 0, high, range(high + 1)), absent=0)


def _sum(asked: form.Feature, scope: Scope, table: Table) -> Derived:
    """Add values held within their bounds; unless others are asked, the sum's bounds are those of the rows a unit may have."""
    value = _number(asked, scope)
    ends = value.low or 0, value.high or 0
    low = min(0, ends[0] * table.rows) if asked.low is None else scaled(asked.low, value.digits)
    high = max(0, ends[1] * table.rows) if asked.high is None else scaled(asked.high, value.digits)
    if low is None or high is None or low >= high:
        raise _bad_bounds(asked)
    if max(abs(end) for end in (low, high, *ends)) > MAX_MAGNITUDE:  # a sum of so many would not fit 64 bits
        raise _bad_bounds(asked)
    held = _of(asked).sum().clip(low, high)
    return Derived(
        "",
        {VALUE: recodes.clipped(value)},
        held,
        Number(held, value.digits, low, high),
        absent=min(max(0, low), high),
    )


def _extreme(pick: Callable[[pl.Expr], pl.Expr]) -> Callable[[form.Feature, Scope, Table], Derived]:
    def made(asked: form.Feature, scope: Scope, _: Table) -> Derived:
        value = scope.column(asked.column or "")
        if isinstance(value, Truth | Label):
            value = _number(asked, scope)
        return Derived("", {VALUE: _held(value, asked)}, pick(_of(asked)), value)

    return made


def _by_order(pick: Callable[[pl.Expr], pl.Expr]) -> Callable[[form.Feature, Scope, Table], Derived]:
    """The value at the least (or greatest) of another column; of several there the least, so that stored order does not matter."""

    def made(asked: form.Feature, scope: Scope, _: Table) -> Derived:
        value, order = scope.column(asked.column or ""), scope.column(asked.order or "")
        if not isinstance(order, Number | Day):
            raise BadQuestion(
                "comparison_unordered",
                f"Operator {asked.stat} needs numbers or dates.",
                "Order by a date.",
                operator=asked.stat,
            )
        held = _held(value, asked)
        read = {VALUE: held, ORDER: pl.when(held.is_not_null()).then(order.expr)}
        place = _of(asked, ORDER)
        chosen = _of(asked).filter(place == pick(place)).min()
        return Derived("", read, chosen, value)

    return made


def _number(asked: form.Feature, scope: Scope) -> Number:
    value = scope.column(asked.column or "")
    if not isinstance(value, Number):
        raise BadQuestion(
            "number_expected",
            f"Column {asked.column} is not a number.",
            "Take exists, count, first or last of it, or recode it with case, year or month.",
            column=asked.column or "",
        )
    if value.low is None or value.high is None:
        raise BadQuestion(
            "bounds_missing",
            f"Column {asked.column} has no declared bounds.",
            "Ask the steward to declare bounds for it.",
            column=asked.column or "",
        )
    return value


def _held(value: Typed, asked: form.Feature) -> pl.Expr:
    """Give a value of the second table within what was declared of it."""
    if isinstance(value, Label | Truth):
        return value.expr
    if value.low is None or value.high is None:
        raise BadQuestion(
            "bounds_missing",
            f"Column {asked.column} has no declared bounds.",
            "Ask the steward to declare bounds for it.",
            column=asked.column or "",
        )
    return value.expr.clip(value.low, value.high)


def _bad_bounds(asked: form.Feature) -> BadQuestion:
    return BadQuestion(
        "bounds_form",
        f"The bounds of {asked.name} are empty or too large.",
        "low < high, up to 2**32 steps of the last decimal.",
        column=asked.name,
    )


_Made = Callable[[form.Feature, Scope, Table], Derived]
_FEATURES: Final[dict[str, tuple[tuple[str, ...], tuple[str, ...], _Made]]] = {
    "exists": ((), (), _exists),
    "count": ((), ("column", "high"), _count),
    "sum": (("column",), ("low", "high"), _sum),
    "min": (("column",), (), _extreme(pl.Expr.min)),
    "max": (("column",), (), _extreme(pl.Expr.max)),
    "first": (("column", "order"), (), _by_order(pl.Expr.min)),
    "last": (("column", "order"), (), _by_order(pl.Expr.max)),
}
"""What each feature needs, what it may be given besides, and what makes it."""

# --- computed -------------------------------------------------------------------------------------------------------------


def gather(features: Features, parts: Sequence[pl.LazyFrame]) -> pl.DataFrame:
    """Give the features of every unit of the second table, one row a unit; raises `Damaged` where that does not hold."""
    try:
        found = pl.concat([of_units(features, part) for part in parts])
    except pl.exceptions.PolarsError:  # its message may hold a value, so it goes no further
        raise Damaged(
            "shelf_mismatch",
            "The stored columns are not those declared.",
            "Ingest the dataset version again.",
        ) from None
    assert_features(features, found)
    return found


def of_units(features: Features, part: pl.LazyFrame) -> pl.DataFrame:
    """Give the features of the units of one part."""
    frame = part
    for name, expr in features.lets:
        frame = frame.with_columns(expr.alias(name))
    if features.where is not None:
        frame = frame.filter(features.where)
    read = {name: expr for one in features.derived for name, expr in one.read.items()}
    rows = frame.select(pl.col(UNIT), **read)
    return rows.group_by(UNIT).agg(**{one.name: one.of_unit for one in features.derived}).collect()


def assert_features(features: Features, found: pl.DataFrame) -> None:
    """Raise `Damaged` where a unit stands twice, or a feature is not within its bounds."""
    if found[UNIT].dtype != pl.UInt64 or found[UNIT].null_count() or found[UNIT].n_unique() < found.height:
        raise Damaged(
            "unit_torn",
            "A privacy unit has rows in two parts of the table.",
            "Ingest the dataset version again.",
        )
    for one in features.derived:
        low, high = one.bounds
        if low is None or high is None:
            continue
        if not found[one.name].drop_nulls().is_between(low, high).all():
            raise Damaged(
                "bound_violated",
                "A bound that the price rests on does not hold after bounding.",
                "Stop and report it: nothing was answered.",
            )


def attached(features: Features, part: pl.LazyFrame, found: pl.DataFrame) -> pl.LazyFrame:
    """Give each row of the first table the features of its unit; rows and their order stay what they are."""
    joined = part.join(found.lazy(), on=UNIT, how="left", maintain_order="left")
    absent = {
        one.name: pl.col(one.name).fill_null(one.absent) for one in features.derived if one.absent is not None
    }
    return joined.with_columns(**absent)
