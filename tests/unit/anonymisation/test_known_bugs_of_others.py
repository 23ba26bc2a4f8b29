"""Privacy bugs known of other layers (opendp's issue tracker, August and September 2026): none is reachable through a Question."""

import ast
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anonymisation import aggregate, answer, noise
from anonymisation.bounds import UNIT
from anonymisation.errors import AnonymisationError
from anonymisation.plan import cells, fit
from anonymisation.question import check, parse
from tests.unit.anonymisation.question_tables import (
    DEPARTMENTS,
    SEED,
    STAYS,
    document,
    frame,
    question,
    stays,
)


def exact(data: Any, *ask: dict[str, Any], **fields: Any) -> list[list[int]]:
    plan = fit(question(list(ask), **fields), STAYS)
    found = aggregate.aggregate(plan, [data.lazy()], SEED)
    return [found[vector].tolist() for vector in plan.vectors]


def refused(**fields: Any) -> str:
    with pytest.raises(AnonymisationError) as caught:
        check(parse(document(**fields)), STAYS)
    return caught.value.code


def test_a_recode_of_the_groups_comes_before_the_bound_on_groups() -> None:
    """opendp 2949: a column redefined after truncation kept the bound of the old one."""
    coarse = [{"name": "half", "expr": ["case", [["in", "dept", ["22", "29"]], "west"], "east"]}]
    data = frame(*(row for dept in DEPARTMENTS for row in stays(1, 2, dept=dept)))
    (counts,) = exact(data, let=coarse, by=["half"], unit={"rows": 9, "groups": 1})
    assert sorted(counts) == [0, 4]


def test_a_unit_may_bring_as_many_rows_as_its_bound_and_is_charged_for_all() -> None:
    """opendp 2945 took a longest length for a largest change; its contributions count identifiers, not rows."""
    before, after = (exact(frame(*stays(1, 2), *more), unit={"rows": 3})[0][0] for more in ([], stays(2, 9)))
    plan = fit(question(unit={"rows": 3}), STAYS)
    assert (after - before) ** 2 == plan.sensitivity_squared(plan.vectors[0]) == 9


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_as_many_groups_are_kept_as_are_paid_for(limit: int) -> None:
    """opendp's truncate_num_groups keeps one group less than it charges for."""
    data = frame(*(row for dept in DEPARTMENTS for row in stays(1, 1, dept=dept)))
    assert sum(exact(data, by=["dept"], unit={"rows": 9, "groups": limit})[0]) == limit


def test_groups_are_those_declared_whatever_the_data_holds() -> None:
    """opendp 2922: keys found in the data behind a threshold whose delta is too small; here no key is found in data."""
    assert refused(by=["cost"]) == "group_without_domain"
    told = answer.compute(question(by=["dept"]), STAYS, [frame({"dept": "99"}).lazy()], SEED)
    assert [keys for keys, _ in told.groups] == list(cells(fit(question(by=["dept"]), STAYS)))


def test_what_is_not_a_number_is_counted_at_the_price_of_every_count() -> None:
    """opendp 2939: values that a cut turned to null were counted free of charge."""
    data = frame({"cost": math.nan}, {"cost": 5.0}, {"cost": None, UNIT: 2})
    binned = [{"name": "band", "expr": ["bins", "cost", [1, 10]]}]
    assert exact(data, {"name": "c", "stat": "count", "column": "cost"}) == [[1]]
    assert exact(data, let=binned, by=["band"]) == [[0, 1, 0]]
    prices = [
        answer.price(question([{"name": "c", **ask}]), STAYS)
        for ask in ({"stat": "count"}, {"stat": "count", "column": "cost"})
    ]
    assert prices[0].accuracy[0].plus_minus == prices[1].accuracy[0].plus_minus


@pytest.mark.parametrize("operator", ["%", "//", "/", "cast", "replace", "map", "sqrt", "eval", "scan_csv"])
def test_casts_and_divisions_are_not_of_the_form(operator: str) -> None:
    """opendp 2938 and 2940: a cast that fails and a modulo by zero turned to null unseen."""
    assert refused(where=["==", [operator, "age", 0], 1]) == "operator_unknown"


def test_the_only_mechanism_used_is_the_gaussian_on_vectors() -> None:
    """opendp 2911: noisy max under zCDP charged four times too little; it is not called, and no plan is given to the library."""
    tree = ast.parse(Path(noise.__file__).read_text(encoding="utf-8"))
    made = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr.startswith("make_")
    }
    assert made == {"make_gaussian", "make_zCDP_to_approxDP"}


def test_an_empty_group_is_not_pushed_above_zero() -> None:
    """opendp's unsigned counts are held at zero, which biases small cells upward."""
    drawn = noise.add(np.zeros(4_000, np.int64), 20.0)
    assert (drawn < 0).any()
    assert abs(drawn.mean()) < 5 * 20 / 4_000**0.5


@pytest.mark.parametrize(
    "foreign",
    [
        {"where": {"IR": {"Scan": {"path": "/etc/passwd"}}}},
        {"where": ["==", "dept", "/etc/passwd"]},
        {"dataset": "/etc/passwd"},
        {"dataset": "stays; drop table charges"},
        {"let": [{"name": "x", "expr": ["scan_csv", "/etc/passwd"]}]},
        {"by": ["../../ledger.db"]},
        {"ask": [{"name": "x", "stat": "__import__('os')"}]},
        {"plan": "gASVKgAAAAAAAACMBXBvc2l4lIwGc3lzdGVtlJOUjA9"},
    ],
)
def test_plans_paths_programs_and_sql_are_no_questions(foreign: dict[str, Any]) -> None:
    """A serialised polars plan handed to opendp read a file of the server and gave its lines back as group keys."""
    with pytest.raises(AnonymisationError) as caught:
        check(parse(document() | foreign), STAYS)
    assert caught.value.kind == "usage"
    assert "passwd" not in f"{caught.value.message} {caught.value.to_do} {caught.value.params}"
