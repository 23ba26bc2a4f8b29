"""Each statistic without its noise is what a textbook gives; with it, its interval holds the truth as often as it says."""

import re
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
import pytest

from anonymisation import aggregate, answer, noise
from anonymisation.bounds import UNIT, Column
from anonymisation.cell import Cell, Several
from anonymisation.plan import fit
from anonymisation.standards import ESP_2013, bands
from tests.unit.anonymisation.question_tables import PER_ROW, SCHEMA, SEED, STAYS, question

ROWS = 3_000
PEOPLE = replace(STAYS, rows=1, groups=1)
MUCH = 100_000_000


def people(draw: np.random.Generator, rows: int = ROWS) -> pl.DataFrame:
    """Give one row a person; cost grows with age and after death, which comes sooner to the old."""
    age = np.clip(draw.normal(60, 15, rows), 0, 120).round().astype(np.int64)
    dead = draw.random(rows) < age / 200
    cost = np.clip(500 + 20.0 * age + 300 * dead + draw.normal(0, 200, rows), 0, 5000).round(2)
    columns = {
        UNIT: np.arange(rows, dtype=np.uint64),
        "dept": np.array(["22", "29", "35", "56"])[draw.integers(0, 4, rows)],
        "age": age,
        "grade": draw.choice([1, 2, 9], rows),
        "cost": cost,
        "weight": draw.normal(70, 10, rows).round(1),
        "entry": pl.repeat(None, rows, dtype=pl.Date, eager=True),
        "noted": pl.repeat(None, rows, dtype=pl.Date, eager=True),
        "dead": dead,
    }
    return pl.DataFrame(columns, schema=SCHEMA)


DATA = people(np.random.default_rng(11))


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noise, "add", lambda exact, _scale: exact)


def asked(stat: str, data: pl.DataFrame = DATA, rho_micro: int = MUCH, **ask: Any) -> answer.Answer:
    return answer.compute(
        question([{"name": "x", "stat": stat, **ask}], rho_micro=rho_micro), PEOPLE, [data.lazy()], SEED
    )


def one(stat: str, **fields: Any) -> Cell:
    told = asked(stat, **fields).groups[0][1]["x"]
    assert isinstance(told, Cell)
    return told


def several(stat: str, **fields: Any) -> list[Cell]:
    told = asked(stat, **fields).groups[0][1]["x"]
    assert isinstance(told, Several)
    return [cell for _, cell in told.cells]


def number(cell: Cell) -> float:
    assert cell.value is not None
    return float(cell.value)


# --- without noise, what a textbook gives -------------------------------------------------------------------------------


def test_a_variance_and_its_root_are_those_of_the_values(silent: None) -> None:
    for column, digits in (("age", 0), ("cost", 2)):
        values = DATA[column].to_numpy()
        assert number(one("variance", column=column)) == pytest.approx(values.var(), rel=1e-3), digits
        assert number(one("sd", column=column)) == pytest.approx(values.std(), rel=1e-3)


def test_a_variance_far_from_the_middle_of_wide_bounds_is_not_biased_by_coarse_squares(silent: None) -> None:
    near = DATA.with_columns(cost=pl.Series(np.arange(ROWS) * 37 % 14_000) / 100.0)
    assert number(one("variance", column="cost", data=near)) == pytest.approx(near["cost"].var(), rel=0.02)


def test_quantiles_are_the_smallest_values_that_so_many_rows_do_not_exceed(silent: None) -> None:
    probs = ["0.1", "0.25", "0.5", "0.9"]
    found = [number(cell) for cell in several("quantile", column="age", probs=probs)]
    values = np.sort(DATA["age"].to_numpy())
    assert found == [values[int(np.ceil(float(prob) * ROWS)) - 1] for prob in probs]


def test_a_quantile_of_decimals_falls_on_round_candidates(silent: None) -> None:
    (median,) = several("quantile", column="cost")
    assert number(median) % 50 == 0
    assert abs(number(median) - float(np.median(DATA["cost"].to_numpy()))) <= 50


