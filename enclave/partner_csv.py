"""A partner's CSV as batches of text, after one look over its bytes: is it whole, how is it written, how large is it.

`;`, `,` or tab; UTF-8 or Latin-1, the latter read as Windows-1252, which is what files that say Latin-1 are in fact
(WHATWG Encoding Standard, §4.2); plain or gzip.
"""

import codecs
import gzip
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final, cast

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.csv as pa_csv
from numpy.typing import NDArray

from enclave.errors import BadInput

DELIMITERS: Final = (";", ",", "\t")
UTF_8: Final = "utf-8"
LATIN_1: Final = "windows-1252"
PIECE_BYTES: Final = 4 << 20
# What is parsed, typed and split at a time: several times as much memory as these bytes. No row is longer.
BLOCK_BYTES: Final = 3 << 19
# A byte of Windows-1252 becomes three bytes of UTF-8 at most.
GROWS_TO: Final = 3
# A header that long is not the header of a table; it would have to be held in memory whole.
HEADER_BYTES_MAX: Final = 1_000_000
# A text with one letter in ten that is good UTF-8 beside broken ones is neither encoding.
MOSTLY: Final = 10
# RFC 3629, section 3: letters of more than one byte begin with 11, go on with 10, and have four bytes at most.
LEAD: Final = 0xC0
LETTER_BYTES_MAX: Final = 4
BROKEN: Final = re.compile("[\udc80-\udcff]")
LETTERS: Final = re.compile("[^\x00-\x7f\udc80-\udcff]")
QUOTE: Final = ord('"')
LINE: Final = "_line"

Told = Callable[[int], None]


@dataclass(frozen=True)
class Look:
    """How a CSV is written: what one pass over its bytes tells."""

    encoding: str
    delimiter: str
    header: tuple[str, ...]
    unpacked: int  # bytes, without gzip
    # Bytes of the header's line where every line end is the end of a row: no cell holds one, as none is quoted.
    plain_header: int | None = None


@dataclass(frozen=True)
class TextRows:
    """Rows as text, null where nothing is written; `broken` are lines, and their text, without the header's cells.

    Lines are counted from the first of these rows, which is 0. `empty` is how the file writes an empty cell.
    """

    rows: pa.RecordBatch
    broken: tuple[tuple[int, str], ...] = ()
    empty: str | None = None

    @property
    def lines(self) -> int:
        """How many lines there are, whole and broken."""
        return int(self.rows.num_rows) + len(self.broken)

    def line_numbers(self) -> pl.Series:
        """Give the line of each row: all but those of the broken."""
        numbers = np.delete(np.arange(self.lines), [line for line, _ in self.broken])
        return pl.Series(LINE, numbers, dtype=pl.Int64)

    def written(self) -> pl.DataFrame:
        """Give the rows as they are written."""
        frame = cast("pl.DataFrame", pl.from_arrow(self.rows))
        return frame if self.empty is None else frame.fill_null(self.empty)


Read = Callable[[], TextRows]


def look(path: Path, limit: int) -> Look:
    """Read a file's bytes once, holding none of them.

    Raises `BadInput` when it cannot be read, is cut, mixes encodings, unpacks to more than `limit` bytes, or has a
    quotation mark where none may be.
    """
    first = _beginning(path)
    delimiter = max(DELIMITERS, key=lambda mark: first.count(mark.encode()))
    letters, quotes, last, unpacked = _Letters(), Quotes(delimiter), b"", 0
    for piece in _pieces(path):
        unpacked += len(piece)
        if unpacked > limit:
            raise too_large(path, limit)
        letters.take(piece)
        quotes.take(piece)
        last = piece[-1:]
    encoding = letters.encoding(path)
    header = _header(path, first, encoding)
    if last not in {b"\n", b"\r"}:  # also of gzip, whose members may be cut apart where each is whole
        raise _cut(path)
    if not quotes.in_place:
        raise _quote_open(path)
    names = tuple(cell.strip().strip('"') for cell in header.split(delimiter))
    plain = len(first) if first.endswith(b"\n") and not quotes.count else None
    return Look(encoding, delimiter, names, unpacked, plain)


