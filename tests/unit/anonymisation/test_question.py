import math
from dataclasses import replace
from typing import Any

import orjson
import pytest

from anonymisation import plan
from anonymisation.bounds import Column
from anonymisation.errors import AnonymisationError, BadQuestion, Damaged
from anonymisation.question import MAX_BYTES, canonical, check, digest, parse
from tests.unit.anonymisation.question_tables import PER_ROW, STAYS, document, question


def refusal(raw: Any, table: Any = STAYS) -> AnonymisationError:
    with pytest.raises(AnonymisationError) as caught:
        check(parse(raw), table)
    return caught.value


def code(**fields: Any) -> str:
    return refusal(document(**fields)).code


def test_a_question_reads_the_same_from_bytes_and_from_a_mapping() -> None:
    raw = document(where=[">=", "age", 65], by=["dept"])
    assert parse(orjson.dumps(raw)) == parse(raw)


def test_two_spellings_of_a_column_are_one_question() -> None:
    short, long = question(where=["==", "dept", "35"]), question(where=["==", ["col", "dept"], "35"])
    assert canonical(short) == canonical(long)
    assert digest(short) == digest(long)


def test_canonical_bytes_read_back_to_the_same_bytes() -> None:
    asked = question(
        where=["and", ["in", "dept", ["35", "22"]], ["not", ["is_null", "age"]]],
        let=[{"name": "band", "expr": ["bins", "age", [18, "65"]]}],
        by=["band"],
        unit={"rows": 2},
    )
    assert canonical(parse(canonical(asked))) == canonical(asked)


def test_what_is_said_by_default_does_not_change_the_question() -> None:
    assert digest(question(where=None, let=[], by=[], unit={})) == digest(question())


def test_every_field_changes_the_digest() -> None:
    asked = [
        question(),
        question(rho_micro=10_001),
        question(by=["dept"]),
        question(where=["==", "dept", "35"]),
        question(unit={"rows": 1}),
        question(let=[{"name": "y", "expr": ["year", "entry"]}]),
        question([{"name": "m", "stat": "count"}]),
    ]
    assert len({digest(each) for each in asked}) == len(asked)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"where": [">", "age", 0.5]}, "float_refused"),
        ({"where": [">", "age", math.nan]}, "float_refused"),
        ({"where": [">", "age", math.inf]}, "float_refused"),
        ({"where": [">", "age", 10**19]}, "number_too_large"),
        ({"where": ["==", "dept", "x" * 201]}, "literal_form"),
        ({"where": ["==", "dept", "\ud800"]}, "question_form"),
        ({"where": ["==", "dept", "a\x00"]}, "question_form"),
        ({"where": ["==", "dept", None]}, "literal_form"),
        ({"where": []}, "expression_form"),
        ({"where": "age"}, "expression_form"),
        ({"where": {"op": "=="}}, "expression_form"),
        ({"where": ["col", "dead", "x"]}, "expression_form"),
        ({"where": ["sqrt", "age"]}, "operator_unknown"),
        ({"where": [["=="], "age", 1]}, "operator_unknown"),
        ({"where": ["==", "age"]}, "operator_arguments"),
        ({"where": ["not", "dead", "dead"]}, "operator_arguments"),
        ({"where": ["in", "dept", []]}, "operator_arguments"),
        ({"where": ["in", "dept", "35"]}, "operator_arguments"),
        ({"where": ["between", "age", 1]}, "operator_arguments"),
        ({"where": ["==", "_unit", 1]}, "column_name"),
        ({"where": ["==", 5, 1]}, "expression_form"),
        ({"where": ["==", ["col", 5], 1]}, "column_name"),
        ({"where": ["==", ["case", ["dead"], None], 1]}, "operator_arguments"),
        ({"where": ["==", ["+", "age", "dept"], 1]}, "arithmetic_operand"),
        ({"where": ["==", ["+", "age", True], 1]}, "arithmetic_operand"),
        ({"by": ["_unit"]}, "column_name"),
        ({"by": ["n"]}, "name_repeated"),
        ({"ask": []}, "question_form"),
        ({"ask": [{"name": "N", "stat": "count"}]}, "question_form"),
        ({"ask": [{"name": "a", "stat": "count"}, {"name": "a", "stat": "count"}]}, "name_repeated"),
        ({"rho_micro": 0}, "question_form"),
        ({"rho_micro": True}, "question_form"),
        ({"rho_micro": "5"}, "question_form"),
        ({"v": 2}, "question_form"),
        ({"unit": {"rows": 0}}, "question_form"),
        ({"dataset": "../etc"}, "question_form"),
        ({"sql": "drop"}, "question_form"),
        ({1: 2}, "question_form"),
        ({"where": ["==", "dept", b"35"]}, "question_form"),
        ({"where": ["==", "dept", object()]}, "question_form"),
    ],
)
def test_what_is_not_of_the_form_is_refused(fields: dict[Any, Any], expected: str) -> None:
    raw = document() | fields
    assert refusal(raw).code == expected


