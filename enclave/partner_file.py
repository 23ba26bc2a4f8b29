"""A partner's file, read by its dataset policy: typed rows, and the rows that cannot be kept with the reason why.

Everything in the file is hostile: a reason names a column and a rule, never a value. CSV, Parquet or SAS7BDAT, a few
thousand rows in memory at a time; decimal point or comma; dates as 2025-01-31 or 31/01/2025.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import polars as pl

from enclave import partner_csv, partner_reader
from enclave.agreements.policy import DatasetPolicy, PolicyColumn
from enclave.errors import BadInput
from enclave.partner_csv import LATIN_1, LINE, Look, TextRows, Told

# As many rows as tell what a column holds.
SAMPLE_ROWS: Final = 5_000
UNPACKED_MAX: Final = 100 * 10**9
# What a compressed file is taken for before it is read; more than enough parts cost less than too few.
USUAL_RATIO: Final = 6
REASON: Final = "_reason"
UNREAD: Final = "_unread "
ROW: Final = "_row"
CELLS: Final = "cells"
TRUE_WORDS: Final = ("1", "1.0", "true", "oui", "o", "yes", "y")
FALSE_WORDS: Final = ("0", "0.0", "false", "non", "n", "no")


@dataclass(frozen=True)
class PartnerRows:
    """Some rows of a partner's file: `kept` typed by the policy, `aside` as written with `_line` and `_reason`.

    `unread` counts the cells of each column that say something its kind cannot hold.
    """

    kept: pl.DataFrame
    aside: pl.DataFrame
    unread: Counter[str] = field(default_factory=Counter)

    def reasons(self) -> Counter[str]:
        """How many rows were put aside for each reason."""
        counted = self.aside.group_by(REASON).len()
        return Counter(dict(counted.iter_rows()))


@dataclass(frozen=True)
class PartnerFile:
    """A file that has the columns of its policy; `written` says how it was read."""

    path: Path
    policy: DatasetPolicy
    written: str
    unpacked: int  # bytes, an estimate where the format packs
    _look: Look | None
    _limit: int

    @property
    def steps(self) -> int:
        """What `told` counts up to: the bytes of a CSV on disk; 0 where rows are counted, of which nobody knows how many."""
        return self.path.stat().st_size if self._look else 0

    def rows(self, told: Told = lambda _done: None) -> Iterator[PartnerRows]:
        """Give the rows typed by the policy, some at a time; raises `BadInput` where the file cannot be read on."""
        for text in _text_rows(self.path, self._look, self._limit, told):
            yield _by_policy(text, self.policy)


def open_partner_file(path: Path, policy: DatasetPolicy, limit: int = UNPACKED_MAX) -> PartnerFile:
    """Look at a file; raises `BadInput` when it is not, as a whole, what the policy describes.

    `limit` is the most bytes it may unpack to.
    """
    seen = _looked(path, limit)
    names = seen.header if seen else partner_reader.header(path)
    _check_header(names, [column.name for column in policy.source_columns], path)
    if seen is None:
        return PartnerFile(
            path, policy, str(partner_reader.format_of(path)), path.stat().st_size * USUAL_RATIO, seen, limit
        )
    encoding = "Latin-1" if seen.encoding == LATIN_1 else "UTF-8"
    return PartnerFile(path, policy, f"CSV, {encoding}", seen.unpacked, seen, limit)


def sample(path: Path, rows: int = SAMPLE_ROWS) -> pl.DataFrame:
    """Read the first rows of a file nothing was declared about yet, every cell as text.

    Raises `BadInput` when it cannot be read.
    """
    frames, height = [], 0
    for text in _text_rows(path, _looked(path, UNPACKED_MAX), UNPACKED_MAX, lambda _done: None):
        frames.append(text.rows.drop(LINE))
        height += text.rows.height
        if height >= rows:
            break
    return pl.concat(frames).head(rows) if frames else pl.DataFrame()


def put_aside(rows: PartnerRows, bad: pl.Series, reason: str) -> PartnerRows:
    """Move the rows a later step cannot keep (`bad`, one boolean a row of `kept`) to the side, with its reason."""
    if not bad.any():
        return rows
    moved = rows.kept.filter(bad)
    shown = moved.select(
        pl.col(LINE),
        pl.lit(reason).alias(REASON),
        *[pl.col(name).cast(pl.String) for name in rows.kept.columns if name != LINE],
    )
    aside = pl.concat([rows.aside, shown], how="diagonal")
    return PartnerRows(rows.kept.filter(~bad), aside, rows.unread)


def _looked(path: Path, limit: int) -> Look | None:
    """Look at a CSV; the other formats are looked at by their reader."""
    return None if partner_reader.format_of(path) else partner_csv.look(path, limit)


def _text_rows(path: Path, seen: Look | None, limit: int, told: Told) -> Iterator[TextRows]:
    if seen is None:
        return partner_reader.text_rows(path, limit, told)
    return partner_csv.text_rows(path, seen, told)


def _check_header(header: tuple[str, ...], names: list[str], path: Path) -> None:
    missing = [name for name in names if name not in header]
    unknown = len(set(header) - set(names))
    if missing:
        listed = ", ".join(missing[:8])
        raise BadInput(
            "partner_file_columns_missing",
            f"The file {path.name} lacks {len(missing)} column(s) of the policy: {listed}.",
            "Correct the file's header, or the policy.",
            file=path.name,
            columns=listed,
        )
    if unknown or len(set(header)) != len(header):
        raise BadInput(
            "partner_file_columns_unknown",
            f"The file {path.name} has {unknown or 'repeated'} column(s) that the policy does not declare.",
            "Declare each column (`shelf: none` leaves it out), then bring the file in again.",
            file=path.name,
        )


def _by_policy(text: TextRows, policy: DatasetPolicy) -> PartnerRows:
    read = [
        column for column in policy.source_columns if column.shelf != "none" or _is_source(column, policy)
    ]
    judged = (
        text.rows.lazy()
        .select(
            LINE, *[_typed(column).alias(column.name) for column in read], *[_unread(one) for one in read]
        )
        .collect()
    )
    found = {
        column: count
        for column in read
        if column.shelf != "none" and (count := judged[UNREAD + column.name].sum())
    }
    kept = judged.select(LINE, *[column.name for column in read])
    if not found:
        return PartnerRows(kept, _cut(text.broken))
    reason = judged.select(pl.coalesce(*[_reason(column) for column in found]).alias(REASON)).to_series()
    aside = text.rows.with_columns(reason).filter(reason.is_not_null())
    unread = Counter({column.name: count for column, count in found.items()})
    return PartnerRows(
        kept.filter(reason.is_null()),
        pl.concat([aside.select(LINE, REASON, pl.exclude(LINE, REASON)), _cut(text.broken)], how="diagonal"),
        unread,
    )


def _cut(broken: tuple[tuple[int, str], ...]) -> pl.DataFrame:
    """Give the lines with too few or too many cells as they are written: which cell is which, nobody can tell."""
    return pl.DataFrame(
        [(line, CELLS, text) for line, text in broken],
        schema={LINE: pl.Int64, REASON: pl.String, ROW: pl.String},
        orient="row",
    )


def _is_source(column: PolicyColumn, policy: DatasetPolicy) -> bool:
    return any(other.transform is not None and other.transform.of == column.name for other in policy.columns)


def _cell(column: PolicyColumn) -> pl.Expr:
    """Give the cell without surrounding space, and nothing where it is empty."""
    text = pl.col(column.name).str.strip_chars()
    return pl.when(text == "").then(None).otherwise(text)


def _typed(column: PolicyColumn) -> pl.Expr:
    cell = _cell(column)
    if column.kind == "integer":
        return cell.str.replace(r"^(-?\d+)[.,]0+$", "$1").cast(pl.Int64, strict=False)
    if column.kind == "decimal":
        return _finite(cell.str.replace(",", ".", literal=True).cast(pl.Float64, strict=False))
    if column.kind == "date":
        return pl.coalesce(
            cell.str.to_date("%Y-%m-%d", strict=False), cell.str.to_date("%d/%m/%Y", strict=False)
        )
    if column.kind == "boolean":
        word = cell.str.to_lowercase()
        return (
            pl.when(word.is_in(TRUE_WORDS))
            .then(True)
            .when(word.is_in(FALSE_WORDS))
            .then(False)
            .otherwise(None)
        )
    if column.kind == "category" and column.domain is not None:
        return cell.cast(pl.Enum(column.domain), strict=False)
    return cell


def _finite(number: pl.Expr) -> pl.Expr:
    return pl.when(number.is_finite()).then(number).otherwise(None)


def _unread(column: PolicyColumn) -> pl.Expr:
    """Tell where a cell says something its declared kind cannot hold."""
    return (_cell(column).is_not_null() & _typed(column).is_null()).alias(UNREAD + column.name)


def _reason(column: PolicyColumn) -> pl.Expr:
    what = "domain" if column.kind == "category" else column.kind
    return pl.when(pl.col(UNREAD + column.name)).then(pl.lit(f"{what}:{column.name}"))