def _beginning(path: Path) -> bytes:
    """Give the first line with its end, or as much of it as a header may have."""
    with _read(path) as file:
        return b"".join(file.readline(HEADER_BYTES_MAX).splitlines(keepends=True)[:1])


def text_rows(path: Path, seen: Look, told: Told = lambda _done: None) -> Iterator[Read]:
    """Give every cell as the text it is, some thousand rows at a time; `told` hears the bytes of the file done.

    What is given reads its rows when it is called, from any thread; it, or the next, raises `BadInput`.
    """
    if seen.plain_header is not None:
        return _blocks(path, seen, seen.plain_header, told)
    return _one_by_one(path, seen, told)


def _blocks(path: Path, seen: Look, header: int, told: Told) -> Iterator[Read]:
    """Cut the file behind line ends, so that each block is read by itself."""
    left = b""
    with _as_csv(path), path.open("rb") as raw, _unpacked(raw, path) as file:
        file.read(header)
        while piece := file.read(BLOCK_BYTES):
            end = piece.rfind(b"\n") + 1
            if not end and len(left) + len(piece) > BLOCK_BYTES:
                raise _not_csv(path)
            block, left = (left + piece[:end], piece[end:]) if end else (b"", left + piece)
            told(raw.tell())
            if block:
                yield partial(_read_block, path, seen, block)
        if left:
            yield partial(_read_block, path, seen, left)


def _read_block(path: Path, seen: Look, block: bytes) -> TextRows:
    broken: list[tuple[int, str]] = []
    if seen.encoding == UTF_8 and not _is_utf_8(block, len(block)):
        raise _not_csv(path)
    with _as_csv(path):
        table = pa_csv.read_csv(
            pa.BufferReader(block),
            read_options=pa_csv.ReadOptions(
                block_size=len(block) * GROWS_TO,
                use_threads=False,
                column_names=seen.header,
                encoding=seen.encoding,
            ),
            parse_options=_parsing(seen, broken),
            convert_options=_converting(seen, checked=seen.encoding == UTF_8),
        )
    return TextRows(one_batch(table), tuple((number - 1, text) for number, text in broken), "")


def _one_by_one(path: Path, seen: Look, told: Told) -> Iterator[Read]:
    """Read from the first to the last byte: only so is a line end in a quoted cell told from the end of a row."""
    broken: list[tuple[int, str]] = []
    with _as_csv(path), pa.OSFile(str(path)) as raw:
        line, given = 2, 0
        for batch in _reader(raw, path, seen, broken):
            passed = _before(broken[given:], line, batch.num_rows)
            given += len(passed)
            told(raw.tell())
            rows = TextRows(batch, tuple((number - line, text) for number, text in passed), "")
            line += rows.lines
            yield ready(rows)
        if broken[given:]:
            left = tuple((place, text) for place, (_, text) in enumerate(broken[given:]))
            yield ready(TextRows(_no_rows(seen), left, ""))


def _before(broken: list[tuple[int, str]], line: int, rows: int) -> list[tuple[int, str]]:
    """Give those of the broken lines that stand before or among so many rows; the reader may know of later ones."""
    passed: list[tuple[int, str]] = []
    for number, text in broken:
        if number >= line + rows + len(passed):
            break
        passed.append((number, text))
    return passed


def ready(rows: TextRows) -> Read:
    """Give rows that are read already as what reads them."""
    return lambda: rows


@contextmanager
def _as_csv(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, EOFError, zlib.error, UnicodeDecodeError):
        raise _not_csv(path) from None


def one_batch(table: pa.Table) -> pa.RecordBatch:
    """Give a table's rows as one batch."""
    columns = [column.combine_chunks() for column in table.columns]
    return pa.RecordBatch.from_arrays(columns, schema=table.schema)