def test_a_histogram_counts_the_bins_it_names(silent: None) -> None:
    told = asked("histogram", column="age", edges=[18, 65]).groups[0][1]["x"]
    assert isinstance(told, Several)
    ages = DATA["age"].to_numpy()
    assert [(dict(at)["bin"], cell.value) for at, cell in told.cells] == [
        ("<18", (ages < 18).sum()),
        ("[18, 65)", ((ages >= 18) & (ages < 65)).sum()),
        (">=65", (ages >= 65).sum()),
    ]


def test_a_contingency_table_counts_every_pair_of_declared_values(silent: None) -> None:
    told = asked("contingency", columns=["dead", "grade"]).groups[0][1]["x"]
    assert isinstance(told, Several)
    for at, cell in told.cells:
        named = dict(at)
        assert (
            cell.value
            == DATA.filter((pl.col("dead") == named["dead"]) & (pl.col("grade") == named["grade"])).height
        )
    assert len(told.cells) == 6


def kaplan_meier(times: np.ndarray, events: np.ndarray, at: list[int]) -> list[float]:
    curve, found = 1.0, []
    for day in range(int(times.max()) + 1):
        risk = (times >= day).sum()
        if risk:
            curve *= 1 - ((times == day) & events).sum() / risk
        if day in at:
            found.append(curve)
    return found


def test_a_survival_curve_by_unit_intervals_is_kaplan_and_meiers(silent: None) -> None:
    times, events = DATA["age"].to_numpy(), DATA["dead"].to_numpy()
    edges = list(range(90))
    found = [number(cell) for cell in several("survival", column="age", event="dead", edges=edges)]
    assert found == pytest.approx(kaplan_meier(times, events, edges), abs=2e-6)
    assert all(later <= sooner for sooner, later in pairwise(found))


def test_a_rate_over_public_persons_is_weighted_by_the_standard(silent: None) -> None:
    persons, edges = [50_000, 20_000, 9_000], [0, 40, 65]
    weights = np.array(bands(ESP_2013, (0, 40, 65))) / 100_000
    ages = DATA.filter(pl.col("dead"))["age"].to_numpy()
    events = np.histogram(ages, [0, 40, 65, 200])[0]
    found = one("rate", column="age", event="dead", standard="esp2013", edges=edges, persons=persons)
    assert number(found) == pytest.approx(1e5 * (weights * events / np.array(persons)).sum(), rel=1e-9)
    every = one("rate", column="age", standard="esp2013", edges=edges, persons=persons)
    assert number(every) > number(found)


def test_a_rate_over_the_rows_standardises_their_own_share(silent: None) -> None:
    edges = [40, 65, 80]
    weights = np.array(bands(ESP_2013, (40, 65, 80)))
    dead = DATA.with_columns(band=pl.col("age").cut([39, 64, 79])).filter(pl.col("age") >= 40)
    shares = dead.group_by("band").agg(pl.col("dead").mean()).sort("band")["dead"].to_numpy()
    found = one("rate", column="age", event="dead", standard="esp2013", edges=edges)
    assert number(found) == pytest.approx(1e5 * (weights * shares).sum() / weights.sum(), rel=1e-6)


def test_the_standard_population_adds_up() -> None:
    assert sum(ESP_2013.persons) == 100_000
    assert sum(bands(ESP_2013, (0, 1, 40))) == 100_000
    with pytest.raises(ValueError, match="3"):
        bands(ESP_2013, (3,))


def test_a_correlation_is_pearsons(silent: None) -> None:
    expected = np.corrcoef(DATA["age"].to_numpy(), DATA["cost"].to_numpy())[0, 1]
    assert number(one("correlation", columns=["age", "cost"])) == pytest.approx(expected, abs=1e-3)


def test_a_regression_is_that_of_least_squares(silent: None) -> None:
    design = np.stack([np.ones(ROWS), DATA["age"].to_numpy(), DATA["dead"].to_numpy()], axis=1)
    expected = np.linalg.lstsq(design, DATA["cost"].to_numpy(), rcond=None)[0]
    told = asked("ols", column="cost", columns=["age", "dead"]).groups[0][1]["x"]
    assert isinstance(told, Several)
    assert [dict(at)["term"] for at, _ in told.cells] == ["intercept", "age", "dead"]
    assert [number(cell) for _, cell in told.cells] == pytest.approx(expected, rel=5e-3)
    assert not told.repaired


