"""A dataset version as a few shelves of encrypted parts: written whole or not at all, read by the parts.

`root` is always the folder that holds one folder a dataset; a version lives in `<root>/<dataset>/v<N>`.
"""

import fcntl
import os
import shutil
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, cast

import polars as pl
import pyarrow as pa
from polars.exceptions import ComputeError
from polars.io.plugins import register_io_source

from vault.bucketing import bucket_rows
from vault.columns import Domains, frame_schema, to_frame, to_stored
from vault.errors import VaultDamaged, VaultDown, VaultRefused, VaultUsage
from vault.keys import KeyService
from vault.manifest import (
    SHELVES,
    Manifest,
    Part,
    StoredColumn,
    check_dataset_id,
    shelf_context,
    version_folder,
    write_manifest,
)
from vault.parquet import KEY_BYTES, EncryptedFile, Place, write_encrypted
from vault.receipt import Receipt, check_receipt
from vault.sealed_file import sync_folder

PARTIAL: Final = ".partial"
READ_THREADS: Final = 2
MAX_BUCKETS: Final = 4096
WRITE_ACTS: Final = frozenset({"data.import"})
READ_ACTS: Final = frozenset({"data.query", "key.unwrap"})
SHRED_ACTS: Final = frozenset({"data.shred"})

Progress = Callable[[int, int], None]


def write_version(
    root: Path,
    *,
    dataset: str,
    version: int,
    shelves: Mapping[str, pa.Table],
    unit_column: str,
    order_key: bytes,
    buckets: int,
    domains: Mapping[str, list[str]],
    policy_sha256: str,
    previous: str | None,
    keys: KeyService,
    receipt: Receipt,
    progress: Progress | None = None,
) -> Manifest:
    """Write a whole dataset version, or nothing of it; it becomes visible by one rename once it is durable.

    `shelves` maps "identity", "research" and "text" to tables that all hold the uint64 `unit_column` without
    nulls; text columns named in `domains` are stored as codes and may hold nothing else. `order_key` (32 bytes)
    keys the buckets and the order inside a unit: under one key a unit falls into the same bucket of every shelf,
    version and dataset of as many buckets. `previous` is the SHA-256 of the manifest this version follows.
    `progress` is told (parts done, parts).
    """
    check_receipt(receipt, WRITE_ACTS, f"dataset:{dataset}")
    check_dataset_id(dataset)
    _check_request(shelves, unit_column, order_key, buckets)
    with _new_folder(version_folder(root, dataset, version)) as folder:
        writer = _Writer(folder, dataset, version, buckets, order_key, unit_column)
        report = _counter(progress, buckets * len(shelves))
        for shelf, table in shelves.items():
            context = shelf_context(dataset, version, shelf)
            data_key, writer.wrapped[shelf] = keys.new_data_key(shelf, context, receipt)
            writer.write_shelf(shelf, to_stored(table, domains), data_key, report)
        manifest = writer.manifest(domains, policy_sha256, previous)
        write_manifest(folder, manifest, keys)
    return manifest


def open_shelf(root: Path, manifest: Manifest, shelf: str, keys: KeyService, receipt: Receipt) -> "Shelf":
    """Unwrap a shelf's key and give the shelf; `manifest` is one that `read_manifest` accepted.

    The first footer is read here, every other one when its part is read: a part whose rows, schema or bytes are
    not the manifest's raises.
    """
    check_receipt(receipt, READ_ACTS, f"dataset:{manifest.dataset}")
    if shelf not in manifest.wrapped_keys:
        raise VaultUsage("shelf_unknown", f"{manifest.dataset} has no shelf {shelf!r}.", shelf=shelf)
    context = shelf_context(manifest.dataset, manifest.version, shelf)
    data_key = keys.unwrap(shelf, manifest.wrapped_keys[cast("Any", shelf)], context, receipt)
    folder = version_folder(root, manifest.dataset, manifest.version)
    files = tuple(_file(folder, manifest, part, data_key) for part in manifest.parts_of(shelf))
    schema = files[0].schema()
    if stored_columns(schema) != manifest.columns[cast("Any", shelf)]:
        raise VaultDamaged(
            "shelf_schema_mismatch",
            f"The {shelf} shelf does not have the columns of its manifest.",
            shelf=shelf,
        )
    return Shelf(files, schema, manifest.domains)


