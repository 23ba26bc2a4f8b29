"""Find counts from 1 to ten: in count columns and rows, in frequency tables, in words, behind percentages."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from anonymisation.disclosure.content import (
    NOWHERE,
    Content,
    Table,
    at,
    cells_place,
    column_place,
    rows_place,
)
from anonymisation.disclosure.headings import Holds, announces_count, holds, is_count_alone, is_total
from anonymisation.disclosure.hidden_text import Hit
from anonymisation.disclosure.numbers import Cell, read, read_count
from anonymisation.disclosure.policy import DisclosurePolicy

# A one-line table is a frequency table only from so many columns on: {"seed": 3, "version": 1} is none.
LEAST_COUNTS_IN_A_LINE: Final = 3
WHOLE_PERCENT: Final = 100.0
# A share of the column's own sum is a composition, not a rate of something else; to this many points.
COMPOSITION_POINTS: Final = 1.0

_N_EQUALS = re.compile(
    r"\b(?:n|nb|eff|effectifs?|nombre|count|freq|frequency|size)\b\s{0,3}(?:=|:|est de|était de|is|was)\s{0,3}([0-9]{1,9})(?![0-9]|[.,  ][0-9]|\s?%)",
    re.IGNORECASE,
)
_WORD_NUMBERS: Final = (
    "un une deux trois quatre cinq six sept huit neuf dix one two three four five seven eight nine ten"
)
_PEOPLE = re.compile(
    r"(?<![0-9A-Za-z])(?<![0-9][ .,  ])([0-9]{1,4}|"
    + "|".join(_WORD_NUMBERS.split())
    + r")\s{1,2}(?:[a-zà-ÿ]{1,15}\s)?(?:patiente?s?|s[ée]jours?|cas|d[ée]c[èe]s|personnes?|femmes?|hommes?|enfants?|individus?|sujets?"
    r"|people|persons?|stays?|cases?|deaths?|women|men|children|subjects?|individuals?)\b",
    re.IGNORECASE,
)
_COUNT_AND_PERCENT = re.compile(r"\s*[0-9][0-9 ]{0,9}\s?[(\[]\s?[0-9.,]{1,8}\s?%\s?[)\]]\s*")


@dataclass(frozen=True)
class _Column:
    index: int
    holds: Holds
    cells: Sequence[Cell]  # read as counts where they are counts

    @property
    def numbers(self) -> list[Cell]:
        return [cell for cell in self.cells if cell.kind == "number"]


def hits(content: Content, policy: DisclosurePolicy) -> Iterator[Hit]:
    """Find small counts in everything a file holds."""
    for table in content.tables:
        if table.rows and table.width <= policy.columns and not table.titles:
            yield from _table_hits(table.top(policy.most_rows), policy.threshold)
    yield from _text_hits(content, policy.threshold)


def _table_hits(table: Table, threshold: int) -> Iterator[Hit]:
    rows = list(_counting_rows(table))
    columns = _columns(table, transposed=bool(rows))
    counts = [column for column in columns if column.holds == "count"]
    for column in counts:
        yield from _count_hits(table, column, threshold)
    yield from _row_hits(table, rows, threshold)
    yield from _unknown_hits(table, columns, threshold)
    yield from _percent_hits(table, columns, counts, has_counts=bool(counts or rows), threshold=threshold)
    if not counts and not rows:
        yield "no_count_given", NOWHERE
    if not table.headed:
        yield "no_heading", NOWHERE
    yield from _subtraction_hits(table, counts)


def counts_people(table: Table) -> bool:
    """Tell whether some column or row of a table is read as counts."""
    rows = list(_counting_rows(table))
    return bool(rows) or any(column.holds == "count" for column in _columns(table, transposed=False))


def _columns(table: Table, *, transposed: bool) -> list[_Column]:
    columns = [_column(table, index) for index in range(table.width)]
    return columns if transposed else _with_matrix(table, columns)


def _unknown_hits(table: Table, columns: Sequence[_Column], threshold: int) -> Iterator[Hit]:
    """Find small whole numbers where nothing says what they are: under no known heading, or in a heading."""
    for column in columns:
        if column.holds != "unknown" or not _is_whole(column):
            continue
        rows = [row for row in _small(column.cells, threshold) if not _is_measured(table.rows[row])]
        if rows:
            yield "perhaps_small_count", cells_place(table, column.index, rows)
    for index, name in enumerate(table.header):
        if _small([read(name)], threshold):
            yield (
                "perhaps_small_count",
                at(f"titre de la colonne {index + 1}", f"heading of column {index + 1}"),
            )


def _is_measured(row: Sequence[str]) -> bool:
    return holds(next(iter(row), "")) in {"measure", "percent"}


def _column(table: Table, index: int) -> _Column:
    """Read a column as its heading tells, or as its cells show where they are "5 (12 %)" or end in %."""
    texts = table.column(index)
    role = holds(table.name(index))
    filled = [text for text in texts if text.strip()]
    if filled and all(_COUNT_AND_PERCENT.fullmatch(text) for text in filled):
        role = "count"
    cells = [read_count(text) if role == "count" else read(text) for text in texts]
    if (
        role in {"unknown", "count"}
        and any(cell.percent for cell in cells)
        and not any(not cell.percent for cell in cells if cell.kind == "number")
    ):
        role = "percent"
    return _Column(index, role, cells)


def _is_whole(column: _Column) -> bool:
    """Tell whether all that is shown in a column are whole numbers, none below zero."""
    shown = [cell for cell in column.cells if cell.kind != "mask"]
    fits = all(cell.kind in {"below", "ambiguous"} or (cell.whole and cell.value >= 0) for cell in shown)
    return fits and bool(column.numbers)


def _is_index(column: _Column) -> bool:
    """Tell a column of row numbers or classes from counts: the first one, strictly rising."""
    values = [cell.value for cell in column.numbers]
    return column.index == 0 and len(values) > 1 and all(a < b for a, b in pairwise(values))


def _with_matrix(table: Table, columns: list[_Column]) -> list[_Column]:
    """Take several columns of whole numbers with no known heading for the cells of a frequency table."""
    free = [
        column
        for column in columns
        if column.holds == "unknown" and _is_whole(column) and not _is_index(column)
    ]
    least = 2 if len(table.rows) > 1 else LEAST_COUNTS_IN_A_LINE
    if len(free) < least:
        return [
            _Column(c.index, "axis", c.cells) if _is_index(c) and c.holds == "unknown" else c for c in columns
        ]
    taken = {column.index for column in free}
    return [
        _Column(c.index, "count", [read_count(text) for text in table.column(c.index)])
        if c.index in taken
        else (_Column(c.index, "axis", c.cells) if _is_index(c) else c)
        for c in columns
    ]


def _small(cells: Sequence[Cell], threshold: int) -> list[int]:
    return [
        row
        for row, cell in enumerate(cells)
        if cell.kind == "number" and not cell.percent and 0 < cell.value < threshold
    ]


def _count_hits(table: Table, column: _Column, threshold: int) -> Iterator[Hit]:
    cells = column.cells
    found = {
        "small_count": _small(cells, threshold),
        "small_bound": [
            row for row, cell in enumerate(cells) if cell.kind == "below" and cell.value < threshold
        ],
        "negative_count": [row for row, cell in enumerate(cells) if cell.kind == "number" and cell.value < 0],
        "count_unreadable": [row for row, cell in enumerate(cells) if cell.kind in {"other", "ambiguous"}],
    }
    for code, rows in found.items():
        if rows:
            yield code, cells_place(table, column.index, rows)


def _counting_rows(table: Table) -> Iterator[int]:
    """Give the rows that say they hold counts: by their label, or by a cell that only says "n"."""
    for number, row in enumerate(table.rows):
        label = next(iter(row), "")
        if all(read_count(cell).kind != "number" for cell in row):
            continue
        if announces_count(label) or any(is_count_alone(cell) for cell in row):
            yield number


def _row_hits(table: Table, rows: Sequence[int], threshold: int) -> Iterator[Hit]:
    found: dict[str, list[int]] = {"small_count": [], "small_bound": []}
    for number in rows:
        cells = [read_count(cell) for cell in table.rows[number] if not announces_count(cell)]
        if _small(cells, threshold):
            found["small_count"].append(number)
        if any(cell.kind == "below" and cell.value < threshold for cell in cells):
            found["small_bound"].append(number)
    for code, numbers in found.items():
        if numbers:
            yield code, rows_place(table, numbers)


def _percent_hits(
    table: Table, columns: Sequence[_Column], counts: Sequence[_Column], *, has_counts: bool, threshold: int
) -> Iterator[Hit]:
    for column in columns:
        if column.holds != "percent" or not column.numbers:
            continue
        if not has_counts:
            yield "percent_without_count", column_place(table, column.index)
        rows = sorted({row for count in counts for row in _revealed(column, count, threshold)})
        if rows:
            yield "percent_reveals_count", cells_place(table, column.index, rows)


def _revealed(percent: _Column, count: _Column, threshold: int) -> list[int]:
    """Give the rows where the percentage of this count comes to fewer than the threshold, and is not just its own share."""
    pairs = [
        (row, share.value, of.value)
        for row, (share, of) in enumerate(zip(percent.cells, count.cells, strict=True))
        if share.kind == of.kind == "number"
    ]
    unit = WHOLE_PERCENT if any(share > 1 for _, share, _ in pairs) else 1.0
    total = sum(of for _, _, of in pairs)
    if total and all(
        abs(share / unit - of / total) * WHOLE_PERCENT <= COMPOSITION_POINTS for _, share, of in pairs
    ):
        return []
    return [row for row, share, of in pairs if 0 < share / unit * of < threshold - 0.5]


def _subtraction_hits(table: Table, counts: Sequence[_Column]) -> Iterator[Hit]:
    hidden = any(cell.kind in {"mask", "below"} for column in counts for cell in column.cells)
    labels = [cell for row in table.rows for cell in row[:1]]
    named = any(is_total(label) for label in labels) or any(
        is_total(table.name(column.index)) for column in counts
    )
    if hidden and named:
        yield "hidden_with_total", NOWHERE


def _text_hits(content: Content, threshold: int) -> Iterator[Hit]:
    text = content.joined
    for found in _N_EQUALS.finditer(text):
        if 0 < int(found[1]) < threshold:
            yield "small_count_in_text", content.place_of(found.start())
            break
    for found in _PEOPLE.finditer(text):
        if not found[1].isdecimal() or 0 < int(found[1]) < threshold:
            yield "perhaps_small_count_in_text", content.place_of(found.start())
            break
