"""log.db as a verifier reads it: never written, at one moment, whatever the recorder does meanwhile."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import sqlalchemy as sa

from audit.checkpoint import read_checkpoint
from audit.errors import LogDamaged, ProofWrong
from audit.log import LOCK
from audit.publisher import MOST_SECONDS_BEHIND
from audit.store import CHECKPOINT, ENTRY, INDEXED, OBJECT, SCHEMA, SHOWN, STREAM_ROWS, other_schema
from audit.tiles import CHECKPOINT as CHECKPOINT_FILE

CATCH_UP_SECONDS: Final = MOST_SECONDS_BEHIND + 2  # later than that a recorder refuses: nothing more comes
LOOK_AGAIN_SECONDS: Final = 0.05
LOCKS: Final = Path("/proc/locks")  # proc(5)
NOT_OPENED: Final = "unable to open database file"
_COLUMNS: Final = tuple(ENTRY.c[name] for name in INDEXED)
_RANGE: Final = (
    sa.select(ENTRY.c.leaf, *_COLUMNS)
    .where(ENTRY.c.seq >= sa.bindparam("start"), ENTRY.c.seq < sa.bindparam("end"))
    .order_by(ENTRY.c.seq)
)
_OBJECTS: Final = sa.select(OBJECT.c.seq, OBJECT.c.object).order_by(OBJECT.c.seq)


def wait_for_files(directory: Path, database: Path) -> None:
    """Give a recorder at work a moment to show what is durable: else its newest acts would look unfinished.

    A log that nobody serves may have such entries too, after a crash; nobody is there to show them, so they are not
    waited for.
    """
    deadline = time.monotonic() + CATCH_UP_SECONDS
    try:
        with closing(sqlite3.connect(f"file:{database.resolve()}?mode=ro", uri=True)) as db:
            (last,) = db.execute("SELECT max(seq) FROM entry").fetchone()
        while _shown(directory) <= (-1 if last is None else last) and time.monotonic() < deadline:
            if not _served(directory):
                return
            time.sleep(LOOK_AGAIN_SECONDS)
    except (sqlite3.Error, OSError, UnicodeDecodeError, ProofWrong):
        return  # the steps of the verification will say what is wrong


def _served(directory: Path) -> bool:
    """Tell whether a recorder owns the folder, without touching its lock: a verifier must not keep one from starting."""
    lock = directory / LOCK
    if not lock.exists():
        return False
    inode = f":{lock.stat().st_ino}"
    lines = (line.split() for line in LOCKS.read_text(encoding="ascii").splitlines())
    return any("FLOCK" in words and any(word.endswith(inode) for word in words) for words in lines)


def _shown(directory: Path) -> int:
    return read_checkpoint((directory / CHECKPOINT_FILE).read_text(encoding="utf-8")).size


class Unreadable(Exception):
    """The database is there, but this machine cannot open it; says nothing about what it holds."""


class Snapshot:
    """The database at the moment it was opened.

    Raises Unreadable when it cannot be opened here, LogDamaged when it is not a log.db.
    """

    def __init__(self, path: Path) -> None:
        # Without a write-ahead file nobody has the database open: it can be read where nothing may be written.
        still = "" if path.with_name(f"{path.name}-wal").exists() else "&immutable=1"
        self._engine = sa.create_engine(f"sqlite:///file:{path.resolve()}?mode=ro{still}&uri=true")
        with self._telling():
            self._db = self._engine.connect()
            self._db.exec_driver_sql("BEGIN")
            version = self._db.exec_driver_sql("PRAGMA user_version").scalar_one()
            if version != SCHEMA:
                raise other_schema(version)
            self.size: int = self._db.execute(
                sa.select(sa.func.coalesce(sa.func.max(ENTRY.c.seq) + 1, 0))
            ).scalar_one()
            self._objects = iter(self._db.execution_options(yield_per=STREAM_ROWS).execute(_OBJECTS))
            self._next = next(self._objects, None)

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except sa.exc.DBAPIError as error:
            raise self._told(error) from error

    @staticmethod
    def _told(error: sa.exc.DBAPIError) -> Exception:
        if NOT_OPENED in str(error):
            return Unreadable("log.db cannot be opened here: copy the folder to where you may write")
        return LogDamaged("log_db_damaged", "log.db is not a readable database", "restore it from a backup")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _where: TracebackType | None
    ) -> None:
        self._db.close()
        self._engine.dispose()

    def rows(self, start: int, end: int) -> list[tuple[bytes, tuple[str | None, ...]]]:
        """Give each entry of a range with what the database would find it by."""
        with self._telling():
            return [
                (row[0], tuple(row[1:])) for row in self._db.execute(_RANGE, {"start": start, "end": end})
            ]

    def objects_of(self, seq: int) -> set[str]:
        """Give the objects an entry is found by; to be asked for rising numbers."""
        found: set[str] = set()
        with self._telling():
            while self._next is not None and self._next.seq <= seq:
                found.add(self._next.object)
                self._next = next(self._objects, None)
        return found

    def note_at(self, size: int) -> str | None:
        """Give the checkpoint that was signed at a size."""
        with self._telling():
            return self._db.execute(sa.select(CHECKPOINT.c.note).where(CHECKPOINT.c.size == size)).scalar()

    def shown(self) -> int:
        """Give how many entries the files are known to have shown."""
        with self._telling():
            return int(self._db.execute(sa.select(sa.func.max(SHOWN.c.size))).scalar() or 0)
