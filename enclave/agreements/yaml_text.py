"""Read a small YAML file a person wrote: every scalar is its text, and every place in it is remembered.

`02` stays "02" and `no` stays "no": codes of a domain are not numbers. Anchors, tags and second documents are
refused, so what is read is what is seen.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import yaml

from enclave.errors import BadInput

MOST_CHARACTERS = 1_000_000
DEEPEST = 8

Path = tuple[str | int, ...]


class Place(Protocol):
    """Where the parser was; its pure and its compiled form have a class each."""

    @property
    def line(self) -> int: ...
    @property
    def column(self) -> int: ...


@dataclass
class Marked:
    """What was read (mappings, lists, text, None) and the line and column each place begins at, from 1."""

    value: Any = None
    places: dict[Path, tuple[int, int]] = field(default_factory=dict)

    def place(self, path: Path) -> tuple[int, int]:
        """Give the nearest place at or above a path."""
        while path not in self.places and path:
            path = path[:-1]
        return self.places.get(path, (1, 1))


def read_marked(text: str) -> Marked:
    """Read one YAML document; raises BadInput with line and column where it cannot be read."""
    if len(text) > MOST_CHARACTERS:
        raise BadInput(
            "policy_too_long", "The file is longer than 1,000,000 characters.", "Send the policy only."
        )
    marked = Marked()
    try:
        events = yaml.parse(text, Loader=yaml.SafeLoader)
        marked.value = _document(_plain(events), marked)
    except yaml.YAMLError as problem:
        mark = getattr(problem, "problem_mark", None)
        raise _refusal(
            mark, "this is not YAML", "Check the indentation, the quotes and the brackets."
        ) from None
    return marked


def _plain(events: Iterator[yaml.Event]) -> Iterator[yaml.Event]:
    """Pass events on, but nothing that stands for something else, and nothing too deep."""
    depth = 0
    for event in events:
        if (
            isinstance(event, yaml.AliasEvent)
            or getattr(event, "anchor", None)
            or getattr(event, "tag", None)
        ):
            raise _refusal(event.start_mark, "anchors, aliases and tags are not read", "Write the value out.")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise _refusal(event.start_mark, "this is nested too deep", "A policy needs five levels.")
        yield event


def _document(events: Iterator[yaml.Event], marked: Marked) -> Any:
    kept = (event for event in events if not isinstance(event, yaml.StreamStartEvent | yaml.StreamEndEvent))
    value = None
    for number, event in enumerate(kept):
        if number:
            raise _refusal(event.start_mark, "a second document begins here", "Keep one policy in a file.")
        value = _node(next(events), events, (), marked)
        next(events)  # the end of the document
    return value


def _node(event: yaml.Event, events: Iterator[yaml.Event], path: Path, marked: Marked) -> Any:
    marked.places[path] = _from_one(event.start_mark)
    if isinstance(event, yaml.MappingStartEvent):
        return _mapping(events, path, marked)
    if isinstance(event, yaml.SequenceStartEvent):
        return _sequence(events, path, marked)
    assert isinstance(event, yaml.ScalarEvent)  # noqa: S101 - nothing else begins a node
    return _scalar(event)


def _scalar(event: yaml.ScalarEvent) -> str | None:
    text, quoted = event.value, event.style is not None
    return None if not quoted and text in {"", "~", "null"} else text


def _sequence(events: Iterator[yaml.Event], path: Path, marked: Marked) -> list[Any]:
    items: list[Any] = []
    while not isinstance(event := next(events), yaml.SequenceEndEvent):
        items.append(_node(event, events, (*path, len(items)), marked))
    return items


def _mapping(events: Iterator[yaml.Event], path: Path, marked: Marked) -> dict[str, Any]:
    items: dict[str, Any] = {}
    while not isinstance(event := next(events), yaml.MappingEndEvent):
        if not isinstance(event, yaml.ScalarEvent):
            raise _refusal(event.start_mark, "a key must be plain text", "Write `key: value`.")
        if event.value in items:
            raise _refusal(event.start_mark, f"`{event.value}` is said twice", "Keep one of the two.")
        items[event.value] = _node(next(events), events, (*path, event.value), marked)
    return items


def _from_one(mark: Place | None) -> tuple[int, int]:
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)


def _refusal(mark: Place | None, what: str, to_do: str) -> BadInput:
    line, column = _from_one(mark)
    message = f"Line {line}, column {column}: {what}."
    return BadInput("policy_unreadable", message, to_do, line=line, column=column)
