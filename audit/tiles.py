"""The evidence on disk: C2SP tlog-tiles, written so that a reader never sees half a file.

`tile/<L>/<N>[.p/<W>]` holds hashes, `tile/entries/<N>[.p/<W>]` the entries themselves, 256 to a file.
"""

import os
import shutil
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from audit.errors import LogDamaged
from audit.tree import HASH_BYTES, perfect_root

WIDTH: Final = 256
WIDTH_BITS: Final = 8
ENTRIES: Final = "entries"
CHECKPOINT: Final = "checkpoint"
SCRATCH: Final = "scratch"  # unfinished files live here, so that a restart can clear them in one step
LENGTH: Final = struct.Struct(">H")

Level = int | str


def tile_path(level: Level, index: int, width: int = WIDTH) -> str:
    """Give a tile's path: index 1234067 is `x001/x234/067`, a partial tile ends in `.p/<width>`."""
    groups = [f"{index % 1000:03d}"]
    while index := index // 1000:
        groups.append(f"x{index % 1000:03d}")
    suffix = "" if width == WIDTH else f".p/{width}"
    return f"tile/{level}/{'/'.join(reversed(groups))}{suffix}"


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """Write entries one after the other, each with its length as big-endian uint16."""
    return b"".join(LENGTH.pack(len(entry)) + entry for entry in entries)


def decode_bundle(raw: bytes, width: int) -> list[bytes]:
    """Read a bundle of exactly `width` entries; raises ValueError when it is cut, longer or malformed."""
    entries: list[bytes] = []
    place, end = 0, len(raw)
    while place < end:
        start = place + LENGTH.size
        place = start + (raw[place] << 8 | raw[start - 1]) if start <= end else end + 1
        entries.append(raw[start:place])
    if place > end or len(entries) != width:
        raise ValueError("the bundle does not hold what it should")
    return entries


def widths(level: int, size: int) -> tuple[int, int]:
    """Give how many full tiles a level has in a tree of this size, and the width of its partial one."""
    return divmod(size >> (WIDTH_BITS * level), WIDTH)


def write_files(directory: Path, files: Mapping[str, bytes]) -> None:
    """Write files so that each is there whole or not at all, and durable when this returns.

    Raises OSError (disk full, read-only); what was renamed before that is whole.
    """
    # All data first, then all names: a file system that keeps a journal then commits it fewer times.
    touched: set[Path] = set()
    unfinished = [(directory / SCRATCH / str(number), data) for number, data in enumerate(files.values())]
    for path, data in unfinished:
        _write_one(path, data)
    for (path, _), relative in zip(unfinished, files, strict=True):
        target = directory / relative
        touched.update(_make_parents(directory, target))
        path.replace(target)
    for folder in touched:
        _sync_directory(folder)


def _make_parents(directory: Path, target: Path) -> set[Path]:
    """Create the missing folders and name every folder whose list of names changes."""
    changed = {target.parent}
    folder = target.parent
    while folder != directory and not folder.exists():
        folder = folder.parent
        changed.add(folder)
    target.parent.mkdir(parents=True, exist_ok=True)
    return changed


