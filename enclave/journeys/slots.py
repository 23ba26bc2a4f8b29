"""When an answer is delivered: at the end of a slot, so that how long it took tells little about the data.

Slots double: an answer that took up to S seconds comes after S, else after 2 S, 4 S ... A usual question is done within the first.
What follows on the opening of data, an answer and a failure alike, tells whoever measures no more than which slot it was: of a
question that may take up to an hour, one of fifteen with S = 0.25. Two tables that differ by one unit fall into different slots only where the
work ends within microseconds of a slot's end. What was refused before data is opened depends on no data and is told at once.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, log2
from typing import Final

SLOT_SECONDS: Final = 0.25


@dataclass(frozen=True)
class Slots:
    """The ends of the slots after a beginning: `seconds`, then twice that, and so on."""

    seconds: float = SLOT_SECONDS
    clock: Callable[[], float] = time.monotonic
    wait: Callable[[float], None] = time.sleep

    def end(self, elapsed: float) -> float:
        """Give the end of the slot that `elapsed` seconds fall into."""
        return self.seconds * 2.0 ** max(0, ceil(log2(max(elapsed, self.seconds) / self.seconds)))

    def before(self, elapsed: float) -> float:
        """Give the last end that has passed after `elapsed` seconds; 0 within the first slot."""
        end = self.end(elapsed)
        return end if end <= elapsed else 0.0 if end <= self.seconds else end / 2

    def await_end(self, began: float) -> None:
        """Wait until the end of the slot that now falls into."""
        elapsed = self.clock() - began
        self.wait(max(0.0, self.end(elapsed) - elapsed))
