"""A process that asks the engine's real desk without end: shelf, keys, ledger and a trail of its own; made to be killed.

It is started by a fork server that has imported this module and run nothing, since a library's threads do not survive a fork.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import orjson

from anonymisation import noise
from anonymisation.errors import AnonymisationError, BadQuestion, BudgetSpent
from anonymisation.ledger import Ledger
from enclave.journeys.question import Desk, Order
from tests.unit.journeys.engine_for_tests import PASSPHRASE, question
from tests.unit.journeys.recorder_for_tests import RecorderForTests
from vault.keyring import open_keyring
from vault.keys import Rights

COSTS = (11, 1)
TOO_DEAR = 1_999_999
SERVER = get_context("forkserver")
SERVER.set_forkserver_preload([__name__])


@dataclass(frozen=True)
class Asking:
    """Where a process finds the house, and an order to copy."""

    folder: Path
    order: bytes
    name: int

    @property
    def out(self) -> Path:
        """Answers that were handed out, one JSON line each, written after `ask` had returned."""
        return self.folder / f"{self.name}.out"

    @property
    def trail(self) -> Path:
        """The process's own trail."""
        return self.folder / f"trail-{self.name}"


def good(name: int, turn: int, cost: int) -> dict[str, Any]:
    """Give a question nobody else asks."""
    return question(cost, where=["<", "days", turn % 60], ask=[{"name": f"n{name}_{turn}", "stat": "count"}])


def too_dear(name: int, turn: int) -> dict[str, Any]:
    """Give a question that no cap of the house can pay."""
    return good(name, turn, TOO_DEAR)


def wrong(name: int, turn: int) -> dict[str, Any]:
    """Give a question about a column that is not declared, at a price that could be paid."""
    return question(COSTS[0], ask=[{"name": f"n{name}_{turn}", "stat": "sum", "column": "dayz"}])


def ask_for_ever(asking: Asking, ready: Event) -> None:
    """Ask, hand out what was answered, be refused in between; until not even the cheapest can be paid."""
    desk = _desk(asking)
    order = Order.model_validate_json(asking.order)
    ready.set()
    with asking.out.open("ab", buffering=0) as out:
        for turn, cost in _turns():
            _refused(desk, order, wrong(asking.name, turn), BadQuestion)
            _refused(desk, order, too_dear(asking.name, turn), BudgetSpent)
            asked = good(asking.name, turn, cost)
            try:
                answer = desk.ask(order.model_copy(update={"question": asked}))
            except BudgetSpent:
                if cost == COSTS[-1]:
                    return
                continue
            out.write(orjson.dumps({"question": asked, "rows": answer["rows"]}) + b"\n")


def _turns() -> Iterator[tuple[int, int]]:
    """Give turns and costs: the dear one until a multiple of four, then the cheap one."""
    turn = 0
    while True:
        turn += 1
        yield turn, COSTS[turn % 4 == 0]


def _refused(desk: Desk, order: Order, asked: dict[str, Any], kind: type[AnonymisationError]) -> None:
    try:
        desk.ask(order.model_copy(update={"question": asked}))
    except kind:
        return
    raise AssertionError("a question that cannot be asked or paid was answered")


def _desk(asking: Asking) -> Desk:
    asking.trail.mkdir(mode=0o700)
    keys = open_keyring(asking.folder / "keyring.json", PASSPHRASE, Rights.ENGINE)
    ledger = Ledger.open(asking.folder / "ledger.db")
    return Desk(asking.folder / "shelves", ledger, keys, RecorderForTests(asking.trail))


def start(asking: Asking) -> tuple[BaseProcess, Event]:
    """Start a process; the event is set when it begins to ask."""
    ready = SERVER.Event()
    process = SERVER.Process(target=ask_for_ever, args=(asking, ready))
    process.start()
    return process, ready


@cache
def _warmed() -> None:
    noise.warm()


_warmed()  # the fork server loads the noise library once for every process
