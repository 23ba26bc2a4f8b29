"""Bytes are recorded before they leave, counted through a restart, and stop when the day's are spent."""

import asyncio
import json
from pathlib import Path

import pytest

from enclave.errors import ComponentDown
from enclave.hub.meter import LIMIT_CHANNEL, STEP_BYTES, BudgetSpent, DayCount, Meter, NotMetered

BUDGET = 4 * STEP_BYTES
WHO = ("researcher-a", "study-one", "websocket")


class Trail:
    """Keeps what the house was told; `is_down` makes it answer nothing."""

    def __init__(self) -> None:
        self.told: list[tuple[str, int]] = []
        self.is_down = False

    async def record(self, person: str, project: str, channel: str, count: int) -> None:
        if self.is_down:
            raise ComponentDown("house_down", "down")
        self.told.append((channel, count))

    def total(self) -> int:
        return sum(count for channel, count in self.told if channel != LIMIT_CHANNEL)


def meter_on(folder: Path, trail: Trail, day: str = "2026-11-25") -> Meter:
    return Meter(DayCount.read(folder / "bytes.json"), BUDGET, trail.record, lambda: day)


def draw(meter: Meter, *counts: int) -> None:
    async def all_of_them() -> None:
        for count in counts:
            await meter.draw(*WHO, count)

    asyncio.run(all_of_them())


def test_bytes_are_recorded_before_they_leave_and_never_fewer(tmp_path: Path) -> None:
    trail = Trail()
    draw(meter_on(tmp_path, trail), 10, 20)
    assert trail.told == [("websocket", STEP_BYTES)]
    draw(meter_on(tmp_path, trail), 3 * STEP_BYTES)
    assert trail.total() == 4 * STEP_BYTES


def test_the_budget_is_what_leaves_at_most(tmp_path: Path) -> None:
    trail = Trail()
    meter = meter_on(tmp_path, trail)
    draw(meter, BUDGET)
    with pytest.raises(BudgetSpent):
        draw(meter, 1)
    assert trail.total() == BUDGET
    assert trail.told[-1] == (LIMIT_CHANNEL, BUDGET)


def test_a_limit_is_told_once_and_closes_every_channel(tmp_path: Path) -> None:
    trail = Trail()
    meter = meter_on(tmp_path, trail)
    asyncio.run(meter.draw("researcher-a", "study-one", "api", 1))
    for _ in range(2):
        with pytest.raises(BudgetSpent):
            draw(meter, BUDGET)
    with pytest.raises(BudgetSpent):
        asyncio.run(meter.draw("researcher-a", "study-one", "api", 1))
    assert [channel for channel, _ in trail.told].count(LIMIT_CHANNEL) == 1


def test_a_restart_gives_nothing_back(tmp_path: Path) -> None:
    draw(meter_on(tmp_path, Trail()), BUDGET)
    with pytest.raises(BudgetSpent):
        draw(meter_on(tmp_path, Trail()), 1)
    assert (tmp_path / "bytes.json").stat().st_mode & 0o777 == 0o600


def test_a_new_day_is_a_new_budget(tmp_path: Path) -> None:
    draw(meter_on(tmp_path, Trail()), BUDGET)
    draw(meter_on(tmp_path, Trail(), "2026-11-26"), BUDGET)


def test_one_persons_bytes_are_not_anothers(tmp_path: Path) -> None:
    meter = meter_on(tmp_path, Trail())
    draw(meter, BUDGET)
    asyncio.run(meter.draw("researcher-b", "study-one", "api", BUDGET))


def test_what_cannot_be_recorded_does_not_leave_and_is_not_counted(tmp_path: Path) -> None:
    trail = Trail()
    meter = meter_on(tmp_path, trail)
    trail.is_down = True
    with pytest.raises(NotMetered):
        draw(meter, 1)
    assert meter.left("researcher-a") == BUDGET
    with pytest.raises(BudgetSpent):
        draw(meter, BUDGET + 1)


def test_a_damaged_count_is_an_error_and_no_empty_day(tmp_path: Path) -> None:
    (tmp_path / "bytes.json").write_text("{")
    with pytest.raises(json.JSONDecodeError):
        DayCount.read(tmp_path / "bytes.json")
