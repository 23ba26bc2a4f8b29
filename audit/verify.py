"""Verification in numbered steps, offline, from tiles and checkpoint; log.db is compared where it is present.

Two verdicts: integrity (is every byte what was signed) and completeness (do the events fit together). What
no step can see is said in the words of the step: a log rewritten by whoever holds its key looks whole until it
is compared with a checkpoint somebody else remembered.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import orjson

from audit.checkpoint import Checkpoint, Verifier, open_checkpoint, read_vkey
from audit.completeness import OF_RELEASES, Acts, Anomaly
from audit.confirmations import Confirmations, Trusted
from audit.errors import AuditError, BadInput, LogDamaged, ProofWrong
from audit.event import SCHEMA_VERSION, TYPES, as_submitted, parse
from audit.log import DATABASE, VKEY
from audit.reconciliation import Reconciliation
from audit.report import KEPT, SHOWN, Books, Confirmed, Findings, Name, Report
from audit.retention_pruning import Announcement, read_pruned
from audit.second_signature import check_second
from audit.snapshot import Snapshot, Unreadable, wait_for_files
from audit.statement import Statement
from audit.store import indexed
from audit.tiles import CHECKPOINT, WIDTH, WIDTH_BITS, TileReader, tile_path, widths
from audit.tree import HASH_BYTES, Frontier, leaf_hash, perfect_root

FoundBy = Callable[[int, dict[str, Any]], None]


def verify(
    directory: Path,
    vkey: str | None = None,
    since: str | None = None,
    trusted: Trusted | None = None,
    against: Statement | None = None,
) -> Report:
    """Verify a trail's folder or an export of it.

    `vkey` is the verifier key somebody gave you; without it the folder's own is used, which shows that the
    trail fits itself and nothing more. `since` is the text of a checkpoint you kept: the trail must continue it.
    `trusted` holds the keys of witnesses and the certificates of time stamps; without them those steps are not done.
    `against` is what the house says its own books hold (`enclave audit reconcile`): the trail is compared with it.
    Raises BadInput when there is no folder or the key given is malformed; what is wrong inside the folder is
    in the report.
    """
    if not directory.is_dir():
        raise BadInput(
            "no_trail", f"there is no folder {directory}", "give the folder of a trail or an export"
        )
    return _Verification(directory, against).run(vkey, since, trusted or Trusted())


class _Verification:
    """One run; the reading of the entries is a single pass that feeds every step."""

    def __init__(self, directory: Path, against: Statement | None) -> None:
        self.directory = directory
        self.found = Findings()
        self._against = against
        self._start_reading()
        self.outside: tuple[Confirmed | None, Confirmed | None] = (None, None)
        self.anomalies: list[Anomaly] = []
        self.compared: Books | None = None
        self._started = time.process_time()

    def _start_reading(self) -> None:
        self.books = None if self._against is None else Reconciliation(self._against)
        self.acts = Acts() if self.books is None else Acts(closed=self.books.close)
        self.roots: list[bytes] = []  # of the full tiles of level 0
        self.frontier = Frontier()
        self.pruned: Announcement | None = None
        self._ids: dict[str, int] = {}

    def run(self, vkey: str | None, since: str | None, trusted: Trusted) -> Report:
        if (database := self.directory / DATABASE).exists():
            wait_for_files(self.directory, database)
        verifier = self._key(vkey)
        checkpoint = self._checkpoint(verifier, trusted.second) if verifier else None
        if verifier and checkpoint:
            self._with_database(checkpoint, verifier)
            self._upper_tiles(checkpoint)
            self._root(checkpoint)
            self._remembered(checkpoint, verifier, since)
            self._outside(checkpoint, verifier, trusted)
            self._completeness()
        return self._report(verifier, checkpoint)

    # 1 and 2: what everything else hangs on

    def _key(self, vkey: str | None) -> Verifier | None:
        if vkey is not None:
            verifier = read_vkey(vkey)
            self.found.say("key", "ok", f"key {verifier.key_id.hex()} as given")
            return verifier
        try:
            verifier = read_vkey((self.directory / VKEY).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, BadInput):
            self.found.fail("key", "the folder has no readable vkey file: give the key with --vkey")
            return None
        words = f"key {verifier.key_id.hex()} from the folder itself: compare it with the one you were given"
        self.found.say("key", "ok", words)
        return verifier

    def _checkpoint(self, verifier: Verifier, second: Verifier | None) -> Checkpoint | None:
        try:
            checkpoint = self._read_checkpoint(verifier)
            if second is not None:
                check_second((self.directory / CHECKPOINT).read_text(encoding="utf-8"), second)
        except (OSError, UnicodeDecodeError):
            self.found.fail("checkpoint", "the checkpoint file is missing or not text")
            return None
        except ProofWrong as wrong:
            self.found.fail("checkpoint", wrong.message)
            return None
        twice = "" if second is None else ", and with ML-DSA-44 by the second"
        self.found.say("checkpoint", "ok", f"signed by the key{twice}: {checkpoint.size} entries")
        return checkpoint

    def _read_checkpoint(self, verifier: Verifier) -> Checkpoint:
        return open_checkpoint((self.directory / CHECKPOINT).read_text(encoding="utf-8"), verifier)

    # 3, 6 and 7: the pass over the entries

    def _with_database(self, checkpoint: Checkpoint, verifier: Verifier) -> None:
        path = self.directory / DATABASE
        if not path.exists():
            self.found.say("database", "not done", "there is no log.db here; tiles and checkpoint suffice")
            self._entries(checkpoint, None)
            return
        try:
            with Snapshot(path) as database:
                self._newest(checkpoint, verifier, database)
                self._entries(checkpoint, database)
        except Unreadable as error:
            self.found.say("database", "not done", str(error))
            self._entries(checkpoint, None)
        except (LogDamaged, ProofWrong) as damage:
            self.found.fail("database", damage.message)
            self._entries(checkpoint, None)
        self.found.say("database", "ok", "log.db holds the same entries and finds them by what they say")

    def _newest(self, checkpoint: Checkpoint, verifier: Verifier, database: Snapshot) -> None:
        """Compare how far files and database go.

        The files were read before the database, so it has at least what they show. They may be behind it, as
        those of a recorder at work or of one that was killed; but never behind what it saw them show.
        """
        if database.size < checkpoint.size:
            words = f"log.db has {database.size} entries, the checkpoint signs {checkpoint.size}"
            self.found.fail("database", words, database.size)
            return
        now = self._read_checkpoint(verifier)
        if now.size < (shown := database.shown()):
            words = f"log.db saw the files show {shown} entries, they show {now.size}: they were rolled back"
            self.found.fail("database", words, now.size)
        if database.size and database.note_at(database.size) is None:
            self.found.fail("database", "log.db has entries that no checkpoint signs", checkpoint.size)
        note = database.note_at(checkpoint.size)
        if checkpoint.size and (note is None or open_checkpoint(note, verifier) != checkpoint):
            self.found.fail("database", "log.db does not have this checkpoint: one of the two was replaced")

    def _entries(self, checkpoint: Checkpoint, database: Snapshot | None) -> None:
        """Read every bundle once. Called a second time when the database breaks under the first."""
        self._start_reading()
        reader = TileReader(self.directory, checkpoint.size)
        for start in range(0, self._pruned_prefix(reader), WIDTH):
            if not self._hashes_only(reader, start):
                return
        for start in range(len(self.roots) * WIDTH, checkpoint.size, WIDTH):
            try:
                entries = reader.bundle(start >> WIDTH_BITS)
            except (AuditError, OSError) as damage:
                self.found.fail("entries", _message(damage), start)
                return
            self._bundle(reader, start, entries)
            found_by = None if database is None else self._same_in(database, start, entries)
            self._events(checkpoint.origin, start, entries, found_by)
        self._announced()
        self.found.say("entries", "ok", f"{checkpoint.size} entries hash to the leaves of the tree")
        self.found.say(
            "events", "ok", "each is an event of a known type, in its place, with an id of its own"
        )

    def _pruned_prefix(self, reader: TileReader) -> int:
        """Give the index below which the folder says that entries were pruned; the log's own word is asked for later."""
        try:
            pruned = read_pruned(self.directory)
        except LogDamaged as damage:
            self.found.fail("entries", damage.message)
            return 0
        if pruned is None:
            return 0
        self.pruned = Announcement(pruned)
        return min(pruned.boundary, reader.size - reader.size % WIDTH)

    def _hashes_only(self, reader: TileReader, start: int) -> bool:
        """Take the hashes of a pruned bundle from their tile; the root will tell whether they are right."""
        try:
            tile = reader.hash_tile(0, start >> WIDTH_BITS)
        except (AuditError, OSError) as damage:
            self.found.fail("tiles", _message(damage), start)
            return False
        self.roots.append(perfect_root(_cut(tile)))
        self.frontier.append_perfect(self.roots[-1], WIDTH_BITS)
        return True

    def _announced(self) -> None:
        """Hold what is missing against what the log says was pruned."""
        if self.pruned is None:
            return
        if self.pruned.holds():
            self.found.say(
                "entries", "ok", f"{self.pruned.words()}; all others hash to the leaves of the tree"
            )
        else:
            self.found.fail(
                "entries", "entries are missing from the start, and no entry announces their pruning", 0
            )

    def _bundle(self, reader: TileReader, start: int, entries: Sequence[bytes]) -> None:
        hashes = [leaf_hash(entry) for entry in entries]
        if len(hashes) == WIDTH:
            self.roots.append(perfect_root(hashes))
            self.frontier.append_perfect(self.roots[-1], WIDTH_BITS)
        else:
            self.frontier = self.frontier.extended(hashes)
        try:
            tile = reader.hash_tile(0, start >> WIDTH_BITS)
        except (AuditError, OSError) as damage:
            self.found.fail("tiles", _message(damage), start)
            return
        if b"".join(hashes) != tile:
            index = start + _first_difference(hashes, _cut(tile))
            self.found.fail("entries", f"entry {index} does not hash to its leaf", index)

    def _events(self, origin: str, start: int, entries: Sequence[bytes], found_by: FoundBy | None) -> None:
        """Read the entries of a bundle as events; the first that is not one is named and ends the reading."""
        if self.found.failed("events"):
            return
        index, loads, see, first_with = start, orjson.loads, self.acts.see, self._ids.setdefault
        books = self.books
        try:
            for index, entry in enumerate(entries, start):
                event = loads(entry)
                if event["seq"] != index or event["type"] not in TYPES or event["log"] != origin:
                    break
                if event["v"] != SCHEMA_VERSION or first_with(event["id"], index) != index:
                    break
                if event["type"] in OF_RELEASES:
                    parse(as_submitted(entry))  # in full: the release rule reads inside these
                see(event)
                if self.pruned is not None:
                    self.pruned.see(event)
                if books is not None:
                    books.see(event)
                if found_by is not None:
                    found_by(index, event)
            else:
                return
        except (BadInput, ValueError, KeyError, TypeError, AttributeError):
            pass  # as above: it cannot be read as an event
        words = f"entry {index} is not an event of this log at this place with an id of its own"
        self.found.fail("events", words, index)

    def _same_in(self, database: Snapshot, start: int, entries: Sequence[bytes]) -> FoundBy | None:
        """Compare a bundle with log.db; gives what compares an event with the columns it is searched by."""
        if self.found.failed("database"):
            return None
        rows = database.rows(start, start + len(entries))
        held = [leaf for leaf, _ in rows]
        if held != entries:
            index = start + _first_difference(held, entries)
            self.found.fail("database", f"entry {index} is another one in log.db", index)
            return None

        def found_by(index: int, event: dict[str, Any]) -> None:
            if rows[index - start][1] != indexed(event) or database.objects_of(index) != _objects(event):
                words = (
                    f"log.db would not find entry {index} by what it says: its search columns were changed"
                )
                self.found.fail("database", words, index)

        return found_by

    # 4, 5, 8 to 11: the tree, and what others remember of it

    def _upper_tiles(self, checkpoint: Checkpoint) -> None:
        row, level = self.roots, 1
        reader = TileReader(self.directory, checkpoint.size)
        while row and not self.found.failed("entries"):
            self._one_level(reader, level, row)
            full, _ = widths(level, checkpoint.size)
            row = [perfect_root(row[n << WIDTH_BITS : (n + 1) << WIDTH_BITS]) for n in range(full)]
            level += 1
        if not self.found.failed("entries"):
            self.found.say("tiles", "ok", "every hash tile is what the entries give")

    def _one_level(self, reader: TileReader, level: int, row: Sequence[bytes]) -> None:
        span = 1 << (WIDTH_BITS * level)
        for start in range(0, len(row), WIDTH):
            expected = row[start : start + WIDTH]
            try:
                tile = reader.hash_tile(level, start >> WIDTH_BITS)
            except (AuditError, OSError) as damage:
                self.found.fail("tiles", _message(damage), start * span)
                return
            if b"".join(expected) != tile:
                first = (start + _first_difference(expected, _cut(tile))) * span
                words = f"{tile_path(level, start >> WIDTH_BITS)} is wrong for entries {first} to {first + span - 1}"
                self.found.fail("tiles", words, first)
                return

    def _root(self, checkpoint: Checkpoint) -> None:
        if self.frontier.size != checkpoint.size:
            return
        if self.frontier.root() == checkpoint.root:
            words = "the entries give the root that is signed"
            if self.found.failed("entries", "tiles"):
                words += ": a hash tile was changed, the entries were not"
            self.found.say("root", "ok", words)
        else:
            self.found.fail("root", "the entries do not give the root that is signed: entries were changed")

    def _remembered(self, checkpoint: Checkpoint, verifier: Verifier, since: str | None) -> None:
        if since is None:
            words = (
                "no older checkpoint was given: a log rolled back or rewritten with its key would not show "
                "(keep each checkpoint and give it with --since)"
            )
            self.found.say("remembered", "not done", words)
            return
        try:
            old = open_checkpoint(since, verifier)
        except ProofWrong as wrong:
            self.found.fail("remembered", f"the checkpoint you kept cannot be used: {wrong.message}")
            return
        self._continues(old, checkpoint)

    def _continues(self, old: Checkpoint, checkpoint: Checkpoint) -> None:
        if old.size > checkpoint.size:
            words = f"you kept a checkpoint of {old.size} entries, this log has {checkpoint.size}: it was rolled back"
            self.found.fail("remembered", words, checkpoint.size)
        elif self.frontier.size == checkpoint.size:
            if self._roots_at([old.size])[old.size] == old.root:
                self.found.say(
                    "remembered", "ok", f"continues the {old.size} entries you kept a checkpoint of"
                )
            else:
                words = (
                    f"among the first {old.size} entries some are not those you kept a checkpoint of: a fork"
                )
                self.found.fail("remembered", words)

    def _outside(self, checkpoint: Checkpoint, verifier: Verifier, trusted: Trusted) -> None:
        if self.frontier.size == checkpoint.size:
            confirmations = Confirmations(self.directory, checkpoint, verifier, self.found)
            self.outside = confirmations.judge(trusted, self._roots_at)

    def _roots_at(self, sizes: Iterable[int]) -> dict[int, bytes]:
        """Give the roots the log had at smaller sizes, in one pass over the full tiles."""
        reader = TileReader(self.directory, self.frontier.size)
        frontier, found = Frontier(), {}
        for size in sorted(set(sizes)):
            for root in self.roots[frontier.size >> WIDTH_BITS : size >> WIDTH_BITS]:
                frontier.append_perfect(root, WIDTH_BITS)
            rest = size % WIDTH
            hashes = _cut(reader.hash_tile(0, size >> WIDTH_BITS))[:rest] if rest else []
            found[size] = frontier.extended(hashes).root()
        return found

    # 12 to 16: do the events fit together, and with what else is known

    def _completeness(self) -> None:
        if self.found.failed("entries", "events"):
            return
        self.found.say("interrupted", "ok", _interrupted_words(self.acts.interrupted))
        self._fit(
            "intents",
            self.acts.pairing_anomalies(),
            "intents or outcomes stand alone",
            "every intent has its outcome",
        )
        self._fit(
            "releases",
            self.acts.release_anomalies(),
            "packages break the rule",
            "every package has two approvals by two persons other than its author",
        )
        self._fit(
            "sessions",
            self.acts.session_anomalies(),
            "notebook sessions acted that nobody opened",
            "every notebook session that acted was opened in the trail",
        )
        self._reconciled()

    def _fit(self, name: Name, anomalies: Sequence[Anomaly], wrong: str, right: str) -> None:
        if anomalies:
            first = anomalies[0]
            place = f"first at {first.index}: {first.words}" if first.index >= 0 else f"first: {first.words}"
            self.found.say(name, "anomaly", f"{len(anomalies)} {wrong}, {place}")
        self.found.say(name, "ok", right)
        self.anomalies += anomalies

    def _reconciled(self) -> None:
        """Compare with the house's own books, as far as it says it could read them."""
        if self.books is None:
            words = (
                "no statement of the house's books was given (--against): a rolled back ledger would not show"
            )
            self.found.say("reconciled", "not done", words)
            return
        anomalies = self.books.anomalies()
        self.compared = told = self.books.told(len(anomalies))
        right = f"{told.records} records of {', '.join(told.read) or 'no book'} agree with the trail"
        if told.explained:
            right += f", {told.explained} of them by an act that did not end well"
        if told.unread and not anomalies:
            self.found.say("reconciled", "not done", f"{right}; not read: {', '.join(told.unread)}")
        self._fit("reconciled", anomalies, "records do not agree with the trail", right)

    def _report(self, verifier: Verifier | None, checkpoint: Checkpoint | None) -> Report:
        integrity = not self.found.failed()
        judged = "intents" in self.found.steps
        return Report(
            origin=verifier.name if verifier else "",
            key_id=verifier.key_id.hex() if verifier else "",
            size=checkpoint.size if checkpoint else 0,
            root=checkpoint.root.hex() if checkpoint else "",
            integrity=integrity,
            completeness=not self.anomalies if judged else None,
            first_broken_index=min(self.found.broken, default=None),
            intents_without_outcome=sum(each.code == "no_outcome" for each in self.anomalies),
            interrupted=len(self.acts.interrupted) if judged else 0,
            anomalies=tuple(self.anomalies[:KEPT]),
            steps=self.found.numbered(),
            cpu_seconds=round(time.process_time() - self._started, 3),
            witnessed=self.outside[0],
            stamped=self.outside[1],
            books=self.compared,
        )


def _interrupted_words(indices: Sequence[int]) -> str:
    if not indices:
        return "no act was interrupted"
    shown = ", ".join(str(index) for index in indices[:SHOWN])
    return (
        f"{len(indices)} acts were cut short by a restart and closed as such by the process that had begun them "
        f"(intents {shown}{', ...' if len(indices) > SHOWN else ''}); whether they took place is not known"
    )


def _message(damage: Exception) -> str:
    return damage.message if isinstance(damage, AuditError) else "a file of the trail cannot be read"


def _objects(event: dict[str, Any]) -> set[str]:
    return {f"{each['kind']}:{each['id']}" for each in event.get("object", ())}


def _cut(tile: bytes) -> list[bytes]:
    return [tile[i : i + HASH_BYTES] for i in range(0, len(tile), HASH_BYTES)]


def _first_difference(one: Sequence[bytes], other: Sequence[bytes]) -> int:
    shared = min(len(one), len(other))
    return next((i for i in range(shared) if one[i] != other[i]), shared)
