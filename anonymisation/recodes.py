"""Expressions given their meaning on a declared table: types, domains and bounds, and the polars expression of each.

Every number becomes an integer count of 10**-digits, every category the code of its place in the declared domain. Recodes work on
values already clipped to the steward's bounds, so that interval arithmetic on the bounds holds for whatever is in the data.
"""

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import pairwise
from typing import Any, Final, Literal, NoReturn

import polars as pl

from anonymisation.bounds import Table, scaled
from anonymisation.columns import EPOCH, KIND_WORD, RAW_LIMIT, Day, Label, Number, Truth, Typed, day, typed
from anonymisation.errors import BadQuestion
from anonymisation.expressions import ARITHMETIC, COMPARISONS, CONNECTIVES, Literal_, Tree
from anonymisation.form import Let

MAX_MAGNITUDE: Final = 2**32
"""Largest scaled value a recode or a sum may reach: 2**30 rows of it still fit a 64-bit sum."""
LET_PREFIX: Final = "let:"
MAX_EDGES: Final = 200
MAX_BRANCHES: Final = 64
MAX_SUGGESTED: Final = 1_000
"""A domain longer than this is not searched for the closest value: a refusal takes milliseconds."""


@dataclass(frozen=True)
class Scope:
    """The columns an expression may name: those declared and those recoded before it."""

    table: Table
    lets: dict[str, Typed] = field(default_factory=dict)

    def column(self, name: str) -> Typed:
        """Give the typed column; raises `column_unknown` with the closest name."""
        if name in self.lets:
            return self.lets[name]
        column = self.table.column(name)
        if column is None:
            self._unknown(name)
        return typed(column)

    def with_let(self, name: str, value: Typed) -> "Scope":
        """Give the scope in which a recode has its name."""
        if name in self.lets or self.table.column(name) is not None:
            raise BadQuestion(
                "name_repeated",
                f"There is a column {name} already.",
                "Give the recode a name of its own.",
                column=name,
            )
        return Scope(self.table, {**self.lets, name: replace(value, expr=pl.col(LET_PREFIX + name))})

    def _unknown(self, name: str) -> NoReturn:
        known = [*self.lets, *(column.name for column in self.table.columns)]
        close = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
        to_do = f"The closest name is {close[0]}." if close else ""
        raise BadQuestion(
            "column_unknown",
            f"There is no column {name} in {self.table.dataset}.",
            to_do,
            column=name,
            closest=close[0] if close else "",
        )


def lets(asked: Sequence[Let], scope: Scope) -> tuple[Scope, tuple[tuple[str, pl.Expr], ...]]:
    """Give the scope after named recodes, and each one's column and expression; each may use those before it."""
    found = []
    for let in asked:
        value = read(let.expr, scope)
        scope = scope.with_let(let.name, value)
        found.append((LET_PREFIX + let.name, value.expr))
    return scope, tuple(found)


def read(tree: Tree, scope: Scope) -> Typed:
    """Give an expression its type and its polars form; raises `BadQuestion` where it has none."""
    op, *args = tree
    if op == "col":
        return scope.column(args[0])
    if op in COMPARISONS:
        return Truth(_compare(op, read(args[0], scope), args[1], scope))
    if op in ARITHMETIC:
        return _arithmetic(op, _numeric(args[0], scope), _numeric(args[1], scope))
    if op in CONNECTIVES:
        return _connect(op, [condition(arg, scope) for arg in args])
    return _OTHERS[op](args, scope)


def condition(tree: Tree, scope: Scope) -> pl.Expr:
    """Give the polars form of an expression that must be true or false."""
    value = read(tree, scope)
    if not isinstance(value, Truth):
        raise BadQuestion(
            "condition_expected", "A filter or a branch needs a condition.", 'Compare: ["==", column, value].'
        )
    return value.expr


def clipped(number: Number) -> pl.Expr:
    """Give the number held within its bounds."""
    return number.expr.clip(number.low, number.high)


# --- conditions ---------------------------------------------------------------------------------------------------------


def _compare(op: str, left: Typed, right: Tree | Literal_, scope: Scope) -> pl.Expr:
    if isinstance(left, Label | Truth) and op not in {"==", "!="}:
        raise BadQuestion(
            "comparison_unordered", f"Operator {op} needs numbers or dates.", "Use ==, != or in.", operator=op
        )
    return _apply(op, left.expr, _other(left, right, scope))


def _apply(op: str, left: pl.Expr, right: pl.Expr) -> pl.Expr:
    operations: dict[str, Callable[[], pl.Expr]] = {
        "==": lambda: left == right,
        "!=": lambda: left != right,
        "<": lambda: left < right,
        "<=": lambda: left <= right,
        ">": lambda: left > right,
        ">=": lambda: left >= right,
    }
    return operations[op]()


def _other(left: Typed, right: Tree | Literal_, scope: Scope) -> pl.Expr:
    if not isinstance(right, tuple):
        return pl.lit(constant(left, right))
    value = read(right, scope)
    same = type(value) is type(left) and not isinstance(value, Label)
    if not same or (isinstance(value, Number) and isinstance(left, Number) and value.digits != left.digits):
        raise BadQuestion(
            "comparison_kinds",
            "The two columns compared are not of the same kind and number of decimals.",
            "Compare with a value.",
        )
    return value.expr


