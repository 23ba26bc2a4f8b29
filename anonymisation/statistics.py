"""Each statistic that may be asked, fitted to a table: which exact vectors it needs, and of which columns.

Only what was asked and declared is looked at; a refusal names the column and the closest supported form.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import isqrt, prod
from typing import Final, NoReturn

import polars as pl

from anonymisation import denominators
from anonymisation.bounds import scaled
from anonymisation.columns import Day, Number, Truth, Typed
from anonymisation.errors import BadQuestion
from anonymisation.form import Ask
from anonymisation.groups import MAX_GROUPS, combined, key, places
from anonymisation.recodes import MAX_MAGNITUDE, Scope, bin_labels, increasing, place_among
from anonymisation.vectors import GRID, Factor, Linear, Listed, Quantiles, Statistic, Survival, Vector

SQUARE_BITS: Final = 15
"""Values are cut to this many bits before they are squared: a spread needs no more, and 2**30 rows still fit the sum."""
MAX_CANDIDATES: Final = 200
DEFAULT_PROBS: Final = ("0.5",)

CODE_ROUTE: Final = (
    "Ask the data's partner for an extract of pseudonymised rows, or for your code to be run beside the data; "
    "here: {here}."
)
ROUTES: Final[dict[str, str]] = {
    "logistic": CODE_ROUTE.format(
        here="ols with a true/false outcome (differences of risk), or a contingency table"
    ),
    "cox": CODE_ROUTE.format(here="a survival curve by group"),
    "poisson": CODE_ROUTE.format(here="a standardised rate by group"),
}
QUANTILES: Final = {"median": "0.5", "min": "0.05", "max": "0.95"}
"""Statistics that are a quantile, or are one person's value and have a quantile beside them."""


@dataclass(frozen=True)
class Fitted:
    """A statistic and the columns its vectors are computed from, by the names the vectors use."""

    statistic: Statistic
    values: dict[str, pl.Expr] = field(default_factory=dict)


def fitted(ask: Ask, scope: Scope) -> Fitted:
    """Fit one asked statistic; raises `BadQuestion` naming the column, the argument or the route that can."""
    if ask.stat not in _STATISTICS:
        _unsupported(ask.stat)
    _check_arguments(ask)
    return _STATISTICS[ask.stat](ask, scope)


def _unsupported(stat: str) -> NoReturn:
    if stat in ROUTES:
        raise BadQuestion(
            "statistic_not_yet", f"The statistic {stat} is not supported.", ROUTES[stat], stat=stat
        )
    if stat in QUANTILES:
        raise BadQuestion(
            "statistic_is_quantile",
            f"The statistic {stat} is asked as a quantile; an extreme would be one person's value.",
            f'Ask "quantile" with "probs": ["{QUANTILES[stat]}"].',
            stat=stat,
            prob=QUANTILES[stat],
        )
    known = ", ".join(_STATISTICS)
    raise BadQuestion(
        "statistic_unknown", "A statistic asked for is not known.", f"Supported: {known}.", known=known
    )


# --- arguments ----------------------------------------------------------------------------------------------------------

_COLUMN, _BOUNDS = ("column",), ("low", "high")
ARGUMENTS: Final[dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "count": ((), _COLUMN),
    "units": ((), ()),
    "sum": (_COLUMN, _BOUNDS),
    "mean": (_COLUMN, _BOUNDS),
    "variance": (_COLUMN, _BOUNDS),
    "sd": (_COLUMN, _BOUNDS),
    "quantile": (_COLUMN, (*_BOUNDS, "probs", "edges")),
    "histogram": ((*_COLUMN, "edges"), ()),
    "contingency": (("columns",), ()),
    "survival": ((*_COLUMN, "event", "edges"), ()),
    "rate": ((*_COLUMN, "standard"), ("event", "edges", "persons", "denominator")),
    "correlation": (("columns",), ()),
    "ols": ((*_COLUMN, "columns"), _BOUNDS),
}
"""What each statistic needs, and what it may be given besides."""
_ALL_ARGUMENTS: Final = (
    "column",
    "low",
    "high",
    "columns",
    "event",
    "edges",
    "probs",
    "standard",
    "persons",
    "denominator",
)


