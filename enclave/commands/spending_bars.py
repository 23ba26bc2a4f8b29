"""Spending over time as lines of text: a month a line, one scale for all of them."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

MICRO: Final = 1_000_000
BAR: Final = "▇"
LONGEST: Final = 30
MONTH: Final = len("2026-11")
MONTHS_SHOWN: Final = 12

Spent = Mapping[str, Counter[str]]


def by_month(charges: Iterable[tuple[str, str, int]]) -> Spent:
    """Add up charges, given as whose they are, when in ISO 8601, and micro-rho."""
    spent: dict[str, Counter[str]] = {}
    for whose, when, rho_micro in charges:
        spent.setdefault(whose, Counter())[when[:MONTH]] += rho_micro
    return spent


def bars(spent: Spent) -> list[str]:
    """Give the last twelve months with a charge of each; what was spent always shows."""
    shown = {whose: sorted(months.items())[-MONTHS_SHOWN:] for whose, months in spent.items()}
    most = max((rho for months in shown.values() for _, rho in months), default=0)
    return [
        f"  {whose} {month}  {BAR * -(-rho * LONGEST // most)} {rho / MICRO:.6f}"
        for whose, months in sorted(shown.items())
        for month, rho in months
    ]
