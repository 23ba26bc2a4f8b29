"""One privacy unit more or less moves every exact vector by no more than its price assumes; faults we plant are found.

Tables are small and hostile (null, outside the domain, beyond the bounds, not a number); questions are drawn from the whole form.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations_with_replacement, product
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from anonymisation import aggregate, sensitivity
from anonymisation.bounds import UNIT
from anonymisation.plan import Plan, fit
from anonymisation.vectors import GRID, Vector
from tests.unit.anonymisation.question_tables import DEPARTMENTS, SCHEMA, STAYS, question

LETS = [
    {"name": "band", "expr": ["bins", "age", [18, 65]]},
    {"name": "y", "expr": ["year", "entry"]},
    {"name": "twice", "expr": ["-", ["*", "age", 2], 50]},
    {"name": "share", "expr": ["*", "cost", ["case", [["col", "dead"], 3], 1]]},
    {"name": "kind", "expr": ["case", [["<", "age", 18], "minor"], [["is_null", "dept"], "unknown"], None]},
]
FILTERS: list[Any] = [
    None,
    [">", "age", 17],
    ["not", ["==", "dept", "35"]],
    ["or", ["col", "dead"], ["is_null", "age"]],
    ["between", "twice", -20, 100],
    ["in", "kind", ["minor"]],
]
KEYS = [[], ["dept"], ["band"], ["dead", "y"], ["dept", "kind"], ["grade"]]
ASKS: list[dict[str, Any]] = [
    {"name": "n", "stat": "count"},
    {"name": "c", "stat": "count", "column": "age"},
    {"name": "u", "stat": "units"},
    {"name": "s", "stat": "sum", "column": "age", "low": 10, "high": 90},
    {"name": "t", "stat": "sum", "column": "twice"},
    {"name": "w", "stat": "sum", "column": "weight", "low": "-5.5", "high": 100},
    {"name": "m", "stat": "mean", "column": "cost"},
    {"name": "v", "stat": "mean", "column": "share", "high": 500},
    {"name": "z", "stat": "variance", "column": "cost", "low": 1, "high": 300},
    {"name": "q", "stat": "quantile", "column": "age", "edges": [18, 40, 41, 65]},
    {"name": "e", "stat": "quantile", "column": "cost", "low": 5, "probs": ["0.1"]},
    {"name": "h", "stat": "histogram", "column": "weight", "edges": ["60.5", "80"]},
    {"name": "x", "stat": "contingency", "columns": ["dead", "grade"]},
    {"name": "k", "stat": "survival", "column": "age", "event": "dead", "edges": [17, 40, 60]},
    {
        "name": "r",
        "stat": "rate",
        "column": "age",
        "event": "dead",
        "standard": "esp2013",
        "edges": [0, 40, 85],
    },
    {
        "name": "p",
        "stat": "rate",
        "column": "age",
        "standard": "esp2013",
        "edges": [15, 65],
        "persons": [1000, 500],
    },
    {"name": "o", "stat": "correlation", "columns": ["age", "dead"]},
    {"name": "l", "stat": "ols", "column": "cost", "columns": ["age", "twice"], "high": 500},
]

ROWS = st.fixed_dictionaries(
    {
        "dept": st.sampled_from([*DEPARTMENTS, "99", None]),
        "age": st.sampled_from([None, -(10**12), 0, 17, 40, 90, 120, 10**15]),
        "grade": st.sampled_from([None, 1, 2, 3, 9]),
        "cost": st.sampled_from([None, math.nan, math.inf, -math.inf, -1e300, 0.0, 0.01, 4999.99, 1e300]),
        "weight": st.sampled_from([None, math.nan, -1e18, 70.5, 1e18]),
        "entry": st.dates(
            min_value=pl.Series(["2018-01-01"]).str.to_date()[0],
            max_value=pl.Series(["2024-12-31"]).str.to_date()[0],
        ),
        "noted": st.none(),
        "dead": st.sampled_from([None, True, False]),
    }
)
UNITS = st.lists(st.lists(ROWS, min_size=1, max_size=7), min_size=1, max_size=4)
QUESTIONS = st.builds(
    lambda ask, where, by, rows, groups, within: question(
        ask,
        where=where,
        by=by,
        let=LETS,
        unit={"rows": rows, "groups": groups} | ({"rows_per_group": within} if within else {}),
    ),
    st.lists(st.sampled_from(ASKS), min_size=1, max_size=3, unique_by=lambda ask: ask["name"]),
    st.sampled_from(FILTERS),
    st.sampled_from(KEYS),
    st.integers(1, 5),
    st.integers(1, 4),
    st.integers(0, 4),
)
WORLDS = st.tuples(UNITS, QUESTIONS, st.binary(min_size=1, max_size=4), st.integers(1, 3))


def exact(plan: Plan, units: dict[int, list[dict[str, Any]]], seed: bytes, parts: int) -> dict[Vector, Any]:
    tables = [
        pl.DataFrame(
            [{UNIT: unit} | row for unit, rows in units.items() if unit % parts == place for row in rows],
            schema=SCHEMA,
        )
        for place in range(parts)
    ]
    return aggregate.aggregate(plan, [table.lazy() for table in tables], seed)


def moves_too_far(world: tuple[Any, Any, bytes, int]) -> bool:
    """Say whether taking the first unit away moves any vector further than claimed, in whole numbers."""
    drawn, asked, seed, parts = world
    plan = fit(asked, STAYS)
    units = {1000 - place: rows for place, rows in enumerate(drawn)}
    fewer = dict(list(units.items())[1:])
    before, after = exact(plan, units, seed, parts), exact(plan, fewer, seed, parts)
    return any(
        sum(int(d) ** 2 for d in before[vector] - after[vector]) > plan.sensitivity_squared(vector)
        for vector in plan.vectors
    )


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(WORLDS)
def test_one_unit_moves_the_exact_answer_by_no_more_than_claimed(world: Any) -> None:
    assert not moves_too_far(world)


@pytest.mark.long
@settings(max_examples=5_000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(WORLDS)
def test_one_unit_moves_the_exact_answer_by_no_more_than_claimed_long(world: Any) -> None:
    assert not moves_too_far(world)


# --- faults planted -----------------------------------------------------------------------------------------------------

Patch = pytest.MonkeyPatch


def short(name: str) -> Callable[[Patch], None]:
    """Claim a sensitivity 25 % too small."""

    def plant(patch: Patch) -> None:
        honest = getattr(sensitivity, name)
        patch.setattr(sensitivity, name, lambda *args: honest(*args) * 0.75**2)

    return plant


def recode_after_bounding(patch: Patch) -> None:
    """Multiply values after they were clipped, with the price of the clipped ones (as opendp issue 2949)."""
    honest = aggregate._term

    def recoded(vector: Vector) -> pl.Expr:
        return honest(vector) * 2 if vector.kind == "sum" else honest(vector)

    patch.setattr(aggregate, "_term", recoded)


def keys_from_the_data(patch: Patch) -> None:
    """Give cells to the groups that occur, in order, instead of those declared."""
    honest = aggregate._scatter

    def ranked(plan: Plan, codes: pl.Series, values: Any) -> Any:
        return honest(plan, codes.rank("dense").cast(pl.UInt32) - 1 if len(codes) else codes, values)

    patch.setattr(aggregate, "_scatter", ranked)


def off_by_two(name: str, place: int) -> Callable[[Patch], None]:
    """Keep two rows or groups too many."""

    def plant(patch: Patch) -> None:
        honest = getattr(aggregate, name)
        patch.setattr(
            aggregate, name, lambda *args: honest(*args[:place], args[place] + 2, *args[place + 1 :])
        )

    return plant


def choice_among_all(patch: Patch) -> None:
    """Let the choice of a unit's rows depend on how many rows the others have."""
    honest = aggregate.secret_choice
    patch.setattr(
        aggregate, "secret_choice", lambda units, labels, seed: honest(units, labels + len(units), seed)
    )


FAULTS = {
    "rows 25 % short": short("rows"),
    "terms 25 % short": short("scaled"),
    "units 25 % short": short("units"),
    "recode after bounding": recode_after_bounding,
    "keys from the data": keys_from_the_data,
    "two rows too many": off_by_two("keep_rows", 1),
    "two groups too many": off_by_two("keep_groups", 2),
    "choice depends on other units": choice_among_all,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(fault: str, monkeypatch: Patch) -> None:
    for check in (
        "assert_bounds",
        "_assert_magnitudes",
    ):  # the search must find it without the run-time checks
        monkeypatch.setattr(aggregate, check, lambda *_: None)
    FAULTS[fault](monkeypatch)
    search = settings(
        max_examples=3_000, deadline=None, derandomize=True, phases=[Phase.generate], database=None
    )
    try:
        find(WORLDS, moves_too_far, settings=search)
    except NoSuchExample:
        pytest.fail(f"the search over neighbours did not find: {fault}")


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
