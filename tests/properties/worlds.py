"""Small hostile tables (null, outside the domain, beyond the bounds, not a number) and questions of the whole form."""

import math
from datetime import date
from typing import Any

import polars as pl
from hypothesis import strategies as st

from anonymisation import aggregate
from anonymisation.bounds import UNIT
from anonymisation.plan import Plan, fit
from anonymisation.vectors import Vector
from tests.unit.anonymisation.question_tables import (
    DEPARTMENTS,
    LAB,
    LAB_SCHEMA,
    LABS,
    ROW,
    SCHEMA,
    STAYS,
    question,
    taking,
)

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


# --- two tables ---------------------------------------------------------------------------------------------------------

TAKEN = [
    {"name": "tested", "stat": "exists"},
    {"name": "tests", "stat": "count", "high": 3},
    {"name": "urgents", "stat": "count", "column": "urgent"},
    {"name": "total", "stat": "sum", "column": "value", "low": "-2", "high": 40},
    {"name": "worst", "stat": "max", "column": "value"},
    {"name": "begun", "stat": "min", "column": "drawn"},
    {"name": "entered", "stat": "first", "column": "kind", "order": "drawn"},
    {"name": "ended", "stat": "last", "column": "ranked", "order": "value"},
]
JOINED_ASKS: list[dict[str, Any]] = [
    {"name": "n", "stat": "count"},
    {"name": "u", "stat": "units"},
    {"name": "s", "stat": "sum", "column": "tests"},
    {"name": "t", "stat": "sum", "column": "total"},
    {"name": "m", "stat": "mean", "column": "worst"},
    {"name": "w", "stat": "sum", "column": "weighed"},
    {"name": "c", "stat": "count", "column": "ended"},
    {"name": "h", "stat": "histogram", "column": "begun", "edges": ["2021-01-01"]},
    {"name": "x", "stat": "contingency", "columns": ["tested", "entered"]},
    {"name": "o", "stat": "correlation", "columns": ["age", "tests"]},
]
LAB_ROWS = st.builds(
    lambda kind, value, ranked, drawn: (
        LAB | {"kind": kind, "value": value, "ranked": ranked, "drawn": drawn, "urgent": True}
    ),
    st.sampled_from(["sodium", "lactate", "other", None]),
    st.sampled_from([None, math.nan, math.inf, -1e300, 0.5, 20.0, 1e300]),
    st.sampled_from([None, -(10**12), 3, 10**15]),
    st.sampled_from([None, date(2018, 1, 1), date(2020, 6, 1), date(2021, 6, 1), date(2024, 1, 1)]),
)
JOINED_QUESTIONS = st.builds(
    lambda ask, where, of_labs, by, rows, groups: question(
        ask,
        features=taking(*TAKEN, **({"where": of_labs} if of_labs else {})),
        where=where,
        by=by,
        let=[{"name": "weighed", "expr": ["*", "age", ["col", "tests"]]}],
        unit={"rows": rows, "groups": groups},
    ),
    st.lists(st.sampled_from(JOINED_ASKS), min_size=1, max_size=3, unique_by=lambda ask: ask["name"]),
    st.sampled_from([None, None, [">", "tests", 1], ["not", ["==", "entered", "sodium"]]]),
    st.sampled_from([None, None, ["==", "kind", "sodium"]]),
    st.sampled_from([[], ["tested"], ["entered", "dead"], ["tests"], ["ended"]]),
    st.integers(1, 4),
    st.integers(1, 3),
)
STAY_ROWS = st.builds(
    lambda age, dead: ROW | {"age": age, "dead": dead},
    st.sampled_from([None, -(10**12), 0, 90, 10**15]),
    st.sampled_from([True, False]),
)
BOTH = st.tuples(st.lists(STAY_ROWS, max_size=4), st.lists(LAB_ROWS, max_size=4))
JOINED_WORLDS = st.tuples(
    st.lists(BOTH, min_size=1, max_size=4),
    JOINED_QUESTIONS,
    st.binary(min_size=1, max_size=4),
    st.integers(1, 3),
    st.integers(1, 3),
)


def joined_moves_too_far(world: tuple[Any, Any, bytes, int, int]) -> bool:
    """Say whether taking the first unit away, from both tables, moves any vector further than claimed."""
    drawn, asked, seed, parts, other_parts = world
    plan = fit(asked, STAYS, LABS)
    both = {1000 - place: rows for place, rows in enumerate(drawn)}

    def answered(units: dict[int, Any]) -> dict[Vector, Any]:
        first, second = ({unit: rows[place] for unit, rows in units.items()} for place in (0, 1))
        others = [table.lazy() for table in tables(second, other_parts, LAB_SCHEMA)]
        return aggregate.aggregate(
            plan, [table.lazy() for table in tables(first, parts, SCHEMA)], seed, others
        )

    return too_far(plan, answered(both), answered(dict(list(both.items())[1:])))


# --- one unit more or less ----------------------------------------------------------------------------------------------


def tables(units: dict[int, list[dict[str, Any]]], parts: int, schema: dict[str, Any]) -> list[pl.DataFrame]:
    """Put each unit's rows into one of the parts."""
    return [
        pl.DataFrame(
            [{UNIT: unit} | row for unit, rows in units.items() if unit % parts == place for row in rows],
            schema=schema,
        )
        for place in range(parts)
    ]


def exact(plan: Plan, units: dict[int, list[dict[str, Any]]], seed: bytes, parts: int) -> dict[Vector, Any]:
    return aggregate.aggregate(plan, [table.lazy() for table in tables(units, parts, SCHEMA)], seed)


def too_far(plan: Plan, before: dict[Vector, Any], after: dict[Vector, Any]) -> bool:
    return any(
        sum(int(d) ** 2 for d in before[vector] - after[vector]) > plan.sensitivity_squared(vector)
        for vector in plan.vectors
    )


def moves_too_far(world: tuple[Any, Any, bytes, int]) -> bool:
    """Say whether taking the first unit away moves any vector further than claimed, in whole numbers."""
    drawn, asked, seed, parts = world
    plan = fit(asked, STAYS)
    units = {1000 - place: rows for place, rows in enumerate(drawn)}
    fewer = dict(list(units.items())[1:])
    return too_far(plan, exact(plan, units, seed, parts), exact(plan, fewer, seed, parts))
