"""The sequencer: one thread owns the log, commits whoever waits together, and answers only after the fsync.

Order of every round: entries and their signed checkpoint into the database (durable), then answers; tiles and
checkpoint follow as files on the publisher's thread. Files that cannot be written, or stay behind, stop the next
round; a restart makes up for what they lack from the database.
"""

import fcntl
import logging
import os
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from audit import retention_pruning
from audit.checkpoint import Checkpoint, Signer, Verifier, open_checkpoint
from audit.details import Detail
from audit.details_store import DATABASE as DETAILS
from audit.details_store import Details
from audit.errors import AuditError, Conflict, LogDamaged, LogUnavailable, NotFound, ProofWrong
from audit.event import Event, as_submitted, canonical, stamp, utc_now
from audit.proof import prove
from audit.publisher import Publisher, Shown, unknown_state
from audit.retention_pruning import Pruned
from audit.second_signature import VKEY as SECOND_VKEY
from audit.second_signature import SecondSigner
from audit.store import Held, Row, Store, Trouble
from audit.store_search import Finder
from audit.store_words import Words
from audit.tiles import CHECKPOINT, SCRATCH, WIDTH, Edge, TileReader, clear_scratch, write_files
from audit.tree import Frontier, leaf_hash

DATABASE: Final = "log.db"
LOCK: Final = "lock"
VKEY: Final = "vkey"
MAX_BATCH: Final = 256
PRUNE_SECONDS: Final = 10.0
PROVE_SECONDS: Final = 10.0  # a proof is the one thing that waits for files
RESTORE: Final = "keep the folder as it is and verify it against the last export"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Accepted:
    """An entry that is durable: its place, its id, the hash that stands in the tree."""

    index: int
    event_id: str
    leaf_sha256: bytes


@dataclass
class _Waiting:
    event: Event
    answer: "Future[Accepted]"
    detail: Detail | None = None


