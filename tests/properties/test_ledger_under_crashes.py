"""Many processes and kill -9 at any moment: never above a cap, never an answer out that is not in the ledger."""

import multiprocessing
import os
import random
import signal
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from anonymisation.errors import BudgetSpent
from anonymisation.ledger import Ledger
from tests.unit.anonymisation.question_tables import caps, charge, paid

WRITERS = 8
FORK = multiprocessing.get_context("fork")


def opened(path: Path, cap: int) -> Ledger:
    ledger = Ledger.open(path)
    ledger.set_cap("population", "patients", cap, caps())
    ledger.set_cap("project", "patients/asthma", 10**9, caps("project:asthma"))
    return ledger


def ask_for_ever(path: Path, out: Path, name: int, costs: list[int]) -> None:
    """Reserve, answer, and only then hand the answer out, until every cost has been refused."""
    ledger = Ledger.open(path)
    turn = 0
    while costs:
        turn += 1
        cost = costs[turn % len(costs)]
        of = charge(f"{name}-{turn}", cost, question_sha256=f"{name}-{turn}")
        try:
            reservation = ledger.reserve(of, paid(of))
        except BudgetSpent:
            costs = [each for each in costs if each < cost]
            continue
        sealed = f"answer {name}-{turn}".encode()
        ledger.release(reservation.id, sealed, paid(of))
        with out.open("ab", buffering=0) as handed:
            handed.write(sealed + b"\n")


def start(path: Path, out: Path, costs: list[int], names: range) -> list[multiprocessing.process.BaseProcess]:
    started = [FORK.Process(target=ask_for_ever, args=(path, out, name, costs)) for name in names]
    for process in started:
        process.start()
    return started


def check(path: Path, out: Path, cap: int) -> int:
    """Give what was spent, after checking that it is within the cap and that every answer handed out is in the ledger."""
    ledger = Ledger.open(path)
    spent = ledger.left("patients", "asthma", "researcher-a").population.spent
    assert spent <= cap
    history = ledger.history("asthma")
    assert spent == sum(line.reservation.charge.rho_micro for line in history)
    handed = out.read_bytes().splitlines() if out.exists() else []
    assert len(set(handed)) == len(handed)
    for sealed in handed:
        question = sealed.decode().removeprefix("answer ")
        assert ledger.replay("asthma", question, "stays", 3) == sealed
    ledger.close()
    return spent


def test_eight_processes_spend_a_cap_exactly(tmp_path: Path) -> None:
    path, out, cap = tmp_path / "ledger.db", tmp_path / "out", 997
    opened(path, cap).close()
    for process in start(path, out, [7, 3, 1], range(WRITERS)):
        process.join(60)
        assert process.exitcode == 0
    assert check(path, out, cap) == cap


def crash_runs(folder: Path, runs: int) -> None:
    moments = random.Random(1_000 + runs)
    crashed = 0
    for run in range(runs):
        path, out, cap = folder / f"{run}.db", folder / f"{run}.out", 40 * 11 + 5
        opened(path, cap).close()
        running = start(path, out, [11], range(2))
        time.sleep(moments.uniform(0.005, 0.15))
        for process in running:
            os.kill(process.pid or 0, signal.SIGKILL)
        for process in running:
            process.join()
            crashed += process.exitcode == -signal.SIGKILL
        check(path, out, cap)
        if run == 0:  # what a crash left does not stand in the way of the next
            start(path, out, [11, 1], range(2, 3))[0].join(60)
            assert check(path, out, cap) == cap
    assert crashed > runs // 4


def test_kill_9_at_random_moments_breaks_no_promise(tmp_path: Path) -> None:
    crash_runs(tmp_path, 20)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_kill_9_at_200_random_moments_breaks_no_promise(tmp_path: Path) -> None:
    crash_runs(tmp_path, 200)


class LedgerLife(RuleBasedStateMachine):
    """Any sequence of caps, charges, answers and restarts agrees with a model that is four lines of arithmetic."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.path = Path(self.folder.name) / "ledger.db"
        self.cap, self.spent, self.events = 500, 0, 0
        self.ledger = opened(self.path, self.cap)
        self.open: list[tuple[str, int]] = []

    @rule(cap=st.integers(0, 1_000))
    def change_the_cap(self, cap: int) -> None:
        self.ledger.set_cap("population", "patients", cap, caps())
        self.cap = cap

    @rule(cost=st.integers(1, 400))
    def ask(self, cost: int) -> None:
        self.events += 1
        of = charge(f"e{self.events}", cost)
        try:
            self.open.append((self.ledger.reserve(of, paid(of)).id, self.events))
        except BudgetSpent:
            assert self.spent + cost > self.cap
        else:
            self.spent += cost
            assert self.spent <= self.cap

    @rule(pick=st.randoms(use_true_random=False))
    def answer(self, pick: random.Random) -> None:
        if self.open:
            reservation, event = self.open.pop(pick.randrange(len(self.open)))
            self.ledger.release(reservation, b"sealed", paid(charge(f"e{event}")))

    @rule()
    def restart(self) -> None:
        self.ledger.close()
        self.ledger = Ledger.open(self.path)

    @invariant()
    def the_ledger_agrees_with_the_model(self) -> None:
        left = self.ledger.left("patients", "asthma", "researcher-a")
        assert left.population.spent == self.spent
        assert left.population.left == max(0, self.cap - self.spent)
        assert {each.id for each in self.ledger.open_reservations()} == {
            reservation for reservation, _ in self.open
        }

    def teardown(self) -> None:
        self.ledger.close()
        self.folder.cleanup()


TestLedgerLife = LedgerLife.TestCase
TestLedgerLife.settings = settings(max_examples=25, stateful_step_count=15, deadline=None)