@dataclass(frozen=True)
class Shelf:
    """An opened shelf. Parts are read by a few threads, only the columns asked for, one part ahead."""

    files: tuple[EncryptedFile, ...]
    schema: pa.Schema
    domains: Domains
    _failures: list[VaultDamaged] = field(default_factory=list, repr=False)

    def scan(self) -> pl.LazyFrame:
        """Give all rows as one lazy frame; projections and filters are pushed down to the parts."""
        return self._lazy(self.files)

    def parts(self) -> list[pl.LazyFrame]:
        """Give one lazy frame a bucket; a privacy unit lies in one of them alone."""
        return [self._lazy((file,)) for file in self.files]

    def read(self, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """Read whole columns at once: the quickest way when everything is needed."""
        return pl.concat(self._frames(self.files, columns), rechunk=False)

    @contextmanager
    def named_failures(self) -> Iterator[None]:
        """Turn what polars says of a damaged part inside this block back into the error that names it."""
        try:
            yield
        except ComputeError:
            if self._failures:
                raise self._failures.pop() from None
            raise

    def _lazy(self, files: tuple[EncryptedFile, ...]) -> pl.LazyFrame:
        def source(
            with_columns: list[str] | None,
            predicate: pl.Expr | None,
            n_rows: int | None,
            _batch_size: int | None,
        ) -> Iterator[pl.DataFrame]:
            left = n_rows
            for read in self._frames(files, with_columns):
                frame = read if left is None else read.head(left)
                left = None if left is None else left - frame.height
                yield frame if predicate is None else frame.filter(predicate)
                if left == 0:
                    return

        return register_io_source(source, schema=frame_schema(self.schema, self.domains))

    def _frames(
        self, files: tuple[EncryptedFile, ...], columns: Sequence[str] | None
    ) -> Iterator[pl.DataFrame]:
        if len(files) == 1:
            yield self._frame(files[0], columns)
            return
        with ThreadPoolExecutor(READ_THREADS) as pool:
            waiting = deque(pool.submit(self._frame, file, columns) for file in files[:READ_THREADS])
            for file in files[READ_THREADS:]:
                yield waiting.popleft().result()
                waiting.append(pool.submit(self._frame, file, columns))
            yield from (one.result() for one in waiting)

    def _frame(self, file: EncryptedFile, columns: Sequence[str] | None) -> pl.DataFrame:
        try:
            return to_frame(file.read(self.schema, columns), self.domains)
        except VaultDamaged as failure:
            self._failures.append(failure)
            raise


def clean_partials(root: Path) -> list[str]:
    """Remove what a killed writer left ("<dataset>/v<N>.partial"), not what a living one is writing."""
    removed = []
    for folder in sorted(root.glob(f"*/v*{PARTIAL}")):
        with _try_lock(folder) as free:
            if free:
                shutil.rmtree(folder)
                removed.append(f"{folder.parent.name}/{folder.name}")
    return removed


def shred_version(root: Path, manifest: Manifest, keys: KeyService, receipt: Receipt) -> None:
    """Shred the keys of every shelf of a version, then remove its files; a second time changes nothing."""
    check_receipt(receipt, SHRED_ACTS, f"dataset:{manifest.dataset}")
    for shelf in manifest.wrapped_keys:
        keys.shred(shelf, shelf_context(manifest.dataset, manifest.version, shelf), receipt)
    folder = version_folder(root, manifest.dataset, manifest.version)
    if folder.exists():
        shutil.rmtree(folder)
        sync_folder(folder.parent)


def stored_columns(schema: pa.Schema) -> tuple[StoredColumn, ...]:
    """Give the columns of a shelf as its manifest lists them."""
    return tuple(StoredColumn(name=column.name, type=str(column.type)) for column in schema)


@dataclass
class _Writer:
    """One version being written: what is done so far."""

    folder: Path
    dataset: str
    version: int
    buckets: int
    order_key: bytes
    unit_column: str
    parts: list[Part] = field(default_factory=list)
    columns: dict[str, tuple[StoredColumn, ...]] = field(default_factory=dict)
    wrapped: dict[str, str] = field(default_factory=dict)

    def write_shelf(self, shelf: str, table: pa.Table, data_key: bytes, report: Callable[[], None]) -> None:
        (self.folder / shelf).mkdir(mode=0o700)
        units = table.column(self.unit_column).to_numpy()
        for bucket, rows in enumerate(bucket_rows(units, self.order_key, self.buckets)):
            self._write_part(shelf, f"part-{bucket:05d}", table.take(pa.array(rows)), data_key)
            report()
        sync_folder(self.folder / shelf)
        self.columns[shelf] = stored_columns(table.schema)

    def manifest(self, domains: Domains, policy_sha256: str, previous: str | None) -> Manifest:
        """Give the manifest of what was written."""
        return Manifest.model_validate(
            {
                "dataset": self.dataset,
                "version": self.version,
                "created": datetime.now(UTC).isoformat(),
                "columns": self.columns,
                "domains": {name: tuple(values) for name, values in domains.items()},
                "parts": tuple(self.parts),
                "wrapped_keys": self.wrapped,
                "policy_sha256": policy_sha256,
                "previous": previous,
            }
        )

    def _write_part(self, shelf: str, name: str, table: pa.Table, data_key: bytes) -> None:
        path = f"{shelf}/{name}.parquet"
        place = Place(self.dataset, self.version, shelf, name)
        written = write_encrypted(self.folder / path, table, place, data_key)
        self.parts.append(
            Part.model_validate(
                {
                    "path": path,
                    "shelf": shelf,
                    "rows": written.rows,
                    "bytes": written.bytes,
                    "sha256": written.sha256,
                }
            )
        )


def _check_request(shelves: Mapping[str, pa.Table], unit_column: str, order_key: bytes, buckets: int) -> None:
    if not shelves or not set(shelves) <= set(SHELVES):
        raise VaultUsage("shelf_unknown", f"The shelves are {', '.join(SHELVES)}; at least one is needed.")
    if len(order_key) != KEY_BYTES or not 1 <= buckets <= MAX_BUCKETS:
        raise VaultUsage(
            "bucketing_malformed",
            f"The order key has {KEY_BYTES} bytes and there are 1 to {MAX_BUCKETS} buckets.",
        )
    for shelf, table in shelves.items():
        _check_unit_column(shelf, table, unit_column)


def _check_unit_column(shelf: str, table: pa.Table, unit_column: str) -> None:
    if len(set(table.column_names)) != table.num_columns:
        raise VaultUsage("column_twice", f"The {shelf} shelf has two columns of one name.", shelf=shelf)
    if unit_column not in table.column_names:
        raise VaultUsage("unit_column_missing", f"The {shelf} shelf has no unit column.", shelf=shelf)
    column = table.column(unit_column)
    if column.type != pa.uint64() or column.null_count:
        raise VaultUsage(
            "unit_column_malformed", f"The unit column of the {shelf} shelf must be uint64 without nulls."
        )


def _file(folder: Path, manifest: Manifest, part: Part, data_key: bytes) -> EncryptedFile:
    place = Place(manifest.dataset, manifest.version, part.shelf, Path(part.path).stem)
    return EncryptedFile(folder / part.path, place, part.rows, data_key)


def _counter(progress: Progress | None, whole: int) -> Callable[[], None]:
    done = 0

    def report() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, whole)

    return report


