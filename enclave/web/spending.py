"""A population's spending as bars by month, one drawing a project: sizes are computed here, the template only writes them."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from enclave.web.sheets import PopulationCharge

MONTHS = 12
WIDTH, HEIGHT, GAP = 36, 80, 8
Month = tuple[int, int]


@dataclass(frozen=True)
class Bar:
    """One month: its first day, what was spent, and where its bar stands."""

    month: datetime
    rho_micro: int
    x: int
    y: int
    height: int


@dataclass(frozen=True)
class Drawing:
    """One project's months, and all it spent."""

    project: str
    rho_micro: int
    questions: int
    bars: tuple[Bar, ...]

    @property
    def width(self) -> int:
        """Width of the drawing."""
        return MONTHS * (WIDTH + GAP)


def drawings(charges: Sequence[PopulationCharge], now: datetime) -> list[Drawing]:
    """Draw the last twelve months of each project, most spent first, all on one scale."""
    spent: dict[str, Counter[Month]] = {}
    for one in charges:
        spent.setdefault(one.project, Counter())[one.when.year, one.when.month] += one.rho_micro
    shown = [month for month, _ in _months(now)]
    largest = max((each[month] for each in spent.values() for month in shown), default=0) or 1
    counted = Counter(one.project for one in charges)
    found = [
        Drawing(project, each.total(), counted[project], tuple(_bars(each, now, largest)))
        for project, each in spent.items()
    ]
    return sorted(found, key=lambda one: (-one.rho_micro, one.project))


def _months(now: datetime) -> Iterator[tuple[Month, datetime]]:
    last = now.year * 12 + now.month - 1
    for place in range(last - MONTHS + 1, last + 1):
        year, month = divmod(place, 12)
        yield (year, month + 1), datetime(year, month + 1, 1, tzinfo=now.tzinfo)


def _bars(spent: Counter[Month], now: datetime, largest: int) -> Iterator[Bar]:
    for place, (month, first) in enumerate(_months(now)):
        height = -(-spent[month] * HEIGHT // largest)  # rounded up: what was spent is never invisible
        yield Bar(first, spent[month], place * (WIDTH + GAP), HEIGHT - height, height)
