"""Writes tiles and checkpoint behind the sequencer, on a thread of its own: what is durable is shown a little later.

Whoever records waits for the database only. The files always go to the newest state in one step, so that commits
that come quickly share their partial tiles; a start makes up for what a killed process had not shown yet.
"""

import logging
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from audit.checkpoint import read_checkpoint
from audit.errors import AuditError, LogUnavailable
from audit.second_signature import SecondSigner
from audit.store import Store
from audit.tiles import CHECKPOINT, WIDTH, Edge, drop_partials, write_files

QUIET_SECONDS: Final = (
    0.1  # without a commit: then what is there is shown; who asks for a proof does not wait for it
)
BUSY_SECONDS: Final = 2.0  # the longest wait for quiet: writing files slows the commits of the moment
BUSY_COMMITS: Final = 512
RETRY_SECONDS: Final = 0.5
PATIENCE_SECONDS: Final = 1.0  # below what a caller of the recorder waits for an answer
MOST_COMMITS_BEHIND: Final = 2_048  # beyond either, nothing more is recorded until the files have caught up
MOST_SECONDS_BEHIND: Final = 10.0
NOT_SHOWN: Final = -1
PUBLISH_CHUNK: Final = 16 * WIDTH

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Shown:
    """How far the files go: a size and the signed checkpoint over it."""

    size: int = NOT_SHOWN
    note: str = ""


