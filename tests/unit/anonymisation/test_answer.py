import re
from math import inf
from typing import Any

import numpy as np
import orjson
import polars as pl
import pytest

from anonymisation import answer, noise
from anonymisation.bounds import UNIT
from anonymisation.budget import Share
from anonymisation.errors import AnonymisationError, BadQuestion
from anonymisation.estimate import Noisy, cell
from anonymisation.plan import Statistic, Vector
from tests.unit.anonymisation.question_tables import DEPARTMENTS, PER_ROW, SEED, STAYS, frame, question, stays

COUNT = {"name": "stays", "stat": "count"}
MEAN = {"name": "age", "stat": "mean", "column": "age"}
SUM = {"name": "cost", "stat": "sum", "column": "cost"}


def many(count: int = 4_000) -> pl.DataFrame:
    """Give one row a unit, ages 20 to 99, over four departments."""
    usual = frame({}).drop(UNIT, "dept", "age")
    place = pl.int_range(count, dtype=pl.Int64)
    made = pl.select(
        place.cast(pl.UInt64).alias(UNIT), (20 + place % 80).alias("age"), (place % 4).alias("d")
    )
    depts = pl.DataFrame({"d": [0, 1, 2, 3], "dept": DEPARTMENTS}, schema_overrides={"d": pl.Int64})
    return made.join(depts, on="d", maintain_order="left").drop("d").join(usual, how="cross")


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the noise away, so that the words can be read."""
    monkeypatch.setattr(noise, "add", lambda exact, _scale: exact)


def ask(
    *asked: dict[str, Any], data: pl.DataFrame | None = None, table: Any = STAYS, **fields: Any
) -> answer.Answer:
    shown = many() if data is None else data
    return answer.compute(question(list(asked), **fields), table, [shown.lazy()], SEED)


def plain(text: str) -> str:
    return text.replace("\u00a0", " ").replace("\u202f", " ")


def test_a_price_is_what_was_offered_and_tells_the_accuracy() -> None:
    told = answer.price(question([COUNT, MEAN, SUM]), STAYS)
    assert told.rho_micro == 10_000
    assert told.epsilon == noise.epsilon(10_000)
    assert [(each.name, each.at_count) for each in told.accuracy] == [
        ("stays", None),
        ("age", 1_000),
        ("cost", None),
    ]
    assert orjson.loads(orjson.dumps(told.to_json()))["accuracy"][0]["plus_minus"] > 0


def test_a_price_does_not_see_the_data() -> None:
    with pytest.raises(BadQuestion):
        answer.price(question([{"name": "x", "stat": "sum", "column": "agee"}]), STAYS)


def test_an_answer_has_the_form_others_rely_on() -> None:
    told = orjson.loads(orjson.dumps(ask(COUNT, MEAN, by=["dept", "dead"]).to_json()))
    assert set(told) == {"question_sha256", "dataset", "dataset_version", "unit", "by", "rows", "words"}
    assert [row["dept"] for row in told["rows"]] == [dept for dept in DEPARTMENTS for _ in range(2)]
    assert set(told["rows"][0]["stays"]) == {
        "value",
        "low",
        "high",
        "noise_low",
        "noise_high",
        "below_noise",
        "holds",
    }
    assert told["dataset_version"] == 3
    assert set(told["words"]) == {"fr", "en"}


def test_the_exact_value_lies_in_the_interval_of_the_noise_95_times_in_100() -> None:
    asked, data = question([COUNT], rho_micro=200, unit={"rows": 1}), [many(50).lazy()]
    cells = [answer.compute(asked, STAYS, data, SEED).groups[0][1]["stays"] for _ in range(400)]
    held = sum(c.noise_low <= 50 <= c.noise_high for c in cells)  # type: ignore[operator]
    assert 358 <= held <= 398  # a binomial of 400 at 95.5 % leaves this with probability below 1e-6


def test_noise_differs_each_time() -> None:
    assert len({ask(COUNT, rho_micro=10).groups[0][1]["stays"].value for _ in range(5)}) > 1


def test_the_interval_of_a_count_holds_sampling_as_well(silent: None) -> None:
    counted = ask(COUNT, rho_micro=1_000_000).groups[0][1]["stays"]
    assert (counted.value, counted.holds) == (4_000, "noise and sampling")
    assert counted.low == pytest.approx(4_000 - 1.96 * 4_000**0.5, abs=2)
    assert counted.noise_low == pytest.approx(4_000, abs=10)


def test_the_interval_of_a_mean_holds_the_spread_of_its_values(silent: None) -> None:
    mean = ask(MEAN, rho_micro=100_000_000).groups[0][1]["age"]
    spread = float(np.std(np.arange(20, 100)))
    assert (mean.value, mean.holds) == (59.5, "noise and sampling")
    assert mean.value - mean.low == pytest.approx(1.96 * spread / 4_000**0.5, rel=0.05)  # type: ignore[operator]


def test_a_sum_is_told_in_the_columns_own_decimals(silent: None) -> None:
    total = ask({**SUM, "high": 101}, rho_micro=100_000_000).groups[0][1]["cost"]
    assert total.value == 401_000.0
    assert total.low < total.noise_low < total.value  # type: ignore[operator]
    assert total.holds == "noise and sampling"


def test_where_the_spread_drowns_in_noise_the_interval_says_noise_only(silent: None) -> None:
    faint = ask(SUM, data=many(40), rho_micro=100).groups[0][1]["cost"]
    assert (faint.holds, faint.low, faint.below_noise) == ("noise", faint.noise_low, True)


def test_a_mean_of_too_few_rows_has_no_value_and_says_so(silent: None) -> None:
    told = ask(MEAN, data=many(3), rho_micro=1_000)
    assert told.groups[0][1]["age"].value is None
    assert told.words["en"].startswith("age: too few rows to say.")
    assert plain(told.words["fr"]).startswith("age : trop peu de lignes pour le dire.")


def test_values_near_the_noise_are_marked(silent: None) -> None:
    assert ask(COUNT, data=many(10), rho_micro=1_000).groups[0][1]["stays"].below_noise
    assert not ask(COUNT, rho_micro=1_000_000).groups[0][1]["stays"].below_noise


def test_the_first_sentence_says_the_finding(silent: None) -> None:
    told = ask(COUNT, data=many(4_200), rho_micro=1_000_000).words
    assert told["en"].startswith("stays: about 4,200, give or take 128. ")
    assert told["fr"].startswith("stays\u00a0: environ 4\u202f200, ")
    assert plain(told["fr"]).startswith("stays : environ 4 200, à 128 près. ")


def test_figures_of_one_group_are_told_in_one_sentence(silent: None) -> None:
    told = ask(COUNT, MEAN, rho_micro=100_000_000).words
    assert re.match(
        r"stays: about 4,000, give or take 124; age: about 59\.50, give or take 0\.\d\d\. ", told["en"]
    )
    assert re.match(
        r"stays : environ 4 000, à 124 près ; age : environ 59,50, à 0,\d\d près\. ", plain(told["fr"])
    )


def test_groups_are_told_from_the_smallest_to_the_largest(silent: None) -> None:
    data = many().filter((pl.col("dept") != "56") | (pl.col(UNIT) < 400))
    told = ask(COUNT, data=data, by=["dept"], rho_micro=100_000_000).words["en"]
    assert told.startswith("By dept, stays goes from about 100 ± 20 (56) to about 1,000 ± 62 (22).")


def test_truth_values_are_told_as_yes_and_no(silent: None) -> None:
    told = ask(COUNT, by=["dead"], rho_micro=1_000_000).words
    assert "(no)" in told["en"]
    assert "(non)" in told["fr"]


def test_groups_without_any_told_mean_are_told_so(silent: None) -> None:
    told = ask(MEAN, data=many(8), by=["dept"], rho_micro=1_000).words
    assert told["en"].startswith("By dept, no group has enough rows to tell age.")
    assert "interval" not in told["en"]


def test_the_words_say_what_the_interval_holds(silent: None) -> None:
    assert "noise and sampling together" not in ask(SUM, data=many(40), rho_micro=100).words["en"]
    assert "noise only" in ask(SUM, data=many(40), rho_micro=100).words["en"]
    assert 'except where "holds"' in ask(COUNT, SUM, data=many(40), rho_micro=100).words["en"]
    assert "together" in ask(COUNT, rho_micro=10_000).words["en"]


def test_the_words_say_whom_the_answer_protects(silent: None) -> None:
    assert ask(COUNT).words["en"].endswith("Each patient counts for at most 3 rows.")
    assert (
        ask(COUNT, by=["dept"], unit={"groups": 1})
        .words["fr"]
        .endswith("Chaque patient compte pour au plus 3 lignes dans 1 groupe.")
    )
    told = ask(COUNT, table=PER_ROW).words
    assert told["en"].endswith("The protected unit is the row, not the person.")
    assert told["fr"].endswith("L’unité protégée est la ligne, pas la personne.")


def test_negative_numbers_have_a_proper_sign(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noise, "add", lambda exact, _scale: exact - 50)
    assert "about −50," in ask(COUNT, data=frame(), rho_micro=1_000).words["en"]


def test_a_library_that_sees_a_larger_loss_stops_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noise, "loss", lambda _scale, squared: inf if squared > 10**6 else 1.0)
    with pytest.raises(AnonymisationError) as caught:
        ask(COUNT)
    assert caught.value.code == "price_disagrees"


def test_an_answer_does_not_depend_on_how_the_table_is_cut(silent: None) -> None:
    data = frame(*(row for unit in range(30) for row in stays(unit, 5, age=unit)))
    asked = question([COUNT, MEAN], by=["dept"])
    parts = [data.filter(pl.col(UNIT) % 2 == odd).lazy() for odd in (0, 1)]
    assert answer.compute(asked, STAYS, parts, SEED) == answer.compute(asked, STAYS, [data.lazy()], SEED)


def test_a_mean_stays_within_its_bounds_whatever_the_noise() -> None:
    vectors = (
        Vector("sum", "age", 0, 120, 60),
        Vector("present", "age"),
        Vector("squares", "age", 0, 120, 60),
    )
    noisy = {v: Noisy((n,), Share(v, 1, 1, 2.0)) for v, n in zip(vectors, (10_000, 50, -9), strict=True)}
    mean = cell(Statistic("m", "mean", vectors), noisy)
    assert (mean.value, mean.high, mean.holds) == (120, 120, "noise")
