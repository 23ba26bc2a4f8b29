"""Short lists that one process alone reads, such as who objected: each sealed as a whole, under a key of its own.

A list is rewritten whole, under a fresh key, at every entry: a reader finds the list before or the list after, and a file
that is missing is an empty list. Entries are added and never removed, so that an entry keeps its place and a list that
was put back is shorter. How long a list must at least be is for the caller to know.
"""

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import orjson

from vault.envelope import seal, unseal
from vault.errors import VaultDamaged
from vault.keys import KeyService
from vault.receipt import Receipt
from vault.sealed_file import read_regular, sync_folder

PURPOSE: Final = "objections"
SUFFIX: Final = ".sealed"
LOCK: Final = ".lock"
LIST_BYTES_MAX: Final = 1 << 30  # some millions of entries

Entry = Mapping[str, Any]
Decide = Callable[[Sequence[Entry]], Entry | None]
"""What is to be added to the entries there are; None adds nothing, an error leaves the list as it is."""


class SealedLists:
    """The lists of a folder, each named as the object it is about: a population's id."""

    def __init__(self, folder: Path, kind: str = "population") -> None:
        self._folder = folder
        self._kind = kind

    def names(self) -> tuple[str, ...]:
        """Name the lists there are."""
        return tuple(sorted(path.name.removesuffix(SUFFIX) for path in self._folder.glob(f"*{SUFFIX}")))

    def read(self, name: str, keys: KeyService, receipt: Receipt) -> list[dict[str, Any]]:
        """Give a list's entries, oldest first; the receipt names the object the list is about."""
        wrapped, box = self._held(name)
        if not box:
            return []
        context = self._context(name)
        entries: list[dict[str, Any]] = orjson.loads(
            unseal(keys.unwrap(PURPOSE, wrapped, context, receipt), context, box)
        )
        return entries

    def add(self, name: str, decide: Decide, keys: KeyService, receipt: Receipt) -> list[dict[str, Any]]:
        """Add what `decide` makes of the entries so far, and give them all; durable on return.

        No other writer comes between the reading and the writing.
        """
        with self._alone():
            entries = self.read(name, keys, receipt)
            entry = decide(entries)
            if entry is not None:
                entries.append(dict(entry))
                context = self._context(name)
                key, wrapped = keys.new_data_key(PURPOSE, context, receipt)
                self._write(name, wrapped, seal(key, context, orjson.dumps(entries)))
        return entries

    def rewrap(self, name: str, keys: KeyService, receipt: Receipt) -> None:
        """Wrap a list's key under the newest purpose key; its entries are not opened."""
        with self._alone():
            wrapped, box = self._held(name)
            self._write(name, keys.rewrap(PURPOSE, wrapped, self._context(name), receipt), box)

    def _context(self, name: str) -> str:
        return f"{self._kind}:{name}"

    def _held(self, name: str) -> tuple[str, bytes]:
        try:
            wrapped, _, box = read_regular(self._path(name), LIST_BYTES_MAX).partition(b"\n")
        except FileNotFoundError:
            return "", b""
        except OSError as failure:
            raise VaultDamaged(
                "sealed_list_not_read",
                f"The list of {name} cannot be read: {failure.strerror}.",
                "Restore it from the backup and look at the trail.",
                name=name,
            ) from None
        return wrapped.decode(errors="replace"), box

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}{SUFFIX}"

    def _write(self, name: str, wrapped: str, box: bytes) -> None:
        beside = self._folder / f"{name}.new"
        beside.unlink(missing_ok=True)
        handle = os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as out:
            out.write(wrapped.encode() + b"\n" + box)
            out.flush()
            os.fsync(out.fileno())
        beside.rename(self._path(name))
        sync_folder(self._folder)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Let one process change the lists at a time; the kernel drops the lock if it dies."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(self._folder / LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)