@pytest.mark.parametrize("raw", [b"", b"[1]", b"{", b"nul", b'{"v":1', b"\xff\xfe"])
def test_bytes_that_are_not_one_object_are_refused(raw: bytes) -> None:
    assert refusal(raw).kind == "usage"


def test_a_large_document_is_refused_before_it_is_read() -> None:
    assert refusal(b"[" * (MAX_BYTES + 1)).code == "question_too_large"
    assert refusal(document(by=["x" * 50] * 10_000)).code == "question_too_large"
    assert refusal(document(where=["in", "dept", [["x" * 60_000]]], by=["x" * 60_000])).kind == "usage"
    many = [{"name": f"a{i}", "expr": ["==", "dept", "x" * 200]} for i in range(32)]
    wide = ["or", *(["in", "dept", ["x" * 190] * 60] for _ in range(10))]
    assert refusal(document(let=many, where=wide)).code == "question_too_large"
    assert refusal(document(where=[*range(9_000)])).code == "question_too_large"
    assert refusal(document() | {str(i): 1 for i in range(9_000)}).code == "question_too_large"
    assert refusal(document(where=["and", *([["is_null", "age"]] * 4_500)])).code == "question_too_large"


def test_deep_nesting_is_refused() -> None:
    where: Any = ["is_null", "age"]
    for _ in range(20):
        where = ["not", where]
    assert code(where=where) == "question_too_deep"
    short: Any = ["is_null", "age"]
    for _ in range(13):  # within the limit as written, beyond it once "age" is written ["col", "age"]
        short = ["not", short]
    assert code(where=short) == "question_too_deep"
    assert refusal(b'{"where":' + b"[" * 30_000 + b"]" * 30_000 + b"}").kind == "usage"


def test_a_refusal_does_not_repeat_what_the_document_said() -> None:
    identifier = "184127645108946"
    for fields in (
        {"where": ["==", "dept", identifier]},
        {"extra": identifier},
        {"v": identifier},
        {identifier: 1},
    ):
        error = refusal(document() | fields)
        assert identifier not in f"{error.message} {error.to_do} {error.params}"


def test_an_unknown_column_is_named_with_the_closest() -> None:
    error = refusal(document(where=[">", "agee", 5]))
    assert (error.code, error.params) == ("column_unknown", {"column": "agee", "closest": "age"})


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ([">", "dept", "35"], "comparison_unordered"),
        (["==", "dept", "99"], "value_outside_domain"),
        (["==", "dept", 35], "value_outside_domain"),
        (["==", "dept", ["col", "dept"]], "comparison_kinds"),
        (["==", "age", ["col", "dept"]], "comparison_kinds"),
        (["==", "age", ["col", "cost"]], "comparison_kinds"),
        ([">", "age", "0.5"], "literal_kind"),
        ([">", "age", True], "literal_kind"),
        ([">", "cost", "0.123"], "literal_kind"),
        ([">", "cost", "1e3"], "literal_kind"),
        ([">", "age", "100000000000000000"], "number_too_large"),
        ([">", "entry", "2020-13-01"], "literal_kind"),
        ([">", "entry", 5], "literal_kind"),
        (["==", "dead", 1], "literal_kind"),
        (["between", "dept", "22", "35"], "comparison_unordered"),
        (["col", "age"], "condition_expected"),
        (["and", "age"], "condition_expected"),
        (["==", ["+", "dept", 1], 1], "arithmetic_operand"),
        (["==", ["+", "weight", 1], 1], "bounds_missing"),
        (["==", ["*", ["*", "age", "1000000"], 1000], 1], "recode_too_large"),
        (["==", ["year", "age"], 1], "date_expected"),
        (["==", ["year", "noted"], 1], "bounds_missing"),
        (["==", ["bins", "age", [5, 5]], "<5"], "bins_edges"),
        (["==", ["bins", "age", list(range(300))], "<5"], "bins_edges"),
        (["==", ["bins", "dept", [5]], "<5"], "bins_subject"),
        (["==", ["bins", ["+", "age", 1], [5]], "<5"], "bins_subject"),
        (["==", ["case", ["dead", 1], "a"], 1], "case_values"),
        (["==", ["case", ["dead", None], None], 1], "case_values"),
        (["==", ["case", *([["dead", 1]] * 70), 0], 1], "case_branches"),
    ],
)
def test_a_step_that_does_not_fit_the_table_is_named(where: Any, expected: str) -> None:
    assert code(where=where) == expected


