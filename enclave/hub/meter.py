"""How many bytes a day may leave towards a person's browser: recorded in the trail before they leave.

Bytes are drawn in steps. A step is recorded by the house, then written to this meter's own file, and only then
passed on: what the trail says is never less than what was shown, and a restart gives nothing back.
"""

import asyncio
import contextlib
import datetime as dt
import json
import os
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from enclave.errors import ComponentDown, Refused

STEP_BYTES = 64 * 1024
LIMIT_CHANNEL = "limit"

Record = Callable[[str, str, str, int], Awaitable[None]]


class BudgetSpent(Refused):
    """The day's bytes of this person are used up."""


class NotMetered(ComponentDown):
    """The bytes could not be recorded, so they do not leave."""


def today() -> str:
    """Give the day the budget belongs to, in UTC."""
    return dt.datetime.now(dt.UTC).date().isoformat()


@dataclass
class DayCount:
    """Bytes drawn by each person in one day, kept in a file that a restart reads again."""

    file: Path
    day: str = ""
    bytes: dict[str, int] = field(default_factory=dict)

    @classmethod
    def read(cls, file: Path) -> "DayCount":
        """Read the file; a missing one is an empty day. Raises `OSError` or `ValueError` for an unreadable one."""
        if not file.exists():
            return cls(file)
        kept = json.loads(file.read_text())
        return cls(file, str(kept["day"]), {str(who): int(count) for who, count in kept["bytes"].items()})

    def of(self, person: str, day: str) -> int:
        return self.bytes.get(person, 0) if day == self.day else 0

    def add(self, person: str, count: int, day: str) -> None:
        """Count, durably."""
        if day != self.day:
            self.day, self.bytes = day, {}
        self.bytes[person] = self.bytes.get(person, 0) + count
        self._write()

    def _write(self) -> None:
        partial = self.file.with_suffix(".partial")
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as stream:
            json.dump({"day": self.day, "bytes": self.bytes}, stream)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(self.file)


def _spent() -> BudgetSpent:
    return BudgetSpent("output_budget_spent", "The day's output bytes are used up.")


class Meter:
    """Draws bytes from each person's budget of the day."""

    def __init__(self, count: DayCount, budget: int, record: Record, day: Callable[[], str] = today) -> None:
        self._count = count
        self._budget = budget
        self._record = record
        self._day = day
        self._drawn: defaultdict[tuple[str, str, str], int] = defaultdict(int)
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._spent: set[tuple[str, str]] = set()

    def left(self, person: str) -> int:
        """Give the bytes that may still be drawn today."""
        return max(0, self._budget - self._count.of(person, self._day()))

    async def draw(self, person: str, project: str, channel: str, count: int) -> None:
        """Let `count` bytes leave, or raise `BudgetSpent` or `NotMetered` and let none."""
        key = (person, project, channel)
        async with self._locks[person]:
            if (person, self._day()) in self._spent:
                raise _spent()
            missing = count - self._drawn[key]
            if missing > 0:
                await self._draw_step(key, missing)
            self._drawn[key] -= count

    async def _draw_step(self, key: tuple[str, str, str], missing: int) -> None:
        person, project, channel = key
        left = self.left(person)
        if missing > left:
            await self._tell_limit(person, project)
            raise _spent()
        step = min(max(missing, STEP_BYTES), left)
        await self._recorded(person, project, channel, step)
        self._count.add(person, step, self._day())
        self._drawn[key] += step

    async def _tell_limit(self, person: str, project: str) -> None:
        """Have the trail say, once a day, that a person met the limit."""
        self._spent.add((person, self._day()))
        # Nothing leaves either way, so a trail that does not answer is no other refusal.
        with contextlib.suppress(NotMetered):
            await self._recorded(person, project, LIMIT_CHANNEL, self._count.of(person, self._day()))

    async def _recorded(self, person: str, project: str, channel: str, count: int) -> None:
        try:
            await self._record(person, project, channel, count)
        except (ComponentDown, Refused) as error:
            raise NotMetered("output_not_recorded", "The output could not be recorded.") from error