def _check_arguments(ask: Ask) -> None:
    needed, allowed = ARGUMENTS[ask.stat]
    given = {name for name in _ALL_ARGUMENTS if getattr(ask, name) not in {None, ()}}
    missing, beyond = [name for name in needed if name not in given], given - {*needed, *allowed}
    if "column" in missing:
        raise BadQuestion(
            "column_missing", f"Statistic {ask.stat} needs a column.", 'Add "column".', stat=ask.stat
        )
    if missing or beyond:
        takes = ", ".join((*needed, *(f"{name} (optional)" for name in allowed))) or "none"
        raise BadQuestion(
            "statistic_arguments",
            f"Statistic {ask.stat} needs other arguments than it was given.",
            f"Arguments of {ask.stat}: {takes}.",
            stat=ask.stat,
            takes=takes,
        )


def _column(ask: Ask) -> str:
    return ask.column or ""


# --- counts, sums, means, spreads -----------------------------------------------------------------------------------------


def _counted(ask: Ask, scope: Scope) -> Fitted:
    if ask.column is None:
        return Fitted(Statistic(ask.name, "count", (Vector("rows"),)))
    present, values = _present(ask.column, scope)
    return Fitted(Statistic(ask.name, "count", (present,)), values)


def _units(ask: Ask, _: Scope) -> Fitted:
    return Fitted(Statistic(ask.name, "units", (Vector("units"),)))


def _present(name: str, scope: Scope) -> tuple[Vector, dict[str, pl.Expr]]:
    """Give the count of rows in which a column is present; of a column declared never null that is the count of rows."""
    value = scope.column(name)
    declared = None if name in scope.lets else scope.table.column(name)
    if declared is not None and declared.never_null:
        return Vector("rows"), {}
    return Vector("present", name), {name: _whole(value)}


def _whole(value: Typed) -> pl.Expr:
    """Give what is summed or counted of a column, always as 64-bit integers so that all asks of it agree."""
    return value.expr.cast(pl.Int64)


def _summed(ask: Ask, scope: Scope) -> Fitted:
    """A sum is that of the distances from the middle of the bounds, and the middle for each row.

    Asked beside a count or a mean it shares their vectors; where the middle is zero it needs no count.
    """
    value, low, high = _clipped(ask, scope)
    if (low + high) // 2:
        return _averaged(ask, scope)
    vectors = (Vector("sum", _column(ask), low, high), _squares(_column(ask), low, high, 0))
    return Fitted(Statistic(ask.name, "sum", vectors, value.digits), {_column(ask): _whole(value)})


def _averaged(ask: Ask, scope: Scope) -> Fitted:
    """A mean or a spread sums distances from the middle of the bounds: half the sensitivity of summing values."""
    value, low, high = _clipped(ask, scope)
    name, centre = _column(ask), (low + high) // 2
    present, values = _present(name, scope)
    vectors = (Vector("sum", name, low, high, centre), present, _squares(name, low, high, centre))
    return Fitted(Statistic(ask.name, ask.stat, vectors, value.digits), {**values, name: _whole(value)})


def _squares(column: str, low: int, high: int, centre: int) -> Vector:
    """The second moment about a centre, from which a spread or a sampling error is estimated."""
    reach = max(high - centre, centre - low)
    return Vector("squares", column, low, high, centre, max(0, reach.bit_length() - SQUARE_BITS))


def _clipped(ask: Ask, scope: Scope) -> tuple[Number, int, int]:
    value = _number(_column(ask), scope)
    return value, *_clip_bounds(ask, value)


def _number(name: str, scope: Scope) -> Number:
    value = scope.column(name)
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
    name = _column(ask)
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


# --- counts in cells: quantiles, histograms, tables, survival, rates ----------------------------------------------------------


