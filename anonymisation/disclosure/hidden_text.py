"""What can hide in plain text: invisible and control characters, look-alike letters, encoded runs, markup, formulas."""

import pickletools
import re
import unicodedata
from collections.abc import Iterator
from typing import Final

from anonymisation.disclosure.content import NOWHERE, Table, at, column_place, line_place
from anonymisation.disclosure.numbers import MASKS, read
from anonymisation.disclosure.policy import DisclosurePolicy
from anonymisation.identifiers.words import Words

BOM: Final = b"\xef\xbb\xbf"
# An encoded run shorter than this is a hash; a longer one can be a file.
BLOB_CHARACTERS: Final = 160
BLOB_LINES: Final = 3
BLANKS: Final = 3
DENSE: Final = 10
PICKLE_BYTES: Final = 65_536
FIRST_BYTES: Final = 64

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]|\r(?!\n)")
# Alphabets with letters that pass for Latin ones; Greek alone is common in science (µ, β).
_LATIN_WITH_LOOKALIKE = re.compile(
    r"[A-Za-zÀ-ɏ][\u0400-\u052f\u0530-\u058f\u13a0-\u13ff\u10a0-\u10ff]|[\u0400-\u052f\u0530-\u058f\u13a0-\u13ff\u10a0-\u10ff][A-Za-zÀ-ɏ]"
)
_GREEK_LOOKALIKE = re.compile(r"[A-Za-z]{2}[ΑΒΕΖΗΙΚΜΝΟΡΤΥΧονρικυχ]|[ΑΒΕΖΗΙΚΜΝΟΡΤΥΧονρικυχ][A-Za-z]{2}")
_SELECTORS = re.compile(
    r"[\ufe00-\ufe0f\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\uffa0\U000e0100-\U000e01ef]"
)
# Format, private use, surrogate, unassigned, line and paragraph separator.
_UNSEEN: Final = frozenset({"Cf", "Co", "Cs", "Cn", "Zl", "Zp"})
_BLOB = re.compile(rf"[A-Za-z0-9+/=_-]{{{BLOB_CHARACTERS},}}")
_BLOB_LINE = re.compile(r"[A-Za-z0-9+/=_-]{60,}")
_DATA_URI = re.compile(r"data:[a-z]{2,20}/[\w.+-]{1,60}[;,]", re.IGNORECASE)
_MARKUP = re.compile(r"<!--|<!\[|<\?|</?(?!br\b)[A-Za-z][A-Za-z0-9-]{0,30}[\s/>]")
_LINK_NOTE = re.compile(r"^\[[^\]\n]{0,200}\]:\s", re.MULTILINE)
_REMOTE_PICTURE = re.compile(r"!\[[^\]\n]{0,300}\][(\[]")
_INJECTED = re.compile(r"(?:^|[;,\t|])[\"' ]{0,5}[=@]", re.MULTILINE)
_SIGNATURES: Final = (
    b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"7z\xbc\xaf", b"Rar!", b"\x28\xb5\x2f\xfd", b"%PDF", b"\x89PNG",
    b"PAR1", b"PARE", b"\x7fELF", b"MZ", b"\xd0\xcf\x11\xe0", b"GIF8", b"\xff\xd8\xff", b"RIFF", b"SQLite format", b"\x89HDF",
    b"\x93NUMPY", b"{\\rtf", b"ARROW1", b"FEA1", b"RDX", b"RDA", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05",
)  # fmt: skip
_PAGES: Final = (b"<svg", b"<html", b"<!doctype", b"<?xml", b"<script", b"<iframe", b"<body", b"<head")

Hit = tuple[str, Words]


def looks_like_another_type(data: bytes) -> bool:
    """Tell whether bytes that should be text begin as another known format, a page, or a pickle of any protocol."""
    start = data[:FIRST_BYTES].removeprefix(BOM).lstrip().lower()
    return data.startswith(_SIGNATURES) or start.startswith(_PAGES) or _is_pickle(data)


