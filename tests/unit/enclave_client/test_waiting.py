import threading
from types import ModuleType
from typing import Any

import pytest

from enclave.errors import Refused
from notebooks_image.enclave_client import waiting
from notebooks_image.enclave_client.errors import EnclaveError
from tests.unit.web.house_for_tests import HouseForTests

RUNNING = [
    {"question_sha256": "ab" * 32, "dataset": "hospital-stays", "state": "reading", "done": 3, "of": 16},
    {"question_sha256": "cd" * 32, "dataset": "rand-hie", "state": "waiting", "done": 0, "of": 0},
]


@pytest.fixture
def slow(house: HouseForTests, monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """A house that answers once the test lets it, or once the question is cancelled."""
    go_on, told = threading.Event(), house.ask

    def ask(person: Any, project: str, question: Any) -> Any:
        assert go_on.wait(30)
        if house.cancelled:
            raise Refused("question_cancelled", "Cancelled; the price stays spent.")
        return told(person, project, question)

    monkeypatch.setattr(house, "ask", ask)
    monkeypatch.setattr(house, "now_running", RUNNING)
    monkeypatch.setattr(waiting, "LOOK_SECONDS", 0.05)
    house.cancelled.clear()
    return go_on


def test_a_long_answer_shows_how_much_is_read(
    enclave: ModuleType, slow: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []

    def shown(line: str) -> None:
        lines.append(line)
        slow.set()

    monkeypatch.setattr(waiting, "_in_terminal", shown)
    answer = enclave.dataset("hospital-stays").count().ask()
    assert answer.rows
    assert lines[0] == "hospital-stays: part 3 of 16 read · rand-hie: waiting"
    assert lines[-1] == ""


def test_stopping_the_cell_cancels_the_question_and_says_what_stays_spent(
    enclave: ModuleType, house: HouseForTests, slow: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = house.cancel

    def cancel(person: Any, project: str, question: Any) -> Any:
        stopped = told(person, project, question)
        slow.set()
        return stopped

    def interrupted() -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(house, "cancel", cancel)
    monkeypatch.setattr(waiting, "_progress", interrupted)
    with pytest.raises(EnclaveError) as caught:
        enclave.dataset("hospital-stays").count().ask(rho=0.01)
    assert caught.value.code == "question_cancelled"
    assert house.cancelled[0]["rho_micro"] == 10_000


def test_progress_that_cannot_be_told_is_left_out(
    enclave: ModuleType, house: HouseForTests, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENCLAVE_SOCK", "/nowhere.sock")
    assert waiting._progress() == ""
