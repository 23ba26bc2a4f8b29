"""The words events are found by, in an index beside the database that a thread of its own keeps.

Never evidence and never durable: it lies among the scratch files, is begun anew at every start, and what it does not
hold yet is read from the database itself. An act never waits for it.
"""

import logging
import re
import sqlite3
import threading
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import orjson

NAME: Final = "words.db"
STEP: Final = 512  # entries to a transaction: a search waits for no more than one
PACE_SECONDS: Final = 0.5  # new entries within it are taken together; until then they are read directly
MOST_RUNS: Final = 64  # clock steps beyond which a period is found by its times alone
NOT_A_WORD: Final = re.compile(r"[^a-z0-9._:/-]+")
JOINTS: Final = "-_.:/"  # a value is found whole, and by each of its parts between these
PARTS: Final = re.compile(f"[{re.escape(JOINTS)}]+")
FIELDS: Final = ("type", "phase", "project", "outcome")
WORD: Final = re.compile(r"(=[a-z]+:)?[a-z0-9._:/-]+")
FILTER: Final = "="  # begins the words that stand for a field; no word of a person's text can

logger = logging.getLogger(__name__)


def words(text: str) -> tuple[str, ...]:
    """Give the words of a text as events are found by them; nothing else of it reaches the database."""
    found = (word.strip(JOINTS) for word in NOT_A_WORD.split(text.lower()))
    return tuple(dict.fromkeys(word for word in found if word))


def said(event: Mapping[str, Any]) -> set[str]:
    """Give the words an event is found by: who, what, on what, why; each value whole and in its parts."""
    actor = event["actor"]
    values = [event["type"], event["corr"], actor["id"], event["source"]["service"]]
    values += [event.get(name, "") for name in ("project", "purpose", "reason", "outcome")]
    values += [actor.get("role", ""), event.get("release", {}).get("request", "")]
    for each in event.get("object", ()):
        values += [f"{each['kind']}:{each['id']}", each["id"]]
    whole = " ".join(values).lower()
    return {*whole.split(), *PARTS.sub(" ", whole).split()}


def says(leaf: bytes, wanted: str) -> bool:
    """Say whether an entry has every word of a text that `words` gave; for what the index does not hold yet."""
    return said(orjson.loads(leaf)).issuperset(wanted.split())


def field_word(name: str, value: str) -> str:
    """Give the word that stands for a field of an event."""
    return f"{FILTER}{name}:{value}"


@dataclass(frozen=True)
class Wanted:
    """What the index is asked for: events with every word, of the object if one is given, between two times."""

    words: tuple[str, ...]
    object: str | None = None
    after: str | None = None
    before: str | None = None

    @property
    def possible(self) -> bool:
        """Whether an event could have these words: what is no word of the schema is never handed to the index."""
        return all(WORD.fullmatch(word) for word in self.words)

    def query(self, span: range) -> tuple[str, list[str | int]]:
        """Give SQL for the places within a span, newest first, and its parameters but the last, the limit."""
        match = " AND ".join(f'"{word}"' for word in self.words)
        sql = "FROM words CROSS JOIN log.entry ON entry.seq = words.rowid WHERE words MATCH ? AND words.rowid >= ? AND words.rowid < ?"
        told: list[str | int] = [match, span.start, span.stop]
        for condition, value in ((_OF_OBJECT, self.object), (_AFTER, self.after), (_BEFORE, self.before)):
            if value is not None:
                sql += f" AND {condition}"
                told.append(value)
        return f"{sql} ORDER BY words.rowid DESC LIMIT ?", told


class NoIndex(Exception):
    """There is no index of words: the database is read alone, until the next start."""


