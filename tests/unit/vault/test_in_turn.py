"""Work shared out to threads."""

import threading
from collections.abc import Iterator

import pytest

from vault.in_turn import in_turn


def test_results_come_in_the_order_of_the_items_whoever_is_first_done() -> None:
    last = threading.Event()

    def work(item: int) -> int:
        if item == 0:
            last.wait(5)  # the first is done after the second
        else:
            last.set()
        return item * item

    assert list(in_turn(work, range(7), 2)) == [item * item for item in range(7)]


def test_a_quick_source_does_not_run_ahead_of_slow_work() -> None:
    asked: list[int] = []

    def items() -> Iterator[int]:
        for item in range(100):
            asked.append(item)
            yield item

    results = in_turn(lambda item: item, items(), 2)
    assert next(results) == 0
    assert len(asked) == 3
    results.close()  # type: ignore[attr-defined]
    assert len(asked) == 3


def test_what_the_work_or_the_source_raises_is_raised_in_its_place() -> None:
    def work(item: int) -> int:
        if item == 3:
            raise KeyError(item)
        return item

    results = in_turn(work, range(50), 2)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(KeyError):
        next(results)
    assert list(in_turn(work, [], 2)) == []
