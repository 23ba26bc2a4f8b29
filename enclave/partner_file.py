"""A partner's file, read by its dataset policy: typed rows, and the rows that cannot be kept with the reason why.

Everything in the file is hostile: a reason names a column and a rule, never a value. CSV, Parquet or SAS7BDAT, a few
thousand rows in memory at a time; decimal point or comma; dates as 2025-01-31 or 31/01/2025.
"""

import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from enclave import partner_csv, partner_reader
from enclave.agreements.policy import DatasetPolicy, PolicyColumn
from enclave.errors import BadInput
from enclave.partner_cells import Reader
from enclave.partner_csv import LATIN_1, LINE, Look, Read, TextRows, Told, unreadable

# As many rows as tell what a column holds.
SAMPLE_ROWS: Final = 5_000
UNPACKED_MAX: Final = 100 * 10**9
# What a compressed file is taken for before it is read; more than enough parts cost less than too few.
USUAL_RATIO: Final = 6
REASON: Final = "_reason"
ROW: Final = "_row"
CELLS: Final = "cells"
EMPTY: Final = "empty"


class Mark(NamedTuple):
    """What tells a file from another, and from itself once somebody wrote in it."""

    device: int
    inode: int
    size: int
    written: int
    changed: int


@dataclass(frozen=True)
class PartnerRows:
    """Some rows of a partner's file: `kept` typed by the policy, `aside` as written with `_line` and `_reason`.

    `unread` counts the cells of each column that say something its kind cannot hold; `places` are the rows of `text`
    that were kept. Lines count from the first of these, of which there are `lines`, as 0.
    """

    text: TextRows
    kept: pa.RecordBatch
    places: NDArray[np.int64]
    aside: pl.DataFrame
    unread: Counter[str] = field(default_factory=Counter)

    @property
    def lines(self) -> int:
        """How many lines of the file these rows take."""
        return self.text.lines

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
    mark: Mark
    _look: Look | None
    _limit: int

    @property
    def steps(self) -> int:
        """What `told` counts up to: the bytes of a CSV on disk; 0 where rows are counted, of which nobody knows how many."""
        return self.path.stat().st_size if self._look else 0

    @property
    def first_line(self) -> int:
        """The line of the first row; nobody counts a header where rows are not lines."""
        return 2 if self._look else 1

    def reads(self, told: Told = lambda _done: None) -> Iterator[Read]:
        """Give what reads the rows, some at a time; each may be called in any thread. Raises `BadInput`."""
        return _text_rows(self.path, self._look, self._limit, told)

    def check_unchanged(self) -> None:
        """Raise `BadInput` where what was read is no longer what lies there: who still writes it has not sent it yet."""
        if mark_of(self.path) != self.mark:
            raise BadInput(
                "partner_file_changed",
                f"The file {self.path.name} changed while it was read.",
                "Bring it in once it is whole: nothing was brought in.",
                file=self.path.name,
            )

    def typed(self, text: TextRows) -> PartnerRows:
        """Give rows typed by the policy."""
        some_empty = text.empty is None
        read = {
            name: reader.read(text.rows.column(name), some_empty=some_empty)
            for name, reader in self._readers.items()
        }
        kept = pa.RecordBatch.from_arrays([one.values for one in read.values()], names=list(read))
        rows = PartnerRows(text, kept, np.arange(kept.num_rows), _cut(text))
        unread = {
            name: one.unread
            for name, one in read.items()
            if one.unread is not None and name not in self._left_out
        }
        rows = _without_unread(rows, unread, {name: self._readers[name].column for name in unread})
        for name in self.policy.never_empty:
            rows = put_aside(rows, np.asarray(rows.kept.column(name).is_null()), f"{EMPTY}:{name}")
        return rows

    @cached_property
    def _readers(self) -> dict[str, Reader]:
        """The columns that are read: those on a shelf, and those another is made from."""
        return {
            column.name: Reader(column)
            for column in self.policy.source_columns
            if column.shelf != "none" or _is_source(column, self.policy)
        }

    @cached_property
    def _left_out(self) -> frozenset[str]:
        return frozenset(column.name for column in self.policy.source_columns if column.shelf == "none")


