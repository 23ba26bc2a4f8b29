"""Cutting the oldest entries off a log when nobody may keep them any longer, so that every hash stays.

C2SP tlog-tiles, section *Pruning*: a prefix of whole bundles is no longer given out, the tree does not change. What
the specification would rather withhold is removed here, since to remove it is the purpose. Hash tiles stay, so that
every inclusion and consistency proof can still be made and checked.

The database decides: its triggers let an entry go only below a boundary that an entry of this very log announces.
Once that boundary is noted, what follows is repeated until it is done, whatever interrupts it.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from audit.errors import LogDamaged
from audit.retention import PRUNE
from audit.store import BUSY_MS, telling
from audit.tiles import ENTRIES, WIDTH, TileReader, tile_path, write_files
from audit.tree import HASH_BYTES

PRUNED_FILE: Final = "pruned"
CHUNK: Final = 1_000  # rows in one transaction: whoever records waits for no more than that
GONE: Final = frozenset({"denied", "failed"})  # outcomes after which nothing may be missing

Event = Mapping[str, Any]


@dataclass(frozen=True)
class Pruned:
    """Entries below `boundary` are gone; `entry` is the one that announced it, `at` the day it was done."""

    boundary: int
    entry: int
    at: str

    def is_announced_by(self, event: Event) -> bool:
        """Say whether an event announces exactly this."""
        return (
            (event["seq"], event["type"], event["phase"]) == (self.entry, PRUNE, "intent")
            and event.get("counts", {}).get("boundary") == self.boundary
            and self.boundary % WIDTH == 0
            and self.boundary <= self.entry
        )


def read_pruned(directory: Path) -> Pruned | None:
    """Give what a trail's folder says of its pruned prefix; raises LogDamaged when that cannot be read.

    It is believed only once the entry it names has been read from the log (`Announcement`).
    """
    try:
        said = orjson.loads((directory / PRUNED_FILE).read_bytes())
        return Pruned(int(said["boundary"]), int(said["entry"]), str(said["at"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        raise LogDamaged(
            "pruned_unreadable",
            f"the file {PRUNED_FILE} cannot be read",
            "restore it from a copy or an export",
        ) from None


class Announcement:
    """What the log itself says of the prefix that a folder says was pruned; `see` every event that is left."""

    def __init__(self, pruned: Pruned) -> None:
        self._pruned = pruned
        self._corr: str | None = None
        self._undone = False
        self._days: Any = None

    def see(self, event: Event) -> None:
        """Take the next event."""
        if self._pruned.is_announced_by(event):
            self._corr = event["corr"]
            self._days = event.get("counts", {}).get("access_days")
        elif self._corr is not None and (event["corr"], event["type"]) == (self._corr, PRUNE):
            self._undone = self._undone or event.get("outcome") in GONE

    def holds(self) -> bool:
        """Say whether an entry announced the cut, and none says that it was not made."""
        return self._corr is not None and not self._undone

    def words(self) -> str:
        """Say in words what is gone."""
        gone = self._pruned
        return (
            f"entries 0 to {gone.boundary - 1} were pruned on {gone.at[:10]} under the rule that entry {gone.entry} "
            f"states (access {self._days} days); their hashes remain"
        )


def hashes_from_tiles(directory: Path, size: int, start: int, end: int) -> Iterator[bytes]:
    """Give leaf hashes of whole tiles of a log; raises LogDamaged when a tile is missing."""
    reader = TileReader(directory, size)
    for index in range(start, end, WIDTH):
        tile = reader.hash_tile(0, index // WIDTH)
        yield from (tile[i : i + HASH_BYTES] for i in range(0, len(tile), HASH_BYTES))


def note(database: Path, pruned: Pruned) -> None:
    """Write the boundary into the database, which checks it against its own entries: from here on it is decided.

    Raises LogDamaged when the database finds no entry that announces it.
    """
    with telling(), closing(_open(database)) as db:
        try:
            with db:
                db.execute("INSERT INTO pruned VALUES (:boundary, :entry, :at)", asdict(pruned))
        except sqlite3.IntegrityError:
            raise LogDamaged(
                "prune_not_announced",
                f"no entry of the log announces a cut at {pruned.boundary}; nothing was removed",
                "ask for it, and have it agreed to",
            ) from None


def finish(directory: Path, database: Path, pruned: Pruned) -> None:
    """Say it in the folder, then remove what lies below the boundary; done again it changes nothing."""
    write_files(directory, {PRUNED_FILE: orjson.dumps(asdict(pruned)) + b"\n"})
    _delete_rows(database, pruned.boundary)
    for index in range(pruned.boundary // WIDTH):
        (directory / tile_path(ENTRIES, index)).unlink(missing_ok=True)


def _delete_rows(database: Path, boundary: int) -> None:
    with telling(), closing(_open(database)) as db:
        below = db.execute("SELECT object, seq FROM entry_object WHERE seq < ?", (boundary,)).fetchall()
        for start in range(0, len(below), CHUNK):
            with db:
                some = below[start : start + CHUNK]
                db.executemany("DELETE FROM entry_object WHERE object = ? AND seq = ?", some)
        (first,) = db.execute("SELECT min(seq) FROM entry").fetchone()
        for start in range(first or 0, boundary, CHUNK):
            with db:
                db.execute("DELETE FROM entry WHERE seq < ?", (min(start + CHUNK, boundary),))
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()


def _open(database: Path) -> sqlite3.Connection:
    db = sqlite3.connect(database, BUSY_MS / 1000)
    # The rows of objects go first; without an index by entry the check of each row would read them all.
    for pragma in ("foreign_keys=OFF", "secure_delete=ON", "synchronous=FULL"):
        db.execute(f"PRAGMA {pragma}")
    return db
