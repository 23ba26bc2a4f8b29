from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import polars as pl
import pytest

from anonymisation import aggregate
from anonymisation.bounds import UNIT
from anonymisation.errors import Damaged
from anonymisation.plan import Plan, fit
from tests.unit.anonymisation.question_tables import DEPARTMENTS, PER_ROW, SEED, STAYS, frame, question, stays

WIDE = {"rows": 100, "groups": 100}
COUNT = {"name": "n", "stat": "count"}
UNITS = {"name": "u", "stat": "units"}


def plan_of(*ask: dict[str, Any], **fields: Any) -> Plan:
    return fit(question(list(ask) or [COUNT], **{"unit": WIDE} | fields), STAYS)


def vectors(plan: Plan, *parts: pl.DataFrame, seed: bytes = SEED) -> list[list[int]]:
    found = aggregate.aggregate(plan, [part.lazy() for part in parts], seed)
    return [found[vector].tolist() for vector in plan.vectors]


def sums(plan: Plan, *parts: pl.DataFrame) -> list[int]:
    """Give the sums of a plan's first statistic: the distances from the middle of the bounds, and the middle for each row."""
    found = aggregate.aggregate(plan, [part.lazy() for part in parts], SEED)
    total, count, _ = plan.statistics[0].vectors
    return (found[total] + total.centre * found[count]).tolist()


def kept(data: pl.DataFrame, **fields: Any) -> int:
    return vectors(plan_of(**fields), data)[0][0]


def test_every_declared_group_has_a_cell_and_other_values_are_left_out() -> None:
    data = frame({"dept": "35"}, {"dept": "35"}, {"dept": "99"}, {"dept": None}, {"dept": "56"})
    assert vectors(plan_of(by=["dept"]), data) == [[0, 0, 2, 1]]


def test_the_stored_form_of_a_category_does_not_matter() -> None:
    data = frame({"dept": "56"}, {"dept": "22"}, {"dept": "x"})
    for stored in (pl.String, pl.Categorical, pl.Enum(["x", "56", "22"])):
        assert vectors(plan_of(by=["dept"]), data.with_columns(pl.col("dept").cast(stored))) == [[1, 0, 0, 1]]


def test_two_keys_make_the_product_of_their_domains() -> None:
    data = frame({"dead": True, "grade": 9}, {"dead": False, "grade": 2}, {"dead": None}, {"grade": 3})
    assert vectors(plan_of(by=["dead", "grade"]), data) == [[0, 1, 0, 0, 0, 1]]


def test_an_empty_table_gives_zeros() -> None:
    assert vectors(plan_of(COUNT, UNITS, by=["dept"], unit={"rows": 2, "groups": 1}), frame()) == [
        [0] * 4,
        [0] * 4,
    ]
    assert vectors(plan_of()) == [[0]]


def test_sums_are_clipped_and_leave_nothing_recorded_out() -> None:
    data = frame({"age": 200}, {"age": -5}, {"age": None}, {"age": 40})
    ask = {"name": "s", "stat": "sum", "column": "age", "low": 10, "high": 100}
    assert sums(plan_of(ask), data) == [100 + 10 + 40]


def test_decimals_are_summed_exactly_and_what_is_not_a_number_is_left_out() -> None:
    data = frame(
        {"cost": 0.1},
        {"cost": 0.2},
        {"cost": float("nan")},
        {"cost": float("inf")},
        {"cost": 1e300},
        {"cost": -1e300},
    )
    ask = {"name": "s", "stat": "sum", "column": "cost"}
    plan = plan_of(ask, {"name": "c", "stat": "count", "column": "cost"})
    assert sums(plan, data) == [10 + 20 + 500_000]
    assert vectors(plan, data)[1] == [4]


def test_a_mean_is_summed_about_the_middle_of_its_bounds() -> None:
    data = frame({"age": 60}, {"age": 70}, {"age": None})
    total, present, squares = vectors(plan_of({"name": "m", "stat": "mean", "column": "age"}), data)
    assert (total, present, squares) == ([10], [2], [100])