class Words:
    """The index of one open log. Every answer is about the entries below `upto`."""

    def __init__(self, folder: Path, database: Path) -> None:
        self.upto = 0
        self._path, self._database = folder / NAME, database
        self._db: sqlite3.Connection | None = None
        self._turn = threading.Lock()  # one connection: it is read and written in turns
        self._runs = [0]  # the beginning, and where the clock went back: within a run times only rise
        self._latest = ""
        self._news = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="words", daemon=True)
        self._thread.start()

    def tell(self) -> None:
        """Say that there may be new entries."""
        self._news.set()

    def begin_anew(self) -> None:
        """Forget every word, and begin again with the entries that are there now; for when some were pruned."""
        with self._turn:
            if self._db is not None:
                self._drop()
                self._runs, self._latest = [0], ""
                self._db = self._open()
        self.tell()

    def close(self) -> None:
        """End, and leave nothing behind."""
        self._ended.set()
        self._news.set()
        self._thread.join()

    def leaves(self, wanted: Wanted, span: range, limit: int) -> list[bytes]:
        """Give the newest entries of a span that match; raises NoIndex when there is none any more."""
        if not wanted.possible:
            return []
        query, told = wanted.query(span)
        with self._reading() as db:
            return [leaf for (leaf,) in db.execute(f"SELECT leaf {query}", [*told, limit])]

    def count(self, wanted: Wanted, span: range, most: int) -> int:
        """Give how many entries of a span match, up to a number; raises NoIndex when there is none any more."""
        if not wanted.possible:
            return 0
        query, told = wanted.query(span)
        with self._reading() as db:
            counted = f"SELECT count(*) FROM (SELECT words.rowid {query})"  # noqa: S608  (`query` has no word of anybody)
            return int(db.execute(counted, [*told, most]).fetchone()[0])

    def period(self, after: str | None, before: str | None, upto: int) -> tuple[range, bool]:
        """Give where below a place the entries between two times lie, and whether nothing else lies there.

        Raises NoIndex when there is none any more.
        """
        with self._reading() as db:
            starts = [start for start in self._runs if start < upto]
            if len(starts) > MOST_RUNS:
                return range(upto), False
            first = db.execute(_FIRST).fetchone()[0] or 0  # what was pruned has no time to compare
            runs = [range(max(first, start), stop) for start, stop in pairwise([*starts, upto])]
            found = [part for run in runs if (part := _between(db, run, after, before))]
        return (range(found[0].start, found[-1].stop) if found else range(0)), len(runs) <= 1

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """Take a turn; an index that cannot be read is let go."""
        with self._turn:
            if self._db is None:
                raise NoIndex
            try:
                yield self._db
            except sqlite3.Error as error:
                logger.warning(_GIVEN_UP, error)
                self._drop()
                raise NoIndex from error

    # The thread that follows the database

    def _follow(self) -> None:
        try:
            self._db = self._open()
            while not self._ended.is_set():
                self._news.wait()
                self._news.clear()
                while not self._ended.is_set() and self._step():
                    pass
                self._ended.wait(PACE_SECONDS)
        except (sqlite3.Error, OSError) as error:
            logger.warning(_GIVEN_UP, error)
        with self._turn:
            self._drop()

    def _open(self) -> sqlite3.Connection:
        self._path.touch(mode=0o600)
        db = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, uri=True)
        for each in (_NOT_DURABLE, _UNDO_IN_MEMORY, _INDEX):
            db.execute(each)
        db.execute("ATTACH ? AS log", (f"{self._database.resolve().as_uri()}?mode=ro",))
        return db

    def _drop(self) -> None:
        """Let the index go; a search then reads the database from its beginning."""
        db, self._db, self.upto = self._db, None, 0
        if db is not None:
            db.close()
        self._path.unlink(missing_ok=True)

    def _step(self) -> bool:
        """Take in some entries; False when there were none."""
        with self._turn:
            if self._db is None:
                return False
            rows = self._db.execute(_NEXT, (self.upto, STEP)).fetchall()
            if rows:
                self._take(self._db, rows)
        return bool(rows)

    def _take(self, db: sqlite3.Connection, rows: Sequence[tuple[int, bytes]]) -> None:
        events = [orjson.loads(leaf) for _, leaf in rows]
        told = [each for (seq, _), event in zip(rows, events, strict=True) for each in (seq, _text(event))]
        places = ", ".join(["(?, ?)"] * len(rows))
        db.execute(f"INSERT INTO words (rowid, said) VALUES {places}", told)  # noqa: S608  (question marks)
        for (seq, _), event in zip(rows, events, strict=True):
            if event["ts"] < self._latest:
                self._runs.append(seq)
            self._latest = event["ts"]
        self.upto = rows[-1][0] + 1


def _between(db: sqlite3.Connection, run: range, after: str | None, before: str | None) -> range:
    """Cut a run, in which times only rise, to a period."""

    def time(seq: int) -> str:
        return str(db.execute(_TIME, (seq,)).fetchone()[0])

    start = 0 if after is None else bisect_right(run, after, key=time)
    stop = len(run) if before is None else bisect_left(run, before, key=time)
    return run[start:stop]


def _text(event: Mapping[str, Any]) -> str:
    fields = [field_word(name, event[name]) for name in FIELDS if name in event]
    fields.append(field_word("actor", event["actor"]["id"]))
    fields += [field_word("object", f"{each['kind']}:{each['id']}") for each in event.get("object", ())]
    return " ".join([*fields, *said(event)])


_GIVEN_UP: Final = "searches read the database alone until the next start: %s"
_NOT_DURABLE: Final = "PRAGMA synchronous=OFF"
_UNDO_IN_MEMORY: Final = "PRAGMA journal_mode=MEMORY"
_INDEX: Final = (
    "CREATE VIRTUAL TABLE words USING fts5(said, content='', columnsize=0, detail=none, "
    f"""tokenize="ascii tokenchars '{JOINTS}{FILTER}'")"""
)
_NEXT: Final = "SELECT seq, leaf FROM log.entry WHERE seq >= ? ORDER BY seq LIMIT ?"
_FIRST: Final = "SELECT min(seq) FROM log.entry"
_TIME: Final = "SELECT ts FROM log.entry WHERE seq = ?"
_OF_OBJECT: Final = "EXISTS (SELECT 1 FROM log.entry_object AS o WHERE o.object = ? AND o.seq = words.rowid)"
_AFTER: Final = "entry.ts > ?"
_BEFORE: Final = "entry.ts < ?"
