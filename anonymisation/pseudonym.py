"""Unit numbers: what stands for a person inside the engine, derived from an identifier a whole column at a time.

An identifier of up to 15 bytes is one AES-256 block over its length, its bytes and zeros, and the number is the first eight bytes
of the block: under a secret key a pseudorandom permutation, cut to 64 bits and checked for collisions. This is not ECB mode
on a message: every block is one whole identifier, and that equal identifiers give equal numbers is the purpose. The key
is the re-identification secret. Longer identifiers take HMAC-SHA256 under a key derived apart.
"""

import hmac
import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from numpy.typing import NDArray

from anonymisation.errors import BadQuestion, Damaged

NIR: Final = "nir"
NIR_BODY: Final = 13
NIR_FULL: Final = 15
NIR_SHAPE: Final = r"^[1-478][0-9]{2}(?:0[1-9]|1[0-2]|[2-9][0-9])(?:[0-9]{2}|2[AB])[0-9]{6}(?:[0-9]{2})?$"
"""Sex, year, month (20 and over: not known), department with 2A and 2B, commune, order, and the key where it is given."""
SEPARATORS: Final = r"[\s.\-\u00a0\u202f]"
CORSICA: Final = {"2A": "19", "2B": "18"}
"""What INSEE puts in the place of the Corsican departments to compute the key."""
BLOCK: Final = 16
SHORT: Final = 15
KEY_BYTES: Final = 32
FIGURES: Final = 10
SEXES: Final = np.isin(np.arange(256), (1, 2, 3, 4, 7, 8))
MONTHS: Final = np.isin(np.arange(256), (*range(1, 13), *range(20, 100)))
LONG_LABEL: Final = b"enclave unit number v1 long"


@dataclass(frozen=True)
class Numbered:
    """The unit number of each row of a column; 0 where `valid` is false and intake must quarantine the row."""

    numbers: NDArray[np.uint64]
    valid: NDArray[np.bool_]


@dataclass(frozen=True)
class Canonical:
    """A column brought to its canonical form; `valid` is false, and the value null, where intake must quarantine the row."""

    values: pl.Series
    valid: pl.Series


def canonical_nir(text: str) -> str | None:
    """Give the 13 characters that stand for a NIR written with or without key and separators, or None where it is not one."""
    bare = re.sub(SEPARATORS, "", text).upper()
    if not re.fullmatch(NIR_SHAPE, bare, re.ASCII) or (len(bare) == NIR_FULL and not nir_key_valid(bare)):
        return None
    return bare[:NIR_BODY]


def nir_key_valid(nir: str) -> bool:
    """Say whether the last two of 15 characters are 97 - n mod 97 of the first 13, with 2A read as 19 and 2B as 18."""
    body, key = nir[:NIR_BODY], nir[NIR_BODY:]
    digits = body[:5] + CORSICA.get(body[5:7], body[5:7]) + body[7:]
    return (
        len(nir) == NIR_FULL and digits.isdecimal() and key.isdecimal() and int(key) == 97 - int(digits) % 97
    )


def canonical(values: pl.Series, id_type: str) -> Canonical:
    """Give a column of identifiers in canonical form: trimmed, upper case, NFC; for a NIR 13 characters, its key checked.

    One person written with é and with e and an accent would be two, and bounded twice.
    """
    text = values.cast(pl.String).str.strip_chars().str.to_uppercase()
    kept = _canonical_nirs(text) if id_type == NIR else text.str.normalize("NFC").set(text == "", None)
    return Canonical(kept, kept.is_not_null())


def _canonical_nirs(text: pl.Series) -> pl.Series:
    bare, well_formed = text, text.str.contains(NIR_SHAPE)
    if not well_formed.all():  # cleaning costs more than all the rest, and most columns are clean
        bare = text.str.replace_all(SEPARATORS, "")
        well_formed = bare.str.contains(NIR_SHAPE)
    digits = pl.concat_str(pl.col("nir").str.slice(0, 5), _department(), pl.col("nir").str.slice(7, 6)).cast(
        pl.Int64, strict=False
    )
    key = pl.col("nir").str.slice(NIR_BODY).cast(pl.Int64, strict=False)
    keyed = pl.col("nir").str.len_bytes() == NIR_FULL
    valid = pl.col("shape") & (~keyed | (key == 97 - digits % 97))
    frame = pl.DataFrame({"nir": bare, "shape": well_formed})
    return frame.select(
        pl.when(valid).then(pl.col("nir").str.slice(0, NIR_BODY)).alias(text.name)
    ).to_series()


def _department() -> pl.Expr:
    return pl.col("nir").str.slice(5, 2).replace(CORSICA)


def number_column(cells: pa.Array, id_type: str, key: bytes) -> Numbered:
    """Give what `canonical` and then `unit_numbers` give of a column of text, quickly where it is as it mostly is.

    That is a NIR of 15 characters without separators: its key is checked and its block laid out for all rows at once.
    """
    _check_key(key)
    numbers, done = np.zeros(len(cells), np.uint64), np.zeros(len(cells), np.bool_)
    if id_type == NIR:
        wide = pc.fill_null(pc.equal(pc.binary_length(cells), NIR_FULL), False).to_numpy(zero_copy_only=False)
        letters = _letters(cells if wide.all() else cells.filter(pa.array(wide)))
        valid = _full_nirs_valid(letters)
        done[np.flatnonzero(wide)[valid]] = True
        numbers[done] = _encrypted(_nir_blocks(letters[valid]), key)
    if not done.all():
        rest = canonical(pl.Series(pl.from_arrow(cells.filter(pa.array(~done))), dtype=pl.String), id_type)
        numbers[~done] = unit_numbers(rest.values, key).fill_null(0).to_numpy()
        done[~done] = rest.valid.to_numpy()
    return Numbered(numbers, done)


