"""The cells of a partner's column, text as they came, read as the kind its policy declares.

Each kind has a quick way over whole buffers, taken only where it is sure to say what the careful way would say of every
cell; a column with anything unusual in it goes the careful way, cell by cell.
"""

from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any, Final

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from enclave.agreements.policy import PolicyColumn

TRUE_WORDS: Final = ("1", "1.0", "true", "oui", "o", "yes", "y")
FALSE_WORDS: Final = ("0", "0.0", "false", "non", "n", "no")
BOOLEAN_WORDS: Final = pa.array(TRUE_WORDS + FALSE_WORDS)
DATE_WIDTH: Final = 10
# Two figures of a year are of no century; Python knows no year before the first, which the shortest date is of.
ISO_DATE: Final = r"^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}$"
FRENCH_DATE: Final = r"^[0-9]{1,2}/[0-9]{1,2}/[0-9]{4}$"
FIRST_DAY: Final = date.min
# Where the digits of 31/01/2025 stand in 2025-01-31; the strokes between them are written anew.
ISO_ORDER: Final = np.array([6, 7, 8, 9, 2, 3, 4, 5, 0, 1])
STROKE, DASH = ord("/"), ord("-")


@dataclass(frozen=True)
class Typed:
    """A column by its kind, null where a cell is empty or unread; a declared domain's column holds places in it.

    `unread` says where a cell says something its kind cannot hold; None where no cell does.
    """

    values: pa.Array
    unread: NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class Reader:
    """Reads the cells of one declared column."""

    column: PolicyColumn

    def read(self, cells: pa.Array, *, some_empty: bool = True) -> Typed:
        """Read cells without surrounding space; those that are then empty say nothing.

        Not `some_empty`: whoever made the cells took care that one without a letter is null.
        """
        quick = None if some_empty and _has_empty(cells) else self._quick(cells)
        return _carefully(cells, self.column) if quick is None else Typed(quick)

    @cached_property
    def _words(self) -> pa.Array | None:
        """The declared domain, where no word of it has space around it."""
        domain = self.column.domain or ()
        return pa.array(domain, pa.string()) if all(word == word.strip() for word in domain) else None

    def _quick(self, cells: pa.Array) -> pa.Array | None:
        if self.column.kind == "integer":
            return _cast(cells, pa.int64()) if _only(cells, b"-0123456789") else None
        if self.column.kind == "decimal":
            return _decimals(cells)
        if self.column.kind == "date":
            return _dates(cells)
        if self.column.kind == "boolean":
            return _booleans(cells)
        if self.column.kind == "category" and self.column.domain is not None:
            return None if self._words is None else _places(cells, self._words)
        return _trimmed(cells)


def _has_empty(cells: pa.Array) -> bool:
    return bool(pc.any(pc.equal(pc.binary_length(cells), 0)).as_py())


def _cast(cells: pa.Array, kind: pa.DataType) -> pa.Array | None:
    try:
        return pc.cast(cells, kind)
    except pa.ArrowInvalid:
        return None


def _decimals(cells: pa.Array) -> pa.Array | None:
    if not _only(cells, b"-.,0123456789"):
        return None
    valid, offsets, text = cells.buffers()
    if not _only(cells, b"-.0123456789"):
        text = pa.py_buffer(text.to_pybytes().replace(b",", b"."))
    pointed = pa.Array.from_buffers(cells.type, len(cells), [valid, offsets, text], offset=cells.offset)
    numbers = _cast(pointed, pa.float64())
    return numbers if numbers is not None and pc.all(pc.is_finite(numbers)).as_py() is not False else None


def _dates(cells: pa.Array) -> pa.Array | None:
    """Read dates that are all 2025-01-31, or all 31/01/2025."""
    iso = _cast(cells, pa.date32())
    read = _turned(cells) if iso is None and not cells.null_count else iso
    early = read is not None and pc.any(pc.less(read, pa.scalar(FIRST_DAY))).as_py()
    return None if early else read


