"""What a file holds, whatever its format: pieces of text with their places, and tables of text cells."""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate
from typing import Final

from anonymisation.identifiers import patterns
from anonymisation.identifiers.words import Words

MOST_NAMED: Final = 5
LONGEST_NAME: Final = 40
_SAFE_NAME = re.compile(r"[^\W\d_][\w .%()-]*")
_LONG_NUMBER = re.compile(r"[0-9]{5}")


@dataclass(frozen=True)
class Table:
    """A table as text. `lines` is its height in the file, which may be more than the rows that were read."""

    header: tuple[str, ...]
    rows: Sequence[Sequence[str]]
    lines: int
    first: int = 1  # the number a person would give the first row
    # False where the first line looks like data: it is then in the rows too.
    headed: bool = True

    def column(self, index: int) -> list[str]:
        """Give the cells of a column; a short row has an empty one."""
        return [row[index] if index < len(row) else "" for row in self.rows]

    @property
    def width(self) -> int:
        """How many columns the widest row has."""
        return max(len(self.header), max((len(row) for row in self.rows), default=0))

    def name(self, index: int) -> str:
        """Give the heading of a column, or nothing."""
        return self.header[index] if index < len(self.header) else ""


@dataclass
class Content:
    """Everything a check may look at. `keys` are names a format has beside headers (JSON keys)."""

    tables: list[Table] = field(default_factory=list)
    pieces: list[tuple[Words, str]] = field(default_factory=list)
    keys: list[tuple[Words, str]] = field(default_factory=list)
    longest_list: int = 0
    text_lines: int = 0

    @cached_property
    def joined(self) -> str:
        """All pieces in one text, a line break between them; `place_of` finds back where a match lies."""
        return "\n".join(text for _, text in self.pieces)

    @cached_property
    def _starts(self) -> list[int]:
        return list(accumulate((len(text) + 1 for _, text in self.pieces), initial=0))

    def place_of(self, offset: int) -> Words:
        """Name the place of a position in `joined`."""
        return self.pieces[bisect_right(self._starts, offset) - 1][0]


NOWHERE: Final = Words("", "")


def at(fr: str, en: str) -> Words:
    """Name a place in both languages."""
    return Words(fr, en)


def safe_name(name: str) -> str | None:
    """Give a heading that may be repeated in a report: short, a word, nothing that looks like an identifier."""
    shown = name.strip()
    plain = _SAFE_NAME.fullmatch(shown) is not None and len(shown) <= LONGEST_NAME
    return shown if plain and not _LONG_NUMBER.search(shown) and not patterns.find(shown) else None


def column_place(table: Table, index: int) -> Words:
    """Name a column by its heading where that is safe, else by its number."""
    name = safe_name(table.name(index))
    return (
        at(f"colonne « {name} »", f'column "{name}"')
        if name
        else at(f"colonne {index + 1}", f"column {index + 1}")
    )


def cells_place(table: Table, index: int, rows: Sequence[int]) -> Words:
    """Name a column and the first few of its rows."""
    column, lines = column_place(table, index), rows_place(table, rows)
    return at(f"{column.fr}, {lines.fr}", f"{column.en}, {lines.en}")


def rows_place(table: Table, rows: Sequence[int]) -> Words:
    """Name rows by number, the first few of them."""
    shown = ", ".join(str(row + table.first) for row in rows[:MOST_NAMED])
    more = len(rows) - MOST_NAMED
    if more > 0:
        return at(f"lignes {shown} et {more} autres", f"rows {shown} and {more} more")
    return at(f"ligne {shown}", f"row {shown}") if len(rows) == 1 else at(f"lignes {shown}", f"rows {shown}")


def line_place(number: int) -> Words:
    """Name a line of a text."""
    return at(f"ligne {number}", f"line {number}")


def pieces_of(table: Table) -> Iterator[tuple[Words, str]]:
    """Give every heading and cell of a table with its place."""
    for index, name in enumerate(table.header):
        yield at(f"titre de la colonne {index + 1}", f"heading of column {index + 1}"), name
    for index in range(table.width):
        column = column_place(table, index)
        for number, cell in enumerate(table.column(index)):
            if cell:
                row = number + table.first
                yield at(f"{column.fr}, ligne {row}", f"{column.en}, row {row}"), cell
