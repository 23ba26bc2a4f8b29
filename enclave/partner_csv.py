"""A partner's CSV as batches of text, after one look over its bytes: is it whole, how is it written, how large is it.

`;`, `,` or tab; UTF-8 or Latin-1, the latter read as Windows-1252, which is what files that say Latin-1 are in fact
(WHATWG Encoding Standard, §4.2); plain or gzip.
"""

import codecs
import gzip
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final, cast

import polars as pl
import pyarrow as pa
import pyarrow.csv as pa_csv

from enclave.errors import BadInput

DELIMITERS: Final = (";", ",", "\t")
UTF_8: Final = "utf-8"
LATIN_1: Final = "windows-1252"
PIECE_BYTES: Final = 4 << 20
# What is parsed, typed and split at a time: several times as much memory as these bytes.
BLOCK_BYTES: Final = 512 << 10
# A header that long is not the header of a table; it would have to be held in memory whole.
HEADER_BYTES_MAX: Final = 1_000_000
# A text with one letter in ten that is good UTF-8 beside broken ones is neither encoding.
MOSTLY: Final = 10
BROKEN: Final = re.compile("[\udc80-\udcff]")
LETTERS: Final = re.compile("[^\x00-\x7f\udc80-\udcff]")
LINE: Final = "_line"

Told = Callable[[int], None]


@dataclass(frozen=True)
class Look:
    """How a CSV is written: what one pass over its bytes tells."""

    encoding: str
    delimiter: str
    header: tuple[str, ...]
    unpacked: int  # bytes, without gzip


@dataclass(frozen=True)
class TextRows:
    """Rows as text, each with its line; `broken` are the lines, and their text, that have not the header's cells."""

    rows: pl.DataFrame
    broken: tuple[tuple[int, str], ...] = ()


def look(path: Path, limit: int) -> Look:
    """Read a file's bytes once, holding none of them.

    Raises `BadInput` when it cannot be read, is cut, mixes encodings, or unpacks to more than `limit` bytes.
    """
    letters, first, last, unpacked, quotes = _Letters(), b"", b"", 0, 0
    for piece in _pieces(path):
        unpacked += len(piece)
        if unpacked > limit:
            raise too_large(path, limit)
        if len(first) < HEADER_BYTES_MAX and b"\n" not in first:
            first += piece[:HEADER_BYTES_MAX]
        letters.take(piece)
        quotes += piece.count(b'"')
        last = piece[-1:]
    encoding = letters.encoding(path)
    header = _first_line(path, first, encoding)
    if not _packed(path) and last not in {b"\n", b"\r"}:  # gzip carries its own length and checksum
        raise _cut(path)
    if quotes % 2:
        raise _quote_open(path)
    delimiter = max(DELIMITERS, key=header.count)
    names = tuple(cell.strip().strip('"') for cell in header.split(delimiter))
    return Look(encoding, delimiter, names, unpacked)


def text_rows(path: Path, seen: Look, told: Told = lambda _done: None) -> Iterator[TextRows]:
    """Give every cell as the text it is, a few thousand rows at a time; `told` hears the bytes of the file done."""
    broken: list[tuple[int, str]] = []

    def skip(row: pa_csv.InvalidRow) -> str:
        broken.append((row.number, row.text))
        return "skip"

    try:
        with pa.OSFile(str(path)) as raw:
            line, given = 2, 0
            for batch in _reader(raw, path, seen, skip):
                height, ready = batch.num_rows, broken[given:]
                given += len(ready)
                lines = _lines(line, height, broken)
                line = int(lines[-1]) + 1 if height else line
                told(raw.tell())
                yield TextRows(_frame(batch, lines), tuple(ready))
            if broken[given:]:
                yield TextRows(_no_rows(seen), tuple(broken[given:]))
    except (pa.ArrowException, OSError, UnicodeDecodeError):
        raise BadInput(
            "partner_file_not_csv",
            f"The file {path.name} cannot be read as CSV from its first to its last line.",
            "Check that it was copied whole and saved as CSV in UTF-8 or Latin-1.",
            file=path.name,
        ) from None


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
        if piece.isascii() and not self.decoder.getstate()[0]:
            return
        text = self.decoder.decode(piece)
        try:
            text.encode(UTF_8)
        except UnicodeEncodeError:
            self.broken += len(BROKEN.findall(text))
            self.good += len(LETTERS.findall(text))
        else:
            self.good += max(0, len(piece) - len(text))

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


def _pieces(path: Path) -> Iterator[bytes]:
    try:
        with _open(path) as file:
            while piece := file.read(PIECE_BYTES):
                yield piece
    except EOFError:
        raise _cut(path) from None
    except OSError:
        raise unreadable(path) from None


def _packed(path: Path) -> bool:
    return path.suffix.lower() == ".gz"


def _open(path: Path) -> BinaryIO:
    return cast("BinaryIO", gzip.open(path, "rb") if _packed(path) else path.open("rb"))


def _quote_open(path: Path) -> BadInput:
    """Give the refusal of a file in which a quote would swallow the rows behind it into one cell."""
    return BadInput(
        "partner_file_quote_open",
        f"A quotation mark in {path.name} is never closed.",
        "Write each cell that holds one between quotation marks, and each of them twice (RFC 4180).",
        file=path.name,
    )


def _first_line(path: Path, first: bytes, encoding: str) -> str:
    line = first.splitlines()[0] if first else b""
    if b"\0" in line or len(line) >= HEADER_BYTES_MAX:
        raise BadInput(
            "partner_file_encoding",
            f"The file {path.name} does not begin with a line of text.",
            "Save it as CSV in UTF-8.",
            file=path.name,
        )
    return line.decode(encoding, "replace").removeprefix("\ufeff")


def _cut(path: Path) -> BadInput:
    return BadInput(
        "partner_file_truncated",
        f"The last line of {path.name} has no end: the file seems cut.",
        "Copy it again; if it is whole, end its last line.",
        file=path.name,
    )


def _reader(
    raw: pa.NativeFile, path: Path, seen: Look, skip: Callable[[pa_csv.InvalidRow], str]
) -> pa_csv.CSVStreamingReader:
    stream = pa.CompressedInputStream(raw, "gzip") if _packed(path) else raw
    return pa_csv.open_csv(
        stream,
        # Lines are counted by the reader only when it works alone
        read_options=pa_csv.ReadOptions(block_size=BLOCK_BYTES, use_threads=False, encoding=seen.encoding),
        parse_options=pa_csv.ParseOptions(
            delimiter=seen.delimiter, invalid_row_handler=skip, newlines_in_values=True
        ),
        convert_options=pa_csv.ConvertOptions(
            column_types=dict.fromkeys(seen.header, pa.string()), strings_can_be_null=False
        ),
    )


def _no_rows(seen: Look) -> pl.DataFrame:
    return pl.DataFrame(schema={**dict.fromkeys(seen.header, pl.String), LINE: pl.Int64})


def _frame(batch: pa.RecordBatch, lines: pl.Series) -> pl.DataFrame:
    frame = pl.from_arrow(pa.Table.from_batches([batch]))
    return cast("pl.DataFrame", frame).with_columns(lines.alias(LINE))


def _lines(first: int, rows: int, broken: list[tuple[int, str]]) -> pl.Series:
    """Give the lines of the next rows: every line from `first` on that is not one of the broken."""
    skipped = {line for line, _ in broken if line >= first}
    if not skipped:
        return pl.Series(range(first, first + rows), dtype=pl.Int64)
    lines = [line for line in range(first, first + rows + len(skipped)) if line not in skipped]
    return pl.Series(lines[:rows], dtype=pl.Int64)