@pytest.mark.parametrize(
    "where",
    [
        ["and", "dead", ["or", ["==", "dead", False], ["!=", "dept", "22"]]],
        ["in", "age", [1, 2, "3"]],
        ["in", "entry", ["2020-01-02"]],
        ["between", "cost", "0.5", 100],
        ["between", "entry", "2020-01-01", "2021-01-01"],
        ["<", "age", ["col", "grade"]],
        ["<=", "entry", ["col", "noted"]],
        [">=", ["-", 100, ["col", "age"]], 5],
        [">=", ["-", "0.5", ["col", "cost"]], 5],
        ["==", ["month", "noted"], 5],
        ["==", ["bins", "entry", ["2021-01-01"]], ">=2021-01-01"],
        ["==", ["bins", "weight", ["60.5", 80]], "[60.5, 80)"],
        ["==", ["case", [["<", "age", 18], "minor"], "adult"], "minor"],
        ["==", ["case", [["<", "age", 18], 1], 0], 1],
    ],
)
def test_every_operator_has_its_place(where: Any) -> None:
    check(question(where=where), STAYS)


@pytest.mark.parametrize(
    ("ask", "expected"),
    [
        ({"stat": "logistic", "column": "age"}, "statistic_not_yet"),
        ({"stat": "median", "column": "age"}, "statistic_is_quantile"),
        ({"stat": "mode", "column": "age"}, "statistic_unknown"),
        ({"stat": "quantile", "column": "age", "edges": [-5, 60]}, "bounds_outside"),
        ({"stat": "quantile", "column": "age", "edges": [60, 50]}, "bins_edges"),
        ({"stat": "quantile", "column": "age", "probs": ["1.5"]}, "question_form"),
        ({"stat": "quantile", "column": "entry"}, "number_expected"),
        ({"stat": "histogram", "column": "age"}, "statistic_arguments"),
        ({"stat": "histogram", "column": "dept", "edges": [5]}, "bins_subject"),
        ({"stat": "histogram", "column": "age", "edges": ["x"]}, "literal_kind"),
        ({"stat": "contingency", "columns": ["dept"]}, "statistic_arguments"),
        ({"stat": "contingency", "columns": ["dept", "dept"]}, "statistic_arguments"),
        ({"stat": "contingency", "columns": ["dept", "cost"]}, "group_without_domain"),
        ({"stat": "contingency", "columns": ["age", "dept", "dead", "grade", "year"]}, "column_unknown"),
        ({"stat": "survival", "column": "age", "edges": [30]}, "statistic_arguments"),
        ({"stat": "survival", "column": "age", "event": "dept", "edges": [30]}, "event_expected"),
        ({"stat": "rate", "column": "age", "standard": "esp2013"}, "rate_denominator"),
        ({"stat": "rate", "column": "age", "standard": "mars", "event": "dead"}, "standard_unknown"),
        (
            {"stat": "rate", "column": "age", "standard": "esp2013", "event": "dead", "edges": [3]},
            "standard_bands",
        ),
        (
            {"stat": "rate", "column": "age", "standard": "esp2013", "edges": ["x"], "event": "dead"},
            "standard_bands",
        ),
        (
            {"stat": "rate", "column": "age", "standard": "esp2013", "edges": [40, 0], "event": "dead"},
            "standard_bands",
        ),
        (
            {"stat": "rate", "column": "age", "standard": "esp2013", "edges": [0, 40], "persons": [5]},
            "standard_bands",
        ),
        ({"stat": "correlation", "columns": ["age"]}, "statistic_arguments"),
        ({"stat": "correlation", "columns": ["age", "weight"]}, "bounds_missing"),
        ({"stat": "ols", "column": "cost", "columns": ["cost"]}, "statistic_arguments"),
        ({"stat": "ols", "column": "cost", "columns": ["entry"]}, "number_expected"),
        ({"stat": "variance", "column": "age", "columns": ["cost"]}, "statistic_arguments"),
        ({"stat": "sum"}, "column_missing"),
        ({"stat": "mean", "column": "dept"}, "number_expected"),
        ({"stat": "mean", "column": "entry"}, "number_expected"),
        ({"stat": "sum", "column": "weight"}, "bounds_missing"),
        ({"stat": "sum", "column": "weight", "low": 0}, "bounds_missing"),
        ({"stat": "sum", "column": "weight", "low": 0, "high": "70.55"}, "bounds_missing"),
        ({"stat": "sum", "column": "age", "low": 50, "high": 50}, "bounds_form"),
        ({"stat": "sum", "column": "weight", "low": 0, "high": "99999999999"}, "bounds_form"),
        ({"stat": "sum", "column": "age", "low": -1}, "bounds_outside"),
        ({"stat": "sum", "column": "age", "high": 121}, "bounds_outside"),
        ({"stat": "sum", "column": "age", "high": True}, "question_form"),
        ({"stat": "sum", "column": "age", "high": "1e3"}, "question_form"),
        ({"stat": "units", "column": "age"}, "statistic_arguments"),
        ({"stat": "count", "low": 5}, "statistic_arguments"),
        ({"stat": "count", "column": "agee"}, "column_unknown"),
    ],
)
def test_a_statistic_that_cannot_be_given_says_why(ask: dict[str, Any], expected: str) -> None:
    assert code(ask=[{"name": "x", **ask}]) == expected