def _not_csv(path: Path) -> BadInput:
    return BadInput(
        "partner_file_not_csv",
        f"The file {path.name} cannot be read as CSV from its first to its last line.",
        "Check that it was copied whole and saved as CSV in UTF-8 or Latin-1.",
        file=path.name,
    )


def unreadable(path: Path) -> BadInput:
    """Give the refusal of a file whose bytes cannot be had."""
    return BadInput(
        "partner_file_unreadable",
        f"The file {path.name} cannot be read.",
        "Check its name and rights, and that it was copied whole.",
        file=path.name,
    )


def too_large(path: Path, limit: int) -> BadInput:
    """Give the refusal of a file that holds more than the house takes in."""
    return BadInput(
        "partner_file_too_large",
        f"The file {path.name} unpacks to more than {limit // 10**9} GB.",
        "Split it, or raise intake.unpacked_gb_max.",
        file=path.name,
    )


@dataclass
class _Letters:
    """Which of the two encodings a text is in, told from every letter of it that is not ASCII."""

    decoder: codecs.IncrementalDecoder = field(
        default_factory=lambda: codecs.getincrementaldecoder(UTF_8)("surrogateescape")
    )
    good: int = 0
    broken: int = 0

    def take(self, piece: bytes) -> None:
        while piece and self.decoder.getstate()[0]:
            self._decode(piece[:1])
            piece = piece[1:]
        whole = len(piece) - _begun(piece)
        if _is_utf_8(piece, whole):
            self.good += int(np.count_nonzero(np.frombuffer(piece, np.uint8, whole) >= LEAD))
            piece = piece[whole:]
        self._decode(piece)

    def _decode(self, piece: bytes) -> None:
        text = self.decoder.decode(piece)
        self.broken += len(BROKEN.findall(text))
        self.good += len(LETTERS.findall(text))

    def encoding(self, path: Path) -> str:
        broken = self.broken + len(self.decoder.getstate()[0])
        if not broken:
            return UTF_8
        if self.good * MOSTLY <= broken:
            return LATIN_1
        raise BadInput(
            "partner_file_encoding",
            f"The file {path.name} is neither UTF-8 nor Latin-1 text from its first to its last line.",
            "Save it as CSV in UTF-8.",
            file=path.name,
        )


def _begun(piece: bytes) -> int:
    """Give how many bytes at the end are the beginning of a letter that goes on in the next piece."""
    for back in range(1, min(LETTER_BYTES_MAX, len(piece)) + 1):
        if piece[-back] >= LEAD:
            return back
    return 0


def _is_utf_8(piece: bytes, size: int) -> bool:
    """Tell whether the first `size` bytes are whole letters of UTF-8, many times quicker than decoding them."""
    bounds = pa.py_buffer(np.array([0, size], np.int32))
    try:
        pa.Array.from_buffers(pa.binary(), 1, [None, bounds, pa.py_buffer(piece)]).cast(pa.string())
    except pa.ArrowInvalid:
        return False
    return True


@dataclass
class Quotes:
    """Whether each quotation mark of a text opens or closes a cell, or is one of two that stand for one.

    RFC 4180, section 2. One elsewhere would swallow the rows behind it into one cell, up to the next.
    """

    delimiter: str
    count: int = 0
    _all_at_edges: bool = True
    _last: bytes = b"\n"

    @property
    def in_place(self) -> bool:
        """Say whether no mark stands in a wrong place or is left open."""
        return self._all_at_edges and self.count % 2 == 0

    def take(self, piece: bytes) -> None:
        """Look at the next bytes of the text."""
        if b'"' in piece or self._last == b'"':  # to look for one is much quicker than to count
            begun = piece.removeprefix(codecs.BOM_UTF8) if self._last == b"\n" else piece
            self._look(np.frombuffer(self._last + begun, np.uint8))
        self._last = piece[-1:]

    def _look(self, text: NDArray[np.uint8]) -> None:
        """Look at the marks of a text; what stands before its first byte, and behind its last, is looked at elsewhere."""
        marks = np.flatnonzero(text == QUOTE)
        known = int(text[0] == QUOTE)
        closes = (np.arange(len(marks)) + self.count - known) % 2 == 1
        before = marks[~closes & (marks > 0)] - 1
        behind = marks[closes & (marks < len(text) - 1)] + 1
        edges = np.isin(text[np.concatenate([before, behind])], list(f'"\r\n{self.delimiter}'.encode()))
        self._all_at_edges &= bool(edges.all())
        self.count += len(marks) - known


