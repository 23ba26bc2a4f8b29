"""Where rows that could not be kept go: sealed, with their line and reason, beside no version until theirs is there.

How many there are for each reason lies beside them in clear: a reason names a rule and a column, never a value.
"""

import os
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Final

import orjson
import polars as pl

from enclave.errors import Damaged
from enclave.partner_file import REASON
from vault.keys import KeyService
from vault.pieces import SealedPieces
from vault.receipt import Receipt
from vault.sealed_file import read_regular, sync_folder

PARTIAL: Final = ".partial"
REASONS: Final = ".reasons"
REASONS_BYTES_MAX: Final = 1_000_000


class Quarantine:
    """The rows put aside of one version; nothing is written until there is one."""

    def __init__(self, folder: Path, dataset: str, version: int, keys: KeyService, receipt: Receipt) -> None:
        self._file = folder / f"{dataset}-v{version}.sealed"
        self._key_file = self._file.with_suffix(".key")
        self._name = f"{dataset}|{version}|quarantine"
        self._context = f"dataset:{dataset}|{version}"
        self._keys, self._receipt = keys, receipt
        self._pieces: SealedPieces | None = None
        self._reasons: Counter[str] = Counter()

    def put(self, aside: pl.DataFrame) -> None:
        """Seal some rows, one JSON line each."""
        if aside.is_empty():
            return
        if self._pieces is None:
            self._pieces = self._begin()
        self._pieces.append(aside.write_ndjson().encode())
        self._reasons.update(dict(aside.group_by(REASON).len().iter_rows()))

    def keep(self) -> None:
        """Make what was put durable under its name."""
        if self._pieces is not None:
            self._pieces.close()
            _write(self._file.with_suffix(REASONS), orjson.dumps(self._reasons, option=orjson.OPT_SORT_KEYS))
            self._pieces.path.rename(self._file)
            sync_folder(self._file.parent)

    def clear(self) -> None:
        """Remove what was put aside for this version: by a crash before, or because nothing is brought in."""
        for path in (self._file, self._partial, self._key_file, self._file.with_suffix(REASONS)):
            with suppress(FileNotFoundError):
                path.unlink()

    @property
    def _partial(self) -> Path:
        return self._file.with_name(f"{self._file.name}{PARTIAL}")

    def _begin(self) -> SealedPieces:
        data_key, wrapped = self._keys.new_data_key("quarantine", self._context, self._receipt)
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(self._key_file, wrapped.encode())
        return SealedPieces(self._partial, data_key, self._name)


def put_aside_counts(folder: Path, dataset: str, version: int) -> dict[str, int]:
    """Give how many rows of a version were put aside for each reason; nothing where none was, or it was shredded."""
    try:
        counts = orjson.loads(read_regular(folder / f"{dataset}-v{version}{REASONS}", REASONS_BYTES_MAX))
    except FileNotFoundError:
        return {}
    except (OSError, orjson.JSONDecodeError):
        counts = None
    if not isinstance(counts, dict) or not all(isinstance(count, int) for count in counts.values()):
        raise Damaged(
            "quarantine_counts_damaged",
            f"What counts the rows put aside of {dataset} v{version} is not what was written there.",
            "Restore it from the backup.",
            dataset=dataset,
        )
    return counts


def _write(path: Path, content: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