def test_rows_with_a_value_missing_are_left_out_of_products(silent: None) -> None:
    holes = DATA.with_columns(age=pl.when(pl.col("dept") == "22").then(None).otherwise(pl.col("age")))
    whole = holes.drop_nulls("age")
    assert one("correlation", columns=["age", "cost"], data=holes) == one(
        "correlation", columns=["age", "cost"], data=whole
    )


def test_values_that_do_not_vary_have_no_correlation(silent: None) -> None:
    assert one("correlation", columns=["age", "cost"], data=DATA.with_columns(age=60)).value is None


def test_columns_that_say_the_same_are_repaired_and_the_words_say_so(silent: None) -> None:
    same = [{"name": "old", "expr": ["+", "age", 0]}]
    told = answer.compute(
        question(
            [{"name": "x", "stat": "ols", "column": "cost", "columns": ["age", "old"]}],
            let=same,
            rho_micro=MUCH,
        ),
        PEOPLE,
        [DATA.lazy()],
        SEED,
    )
    found = told.groups[0][1]["x"]
    assert isinstance(found, Several)
    assert found.repaired
    assert [cell.low for _, cell in found.cells] == [None] * 3
    assert "repaired" in told.words["en"]
    assert "réparée" in told.words["fr"]
    assert told.to_json()["rows"][0]["x"]["repaired"]


@pytest.mark.parametrize(
    "ask",
    [
        {"stat": "variance", "column": "age"},
        {"stat": "sd", "column": "age"},
        {"stat": "correlation", "columns": ["age", "cost"]},
        {"stat": "rate", "column": "age", "event": "dead", "standard": "esp2013"},
    ],
)
def test_of_too_few_rows_nothing_is_told(silent: None, ask: dict[str, Any]) -> None:
    assert one(**ask, data=DATA.head(2), rho_micro=1_000).value is None


@pytest.mark.parametrize(
    "ask",
    [
        {"stat": "quantile", "column": "age", "probs": ["0.25", "0.5"]},
        {"stat": "survival", "column": "age", "event": "dead", "edges": [30, 60]},
        {"stat": "ols", "column": "cost", "columns": ["age"]},
    ],
)
def test_of_too_few_rows_no_curve_is_told(silent: None, ask: dict[str, Any]) -> None:
    told = asked(**ask, data=DATA.head(2), rho_micro=1_000)
    assert all(cell.value is None for cell in several(**ask, data=DATA.head(2), rho_micro=1_000))
    assert told.words["en"].startswith("x: too few rows to say.")


def test_a_curve_ends_where_those_at_risk_are_lost_in_noise(silent: None) -> None:
    found = several("survival", column="age", event="dead", edges=[60, 119, 120], rho_micro=5_000)
    assert [cell.value is None for cell in found] == [False, False, True]


# --- the bounds that buy accuracy -----------------------------------------------------------------------------------------


def test_a_mean_of_a_column_never_null_shares_the_count_of_rows() -> None:
    columns = tuple(replace(c, never_null=c.name == "age") for c in STAYS.columns)
    ask = [{"name": "n", "stat": "count"}, {"name": "m", "stat": "mean", "column": "age"}]
    shared = fit(question(ask), replace(STAYS, columns=columns))
    assert [vector.kind for vector in shared.vectors] == ["rows", "sum", "squares"]
    assert len(fit(question(ask), STAYS).vectors) == 4
    recoded = question(
        [{"name": "m", "stat": "mean", "column": "x"}], let=[{"name": "x", "expr": ["+", "age", 0]}]
    )
    assert "present" in {v.kind for v in fit(recoded, replace(STAYS, columns=columns)).vectors}


def test_a_bound_per_group_makes_the_noise_smaller() -> None:
    wide, tight = (
        answer.price(question(by=["dept"], unit={"rows": 20, "groups": 5, **within}), STAYS).accuracy[0]
        for within in ({}, {"rows_per_group": 4})
    )
    assert wide.plus_minus / tight.plus_minus == pytest.approx(20 / (4 * 4**0.5), rel=0.05)


