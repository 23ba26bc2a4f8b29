"""What stays of a question once its constants are taken out: by this, questions that are nearly the same are counted.

Somebody who looks for one person asks the same thing again with another bound. Values, bounds, prices, names given by
whoever asks, the order of conditions and the choice among comparisons all go; columns, statistics and groups stay. The
shape is not secret and says less than the question's own digest: no literal is in it, not even as a hash.
"""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson

from anonymisation.expressions import COMPARISONS
from anonymisation.form import Ask, Features, Let, Question

CONSTANT: Final = "#"
AMONG_LITERALS: Final = frozenset({"in", "between", "bins"})
COMPARED: Final = "compared"


def shape(question: Question) -> str:
    """Give the SHA-256 of a question without its constants, in hexadecimal."""
    names = _renamed(question.let)
    told = {
        "dataset": question.dataset,
        "features": None if question.features is None else _features(question.features),
        "where": _where(question.where, names),
        "let": _sorted(_expression(one.expr, names) for one in question.let),
        "by": _sorted(names.get(one, one) for one in question.by),
        "ask": _sorted(_ask(one, names) for one in question.ask),
    }
    return hashlib.sha256(orjson.dumps(told, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _renamed(lets: Iterable[Let]) -> Mapping[str, str]:
    """Take out the names that the asker gave to steps."""
    return {one.name: f"let{number}" for number, one in enumerate(lets)}


def _ask(ask: Ask, names: Mapping[str, str]) -> list[Any]:
    columns = [one for one in (ask.column, ask.event, *ask.columns) if one is not None]
    return [ask.stat, _sorted(names.get(one, one) for one in columns), ask.standard]


def _features(features: Features) -> list[Any]:
    names = _renamed(features.let)
    lets = _sorted(_expression(one.expr, names) for one in features.let)
    taken = _sorted([one.stat, names.get(one.column or "", one.column), one.order] for one in features.take)
    return [features.dataset, _where(features.where, names), lets, taken]


def _where(tree: tuple[Any, ...] | None, names: Mapping[str, str]) -> Any:
    return None if tree is None else _expression(tree, names)


def _expression(tree: tuple[Any, ...], names: Mapping[str, str]) -> Any:
    op, args = tree[0], tree[1:]
    if op == "col":
        return ["col", names.get(args[0], args[0])]
    if op == "not":  # the other side of the same bound
        return _expression(args[0], names)
    if op in {"and", "or"}:
        arms = _sorted(_expression(one, names) for one in args)
        return arms[0] if len(arms) == 1 else [op, arms]
    if op == "case":
        return [op, _sorted(_expression(condition, names) for condition, _ in args[:-1])]
    if op in AMONG_LITERALS:
        return [COMPARED, _sorted([_expression(args[0], names), CONSTANT])]
    return [COMPARED if op in COMPARISONS else op, _sorted(_operand(one, names) for one in args)]


def _operand(value: Any, names: Mapping[str, str]) -> Any:
    return _expression(value, names) if isinstance(value, tuple) else CONSTANT


def _sorted(parts: Iterable[Any]) -> list[Any]:
    """Give each different part once, in one order."""
    return [orjson.loads(one) for one in sorted({orjson.dumps(part) for part in parts})]
