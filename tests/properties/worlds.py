"""Small hostile tables (null, outside the domain, beyond the bounds, not a number) and questions of the whole form."""

import math
from typing import Any

import polars as pl
from hypothesis import strategies as st

from anonymisation import aggregate
from anonymisation.bounds import UNIT
from anonymisation.plan import Plan, fit
from anonymisation.vectors import Vector
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
