"""Rows on their way to their buckets: on disk, because there may be more of them than memory, and never plain.

One file takes the rows of many buckets in the order they come; which piece lies where is known in this process's
memory, like the key. What a killed process leaves opens for nobody, and is removed with the folder it lies in.
"""

import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

import pyarrow as pa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from vault.errors import VaultDamaged
from vault.parquet import KEY_BYTES

NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
# Arrow reads columns in place where they begin at a multiple of this.
ALIGNED: Final = 64


@dataclass(frozen=True)
class _Piece:
    """Where some rows of a bucket lie in the file, and under which number they were sealed."""

    turn: int
    number: int
    start: int
    size: int  # bytes, without the tag
    schema: pa.Schema


class Spill:
    """Rows put down some thousands at a time, shared out to buckets, and taken up bucket by bucket, each once."""

    def __init__(self, path: Path) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._file = os.fdopen(os.open(path, flags, 0o600), "r+b", buffering=0)
        # Known to nobody else and for this file alone, so a count is nonce enough (NIST SP 800-38D, 8.2.1).
        self._cipher = AESGCM(os.urandom(KEY_BYTES))
        self._held: dict[int, list[_Piece]] = {}
        self._count = self._end = 0
        self._box = bytearray()
        self._guard = threading.Lock()

    def put(self, turn: int, rows: pa.RecordBatch, bounds: Sequence[int]) -> None:
        """Put rows down that are sorted by bucket: bucket n has those from `bounds[n]` to `bounds[n + 1]`.

        Several threads may; a bucket's rows are taken up in the order of their turns.
        """
        slices = [
            (bucket, memoryview(rows.slice(first, end - first).serialize()).cast("B"))
            for bucket, (first, end) in enumerate(pairwise(bounds))
            if first < end
        ]
        with self._guard:
            self._seal(turn, slices, rows.schema)

    def _seal(self, turn: int, slices: list[tuple[int, memoryview]], schema: pa.Schema) -> None:
        size = sum(len(content) + TAG_BYTES for _, content in slices)
        if size > len(self._box):
            self._box = bytearray(size)
        box, at = memoryview(self._box), 0
        for bucket, content in slices:
            piece = _Piece(turn, self._count, self._end + at, len(content), schema)
            end = at + len(content) + TAG_BYTES
            self._cipher.encrypt_into(_nonce(piece), content, _name(bucket), box[at:end])
            self._held.setdefault(bucket, []).append(piece)
            self._count, at = self._count + 1, end
        self._write(box[:size])

    def take(self, bucket: int) -> list[pa.RecordBatch]:
        """Take a bucket's rows up and forget them; several threads may, each for buckets of its own."""
        pieces = sorted(self._held.pop(bucket, []), key=lambda piece: piece.turn)
        room = pa.allocate_buffer(sum(_aligned(piece.size) for piece in pieces))
        view, at, rows = memoryview(room).cast("B"), 0, []
        for piece in pieces:
            self._open(piece, _name(bucket), view[at : at + piece.size])
            rows.append(pa.ipc.read_record_batch(room.slice(at, piece.size), piece.schema))
            at += _aligned(piece.size)
        return rows

    def close(self) -> None:
        """Forget the file; its folder's owner removes it."""
        self._file.close()

    def _open(self, piece: _Piece, name: bytes, into: memoryview) -> None:
        sealed = os.pread(self._file.fileno(), piece.size + TAG_BYTES, piece.start)
        try:
            self._cipher.decrypt_into(_nonce(piece), sealed, name, into)
        except (InvalidTag, ValueError):
            raise VaultDamaged(
                "spill_damaged",
                "Rows on their way to their buckets were changed on the disk.",
                "Import again, and look at the disk.",
            ) from None

    def _write(self, content: memoryview) -> None:
        self._end += len(content)
        while content:
            content = content[self._file.write(content) :]


def _nonce(piece: _Piece) -> bytes:
    return piece.number.to_bytes(NONCE_BYTES, "big")


def _name(bucket: int) -> bytes:
    return f"bucket {bucket}".encode()


def _aligned(size: int) -> int:
    return -(-size // ALIGNED) * ALIGNED
