"""The trail's database: durability and search. Append-only, one writer, every row together with its leaf hash.

The tiles are the evidence; this is where an acknowledged entry is safe first, and where it is looked up.
"""

import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import orjson
import sqlalchemy as sa
from sqlalchemy.engine.interfaces import DBAPIConnection

from audit.errors import LogDamaged, LogUnavailable
from audit.store_words import says

SCHEMA: Final = 3  # PRAGMA user_version of a log.db this program reads and writes
BUSY_MS: Final = 1_000
# The publisher moves pages over every time it has written files; a commit does it only if that stays away (64 MB).
WAL_LIMIT: Final = "wal_autocheckpoint=16384"
ID_CHUNK: Final = 500
STREAM_ROWS: Final = 4_096

_meta = sa.MetaData()
ENTRY: Final = sa.Table(
    "entry",
    _meta,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("leaf", sa.LargeBinary, nullable=False),
    sa.Column("leaf_sha256", sa.LargeBinary, nullable=False),
    sa.Column("ts", sa.Text, nullable=False, index=True),
    sa.Column("type", sa.Text, nullable=False, index=True),
    sa.Column("phase", sa.Text, nullable=False, index=True),
    sa.Column("corr", sa.Text, nullable=False, index=True),
    sa.Column("actor", sa.Text, nullable=False, index=True),
    sa.Column("service", sa.Text, nullable=False),
    sa.Column("project", sa.Text, index=True),
    sa.Column("outcome", sa.Text, index=True),
)
OBJECT: Final = sa.Table(
    "entry_object",
    _meta,
    sa.Column("object", sa.Text, primary_key=True),
    sa.Column("seq", sa.Integer, sa.ForeignKey(ENTRY.c.seq), primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)
CHECKPOINT: Final = sa.Table(
    "checkpoint",
    _meta,
    sa.Column("size", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("note", sa.Text, nullable=False),
)
SHOWN: Final = sa.Table(  # how far the files are known to have gone: what shows less was rolled back
    "shown",
    _meta,
    sa.Column("size", sa.Integer, primary_key=True, autoincrement=False),
)
PRUNED: Final = sa.Table(  # below the largest boundary entries may go, because an entry announces it
    "pruned",
    _meta,
    sa.Column("boundary", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("entry", sa.Integer, nullable=False),
    sa.Column("at", sa.Text, nullable=False),
)
INDEXED: Final = ("id", "type", "phase", "corr", "actor", "service", "project", "outcome")
EQUAL: Final = ("type", "phase", "corr", "actor", "project", "outcome")

# What SQLite says, and what a person is told. Anything else means the disk's state is not known.
KNOWN_TROUBLE: Final = (
    ("database or disk is full", "disk_full", "the disk of the trail is full", "free space"),
    ("readonly database", "read_only", "the trail can only be read", "mount its folder for writing"),
    ("database is locked", "log_locked", "another process holds the trail's database", "stop that process"),
)


@dataclass(frozen=True)
class Row:
    """One entry, ready to be written."""

    seq: int
    id: str
    leaf: bytes
    leaf_sha256: bytes
    ts: str
    event: Mapping[str, Any]
    objects: tuple[str, ...]

    def values(self) -> tuple[Any, ...]:
        """Give the columns of the entry table, in the order of COLUMNS."""
        return (self.seq, self.leaf, self.leaf_sha256, self.ts, *indexed(self.event))


def indexed(event: Mapping[str, Any]) -> tuple[str | None, ...]:
    """Give what an event is found by, in the order of INDEXED."""
    return (
        event["id"],
        event["type"],
        event["phase"],
        event["corr"],
        event["actor"]["id"],
        event["source"]["service"],
        event.get("project"),
        event.get("outcome"),
    )


@dataclass(frozen=True)
class Held:
    """An entry the database already has."""

    seq: int
    leaf: bytes
    leaf_sha256: bytes


class Trouble(Exception):
    """The database failed in a way that leaves its state unknown: nothing may follow until a restart."""


class Store:
    """The database of one trail. `append` is called by the sequencer only."""

    def __init__(self, path: Path) -> None:
        """Open or create the database.

        Raises LogUnavailable when it cannot be written and LogDamaged when it is not one of ours.
        """
        with telling():
            _create_private(path)
            self._engine = _engine(path)
            self._prepare()

    def _prepare(self) -> None:
        with self._engine.begin() as db:
            version = db.exec_driver_sql("PRAGMA user_version").scalar_one()
            has_tables = db.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar_one()
            if version == 0 and not has_tables:
                _create_schema(db)
            elif version != SCHEMA:
                raise other_schema(version)

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    def append(self, rows: Sequence[Row], size: int, note: str, shown: int = 0) -> None:
        """Write rows and the checkpoint that covers them in one transaction, durable when this returns.

        `shown` is how many entries the files show by now. Raises LogUnavailable when nothing was written and
        Trouble when that is not known.
        """
        with telling(), self.writing() as db:
            insert_rows(db, rows)
            db.execute(_INSERT_CHECKPOINT, (size, note))
            db.execute(_INSERT_SHOWN, (shown,))

    def note_shown(self, size: int) -> None:
        """Write down how many entries the files show."""
        with telling(), self.writing() as db:
            db.execute(_INSERT_SHOWN, (size,))

    def move_over(self) -> None:
        """Move what was committed from the write-ahead file into the database, so that no commit has to."""
        with telling(), self._driver() as db:
            db.execute("PRAGMA wal_checkpoint(PASSIVE)")

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Give a transaction that is durable once it is left."""
        with self._driver() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                db.rollback()
                raise

    @contextmanager
    def _driver(self) -> Iterator[sqlite3.Connection]:
        """Give SQLite's own connection: on the way of every act SQLAlchemy's statements would double the time."""
        held = self._engine.raw_connection()
        try:
            yield cast("sqlite3.Connection", held.driver_connection)
        finally:
            held.close()

    def find(self, ids: Iterable[str]) -> dict[str, Held]:
        """Give what is held of these event ids."""
        wanted = tuple(ids)
        found: dict[str, Held] = {}
        with telling(), self._driver() as db:
            for start in range(0, len(wanted), ID_CHUNK):
                some = wanted[start : start + ID_CHUNK]
                query = f"{_FIND} ({', '.join('?' * len(some))})"
                for name, *held in db.execute(query, some):
                    found[name] = Held(*held)
        return found

    def size(self) -> int:
        """Give the number of entries, pruned ones included; raises LogDamaged when their numbers have a hole."""
        query = sa.select(sa.func.count(), sa.func.min(ENTRY.c.seq), sa.func.max(ENTRY.c.seq))
        with telling(), self._engine.connect() as db:
            count, first, last = db.execute(query).one()
        if not count:
            return 0
        if first > self.boundary() or last - first != count - 1:
            raise LogDamaged("log_db_hole", "log.db has lost entries: their numbers have a hole", _RESTORE)
        return int(last) + 1

    def boundary(self) -> int:
        """Give the index below which entries were pruned."""
        found = self.pruned()
        return 0 if found is None else found[0]

    def pruned(self) -> tuple[int, int, str] | None:
        """Give the last cut: its boundary, the entry that announced it, and when."""
        query = sa.select(PRUNED).order_by(PRUNED.c.boundary.desc()).limit(1)
        with telling(), self._engine.connect() as db:
            row = db.execute(query).first()
        return None if row is None else (row.boundary, row.entry, row.at)

    def leaves(self, start: int, end: int) -> Iterator[tuple[bytes, bytes]]:
        """Give (entry, leaf hash) of a range, in order."""
        return self._stream(ENTRY.c.leaf, ENTRY.c.leaf_sha256, start, end)

    def hashes(self, start: int, end: int) -> Iterator[bytes]:
        """Give the leaf hashes of a range, in order."""
        for (hashed,) in self._stream(ENTRY.c.leaf_sha256, None, start, end):
            yield hashed

    def _stream(self, one: Any, two: Any, start: int, end: int) -> Iterator[Any]:
        columns = [column for column in (one, two) if column is not None]
        query = sa.select(*columns).where(ENTRY.c.seq >= start, ENTRY.c.seq < end).order_by(ENTRY.c.seq)
        with telling(), self._engine.connect() as db:
            for part in db.execution_options(yield_per=STREAM_ROWS).execute(query).partitions():
                yield from (tuple(row) for row in part)

    def last_checkpoint(self) -> str | None:
        """Give the newest signed checkpoint."""
        query = sa.select(CHECKPOINT.c.note).order_by(CHECKPOINT.c.size.desc()).limit(1)
        with telling(), self._engine.connect() as db:
            return db.execute(query).scalar()

    def ask(self, query: sa.Select[Any]) -> list[Any]:
        """Give the first column of what a query finds."""
        with telling(), self._engine.connect() as db:
            return list(db.execute(query).scalars())

    def open_intents(self, service: str) -> list[dict[str, Any]]:
        """Give the intents of a service that no outcome closes: same correlation id and type, one for one."""
        with telling(), self._engine.connect() as db:
            return [orjson.loads(leaf) for leaf in db.execute(_OPEN, {"service": service}).scalars()]


_RESTORE: Final = "keep the folder as it is and verify it against the last export"
COLUMNS: Final = ("seq", "leaf", "leaf_sha256", "ts", *INDEXED)
_INSERT_ENTRY: Final = f"INSERT INTO entry ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"  # noqa: S608  (names of columns)
_INSERT_OBJECT: Final = "INSERT INTO entry_object (seq, object) VALUES (?, ?)"
_INSERT_CHECKPOINT: Final = "INSERT INTO checkpoint (size, note) VALUES (?, ?)"
_INSERT_SHOWN: Final = "INSERT OR IGNORE INTO shown (size) VALUES (?)"
_FIND: Final = "SELECT id, seq, leaf, leaf_sha256 FROM entry WHERE id IN"


def insert_rows(db: sqlite3.Connection, rows: Sequence[Row]) -> None:
    """Write rows and what objects they are found by."""
    db.executemany(_INSERT_ENTRY, [row.values() for row in rows])
    db.executemany(_INSERT_OBJECT, [(row.seq, each) for row in rows for each in row.objects])


def _same_act(other: sa.FromClause, phase: str) -> Any:
    return (
        sa.select(sa.func.count())
        .select_from(other)
        .where(other.c.corr == ENTRY.c.corr, other.c.type == ENTRY.c.type, other.c.phase == phase)
    )


_intents, _outcomes = ENTRY.alias("intents"), ENTRY.alias("outcomes")
_OPEN: Final = (
    sa.select(ENTRY.c.leaf)
    .where(
        ENTRY.c.phase == "intent",
        ENTRY.c.service == sa.bindparam("service"),
        _same_act(_outcomes, "outcome").scalar_subquery()
        < _same_act(_intents, "intent").where(_intents.c.seq <= ENTRY.c.seq).scalar_subquery(),
    )
    .order_by(ENTRY.c.seq)
)


def other_schema(version: int) -> LogDamaged:
    """Say that a log.db is of a version this program does not know."""
    return LogDamaged(
        "log_db_version",
        f"log.db has schema version {version}, this program knows {SCHEMA}",
        "use the program version that wrote it",
    )


@contextmanager
def telling() -> Iterator[None]:
    """Turn the database's errors into ours: known ones refuse, any other is Trouble."""
    try:
        yield
    except (sa.exc.DBAPIError, sqlite3.Error, OSError) as error:
        raise _told(str(error)) from error


def _told(said: str) -> Exception:
    for phrase, code, what, to_do in KNOWN_TROUBLE:
        if phrase in said:
            return LogUnavailable(code, f"{what}; nothing was recorded", to_do)
    return Trouble(said)


def _create_private(path: Path) -> None:
    """Create the file with mode 0600 before SQLite does; its -wal and -shm inherit that."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))


def _engine(path: Path) -> sa.Engine:
    engine = sa.create_engine(f"sqlite:///{path}", connect_args={"timeout": BUSY_MS / 1000})
    sa.event.listen(engine, "connect", _set_up)
    sa.event.listen(engine, "begin", lambda db: db.exec_driver_sql("BEGIN"))
    return engine


def _set_up(connection: DBAPIConnection, _record: object) -> None:
    cast("sqlite3.Connection", connection).create_function("says", 2, says, deterministic=True)
    connection.isolation_level = None  # SQLAlchemy begins and ends transactions, not the driver
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", WAL_LIMIT):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


_ABOVE_THE_CUT: Final = "WHEN OLD.seq >= coalesce((SELECT max(boundary) FROM pruned), 0) "
# A boundary moves forward only, by whole tiles, and only where an entry that stays announces exactly this one.
_ONLY_AN_ANNOUNCED_CUT: Final = """CREATE TRIGGER pruned_only_as_announced BEFORE INSERT ON pruned
WHEN NEW.boundary % 256 <> 0
  OR NEW.boundary < coalesce((SELECT max(boundary) FROM pruned), 1)
  OR NOT EXISTS (
    SELECT 1 FROM entry WHERE seq = NEW.entry AND seq >= NEW.boundary AND type = 'audit.prune' AND phase = 'intent'
      AND json_extract(CAST(leaf AS TEXT), '$.counts.boundary') = NEW.boundary)
BEGIN SELECT RAISE(ABORT, 'no entry announces this cut'); END"""


def _create_schema(db: sa.Connection) -> None:
    _meta.create_all(db)
    for table in _meta.sorted_tables:
        for act in ("UPDATE", "DELETE"):
            unless = _ABOVE_THE_CUT if act == "DELETE" and table in (ENTRY, OBJECT) else ""
            db.exec_driver_sql(
                f"CREATE TRIGGER {table.name}_no_{act.lower()} BEFORE {act} ON {table.name} {unless}"
                "BEGIN SELECT RAISE(ABORT, 'the trail is append-only'); END"
            )
    db.exec_driver_sql(_ONLY_AN_ANNOUNCED_CUT)
    db.exec_driver_sql(f"PRAGMA user_version = {SCHEMA}")