class Log:
    """An open trail; the only writer of its folder."""

    def __init__(
        self,
        directory: Path,
        signer: Signer,
        *,
        details_key: bytes | None = None,
        second: SecondSigner | None = None,
        clock: Callable[[], str] = utc_now,
    ) -> None:
        """Open or create the trail in a folder and bring its files up to date.

        `details_key` opens the side database of sealed details; without it an event with a detail is refused.
        `second` signs the checkpoints that are published a second time.

        Raises LogUnavailable when another process owns the folder or it cannot be written, and LogDamaged
        when database, files and signatures do not agree.
        """
        self.directory = directory
        self._signer = signer
        self._second = second
        self._clock = clock
        self._details_key = details_key
        self.details: Details | None = None
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._broken: AuditError | None = None
        self._closed = False
        self._door = threading.Lock()  # so that nothing is queued behind the end
        self._lock = lock_folder(directory)
        try:
            self._open()
        except Trouble as error:
            os.close(self._lock)
            raise unknown_state() from error
        except BaseException:
            os.close(self._lock)
            raise
        self._thread = threading.Thread(target=self._work, name="sequencer", daemon=True)
        self._thread.start()

    def _open(self) -> None:
        clear_scratch(self.directory)
        _keep_vkey(self.directory / VKEY, self._signer.verifier)
        if self._second is not None:
            _keep_vkey(self.directory / SECOND_VKEY, self._second.verifier)
        self.store = Store(self.directory / DATABASE)
        self._database = _identity(self.directory / DATABASE)
        size = self.store.size()
        published = _published(self.directory, self._signer)
        if published.size > size:
            raise LogDamaged(
                "log_db_rolled_back",
                f"the files show {published.size} entries, log.db only {size}",
                RESTORE,
                index=size,
            )
        self._finish_pruning(published)
        frontier = Frontier().extended(self._hashes(0, published.size))
        if frontier.root() != published.root:
            raise LogDamaged("root_differs", "log.db does not have the entries the checkpoint signs", RESTORE)
        edge = self._edge_at(published.size)
        self._frontier = frontier.extended(self.store.hashes(published.size, size))
        self._check_newest(size)
        self._publisher = Publisher(self.directory, self.store, edge, self._second)
        self._publisher.start(Shown(size, self._note))
        self._index = Words(self.directory / SCRATCH, self.directory / DATABASE)
        self._index.tell()
        self.search = Finder(self.store, self._index).search
        if self._details_key is not None:
            self.details = Details(self.directory / DETAILS, self._details_key, size)

    def _edge_at(self, size: int) -> Edge:
        """Build the unfinished tiles at a size from the database; only the last bundle's bytes are kept."""
        full = size - size % WIDTH
        edge = Edge().grow((b"", hashed) for hashed in self._hashes(0, full)).edge
        return edge.grow(self.store.leaves(full, size)).edge

    def _hashes(self, start: int, end: int) -> Iterator[bytes]:
        """Give leaf hashes that the files show: of pruned entries from the tiles, of all others from the database."""
        cut = min(self.store.boundary(), end)
        yield from retention_pruning.hashes_from_tiles(self.directory, end, start, cut)
        yield from self.store.hashes(max(start, cut), end)

    def _finish_pruning(self, published: Checkpoint) -> None:
        """Do again what a crash may have left of a cut."""
        found = self.store.pruned()
        if found is None:
            return
        if published.size <= found[1]:
            raise LogDamaged(
                "pruned_tiles_gone",
                "the files do not show the entry that announced what was pruned, and only they hold its hashes",
                "restore tile/ and checkpoint from a copy or an export",
            )
        retention_pruning.finish(self.directory, self.directory / DATABASE, Pruned(*found))

    def prune(self, boundary: int, entry: int) -> None:
        """Remove the entries below a boundary that the entry of that index announces; their hashes stay.

        Raises LogDamaged when the database finds no such announcement.
        """
        self._publisher.wait_for(entry, PRUNE_SECONDS)
        pruned = Pruned(boundary, entry, self._clock())
        retention_pruning.note(self.directory / DATABASE, pruned)
        retention_pruning.finish(self.directory, self.directory / DATABASE, pruned)
        self._index.begin_anew()

    def _check_newest(self, size: int) -> None:
        note = self.store.last_checkpoint()
        if note is None and size == 0:
            self._note = self._signer.sign(self.head)
            return
        if note is None or open_checkpoint(note, self._signer.verifier) != self.head:
            raise LogDamaged("root_differs", "log.db does not have the entries its checkpoint signs", RESTORE)
        self._note = note

    @property
    def head(self) -> Checkpoint:
        """What is durable now."""
        frontier = self._frontier
        return Checkpoint(self._signer.name, frontier.size, frontier.root())

    def prove(self, index: int, timeout: float = PROVE_SECONDS) -> str:
        """Give the proof file of an entry, waiting (seconds) for the files to show it; of a pruned one without it.

        Raises NotFound for an entry that is not there, LogUnavailable when the files stay behind.
        """
        if not 0 <= index < self._frontier.size:
            raise NotFound("no_entry", f"the trail has no entry {index}")
        shown = self._publisher.wait_for(index, timeout)
        reader = TileReader(self.directory, shown.size)
        return prove(reader, index, shown.note, with_entry=index >= self.store.boundary()).text()

    def check_files(self) -> None:
        """Raise what kept tiles and checkpoint from being written, if anything did the last time."""
        self._publisher.check()

    def check(self) -> None:
        """Raise what stands in the way of recording, if anything does."""
        if self._broken is not None:
            raise self._broken
        if self._closed:
            raise LogUnavailable("log_closed", "the recorder is stopping; nothing was recorded", "start it")

    def submit(self, event: Event, detail: Detail | None = None) -> "Future[Accepted]":
        """Hand an event to the sequencer; the future is answered after the fsync, or carries the refusal.

        A detail is durable in the side database before the event is in the log.
        """
        answer: Future[Accepted] = Future()
        try:
            with self._door:
                self.check()
                if detail is not None:
                    self._the_details()
                self._queue.put(_Waiting(event, answer, detail))
        except AuditError as error:
            answer.set_exception(error)
        return answer

    def record(self, event: Event, timeout: float | None = None, *, detail: Detail | None = None) -> Accepted:
        """Submit and wait (seconds)."""
        return self.submit(event, detail).result(timeout)

    def _the_details(self) -> Details:
        if self.details is None:
            raise LogUnavailable(
                "no_details",
                "this recorder keeps no details; nothing was recorded",
                "start it with their key",
            )
        return self.details

    def close(self) -> None:
        """Finish what waits, then let the folder go."""
        with self._door:
            if self._closed:
                return
            self._closed = True
            self._queue.put(None)
        self._thread.join()
        self._end_files()
        self._index.close()
        self.store.close()
        if self.details is not None:
            self.details.close()
        os.close(self._lock)

    def _end_files(self) -> None:
        shown = self._publisher.close()
        try:
            self.store.note_shown(shown.size)
        except (LogUnavailable, Trouble) as error:
            logger.warning("how far the files go was not noted: %s", error)

    # The sequencer's thread

    def _work(self) -> None:
        going = True
        while going:
            batch, going = self._next_batch()
            waiting = [each for each in batch if each.answer.set_running_or_notify_cancel()]
            if waiting:
                self._serve(waiting)

    def _next_batch(self) -> tuple[list[_Waiting], bool]:
        """Take whoever waits, at least one; the flag says whether to go on after them."""
        batch: list[_Waiting] = []
        first = self._queue.get()
        while first is not None:
            batch.append(first)
            if len(batch) == MAX_BATCH or self._queue.empty():
                return batch, True
            first = self._queue.get()
        return batch, False

    def _serve(self, waiting: Sequence[_Waiting]) -> None:
        try:
            self._refuse_if_broken()
            self._refuse_if_gone()
            self._publisher.let_pass()
            answers = self._append(waiting)
        except Exception as error:  # noqa: BLE001  (a thread that dies would leave callers waiting)
            refusal = self._refusal(error)
            for each in waiting:
                each.answer.set_exception(refusal)
            return
        for each, answer in zip(waiting, answers, strict=True):
            _settle(each.answer, answer)

    def _refuse_if_broken(self) -> None:
        if self._broken is not None:
            raise self._broken

    def _refuse_if_gone(self) -> None:
        """Notice a database that was removed or replaced: writing on would go where nobody finds it again."""
        if _identity(self.directory / DATABASE) != self._database:
            raise LogUnavailable(
                "log_db_gone",
                "log.db was removed or replaced; nothing was recorded",
                "restore it, then restart",
            )

    def _refusal(self, error: Exception) -> AuditError:
        if isinstance(error, AuditError):
            return error
        logger.error("the log stops: its state on disk is not known (%s)", type(error).__name__)
        self._broken = unknown_state()
        return self._broken

    def _append(self, waiting: Sequence[_Waiting]) -> list[Accepted | AuditError]:
        """Make a batch durable and give an answer to each event, in order."""
        held = self.store.find({each.event.id for each in waiting})
        new = {each.event.id: each for each in reversed(waiting) if each.event.id not in held}
        firsts = [each for each in waiting if new.get(each.event.id) is each]
        sealed = self._seal(firsts)
        size = self._frontier.size
        rows = [self._row(each.event, seq, sealed.get(seq)) for seq, each in enumerate(firsts, size)]
        held |= {row.id: Held(row.seq, row.leaf, row.leaf_sha256) for row in rows}
        answers = [
            Accepted(held[each.event.id].seq, each.event.id, held[each.event.id].leaf_sha256)
            if new.get(each.event.id) is each
            else self._again(each, held[each.event.id])
            for each in waiting
        ]
        if rows:
            self._commit(rows)
        return answers

    def _seal(self, firsts: Sequence[_Waiting]) -> dict[int, str]:
        """Make the details of a batch durable; gives the commitment for each index that has one."""
        size = self._frontier.size
        given = [
            (seq, each.event.id, each.detail)
            for seq, each in enumerate(firsts, size)
            if each.detail is not None
        ]
        return self._the_details().keep(size, given) if given else {}

    def _again(self, each: _Waiting, known: Held) -> Accepted | AuditError:
        """Answer an id that is held: the same answer to the same bytes, a conflict otherwise."""
        same = as_submitted(known.leaf) == canonical(each.event.as_mapping())
        if same and (self.details is None or self.details.is_of(known.leaf, known.seq, each.detail)):
            return Accepted(known.seq, each.event.id, known.leaf_sha256)
        return Conflict(
            "event_id_taken",
            "another event has this id; this one was not recorded",
            "give each event a fresh UUIDv7",
            index=known.seq,
        )

    def _row(self, event: Event, seq: int, sealed: str | None) -> Row:
        ts = self._clock()
        mapping = event.as_mapping()
        leaf = stamp(event, seq=seq, ts=ts, log=self._signer.name, sealed=sealed)
        return Row(seq, event.id, leaf, leaf_hash(leaf), ts, mapping, tuple(event.objects()))

    def _commit(self, rows: Sequence[Row]) -> None:
        grown = self._frontier.extended(row.leaf_sha256 for row in rows)
        note = self._signer.sign(Checkpoint(self._signer.name, grown.size, grown.root()))
        self.store.append(rows, grown.size, note, self._publisher.shown.size)
        self._frontier, self._note = grown, note
        self._publisher.offer(Shown(grown.size, note))
        self._index.tell()


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _settle(waiting: "Future[Accepted]", answer: Accepted | AuditError) -> None:
    if isinstance(answer, AuditError):
        waiting.set_exception(answer)
    else:
        waiting.set_result(answer)


