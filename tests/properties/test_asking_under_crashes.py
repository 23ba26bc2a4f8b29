"""The whole way of a question, in many processes and under kill -9: desk, ledger, keys, shelf, trail, all real.

Never above a cap by one micro-rho; never an answer handed out that the ledger does not hold; never a charge for a question that
was refused before data was touched; never a charge that no trail announced.
"""

import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from anonymisation.question import digest, parse
from audit.store import Store
from tests.properties import asking_process as asking
from tests.properties.asking_process import Asking
from tests.unit.journeys.engine_for_tests import STEWARD, Engine, engine

TOGETHER = 5


class House:
    """The house whose ledger the processes share, with one cap small enough to be reached."""

    def __init__(self, folder: Path, cap: int) -> None:
        self.folder, self.cap = folder, cap
        self.engine: Engine = engine(folder)
        self.desk = self.engine.desk
        self.desk.set_cap("population", "patients", "", cap, STEWARD)
        self.desk.left(
            self.engine.order()
        )  # project and person get their shares before anybody races for them
        self.names = 0
        self.processes: list[asking.BaseProcess] = []

    def start(self) -> tuple[Asking, asking.BaseProcess, asking.Event]:
        self.names += 1
        own = Asking(self.folder, self.engine.order().model_dump_json().encode(), self.names)
        process, ready = asking.start(own)
        self.processes.append(process)
        return own, process, ready

    def check(self) -> int:
        """Check every promise; gives what was spent."""
        charges = [line.reservation.charge for line in self.desk.ledger.charges("patients")]
        spent = sum(one.rho_micro for one in charges)
        assert spent == self.engine.spent() <= self.cap
        paid = {one.question_sha256: one.rho_micro for one in charges}
        assert len(paid) == len(charges)  # nobody paid twice
        handed = [line for name in range(1, self.names + 1) for line in self.handed(name)]
        for line in handed:
            again = self.desk.ask(self.engine.order(line["question"]))
            assert again["replayed"]
            assert again["rows"] == line["rows"]
        assert self.engine.spent() == spent
        self._nothing_refused_was_charged(paid)
        self._every_charge_was_announced({one.event_id for one in charges})
        return spent

    def handed(self, name: int) -> list[dict[str, object]]:
        out = self.folder / f"{name}.out"
        lines = out.read_bytes().splitlines(keepends=True) if out.exists() else []
        return [orjson.loads(line) for line in lines if line.endswith(b"\n")]

    def _nothing_refused_was_charged(self, paid: dict[str, int]) -> None:
        assert set(paid.values()) <= set(asking.COSTS)
        most = max((len(self.handed(name)) for name in range(1, self.names + 1)), default=0) * 2 + 10
        for name in range(1, self.names + 1):
            for turn in range(1, most):
                for refused in (asking.wrong(name, turn), asking.too_dear(name, turn)):
                    assert digest(parse(refused)) not in paid

    def _every_charge_was_announced(self, events: set[str]) -> None:
        told: set[str] = set()
        for name in range(1, self.names + 1):
            path = self.folder / f"trail-{name}" / "log.db"
            if path.exists():
                store = Store(path)
                told |= events & set(store.find(events))
                store.close()
        assert told == events

    def close(self) -> None:
        for process in self.processes:
            process.kill()  # the ones a failed check left running
        self.desk.ledger.close()
        self.engine.recorder.close()


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[list[House]]:
    houses: list[House] = []
    yield houses
    for house in houses:
        house.close()


def test_eight_processes_asking_at_once_spend_a_cap_exactly(tmp_path: Path, opened: list[House]) -> None:
    house = House(tmp_path, cap=12 * 11 + 5)
    opened.append(house)
    started = [house.start() for _ in range(8)]
    for own, process, _ in started:
        process.join(120)
        assert process.exitcode == 0, own.name
    assert house.check() == house.cap
    charges = house.desk.ledger.charges("patients")
    assert sum(len(house.handed(own.name)) for own, _, _ in started) == len(charges)
    assert not house.desk.ledger.open_reservations()


def crash_runs(house: House, kills: int) -> None:
    moments, killed = random.Random(kills), 0
    while killed < kills:
        started = [house.start() for _ in range(TOGETHER)]
        for _, _, ready in started:
            assert ready.wait(60)
        time.sleep(moments.uniform(0.0, 0.25))
        for _, process, _ in started:
            os.kill(process.pid or 0, signal.SIGKILL)
        for _, process, _ in started:
            process.join(60)
            killed += process.exitcode == -signal.SIGKILL
    house.check()


def test_kill_9_while_asking_breaks_no_promise(tmp_path: Path, opened: list[House]) -> None:
    house = House(tmp_path, cap=10**6)
    opened.append(house)
    crash_runs(house, 20)
    assert house.desk.ledger.charges("patients")


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_kill_9_while_asking_200_times_breaks_no_promise(tmp_path: Path, opened: list[House]) -> None:
    house = House(tmp_path, cap=10**6)
    opened.append(house)
    crash_runs(house, 200)
    assert house.desk.ledger.open_reservations(), "no process was killed between its charge and its answer"
