"""What `strings` would find in the state folder of a house people live in: no name, no number, no note of a patient."""

import base64
import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote, unquote_to_bytes

import numpy as np
import pyarrow as pa
import pytest

from enclave.demo.cast import SEED
from enclave.demo.hospital_stays import hospital_stays
from tests.living import PATIENTS, STAYS, Lived

# A run of bytes strings(1) would print. Shorter ones turn up by chance in what is encrypted.
PRINTABLE = re.compile(rb"[\x20-\x7e\xc3\x80-\xbf]{8,}")
LEAST_NAME = 8
# What bytes may be written as, and still be read by anybody: each form is undone before the search
BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{16,}")
HEX = re.compile(rb"[0-9a-fA-F]{24,}")
PERCENT = re.compile(rb"%[0-9a-fA-F]{2}")
ESCAPE = re.compile(rb"\\u([0-9a-fA-F]{4})")
DEFLATED = re.compile(rb"\x1f\x8b\x08|\x78[\x01\x5e\x9c\xda]")
FRAMES = {b"\x28\xb5\x2f\xfd": "zstd", b"\x04\x22\x4d\x18": "lz4"}
UNPACKED_MAX = 50_000_000


def needles() -> set[bytes]:
    """Give every NIR with and without its key, every name long enough, every note."""
    stays = hospital_stays(PATIENTS, STAYS, SEED)
    numbers = {str(number) for number in stays["nir"]}
    names = {str(name) for column in ("last_name", "first_name") for name in stays[column]}
    notes = {str(note)[:40] for note in stays["note"] if note}
    found = numbers | {number[:13] for number in numbers} | notes
    return {text.encode() for text in found | {name for name in names if len(name) >= LEAST_NAME}}


def shows(content: bytes, pattern: re.Pattern[bytes]) -> bool:
    """Tell whether strings(1) would print what is looked for, of any form the bytes can be brought into."""
    return any(pattern.search(run) for form in forms(content) for run in PRINTABLE.findall(form))


def forms(content: bytes) -> Iterator[bytes]:
    """Give what bytes say in every form a reader without a key can undo."""
    yield content
    yield content.replace(b"\0", b"")  # UTF-16 and UTF-32
    if ESCAPE.search(content):
        yield ESCAPE.sub(lambda found: chr(int(found[1], 16)).encode("utf-8", "replace"), content)
    if PERCENT.search(content):
        yield unquote_to_bytes(content)
    for run in BASE64.findall(content):
        plain = run.translate(bytes.maketrans(b"-_", b"+/"))
        for start in range(4):
            rest = plain[start:]
            rest = rest[:-1] if len(rest) % 4 == 1 else rest  # one letter holds no byte
            yield base64.b64decode(rest + b"=" * (-len(rest) % 4))
    for run in HEX.findall(content):
        for start in range(2):
            yield bytes.fromhex(run[start : start + (len(run) - start) // 2 * 2].decode())
    yield from unpacked(content)


def unpacked(content: bytes) -> Iterator[bytes]:
    """Give whatever unpacks, wherever in the bytes it begins."""
    for found in DEFLATED.finditer(content):
        try:
            yield zlib.decompressobj(47).decompress(content[found.start() :], UNPACKED_MAX)
        except zlib.error:
            continue
    for magic, name in FRAMES.items():
        for found in re.finditer(re.escape(magic), content):
            try:
                stream = pa.CompressedInputStream(pa.BufferReader(content[found.start() :]), name)
                yield stream.read(UNPACKED_MAX)
            except OSError:
                continue


def numbers_in(content: bytes, known: np.ndarray) -> bool:
    """Tell whether a known number lies in the bytes as an integer or a double, at any place."""
    for start in range(8):
        words = content[start : start + (len(content) - start) // 8 * 8]
        for kind in ("<i8", ">i8", "<f8"):
            if np.isin(np.frombuffer(words, kind), known.astype(kind)).any():
                return True
    return False


def whole_numbers() -> np.ndarray:
    """Give every NIR as a number, with and without its key; those of Corsica are none."""
    texts = [str(number) for number in hospital_stays(PATIENTS, STAYS, SEED)["nir"]]
    return np.array(sorted({int(one) for text in texts for one in (text, text[:13]) if one.isdecimal()}))


def test_no_file_database_or_log_shows_a_name_a_number_or_a_note(lived: Lived) -> None:
    state = lived.house.settings.state
    looked_for = needles()
    assert len(looked_for) > 2 * PATIENTS
    files = [path for path in state.rglob("*") if path.is_file()]
    kinds = {
        "house.db",
        "house.db-wal",
        "ledger.db",
        "log.db",
        "keyring.json",
        "manifest.json",
        "part-00000.parquet",
    }
    assert kinds <= {path.name for path in files}
    pattern = re.compile(b"|".join(map(re.escape, sorted(looked_for, key=len, reverse=True))))
    known, shown = whole_numbers(), set()
    for path in files:
        content = path.read_bytes()
        if numbers_in(content, known) or shows(content, pattern):
            shown.add(str(path.relative_to(state)))
    assert not shown
    assert not [path for path in state.rglob("*") if pattern.search(path.name.encode())]


@pytest.mark.parametrize(
    "form",
    [
        lambda text: text.encode("utf-16"),
        lambda text: text.encode("utf-32"),
        lambda text: base64.b64encode(b"x" + text.encode()),
        lambda text: b"_" + base64.urlsafe_b64encode(b"xyz" + text.encode()),
        lambda text: b"0" + text.encode().hex().encode(),
        lambda text: json.dumps(text).encode(),
        lambda text: quote(text).encode(),
        lambda text: b"head" + gzip.compress(text.encode()),
        lambda text: zlib.compress(text.encode()),
        lambda text: bytes(pa.compress(text.encode() * 3, "zstd")),
    ],
)
def test_no_form_would_be_overlooked(form: Callable[[str], bytes]) -> None:
    pattern = re.compile(re.escape("né de Bérangère, à revoir 295017500012397".encode()))
    text = "né de Bérangère, à revoir 295017500012397"
    if b"\0" in form(text):  # without its accents, whose bytes are others there
        pattern = re.compile(b"revoir 295017500012397")
    assert shows(b"\x01" + form(text) + b"\x02", pattern)


@pytest.mark.parametrize("kind", ["<i8", ">i8", "<f8"])
def test_no_number_would_be_overlooked(kind: str) -> None:
    known = whole_numbers()
    assert numbers_in(b"xyz" + np.array([1, known[3]]).astype(kind).tobytes() + b"z", known)
    assert not numbers_in(bytes(100), known)


def test_the_search_would_find_what_it_looks_for(tmp_path: Path) -> None:
    one = next(iter(sorted(needles())))
    (tmp_path / "log").write_bytes(b"\x00\x01" + one + b"\x00")
    assert shows((tmp_path / "log").read_bytes(), re.compile(re.escape(one)))


@pytest.mark.parametrize("folder", ["logs", "shelves", "trail"])
def test_the_folders_looked_into_are_not_empty(lived: Lived, folder: str) -> None:
    assert any((lived.house.settings.state / folder).rglob("*"))
