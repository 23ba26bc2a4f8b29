"""Tables sorted by plain links: `?sort=title&order=down`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

Row = TypeVar("Row")
Order = Literal["up", "down"]


@dataclass(frozen=True)
class Sorted(Generic[Row]):
    """Rows in the order asked for, and what a column's head needs to say so."""

    rows: Sequence[Row]
    by: str
    order: Order

    def flip(self, column: str) -> Order:
        """Give the order a click on this column's head asks for."""
        return "down" if column == self.by and self.order == "up" else "up"

    def aria(self, column: str) -> str:
        """Give the value of `aria-sort` for this column (WAI-ARIA 1.2)."""
        if column != self.by:
            return "none"
        return "ascending" if self.order == "up" else "descending"


def arrange(rows: Sequence[Row], keys: dict[str, Callable[[Row], Any]], by: str, order: str) -> Sorted[Row]:
    """Sort by a known column; an unknown one leaves the house's own order."""
    direction: Order = "down" if order == "down" else "up"
    if by not in keys:
        return Sorted(rows, "", direction)
    return Sorted(sorted(rows, key=keys[by], reverse=direction == "down"), by, direction)
