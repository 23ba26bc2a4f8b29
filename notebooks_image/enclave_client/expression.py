"""Columns and what can be written with them; each expression is plain data that travels in the question."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from .errors import WrongType, closest, not_a_truth
from .language import say

if TYPE_CHECKING:
    from .features import Feature
    from .statistics import Number, Statistic

Wire = Any  # nested lists of operator and arguments: JSON, nothing that runs
Kind = Literal["category", "integer", "decimal", "date", "boolean"]
Value = bool | int | float | Decimal | str | date


class Expression:
    """Something computed row by row inside the enclave: compare, combine, `&` `|` `~`, `+ - * /`."""

    def __init__(self, wire: Wire, column: Column | None = None) -> None:
        self.wire = wire
        self._column = column  # set when this is a bare column: its domain checks what it is compared to

    def __eq__(self, other: object) -> Expression:  # type: ignore[override]
        return self._with("==", other)

    def __ne__(self, other: object) -> Expression:  # type: ignore[override]
        return self._with("!=", other)

    def __lt__(self, other: object) -> Expression:
        return self._with("<", other)

    def __le__(self, other: object) -> Expression:
        return self._with("<=", other)

    def __gt__(self, other: object) -> Expression:
        return self._with(">", other)

    def __ge__(self, other: object) -> Expression:
        return self._with(">=", other)

    def __add__(self, other: object) -> Expression:
        return self._with("+", other)

    def __radd__(self, other: object) -> Expression:
        return Expression(["+", as_wire(other), self.wire])

    def __sub__(self, other: object) -> Expression:
        return self._with("-", other)

    def __rsub__(self, other: object) -> Expression:
        return Expression(["-", as_wire(other), self.wire])

    def __mul__(self, other: object) -> Expression:
        return self._with("*", other)

    def __rmul__(self, other: object) -> Expression:
        return Expression(["*", as_wire(other), self.wire])

    def __and__(self, other: object) -> Expression:
        return Expression(joined("and", self.wire, as_wire(other)))

    def __or__(self, other: object) -> Expression:
        return Expression(joined("or", self.wire, as_wire(other)))

    def __invert__(self) -> Expression:
        return Expression(["not", self.wire])

    def is_in(self, values: Iterable[Value]) -> Expression:
        """Test whether the value is one of these (`isin` is the same)."""
        listed = list(values)
        return Expression(["in", self.wire, [self._checked(value) for value in listed]])

    isin = is_in

    def between(self, low: Value, high: Value) -> Expression:
        """Test for `low` to `high`, both included (`is_between` is the same)."""
        return Expression(["between", self.wire, self._checked(low), self._checked(high)])

    is_between = between

    def is_null(self) -> Expression:
        """Test whether nothing was recorded (`isna` is the same)."""
        return Expression(["is_null", self.wire])

    isna = is_null

    def year(self) -> Expression:
        """Take the year of a date."""
        return Expression(["year", self.wire])

    def month(self) -> Expression:
        """Take the month of a date."""
        return Expression(["month", self.wire])

    def bins(self, edges: Iterable[Value]) -> Expression:
        """Cut numbers or dates at these edges (`cut` is the same); name the result, then group by it."""
        return Expression(["bins", self.wire, [as_wire(edge) for edge in edges]])

    cut = bins

    def mean(self, low: Number | None = None, high: Number | None = None) -> Statistic:
        """Average this column, as `agg` takes it; so do sum, median, quantile, std, var, count and hist."""
        return self._asked("mean", low, high)

    def sum(self, low: Number | None = None, high: Number | None = None) -> Statistic:
        """Sum this column."""
        return self._asked("sum", low, high)

    def median(self, low: Number | None = None, high: Number | None = None) -> Statistic:
        """Give the median of this column."""
        return self._asked("median", low, high)

    def quantile(self, probs: Number | Sequence[Number] = 0.5, **bounds: Any) -> Statistic:
        """Give the values that these shares of the rows do not exceed."""
        return self._asked("quantile", probs, **bounds)

    def std(self, low: Number | None = None, high: Number | None = None) -> Statistic:
        """Give the standard deviation of this column (`sd` is the same)."""
        return self._asked("sd", low, high)

    def var(self, low: Number | None = None, high: Number | None = None) -> Statistic:
        """Give the variance of this column."""
        return self._asked("variance", low, high)

    def count(self) -> Statistic:
        """Count the rows where this column was recorded."""
        return self._asked("count")

    def hist(self, edges: Iterable[Value]) -> Statistic:
        """Count rows between these edges of this column."""
        return self._asked("histogram", edges)

    sd = std

    def min(self) -> Feature:
        """Give the least value of each unit; for `with_features`."""
        return self._taken("min")

    def max(self) -> Feature:
        """Give the greatest value of each unit; for `with_features`."""
        return self._taken("max")

    def first(self, order: Column | str) -> Feature:
        """Give each unit's value where `order`, a date or a number, is least; for `with_features`."""
        from . import features  # which needs columns itself

        return features.by_order("first", self, order)

    def last(self, order: Column | str) -> Feature:
        """Give each unit's value where `order`, a date or a number, is greatest; for `with_features`."""
        from . import features  # which needs columns itself

        return features.by_order("last", self, order)

    def _taken(self, stat: str) -> Feature:
        from . import features  # which needs columns itself

        return features.Feature(stat, features.plain_column(self))

    def _asked(self, statistic: str, *arguments: Any, **more: Any) -> Statistic:
        from . import statistics  # which needs columns itself

        named = self.wire[1] if self.wire[0] == "col" else self
        asked: Statistic = getattr(statistics, statistic)(named, *arguments, **more)
        return asked

    def __bool__(self) -> bool:
        raise not_a_truth(self)

    def __iter__(self) -> Iterator[Any]:
        raise WrongType(
            "rows_stay_inside",
            say(
                "Les lignes restent dans l'enclave : on ne peut pas les parcourir.",
                "Rows stay inside the enclave: they cannot be iterated over.",
            ),
            say(
                "Demandez un effectif, une moyenne, un histogramme…", "Ask for a count, a mean, a histogram…"
            ),
        )

    __hash__ = None  # type: ignore[assignment]  # equality builds a question, so it cannot key a dict

    def __repr__(self) -> str:
        return text(self.wire)

    def _with(self, operator: str, other: object) -> Expression:
        return Expression([operator, self.wire, self._checked(other)])

    def _checked(self, other: object) -> Wire:
        if self._column is not None and isinstance(other, str):
            self._column.check_value(other)
        return as_wire(other)