def _write_one(path: Path, data: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_directory(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def clear_scratch(directory: Path) -> None:
    """Remove what a killed process left unfinished, and make the folder for the next one."""
    shutil.rmtree(directory / SCRATCH, ignore_errors=True)
    (directory / SCRATCH).mkdir(mode=0o700)


@dataclass
class Edge:
    """The unfinished right-hand tiles of a log: what the next entry is added to."""

    size: int = 0
    entries: list[bytes] = field(default_factory=list)
    levels: list[list[bytes]] = field(default_factory=list)

    def grow(self, leaves: Iterable[tuple[bytes, bytes]]) -> "Growth":
        """Give the edge after adding (entry, leaf hash) pairs and the files that show it; this one stays."""
        growth = Growth(Edge(self.size, list(self.entries), [list(row) for row in self.levels]))
        for entry, hashed in leaves:
            growth.add(entry, hashed)
        growth.close()
        return growth


@dataclass
class Growth:
    """An edge being extended, with the tile files that come of it."""

    edge: Edge
    files: dict[str, bytes] = field(default_factory=dict)
    filled: list[str] = field(default_factory=list)
    _touched: set[int] = field(default_factory=set)

    def add(self, entry: bytes, hashed: bytes) -> None:
        """Add one entry."""
        edge = self.edge
        edge.entries.append(entry)
        if len(edge.entries) == WIDTH:
            self._full(tile_path(ENTRIES, edge.size >> WIDTH_BITS), encode_bundle(edge.entries))
            edge.entries = []
        self._push(0, hashed)
        edge.size += 1

    def _push(self, level: int, hashed: bytes) -> None:
        levels = self.edge.levels
        if level == len(levels):
            levels.append([])
        levels[level].append(hashed)
        self._touched.add(level)
        if len(levels[level]) == WIDTH:
            index = self.edge.size >> (WIDTH_BITS * (level + 1))
            self._full(tile_path(level, index), b"".join(levels[level]))
            above = perfect_root(levels[level])
            levels[level] = []
            self._push(level + 1, above)

    def _full(self, path: str, data: bytes) -> None:
        self.files[path] = data
        self.filled.append(path)

    def close(self) -> None:
        """Add the partial tiles of the size reached."""
        edge = self.edge
        if edge.entries and self._touched:
            path = tile_path(ENTRIES, edge.size >> WIDTH_BITS, len(edge.entries))
            self.files[path] = encode_bundle(edge.entries)
        for level in sorted(self._touched):
            if row := edge.levels[level]:
                index = edge.size >> (WIDTH_BITS * (level + 1))
                self.files[tile_path(level, index, len(row))] = b"".join(row)


def drop_partials(directory: Path, filled: Iterable[str]) -> None:
    """Remove the partial tiles that a full one replaces (tlog-tiles allows it then, and only then)."""
    for path in filled:
        shutil.rmtree(directory / f"{path}.p", ignore_errors=True)


class TileReader:
    """The tiles of a log at one size, read with the fallback tlog-tiles gives: a full tile for a partial."""

    def __init__(self, directory: Path, size: int) -> None:
        self.directory = directory
        self.size = size
        self._held: dict[tuple[int, int], bytes] = {}

    def hash_tile(self, level: int, index: int) -> bytes:
        """Give a hash tile's bytes, cut to this size's width; raises LogDamaged when missing or cut."""
        width = self._width(level, index)
        raw, held = self._read(level, index, width)
        if len(raw) != held * HASH_BYTES:
            raise self._damaged("has the wrong length", level, index, held)
        return raw[: width * HASH_BYTES]

    def bundle(self, index: int) -> list[bytes]:
        """Give a bundle's entries; raises LogDamaged when it is missing, cut or malformed."""
        width = self._width(0, index)
        raw, held = self._read(ENTRIES, index, width)
        try:
            return decode_bundle(raw, held)[:width]
        except ValueError:
            raise self._damaged("is cut or malformed", ENTRIES, index, held) from None

    def node(self, height: int, index: int) -> bytes:
        """Give the hash of a perfect subtree: the NodeReader of `tree`."""
        level, inside = divmod(height, WIDTH_BITS)
        first = index << inside
        tile = self._cached(level, first >> WIDTH_BITS)
        start = first % WIDTH * HASH_BYTES
        row = tile[start : start + (HASH_BYTES << inside)]
        return perfect_root([row[i : i + HASH_BYTES] for i in range(0, len(row), HASH_BYTES)])

    def _cached(self, level: int, index: int) -> bytes:
        key = (level, index)
        if key not in self._held:
            self._held[key] = self.hash_tile(level, index)
        return self._held[key]

    def _width(self, level: int, index: int) -> int:
        full, partial = widths(level, self.size)
        return WIDTH if index < full else partial

    def _read(self, level: Level, index: int, width: int) -> tuple[bytes, int]:
        """Give a tile's bytes and the width of the file they came from."""
        for candidate in dict.fromkeys((width, WIDTH)):
            try:
                return (self.directory / tile_path(level, index, candidate)).read_bytes(), candidate
            except FileNotFoundError:
                continue
        raise self._damaged("is missing", level, index, width)

    def _damaged(self, what: str, level: Level, index: int, width: int) -> LogDamaged:
        first = index << WIDTH_BITS if level == ENTRIES else index << (WIDTH_BITS * (int(level) + 1))
        path = tile_path(level, index, width)
        return LogDamaged(
            "tile_damaged", f"{path} {what}", "restore it from a copy or an export", index=first, path=path
        )
