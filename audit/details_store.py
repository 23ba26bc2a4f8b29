"""The side database of sealed details, `details.db`: the one place of the trail where something can be erased.

It lies beside the log's own database, which knows nothing of it and stays append-only. What is deleted here is
overwritten (SQLite secure_delete), and the write-ahead file is emptied after each erasure.
"""

import hashlib
import hmac
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from audit import details
from audit.checkpoint import create_key, load_signer
from audit.details import Detail, Opened
from audit.errors import LogDamaged, LogUnavailable
from audit.store import BUSY_MS, telling

DATABASE: Final = "details.db"
KEY_FILE: Final = "details.key"
SCHEMA: Final = 1  # PRAGMA user_version
CHECKED: Final = b"enclave.audit.details.check"
_TABLES: Final = (
    "CREATE TABLE own (checked BLOB NOT NULL)",
    "CREATE TABLE person_key (id INTEGER PRIMARY KEY, person TEXT NOT NULL UNIQUE, wrapped BLOB NOT NULL)",
    "CREATE TABLE detail (seq INTEGER PRIMARY KEY, event TEXT NOT NULL, person TEXT NOT NULL, sealed BLOB NOT NULL)",
    "CREATE INDEX detail_person ON detail (person)",
    "CREATE TABLE erased (seq INTEGER PRIMARY KEY, rule TEXT NOT NULL, at TEXT NOT NULL, entry INTEGER NOT NULL)",
)


@dataclass(frozen=True)
class Erased:
    """An erasure, and all that is left of what it took: rule, moment (RFC 3339), the entry that announced it."""

    rule: str
    at: str
    entry: int