@dataclass(frozen=True)
class Description:
    """What the steward declared about a column: its kind, and its domain or bounds."""

    name: str
    kind: Kind
    domain: tuple[str, ...] | None
    low: str | None
    high: str | None
    words: str = ""
    never_null: bool = False

    @property
    def range(self) -> str:
        """The declared domain or bounds, short enough for a table."""
        if self.domain is not None:
            shown = ", ".join(self.domain[:6])
            more = len(self.domain) - 6
            return shown + (say(f" … et {more} autres", f" … and {more} more") if more > 0 else "")
        if self.low is None and self.high is None:
            return ""
        return f"{self.low or '…'} – {self.high or '…'}"


class Column(Expression):
    """A column of a dataset, as a name: its values stay inside. `.domain`, `.low`, `.high` are public."""

    def __init__(self, description: Description, dataset: str) -> None:
        super().__init__(["col", description.name], self)
        self.description = description
        self._dataset = dataset

    @property
    def name(self) -> str:
        """The column's name."""
        return self.description.name

    @property
    def kind(self) -> Kind:
        """One of category, integer, decimal, date, boolean."""
        return self.description.kind

    @property
    def domain(self) -> tuple[str, ...] | None:
        """The values the steward declared, for a category."""
        return self.description.domain

    @property
    def low(self) -> str | None:
        """The declared lower bound."""
        return self.description.low

    @property
    def high(self) -> str | None:
        """The declared upper bound."""
        return self.description.high

    def check_value(self, value: str) -> None:
        """Refuse a value outside the declared domain, naming the column and the closest value."""
        if self.domain is not None and value not in self.domain:
            raise WrongType(
                "value_outside_domain",
                say(
                    f"« {value} » n'est pas une valeur déclarée de « {self._dataset}.{self.name} ».",
                    f"'{value}' is not a declared value of '{self._dataset}.{self.name}'.",
                ),
                closest(value, list(self.domain)),
            )

    def __repr__(self) -> str:
        told = self.description
        return f"{self._dataset}.{told.name}: {told.kind}" + (f" ({told.range})" if told.range else "")


