"""A look at a file before it leaves: text, a table or a picture, capped, and nothing hidden in it."""

import base64
import csv
import io
import unicodedata
from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal

from enclave.web.sheets import FileIn

MOST_ROWS = 200
MOST_COLUMNS = 40
LONGEST_CELL = 200
LONGEST_TEXT = 40_000
LARGEST_PICTURE = 4 * 1024 * 1024
PNG = b"\x89PNG\r\n\x1a\n"  # PNG specification, 5.2
TABLES = {".csv": ",", ".tsv": "\t"}
TEXTS = frozenset({".txt", ".md", ".json", ".py", ".r", ".sql", ".log"})


@dataclass(frozen=True)
class Preview:
    """What to show. `rows_total` and `cut` say whether something was left out."""

    kind: Literal["table", "text", "picture", "none"]
    head: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    rows_total: int = 0
    text: str = ""
    picture: str = ""
    cut: bool = False


def of(file: FileIn) -> Preview:
    """Make the preview of a file; a file that is not what its name says is not shown."""
    ending = PurePath(file.name).suffix.lower()
    if ending == ".png" and file.content.startswith(PNG) and len(file.content) <= LARGEST_PICTURE:
        picture = base64.b64encode(file.content).decode()
        return Preview("picture", picture=f"data:image/png;base64,{picture}")
    if ending not in TABLES and ending not in TEXTS:
        return Preview("none")
    try:
        text = file.content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return Preview("none")
    return _table(text, ending) if ending in TABLES else _text(text)


def visible(text: str) -> str:
    """Make control, format and direction characters visible, so that nothing reads other than it is."""
    return "".join(
        f"⟨U+{ord(letter):04X}⟩" if unicodedata.category(letter) in {"Cc", "Cf", "Co", "Zl", "Zp"} else letter
        for letter in text
    )


def _text(text: str) -> Preview:
    lines = [visible(line) for line in text[:LONGEST_TEXT].replace("\r\n", "\n").split("\n")]
    return Preview("text", text="\n".join(lines).replace("⟨U+0009⟩", "\t"), cut=len(text) > LONGEST_TEXT)


def _table(text: str, ending: str) -> Preview:
    separator = (
        ";" if ending == ".csv" and text[:2000].count(";") > text[:2000].count(",") else TABLES[ending]
    )
    try:
        lines = [
            line
            for line in csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
            if line
        ]
    except csv.Error:
        return _text(text)
    if not lines:
        return _text(text)
    shown = [_cells(line) for line in lines[: MOST_ROWS + 1]]
    cut = len(lines) > MOST_ROWS + 1 or any(len(line) > MOST_COLUMNS for line in lines)
    return Preview("table", shown[0], tuple(shown[1:]), len(lines) - 1, cut=cut)


def _cells(line: list[str]) -> tuple[str, ...]:
    return tuple(_cell(cell) for cell in line[:MOST_COLUMNS])


def _cell(cell: str) -> str:
    shown = visible(cell[:LONGEST_CELL])
    return shown + "…" if len(cell) > LONGEST_CELL else shown
