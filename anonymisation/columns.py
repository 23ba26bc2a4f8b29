"""Declared columns as questions compute with them: whole numbers, codes of a domain, days, truth values.

A stored value that is not of its declared kind becomes null; nothing stored can make reading fail.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Final

import polars as pl

from anonymisation.bounds import Column, declared
from anonymisation.errors import BadQuestion, Damaged
from anonymisation.expressions import Literal_

RAW_LIMIT: Final = 2**53
"""Stored decimals beyond this many steps of 10**-digits are held at it (they are not exact as doubles)."""
EPOCH: Final = date(1970, 1, 1)


@dataclass(frozen=True)
class Number:
    """A scaled integer; `low`/`high` bound it, `keys` are its declared values where it may be grouped by."""

    expr: pl.Expr
    digits: int
    low: int | None
    high: int | None
    keys: tuple[int, ...] | range | None = None


@dataclass(frozen=True)
class Label:
    """A category, as its code in the domain."""

    expr: pl.Expr
    domain: tuple[str, ...]


@dataclass(frozen=True)
class Day:
    """A calendar day, as days since 1970-01-01."""

    expr: pl.Expr
    low: int | None
    high: int | None


@dataclass(frozen=True)
class Truth:
    """True, false or null."""

    expr: pl.Expr


Typed = Number | Label | Day | Truth
KIND_WORD: Final[dict[type, str]] = {
    Number: "a number",
    Label: "a category",
    Day: "a date",
    Truth: "true or false",
}


def typed(column: Column) -> Typed:
    """Give a declared column its type and the expression that reads it; raises `Damaged` where the policy is unsound."""
    return _READ[column.kind](column)


def day(value: Literal_) -> int:
    """Give an ISO date as days since 1970-01-01."""
    try:
        return (date.fromisoformat(str(value)) - EPOCH).days
    except ValueError:
        raise BadQuestion(
            "literal_kind", "A date is written YYYY-MM-DD.", 'For example "2024-01-31".'
        ) from None


def _read_category(column: Column) -> Label:
    domain = _domain(column)
    codes = pl.col(column.name).cast(pl.Enum(list(domain)), strict=False).to_physical()
    return Label(codes.cast(pl.UInt32), domain)


def _domain(column: Column) -> tuple[str, ...]:
    if not column.domain or len(set(column.domain)) < len(column.domain):
        raise _bad_domain(column)
    return column.domain


def _bad_domain(column: Column) -> Damaged:
    return Damaged("policy_damaged", f"Column {column.name} has no proper domain.", column=column.name)


def _read_integer(column: Column) -> Number:
    expr = pl.col(column.name).cast(pl.Int64, strict=False)
    if column.domain is not None:
        values = tuple(declared(value, 0, column.name) or 0 for value in _domain(column))
        if len(set(values)) < len(values):
            raise _bad_domain(column)
        return Number(expr, 0, min(values), max(values), values)
    low, high = declared(column.low, 0, column.name), declared(column.high, 0, column.name)
    keys = range(low, high + 1) if low is not None and high is not None else None
    return Number(expr, 0, low, high, keys)


def _read_decimal(column: Column) -> Number:
    stored = pl.col(column.name).cast(pl.Float64, strict=False)
    steps = (pl.when(stored.is_finite()).then(stored) * 10**column.digits).round().clip(-RAW_LIMIT, RAW_LIMIT)
    low, high = (declared(bound, column.digits, column.name) for bound in (column.low, column.high))
    return Number(steps.cast(pl.Int64, strict=False), column.digits, low, high)


def _read_date(column: Column) -> Day:
    expr = pl.col(column.name).cast(pl.Date, strict=False).to_physical().cast(pl.Int64)
    low, high = (None if bound is None else day(bound) for bound in (column.low, column.high))
    return Day(expr, low, high)


def _read_boolean(column: Column) -> Truth:
    return Truth(pl.col(column.name).cast(pl.Boolean, strict=False))


_READ: Final[dict[str, Callable[[Column], Typed]]] = {
    "category": _read_category,
    "integer": _read_integer,
    "decimal": _read_decimal,
    "date": _read_date,
    "boolean": _read_boolean,
}