def test_large_values_are_squared_in_coarser_steps() -> None:
    plan = plan_of({"name": "m", "stat": "mean", "column": "cost"})
    squares = plan.statistics[0].vectors[2]
    assert squares.shift == 3
    assert squares.magnitude <= 2**30
    assert vectors(plan, frame({"cost": 5000.0}, {"cost": 0.0}))[2] == [2 * (250_000 // 8) ** 2]


def test_true_or_false_sums_to_a_count_of_true() -> None:
    data = frame({"dead": True}, {"dead": False}, {"dead": None})
    assert vectors(plan_of({"name": "s", "stat": "sum", "column": "dead"}), data)[0] == [1]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (["==", "dept", "35"], 2),
        (["!=", "dept", "35"], 1),
        ([">", "age", 59], 2),
        (["not", [">", "age", 59]], 1),
        (["is_null", "age"], 1),
        (["or", ["is_null", "age"], ["<=", "age", 5]], 2),
        (["in", "age", [5, "60"]], 2),
        (["between", "cost", "0.10", "0.20"], 2),
        (["==", "cost", "0.10"], 1),
        ([">=", "entry", "2021-06-01"], 2),
        (["between", "entry", "2021-01-01", "2021-12-31"], 3),
        (["==", ["year", "entry"], 2021], 3),
        (["==", ["month", "entry"], 12], 1),
        (["col", "dead"], 1),
        (["==", ["col", "dead"], False], 3),
        (["<", ["-", 100, ["col", "age"]], 45], 2),
        (["<", ["*", "age", "0.5"], 3], 1),
        (["==", ["case", [["col", "dead"], "gone"], [["<", "age", 18], "minor"], "other"], "minor"], 1),
        (["==", ["case", [["col", "dead"], 5], None], 5], 1),
        (["==", ["bins", "age", [18, 65]], "[18, 65)"], 1),
        (["==", ["bins", "age", [18, 65]], ">=65"], 1),
        (["<", "grade", ["col", "age"]], 3),
    ],
)
def test_filters_and_recodes_mean_what_they_say(where: Any, expected: int) -> None:
    data = frame(
        {"dept": "35", "age": 60, "cost": 0.1, "entry": date(2021, 5, 4)},
        {"dept": "22", "age": 5, "cost": 0.2, "entry": date(2021, 6, 1)},
        {"dept": "35", "age": None, "cost": 0.3, "entry": date(2021, 12, 9), "dead": True},
        {"dept": None, "age": 70, "cost": 0.4, "entry": date(2020, 1, 1)},
    )
    assert kept(data, where=where) == expected


def test_a_recode_can_be_grouped_by_filtered_by_and_summed() -> None:
    lets = [
        {"name": "band", "expr": ["bins", "age", [18, 65]]},
        {"name": "y", "expr": ["year", "entry"]},
        {"name": "twice", "expr": ["*", "cost", 2]},
    ]
    data = frame(
        {"age": 10},
        {"age": 70, "entry": date(2022, 1, 1)},
        {"age": None},
        {"age": 65, "entry": date(2019, 1, 1)},
    )
    ask = {"name": "s", "stat": "sum", "column": "twice"}
    plan = plan_of(ask, let=lets, by=["band", "y"], where=[">", "y", 2020])
    assert sums(plan, data) == [0, 20_050, 0, 0, 0, 0, 0, 0, 20_050]


def test_recodes_see_values_held_within_their_bounds() -> None:
    lets = [{"name": "x", "expr": ["*", "age", 1000]}]
    ask = {"name": "s", "stat": "sum", "column": "x"}
    assert sums(plan_of(ask, let=lets), frame({"age": 10**15})) == [120_000]


def test_parts_merge_exactly() -> None:
    ask = [COUNT, UNITS, {"name": "m", "stat": "mean", "column": "cost"}]
    rows = [
        row
        for unit in range(40)
        for row in stays(unit, 1 + unit % 7, dept=DEPARTMENTS[unit % 4], cost=unit * 3.21)
    ]
    data = frame(*rows)
    plan = plan_of(*ask, by=["dept"], unit={"rows": 3, "groups": 2})
    parts = [data.filter(pl.col(UNIT) % 3 == place) for place in range(3)]
    assert vectors(plan, *parts) == vectors(plan, data)


def test_a_unit_keeps_at_most_k_rows_whatever_the_order() -> None:
    data = frame(*stays(1, 10), *stays(2, 3), *stays(3, 1))
    assert [kept(data, unit={"rows": k, "groups": 9}) for k in (1, 2, 3, 9, 10)] == [3, 5, 7, 13, 14]


def test_a_unit_keeps_at_most_l_groups() -> None:
    data = frame(*(row for dept in DEPARTMENTS for row in stays(1, 3, dept=dept)), *stays(2, 2, dept="22"))
    counts = vectors(plan_of(by=["dept"], unit={"rows": 100, "groups": 2}), data)[0]
    assert sum(counts) == 2 * 3 + 2
    assert vectors(plan_of(UNITS, by=["dept"], unit={"rows": 100, "groups": 1}), data)[0].count(0) <= 3


