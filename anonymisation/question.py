"""Question v1: a small closed form. No plan, no program and no function of anybody's crosses this border.

A hostile document is refused by its size, depth and items before anything looks at its meaning, and a message never repeats
what the document said (a literal may be an identifier), except for a column's name.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, Final, NoReturn

import orjson
from pydantic import ValidationError

from anonymisation import plan
from anonymisation.bounds import Table
from anonymisation.errors import BadQuestion
from anonymisation.form import Question

__all__ = ["Question", "canonical", "check", "digest", "parse"]

MAX_BYTES: Final = 64 * 1024
MAX_DEPTH: Final = 16
MAX_NODES: Final = 8_192


def parse(raw: bytes | Mapping[str, Any]) -> Question:
    """Read a question from JSON bytes or a decoded mapping; raises `BadQuestion` saying which step is wrong."""
    document = _decode(raw) if isinstance(raw, bytes | bytearray | memoryview) else raw
    if not isinstance(document, Mapping):
        raise BadQuestion("question_form", "A question is one JSON object.", "See the catalogue's examples.")
    _measure(document)
    try:
        question = Question.model_validate(dict(document))
    except ValidationError as error:
        _refuse_form(error)
    _names_are_distinct(question)
    _measure(_decode(canonical(question)))  # one spelling may be longer and deeper than the one that came
    return question


def canonical(question: Question) -> bytes:
    """Give the bytes that stand for the question: sorted keys, one spelling of every expression, defaults left out."""
    return orjson.dumps(
        question.model_dump(mode="python", exclude_defaults=True) | {"v": 1}, option=orjson.OPT_SORT_KEYS
    )


def digest(question: Question, other: Table | None = None) -> str:
    """Give the SHA-256 of the canonical bytes in hexadecimal: with dataset and version, the key of a free replay.

    Of a question that takes features of `other`, a line with that dataset and its version follows the canonical bytes.
    """
    follows = "" if question.features is None or other is None else f"\n{other.dataset} {other.version}"
    return hashlib.sha256(canonical(question) + follows.encode()).hexdigest()


def check(question: Question, table: Table, other: Table | None = None) -> None:
    """Raise `BadQuestion` where the question does not fit the table; depends on what was declared, never on data."""
    plan.fit(question, table, other)


def _decode(raw: bytes | bytearray | memoryview) -> object:
    if len(raw) > MAX_BYTES:
        _too_large()
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise BadQuestion("question_json", "The question is not readable JSON.") from None


def _too_large() -> NoReturn:
    raise BadQuestion(
        "question_too_large", f"The question is larger than {MAX_BYTES // 1024} kB.", "Ask for less at once."
    )


def _measure(document: object) -> None:
    """Refuse depth, number of items, floats and foreign objects, without recursion and without copying."""
    pending: list[tuple[object, int]] = [(document, 1)]
    seen = 0
    while pending:
        node, depth = pending.pop()
        seen += 1
        if depth > MAX_DEPTH:
            raise BadQuestion(
                "question_too_deep",
                f"The question is nested deeper than {MAX_DEPTH} levels.",
                "Name a step with let.",
            )
        if seen > MAX_NODES:
            _too_large()
        pending.extend((child, depth + 1) for child in _children(node))


def _children(node: object) -> list[object]:
    if not isinstance(node, Mapping | list | tuple):
        _check_leaf(node)
        return []
    if len(node) > MAX_NODES:
        _too_large()
    return [*node.keys(), *node.values()] if isinstance(node, Mapping) else list(node)


def _check_leaf(leaf: object) -> None:
    if isinstance(leaf, float):
        raise BadQuestion(
            "float_refused",
            "The question holds a floating-point number.",
            'Write decimals as strings: "0.5".',
        )
    if leaf is not None and type(leaf) not in {bool, int, str}:
        raise BadQuestion("question_form", "The question holds something that JSON does not know.")
    if isinstance(leaf, str) and (len(leaf) > MAX_BYTES or not _is_text(leaf)):
        raise BadQuestion("question_form", "The question holds a string that is not Unicode text.")


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\x00" not in text


def _refuse_form(error: ValidationError) -> NoReturn:
    """Say where the form is wrong; the field's path is ours, what stood there is not repeated."""
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    known = [str(step) for step in first["loc"] if isinstance(step, int) or step in _FIELDS]
    place = ".".join(known) or "question"
    reason = first["type"].replace("_", " ")
    raise BadQuestion(
        "question_form",
        f"The question is not of the form v1 at {place}: {reason}.",
        f"Fields: {', '.join(sorted(_FIELDS))}.",
        place=place,
    ) from None


def _names_are_distinct(question: Question) -> None:
    names = [ask.name for ask in question.ask]
    if len(set(names) | set(question.by)) < len(names) + len(question.by):
        raise BadQuestion("name_repeated", "Each statistic and each group needs a name of its own.")


_FIELDS: Final = frozenset(
    [
        "v",
        "dataset",
        "features",
        "take",
        "order",
        "where",
        "let",
        "unit",
        "by",
        "ask",
        "rho_micro",
        "name",
        "expr",
        "rows",
        "groups",
        "rows_per_group",
        "stat",
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
    ]
)