class Publisher:
    """The files of one log. `offer` and `let_pass` are called by the sequencer, `wait_for` by anybody."""

    def __init__(self, directory: Path, store: Store, edge: Edge, second: SecondSigner | None = None) -> None:
        self._directory, self._store, self._edge, self._second = directory, store, edge, second
        self._turn = threading.Condition()
        self._newest = self._shown = Shown()
        self._behind = 0  # commits that were offered and are not shown
        self._since: float | None = None  # when the oldest of them was offered
        self._latest = 0.0  # when the newest of them was
        self._refusal: AuditError | None = None
        self._tries = 0
        self._tried = 0.0  # when the last try ended
        self._urgent = self._closing = False
        self._thread = threading.Thread(target=self._work, name="publisher", daemon=True)

    def start(self, newest: Shown) -> None:
        """Show a state at once, then go on behind the sequencer; raises LogUnavailable when it cannot be shown."""
        self._newest = newest
        self._try()
        if self._refusal is not None:
            raise self._refusal
        self._thread.start()

    @property
    def shown(self) -> Shown:
        """Give what the files show."""
        return self._shown

    def offer(self, newest: Shown) -> None:
        """Say that a newer state is durable; it is shown soon."""
        with self._turn:
            self._newest = newest
            self._behind += 1
            self._latest = time.monotonic()
            if self._since is None:
                self._since = self._latest
                self._turn.notify_all()
            elif self._behind == BUSY_COMMITS:
                self._turn.notify_all()

    def let_pass(self) -> None:
        """Hold the sequencer back while the files are too far behind.

        Raises LogUnavailable when they cannot be written, are MOST_SECONDS_BEHIND old, or stay MOST_COMMITS_BEHIND.
        """
        with self._turn:
            self._once_more()
            self._turn.wait_for(lambda: self._behind < MOST_COMMITS_BEHIND, PATIENCE_SECONDS)
            if self._refusal is not None:
                raise self._refusal
            if self._behind >= MOST_COMMITS_BEHIND or self._age() > MOST_SECONDS_BEHIND:
                raise _behind()

    def wait_for(self, index: int, timeout: float) -> Shown:
        """Give what the files show once that includes an entry.

        Raises LogUnavailable when they cannot be written or stay behind (seconds).
        """
        with self._turn:
            self._once_more()
            if self._shown.size <= index:
                self._urgent = True
                self._turn.notify_all()
            self._turn.wait_for(lambda: self._shown.size > index or self._refusal is not None, timeout)
            if self._shown.size > index:
                return self._shown
            raise self._refusal or _behind()

    def check(self) -> None:
        """Raise what keeps the files from being written, if anything did the last time."""
        if self._refusal is not None:
            raise self._refusal

    def close(self) -> Shown:
        """Show what is left, if it can be shown, and end; gives how far the files go."""
        with self._turn:
            self._closing = True
            self._turn.notify_all()
        self._thread.join()
        return self._shown

    def _age(self) -> float:
        return 0.0 if self._since is None else time.monotonic() - self._since

    def _once_more(self) -> None:
        """After a failure, have it tried again now: a disk that works again is noticed by the next who asks."""
        if self._refusal is not None:
            before, self._urgent = self._tries, True
            self._turn.notify_all()
            self._turn.wait_for(lambda: self._tries > before, PATIENCE_SECONDS)

    # The publisher's thread

    def _work(self) -> None:
        while self._wait():
            self._try()
        if self._newest.size != self._shown.size:
            self._try()

    def _wait(self) -> bool:
        """Wait until something is to be shown; False is the end."""
        with self._turn:
            while not self._closing and (left := self._seconds_left()) != 0:
                self._turn.wait(left)
            return not self._closing

    def _seconds_left(self) -> float | None:
        """Give how long to wait before the next try; None is until somebody says otherwise."""
        if self._newest.size == self._shown.size:
            return None
        if self._urgent or self._since is None:
            return 0
        if self._refusal is not None:
            due = self._tried + RETRY_SECONDS
        elif self._behind >= BUSY_COMMITS:
            return 0
        else:
            due = min(self._latest + QUIET_SECONDS, self._since + BUSY_SECONDS)
        return max(0, due - time.monotonic())

    def _try(self) -> None:
        with self._turn:
            newest, taken, self._urgent = self._newest, self._behind, False
            begun = time.monotonic()
        refusal: AuditError | None = None
        try:
            shown = self._write(newest)
        except Exception as error:  # noqa: BLE001  (a thread that dies would let the files fall behind unseen)
            refusal = _refusal(error)
            logger.warning("tiles not written yet: %s", refusal)
        with self._turn:
            self._refusal, self._tried = refusal, time.monotonic()
            self._tries += 1
            if refusal is None:
                self._shown = shown
                self._behind -= taken
                self._since = (
                    begun if self._behind else None
                )  # at the earliest: the rest was offered after it
            self._turn.notify_all()

    def _write(self, newest: Shown) -> Shown:
        """Write the tiles, then the checkpoint that needs them; what a later one replaces goes last."""
        note = newest.note
        if self._second is not None:
            note += self._second.line(read_checkpoint(note), int(time.time()))
        filled: list[str] = []
        while self._edge.size < newest.size:
            end = min(newest.size, self._edge.size + PUBLISH_CHUNK)
            growth = self._edge.grow(self._store.leaves(self._edge.size, end))
            write_files(self._directory, growth.files)
            self._edge = growth.edge
            filled += growth.filled
        write_files(self._directory, {CHECKPOINT: note.encode()})
        drop_partials(self._directory, filled)
        self._store.move_over()
        return Shown(newest.size, note)


def _refusal(error: Exception) -> AuditError:
    if isinstance(error, AuditError):
        return error
    if isinstance(error, OSError):
        return LogUnavailable(
            "tiles_not_written",
            f"the trail's files cannot be written ({error.strerror}); nothing was recorded",
            "free space or mount the folder for writing",
        )
    return unknown_state()


def _behind() -> LogUnavailable:
    return LogUnavailable(
        "tiles_behind",
        "the trail's files stay behind its database; nothing was recorded",
        "check the disk of the trail, then try again",
    )


def unknown_state() -> LogUnavailable:
    """Say that a disk failed in a way that leaves open what is on it."""
    return LogUnavailable(
        "log_state_unknown",
        "the trail's disk failed in the middle of a write; nothing more is recorded",
        "check the disk, then restart the recorder: it takes up what is durable",
    )
