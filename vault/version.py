"""A dataset version being written, from a stream of rows: whole or not at all, in memory that a stream cannot grow.

Rows come in batches, go sealed to their buckets on disk, and are taken up bucket by bucket to be ordered and written
as the encrypted parts of their shelves. A version becomes visible by one rename, once everything of it is durable.
"""

import fcntl
import mmap
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from vault.bucketing import Units, bucket_numbers, stored_order
from vault.columns import domain_words
from vault.errors import VaultDown, VaultRefused, VaultUsage
from vault.in_turn import in_turn
from vault.keys import KeyService
from vault.manifest import (
    SHELVES,
    Manifest,
    Part,
    StoredColumn,
    check_dataset_id,
    shelf_context,
    stored_columns,
    version_folder,
    write_manifest,
)
from vault.parquet import KEY_BYTES, Place, write_encrypted
from vault.receipt import Receipt, check_receipt
from vault.sealed_file import sync_folder
from vault.side_by_side import Batch, SideBySide
from vault.spill import Spill

PARTIAL: Final = ".partial"
SPILL: Final = "spill"
# Rows gathered before they are shared out: fewer would seal many small pieces, more would only take memory.
SPILL_ROWS: Final = 48 * 1024
# What a process may hold before memory in stock goes back to the system.
STOCK_BELOW: Final = 335 << 20
RESIDENT: Final = Path("/proc/self/statm")
SHARE_THREADS: Final = 1
# Buckets ordered and written at once; each is in memory whole.
WRITE_THREADS: Final = 2
MAX_BUCKETS: Final = 4096
WRITE_ACTS: Final = frozenset({"data.import"})

Progress = Callable[[int, int], None]
Inspect = Callable[[str, pa.Table], None]


@dataclass(frozen=True)
class Plan:
    """What a version will be, known before its first row.

    `order_key` (32 bytes) keys the buckets and the order inside a unit: under one key a unit falls into the same
    bucket of every shelf, version and dataset of as many buckets. Text columns named in `domains` are stored as
    codes and may hold nothing else. `previous` is the SHA-256 of the manifest this version follows.
    """

    dataset: str
    version: int
    shelves: tuple[str, ...]
    unit_column: str
    order_key: bytes = field(repr=False)
    buckets: int
    domains: Mapping[str, list[str]]
    policy_sha256: str
    previous: str | None


def write_stream(
    root: Path,
    plan: Plan,
    batches: Iterable[Batch],
    *,
    keys: KeyService,
    receipt: Receipt,
    progress: Progress | None = None,
    inspect: Inspect = lambda _shelf, _part: None,
) -> Manifest:
    """Write a whole dataset version, or nothing of it.

    A batch gives each shelf of the plan a table that holds the uint64 unit column without nulls; a shelf's columns
    are the same in every batch. Whatever `batches` or `inspect` raises leaves nothing behind. `inspect` sees each
    part, all rows of its units together, before it is written. `progress` is told (parts done, parts).
    """
    check_receipt(receipt, WRITE_ACTS, f"dataset:{plan.dataset}")
    check_dataset_id(plan.dataset)
    _check_plan(plan)
    beside = SideBySide(plan.shelves, plan.unit_column, domain_words(plan.domains))
    with new_version_folder(version_folder(root, plan.dataset, plan.version)) as folder:
        with closing(Spill(folder / SPILL)) as spill:
            writer = _Writer(folder, plan, spill, beside)
            writer.share_out(batches)
            data_keys = {}
            for shelf in plan.shelves:
                context = shelf_context(plan.dataset, plan.version, shelf)
                data_keys[shelf], writer.wrapped[shelf] = keys.new_data_key(shelf, context, receipt)
            writer.write_parts(data_keys, inspect, _counter(progress, plan.buckets * len(plan.shelves)))
        (folder / SPILL).unlink()
        manifest = writer.manifest()
        write_manifest(folder, manifest, keys)
    return manifest


