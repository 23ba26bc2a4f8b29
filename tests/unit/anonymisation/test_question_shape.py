"""Questions alike but for their constants have one shape; questions about other things have not."""

import pytest

from anonymisation.question import digest, parse
from anonymisation.question_shape import shape

BASE = {
    "v": 1,
    "dataset": "stays",
    "let": [{"name": "old", "expr": [">=", "age", 65]}],
    "where": ["and", ["==", "sex", "F"], ["between", "entry", "2024-01-01", "2024-12-31"]],
    "unit": {"rows": 4, "groups": 2},
    "by": ["old"],
    "ask": [
        {"name": "n", "stat": "count"},
        {"name": "m", "stat": "mean", "column": "cost", "low": "0", "high": "10"},
    ],
    "rho_micro": 10_000,
}


def asked(**changes):
    return parse({**BASE, **changes})


NEAR = {
    "another price": {"rho_micro": 1},
    "another bound of a step": {"let": [{"name": "old", "expr": [">=", "age", 66]}]},
    "another comparison": {"let": [{"name": "old", "expr": [">", "age", 64]}]},
    "its other side": {"let": [{"name": "old", "expr": ["not", ["<", "age", 65]]}]},
    "another name": {"let": [{"name": "aged", "expr": [">=", "age", 65]}], "by": ["aged"]},
    "another value": {"where": ["and", ["==", "sex", "M"], ["between", "entry", "2024-01-01", "2024-12-30"]]},
    "another order": {"where": ["and", ["between", "entry", "2024-01-01", "2024-12-31"], ["==", "sex", "F"]]},
    "several values": {
        "where": ["and", ["in", "sex", ["M", "F"]], ["between", "entry", "2023-01-01", "2024-12-31"]]
    },
    "two bounds for one": {
        "where": ["and", ["==", "sex", "F"], [">=", "entry", "2024-01-01"], ["<=", "entry", "2024-12-31"]]
    },
    "other clipping": {
        "ask": [
            {"name": "mean", "stat": "mean", "column": "cost", "low": "1", "high": "9"},
            {"name": "n", "stat": "count"},
        ]
    },
    "fewer rows of each": {"unit": {"rows": 1, "groups": 1}},
}
OTHER = {
    "another dataset": {"dataset": "visits"},
    "another column": {
        "where": ["and", ["==", "sex", "F"], ["between", "birth", "2024-01-01", "2024-12-31"]]
    },
    "another group": {"by": ["sex"]},
    "one condition more": {"where": ["and", *BASE["where"][1:], ["==", "town", "Lyon"]]},
    "one of both": {"where": ["or", *BASE["where"][1:]]},
    "another statistic": {"ask": [{"name": "n", "stat": "count"}]},
    "a column compared with a column": {
        "where": ["and", ["==", "sex", ["col", "wish"]], ["between", "entry", "2024-01-01", "2024-12-31"]]
    },
    "no filter": {"where": None},
}


@pytest.mark.parametrize("change", NEAR)
def test_what_differs_in_constants_only_has_one_shape(change):
    near = asked(**NEAR[change])
    assert digest(near) != digest(asked())
    assert shape(near) == shape(asked())


@pytest.mark.parametrize("change", OTHER)
def test_what_is_about_something_else_has_another_shape(change):
    assert shape(asked(**OTHER[change])) != shape(asked())


def test_steps_of_every_kind_lose_their_constants():
    def steps(low, high, value):
        return asked(
            let=[
                {
                    "name": "a",
                    "expr": ["case", [["<", "age", low], value], [["is_null", "age"], value], None],
                },
                {"name": "b", "expr": ["bins", "age", [low, high]]},
                {"name": "c", "expr": ["+", ["year", "entry"], low]},
            ],
            by=["a"],
        )

    assert shape(steps(1, 2, "young")) == shape(steps(30, 40, "old"))


def test_what_a_second_dataset_adds_is_part_of_the_shape():
    def linked(low, column="dose"):
        taken = [
            {"name": "treated", "stat": "count"},
            {"name": "most", "stat": "max", "column": column, "low": low, "high": "9"},
        ]
        return asked(features={"dataset": "drugs", "where": [">", "dose", low], "take": taken})

    assert shape(linked("1")) == shape(linked("2")) != shape(linked("1", "days"))
    assert shape(linked("1")) != shape(asked())


def test_a_literal_that_looks_like_a_column_is_a_literal():
    def among(*values):
        return asked(where=["in", "sex", list(values)])

    assert shape(among("col", "age")) == shape(among("F", "M"))