def constant(like: Typed, value: Literal_) -> int:
    """Give a literal as the column holds it."""
    if isinstance(like, Number):
        return _number_constant(like, value)
    if isinstance(like, Label):
        return _code(like, value)
    if isinstance(like, Day):
        return day(value)
    if not isinstance(value, bool):
        raise BadQuestion("literal_kind", "A column of true or false is compared with true or false.")
    return value


def _number_constant(like: Number, value: Literal_) -> int:
    number = scaled(value, like.digits)
    if number is None:
        raise BadQuestion(
            "literal_kind",
            f"A number with at most {like.digits} decimal(s) is needed here.",
            'Write 65 or "0.5".',
            digits=like.digits,
        )
    if abs(number) > 2 * RAW_LIMIT:
        raise BadQuestion(
            "number_too_large", "A number in the question is too large for the column it is compared with."
        )
    return number


def _code(like: Label, value: Literal_) -> int:
    if isinstance(value, str) and value in like.domain:
        return like.domain.index(value)
    close = difflib.get_close_matches(str(value), like.domain[:MAX_SUGGESTED], n=1, cutoff=0.0)[0]
    raise BadQuestion(
        "value_outside_domain",
        "A value is not in the declared domain of its column.",
        f"The closest is {close}.",
        closest=close,
    )


def _connect(op: str, conditions: list[pl.Expr]) -> Truth:
    return Truth(pl.all_horizontal(conditions) if op == "and" else pl.any_horizontal(conditions))


def _negate(args: list[Any], scope: Scope) -> Truth:
    return Truth(~condition(args[0], scope))


def _is_null(args: list[Any], scope: Scope) -> Truth:
    return Truth(read(args[0], scope).expr.is_null())


def _among(args: list[Any], scope: Scope) -> Truth:
    subject = read(args[0], scope)
    return Truth(subject.expr.is_in([constant(subject, value) for value in args[1]]))


def _between(args: list[Any], scope: Scope) -> Truth:
    subject = read(args[0], scope)
    if not isinstance(subject, Number | Day):
        raise BadQuestion(
            "comparison_unordered", "Operator between needs numbers or dates.", "Use in.", operator="between"
        )
    return Truth(subject.expr.is_between(constant(subject, args[1]), constant(subject, args[2])))


# --- recodes ------------------------------------------------------------------------------------------------------------


def _numeric(arg: Tree | Literal_, scope: Scope) -> Number:
    if not isinstance(arg, tuple):
        return _number_literal(arg)
    value = read(arg, scope)
    if not isinstance(value, Number):
        raise BadQuestion(
            "arithmetic_operand",
            f"Arithmetic needs numbers, not {KIND_WORD[type(value)]}.",
            "Recode it with case, year or month first.",
        )
    if value.low is None or value.high is None:
        raise BadQuestion(
            "bounds_missing",
            "Arithmetic needs a column with declared bounds.",
            "Ask the steward to declare bounds for it.",
        )
    return replace(value, expr=clipped(value))


def _number_literal(value: Literal_) -> Number:
    digits = len(str(value).partition(".")[2])
    number = scaled(value, digits) or 0
    return Number(pl.lit(number, pl.Int64), digits, number, number)


def _arithmetic(op: str, left: Number, right: Number) -> Number:
    if op == "*":
        ends = [a * b for a in _ends(left) for b in _ends(right)]
        return _bounded(left.expr * right.expr, left.digits + right.digits, min(ends), max(ends))
    digits = max(left.digits, right.digits)
    left, right = _rescaled(left, digits), _rescaled(right, digits)
    (a, b), (c, d) = _ends(left), _ends(right)
    if op == "+":
        return _bounded(left.expr + right.expr, digits, a + c, b + d)
    return _bounded(left.expr - right.expr, digits, a - d, b - c)


def _ends(number: Number) -> tuple[int, int]:
    return number.low or 0, number.high or 0


def _rescaled(number: Number, digits: int) -> Number:
    factor = 10 ** (digits - number.digits)
    low, high = _ends(number)
    return _bounded(number.expr * factor if factor > 1 else number.expr, digits, low * factor, high * factor)


def _bounded(expr: pl.Expr, digits: int, low: int, high: int) -> Number:
    if max(abs(low), abs(high)) > MAX_MAGNITUDE:
        raise BadQuestion(
            "recode_too_large",
            "The bounds of a recode grow beyond 2**32 steps of its last decimal.",
            "Use fewer decimals or smaller bounds.",
        )
    return Number(expr, digits, low, high)


