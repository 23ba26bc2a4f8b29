"""Features of a unit, from a second table about the same people."""

from dataclasses import replace
from datetime import date
from typing import Any

import polars as pl
import pytest

from anonymisation import aggregate, answer, features, form
from anonymisation.bounds import UNIT
from anonymisation.errors import BadQuestion, Damaged
from anonymisation.plan import fit
from anonymisation.question import canonical, check, digest, parse
from anonymisation.recodes import LET_PREFIX
from anonymisation.rehearsal import rehearse
from tests.unit.anonymisation.question_tables import (
    LABS,
    PER_ROW,
    SEED,
    STAYS,
    document,
    frame,
    labs,
    question,
    taking,
)

RESULTS = labs(
    {"value": 4.0, "drawn": date(2021, 1, 2), "kind": "lactate", "urgent": True},
    {"value": 1e9, "drawn": date(2021, 1, 1), "ranked": 7},
    {"value": None, "drawn": date(2020, 1, 1), "ranked": None, "kind": None, "urgent": None},
    {UNIT: 2, "value": -50.0, "drawn": None, "kind": "other"},
)


def taken(take: dict[str, Any], **fields: Any) -> dict[int, Any]:
    """Give the feature of each unit that has rows in the second table."""
    asked = question(features=taking({"name": "x"} | take, **fields))
    assert asked.features is not None
    fitted = features.fit(asked.features, STAYS, LABS)
    found = features.gather(fitted, [RESULTS.lazy()])
    return dict(found.select(UNIT, LET_PREFIX + "x").iter_rows())


@pytest.mark.parametrize(
    ("take", "first", "second"),
    [
        ({"stat": "exists"}, True, True),
        ({"stat": "count"}, 3, 1),
        ({"stat": "count", "high": 2}, 2, 1),
        ({"stat": "count", "column": "kind"}, 2, 0),
        ({"stat": "sum", "column": "value"}, 240, -10),
        ({"stat": "sum", "column": "value", "low": "0", "high": 10}, 100, 0),
        ({"stat": "min", "column": "value"}, 40, -10),
        ({"stat": "max", "column": "value"}, 200, -10),
        ({"stat": "min", "column": "drawn"}, (date(2020, 1, 1) - date(1970, 1, 1)).days, None),
        ({"stat": "first", "column": "ranked", "order": "drawn"}, 7, None),
        ({"stat": "last", "column": "kind", "order": "drawn"}, 1, None),
        ({"stat": "first", "column": "urgent", "order": "drawn"}, False, None),
        ({"stat": "last", "column": "urgent", "order": "value"}, False, False),
    ],
)
def test_a_feature_is_made_of_a_units_own_rows_within_declared_bounds(
    take: dict[str, Any], first: Any, second: Any
) -> None:
    assert taken(take) == {1: first, 2: second}


def test_recodes_and_a_filter_of_the_second_table_come_before_its_features() -> None:
    late = {"name": "late", "expr": [">=", "drawn", "2021-01-01"]}
    assert taken({"stat": "count"}, let=[late], where=["col", "late"]) == {1: 2}


def counts(ask: list[dict[str, Any]], **fields: Any) -> list[int]:
    asked = question(ask, features=taking(*TAKE), **fields)
    plan = fit(asked, STAYS, LABS)
    rows = frame({}, {}, {UNIT: 2}, {UNIT: 3})
    exact = aggregate.aggregate(plan, [rows.lazy()], SEED, [RESULTS.lazy()])
    first, *others = plan.statistics[0].vectors
    found: list[int] = (exact[first] + first.centre * (exact[others[0]] if first.centre else 0)).tolist()
    return found


TAKE = [
    {"name": "tested", "stat": "exists"},
    {"name": "tests", "stat": "count"},
    {"name": "entered", "stat": "last", "column": "kind", "order": "drawn"},
]


def test_features_filter_group_and_add_up_like_columns_of_the_first_table() -> None:
    assert counts([{"name": "n", "stat": "count"}], by=["tested"]) == [1, 3]
    assert counts([{"name": "n", "stat": "count"}], where=[">", "tests", 1]) == [2]
    assert counts([{"name": "n", "stat": "count"}], by=["entered"]) == [0, 2]
    assert counts([{"name": "s", "stat": "sum", "column": "tests"}]) == [3 + 3 + 1]
    twice = {"name": "twice", "expr": ["*", "tests", 2]}
    assert counts([{"name": "s", "stat": "sum", "column": "twice"}], let=[twice]) == [14]


def test_a_dataset_may_take_features_of_its_own_rows() -> None:
    alone = replace(STAYS, linkable=False)
    own = {"dataset": "stays", "take": [{"name": "stays", "stat": "count"}]}
    plan = fit(question(features=own, by=["stays"]), alone, alone)
    rows = [frame({}, {}, {UNIT: 2}).lazy()]
    (counted,) = aggregate.aggregate(plan, rows, SEED, rows).values()
    assert counted.tolist() == [0, 1, 2, 0]


def test_features_change_neither_price_nor_accuracy() -> None:
    plain = question([{"name": "s", "stat": "sum", "column": "age"}], by=["dept"])
    joined = question(
        [{"name": "s", "stat": "sum", "column": "age"}],
        by=["dept"],
        features=taking(*TAKE),
        where=["col", "tested"],
    )
    assert answer.price(joined, STAYS, LABS) == answer.price(plain, STAYS)


