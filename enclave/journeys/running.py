"""Questions being answered now: identical ones of a project wait for each other and pay once; each can be seen and stopped.

Kept in the engine's memory alone: after a crash nothing runs, and what was reserved is spent.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar, overload

from enclave.errors import Refused
from enclave.journeys.slots import Slots

Part = TypeVar("Part")
Key = tuple[str, str, str, int]  # project, question, dataset, version


@dataclass
class Run:
    """One asked question on its way: how many parts of its table are read, and whether somebody stopped it."""

    person: str
    project: str
    question: str
    dataset: str
    slots: Slots = field(default_factory=Slots)
    of: int = 0
    paid: bool = False
    stopped: bool = False
    _began: float = 0.0
    _taken: list[float] = field(default_factory=list)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let nobody see when the work on paid data ends: whatever it ends with is held until its slot does."""
        self.paid, self._began = True, self.slots.clock()
        try:
            yield
        finally:
            self.slots.await_end(self._began)

    def take(self) -> None:
        """Note that a part is taken up."""
        self._taken.append(self.slots.clock() - self._began)

    @property
    def done(self) -> int:
        """How many parts were taken up when the last slot ended."""
        told = self.slots.before(self.slots.clock() - self._began)
        return min(self.of, sum(at <= told for at in self._taken)) if told else 0

    def go_on(self) -> None:
        """Raise `question_cancelled` once it was stopped; what was reserved stays spent, and it says which."""
        if self.stopped and self.paid:
            raise Refused(
                "question_cancelled",
                "The question was cancelled; what was reserved for it stays spent and there is no answer.",
                "Asking it again is paid again.",
            )
        if self.stopped:
            raise Refused("question_cancelled_unpaid", "The question was cancelled; nothing was spent.")

    def to_json(self) -> dict[str, Any]:
        """Tell where it stood when the last slot ended; nothing of this is read from the data."""
        return {
            "question_sha256": self.question,
            "dataset": self.dataset,
            "state": "reading" if self.of else "waiting",
            "done": self.done,
            "of": self.of,
        }


@dataclass
class Running:
    """The questions of this process that have no answer yet."""

    slots: Slots = field(default_factory=Slots)
    _guard: threading.Lock = field(default_factory=threading.Lock)
    _runs: list[Run] = field(default_factory=list)
    _asked: dict[Key, tuple[threading.Lock, int]] = field(default_factory=dict)

    @contextmanager
    def one(self, person: str, key: Key) -> Iterator[Run]:
        """Hold a question's place; the same question of the same project waits here and then finds the answer paid."""
        project, question, dataset, _ = key
        run = Run(person, project, question, dataset, self.slots)
        with self._guard:
            self._runs.append(run)
        try:
            with self._alone(key):
                run.go_on()
                yield run
        finally:
            with self._guard:
                self._runs.remove(run)

    def stop(self, person: str, project: str, question: str) -> int:
        """Stop a person's own running questions of this digest; gives how many there were."""
        with self._guard:
            mine = [run for run in self._of(person, project) if run.question == question]
            for run in mine:
                run.stopped = True
        return len(mine)

    def told(self, person: str, project: str) -> list[dict[str, Any]]:
        """List a person's questions that have no answer yet."""
        with self._guard:
            return [run.to_json() for run in self._of(person, project)]

    def _of(self, person: str, project: str) -> list[Run]:
        return [run for run in self._runs if (run.person, run.project) == (person, project)]

    @contextmanager
    def _alone(self, key: Key) -> Iterator[None]:
        with self._guard:
            lock, waiting = self._asked.get(key, (threading.Lock(), 0))
            self._asked[key] = lock, waiting + 1
        try:
            with lock:
                yield
        finally:
            with self._guard:
                lock, waiting = self._asked.pop(key)
                if waiting > 1:
                    self._asked[key] = lock, waiting - 1


class Watched(Sequence[Part]):
    """A table's parts, counted as they are taken up; a stopped question takes up no further one.

    A question of two tables counts the parts of both.
    """

    def __init__(self, parts: Sequence[Part], run: Run) -> None:
        self._parts, self._run = parts, run
        run.of += len(parts)

    def __len__(self) -> int:
        return len(self._parts)

    @overload
    def __getitem__(self, place: int) -> Part: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Part]: ...
    def __getitem__(self, place: int | slice) -> Part | Sequence[Part]:
        self._run.go_on()
        part = self._parts[place]
        if isinstance(place, int):
            self._run.take()
        return part
