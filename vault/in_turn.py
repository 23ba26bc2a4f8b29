"""Work shared out to a few threads, its results in the order of the items, and never more than a few of them waiting.

What is worked on holds rows in memory, so a quick source must not run ahead of slow work.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_turn(work: Callable[[Item], Result], items: Iterable[Item], threads: int) -> Iterator[Result]:
    """Give `work(item)` for each item in turn; `items` is asked for in the caller's thread, `threads` items ahead.

    Whatever `items` or `work` raises is raised here in its place; what has not begun by then is left out.
    """
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for one in waiting:
                one.cancel()