def open_partner_file(path: Path, policy: DatasetPolicy, limit: int = UNPACKED_MAX) -> PartnerFile:
    """Look at a file; raises `BadInput` when it is not, as a whole, what the policy describes.

    `limit` is the most bytes it may unpack to.
    """
    mark = mark_of(path)
    seen = _looked(path, limit)
    names = seen.header if seen else partner_reader.header(path)
    _check_header(names, [column.name for column in policy.source_columns], path)
    if seen is None:
        written = str(partner_reader.format_of(path))
        return PartnerFile(path, policy, written, mark.size * USUAL_RATIO, mark, seen, limit)
    encoding = "Latin-1" if seen.encoding == LATIN_1 else "UTF-8"
    return PartnerFile(path, policy, f"CSV, {encoding}", seen.unpacked, mark, seen, limit)


def mark_of(path: Path) -> Mark:
    """Tell a file by its mark; raises `BadInput` where there is none, or something else than a file.

    A link is none: what it leads to may be anybody's, and would stay where it is when the link is deleted.
    """
    try:
        found = path.lstat()
    except OSError:
        raise unreadable(path) from None
    if not stat.S_ISREG(found.st_mode):
        raise BadInput(
            "partner_file_no_file",
            f"{path.name} is a link, a folder or a device, not a file.",
            "Give the file itself.",
            file=path.name,
        )
    return Mark(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def sample(path: Path, rows: int = SAMPLE_ROWS) -> pl.DataFrame:
    """Read the first rows of a file nothing was declared about yet, every cell as text.

    Raises `BadInput` when it cannot be read.
    """
    mark_of(path)
    frames, height = [], 0
    for read in _text_rows(path, _looked(path, UNPACKED_MAX), UNPACKED_MAX, lambda _done: None):
        frames.append(read().written())
        height += frames[-1].height
        if height >= rows:
            break
    return pl.concat(frames).head(rows) if frames else pl.DataFrame()


def put_aside(rows: PartnerRows, bad: NDArray[np.bool_], reason: str) -> PartnerRows:
    """Move the rows a later step cannot keep (`bad`, one boolean a row of `kept`) to the side, with its reason."""
    if not bad.any():
        return rows
    moved = _written(rows.text, rows.places[bad], reason)
    return PartnerRows(
        rows.text,
        rows.kept.filter(pa.array(~bad)),
        rows.places[~bad],
        pl.concat([rows.aside, moved], how="diagonal"),
        rows.unread,
    )


def _looked(path: Path, limit: int) -> Look | None:
    """Look at a CSV; the other formats are looked at by their reader."""
    return None if partner_reader.format_of(path) else partner_csv.look(path, limit)


def _text_rows(path: Path, seen: Look | None, limit: int, told: Told) -> Iterator[Read]:
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


def _without_unread(
    rows: PartnerRows, unread: dict[str, NDArray[np.bool_]], columns: dict[str, PolicyColumn]
) -> PartnerRows:
    """Move rows with a cell that could not be read to the side, each for the first of its columns."""
    counts = Counter({name: int(where.sum()) for name, where in unread.items()})
    for name, where in unread.items():
        rows = put_aside(rows, where[rows.places], _reason(columns[name]))
    return PartnerRows(rows.text, rows.kept, rows.places, rows.aside, counts)


def _reason(column: PolicyColumn) -> str:
    return f"{'domain' if column.kind == 'category' else column.kind}:{column.name}"


def _written(text: TextRows, places: NDArray[np.int64], reason: str) -> pl.DataFrame:
    """Give rows as they are written, each with its line and the reason why it is not kept."""
    written = text.written().with_columns(text.line_numbers())[places]
    return written.select(LINE, pl.lit(reason).alias(REASON), pl.exclude(LINE))


def _cut(text: TextRows) -> pl.DataFrame:
    """Give the lines with too few or too many cells as they are written: which cell is which, nobody can tell."""
    return pl.DataFrame(
        [(line, CELLS, row) for line, row in text.broken],
        schema={LINE: pl.Int64, REASON: pl.String, ROW: pl.String},
        orient="row",
    )


def _is_source(column: PolicyColumn, policy: DatasetPolicy) -> bool:
    return any(other.transform is not None and other.transform.of == column.name for other in policy.columns)