def _letters(cells: pa.Array) -> NDArray[np.uint8]:
    """Give the bytes of full NIRs, a row each; none of them is null."""
    _, offsets, text = cells.buffers()
    if not len(cells):  # Arrow may then leave the offsets out
        return np.zeros((0, NIR_FULL), np.uint8)
    first, last = np.frombuffer(offsets, np.int32)[[cells.offset, cells.offset + len(cells)]]
    return np.frombuffer(text, np.uint8)[first:last].reshape(-1, NIR_FULL)


def _full_nirs_valid(letters: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Tell which rows of 15 bytes have the shape of a NIR and its key; a lower-case Corsican is left to others."""
    digits = np.ascontiguousarray(letters.T) - np.uint8(ord("0"))
    for letter, figures in CORSICA.items():
        there = (letters[:, 5] == ord(letter[0])) & (letters[:, 6] == ord(letter[1]))
        digits[5][there], digits[6][there] = map(int, figures)
    month = digits[3] * np.uint8(FIGURES) + digits[4]
    shaped = (digits < FIGURES).all(axis=0) & SEXES[digits[0]] & MONTHS[month]
    return np.asarray(shaped & (_figure(digits[NIR_BODY:]) == 97 - _figure(digits[:NIR_BODY]) % 97))


def _figure(digits: NDArray[np.uint8]) -> NDArray[np.int64]:
    number = np.zeros(digits.shape[1], np.int64)
    for row in digits:
        number = number * FIGURES + row
    return number


def _nir_blocks(letters: NDArray[np.uint8]) -> NDArray[np.uint8]:
    blocks = np.zeros((len(letters), BLOCK), np.uint8)
    blocks[:, 0] = NIR_BODY
    blocks[:, 1 : 1 + NIR_BODY] = letters[:, :NIR_BODY]
    return blocks


def unit_numbers(values: pl.Series, key: bytes) -> pl.Series:
    """Give the unit number of each canonical identifier (UInt64; null stays null); `key` is the 32-byte key of the id type."""
    _check_key(key)
    text = values.cast(pl.String)
    present = text.is_not_null()
    lengths = text.str.len_bytes().fill_null(0).to_numpy()
    numbers = _short_numbers(text, lengths, key)
    for place in np.flatnonzero(lengths > SHORT):
        numbers[place] = _long_number(str(text[int(place)]), key)
    return pl.Series(values.name, numbers, dtype=pl.UInt64).set(~present, None)


def _check_key(key: bytes) -> None:
    if len(key) != KEY_BYTES:
        raise BadQuestion("key_length", "A unit key has 32 bytes.")


def _short_numbers(text: pl.Series, lengths: NDArray[np.uint32], key: bytes) -> NDArray[np.uint64]:
    """Encrypt the whole column in one call; rows too long for a block are overwritten by the caller."""
    return _encrypted(_blocks(text, lengths), key)


def _encrypted(blocks: NDArray[np.uint8], key: bytes) -> NDArray[np.uint64]:
    encryptor = Cipher(algorithms.AES256(key), modes.ECB()).encryptor()  # noqa: S305 - one whole identifier a block
    sealed = encryptor.update(blocks.tobytes())
    return np.frombuffer(sealed, "<u8")[::2].astype(np.uint64)


def _blocks(text: pl.Series, lengths: NDArray[np.uint32]) -> NDArray[np.uint8]:
    """Pack each identifier into 16 bytes: its length, its bytes, zeros."""
    _, offsets, data = text.fill_null("").cast(pl.Binary).to_arrow().buffers()
    starts = np.frombuffer(offsets, np.int64)[: len(text)]
    characters = np.frombuffer(data or b"", np.uint8)
    blocks = np.zeros((len(text), BLOCK), np.uint8)
    for width in np.unique(lengths[lengths <= SHORT]):
        rows = np.flatnonzero(lengths == width)
        blocks[rows, 0] = width
        for place in range(width):  # a byte of all rows at a time: no index as large as the column is built
            blocks[rows, 1 + place] = characters[starts[rows] + place]
    return blocks


def _long_number(identifier: str, key: bytes) -> int:
    digest = hmac.digest(_long_key(key), identifier.encode(), sha256)
    return int.from_bytes(digest[:8], "little")


def _long_key(key: bytes) -> bytes:
    return HKDFExpand(hashes.SHA256(), KEY_BYTES, LONG_LABEL).derive(key)


def check_collisions(values: pl.Series, numbers: pl.Series) -> None:
    """Raise `unit_collision` where two identifiers share a number; all of a version's columns are checked together."""
    pairs = pl.DataFrame({"value": values, "number": numbers}).drop_nulls().unique()
    if pairs["number"].n_unique() < pairs.height:
        raise Damaged(
            "unit_collision",
            "Two identifiers have the same unit number.",
            "Nothing was written. Use a new unit key.",
        )
