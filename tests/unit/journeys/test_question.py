import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from anonymisation import answer as answering
from anonymisation.errors import AnonymisationError, BudgetSpent
from enclave.errors import Refused
from enclave.journeys.running import Running, Watched
from tests.unit.journeys.engine_for_tests import Engine, engine, question


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Engine]:
    made = engine(tmp_path)
    yield made
    made.desk.ledger.close()
    made.recorder.close()


class Slow:
    """`answer.compute`, held at its start until the test lets it go on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.started, self.go_on, self.calls = threading.Event(), threading.Event(), 0
        self._compute = answering.compute
        monkeypatch.setattr(answering, "compute", self)

    def __call__(self, question: Any, table: Any, parts: Any, seed: bytes, *rest: Any, **more: Any) -> Any:
        self.calls += 1
        self.started.set()
        assert self.go_on.wait(30)
        return self._compute(question, table, parts, seed, *rest, **more)


def in_threads(*acts: Any) -> list[Any]:
    """Run these at once; an error stands where its answer would."""
    found: list[Any] = [None] * len(acts)

    def run(place: int, act: Any) -> None:
        try:
            found[place] = act()
        except (Refused, AnonymisationError) as error:
            found[place] = error

    threads = [threading.Thread(target=run, args=(place, act)) for place, act in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return found


def test_the_same_question_asked_twice_at_once_is_paid_once(
    house: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow(monkeypatch)
    ask = house.order(question())
    again = house.order(question(), person="researcher-b")

    def let_go() -> None:
        assert slow.started.wait(30)
        slow.go_on.set()

    first, second, _ = in_threads(lambda: house.desk.ask(ask), lambda: house.desk.ask(again), let_go)
    assert {first["replayed"], second["replayed"]} == {False, True}
    assert first["rows"] == second["rows"]
    assert slow.calls == 1
    assert house.spent() == 10_000


def test_another_projects_same_question_is_not_given_the_answer(house: Engine) -> None:
    house.desk.ask(house.order(question()))
    other = house.desk.ask(house.order(question(), project="asthma"))
    assert other["replayed"] is False
    assert house.spent() == 20_000


def test_a_cancelled_question_has_no_answer_and_its_price_stays_spent(
    house: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow(monkeypatch)
    ask = house.order(question())

    def cancel() -> Any:
        assert slow.started.wait(30)
        (running,) = house.desk.running.told("researcher-a", "cardio")
        told = house.desk.cancel(ask)
        slow.go_on.set()
        return running, told

    error, (running, told) = in_threads(lambda: house.desk.ask(ask), cancel)
    assert isinstance(error, Refused)
    assert error.code == "question_cancelled"
    assert running["question_sha256"] == told["question_sha256"]
    assert (running["state"], running["of"], told["stopped"]) == ("reading", 4, 1)
    assert house.spent() == 10_000
    assert len(house.desk.ledger.open_reservations()) == 1
    assert house.desk.running.told("researcher-a", "cardio") == []
    assert house.recorder.told("data.query")[-1] == ("data.query", "denied", "question_cancelled")
    slow.go_on.set()
    assert house.desk.ask(ask)["replayed"] is False
    assert house.spent() == 20_000


def test_a_question_cancelled_while_it_waits_for_its_twin_spends_nothing(
    house: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow(monkeypatch)
    ask, twin = house.order(question()), house.order(question(), person="researcher-b")

    def ask_twin() -> Any:
        assert slow.started.wait(30)
        return house.desk.ask(twin)

    def cancel_twin() -> None:
        while not house.desk.running.told("researcher-b", "cardio"):
            pass
        house.desk.cancel(twin)
        slow.go_on.set()

    first, second, _ = in_threads(lambda: house.desk.ask(ask), ask_twin, cancel_twin)
    assert first["replayed"] is False
    assert second.code == "question_cancelled_unpaid"
    assert house.spent() == 10_000


def test_nobody_stops_anothers_question(house: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = Slow(monkeypatch)

    def others() -> Any:
        assert slow.started.wait(30)
        seen = house.desk.running.told("researcher-b", "cardio")
        stopped = house.desk.cancel(house.order(question(), person="researcher-b"))["stopped"]
        slow.go_on.set()
        return seen, stopped

    answer, told = in_threads(lambda: house.desk.ask(house.order(question())), others)
    assert told == ([], 0)
    assert answer["replayed"] is False


def test_parts_are_counted_and_a_stopped_question_takes_up_no_further_one() -> None:
    running = Running()
    with running.one("researcher-a", ("cardio", "q", "stays", 1)) as run:
        parts = Watched(["a", "b", "c"], run)
        assert (len(parts), parts[0], parts[0:2]) == (3, "a", ["a", "b"])
        assert (run.done, run.of) == (1, 3)
        assert list(parts) == ["a", "b", "c"]
        assert run.done == 3
        running.stop("researcher-a", "cardio", "q")
        with pytest.raises(Refused):
            parts[1]


def test_a_new_version_a_refresh_or_a_derived_table_gives_nothing_back(house: Engine) -> None:
    house.desk.ask(house.order(question(200_000)))
    house.bring_in(version=2)
    house.bring_in("stays-bis")
    assert house.spent() == 200_000
    for dataset, version in (("stays", 2), ("stays-bis", 1)):
        small = house.order(question(1, dataset), dataset=dataset, version=version)
        told = house.desk.price(small)
        assert told["left"] == {"population": 1_800_000, "project": 300_000, "person": 50_000}
    with pytest.raises(BudgetSpent):
        house.desk.ask(house.order(question(60_000), version=2))
    with pytest.raises(BudgetSpent):
        house.desk.ask(house.order(question(60_000, "stays-bis"), dataset="stays-bis"))
    assert house.spent() == 200_000


def test_an_answer_names_the_version_of_the_data_it_was_made_from(house: Engine) -> None:
    house.bring_in(version=2)
    assert house.desk.ask(house.order(question(1_000), version=2))["dataset_version"] == 2
