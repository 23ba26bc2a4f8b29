"""Where a row goes: into a bucket by a keyed hash of its privacy unit, then by unit, then in a keyed random order.

All rows of a unit are neighbours in one part, so bounding contributions is a local step and parts can be worked
apart; the order inside a unit says nothing about the order the partner sent.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import ECB
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES: Final = 32
# Where the two upper digits of 16 bits stand in a number of 64, the lower of them first.
DIGITS: Final = (np.uint64(32), np.uint64(48))

Units = npt.NDArray[np.uint64]


def bucket_numbers(units: Units, order_key: bytes, buckets: int) -> npt.NDArray[np.uint16]:
    """Give the bucket of each row: a keyed hash of its unit, so that a unit lies in one bucket whole."""
    hashed = keyed_hash(units, np.zeros_like(units), order_key, "bucket")
    return (hashed % np.uint64(buckets)).astype(np.uint16)


def bucket_rows(numbers: npt.NDArray[np.uint16], buckets: int) -> Iterator[npt.NDArray[np.int64]]:
    """Give, for each bucket in turn, its row numbers in the order the rows came."""
    order = np.argsort(numbers, kind="stable")
    yield from np.split(order, np.searchsorted(numbers[order], np.arange(1, buckets)))


def stored_order(units: Units, order_key: bytes) -> npt.NDArray[np.int64]:
    """Give a bucket's row numbers in the order they are stored: by unit, inside a unit as the key says."""
    places = np.arange(len(units), dtype=np.uint64)
    mixed = keyed_hash(units, places, order_key, "order")
    # Units are mostly as good as random, so that their first half tells them apart: three rounds of counting
    # (numpy's stable sort of 16 bits), and a look whether it did
    order = np.argsort(mixed.astype(np.uint16), kind="stable")
    for shift in DIGITS:
        order = order[np.argsort((units[order] >> shift).astype(np.uint16), kind="stable")]
    found = units[order]
    if (found[1:] >= found[:-1]).all():
        return order
    order = np.argsort(mixed)
    return order[np.argsort(units[order], kind="stable")]


def keyed_hash(units: Units, places: Units, order_key: bytes, label: str) -> Units:
    """Give the first 8 bytes of AES-256 over (unit, place) for each row: a keyed pseudo-random function.

    Every block is one input of its own, so the absence of chaining hides nothing it should.
    """
    key = HKDF(SHA256(), KEY_BYTES, None, f"enclave bucketing v1|{label}".encode()).derive(order_key)
    blocks = np.column_stack((units, places)).astype("<u8")
    cipher = Cipher(AES256(key), ECB()).encryptor()  # noqa: S305 - one block a row, used as a PRF
    sealed = cipher.update(blocks.tobytes()) + cipher.finalize()
    return np.frombuffer(sealed, dtype="<u8").reshape(-1, 2)[:, 0].astype(np.uint64)