def test_the_digest_names_both_datasets_and_both_versions() -> None:
    plain, joined = question(), question(features=taking(*TAKE))
    digests = {
        digest(plain),
        digest(joined, LABS),
        digest(joined, replace(LABS, version=9)),
        digest(question(features={**taking(*TAKE), "dataset": "stays"}), STAYS),
    }
    assert len(digests) == 4
    assert parse(canonical(joined)) == joined
    told = answer.compute(joined, STAYS, [frame({}).lazy()], SEED, LABS, [RESULTS.lazy()]).to_json()
    assert told["features"] == {"dataset": "labs", "dataset_version": 2}
    assert told["question_sha256"] == digest(joined, LABS)


def test_a_question_with_features_runs_on_made_up_rows() -> None:
    told = rehearse(question(features=taking(*TAKE), by=["tested"]), STAYS, 500, 1, LABS)
    assert told["features"]["dataset"] == "labs"
    assert [row["n"]["value"] > 0 for row in told["rows"]] == [True, True]


@pytest.mark.parametrize(
    ("code", "first", "second"),
    [
        ("features_population", STAYS, replace(LABS, population="others")),
        ("features_unit", STAYS, replace(LABS, unit="ipp")),
        ("features_unit", PER_ROW, replace(LABS, unit="row", unit_column=None)),
        ("features_not_linkable", replace(STAYS, linkable=False), LABS),
        ("features_not_linkable", STAYS, replace(LABS, linkable=False)),
        ("dataset_other", STAYS, None),
        ("dataset_other", STAYS, STAYS),
    ],
)
def test_tables_that_may_not_be_asked_together_are_refused(code: str, first: Any, second: Any) -> None:
    with pytest.raises(BadQuestion) as refused:
        check(question(features=taking(*TAKE)), first, second)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("code", "take"),
    [
        ("feature_unknown", {"stat": "mean", "column": "value"}),
        ("statistic_arguments", {"stat": "max"}),
        ("statistic_arguments", {"stat": "exists", "column": "value"}),
        ("statistic_arguments", {"stat": "first", "column": "value"}),
        ("column_unknown", {"stat": "max", "column": "age"}),
        ("number_expected", {"stat": "max", "column": "kind"}),
        ("number_expected", {"stat": "sum", "column": "drawn"}),
        ("bounds_missing", {"stat": "sum", "column": "loose"}),
        ("bounds_missing", {"stat": "max", "column": "seen"}),
        ("bounds_form", {"stat": "sum", "column": "value", "low": 3, "high": 3}),
        ("bounds_form", {"stat": "sum", "column": "value", "high": "0.55"}),
        ("bounds_form", {"stat": "sum", "column": "value", "high": 10**9}),
        ("bounds_form", {"stat": "count", "high": 0}),
        ("comparison_unordered", {"stat": "last", "column": "value", "order": "kind"}),
    ],
)
def test_a_feature_that_does_not_fit_is_refused_by_name(code: str, take: dict[str, Any]) -> None:
    with pytest.raises(BadQuestion) as refused:
        taken(take)
    assert refused.value.code == code


@pytest.mark.parametrize(
    "wrong",
    [
        {"dataset": "labs"},
        {"dataset": "labs", "take": []},
        {
            "dataset": "labs",
            "take": [{"name": f"x{i}", "stat": "exists"} for i in range(form.MAX_FEATURES + 1)],
        },
        {"dataset": "../labs", "take": TAKE},
        {"dataset": "labs", "take": [{"name": "_unit", "stat": "exists"}]},
        {"dataset": "labs", "take": TAKE, "features": {"dataset": "labs", "take": TAKE}},
        [1],
    ],
)
def test_hostile_features_are_refused_before_anything_is_looked_at(wrong: Any) -> None:
    with pytest.raises(BadQuestion):
        parse(document(features=wrong))


def test_a_feature_needs_a_name_of_its_own() -> None:
    for name in ("age", "tested"):
        with pytest.raises(BadQuestion) as refused:
            check(question(features=taking(*TAKE, {"name": name, "stat": "exists"})), STAYS, LABS)
        assert refused.value.code == "name_repeated"


def test_features_of_a_damaged_shelf_are_refused_without_a_value() -> None:
    asked = question(features=taking({"name": "worst", "stat": "max", "column": "value"}))
    plan = fit(asked, STAYS, LABS)
    for damaged, code in (
        (RESULTS.drop("value"), "shelf_mismatch"),
        (RESULTS.with_columns(pl.col(UNIT).cast(pl.Int64)), "unit_torn"),
    ):
        with pytest.raises(Damaged) as refused:
            aggregate.aggregate(plan, [frame({}).lazy()], SEED, [damaged.lazy()])
        assert refused.value.code == code
    with pytest.raises(Damaged) as refused:
        aggregate.aggregate(plan, [frame({}).lazy()], SEED, [RESULTS.lazy(), RESULTS.lazy()])
    assert refused.value.code == "unit_torn"


def test_a_feature_beyond_its_bounds_stops_everything() -> None:
    asked = question(features=taking({"name": "worst", "stat": "max", "column": "value"})).features
    assert asked is not None
    fitted = features.fit(asked, STAYS, LABS)
    beyond = pl.DataFrame(
        {UNIT: [1, 2], LET_PREFIX + "worst": [200, 201]}, schema_overrides={UNIT: pl.UInt64}
    )
    features.assert_features(fitted, beyond.head(1))
    with pytest.raises(Damaged) as refused:
        features.assert_features(fitted, beyond)
    assert refused.value.code == "bound_violated"
