"""One privacy unit more or less moves every exact vector by no more than its price assumes, and the price is computed twice."""

from collections.abc import Iterator, Sequence
from itertools import combinations_with_replacement, product
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anonymisation import sensitivity
from anonymisation.plan import fit
from anonymisation.vectors import GRID, Vector
from tests.properties.worlds import JOINED_WORLDS, WORLDS, joined_moves_too_far, moves_too_far
from tests.unit.anonymisation.question_tables import DEPARTMENTS, LABS, STAYS, question, taking


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(WORLDS)
def test_one_unit_moves_the_exact_answer_by_no_more_than_claimed(world: Any) -> None:
    assert not moves_too_far(world)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(JOINED_WORLDS)
def test_one_unit_of_two_tables_asked_together_moves_the_answer_by_no_more_than_claimed(world: Any) -> None:
    assert not joined_moves_too_far(world)


@pytest.mark.long
@pytest.mark.timeout(3600)
@settings(max_examples=3_000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(JOINED_WORLDS)
def test_one_unit_of_two_tables_asked_together_moves_the_answer_by_no_more_than_claimed_long(
    world: Any,
) -> None:
    assert not joined_moves_too_far(world)


@pytest.mark.long
@pytest.mark.timeout(3600)
@settings(max_examples=5_000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(WORLDS)
def test_one_unit_moves_the_exact_answer_by_no_more_than_claimed_long(world: Any) -> None:
    assert not moves_too_far(world)


# --- the second computation of the sensitivity ----------------------------------------------------------------------------


def farthest(rows: int, groups: int, keys: int, within: int, terms: Sequence[tuple[int, ...]]) -> int:
    """Enumerate all a unit may hold: how many rows in which groups, each adding any one of the extreme terms to its group."""
    reach = {
        used: max(
            _squared([sum(cell) for cell in zip(*chosen, strict=True)]) for chosen in _choices(terms, used)
        )
        for used in range(1, min(rows, within) + 1)
    }
    best = 0
    stack: list[tuple[int, int, int, int]] = [
        (0, rows, groups, 0)
    ]  # group, rows and groups left, squared length
    while stack:
        group, left, open_groups, length = stack.pop()
        best = max(best, length)
        if group == keys:
            continue
        stack.append((group + 1, left, open_groups, length))
        if open_groups:
            stack.extend(
                (group + 1, left - used, open_groups - 1, length + reach[used])
                for used in range(1, min(left, within) + 1)
            )
    return best


def _choices(terms: Sequence[tuple[int, ...]], used: int) -> Iterator[tuple[tuple[int, ...], ...]]:
    return combinations_with_replacement(terms, used)


def _squared(cells: Sequence[int]) -> int:
    return sum(cell**2 for cell in cells)


@given(
    st.integers(1, 6),
    st.integers(1, 5),
    st.integers(1, 4),
    st.integers(1, 7),
    st.integers(-9, 9),
    st.integers(0, 9),
    st.integers(-9, 9),
)
@settings(max_examples=200, deadline=None)
def test_the_closed_formulas_agree_with_enumeration(
    rows: int, groups: int, keys: int, within: int, low: int, span: int, centre: int
) -> None:
    high = low + span
    counted = sensitivity.rows(rows, groups, keys, within)
    assert counted == farthest(rows, groups, keys, within, [(1,)])
    assert counted == farthest(
        rows, groups, keys, within, [(1, 0, 0), (0, 1, 0), (0, 0, 1)]
    )  # counts in cells
    vector = Vector("sum", "x", low, high, centre)
    ends = [(low - centre,), (high - centre,)]
    assert sensitivity.scaled(counted, vector.length_squared) == farthest(rows, groups, keys, within, ends)
    squared = Vector("squares", "x", low, high, centre, 1)
    terms = [(((value - centre) // 2) ** 2,) for value in (low, high)]
    assert sensitivity.scaled(counted, squared.length_squared) == farthest(rows, groups, keys, within, terms)
    held = [sum(cells) for cells in product((0, 1), repeat=keys) if sum(cells) <= min(rows, groups)]
    assert sensitivity.units(rows, groups, keys) == max(held)


@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 3), st.integers(1, 4))
@settings(max_examples=20, deadline=None)
def test_the_length_of_products_agrees_with_enumeration(
    rows: int, groups: int, keys: int, within: int
) -> None:
    vector = Vector("moments", width=6, factors=("a", "b"))
    corners = [
        tuple(left * right for left, right in combinations_with_replacement((GRID, *ends), 2))
        for ends in product((-GRID, 0, GRID), repeat=2)
    ]
    claimed = sensitivity.scaled(sensitivity.rows(rows, groups, keys, within), vector.length_squared)
    assert claimed == farthest(rows, groups, keys, within, corners)


@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 4), st.integers(-4, 0), st.integers(1, 80))
@settings(max_examples=25, deadline=None)
def test_a_question_with_features_of_another_table_is_priced_as_enumeration_says(
    rows: int, groups: int, most: int, low: int, high: int
) -> None:
    """All a unit may hold in the second table is gone through, its features worked out by hand, and then all it may hold in the first."""
    taken = taking(
        {"name": "tests", "stat": "count", "high": most},
        {"name": "total", "stat": "sum", "column": "value", "low": low, "high": high},
    )
    asks = [
        {"name": "n", "stat": "count"},
        {"name": "t", "stat": "sum", "column": "tests"},
        {"name": "s", "stat": "sum", "column": "total"},
    ]
    fitted = fit(
        question(asks, features=taken, by=["dept"], unit={"rows": rows, "groups": groups}), STAYS, LABS
    )
    held = [
        kept
        for count in range(5)
        for kept in combinations_with_replacement((-99, -1, 0, 7, 20, 1_000), count)
    ]
    tests = {min(len(kept), most) for kept in held}
    totals = {10 * min(max(sum(min(max(each, -1), 20) for each in kept), low), high) for kept in held}
    claimed = [fitted.sensitivity_squared(one.vectors[0]) for one in fitted.statistics]
    middles = [one.vectors[0].centre for one in fitted.statistics]
    terms = [{1}, tests, {min(totals), max(totals)}]
    assert claimed == [
        farthest(rows, groups, len(DEPARTMENTS), rows, [(each - middle,) for each in sorted(own)])
        for own, middle in zip(terms, middles, strict=True)
    ]