@contextmanager
def _new_folder(final: Path) -> Iterator[Path]:
    """Give a folder to fill; rename it into place when the block ends well, remove it when it does not."""
    if final.exists():
        raise VaultRefused(
            "version_exists",
            f"{final.parent.name} {final.name} is there already; a version is never written twice.",
            "Import as the next version.",
        )
    partial = final.with_name(f"{final.name}{PARTIAL}")
    final.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        partial.mkdir(mode=0o700)
    except FileExistsError:
        raise VaultRefused(
            "version_being_written",
            f"{partial.parent.name}/{partial.name} is there: another import runs, or one was interrupted.",
            "Wait for it, or remove what an interrupted import left, then import again.",
        ) from None
    with _try_lock(partial):
        try:
            yield partial
            sync_folder(partial)
            partial.rename(final)
        except BaseException as failure:
            shutil.rmtree(partial, ignore_errors=True)
            if isinstance(failure, OSError):
                raise VaultDown(
                    "shelf_not_written",
                    f"{final.parent.name} {final.name} could not be written: {failure.strerror}.",
                    "Look at the space left on the disk, then import again.",
                ) from failure
            raise
        sync_folder(final.parent)


@contextmanager
def _try_lock(folder: Path) -> Iterator[bool]:
    """Try to hold the lock of a folder; the kernel drops it if this process dies."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(handle)
