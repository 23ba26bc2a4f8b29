import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from anonymisation import answer as answering
from anonymisation.errors import AnonymisationError, BudgetSpent
from enclave.errors import Refused
from enclave.journeys.question import Order, Second
from enclave.journeys.running import Running, Watched
from enclave.journeys.slots import Slots
from tests.unit.anonymisation.question_tables import SEED, STAYS, frame, stays
from tests.unit.anonymisation.question_tables import question as question_of_stays
from tests.unit.journeys.engine_for_tests import Engine, engine, question
from vault.errors import VaultDamaged


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


class Clock:
    """Time that passes only where the test says so, or somebody waits."""

    def __init__(self) -> None:
        self.now = 100.0

    def slots(self, seconds: float) -> Slots:
        return Slots(seconds, lambda: self.now, self.wait)

    def wait(self, seconds: float) -> None:
        self.now += seconds


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
    clock = Clock()
    running = Running(clock.slots(1.0))
    with running.one("researcher-a", ("cardio", "q", "stays", 1)) as run:
        parts = Watched(["a", "b", "c"], run)
        assert (run.done, run.of) == (0, 3)
        with run.held():
            assert (len(parts), parts[0], parts[0:2]) == (3, "a", ["a", "b"])
            clock.now += 0.9
            assert run.done == 0  # who looks sees no more than the end of a slot
            clock.now += 0.2
            assert run.done == 1
            assert list(parts) == ["a", "b", "c"]
            clock.now += 1
            assert (run.done, run.of) == (3, 3)
            running.stop("researcher-a", "cardio", "q")
            with pytest.raises(Refused):
                parts[1]
        assert clock.now == 104.0


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


# --- two datasets of one population -------------------------------------------------------------------------------------


def second(house: Engine, dataset: str, version: int = 1) -> Second:
    order = house.order(dataset=dataset, version=version)
    return Second(**order.model_dump(include=set(Second.model_fields)))


def joined(house: Engine, dataset: str = "results", version: int = 1, **fields: Any) -> Order:
    """Give the order for a question about stays that counts each patient's rows in another dataset."""
    taken = {"dataset": dataset, "take": [{"name": "results", "stat": "count", "high": 3}]}
    usual = {"features": taken, "by": ["results"], "unit": {"rows": 100}, "rho_micro": 10_000}
    return house.order(question(**usual | fields), second=second(house, dataset, version))


def test_two_datasets_of_a_population_are_answered_together_for_one_price(house: Engine) -> None:
    house.bring_in("results")
    price = house.desk.price(joined(house))
    answer = house.desk.ask(joined(house))
    assert answer["features"] == {"dataset": "results", "dataset_version": 1}
    assert [row["results"] for row in answer["rows"]] == [0, 1, 2, 3]
    assert price["rho_micro"] == house.spent() == 10_000
    (told, *_) = [one["object"] for one in house.recorder.events if one["type"] == "data.query"]
    assert [one["id"] for one in told if one["kind"] == "dataset"] == ["stays", "results"]
    again = house.desk.ask(joined(house))
    assert (again["replayed"], again["rows"]) == (True, answer["rows"])
    house.bring_in("results", version=2)
    newer = house.desk.ask(joined(house, version=2))
    assert (newer["replayed"], newer["features"]["dataset_version"]) == (False, 2)
    assert newer["question_sha256"] != answer["question_sha256"]
    assert house.spent() == 20_000


def test_a_second_dataset_may_lie_in_other_buckets_be_the_first_again_or_be_refused(house: Engine) -> None:
    house.bring_in("few", buckets=1)
    answers = [house.desk.ask(joined(house, dataset, rho_micro=100_000)) for dataset in ("few", "stays")]
    for one, other in zip(*(answer["rows"] for answer in answers), strict=True):
        noise = one["n"]["noise_high"] - one["n"]["noise_low"]
        assert abs(one["n"]["value"] - other["n"]["value"]) < 3 * noise
    assert answers[0]["rows"][0]["n"]["below_noise"]  # whoever has a stay has one in the copy as well
    spent = house.spent()
    for wrong in (None, second(house, "stays")):
        order = joined(house, "few").model_copy(update={"second": wrong})
        with pytest.raises(AnonymisationError) as refused:
            house.desk.ask(order)
        assert refused.value.code == "dataset_other"
    assert house.spent() == spent