def _turned(cells: pa.Array) -> pa.Array | None:
    text = _text(cells)
    if len(text) != len(cells) * DATE_WIDTH:
        return None
    letters = text.reshape(-1, DATE_WIDTH)
    if not (letters[:, [2, 5]] == STROKE).all() or (pc.binary_length(cells).to_numpy() != DATE_WIDTH).any():
        return None
    turned = letters[:, ISO_ORDER]
    turned[:, [4, 7]] = DASH
    return _cast(_fixed(turned), pa.date32())


def _booleans(cells: pa.Array) -> pa.Array | None:
    places = _places(cells, BOOLEAN_WORDS)
    return None if places is None else pc.less(places, len(TRUE_WORDS))


def _places(cells: pa.Array, domain: pa.Array) -> pa.Array | None:
    places = pc.index_in(cells, value_set=domain)
    return places if places.null_count == cells.null_count else None


def _trimmed(cells: pa.Array) -> pa.Array | None:
    """Give texts that have no space around them; what Arrow takes for space is all that polars does, and more."""
    return cells if len(_text(pc.utf8_trim_whitespace(cells))) == len(_text(cells)) else None


def _text(cells: pa.Array) -> NDArray[np.uint8]:
    """Give the bytes of all cells, one behind the other."""
    _, offsets, text = cells.buffers()
    if text is None or not len(cells):  # Arrow may then leave the offsets out
        return np.zeros(0, np.uint8)
    first, last = np.frombuffer(offsets, np.int32)[[cells.offset, cells.offset + len(cells)]]
    return np.frombuffer(text, np.uint8)[first:last]


def _only(cells: pa.Array, letters: bytes) -> bool:
    allowed = np.zeros(256, np.bool_)
    allowed[list(letters)] = True
    return bool(allowed[_text(cells)].all())


def _fixed(letters: NDArray[np.uint8]) -> pa.Array:
    """Give rows of as many bytes each as an array of text."""
    count, width = letters.shape
    offsets = np.arange(0, (count + 1) * width, width, dtype=np.int32)
    return pa.Array.from_buffers(
        pa.string(), count, [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(letters))]
    )


def _carefully(cells: pa.Array, column: PolicyColumn) -> Typed:
    frame = pl.DataFrame({"cell": pl.Series(pl.from_arrow(cells), dtype=pl.String)}).select(_bare())
    read = frame.select(cell=_typed(column)).to_series()
    unread = (frame["cell"].is_not_null() & read.is_null()).to_numpy()
    return Typed(_as_arrow(read), unread if unread.any() else None)


def _as_arrow(read: pl.Series) -> Any:
    if isinstance(read.dtype, pl.Enum):
        return read.to_physical().cast(pl.Int32).to_arrow()
    # The oldest form of a text array: the one the quick way gives
    given = read.to_arrow(compat_level=pl.CompatLevel.oldest())
    return given.cast(pa.string()) if given.type == pa.large_string() else given


def _bare() -> pl.Expr:
    """Give the cell without surrounding space, and nothing where it is empty."""
    text = pl.col("cell").str.strip_chars()
    return pl.when(text == "").then(None).otherwise(text).alias("cell")


def _typed(column: PolicyColumn) -> pl.Expr:
    cell = pl.col("cell")
    if column.kind == "integer":
        return cell.str.replace(r"^(-?\d+)[.,]0+$", "$1").cast(pl.Int64, strict=False)
    if column.kind == "decimal":
        return _finite(cell.str.replace(",", ".", literal=True).cast(pl.Float64, strict=False))
    if column.kind == "date":
        iso = pl.when(cell.str.contains(ISO_DATE)).then(cell).str.to_date("%Y-%m-%d", strict=False)
        french = pl.when(cell.str.contains(FRENCH_DATE)).then(cell).str.to_date("%d/%m/%Y", strict=False)
        return _from_first_day(pl.coalesce(iso, french))
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


def _from_first_day(day: pl.Expr) -> pl.Expr:
    return pl.when(day >= FIRST_DAY).then(day).otherwise(None)


def _finite(number: pl.Expr) -> pl.Expr:
    return pl.when(number.is_finite()).then(number).otherwise(None)
