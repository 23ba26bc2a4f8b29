"""Columns that may be grouped by: the code of each row, and what the codes stand for; never taken from the data."""

from dataclasses import dataclass
from typing import Final

import polars as pl

from anonymisation.columns import Day, Label, Truth, Typed
from anonymisation.errors import BadQuestion

MAX_GROUPS: Final = 10_000


@dataclass(frozen=True)
class Key:
    """One column grouped by: the code of each row (null outside the domain) and what the codes stand for."""

    name: str
    code: pl.Expr
    values: tuple[str | int | bool, ...]


def key(name: str, value: Typed) -> Key:
    """Give the key of a column; raises `BadQuestion` where it has no declared domain, or too large a one."""
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


def combined(keys: tuple[Key, ...]) -> pl.Expr:
    """Give the place of a row among the product of the keys' values; null where one is outside its domain."""
    code = pl.lit(0, pl.UInt32)
    for one in keys:
        code = code * len(one.values) + one.code
    return code


def places(index: int, shape: list[int]) -> list[int]:
    """Give the place in each key's values of one place in their product."""
    found = []
    for size in reversed(shape):
        index, place = divmod(index, size)
        found.append(place)
    return found[::-1]


def _code(expr: pl.Expr, keys: tuple[int, ...] | range) -> pl.Expr:
    """Give the place of a whole number among its declared values; anything else is null."""
    if isinstance(keys, range):
        return pl.when(expr.is_between(keys.start, keys.stop - 1)).then(expr - keys.start).cast(pl.UInt32)
    return expr.replace_strict(list(keys), list(range(len(keys))), default=None, return_dtype=pl.UInt32)