def test_rows_kept_within_a_group_are_at_most_as_many_as_asked_and_chosen_alike() -> None:
    units, codes = np.repeat(np.arange(3, dtype=np.uint64), 8), np.tile(np.arange(2, dtype=np.uint32), 12)
    draws = sum(
        aggregate.keep_rows_within(units, codes, 2, 2, seed.to_bytes(4)).astype(int) for seed in range(2_000)
    )
    assert draws.sum() == 2_000 * 3 * 2 * 2
    assert abs(draws - 1_000).max() < 5 * (2_000 / 4) ** 0.5


# --- prices and words -----------------------------------------------------------------------------------------------------

EVERY: dict[str, dict[str, Any]] = {
    "variance": {"stat": "variance", "column": "age"},
    "sd": {"stat": "sd", "column": "age"},
    "quantile": {"stat": "quantile", "column": "age"},
    "histogram": {"stat": "histogram", "column": "age", "edges": [18, 65]},
    "contingency": {"stat": "contingency", "columns": ["dead", "dept"]},
    "survival": {"stat": "survival", "column": "age", "event": "dead", "edges": [30, 60]},
    "rate": {"stat": "rate", "column": "age", "event": "dead", "standard": "esp2013", "edges": [0, 65]},
    "persons": {"stat": "rate", "column": "age", "standard": "esp2013", "edges": [0, 65], "persons": [9, 9]},
    "correlation": {"stat": "correlation", "columns": ["age", "cost"]},
    "ols": {"stat": "ols", "column": "cost", "columns": ["age", "dead"]},
}
ENGLISH = {
    "variance": r"x: about 2\d\d, give or take",
    "sd": r"x: about 1\d\.\d, give or take",
    "quantile": r"x: 50 % of rows are at most about 6\d \(\d\d to \d\d\)\.",
    "histogram": r"x: the largest of 3 cells is \[18, 65\), about 1,\d\d\d, give or take",
    "contingency": r"x: the largest of 8 cells is no, \d\d, about",
    "survival": r"x: about \d\d\.\d % without the event at 60, give or take \d\.\d points\.",
    "rate": r"x: about \d\d,\d\d\d per 100,000, give or take",
    "correlation": r"x: about 0\.\d\d\d, give or take",
    "ols": r"x: dead, about 3\d\d, give or take",
}


@pytest.mark.parametrize("name", EVERY)
def test_a_price_tells_the_accuracy_of_every_statistic(name: str) -> None:
    asked_, halved = (question([{"name": "x", **EVERY[name]}], rho_micro=rho) for rho in (4_000, 16_000))
    (dear,), (cheap,) = (answer.price(each, STAYS).accuracy for each in (halved, asked_))
    assert cheap.plus_minus == pytest.approx(2 * dear.plus_minus, rel=0.05)
    assert answer.price(asked_, STAYS).rho_micro == 4_000


@pytest.mark.parametrize("name", ENGLISH)
def test_the_first_sentence_of_every_statistic_is_its_finding(silent: None, name: str) -> None:
    told = asked(**EVERY[name]).words
    assert re.match(ENGLISH[name], told["en"]), told["en"]
    assert told["fr"].startswith("x\u00a0: ")


@pytest.mark.parametrize("by", [[], ["dept"]])
def test_an_answer_is_told_in_sixty_words(silent: None, by: list[str]) -> None:
    ask = [{**each, "name": f"a{place}"} for place, each in enumerate(EVERY.values())]
    told = answer.compute(question(ask, by=by, rho_micro=MUCH), PEOPLE, [DATA.lazy()], SEED).words
    assert all(len(text.split()) <= 60 for text in told.values()), told
    assert "de environ" not in told["fr"]
    assert f"{9 if by else 8} more figures" in told["en"]


