"""What a steward declared about a table: the only source of domains, bounds and the privacy unit."""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal

from anonymisation.errors import Damaged

UNIT: Final = "_unit"
"""Column of unit numbers (UInt64) on every shelf; a unit's rows lie together in one part."""

ROW_UNIT: Final = "row"
"""Value of `Table.unit` where the protected unit is the row itself."""

DECIMAL: Final = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,9})?", re.ASCII)

Kind = Literal["category", "integer", "decimal", "date", "boolean"]


@dataclass(frozen=True)
class Column:
    """One declared column; `low`/`high` are decimal or ISO date strings, `digits` the decimals kept in sums.

    Of a column that is `never_null` a mean shares its count with the count of rows: intake keeps no row that lacks it.
    The privacy loss does not rest on it.
    """

    name: str
    kind: Kind
    domain: tuple[str, ...] | None = None
    low: str | None = None
    high: str | None = None
    digits: int = 0
    never_null: bool = False


@dataclass(frozen=True)
class Denominator:
    """Public numbers of persons by age band, declared with their source; by the values of a category too where it names one.

    `starts` are the youngest ages of the bands, the last one open; `persons` holds one number a band for each value of
    `column`, or for "all" where there is none.
    """

    name: str
    source: str
    starts: tuple[int, ...]
    column: str | None
    persons: tuple[tuple[str, tuple[int, ...]], ...]


@dataclass(frozen=True)
class Table:
    """A dataset version as questions see it; `rows` and `groups` are the bounds K and L per unit by default.

    `rows_per_group` bounds the rows of a unit in one group by default; `linkable`: it may be asked together with another
    dataset of its population that is linkable too.
    """

    dataset: str
    version: int
    population: str
    unit: str
    unit_column: str | None
    columns: tuple[Column, ...]
    rows: int
    groups: int
    rows_per_group: int | None = None
    linkable: bool = False
    denominators: tuple[Denominator, ...] = ()

    def column(self, name: str) -> Column | None:
        """Give the declared column of that name, if there is one."""
        return next((column for column in self.columns if column.name == name), None)

    @property
    def per_row(self) -> bool:
        """True where each row is its own unit: the answer protects a row, not a person."""
        return self.unit == ROW_UNIT


def scaled(text: str | int, digits: int) -> int | None:
    """Give a decimal string as an integer count of 10**-digits, or None where it is not exactly one."""
    if isinstance(text, bool) or not DECIMAL.fullmatch(str(text)):
        return None
    shifted = Decimal(str(text)).scaleb(digits)
    return int(shifted) if shifted == shifted.to_integral_value() else None


def declared(text: str | None, digits: int, column: str) -> int | None:
    """Give a steward's bound as a scaled integer; a bound that cannot be read is a damaged policy."""
    if text is None:
        return None
    number = scaled(text, digits)
    if number is None:
        raise Damaged(
            "policy_damaged", f"The declared bounds of column {column} cannot be read.", column=column
        )
    return number