class Details:
    """The open side database; the recorder is its only process, its threads take turns."""

    def __init__(self, path: Path, key: bytes, size: int) -> None:
        """Open or create it beside a log of `size` entries; drops what a crash left of entries never recorded.

        Raises LogUnavailable when it cannot be written and LogDamaged when it is of another version or key.
        """
        self._key = key
        self._turn = threading.Lock()
        with telling():
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            self._db = sqlite3.connect(path, BUSY_MS / 1000, isolation_level=None, check_same_thread=False)
            try:
                self._prepare(size)
            except BaseException:
                self._db.close()
                raise

    def _prepare(self, size: int) -> None:
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON", "foreign_keys=ON"):
            self._db.execute(f"PRAGMA {pragma}")
        with self._writing() as db:
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if version == 0:
                for table in _TABLES:
                    db.execute(table)
                db.execute("INSERT INTO own VALUES (?)", (self._check(),))
                db.execute(f"PRAGMA user_version = {SCHEMA}")
            elif version != SCHEMA:
                raise LogDamaged(
                    "details_db_version", "details.db is of another version", "use the program that wrote it"
                )
            (checked,) = db.execute("SELECT checked FROM own").fetchone()
            if not hmac.compare_digest(checked, self._check()):
                raise LogDamaged(
                    "details_other_key",
                    "details.key is not the key of details.db",
                    "restore both from one and the same copy",
                )
            gone = db.execute("DELETE FROM detail WHERE seq >= ?", (size,)).rowcount
        if gone:
            self.tidy()

    def _check(self) -> bytes:
        return hmac.new(self._key, CHECKED, hashlib.sha256).digest()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction, durable at its end; nothing of it stays when it fails."""
        with telling(), self._turn:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # SQLite may have rolled back by itself
                    self._db.execute("ROLLBACK")
                raise

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with telling(), self._turn:
            yield self._db

    def close(self) -> None:
        """Close it."""
        with self._turn:
            self._db.close()

    def keep(self, size: int, given: Sequence[tuple[int, str, Detail]]) -> dict[int, str]:
        """Seal (index, event id, detail) for entries that come next in a log of `size`, durable when this returns.

        Gives the commitment for each index. What lies at or beyond `size` is of entries that were never recorded.
        """
        commitments: dict[int, str] = {}
        with self._writing() as db:
            db.execute("DELETE FROM detail WHERE seq >= ?", (size,))
            for seq, event, detail in given:
                opened = details.fresh(detail)
                sealed = details.seal(self._key_for(db, detail.person), event, opened)
                db.execute("INSERT INTO detail VALUES (?, ?, ?, ?)", (seq, event, detail.person, sealed))
                commitments[seq] = opened.commitment()
        return commitments

    def _key_for(self, db: sqlite3.Connection, person: str) -> bytes:
        """Give a person's key, made at their first detail."""
        found = db.execute("SELECT wrapped FROM person_key WHERE person = ?", (person,)).fetchone()
        if found is not None:
            return details.unwrap(self._key, person, found[0])
        made = os.urandom(details.KEY_BYTES)
        wrapped = details.wrap(self._key, person, made)
        db.execute("INSERT INTO person_key (person, wrapped) VALUES (?, ?)", (person, wrapped))
        return made

    def read(self, seq: int) -> Opened | Erased | None:
        """Open the detail of an entry; None where nothing is held and no rule erased it."""
        with self._reading() as db:
            row = db.execute("SELECT event, person, sealed FROM detail WHERE seq = ?", (seq,)).fetchone()
            if row is None:
                gone = db.execute("SELECT rule, at, entry FROM erased WHERE seq = ?", (seq,)).fetchone()
                return None if gone is None else Erased(*gone)
            event, person, sealed = row
            key = db.execute("SELECT wrapped FROM person_key WHERE person = ?", (person,)).fetchone()
            wrapped = b"" if key is None else key[0]
            return details.unseal(details.unwrap(self._key, person, wrapped), event, sealed)

    def is_of(self, leaf: bytes, seq: int, detail: Detail | None) -> bool:
        """Say whether a detail sent again is the one recorded; one that was erased can no longer be compared."""
        was_sealed = "sealed" in orjson.loads(leaf)
        if detail is None or not was_sealed:
            return detail is None and not was_sealed
        held = self.read(seq)
        return isinstance(held, Erased) or (held is not None and held.detail == detail)

    def state(self, seq: int) -> Erased | bool:
        """Say how the detail of an entry stands: sealed (True), erased, or lost (False); nothing is opened."""
        with self._reading() as db:
            if db.execute("SELECT 1 FROM detail WHERE seq = ?", (seq,)).fetchone():
                return True
            gone = db.execute("SELECT rule, at, entry FROM erased WHERE seq = ?", (seq,)).fetchone()
            return False if gone is None else Erased(*gone)

    def held(self) -> list[tuple[int, str]]:
        """Give (index, event id) of every detail that is not erased, in order."""
        with self._reading() as db:
            return list(db.execute("SELECT seq, event FROM detail ORDER BY seq"))

    def known(self) -> set[int]:
        """Give the indices of all details that are held or were erased by a rule."""
        with self._reading() as db:
            return {seq for (seq,) in db.execute("SELECT seq FROM detail UNION SELECT seq FROM erased")}

    def of_person(self, person: str) -> int:
        """Give how many details are held under a person's key."""
        with self._reading() as db:
            (count,) = db.execute("SELECT count(*) FROM detail WHERE person = ?", (person,)).fetchone()
        return int(count)

    def erase(self, expired: Mapping[str, Iterable[int]], at: str, entry: int) -> int:
        """Erase details by rule, then the keys that open nothing any more; gives how many details went."""
        gone = 0
        with self._writing() as db:
            for rule, places in expired.items():
                for seq in places:
                    gone += _erase(db, seq, Erased(rule, at, entry))
            db.execute("DELETE FROM person_key WHERE person NOT IN (SELECT person FROM detail)")
        self.tidy()
        return gone

    def destroy(self, person: str, erasure: Erased) -> int:
        """Destroy a person's key and what is sealed under it; gives how many details went."""
        with self._writing() as db:
            db.execute("DELETE FROM person_key WHERE person = ?", (person,))
            places = [seq for (seq,) in db.execute("SELECT seq FROM detail WHERE person = ?", (person,))]
            gone = sum(_erase(db, seq, erasure) for seq in places)
        self.tidy()
        return gone

    def tidy(self) -> None:
        """Bring every page home and empty the write-ahead file, where erased rows would lie on.

        Raises LogUnavailable when another process keeps the file open: what is erased may lie in it still.
        """
        with self._reading() as db:
            (busy, _, _) = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise LogUnavailable(
                "details_not_tidied",
                "the details were erased, but another process keeps their old bytes in the write-ahead file",
                "close what reads details.db, then restart the recorder",
            )


def _erase(db: sqlite3.Connection, seq: int, by: Erased) -> int:
    gone = db.execute("DELETE FROM detail WHERE seq = ?", (seq,)).rowcount
    if gone:
        db.execute("INSERT OR REPLACE INTO erased VALUES (?, ?, ?, ?)", (seq, by.rule, by.at, by.entry))
    return gone


def open_details_key(directory: Path, beside: Path, passphrase: bytes) -> bytes:
    """Give the key that wraps the keys of persons, from `details.key` beside the log's own key file.

    Made at the first start only: raises LogDamaged when there are details and their key file is gone.
    """
    path = beside.with_name(KEY_FILE)
    if not path.exists():
        if (directory / DATABASE).exists():
            raise LogDamaged(
                "details_key_gone",
                f"{KEY_FILE} is not there: the details kept with it cannot be opened",
                "restore it from a copy; what is in the log does not need it",
            )
        create_key(path, passphrase)
    return details.key_of(load_signer(path, passphrase, KEY_FILE))
