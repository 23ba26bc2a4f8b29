"""What somebody with write access, and somebody with the key as well, can do to the files of a trail."""

import shutil
from pathlib import Path

from audit.checkpoint import Checkpoint, Signer
from audit.tiles import CHECKPOINT, Edge, TileReader, clear_scratch, encode_bundle, tile_path, write_files
from audit.tree import Frontier, leaf_hash

SIZE = 300


def entries_of(trail: Path) -> list[bytes]:
    reader = TileReader(trail, SIZE)
    return [entry for index in range(2) for entry in reader.bundle(index)]


def write_bundles(trail: Path, entries: list[bytes]) -> None:
    """Replace the entry bundles, and nothing else."""
    (trail / tile_path("entries", 0)).write_bytes(encode_bundle(entries[:256]))
    (trail / tile_path("entries", 1, SIZE - 256)).write_bytes(encode_bundle(entries[256:]))


def rewrite(trail: Path, entries: list[bytes], signer: Signer) -> None:
    """Replace tiles and checkpoint by those of another log, signed with this key; the database goes."""
    shutil.rmtree(trail / "tile")
    for name in ("log.db", "log.db-wal", "log.db-shm"):
        (trail / name).unlink(missing_ok=True)
    clear_scratch(trail)
    leaves = [(entry, leaf_hash(entry)) for entry in entries]
    write_files(trail, Edge().grow(leaves).files)
    frontier = Frontier().extended(hashed for _, hashed in leaves)
    note = signer.sign(Checkpoint(signer.name, frontier.size, frontier.root()))
    (trail / CHECKPOINT).write_text(note, encoding="utf-8")
