"""Find individual records in what should be results: too many rows, a row a person, free text."""

import re
from collections.abc import Iterator
from typing import Final

from anonymisation.disclosure.content import NOWHERE, Content, Table, column_place
from anonymisation.disclosure.headings import STATISTIC, Holds, holds, words
from anonymisation.disclosure.hidden_text import Hit
from anonymisation.disclosure.numbers import read, read_count
from anonymisation.disclosure.policy import DisclosurePolicy
from anonymisation.disclosure.small_counts import counts_people

# From so many rows on, a column of ids is a list of people and not a note.
LEAST_IDS: Final = 5
FREE_TEXT_CHARACTERS: Final = 30
MOST: Final = 0.9
_ID_VALUE = re.compile(
    r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}|[0-9a-f]{12,}|[0-9]{7,20}"
    r"|(?=[A-Za-z_-]{0,64}[0-9])(?=[0-9_-]{0,64}[A-Za-z])[A-Za-z0-9_-]{10,64}",
    re.IGNORECASE,
)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}(?:-[0-9]{2})?.{0,20}|[0-9]{2}/[0-9]{2}/[0-9]{4}")


def hits(content: Content, policy: DisclosurePolicy) -> Iterator[Hit]:
    """Find what looks like records in everything a file holds."""
    for table in content.tables:
        yield from _table_hits(table, policy)
    if content.longest_list > policy.most_rows:
        yield "too_many_rows", NOWHERE
    if content.text_lines > policy.most_rows:
        yield "long_text", NOWHERE


def _table_hits(table: Table, policy: DisclosurePolicy) -> Iterator[Hit]:
    if table.lines > policy.most_rows:
        yield "too_many_rows", NOWHERE
    if table.width > policy.columns:
        yield "too_many_columns", NOWHERE
        return
    table = table.top(policy.most_rows)
    roles = [holds(table.name(index)) for index in range(table.width)]
    for index, role in enumerate(roles):
        code = _column_code(table, index, role, policy, aggregated=counts_people(table))
        if code:
            yield code, column_place(table, index)


def _column_code(
    table: Table, index: int, role: Holds, policy: DisclosurePolicy, *, aggregated: bool
) -> str | None:
    cells = [cell.strip() for cell in table.column(index) if cell.strip()]
    different = len(set(cells)) > policy.unique_share * len(cells)
    many = len(cells) > policy.unique_over_rows
    named = role == "count" and sum(read_count(cell).kind == "other" for cell in cells) > len(cells) * MOST
    if role == "count" and not named:
        return "constant_count" if many and len(set(cells)) == 1 else None
    if len(cells) < LEAST_IDS or not different:
        return None
    known = role in {"measure", "percent"} or (role == "axis" and aggregated)
    if role == "id" or named or (not known and _are_ids(cells)):
        return "one_row_a_person"
    if not many or (role in {"measure", "percent"} and _are_decimals(cells)):
        return None
    if sum(map(len, cells)) > FREE_TEXT_CHARACTERS * len(cells):
        return "text_column"
    modelled = any(word in STATISTIC for name in table.header for word in words(name))
    return None if aggregated or modelled or _are_decimals(cells) else "nearly_all_different"


def _are_ids(cells: list[str]) -> bool:
    """Tell whether nearly all values look like identifiers; days do not."""
    alike = sum(1 for cell in cells if _ID_VALUE.fullmatch(cell) and not _DAY.fullmatch(cell))
    return alike > len(cells) * MOST


def _are_decimals(cells: list[str]) -> bool:
    numbers = [read(cell) for cell in cells]
    return all(cell.kind in {"number", "ambiguous", "mask"} for cell in numbers) and any(
        not cell.whole for cell in numbers
    )