def _is_pickle(data: bytes) -> bool:
    """Tell whether the bytes are opcodes of a pickle to their end. They are listed, never run."""
    try:
        opcodes = 0
        for _, _, place in pickletools.genops(data):
            opcodes += 1
            if place is not None and place > PICKLE_BYTES:
                return True
    except Exception:  # noqa: BLE001 - a parser of hostile bytes: whatever it raises, this is no pickle
        return False
    return opcodes > 1


def decode(data: bytes) -> str | None:
    """Give the text of UTF-8 bytes, without the byte order mark; None where they are anything else."""
    try:
        return data.removeprefix(BOM).decode("utf-8")
    except UnicodeDecodeError:
        return None


def hits(text: str, policy: DisclosurePolicy) -> Iterator[Hit]:
    """Find what hides in any text."""
    if found := _CONTROL.search(text):
        yield "control_characters", _line_of(text, found.start())
    if not text.isascii():
        yield from _unusual_letters(text)
    if found := _DATA_URI.search(text) or _dense_run(text):
        yield "encoded_blob", _line_of(text, found.start())
    yield from _lines(text, policy)


def markdown_hits(text: str) -> Iterator[Hit]:
    """Find what a reader of the rendered Markdown would not see."""
    if found := _MARKUP.search(text) or _LINK_NOTE.search(text):
        yield "markup", _line_of(text, found.start())
    if found := _REMOTE_PICTURE.search(text):
        yield "remote_picture", _line_of(text, found.start())


def formula_hits(text: str, table: Table) -> Iterator[Hit]:
    """Find the cells that a spreadsheet would run, with this file's separator or another."""
    if found := _INJECTED.search(text):
        yield "formula", _line_of(text, found.start())
    for index, name in enumerate(table.header):
        if _is_formula(name):
            yield "formula", at(f"titre de la colonne {index + 1}", f"heading of column {index + 1}")
    for index in range(table.width):
        if any(_is_formula(cell) for cell in table.column(index)):
            yield "formula", column_place(table, index)


def _is_formula(cell: str) -> bool:
    text = unicodedata.normalize("NFKC", cell).lstrip(" \t\r\n'\"")
    if not text.startswith(("=", "@", "+", "-")):
        return cell.startswith(("\t", "\r"))
    return text.strip().lower() not in MASKS and read(text).kind not in {"number", "ambiguous"}


def _unusual_letters(text: str) -> Iterator[Hit]:
    odd = {letter for letter in set(text) if unicodedata.category(letter) in _UNSEEN}
    if odd or _SELECTORS.search(text):
        first = _SELECTORS.search(text)
        places = [text.index(letter) for letter in odd] + ([first.start()] if first else [])
        yield "invisible_characters", _line_of(text, min(places))
    if found := _LATIN_WITH_LOOKALIKE.search(text) or _GREEK_LOOKALIKE.search(text):
        yield "mixed_alphabets", _line_of(text, found.start())


def _dense_run(text: str) -> re.Match[str] | None:
    return next((run for run in _BLOB.finditer(text) if _is_dense(run[0])), None)


def _is_dense(run: str) -> bool:
    """Tell an encoded run from a ruled line: it mixes many different characters."""
    return len(set(run)) >= DENSE


def _lines(text: str, policy: DisclosurePolicy) -> Iterator[Hit]:
    told: set[str] = set()
    run = 0
    for number, line in enumerate(text.split("\n"), 1):
        bare = line.rstrip("\r")
        run = run + 1 if _BLOB_LINE.fullmatch(bare.strip()) and _is_dense(bare) else 0
        for code, wrong in (
            ("long_line", len(bare) > policy.line_characters),
            ("trailing_blanks", len(bare) - len(bare.rstrip(" \t")) >= BLANKS and bool(bare.strip())),
            ("trailing_blanks", len(bare) >= BLANKS and not bare.strip()),
            ("encoded_blob", run == BLOB_LINES),
        ):
            if wrong and code not in told:
                told.add(code)
                yield code, line_place(number)


def _line_of(text: str, place: int) -> Words:
    return line_place(text.count("\n", 0, place) + 1) if text else NOWHERE