def write_version(
    root: Path,
    *,
    dataset: str,
    version: int,
    shelves: Batch,
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
    """Write a version whose tables are in memory: `write_stream` of one batch."""
    plan = Plan(
        dataset, version, tuple(shelves), unit_column, order_key, buckets, domains, policy_sha256, previous
    )
    return write_stream(root, plan, [shelves], keys=keys, receipt=receipt, progress=progress)


def clean_partials(root: Path) -> list[str]:
    """Remove what a killed writer left ("<dataset>/v<N>.partial"), not what a living one is writing."""
    removed = []
    for folder in sorted(root.glob(f"*/v*{PARTIAL}")):
        with _try_lock(folder) as free:
            if free:
                shutil.rmtree(folder)
                removed.append(f"{folder.parent.name}/{folder.name}")
    return removed


@dataclass
class _Writer:
    """One version being written: what is done so far."""

    folder: Path
    plan: Plan
    spill: Spill
    beside: SideBySide
    parts: list[Part] = field(default_factory=list)
    columns: dict[str, tuple[StoredColumn, ...]] = field(default_factory=dict)
    wrapped: dict[str, str] = field(default_factory=dict)

    def share_out(self, batches: Iterable[Batch]) -> None:
        """Put all rows down, each with its bucket's, while the next are read."""
        for _ in in_turn(self._put_down, enumerate(self._gathered(batches)), SHARE_THREADS):
            pass
        if not self.beside.schemas:
            raise VaultUsage("nothing_to_write", "There was no batch of rows to write.")

    def _gathered(self, batches: Iterable[Batch]) -> Iterator[list[pa.Table]]:
        """Give enough rows at a time to be worth sharing out."""
        waiting, rows = [], 0
        for batch in batches:
            waiting.append(self.beside.put(batch))
            rows += waiting[-1].num_rows
            if rows >= SPILL_ROWS:
                yield waiting
                waiting, rows = [], 0
        if waiting:
            yield waiting

    def _put_down(self, numbered: tuple[int, list[pa.Table]]) -> None:
        turn, tables = numbered
        rows = _together(tables)
        numbers = bucket_numbers(self._units(rows), self.plan.order_key, self.plan.buckets)
        order = np.argsort(numbers, kind="stable")
        bounds = np.searchsorted(numbers[order], np.arange(self.plan.buckets + 1)).tolist()
        self.spill.put(turn, rows.take(pa.array(order)), bounds)
        _hand_back()

    def write_parts(
        self, data_keys: Mapping[str, bytes], inspect: Inspect, report: Callable[[], None]
    ) -> None:
        """Write the parts of every shelf, few buckets in memory at a time."""
        for shelf in data_keys:
            (self.folder / shelf).mkdir(mode=0o700)

        def write(bucket: int) -> list[Part]:
            return self._write_bucket(bucket, data_keys, inspect)

        for parts in in_turn(write, range(self.plan.buckets), WRITE_THREADS):
            for part in parts:
                self.parts.append(part)
                report()
        for shelf in data_keys:
            sync_folder(self.folder / shelf)
            self.columns[shelf] = stored_columns(self.beside.schema(shelf))

    def _write_bucket(self, bucket: int, data_keys: Mapping[str, bytes], inspect: Inspect) -> list[Part]:
        written = []
        for shelf, part in self.beside.take_apart(self._ordered(bucket)):
            inspect(shelf, part)
            written.append(self._write_part(shelf, f"part-{bucket:05d}", part, data_keys[shelf]))
        return written

    def _ordered(self, bucket: int) -> pa.RecordBatch:
        """Take a bucket up from the spill, its rows as they are stored."""
        _hand_back()
        taken = [pa.Table.from_batches([batch]) for batch in self.spill.take(bucket)]
        rows = _together(taken or [self.beside.no_rows()])
        return rows.take(pa.array(stored_order(self._units(rows), self.plan.order_key)))

    def manifest(self) -> Manifest:
        """Give the manifest of what was written."""
        return Manifest.model_validate(
            {
                "dataset": self.plan.dataset,
                "version": self.plan.version,
                "created": datetime.now(UTC).isoformat(),
                "columns": self.columns,
                "domains": {name: tuple(values) for name, values in self.plan.domains.items()},
                "parts": tuple(self.parts),
                "wrapped_keys": self.wrapped,
                "policy_sha256": self.plan.policy_sha256,
                "previous": self.plan.previous,
            }
        )

    def _units(self, rows: pa.RecordBatch) -> Units:
        units: Units = rows.column(self.plan.unit_column).to_numpy()
        return units

    def _write_part(self, shelf: str, name: str, table: pa.Table, data_key: bytes) -> Part:
        path = f"{shelf}/{name}.parquet"
        place = Place(self.plan.dataset, self.plan.version, shelf, name)
        written = write_encrypted(self.folder / path, table, place, data_key)
        return Part.model_validate({"path": path, "shelf": shelf, **vars(written)})


def _hand_back() -> None:
    """Give memory that is kept in stock back, once this process holds a lot: kept, it spares the work of new pages."""
    if int(RESIDENT.read_text().split()[1]) * mmap.PAGESIZE > STOCK_BELOW:
        pa.default_memory_pool().release_unused()


def _together(tables: list[pa.Table]) -> pa.RecordBatch:
    """Give tables as one batch, and forget them; a column may come in two forms of text."""
    chunks = pa.concat_tables(tables, promote_options="permissive")
    tables.clear()
    columns = [column.combine_chunks() for column in chunks.columns]
    return pa.RecordBatch.from_arrays(columns, schema=chunks.schema)


def _check_plan(plan: Plan) -> None:
    if not plan.shelves or not set(plan.shelves) <= set(SHELVES):
        raise VaultUsage("shelf_unknown", f"The shelves are {', '.join(SHELVES)}; at least one is needed.")
    if len(plan.order_key) != KEY_BYTES or not 1 <= plan.buckets <= MAX_BUCKETS:
        raise VaultUsage(
            "bucketing_malformed",
            f"The order key has {KEY_BYTES} bytes and there are 1 to {MAX_BUCKETS} buckets.",
        )


def _counter(progress: Progress | None, whole: int) -> Callable[[], None]:
    done = 0

    def report() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, whole)

    return report


@contextmanager
def new_version_folder(final: Path) -> Iterator[Path]:
    """Give a folder to fill; rename it into place when the block ends well, remove it when it does not."""
    if final.exists():
        raise VaultRefused(
            "version_exists",
            f"{final.parent.name} {final.name} is there already; a version is never written twice.",
            "Import as the next version.",
        )
    partial = final.with_name(f"{final.name}{PARTIAL}")
    final.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    sync_folder(final.parent.parent)
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
                    reason=str(failure.strerror),
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
