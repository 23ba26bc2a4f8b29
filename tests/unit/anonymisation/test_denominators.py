"""Rates over public numbers of persons that a steward declared, with their source."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from anonymisation import answer, noise
from anonymisation.bounds import UNIT, Denominator
from anonymisation.errors import BadQuestion
from anonymisation.question import check
from anonymisation.rehearsal import rehearse
from tests.unit.anonymisation.question_tables import DEPARTMENTS, SEED, STAYS, frame, question

BANDS = (0, 40, 65)
BY_DEPT = Denominator(
    "by-dept",
    "a published table",
    BANDS,
    "dept",
    tuple((dept, (100 * n, 200 * n, 50 * n)) for n, dept in enumerate(DEPARTMENTS, 1)),
)
WHOLE = Denominator("whole", "another table", (0, 65), None, (("all", (5_000, 1_000)),))
TABLE = replace(STAYS, rows=5, denominators=(BY_DEPT, WHOLE))
ROWS = frame(
    *(
        {UNIT: unit, "age": 30 + unit, "dept": DEPARTMENTS[unit % 2], "dead": unit % 3 == 0}
        for unit in range(40)
    ),
)
ESP = {0: 0.47, 40: 0.335, 65: 0.195}
"""Shares of the European Standard Population 2013 in the bands 0-39, 40-64 and 65 and over: 47 000, 33 500 and 19 500 of 100 000."""


def rates(**fields: Any) -> list[dict[str, Any]]:
    ask = {"name": "x", "stat": "rate", "column": "age", "standard": "esp2013"} | fields.pop("ask")
    asked = question([ask], rho_micro=1_000_000, **fields)
    return answer.compute(asked, TABLE, [ROWS.lazy()], SEED).to_json()["rows"]


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noise, "add", lambda exact, _: np.array(exact))


def by_hand(n: int, parity: int | None = None) -> float:
    """Work the rate out from the rows: n times the persons of the first department."""
    ages = [30 + unit for unit in range(40) if parity is None or unit % 2 == parity]
    events = {low: sum(low <= age < high for age in ages) for low, high in ((0, 40), (40, 65), (65, 999))}
    persons = {0: 100 * n, 40: 200 * n, 65: 50 * n}
    return sum(100_000 * ESP[band] * events[band] / persons[band] for band in BANDS)


@pytest.mark.usefixtures("silent")
def test_each_group_is_over_its_own_persons_and_all_of_them_over_everybody() -> None:
    ask = {"denominator": "by-dept", "edges": list(BANDS)}
    grouped = [row["x"]["value"] for row in rates(ask=ask, by=["dept"])]
    assert grouped == [pytest.approx(by_hand(1, 0)), pytest.approx(by_hand(2, 1)), 0, 0]
    (whole,) = rates(ask=ask)
    assert whole["x"]["value"] == pytest.approx(by_hand(1 + 2 + 3 + 4))
    assert next(row["x"]["value"] for row in rates(ask=ask, by=["dead"])) < whole["x"]["value"]


@pytest.mark.usefixtures("silent")
def test_bands_are_widened_to_those_asked() -> None:
    (found,) = rates(ask={"denominator": "whole", "edges": [0]})
    assert found["x"]["value"] == pytest.approx(100_000 * 40 / 6_000)


def test_the_accuracy_told_before_is_that_of_the_group_with_the_fewest_persons() -> None:
    ask = {
        "name": "x",
        "stat": "rate",
        "column": "age",
        "standard": "esp2013",
        "denominator": "by-dept",
        "edges": list(BANDS),
    }
    given = {**ask, "persons": [100, 200, 50]}
    del given["denominator"]
    grouped, fewest, whole = (
        answer.price(question([one], by=by), TABLE).accuracy[0].plus_minus
        for one, by in ((ask, ["dept"]), (given, ["dept"]), (ask, []))
    )
    assert grouped == fewest > whole


def test_a_rate_over_declared_persons_runs_on_made_up_rows() -> None:
    ask = {
        "name": "x",
        "stat": "rate",
        "column": "age",
        "standard": "esp2013",
        "denominator": "by-dept",
        "edges": [0, 65],
    }
    told = rehearse(question([ask], by=["dept"]), TABLE, 400, 1)
    assert [row["x"]["value"] > 0 for row in told["rows"]] == [True] * 4


@pytest.mark.parametrize(
    ("code", "ask", "fields"),
    [
        ("denominator_unknown", {"denominator": "nowhere"}, {}),
        ("denominator_unknown", {"denominator": "whole", "persons": [1, 2], "edges": [0, 65]}, {}),
        ("denominator_bands", {"denominator": "whole", "edges": [0, 40]}, {}),
        ("denominator_filtered", {"denominator": "by-dept", "edges": [0]}, {"where": ["==", "dept", "35"]}),
        ("denominator_filtered", {"denominator": "by-dept", "edges": [0]}, {"where": ["not", ["in", "dept", ["35"]]], "by": ["dept"]}),
        ("rate_denominator", {}, {}),
    ],
)  # fmt: skip
def test_a_denominator_that_does_not_fit_is_refused(code: str, ask: Any, fields: Any) -> None:
    asked = {"name": "x", "stat": "rate", "column": "age", "standard": "esp2013"} | ask
    with pytest.raises(BadQuestion) as refused:
        check(question([asked], **fields), TABLE)
    assert refused.value.code == code


def test_a_filter_by_something_else_and_a_denominator_without_a_column_are_welcome() -> None:
    asked = {"name": "x", "stat": "rate", "column": "age", "standard": "esp2013", "edges": [0]}
    check(question([asked | {"denominator": "by-dept"}], where=["col", "dead"]), TABLE)
    check(question([asked | {"denominator": "whole"}], where=["==", "dept", "35"]), TABLE)