@pytest.mark.parametrize(
    ("stat", "route"), [("logistic", "ols"), ("cox", "survival"), ("poisson", "rate"), ("max", "0.95")]
)
def test_an_unsupported_statistic_names_the_route(stat: str, route: str) -> None:
    assert route in refusal(document([{"name": "q", "stat": stat, "column": "age"}])).to_do


@pytest.mark.parametrize(
    "ask",
    [
        {"stat": "variance", "column": "age"},
        {"stat": "sd", "column": "dead"},
        {"stat": "quantile", "column": "cost", "low": 0, "high": 100, "probs": ["0.25", "0.75"]},
        {"stat": "quantile", "column": "age", "edges": [30, 60, 120, 200]},
        {"stat": "quantile", "column": "age", "edges": [120]},
        {"stat": "histogram", "column": "weight", "edges": ["60.5", 80]},
        {"stat": "histogram", "column": "entry", "edges": ["2021-01-01"]},
        {"stat": "contingency", "columns": ["dept", "dead", "grade"]},
        {"stat": "survival", "column": "age", "event": "dead", "edges": [30, 60]},
        {"stat": "rate", "column": "age", "event": "dead", "standard": "esp2013"},
        {"stat": "rate", "column": "age", "standard": "esp2013", "edges": [0, 65], "persons": [1000, 50]},
        {"stat": "correlation", "columns": ["age", "cost"]},
        {"stat": "ols", "column": "cost", "columns": ["age", "dead"], "high": 500},
    ],
)
def test_every_statistic_has_its_place(ask: dict[str, Any]) -> None:
    asked = question([{"name": "x", **ask}])
    check(asked, STAYS)
    assert canonical(parse(canonical(asked))) == canonical(asked)


def test_a_table_too_large_to_be_told_is_refused() -> None:
    ages = [{"name": f"a{i}", "expr": ["bins", "age", list(range(1, 50 + i))]} for i in range(3)]
    asked = {"name": "t", "stat": "contingency", "columns": ["a0", "a1", "a2"]}
    assert code(ask=[asked], let=ages) == "too_many_groups"
    curve = {"name": "q", "stat": "quantile", "column": "age"}
    assert code(ask=[curve], let=ages, by=["a0", "a1"]) == "too_many_cells"