def _pieces(path: Path) -> Iterator[bytes]:
    with _read(path) as file:
        while piece := file.read(PIECE_BYTES):
            yield piece


@contextmanager
def _read(path: Path) -> Iterator[BinaryIO]:
    """Give a file's bytes, unpacked."""
    try:
        with path.open("rb") as raw, _unpacked(raw, path) as file:
            yield file
    except EOFError:
        raise _cut(path) from None
    except (OSError, zlib.error):
        raise unreadable(path) from None


def _packed(path: Path) -> bool:
    return path.suffix.lower() == ".gz"


def _unpacked(raw: BinaryIO, path: Path) -> BinaryIO:
    return cast("BinaryIO", gzip.GzipFile(fileobj=raw)) if _packed(path) else raw


def _quote_open(path: Path) -> BadInput:
    """Give the refusal of a file in which a quote would swallow the rows behind it into one cell."""
    return BadInput(
        "partner_file_quote_open",
        f"A quotation mark in {path.name} is never closed, or stands inside a cell.",
        "Write each cell that holds one between quotation marks, and each of them twice (RFC 4180).",
        file=path.name,
    )


def _header(path: Path, first: bytes, encoding: str) -> str:
    if b"\0" in first or len(first) >= HEADER_BYTES_MAX:
        raise BadInput(
            "partner_file_encoding",
            f"The file {path.name} does not begin with a line of text.",
            "Save it as CSV in UTF-8.",
            file=path.name,
        )
    return first.rstrip(b"\r\n").decode(encoding, "replace").removeprefix("\ufeff")


def _cut(path: Path) -> BadInput:
    return BadInput(
        "partner_file_truncated",
        f"The last line of {path.name} has no end: the file seems cut.",
        "Copy it again; if it is whole, end its last line.",
        file=path.name,
    )


def _reader(
    raw: pa.NativeFile, path: Path, seen: Look, broken: list[tuple[int, str]]
) -> pa_csv.CSVStreamingReader:
    stream = pa.CompressedInputStream(raw, "gzip") if _packed(path) else raw
    return pa_csv.open_csv(
        stream,
        # Lines are counted by the reader only when it works alone
        read_options=pa_csv.ReadOptions(
            block_size=BLOCK_BYTES,
            use_threads=False,
            encoding=seen.encoding,
            # Our names, not the line's: they have no space around them
            column_names=seen.header,
            skip_rows=1,
        ),
        parse_options=_parsing(seen, broken),
        convert_options=_converting(seen),
    )


def _parsing(seen: Look, broken: list[tuple[int, str]]) -> pa_csv.ParseOptions:
    """Give how rows are told apart; one that has not the header's cells goes to `broken`."""

    def skip(row: pa_csv.InvalidRow) -> str:
        broken.append((row.number, row.text))
        return "skip"

    return pa_csv.ParseOptions(
        delimiter=seen.delimiter, invalid_row_handler=skip, newlines_in_values=seen.plain_header is None
    )


def _converting(seen: Look, *, checked: bool = False) -> pa_csv.ConvertOptions:
    """Give that every cell is text, and null where nothing is written; `checked` says that it is UTF-8."""
    return pa_csv.ConvertOptions(
        column_types=dict.fromkeys(seen.header, pa.string()),
        strings_can_be_null=True,
        null_values=[""],
        check_utf8=not checked,
    )


def _no_rows(seen: Look) -> pa.RecordBatch:
    schema = pa.schema([(name, pa.string()) for name in seen.header])
    return pa.RecordBatch.from_arrays([pa.array([], pa.string())] * len(seen.header), schema=schema)