def test_every_row_is_kept_with_the_same_probability_over_seeds() -> None:
    units = np.ones(8, np.uint64)
    draws = sum(aggregate.keep_rows(units, 3, seed.to_bytes(4)).astype(int) for seed in range(4_000))
    assert draws.sum() == 12_000
    assert abs(draws - 1_500).max() < 5 * (4_000 * 3 / 8 * 5 / 8) ** 0.5


def test_the_choice_is_secret_and_fixed() -> None:
    units = np.repeat(np.arange(50, dtype=np.uint64), 10)
    first = aggregate.keep_rows(units, 3, b"seed-a")
    assert (aggregate.keep_rows(units, 3, b"seed-a") == first).all()
    assert not (aggregate.keep_rows(units, 3, b"seed-b") == first).all()


def test_the_choice_of_one_unit_does_not_depend_on_the_others() -> None:
    units = np.repeat(np.arange(20, dtype=np.uint64), 9)
    codes = np.tile(np.arange(9, dtype=np.uint32), 20)
    alone = units == 7
    rows, groups = aggregate.keep_rows(units, 4, SEED), aggregate.keep_groups(units, codes, 4, 9, SEED)
    assert (rows[alone] == aggregate.keep_rows(units[alone], 4, SEED)).all()
    assert (groups[alone] == aggregate.keep_groups(units[alone], codes[alone], 4, 9, SEED)).all()


def test_rows_as_units_count_one_by_one() -> None:
    data = frame(*({UNIT: unit} for unit in range(5)))
    plan = fit(question([COUNT, UNITS]), PER_ROW)
    assert vectors(plan, data) == [[5], [5]]


def test_rows_of_a_unit_may_lie_anywhere_as_long_as_they_lie_together() -> None:
    assert kept(frame(*stays(5, 4), *stays(2, 4), *stays(9, 1)), unit={"rows": 2, "groups": 1}) == 5


def test_a_torn_unit_is_refused() -> None:
    torn = frame(*stays(5, 1), *stays(2, 1), *stays(5, 1))
    with pytest.raises(Damaged) as caught:
        vectors(plan_of(), torn)
    assert caught.value.code == "unit_torn"
    with pytest.raises(Damaged) as caught:
        vectors(plan_of(), frame(*stays(5, 1)), frame(*stays(5, 1)))
    assert caught.value.code == "unit_torn"


@pytest.mark.parametrize("column", [pl.lit(None, pl.UInt64), pl.lit(1, pl.Int64)])
def test_a_damaged_unit_column_is_refused(column: pl.Expr) -> None:
    with pytest.raises(Damaged) as caught:
        vectors(plan_of(), frame({}).with_columns(column.alias(UNIT)))
    assert caught.value.code == "unit_column_damaged"


def test_stored_columns_that_are_not_those_declared_are_refused_without_a_value() -> None:
    with pytest.raises(Damaged) as caught:
        vectors(plan_of(by=["dept"]), frame({}).drop("dept"))
    assert caught.value.code == "shelf_mismatch"
    assert caught.value.__suppress_context__


def _two_more(choose: Callable[..., Any], place: int) -> Callable[..., Any]:
    def faulty(*args: Any) -> Any:
        return choose(*args[:place], args[place] + 2, *args[place + 1 :])

    return faulty


@pytest.mark.parametrize(("chooser", "place"), [("keep_rows", 1), ("keep_groups", 2)])
def test_a_bound_that_does_not_hold_is_found_at_run_time(
    monkeypatch: pytest.MonkeyPatch, chooser: str, place: int
) -> None:
    monkeypatch.setattr(aggregate, chooser, _two_more(getattr(aggregate, chooser), place))
    data = frame(*[{"dept": dept} for dept in DEPARTMENTS] * 5)
    with pytest.raises(Damaged) as caught:
        vectors(plan_of(by=["dept"], unit={"rows": 4, "groups": 1}), data)
    assert caught.value.code == "bound_violated"


def test_values_outside_their_clip_bounds_are_found_at_run_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        aggregate, "_term", lambda vector: pl.col(aggregate.VALUE_PREFIX + vector.column).sum()
    )
    with pytest.raises(Damaged) as caught:
        vectors(plan_of({"name": "s", "stat": "sum", "column": "age"}), frame({"age": 10**6}))
    assert caught.value.code == "bound_violated"


def test_the_run_time_check_of_groups_passes_on_nothing() -> None:
    aggregate.assert_bounds(
        replace(plan_of(by=["dept"]), rows=3, groups=1),
        frame().select(UNIT, pl.lit(0, pl.UInt32).alias("code")),
    )
