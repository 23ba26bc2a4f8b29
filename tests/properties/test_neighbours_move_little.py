"""One privacy unit more or less moves every exact vector by no more than its price assumes; faults we plant are found.

Tables are small and hostile (null, outside the domain, beyond the bounds, not a number); questions are drawn from the whole form.
"""

import math
from collections.abc import Callable
from itertools import product
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from anonymisation import aggregate, sensitivity
from anonymisation.bounds import UNIT
from anonymisation.plan import Plan, Vector, fit
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
    lambda ask, where, by, rows, groups: question(
        ask, where=where, by=by, let=LETS, unit={"rows": rows, "groups": groups}
    ),
    st.lists(st.sampled_from(ASKS), min_size=1, max_size=3, unique_by=lambda ask: ask["name"]),
    st.sampled_from(FILTERS),
    st.sampled_from(KEYS),
    st.integers(1, 5),
    st.integers(1, 4),
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

    def ranked(plan: Plan, codes: pl.Series, values: pl.Series) -> Any:
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
    "count 25 % short": short("counts"),
    "sum 25 % short": short("sums"),
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


def farthest(rows: int, groups: int, keys: int, terms: tuple[int, ...]) -> int:
    """Enumerate all a unit may hold: how many rows in which groups, each with any of the extreme terms."""
    best = 0
    stack: list[tuple[int, int, int, int]] = [
        (0, rows, groups, 0)
    ]  # group, rows left, groups left, squared length so far
    while stack:
        group, left, open_groups, length = stack.pop()
        best = max(best, length)
        if group == keys:
            continue
        stack.append((group + 1, left, open_groups, length))
        if open_groups:
            for used in range(1, left + 1):
                reach = max(abs(sum(terms_of)) for terms_of in [[term] * used for term in terms])
                stack.append((group + 1, left - used, open_groups - 1, length + reach**2))
    return best


@given(
    st.integers(1, 6),
    st.integers(1, 5),
    st.integers(1, 4),
    st.integers(-9, 9),
    st.integers(0, 9),
    st.integers(-9, 9),
)
@settings(max_examples=200, deadline=None)
def test_the_closed_formulas_agree_with_enumeration(
    rows: int, groups: int, keys: int, low: int, span: int, centre: int
) -> None:
    high = low + span
    assert sensitivity.counts(rows) == farthest(rows, groups, keys, (1,))
    vector = Vector("sum", "x", low, high, centre)
    assert sensitivity.sums(rows, vector.magnitude) == farthest(
        rows, groups, keys, (low - centre, high - centre)
    )
    squared = Vector("squares", "x", low, high, centre, 1)
    terms = tuple(((value - centre) // 2) ** 2 for value in range(low, high + 1))
    assert sensitivity.sums(rows, squared.magnitude) == farthest(rows, groups, keys, terms)
    held = [sum(cells) for cells in product((0, 1), repeat=keys) if sum(cells) <= min(rows, groups)]
    assert sensitivity.units(rows, groups, keys) == max(held)
