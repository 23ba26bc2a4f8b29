"""Find tables in text: separated values, Markdown tables, columns aligned with spaces."""

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby, pairwise
from typing import Final

from anonymisation.disclosure.content import Table
from anonymisation.disclosure.numbers import read

SEPARATORS: Final = (";", "\t", ",", "|")
PROBED_LINES: Final = 60
LEAST_LINES: Final = 3
MOST_TITLES: Final = 3
MOST_HEADINGS: Final = 1_000
_GAP = re.compile(r"\t| {2,}")
_RULE = re.compile(r"[\s|:+=-]+")


class Unreadable(Exception):
    """Text that no reader of separated values takes."""


Block = list[tuple[int, list[str]]]


def separated(text: str) -> list[Table]:
    """Read separated values, a table for each block between empty lines; a line of titles may stand above a table.

    The separator is the one that cuts the first lines most evenly. Raises Unreadable.
    """
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_separator(text), strict=True)
    try:
        lines = [(reader.line_num, row) for row in reader]
    except csv.Error:
        raise Unreadable from None
    found = [table for block in _blocks(lines) for table in _titled(block)]
    if not found:
        raise Unreadable
    return found


def _blocks(lines: Block) -> Iterator[Block]:
    """Cut at lines without content, such as an empty one or `;;;`."""
    filled = ((any(cell.strip() for cell in row), (number, row)) for number, row in lines)
    for is_filled, block in groupby(filled, key=lambda line: line[0]):
        if is_filled:
            yield [line for _, line in block]


def _titled(block: Block) -> Iterator[Table]:
    """Give the title above a table as a table of its own, so that it is read too, and then the table."""
    cells = [sum(1 for cell in row if cell.strip()) for _, row in block]
    above = next((place for place, count in enumerate(cells) if count > 1), min(len(block), MOST_TITLES))
    rows = [row for _, row in block]
    if not any(
        read(cell).kind == "number" for row in [*rows[:above], *rows[above : above + 1]] for cell in row
    ):
        yield from [Table(("",), rows[:above], above, block[0][0], titles=True)] if above else []
        rows, block = rows[above:], block[above:]
    if rows:
        yield as_table(rows, block[0][0] + 1)


def is_ragged(table: Table) -> bool:
    """Tell whether some row has more or fewer cells than the heading."""
    return any(len(row) != len(table.header) for row in table.rows)


def as_table(rows: Sequence[Sequence[str]], first: int = 1) -> Table:
    """Take the first row as headings, unless it looks like data; then it is counted among the rows too."""
    header = tuple(cell.strip() for cell in rows[0])
    if len(rows) > 1 and all(len(row) == len(header) + 1 for row in rows[1:]):
        header = ("", *header)  # row names without a heading, as pandas prints and R writes them
    if _is_heading(header, rows[1:]):
        return Table(header, rows[1:], len(rows) - 1, first)
    return Table(("",) * len(rows[0]), rows, len(rows), first - 1, headed=False)


def _is_heading(header: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Tell headings from data: words, or a word and an axis of rising numbers such as years."""
    cells = [read(cell) for cell in header[:MOST_HEADINGS]]
    values = [cell.value for cell in cells if cell.kind in {"number", "ambiguous"}]
    if not values:
        return any(header) and bool(rows)
    rising = all(one < two for one, two in pairwise(values))
    return (
        rising
        and cells[0].kind not in {"number", "ambiguous"}
        and len(values) == len(header) - 1
        and bool(rows)
    )


def _separator(text: str) -> str:
    lines = [line for line in text[:200_000].split("\n")[:PROBED_LINES] if line.strip()]

    def evenness(separator: str) -> tuple[float, int]:
        widths = Counter(line.count(separator) for line in lines)
        width, times = max(widths.items(), key=lambda item: (item[0] > 0, item[1], item[0]), default=(0, 0))
        return (times / max(len(lines), 1) if width else 0.0, width)

    return max(SEPARATORS, key=evenness)


def in_prose(text: str) -> list[Table]:
    """Find the tables inside a text: runs of lines cut alike by bars, tabs, semicolons, commas or wide gaps."""
    lines = text.split("\n")
    return [
        as_table(run, start + 1) for cut in _CUTS for start, run in _runs(lines, cut) if _is_table(run, cut)
    ]


def _bars(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")] if "|" in line else []


def _semicolons(line: str) -> list[str]:
    return [cell.strip() for cell in line.split(";")] if ";" in line else []


def _commas(line: str) -> list[str]:
    return [cell.strip() for cell in line.split(",")] if "," in line else []


def _gaps(line: str) -> list[str]:
    cells = [cell.strip() for cell in _GAP.split(line.strip())]
    return cells if len(cells) > 1 and "|" not in line else []


_CUTS: Final = (_bars, _semicolons, _commas, _gaps)
Cut = Callable[[str], list[str]]


def _runs(lines: Sequence[str], cut: Cut) -> Iterator[tuple[int, list[list[str]]]]:
    """Give the runs of lines that the cut cuts, with the number of the first; ruling lines do not end a run."""
    run: list[list[str]] = []
    start = 0
    for number, line in enumerate([*lines, ""], 1):
        if run and line.strip() and _RULE.fullmatch(line):
            continue
        if cells := cut(line):
            start = start if run else number
            run.append(cells)
        elif run:
            yield start, run
            run = []


def _is_table(run: Sequence[Sequence[str]], cut: Cut) -> bool:
    """Tell a table from prose: enough lines; cut by signs that prose has too, all alike and with numbers."""
    if cut is _bars:
        return len(run) > 1
    even = len({len(cells) for cells in run}) == 1
    return (
        len(run) >= LEAST_LINES
        and (even or cut is _gaps)
        and any(read(cell).kind == "number" for cells in run for cell in cells)
    )