def as_wire(value: object) -> Wire:
    """Turn a Python value into what travels: ints stay, decimals and dates become strings."""
    if isinstance(value, Expression):
        return value.wire
    if isinstance(value, bool | int | str):
        return value
    if isinstance(value, float | Decimal):
        return decimal_text(value)
    if isinstance(value, date):
        return value.isoformat()
    raise WrongType(
        "not_a_value",
        say(
            f"Une question ne peut pas porter un objet {type(value).__name__}.",
            f"A question cannot carry a {type(value).__name__}.",
        ),
        say(
            "Comparez à un nombre, un texte, une date, ou une autre colonne.",
            "Compare with a number, a text, a date or another column.",
        ),
    )


def joined(connective: str, left: Wire, right: Wire) -> Wire:
    """Join two conditions flat: a question may be sixteen levels deep, and a filter has many conditions."""
    first = left[1:] if isinstance(left, list) and left[0] == connective else [left]
    return [connective, *first, right]


def decimal_text(value: float | Decimal) -> str:
    """Write a decimal as JSON text, without an exponent and without binary rounding digits."""
    return format(Decimal(str(value)).normalize(), "f")


def col(name: str) -> Expression:
    """Name a column without its table; the table checks it exists when the expression is used."""
    return Expression(["col", name])


@dataclass(frozen=True)
class Case:
    """`when(condition, value)`, more `.when(...)`, closed by `.otherwise(value)`: a recode row by row."""

    branches: tuple[tuple[Wire, Wire], ...] = ()

    def when(self, condition: Expression, value: Value) -> Case:
        """Give this value where the condition holds and no earlier one did."""
        return Case((*self.branches, (condition.wire, as_wire(value))))

    def otherwise(self, value: Value | None = None) -> Expression:
        """Give this value everywhere else."""
        last = None if value is None else as_wire(value)
        return Expression(["case", *([*branch] for branch in self.branches), last])


def when(condition: Expression, value: Value) -> Case:
    """Start a recode: `when(ds.age < 18, "child").otherwise("adult")`."""
    return Case().when(condition, value)


def column_names(wire: Wire) -> list[str]:
    """List the columns an expression reads."""
    if not isinstance(wire, list):
        return []
    if wire and wire[0] == "col":
        return [str(wire[1])]
    return [name for part in wire for name in column_names(part)]


def text(wire: Wire) -> str:
    """Write an expression the way it was typed."""
    if not isinstance(wire, list):
        return repr(wire)
    operator, *parts = wire
    if operator == "col":
        return str(parts[0])
    if operator == "not":
        return f"~{text(parts[0])}"
    if operator in _INFIX:
        return "(" + f" {_INFIX[operator]} ".join(text(part) for part in parts) + ")"
    if operator == "case":
        return (
            "when("
            + ", ".join(f"{text(part[0])}, {part[1]!r}" for part in parts[:-1])
            + f").otherwise({parts[-1]!r})"
        )
    subject, *more = parts
    return f"{text(subject)}.{_METHOD.get(operator, operator)}({', '.join(repr(part) for part in more)})"


_INFIX = {"and": "&", "or": "|"} | {sign: sign for sign in ("==", "!=", "<", "<=", ">", ">=", "+", "-", "*")}
_METHOD = {"in": "is_in"}
