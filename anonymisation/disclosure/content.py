"""What a file holds, whatever its format: pieces of text with their places, and tables of text cells."""

import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import accumulate
from typing import Final

from anonymisation.identifiers import patterns
from anonymisation.identifiers.words import Words

NOWHERE: Final = Words("", "")
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
    # True for lines of text above a table: words to read, nothing to count.
    titles: bool = False

    def column(self, index: int) -> list[str]:
        """Give the cells of a column; a short row has an empty one."""
        return [row[index] if index < len(row) else "" for row in self.rows]

    @property
    def width(self) -> int:
        """How many columns the widest row has."""
        return max(len(self.header), max((len(row) for row in self.rows), default=0))

    def top(self, rows: int) -> "Table":
        """Give the table with no more than so many rows; beyond them its height alone condemns it."""
        return replace(self, rows=self.rows[:rows])

    def name(self, index: int) -> str:
        """Give the heading of a column, or nothing."""
        return self.header[index] if index < len(self.header) else ""


Namer = Callable[[int], Words]


@dataclass
class Content:
    """Everything a check may look at: tables, text in pieces, and names a format has beside headings (JSON keys).

    Places are worked out only for what is found: a namer says where the n-th text of a segment stands.
    """

    tables: list[Table] = field(default_factory=list)
    segments: list[tuple[Sequence[str], Namer]] = field(default_factory=list)
    keys: list[tuple[Words, str]] = field(default_factory=list)
    longest_list: int = 0
    text_lines: int = 0

    def add(self, texts: Sequence[str], namer: Namer) -> None:
        """Add pieces of text, each without a place of its own."""
        if texts:
            self.segments.append((texts, namer))

    @cached_property
    def joined(self) -> str:
        """All pieces in one text, a line break between them; `place_of` finds back where a match lies."""
        return "\n".join(text for texts, _ in self.segments for text in texts)

    @cached_property
    def _starts(self) -> list[int]:
        pieces = (text for texts, _ in self.segments for text in texts)
        return list(accumulate((len(text) + 1 for text in pieces), initial=0))

    def place_of(self, offset: int) -> Words:
        """Name the place of a position in `joined`."""
        number = bisect_right(self._starts, offset) - 1
        for texts, namer in self.segments:
            if number < len(texts):
                return namer(number)
            number -= len(texts)
        return NOWHERE


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


def take(table: Table, content: Content) -> None:
    """Put a table, its headings and its cells into the content."""
    content.tables.append(table)
    content.add(
        table.header, lambda index: at(f"titre de la colonne {index + 1}", f"heading of column {index + 1}")
    )
    for index in range(table.width):
        content.add(table.column(index), partial(_cell_place, table, index))


def take_lines(lines: Sequence[str], content: Content) -> None:
    """Put the lines of a text into the content."""
    content.add(lines, lambda index: line_place(index + 1))


def _cell_place(table: Table, index: int, row: int) -> Words:
    return cells_place(table, index, [row])
