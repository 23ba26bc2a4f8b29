"""Pieces of bytes sealed one after another into one file: what is too much for memory and must not lie plain on disk.

Each piece is bound to the file's name and its own number, and the last one says that it is the last: a piece moved,
left out, repeated or cut off is found when the file is read.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from vault.envelope import seal, unseal
from vault.errors import VaultDamaged

LENGTH_BYTES: Final = 4
END: Final = b""


class SealedPieces:
    """A file of sealed pieces being written, mode 0600; no handle stays open between two pieces."""

    def __init__(self, path: Path, data_key: bytes, name: str) -> None:
        self.path = path
        self._data_key = data_key
        self._name = name
        self._count = 0

    def append(self, content: bytes) -> None:
        """Seal one piece, which is not empty, behind the others."""
        self._write(seal(self._data_key, _piece(self._name, self._count), content))
        self._count += 1

    def close(self) -> None:
        """Seal the end; the file is durable on return."""
        self._write(seal(self._data_key, _piece(self._name, self._count), END), sync=True)

    def _write(self, box: bytes, *, sync: bool = False) -> None:
        handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(len(box).to_bytes(LENGTH_BYTES, "big") + box)
            file.flush()
            if sync:
                os.fsync(file.fileno())


def read_pieces(path: Path, data_key: bytes, name: str) -> Iterator[bytes]:
    """Give the pieces in order; raises `VaultDamaged` at the first that is not what was written there."""
    with path.open("rb") as file:
        number = 0
        while True:
            length = int.from_bytes(file.read(LENGTH_BYTES), "big")
            content = unseal(data_key, _piece(name, number), file.read(length))
            if content == END:
                break
            yield content
            number += 1
        if file.read(1):
            raise VaultDamaged("pieces_after_the_end", "A sealed file goes on after its end.")


def _piece(name: str, number: int) -> str:
    return f"{name}|piece {number}"