# --- what time and messages tell ----------------------------------------------------------------------------------------


class Working:
    """`answer.compute`, which takes as long by the test's clock as the test says, and then fails where it says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
        self.seconds, self.failure, self._clock = 0.0, False, clock
        self._compute = answering.compute
        monkeypatch.setattr(answering, "compute", self)

    def __call__(self, *arguments: Any) -> Any:
        self._clock.now += self.seconds
        if self.failure:
            raise AnonymisationError("bound_violated", "A bound does not hold.")
        return self._compute(*arguments)


def test_an_answer_and_a_failure_come_at_the_end_of_a_slot_and_a_refusal_before_data_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    house = engine(tmp_path, Running(clock.slots(0.25)))
    working = Working(monkeypatch, clock)
    taken: list[float] = []
    for number, (seconds, failure) in enumerate(
        ((0.0, False), (0.01, False), (0.24, True), (0.26, False), (0.4, True), (0.9, False), (7.0, True))
    ):
        working.seconds, working.failure, before = seconds, failure, clock.now
        with contextlib.suppress(AnonymisationError):
            house.desk.ask(house.order(question(1_000 + number)))
        taken.append(round(clock.now - before, 6))
    assert taken == [0.25, 0.25, 0.25, 0.5, 0.5, 1.0, 8.0]
    before = clock.now
    house.desk.ask(house.order(question(1_000)))  # replayed
    for unpaid in (question(10**8), question(by=["nowhere"])):
        with pytest.raises(AnonymisationError):
            house.desk.ask(house.order(unpaid))
    assert clock.now == before


def test_tables_that_differ_by_a_unit_are_delivered_in_the_same_slot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The work of two neighbours is measured for real and drawn again and again: by their slots nobody tells them apart."""
    clock = Clock()
    slots = clock.slots(0.25)
    with_one, without = frame(*stays(1, 500), *stays(2, 3)), frame(*stays(2, 3))
    asked = question_of_stays([{"name": "m", "stat": "mean", "column": "age"}])

    def seconds(data: Any) -> float:
        before = time.perf_counter()
        answering.compute(asked, STAYS, [data.lazy()], SEED)
        return time.perf_counter() - before

    seconds(without)
    delivered = [[slots.end(seconds(data)) for _ in range(25)] for data in (with_one, without)]
    first = [sum(each == 0.25 for each in own) for own in delivered]
    assert abs(first[0] - first[1]) <= 10  # of 25: a busy machine may delay either


DATA = {"empty": 0, "tiny": 1, "huge": 20_000}


def test_messages_and_shapes_are_the_same_whatever_the_data(tmp_path: Path) -> None:
    told, refused = set(), set()
    for name, rows in DATA.items():
        (tmp_path / name).mkdir()
        house = engine(tmp_path / name, Running(Slots(0.05)), rows=rows)
        asks = [{"name": "n", "stat": "count"}, {"name": "q", "stat": "quantile", "column": "days"}]
        answer = house.desk.ask(house.order(question(ask=asks, by=["sex"])))
        told.add(str(shape(answer)))
        for wrong in (
            question(10**8),
            question(by=["nowhere"]),
            question(by=["cost"]),
            question(rho_micro=0),
        ):
            with pytest.raises(AnonymisationError) as error:
                house.desk.ask(house.order(wrong))
            refused.add((error.value.code, error.value.message, error.value.to_do, str(error.value.params)))
        house.desk.ledger.close()
        house.recorder.close()
    assert len(told) == 1
    assert len(refused) == 4


def shape(told: Any) -> Any:
    if isinstance(told, dict):
        return {name: shape(value) for name, value in told.items()}
    return [shape(each) for each in told] if isinstance(told, list) else ""


def test_a_part_that_is_not_what_was_written_is_named_and_nothing_is_answered(house: Engine) -> None:
    part = sorted((house.desk.root / "stays/v1/research").glob("*.parquet"))[2]
    written = bytearray(part.read_bytes())
    written[60] ^= 1
    part.write_bytes(written)
    with pytest.raises(VaultDamaged) as caught:
        house.desk.ask(house.order(question()))
    assert caught.value.code == "shelf_part_damaged"
    assert caught.value.params["part"] == "research/part-00002"