def test_a_bound_per_group_is_never_wider_than_the_others_imply() -> None:
    fitted = plan.fit(question(by=["dept"], unit={"rows": 9, "groups": 2, "rows_per_group": 3}), STAYS)
    assert (fitted.rows, fitted.groups, fitted.per_group) == (6, 2, 3)
    assert fitted.sensitivity_squared(fitted.vectors[0]) == 18
    assert plan.fit(question(unit={"rows": 2, "rows_per_group": 5}), STAYS).per_group == 2
    declared = replace(STAYS, rows=9, rows_per_group=2)
    assert plan.fit(question(), declared).per_group == 2
    assert plan.fit(question(unit={"rows_per_group": 4}), declared).per_group == 4
    usual = plan.fit(question(by=["dept"]), replace(STAYS, rows=9))
    (vector,) = usual.vectors
    assert plan.fit(question(by=["dept"]), declared).sensitivity_squared(vector) == 2 * 2**2
    assert usual.sensitivity_squared(vector) == 9**2


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"by": ["cost"]}, "group_without_domain"),
        ({"by": ["entry"]}, "group_without_domain"),
        ({"by": ["older"], "let": [{"name": "older", "expr": ["+", "age", 1]}]}, "group_without_domain"),
        ({"by": ["later"]}, "column_unknown"),
        ({"let": [{"name": "age", "expr": ["+", "age", 1]}]}, "name_repeated"),
        (
            {"let": [{"name": "x", "expr": ["year", "entry"]}, {"name": "x", "expr": ["year", "entry"]}]},
            "name_repeated",
        ),
        (
            {"let": [{"name": "x", "expr": ["year", "y"]}, {"name": "y", "expr": ["year", "entry"]}]},
            "column_unknown",
        ),
        ({"let": [{"name": f"x{i}", "expr": ["year", "entry"]} for i in range(33)]}, "question_form"),
        ({"by": ["age", "dept", "grade", "dead"], "let": []}, ""),
        ({"dataset": "visits"}, "dataset_other"),
    ],
)
def test_groups_come_from_declared_domains_only(fields: dict[str, Any], expected: str) -> None:
    if expected:
        assert code(**fields) == expected
    else:
        check(question(**fields), STAYS)


def test_groups_and_cells_are_limited() -> None:
    ages = [{"name": f"a{i}", "expr": ["bins", "age", list(range(1, 50 + i))]} for i in range(3)]
    assert code(let=ages, by=["a0", "a1", "a2"]) == "too_many_groups"
    wide = plan.Table(**(vars(STAYS) | {"columns": (Column("code", "integer", None, "0", "99999"),)}))
    assert refusal(document(by=["code"]), wide).code == "too_many_groups"
    means = [{"name": f"m{i}", "stat": "mean", "column": "age", "high": 50 + i} for i in range(10)]
    assert code(ask=means, let=ages, by=["a0", "a1"]) == "too_many_cells"


def test_recodes_that_double_again_and_again_are_refused_by_their_bounds() -> None:
    lets = [{"name": "x0", "expr": ["+", "age", 0]}]
    lets += [{"name": f"x{i}", "expr": ["+", f"x{i - 1}", ["col", f"x{i - 1}"]]} for i in range(1, 32)]
    assert code(let=lets) == "recode_too_large"


def test_a_policy_that_contradicts_itself_is_damage_not_a_question() -> None:
    for column in (
        Column("c", "category", ()),
        Column("c", "category", ("a", "a")),
        Column("c", "integer", ("1", "01")),
        Column("c", "integer", ("x",)),
        Column("c", "integer", None, "0.5", "2"),
    ):
        table = plan.Table(**(vars(STAYS) | {"columns": (column,)}))
        with pytest.raises(Damaged, match=r"domain|bounds"):
            check(question(by=["c"]), table)


def test_an_unknown_column_of_a_table_without_columns_has_no_closest_name() -> None:
    empty = plan.Table(**(vars(STAYS) | {"columns": ()}))
    assert refusal(document(by=["dept"]), empty).params["closest"] == ""


def test_rows_as_units_are_bounded_to_one_row_whatever_is_asked() -> None:
    fitted = plan.fit(question(unit={"rows": 20, "groups": 5}), PER_ROW)
    assert (fitted.rows, fitted.groups) == (1, 1)


def test_unit_bounds_are_the_stewards_unless_asked() -> None:
    assert (plan.fit(question(), STAYS).rows, plan.fit(question(), STAYS).groups) == (3, 2)
    asked = plan.fit(question(unit={"rows": 1, "groups": 9}), STAYS)
    assert (asked.rows, asked.groups) == (1, 9)


def test_a_unit_adds_to_as_many_groups_as_its_bounds_and_the_table_allow() -> None:
    asked = [{"name": "u", "stat": "units"}]
    fitted = plan.fit(question(asked, by=["dept"], unit={"rows": 3, "groups": 9}), STAYS)
    assert fitted.sensitivity_squared(fitted.vectors[0]) == 3


def test_the_cells_of_two_keys_come_in_the_order_of_their_codes() -> None:
    fitted = plan.fit(question(by=["dead", "grade"]), STAYS)
    assert list(plan.cells(fitted)) == [(False, 1), (False, 2), (False, 9), (True, 1), (True, 2), (True, 9)]


def test_bad_questions_are_the_callers_mistake() -> None:
    assert BadQuestion.kind == "usage"