def _quantiles(ask: Ask, scope: Scope) -> Fitted:
    """Count values one candidate each, and in blocks of neighbours: a running count adds few noisy numbers (a two-level tree)."""
    value, low, high = _clipped(ask, scope)
    candidates = _candidates(ask, value, low, high)
    block = max(2, isqrt(len(candidates)))
    code = place_among(value.expr.clip(low, high), candidates[:-1], closed="right")
    name = f"candidates:{_column(ask)}:{','.join(map(str, candidates))}"
    fine = Vector("cells", name, width=len(candidates))
    coarse = Vector("cells", f"blocks:{name}", width=-(-len(candidates) // block))
    shape = Quantiles(candidates, block, ask.probs or DEFAULT_PROBS)
    return Fitted(
        Statistic(ask.name, "quantile", (fine, coarse), value.digits, shape),
        {fine.column: code, coarse.column: code // block},
    )


def _candidates(ask: Ask, value: Number, low: int, high: int) -> tuple[int, ...]:
    """Give the values a quantile may take: those asked for, else multiples of a round step; the upper bound is the last."""
    if ask.edges:
        edges = [edge for edge in increasing(value, ask.edges) if edge < high]
        if edges and edges[0] < low:
            raise BadQuestion(
                "bounds_outside",
                f"Edges of {_column(ask)} lie below its lower bound.",
                "Stay within the catalogue's bounds.",
                column=_column(ask),
            )
        return (*edges, high) if edges else _even(low, high)
    return _even(low, high)


def _even(low: int, high: int) -> tuple[int, ...]:
    step = _round_step((high - low) // (MAX_CANDIDATES - 2) + 1)
    return (*range(-(-low // step) * step, high, step), high)


def _round_step(least: int) -> int:
    """Give the smallest of 1, 2, 5, 10, 20, 50 ... that is at least so large."""
    decade: int = 10 ** (len(str(least)) - 1)
    return next(step * decade for step in (1, 2, 5, 10) if step * decade >= least)


def _histogram(ask: Ask, scope: Scope) -> Fitted:
    value = scope.column(_column(ask))
    if not isinstance(value, Number | Day):
        raise BadQuestion(
            "bins_subject",
            "Bins are made of numbers or dates.",
            "Ask a count by the column.",
            column=_column(ask),
        )
    edges = increasing(value, ask.edges)
    labels = bin_labels(ask.edges)
    vector = Vector("cells", f"bins:{ask.column}:{','.join(map(str, edges))}", width=len(labels))
    return Fitted(
        Statistic(ask.name, "histogram", (vector,), 0, Listed(tuple((("bin", label),) for label in labels))),
        {vector.column: place_among(value.expr, edges)},
    )


def _contingency(ask: Ask, scope: Scope) -> Fitted:
    _distinct(ask.columns, 2)
    keys = tuple(key(name, scope.column(name)) for name in ask.columns)
    shape = [len(one.values) for one in keys]
    size = prod(shape)
    if size > MAX_GROUPS:
        raise BadQuestion(
            "too_many_groups",
            f"The declared values multiply to more than {MAX_GROUPS}.",
            "Take fewer or coarser columns.",
        )
    at = tuple(
        tuple((one.name, one.values[place]) for one, place in zip(keys, places(index, shape), strict=True))
        for index in range(size)
    )
    vector = Vector("cells", f"table:{'*'.join(ask.columns)}", width=size)
    return Fitted(
        Statistic(ask.name, "contingency", (vector,), 0, Listed(at)), {vector.column: combined(keys)}
    )


def _distinct(names: tuple[str, ...], least: int) -> None:
    if len(set(names)) < len(names) or len(names) < least:
        raise BadQuestion(
            "statistic_arguments",
            f"At least {least} different columns are needed.",
            "Name each column once.",
            stat="columns",
            takes=f"columns ({least})",
        )


def _survival(ask: Ask, scope: Scope) -> Fitted:
    """Count, by interval of follow-up time, those censored (even cells) and those with the event (odd cells)."""
    value, event = _number(_column(ask), scope), _truth(ask.event or "", scope)
    edges = increasing(value, ask.edges)
    place = place_among(value.expr, edges, closed="right")
    beyond = len(edges)  # followed longer than the last time: one cell, whatever happened then
    code = pl.when(place == beyond).then(2 * place).otherwise(2 * place + event.expr.cast(pl.UInt32))
    name = f"survival:{ask.column}:{ask.event}:{','.join(map(str, edges))}"
    vector = Vector("cells", name, width=2 * beyond + 1)
    present = pl.when(event.expr.is_not_null()).then(code)
    return Fitted(Statistic(ask.name, "survival", (vector,), 0, Survival(ask.edges)), {name: present})


def _truth(name: str, scope: Scope) -> Truth:
    value = scope.column(name)
    if not isinstance(value, Truth):
        raise BadQuestion(
            "event_expected",
            f"Column {name} is not true or false.",
            'Make it so with let: ["==", column, value].',
            column=name,
        )
    return value


def _rate(ask: Ask, scope: Scope) -> Fitted:
    """Count events by age band, and where no public number of persons is given, the rows without the event as well."""
    age = _number(_column(ask), scope)
    starts, shape = denominators.rate(ask, scope.table)
    band = place_among(age.expr, [start * 10**age.digits for start in starts])
    code: pl.Expr = pl.when(band > 0).then(band - 1)
    width = len(starts)
    if ask.event is not None:
        event = _truth(ask.event, scope).expr
        code = pl.when(event).then(code) if shape.persons else 2 * code + event.cast(pl.UInt32)
        width = width if shape.persons else 2 * width
    name = f"rate:{ask.column}:{ask.event or ''}:{len(shape.persons)}:{','.join(map(str, starts))}"
    vector = Vector("cells", name, width=width)
    return Fitted(Statistic(ask.name, "rate", (vector,), 0, shape), {name: code.cast(pl.UInt32)})


# --- products of columns: correlation and regression --------------------------------------------------------------------------


def _correlation(ask: Ask, scope: Scope) -> Fitted:
    if len(ask.columns) != 2:  # noqa: PLR2004 - Pearson's r is of two columns
        _distinct((), 2)
    return _linear(ask, scope, ask.columns)


def _ols(ask: Ask, scope: Scope) -> Fitted:
    return _linear(ask, scope, (*ask.columns, _column(ask)))


def _linear(ask: Ask, scope: Scope, names: tuple[str, ...]) -> Fitted:
    """Sum every product of two columns, each held within its bounds and brought to `-GRID..GRID`, as one vector."""
    _distinct(names, 2)
    factors, values = [], {}
    for name in names:
        value = _number(name, scope)
        own = ask if name == ask.column else Ask(name="x", stat="ols", column=name)
        low, high = _clip_bounds(own, value)
        label = f"grid:{name}:{low}:{high}"
        factors.append(Factor(name, low, high, value.digits))
        values[label] = _on_grid(_whole(value), low, high)
    width = (len(names) + 1) * (len(names) + 2) // 2
    vector = Vector("moments", width=width, factors=tuple(values))
    return Fitted(Statistic(ask.name, ask.stat, (vector,), 0, Linear(tuple(factors))), values)


def _on_grid(value: pl.Expr, low: int, high: int) -> pl.Expr:
    """Give the nearest of the 2 * GRID + 1 points between the bounds."""
    span = high - low
    return ((value.clip(low, high) - low) * (4 * GRID) + span) // (2 * span) - GRID


_STATISTICS: Final[dict[str, Callable[[Ask, Scope], Fitted]]] = {
    "count": _counted,
    "units": _units,
    "sum": _summed,
    "mean": _averaged,
    "variance": _averaged,
    "sd": _averaged,
    "quantile": _quantiles,
    "histogram": _histogram,
    "contingency": _contingency,
    "survival": _survival,
    "rate": _rate,
    "correlation": _correlation,
    "ols": _ols,
}
