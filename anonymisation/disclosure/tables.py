"""Find tables in text: separated values, Markdown tables, columns aligned with spaces."""

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Final

from anonymisation.disclosure.content import Table
from anonymisation.disclosure.numbers import read

SEPARATORS: Final = (";", "\t", ",", "|")
PROBED_LINES: Final = 60
LEAST_LINES: Final = 3
MOST_HEADINGS: Final = 1_000
_GAP = re.compile(r"\t| {2,}")
_RULE = re.compile(r"[\s|:+=-]+")


class Unreadable(Exception):
    """Text that no reader of separated values takes."""


def separated(text: str) -> Table:
    """Read separated values; the separator is the one that cuts the first lines most evenly. Raises Unreadable."""
    try:
        rows = [
            row
            for row in csv.reader(io.StringIO(text, newline=""), delimiter=_separator(text), strict=True)
            if row
        ]
    except csv.Error:
        raise Unreadable from None
    if not rows:
        raise Unreadable
    return as_table(rows, first=2)


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
