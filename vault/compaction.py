"""A version written anew without some of its units: shelf by shelf, each by whoever may open that shelf alone.

Bytes stream a bucket at a time from the old parts to new ones under new keys; each new part is read back before anything
is thrown away. The new version becomes visible by one rename, like any other; the old one is not touched here.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict

from vault.columns import dressed
from vault.errors import VaultDamaged
from vault.keys import KeyService
from vault.manifest import Manifest, Part, shelf_context, version_folder, write_manifest
from vault.parquet import EncryptedFile, Place, write_encrypted
from vault.receipt import Receipt, check_receipt
from vault.sealed_file import sync_folder
from vault.shelf import open_shelf
from vault.version import new_version_folder

COMPACT_ACTS: Final = frozenset({"data.compact"})

Progress = Callable[[int, int], None]


class Rewritten(BaseModel):
    """A shelf of the new version: what was written, and its wrapped key. Holds nothing of a row."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shelf: str
    parts: tuple[Part, ...]
    wrapped_key: str


@contextmanager
def compacted_folder(root: Path, dataset: str, version: int) -> Iterator[Path]:
    """Give a new version's folder to fill; it appears whole when the block ends well, and not at all otherwise."""
    with new_version_folder(version_folder(root, dataset, version)) as folder:
        yield folder


def rewrite_shelf(
    root: Path,
    manifest: Manifest,
    shelf: str,
    version: int,
    folder: Path,
    *,
    unit_column: str,
    unwanted: Collection[int],
    keys: KeyService,
    receipt: Receipt,
    progress: Progress = lambda _done, _of: None,
) -> Rewritten:
    """Write a shelf of `manifest` into `folder` as `version`, without the rows of the unwanted units.

    One part is in memory at a time; order and columns stay. Raises `VaultDamaged` when an old part is not what was
    written there, or a new one does not read back.
    """
    check_receipt(receipt, COMPACT_ACTS, f"dataset:{manifest.dataset}")
    old = open_shelf(root, manifest, shelf, keys, receipt)
    data_key, wrapped = keys.new_data_key(shelf, shelf_context(manifest.dataset, version, shelf), receipt)
    gone = pa.array(sorted(unwanted), pa.uint64())
    (folder / shelf).mkdir(mode=0o700)
    parts = []
    for done, file in enumerate(old.files, start=1):
        kept = _without(file.read(old.schema, None), unit_column, gone)
        place = Place(manifest.dataset, version, shelf, file.place.part)
        parts.append(_written(folder, place, kept, data_key))
        progress(done, len(old.files))
    sync_folder(folder / shelf)
    return Rewritten(shelf=shelf, parts=tuple(parts), wrapped_key=wrapped)


def put_together(
    folder: Path, manifest: Manifest, version: int, shelves: Collection[Rewritten], keys: KeyService
) -> Manifest:
    """Sign and write the manifest of the rewritten shelves; `manifest` is the one they were made from.

    Raises `VaultDamaged` where they are not the same shelves, or do not hold the same rows.
    """
    by_shelf = {one.shelf: one for one in shelves}
    if by_shelf.keys() != manifest.wrapped_keys.keys() or not _same_rows(by_shelf):
        raise VaultDamaged(
            "compaction_shelves_differ",
            f"The rewritten shelves of {manifest.dataset} do not hold the same rows; nothing was changed.",
            "Run the compaction again.",
            dataset=manifest.dataset,
        )
    parts = {part.path: part for one in shelves for part in one.parts}
    made = manifest.model_copy(
        update={
            "version": version,
            "created": datetime.now(UTC).isoformat(),
            "parts": tuple(parts[old.path] for old in manifest.parts),
            "wrapped_keys": {shelf: by_shelf[shelf].wrapped_key for shelf in manifest.wrapped_keys},
            "previous": manifest.sha256,
        }
    )
    write_manifest(folder, made, keys)
    return made


def _without(table: pa.Table, unit_column: str, gone: pa.Array) -> pa.Table:
    kept = pc.invert(pc.is_in(table.column(unit_column), value_set=gone))
    # a dictionary would keep the words of rows that are gone
    return dressed(table.filter(kept), table.schema).combine_chunks()


def _written(folder: Path, place: Place, table: pa.Table, data_key: bytes) -> Part:
    path = f"{place.shelf}/{place.part}.parquet"
    written = write_encrypted(folder / path, table, place, data_key)
    EncryptedFile(folder / path, place, table.num_rows, data_key).read(table.schema, None)
    return Part.model_validate({"path": path, "shelf": place.shelf, **vars(written)})


def _same_rows(shelves: Mapping[str, Rewritten]) -> bool:
    return len({tuple(part.rows for part in one.parts) for one in shelves.values()}) == 1
