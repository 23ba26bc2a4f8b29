"""What the written plan calls the same conclusion, cell by cell; docs/analysis-plan.md defines each kind before anything is asked."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import isnan
from typing import Any

Cells = Mapping[str, float]
Margin = Callable[[float], float]


@dataclass(frozen=True)
class Verdict:
    """The cells on which the answer leads to another conclusion than the exact analysis, by kind of conclusion."""

    failed: Mapping[str, frozenset[str]]

    @property
    def holds(self) -> bool:
        """True where every conclusion is that of the exact analysis."""
        return not any(self.failed.values())

    def touches(self, cell: str) -> bool:
        """True where a conclusion that this cell takes part in is another."""
        return any(cell in cells for cells in self.failed.values())


def judged(conclusions: Sequence[Mapping[str, Any]], exact: Cells, answer: Cells) -> Verdict:
    """Compare the answer's values with the exact ones by each written conclusion; a value that is not told (NaN) fails."""
    failed: dict[str, frozenset[str]] = {}
    for place, one in enumerate(conclusions):
        own = [cell for cell in exact if cell.split("|")[0] == one["of"] and _is_meant(cell, one)]
        assert own, f"a conclusion about cells that are not there: {one}"
        wrong = {
            *_KINDS[one["kind"]](one, own, exact, answer),
            *(cell for cell in own if isnan(answer[cell])),
        }
        failed[f"{place}:{one['kind']} {one['of']}"] = frozenset(wrong)
    return Verdict(failed)


def _is_meant(cell: str, one: Mapping[str, Any]) -> bool:
    return "only" not in one or cell.rsplit("|", maxsplit=1)[-1] == one["only"]


def _margin(text: str) -> Margin:
    """Read `"5 %"` as a share of the larger exact value, `"0.5"` as a distance."""
    if text.endswith("%"):
        return lambda size: float(text.removesuffix("%")) / 100 * size
    return lambda _: float(text)


def _pairs(one: Mapping[str, Any], cells: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Give the pairs that are compared: all, or those of one coordinate."""
    for left, right in combinations(cells, 2):
        if "within" not in one or left.split("|")[-1] == right.split("|")[-1]:
            yield left, right


def _order(one: Mapping[str, Any], cells: Sequence[str], exact: Cells, answer: Cells) -> Iterator[str]:
    """Two cells whose exact values differ by more than the margin come in the same order."""
    margin = _margin(one["margin"])
    for left, right in _pairs(one, cells):
        apart = exact[left] - exact[right]
        if (
            abs(apart) > margin(max(abs(exact[left]), abs(exact[right])))
            and apart * (answer[left] - answer[right]) <= 0
        ):
            yield from (left, right)


def _alike(one: Mapping[str, Any], cells: Sequence[str], exact: Cells, answer: Cells) -> Iterator[str]:
    """Two cells differ by more than the margin in both analyses, or in neither."""
    margin = _margin(one["margin"])

    def differ(told: Cells, left: str, right: str) -> bool:
        return abs(told[left] - told[right]) > margin(max(abs(told[left]), abs(told[right])))

    for left, right in _pairs(one, cells):
        if differ(exact, left, right) != differ(answer, left, right):
            yield from (left, right)


def _near(one: Mapping[str, Any], cells: Sequence[str], exact: Cells, answer: Cells) -> Iterator[str]:
    """A value lies within the margin of the exact one."""
    margin = _margin(one["margin"])
    yield from (cell for cell in cells if abs(answer[cell] - exact[cell]) > margin(abs(exact[cell])))


def _side(one: Mapping[str, Any], cells: Sequence[str], exact: Cells, answer: Cells) -> Iterator[str]:
    """A value lies on the same side of a threshold."""
    threshold = float(one["threshold"])
    yield from (cell for cell in cells if (exact[cell] > threshold) != (answer[cell] > threshold))


_KINDS: Mapping[str, Callable[[Mapping[str, Any], Sequence[str], Cells, Cells], Iterator[str]]] = {
    "order": _order,
    "alike": _alike,
    "near": _near,
    "side": _side,
}
