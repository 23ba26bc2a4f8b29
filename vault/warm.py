"""Columns of opened shelves kept decrypted in memory for a while, so that the next question decrypts nothing again.

What is kept is bounded in time and in bytes, and goes at once with its dataset's key or with its version. It spares work,
never a check: the key of a shelf is unwrapped anew, under a receipt, each time the shelf is opened.
"""

import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import polars as pl

Read = Callable[[list[str]], pl.DataFrame]


@dataclass(frozen=True)
class Source:
    """Where a column comes from: a part of one version, known by its manifest."""

    dataset: str
    manifest_sha256: str
    part: str


@dataclass(frozen=True)
class _Kept:
    column: pl.Series
    until: float
    bytes: int


class WarmColumns:
    """The columns of one process; `seconds` count from decryption, and use does not lengthen them."""

    def __init__(self, seconds: float, most_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._most_bytes = most_bytes
        self._clock = clock
        self._guard = threading.Lock()
        self._kept: OrderedDict[tuple[Source, str], _Kept] = OrderedDict()
        self._sweeper: threading.Timer | None = None
        self._purges: Counter[str] = Counter()

    @property
    def bytes(self) -> int:
        """How much is kept now."""
        with self._guard:
            return self._held()

    def frame(self, source: Source, columns: Sequence[str], read: Read) -> pl.DataFrame:
        """Give columns of a part; those that are not kept are read, in one call, and kept."""
        found, purges = self._find(source, columns)
        missing = [name for name in columns if name not in found]
        if missing:
            fresh = read(missing)
            found |= {name: fresh[name] for name in missing}
            self._keep(source, fresh, purges)
        return pl.DataFrame([found[name] for name in columns])

    def purge(self, dataset: str, but: str | None = None) -> None:
        """Forget a dataset; `but` is the SHA-256 of the one manifest whose columns may stay."""
        with self._guard:
            if but is None:
                self._purges[dataset] += 1
            self._drop(lambda source, _: source.dataset == dataset and source.manifest_sha256 != but)

    def sweep(self) -> None:
        """Forget what was kept long enough; called by a timer, so that an idle process keeps nothing either."""
        with self._guard:
            now = self._clock()
            self._drop(lambda _, kept: kept.until <= now)
            self._sweeper = None
            if self._kept:
                self._sweep_later()

    def _find(self, source: Source, columns: Sequence[str]) -> tuple[dict[str, pl.Series], int]:
        """Give the columns that are kept, and how often the dataset had been purged by then."""
        with self._guard:
            now, found = self._clock(), {}
            for name in columns:
                kept = self._kept.get((source, name))
                if kept is not None and kept.until > now:
                    self._kept.move_to_end((source, name))
                    found[name] = kept.column
            return found, self._purges[source.dataset]

    def _keep(self, source: Source, fresh: pl.DataFrame, purges: int) -> None:
        with self._guard:
            if purges != self._purges[source.dataset]:  # while it was read: it would outlive its key
                return
            until = self._clock() + self._seconds
            for column in fresh.iter_columns():
                size = int(column.estimated_size())
                self._kept[source, column.name] = _Kept(column, until, size)
                self._kept.move_to_end((source, column.name))
            while self._held() > self._most_bytes:
                self._kept.popitem(last=False)
            if self._kept and self._sweeper is None:
                self._sweep_later()

    def _held(self) -> int:
        return sum(kept.bytes for kept in self._kept.values())

    def _drop(self, unwanted: Callable[[Source, _Kept], bool]) -> None:
        for key in [key for key, kept in self._kept.items() if unwanted(key[0], kept)]:
            del self._kept[key]

    def _sweep_later(self) -> None:
        self._sweeper = threading.Timer(self._seconds, self.sweep)
        self._sweeper.daemon = True
        self._sweeper.start()