def test_tables_of_several_groups_are_told_by_their_size(silent: None) -> None:
    ask = {"name": "x", **EVERY["histogram"]}
    told = answer.compute(question([ask], by=["dept"], rho_micro=MUCH), PEOPLE, [DATA.lazy()], SEED).words
    assert told["en"].startswith("By dept, x gives 3 cells to each of 4 groups. ")
    assert told["fr"].startswith("Par dept, x donne 3 cases à chacun des 4 groupes. ")


def test_patients_are_named_only_where_the_unit_is_a_person() -> None:
    stay = replace(STAYS, unit="nda")
    asked_ = question([{"name": "u", "stat": "units"}])
    told = [
        answer.compute(asked_, table, [DATA.lazy()], SEED).words["fr"] for table in (STAYS, stay, PER_ROW)
    ]
    assert ["patient" in each for each in told] == [True, False, False]


# --- intervals hold the truth ---------------------------------------------------------------------------------------------


def _truth_of(big: pl.DataFrame, name: str) -> float:
    ages, costs, dead = (big[column].to_numpy() for column in ("age", "cost", "dead"))
    design = np.stack([np.ones(big.height), ages, dead], axis=1)
    return float(
        {
            "variance": ages.var,
            "sd": ages.std,
            "quantile": lambda: np.quantile(ages, 0.5, method="inverted_cdf"),
            "histogram": lambda: ROWS * ((ages >= 18) & (ages < 65)).mean(),
            "contingency": lambda: ROWS * ((dead) & (big["dept"].to_numpy() == "29")).mean(),
            "survival": lambda: kaplan_meier(ages, dead, [60])[0],
            "rate": lambda: (
                1e5
                * (np.array(bands(ESP_2013, (0, 65))) / 1e5)
                @ np.array([dead[ages < 65].mean(), dead[ages >= 65].mean()])
            ),
            "persons": lambda: (
                1e5
                * (np.array(bands(ESP_2013, (0, 65))) / 1e5)
                @ (ROWS * np.array([(ages < 65).mean(), (ages >= 65).mean()]) / 9)
            ),
            "correlation": lambda: np.corrcoef(ages, costs)[0, 1],
            "ols": lambda: np.linalg.lstsq(design, costs, rcond=None)[0][1],
        }[name]()
    )


PLACE = {"histogram": 1, "contingency": 5, "survival": -1, "ols": 1, "quantile": 0}
RUNS = 100
# A binomial of 100 at 95 % falls below this with probability 1e-5.
LEAST_HELD = 84


@pytest.fixture(scope="module")
def population() -> pl.DataFrame:
    return people(np.random.default_rng(5), 400_000)


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("rho_micro", [4_000, 1_000_000])
def test_the_interval_holds_the_population_value_as_often_as_it_says(
    name: str, rho_micro: int, population: pl.DataFrame
) -> None:
    truth = _truth_of(population.head(200_000) if name == "survival" else population, name)
    ask = dict(EVERY[name])
    if name == "survival":
        ask["edges"] = list(range(40, 61))
    if name in {"correlation", "ols"}:
        rho_micro *= 20  # with less they are not told, which is another test
    find = partial(asked, **ask, rho_micro=rho_micro)
    draw, held, told = np.random.default_rng(3), 0, 0
    for _ in range(RUNS):
        found = find(data=people(draw)).groups[0][1]["x"]
        cell = found if isinstance(found, Cell) else found.cells[PLACE[name]][1]
        if cell.low is not None and cell.high is not None:
            told += 1
            held += cell.low <= truth <= cell.high
    assert told >= RUNS / 2
    assert held >= LEAST_HELD * told / RUNS


def test_a_decimal_column_keeps_its_decimals_in_quantiles(silent: None) -> None:
    table = replace(PEOPLE, columns=(*PEOPLE.columns[:4], Column("weight", "decimal", None, "0", "200.0", 1)))
    asked_ = question([{"name": "x", "stat": "quantile", "column": "weight", "edges": ["69.5", "70.5"]}])
    told = answer.compute(asked_, table, [DATA.lazy()], SEED)
    found = told.groups[0][1]["x"]
    assert isinstance(found, Several)
    assert found.cells[0][1].value == 70.5
    assert "at most about 70.5 (" in told.words["en"]
