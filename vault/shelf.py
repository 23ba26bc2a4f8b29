"""A shelf of a dataset version, opened: columns come by the part, decrypted only where they are asked for.

`root` is always the folder that holds one folder a dataset; a version lives in `<root>/<dataset>/v<N>`.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

import polars as pl
import pyarrow as pa
from polars.io.plugins import register_io_source

from vault.columns import enums, frame_schema, to_frame
from vault.errors import VaultDamaged, VaultError, VaultUsage
from vault.in_turn import in_turn
from vault.keys import KeyService
from vault.manifest import Manifest, Part, shelf_context, stored_columns, version_folder
from vault.parquet import EncryptedFile, Place
from vault.receipt import Receipt, check_receipt
from vault.warm import Read, Source, WarmColumns

READ_THREADS: Final = 2
READ_ACTS: Final = frozenset({"data.query", "key.unwrap", "data.compact"})


def open_shelf(
    root: Path,
    manifest: Manifest,
    shelf: str,
    keys: KeyService,
    receipt: Receipt,
    warm: WarmColumns | None = None,
) -> "Shelf":
    """Unwrap a shelf's key and give the shelf; `manifest` is one that `read_manifest` accepted.

    The first footer is read here, every other one when its part is read: a part whose rows, schema or bytes are
    not the manifest's raises. `warm` keeps what was read for whoever opens the shelf next; the key is unwrapped each
    time, and what is kept of the dataset goes when that is refused, or when another version is opened.
    """
    check_receipt(receipt, READ_ACTS, f"dataset:{manifest.dataset}")
    if shelf not in manifest.wrapped_keys:
        raise VaultUsage("shelf_unknown", f"{manifest.dataset} has no shelf {shelf!r}.", shelf=shelf)
    context = shelf_context(manifest.dataset, manifest.version, shelf)
    try:
        data_key = keys.unwrap(shelf, manifest.wrapped_keys[cast("Any", shelf)], context, receipt)
    except VaultError:
        if warm is not None:
            warm.purge(manifest.dataset)
        raise
    folder = version_folder(root, manifest.dataset, manifest.version)
    files = tuple(_file(folder, manifest, part, data_key) for part in manifest.parts_of(shelf))
    schema = files[0].schema()
    if stored_columns(schema) != manifest.columns[cast("Any", shelf)]:
        raise VaultDamaged(
            "shelf_schema_mismatch",
            f"The {shelf} shelf does not have the columns of its manifest.",
            shelf=shelf,
        )
    words = enums(schema, manifest.domains)
    if warm is None:
        return Shelf(files, schema, words)
    sha256 = manifest.sha256
    warm.purge(manifest.dataset, but=sha256)
    return Shelf(files, schema, words, _Warm(warm, manifest.dataset, sha256))


def keep_pages() -> None:
    """Have Arrow take this process's memory where pages are kept for the next read: a fifth quicker, some more memory."""
    with suppress(NotImplementedError):  # a build without it reads as well, only not as quickly
        pa.set_memory_pool(pa.jemalloc_memory_pool())


@dataclass(frozen=True)
class _Warm:
    """A version's share of the columns kept in memory."""

    columns: WarmColumns = field(repr=False)
    dataset: str
    manifest_sha256: str

    def frame(self, file: EncryptedFile, wanted: Sequence[str], read: Read) -> pl.DataFrame:
        source = Source(self.dataset, self.manifest_sha256, f"{file.place.shelf}/{file.place.part}")
        return self.columns.frame(source, wanted, read)


@dataclass(frozen=True)
class Shelf:
    """An opened shelf. Parts are read by a few threads, only the columns asked for, one part ahead."""

    files: tuple[EncryptedFile, ...]
    schema: pa.Schema
    words: Mapping[str, pl.Enum]  # of the columns that are held as codes
    warm: _Warm | None = None
    _failures: list[VaultDamaged] = field(default_factory=list, repr=False)

    def scan(self) -> pl.LazyFrame:
        """Give all rows as one lazy frame; projections and filters are pushed down to the parts."""
        return self._lazy(self.files)

    def parts(self) -> list[pl.LazyFrame]:
        """Give one lazy frame a bucket; a privacy unit lies in one of them alone."""
        return [self._lazy((file,)) for file in self.files]

    def read(self, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """Read whole columns at once: the quickest way when everything is needed."""

        def in_words(file: EncryptedFile) -> pl.DataFrame:
            codes = self._frame(file, columns)
            return codes.with_columns(
                codes[name].cast(self.words[name]) for name in codes.columns if name in self.words
            )

        return pl.concat(in_turn(in_words, self.files, READ_THREADS), rechunk=False)

    @contextmanager
    def named_failures(self) -> Iterator[None]:
        """Turn whatever is made of a damaged part inside this block back into the error that names it."""
        try:
            yield
        except Exception:
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

        # A source hands numbers over as they lie, but would build each Enum anew: it gives codes, cast behind it
        return register_io_source(source, schema=frame_schema(self.schema)).with_columns(
            pl.col(name).cast(kind) for name, kind in self.words.items()
        )

    def _frames(
        self, files: tuple[EncryptedFile, ...], columns: Sequence[str] | None
    ) -> Iterator[pl.DataFrame]:
        if len(files) == 1:
            yield self._frame(files[0], columns)
        else:
            yield from in_turn(lambda file: self._frame(file, columns), files, READ_THREADS)

    def _frame(self, file: EncryptedFile, columns: Sequence[str] | None) -> pl.DataFrame:
        def read(names: Sequence[str] | None) -> pl.DataFrame:
            try:
                return to_frame(file.read(self.schema, names))
            except VaultDamaged as failure:
                self._failures.append(failure)
                raise

        if self.warm is None:
            return read(columns)
        return self.warm.frame(file, self.schema.names if columns is None else columns, read)


def _file(folder: Path, manifest: Manifest, part: Part, data_key: bytes) -> EncryptedFile:
    place = Place(manifest.dataset, manifest.version, part.shelf, Path(part.path).stem)
    return EncryptedFile(folder / part.path, place, part.rows, data_key)
