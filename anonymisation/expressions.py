"""The closed form of filter and recode expressions, `[op, args...]`, brought to one spelling.

The first argument of an operator is its subject: a bare string there names a column. In every later place a bare
string is a literal, and a column is written `["col", name]`, which may be used in the first place as well. Decimal numbers
are strings. Nothing here knows a table: a name that does not exist is found in `recodes`.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from anonymisation.bounds import DECIMAL, UNIT
from anonymisation.errors import BadQuestion

COMPARISONS: Final = ("==", "!=", "<", "<=", ">", ">=")
ARITHMETIC: Final = ("+", "-", "*")
CONNECTIVES: Final = ("and", "or")
DATE_PARTS: Final = ("year", "month")
OPERATORS: Final = (
    *COMPARISONS,
    *ARITHMETIC,
    *CONNECTIVES,
    *DATE_PARTS,
    "not",
    "in",
    "between",
    "is_null",
    "case",
    "bins",
)

MAX_ITEMS: Final = 1_000
"""Longest list of literals, edges or branches in one operator."""
MAX_TEXT: Final = 200
MAX_INTEGER: Final = 10**18

COLUMN_NAME: Final = re.compile(r"[^\W\d][\w .-]{0,63}")

Literal_ = bool | int | str
Tree = tuple[Any, ...]
"""A normal expression: nested tuples whose first item is an operator or "col"."""


def normal(raw: object) -> Tree:
    """Give the one spelling of an expression; raises `BadQuestion` where it is not of the closed form."""
    if not isinstance(raw, Sequence) or isinstance(raw, str) or not raw:
        raise BadQuestion(
            "expression_form",
            "An expression is a list that starts with an operator.",
            'Write for example [">=", "age", 65].',
        )
    op, args = raw[0], list(raw[1:])
    if op == "col":
        return _column(args)
    if not isinstance(op, str) or op not in OPERATORS:
        raise BadQuestion(
            "operator_unknown",
            "An expression uses an operator that is not known.",
            f"Known: {', '.join(OPERATORS)}.",
        )
    return (op, *_SHAPES[op](op, args))


def name(raw: object) -> str:
    """Give a column name fit to be looked up and to be named in a message."""
    if not isinstance(raw, str) or not COLUMN_NAME.fullmatch(raw) or raw == UNIT:
        raise BadQuestion(
            "column_name", "A column name is not acceptable.", "Use the names that the catalogue lists."
        )
    return raw


def literal(raw: object) -> Literal_:
    """Give a literal: a truth value, an integer or a short string; decimals are strings."""
    if isinstance(raw, bool):
        return raw
    if isinstance(raw, int):
        return _bounded(raw)
    if isinstance(raw, str) and len(raw) <= MAX_TEXT:
        return raw
    raise BadQuestion(
        "literal_form",
        "A literal is a truth value, an integer or a short string.",
        "Write decimal numbers as strings.",
    )


def _bounded(number: int) -> int:
    if abs(number) > MAX_INTEGER:
        raise BadQuestion("number_too_large", "A number in the question is larger than 10**18.")
    return number


def _column(args: list[Any]) -> Tree:
    if len(args) != 1:
        raise BadQuestion("expression_form", "A column reference takes one name.", 'Write ["col", "age"].')
    return ("col", name(args[0]))


def _arity(op: str, args: list[Any], count: int) -> None:
    if len(args) != count:
        raise BadQuestion(
            "operator_arguments", f"Operator {op} takes {count} argument(s).", operator=op, count=count
        )


def _subject(raw: object) -> Tree:
    return _column([raw]) if isinstance(raw, str) else normal(raw)


def _value(raw: object) -> Tree | Literal_:
    return normal(raw) if isinstance(raw, list | tuple) else literal(raw)


def _operand(raw: object, *, first: bool) -> Tree | Literal_:
    decimal = isinstance(raw, str) and DECIMAL.fullmatch(raw)  # no column name looks like a number
    if isinstance(raw, str) and first and not decimal:
        return ("col", name(raw))
    if isinstance(raw, bool) or (isinstance(raw, str) and not decimal):
        raise BadQuestion(
            "arithmetic_operand",
            "Arithmetic takes numbers and numeric columns.",
            'Write ["col", name] for a second column.',
        )
    return _value(raw)


def _items(op: str, raw: object, least: int = 1) -> list[Any]:
    if not isinstance(raw, list | tuple) or not least <= len(raw) <= MAX_ITEMS:
        raise BadQuestion(
            "operator_arguments", f"Operator {op} takes a list of {least} to {MAX_ITEMS} items.", operator=op
        )
    return list(raw)


def _comparison(op: str, args: list[Any]) -> Tree:
    _arity(op, args, 2)
    return (_subject(args[0]), _value(args[1]))


def _arithmetic(op: str, args: list[Any]) -> Tree:
    _arity(op, args, 2)
    return (_operand(args[0], first=True), _operand(args[1], first=False))


def _connective(op: str, args: list[Any]) -> Tree:
    return tuple(_subject(arg) for arg in _items(op, args))


def _one_subject(op: str, args: list[Any]) -> Tree:
    _arity(op, args, 1)
    return (_subject(args[0]),)


def _among(op: str, args: list[Any]) -> Tree:
    _arity(op, args, 2)
    return (_subject(args[0]), tuple(literal(item) for item in _items(op, args[1])))


def _between(op: str, args: list[Any]) -> Tree:
    _arity(op, args, 3)
    return (_subject(args[0]), literal(args[1]), literal(args[2]))


def _case(op: str, args: list[Any]) -> Tree:
    *branches, default = _items(op, args, least=2)
    return (*(_branch(branch) for branch in branches), _outcome(default))


def _branch(raw: object) -> Tree:
    if not isinstance(raw, list | tuple) or len(raw) != 2:  # noqa: PLR2004 - a branch is a pair
        raise BadQuestion(
            "operator_arguments", "Each branch of case is a pair of a condition and a value.", operator="case"
        )
    return (_subject(raw[0]), _outcome(raw[1]))


def _outcome(raw: object) -> Literal_ | None:
    return None if raw is None else literal(raw)


_SHAPES: Final[dict[str, Callable[[str, list[Any]], Tree]]] = {
    **dict.fromkeys(COMPARISONS, _comparison),
    **dict.fromkeys(ARITHMETIC, _arithmetic),
    **dict.fromkeys(CONNECTIVES, _connective),
    **dict.fromkeys((*DATE_PARTS, "not", "is_null"), _one_subject),
    "in": _among,
    "bins": _among,
    "between": _between,
    "case": _case,
}