def _case(args: list[Any], scope: Scope) -> Typed:
    *branches, default = args
    if len(branches) > MAX_BRANCHES:
        raise BadQuestion(
            "case_branches", f"A case has at most {MAX_BRANCHES} branches.", "Nest two, or use bins."
        )
    values = [value for value in (*(branch[1] for branch in branches), default) if value is not None]
    conditions = [condition(branch[0], scope) for branch in branches]
    outcomes = [branch[1] for branch in branches]
    if values and all(isinstance(value, str) for value in values):
        domain = tuple(dict.fromkeys(str(value) for value in values))
        codes = {label: code for code, label in enumerate(domain)}
        return Label(
            _chain(conditions, [codes.get(str(o)) for o in outcomes], codes.get(str(default)), pl.UInt32),
            domain,
        )
    if values and all(type(value) is int for value in values):
        numbers = [int(value) for value in values]
        chain = _chain(conditions, outcomes, default, pl.Int64)
        return replace(_bounded(chain, 0, min(numbers), max(numbers)), keys=tuple(sorted(set(numbers))))
    raise BadQuestion(
        "case_values", "The values of case are all labels or all integers.", "Use null for rows to leave out."
    )


def _chain(
    conditions: list[pl.Expr], outcomes: list[int | None], default: int | None, dtype: type[pl.DataType]
) -> pl.Expr:
    """Nest the branches; null conditions are false, the first true one wins."""
    result = pl.lit(default, dtype)
    for test, outcome in reversed(list(zip(conditions, outcomes, strict=True))):
        result = pl.when(test.fill_null(value=False)).then(pl.lit(outcome, dtype)).otherwise(result)
    return result


def _bins(args: list[Any], scope: Scope) -> Label:
    # The subject is repeated once an edge: only a column keeps the work in proportion to the question.
    if args[0][0] != "col":
        raise BadQuestion(
            "bins_subject",
            "Bins are made of a column.",
            "Name the number with let, then make bins of that name.",
        )
    subject = read(args[0], scope)
    if not isinstance(subject, Number | Day):
        raise BadQuestion(
            "bins_subject",
            f"Bins are made of numbers or dates, not of {KIND_WORD[type(subject)]}.",
            "Use case.",
        )
    edges = increasing(subject, args[1])
    return Label(place_among(subject.expr, edges), bin_labels([str(edge) for edge in args[1]]))


def increasing(subject: Number | Day, edges: Sequence[Literal_]) -> list[int]:
    """Give edges as the column holds them; raises `bins_edges` where they do not increase."""
    found = [constant(subject, edge) for edge in edges]
    if any(low >= high for low, high in pairwise(found)) or len(found) > MAX_EDGES:
        raise BadQuestion("bins_edges", f"The edges of bins increase, and there are at most {MAX_EDGES}.")
    return found


def place_among(expr: pl.Expr, edges: Sequence[int], *, closed: Literal["left", "right"] = "left") -> pl.Expr:
    """Give the number of edges at or below a whole number (below it, where intervals are closed on the right)."""
    number, steps = expr.cast(pl.Int64), {high - low for low, high in pairwise(edges)}
    if len(steps) == 1:  # evenly spaced: a division is ten times faster than a search
        step = steps.pop()
        over = number - edges[0] + (step if closed == "left" else step - 1)
        return (over // step).clip(0, len(edges)).cast(pl.UInt32)
    place = pl.lit(pl.Series(edges, dtype=pl.Int64)).search_sorted(
        number, side="right" if closed == "left" else "left"
    )
    return pl.when(number.is_not_null()).then(place).cast(pl.UInt32)


def bin_labels(edges: Sequence[str]) -> tuple[str, ...]:
    """Give the names of the bins that edges cut."""
    inner = (f"[{low}, {high})" for low, high in pairwise(edges))
    return (f"<{edges[0]}", *inner, f">={edges[-1]}")


def _date_part(part: str) -> Callable[[list[Any], Scope], Number]:
    def recode(args: list[Any], scope: Scope) -> Number:
        subject = read(args[0], scope)
        if not isinstance(subject, Day):
            raise BadQuestion(
                "date_expected",
                f"{part} is a part of a date, not of {KIND_WORD[type(subject)]}.",
                "Use bins for numbers.",
            )
        if part == "month":
            return Number(_as_date(subject.expr).dt.month().cast(pl.Int64), 0, 1, 12, range(1, 13))
        return _year(subject)

    return recode


def _year(subject: Day) -> Number:
    """The bounds of a year come from those of its date; a day outside them is held at the nearest."""
    if subject.low is None or subject.high is None:
        raise BadQuestion(
            "bounds_missing",
            "A year needs a date column with declared bounds.",
            "Ask the steward to declare bounds for it.",
        )
    low, high = (date.fromordinal(EPOCH.toordinal() + place).year for place in (subject.low, subject.high))
    held = subject.expr.clip(subject.low, subject.high)
    return Number(_as_date(held).dt.year().cast(pl.Int64), 0, low, high, range(low, high + 1))


def _as_date(days: pl.Expr) -> pl.Expr:
    return days.cast(pl.Int32, strict=False).cast(pl.Date)


_OTHERS: Final[dict[str, Callable[[list[Any], Scope], Typed]]] = {
    "not": _negate,
    "is_null": _is_null,
    "in": _among,
    "between": _between,
    "case": _case,
    "bins": _bins,
    "year": _date_part("year"),
    "month": _date_part("month"),
}