def lock_folder(directory: Path, owner: str = "recorder owns this trail") -> int:
    """Own a folder; the kernel lets go when the process ends, however it ends."""
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise LogUnavailable(
            "log_not_opened", f"the trail's folder cannot be written ({error.strerror})", "check its owner"
        ) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise LogUnavailable(
            "second_recorder", f"another {owner}", "stop it first; a folder has one writer"
        ) from None
    return handle


def _keep_vkey(path: Path, verifier: Verifier) -> None:
    """Write a public key beside a new trail; a trail never changes its key or name in silence."""
    vkey = verifier.vkey()
    if not path.exists():
        write_files(path.parent, {path.name: f"{vkey}\n".encode()})
    elif path.read_text(encoding="utf-8").strip() != vkey:
        raise LogDamaged(
            "other_key", "the trail was begun with another key or name", "start it with the key it had"
        )


def _published(directory: Path, signer: Signer) -> Checkpoint:
    """Give the checkpoint the files show; a trail without one is written anew from its database."""
    path = directory / CHECKPOINT
    if not path.exists():
        return Checkpoint(signer.name, 0, Frontier().root())
    try:
        return open_checkpoint(path.read_text(encoding="utf-8"), signer.verifier)
    except ProofWrong as wrong:
        raise LogDamaged(
            "checkpoint_damaged", f"the checkpoint file is not ours: {wrong.message}", RESTORE
        ) from wrong
