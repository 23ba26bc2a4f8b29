import json
from types import ModuleType
from typing import Any

import pytest

from anonymisation.question import check, parse
from notebooks_image import enclave_client as e
from notebooks_image.enclave_client.errors import EnclaveError, NoSuchColumn
from tests.unit.web.house_for_tests import HouseForTests

ASKED = {
    "quantile": lambda _: e.quantile("age", [0.25, 0.5, 0.75]),
    "median": lambda ds: e.median(ds.age, 0, 100),
    "variance": lambda _: e.var("age"),
    "deviation": lambda ds: e.std(ds.length_of_stay, 0, 60),
    "histogram": lambda _: e.hist("age", [0, 18, 65]),
    "dates": lambda _: e.histogram("admission", ["2021-01-01", "2022-01-01"]),
    "table": lambda _: e.crosstab("sex", "cim10"),
    "survival": lambda _: e.kaplan_meier("length_of_stay", "left", [7, 14, 30, 60]),
    "rate": lambda _: e.rate("age", "left", edges=[0, 20, 65]),
    "denominator": lambda _: e.rate("age", denominator="france-2018", edges=[0, 20, 65]),
    "persons": lambda _: e.standardised_rate("age", persons=[100, 200, 300], edges=[0, 20, 65]),
    "correlation": lambda _: e.corr("age", "length_of_stay"),
    "ols": lambda ds: e.ols("length_of_stay", ds.age, "left"),
    "formula": lambda _: e.lm("length_of_stay ~ age + left"),
    "method mean": lambda ds: ds.age.mean(0, 100),
    "method sum": lambda ds: ds.age.sum(),
    "method median": lambda _: e.col("age").median(),
    "method quantile": lambda ds: ds.age.quantile(0.9, low=0, high=100),
    "method std": lambda ds: ds.age.std(),
    "method var": lambda ds: ds.age.var(0, 90),
    "method count": lambda ds: ds.age.count(),
    "method hist": lambda ds: ds.age.hist([0, 50]),
}


@pytest.fixture
def ds(enclave: ModuleType) -> Any:
    opened = enclave.dataset("hospital-stays")
    return opened.with_columns(left=e.when(opened.cim10 == "I50", 1).otherwise(0) == 1)


@pytest.mark.parametrize("name", ASKED)
def test_every_statistic_is_one_the_engine_can_price(name: str, ds: Any, house: HouseForTests) -> None:
    question = ds.agg(figure=ASKED[name](ds)).to_json(100_000)
    parsed = parse(json.dumps(question).encode())
    check(parsed, house.declared("hospital-stays"))


@pytest.mark.parametrize("name", ASKED)
def test_every_statistic_runs_on_made_up_rows_and_shows_itself(
    name: str, ds: Any, house: HouseForTests
) -> None:
    answer = ds.agg(figure=ASKED[name](ds)).on_mock(rows=400)
    frame = answer["figure"]
    assert {"figure", "figure_low", "figure_high", "figure_below_noise"} <= set(frame.columns)
    assert frame["figure"].is_not_null().any()
    assert repr(answer).startswith("On made-up data, without noise")
    assert "nothing was spent" in answer._repr_html_()
    assert "sampling, no noise" in repr(answer)
    assert house.asked == []


def test_a_mock_answer_is_exact(ds: Any) -> None:
    mock = ds._steps.dataset.mock(rows=500, seed=4)
    answer = ds.group_by("sex").agg(e.count()).on_mock(rows=500, seed=4)
    kept = mock.filter(mock["sex"].is_not_null())
    counted = dict(zip(answer["count"]["sex"], answer["count"]["count"], strict=True))
    bounded = (
        kept.group_by("_unit").len().select((kept.group_by("_unit").len()["len"]).clip(0, 20)).sum().item()
    )
    assert sum(counted.values()) == bounded


def test_a_regression_on_made_up_rows_is_the_least_squares_of_those_rows(ds: Any) -> None:
    import numpy as np

    mock = ds._steps.dataset.mock(rows=2_000, seed=1).drop_nulls(["age", "length_of_stay"])
    answer = ds.limit(rows=1000).agg(e.ols("length_of_stay", "age")).on_mock(rows=2_000, seed=1)
    x = np.column_stack([np.ones(mock.height), mock["age"].to_numpy()])
    expected = np.linalg.lstsq(x, mock["length_of_stay"].to_numpy(), rcond=None)[0]
    assert answer[answer.figures[0]][answer.figures[0]].to_list() == pytest.approx(expected, abs=0.05)


def test_an_answer_of_several_tables_wants_to_know_which(ds: Any) -> None:
    answer = ds.group_by("sex").agg(e.count(), ages=e.hist("age", [0, 65]), spread=e.sd("age")).on_mock()
    with pytest.raises(EnclaveError, match="several tables"):
        answer.to_polars()
    assert answer["ages"].columns[:2] == ["sex", "bin"]
    assert answer["ages"].height == 2 * 3
    assert answer["count"].height == 2
    assert answer._ipython_key_completions_() == ["count", "ages", "spread"]
    text = repr(answer)
    assert text.index("count") < text.index("bin")


def test_a_column_that_a_statistic_names_must_exist(ds: Any) -> None:
    for wrong in (e.crosstab("sex", "cim"), e.km("length_of_stay", "dead", [1]), e.ols("age", "weight")):
        with pytest.raises(NoSuchColumn):
            ds.agg(wrong)


def test_expected_accuracy_is_a_table_of_widths(ds: Any, enclave: ModuleType) -> None:
    told = ds.agg(e.count(), e.mean("age")).expected_accuracy(rho=0.01)
    assert told.plus_minus == {"count": 14.2, "mean_age": 14.2}
    assert "±" in repr(told)
    assert "<table>" in told._repr_html_()


def test_value_counts_is_a_grouped_count(ds: Any) -> None:
    question = ds.value_counts("sex").to_json(1)
    assert (question["by"], [one["stat"] for one in question["ask"]]) == (["sex"], ["count"])
