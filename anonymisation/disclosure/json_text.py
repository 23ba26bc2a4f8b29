"""Read JSON as a person would: records are tables, a list of numbers is a column, keys are headings."""

import json
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from anonymisation.disclosure.content import Content, Table, at, safe_name
from anonymisation.disclosure.headings import holds
from anonymisation.disclosure.tables import as_table
from anonymisation.identifiers.words import Words

MOST_STEPS: Final = 6
Path = tuple[str | int, ...]


class TooDeep(Exception):
    """Nested beyond what a person reads."""


class KeyTwice(Exception):
    """The same key twice in one object."""


def parse(text: str, deepest: int) -> Any:
    """Parse; raises ValueError, TooDeep, KeyTwice. Depth is counted before anything is built."""
    if _depth(text) > deepest:
        raise TooDeep
    return json.loads(text, object_pairs_hook=_once)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise KeyTwice
    return found


def _depth(text: str) -> int:
    """Give how deep brackets nest at most; those in strings may count too, which errs on the strict side."""
    depth = deepest = 0
    for letter in text:
        if letter in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif letter in "]}":
            depth -= 1
    return deepest


def read_into(value: Any, content: Content) -> None:
    """Put everything a JSON value holds into `content`."""
    pending: list[tuple[Path, Any, bool]] = [((), value, False)]
    while pending:
        path, node, told = pending.pop()
        if isinstance(node, dict):
            whole = _mapping(path, node, content, told=told)
            pending.extend(((*path, key), child, whole) for key, child in node.items())
        elif isinstance(node, list):
            _listing(path, node, content)
            content.add([_cell(child) for child in node], partial(_item, path))
            nested = (
                (number, child) for number, child in enumerate(node, 1) if isinstance(child, dict | list)
            )
            pending.extend(((*path, number), child, True) for number, child in nested)
        else:
            content.add([as_text(node)], partial(_same, path))


def as_text(value: Any) -> str:
    """Give a scalar as it would stand in a cell."""
    if value is None or isinstance(value, bool):
        return ""
    return value if isinstance(value, str) else json.dumps(value)


def _mapping(path: Path, node: dict[str, Any], content: Content, *, told: bool) -> bool:
    """Read an object; `told` says that it is already a row of a table. Tells whether its children are so now."""
    place = _place(path)
    content.keys.extend((place, key) for key in node)
    content.add(list(node), partial(_same, path))
    _columns(node, content)
    whole = _pivot(node, content)
    plain = {key: as_text(child) for key, child in node.items() if not isinstance(child, dict | list)}
    if plain and not told:
        content.tables.append(Table(_headings(path, plain), [list(plain.values())], 1))
    return whole


def _columns(node: dict[str, Any], content: Content) -> None:
    """Read {heading: [cells]}, and pandas' {heading: {row: cell}}."""
    read = {key: cells for key, child in node.items() if (cells := _column(child)) is not None}
    if read:
        height = max(len(cells) for cells in read.values())
        rows = [[cells[row] if row < len(cells) else "" for cells in read.values()] for row in range(height)]
        content.tables.append(Table(tuple(read), rows, height))


def _pivot(node: dict[str, Any], content: Content) -> bool:
    """Read {row: {heading: cell}}; tells whether it was one."""
    records = [{"": key, **child} for key, child in node.items() if isinstance(child, dict)]
    if any(_column(child) is not None for child in node.values() if isinstance(child, dict)):
        return True
    if len(records) > 1:
        content.tables.append(_records(records))
    return len(records) > 1


def _headings(path: Path, plain: dict[str, str]) -> tuple[str, ...]:
    """Give the keys as headings; what stands under a key that says "count" is a count too."""
    above = str(path[-1]) if path else ""
    return tuple(f"{above} {key}" for key in plain) if holds(above) == "count" else tuple(plain)


def _records(records: Sequence[dict[str, Any]]) -> Table:
    header = tuple(dict.fromkeys(key for record in records for key in record))
    rows = [[_cell(record.get(key)) for key in header] for record in records]
    return Table(header, rows, len(records))


def _cell(value: Any) -> str:
    return "" if isinstance(value, dict | list) else as_text(value)


def _column(child: Any) -> list[str] | None:
    """Give the cells of a list of scalars, or of pandas' {row: scalar}."""
    if isinstance(child, dict) and child and all(key.isdecimal() for key in child):
        child = list(child.values())
    if isinstance(child, list) and child and not any(isinstance(cell, dict | list) for cell in child):
        return [as_text(cell) for cell in child]
    return None


def _listing(path: Path, node: Sequence[Any], content: Content) -> None:
    content.longest_list = max(content.longest_list, len(node))
    records = [item for item in node if isinstance(item, dict)]
    if records:
        content.tables.append(_records(records))
    lists = [item for item in node if isinstance(item, list)]
    if lists:
        rows = [[_cell(cell) for cell in item] for item in lists]
        if any(rows):
            content.tables.append(as_table([row for row in rows if row]))
    elif not records and not path and node:
        content.tables.append(Table(("",), [[as_text(cell)] for cell in node], len(node)))


def _same(path: Path, _: int) -> Words:
    return _place(path)


def _item(path: Path, index: int) -> Words:
    return _place((*path, index + 1))


def _place(path: Path) -> Words:
    steps = [str(step) if isinstance(step, int) else (safe_name(step) or "…") for step in path[:MOST_STEPS]]
    shown = ".".join(steps) or "."
    return at(f"clé {shown}", f"key {shown}")
