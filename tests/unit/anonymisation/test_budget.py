from fractions import Fraction
from math import sqrt
from typing import Any

import pytest

from anonymisation import budget
from anonymisation.errors import BadQuestion
from anonymisation.plan import Plan, fit
from tests.unit.anonymisation.question_tables import STAYS, question

MEAN = {"name": "m", "stat": "mean", "column": "age"}
COUNT_OF_AGE = {"name": "c", "stat": "count", "column": "age"}


def plan_of(*ask: dict[str, Any]) -> Plan:
    return fit(question(list(ask)), STAYS)


@pytest.mark.parametrize("rho_micro", [30, 31, 999, 10_000, 123_457])
def test_the_shares_of_a_question_add_up_to_what_was_offered(rho_micro: int) -> None:
    fitted = plan_of({"name": "n", "stat": "count"}, MEAN, {"name": "s", "stat": "sum", "column": "cost"})
    assert sum(share.rho_micro for share in budget.split(fitted, rho_micro)) == rho_micro


def test_a_mean_shares_its_count_with_a_count_of_the_same_column() -> None:
    alone = budget.split(plan_of(MEAN), 1_000)
    shared = budget.split(plan_of(COUNT_OF_AGE, MEAN), 1_000)
    assert [share.vector.kind for share in alone] == ["sum", "present", "squares"]
    assert [(share.vector.kind, share.rho_micro) for share in shared] == [
        ("present", 725),
        ("sum", 225),
        ("squares", 50),
    ]


def test_too_small_a_budget_for_so_many_statistics_is_refused() -> None:
    with pytest.raises(BadQuestion) as caught:
        budget.split(plan_of(MEAN), 5)
    assert caught.value.code == "rho_too_small"


@pytest.mark.parametrize("squared", [1, 2, 9, 400, (20 * 2**32) ** 2, (10_000 * 2**30) ** 2])
@pytest.mark.parametrize("rho_micro", [1, 3, 777, 10_000, 99_999_999])
def test_the_scale_never_costs_more_than_its_share_and_wastes_nothing(squared: int, rho_micro: int) -> None:
    own = budget.own_loss(squared, budget.scale_for(squared, rho_micro))
    assert own * budget.MICRO <= rho_micro
    assert own * budget.MICRO > Fraction(rho_micro) * (1 - Fraction(1, 10**9))


def test_a_charge_is_the_larger_loss_rounded_up() -> None:
    assert budget.charge(Fraction(3, 10**7), 0.0) == 1
    assert budget.charge(Fraction(1, 10**6), 1.5e-6) == 2
    assert budget.charge(Fraction(5, 10**6), 1e-9) == 5


@pytest.mark.parametrize(
    ("scale", "width"),
    [(0.1, 0), (0.5, 1), (1.0, 2), (10.0, 20), (199.9, 392), (200.0, 392), (1e6, 1_959_964)],
)
def test_the_half_width_holds_95_percent_of_the_noise(scale: float, width: int) -> None:
    assert budget.half_width(scale) == width


def test_the_two_ways_of_finding_a_half_width_meet() -> None:
    assert abs(budget.half_width(budget.EXACT_TAIL - 0.01) - budget.Z95 * budget.EXACT_TAIL) <= 1


COST = {"name": "s", "stat": "sum", "column": "cost"}


def noise_of(*asks: Any) -> float:
    """Give the noise of the last statistic, a sum, at one price."""
    fitted = plan_of(*asks)
    shares = {share.vector: share for share in budget.split(fitted, 1_000_000)}
    return budget.noise_of_sum([shares[vector] for vector in fitted.statistics[-1].vectors])


def test_a_sum_costs_no_more_than_its_reach_and_less_beside_a_count_or_a_mean() -> None:
    """Whatever the bounds, the reach of the values from zero decides, of which a tenth pays for the spread."""
    for bounds in ({}, {"low": 4990}, {"low": 2000, "high": 3000}, {"low": 1, "high": 2}):
        reach = float(bounds.get("high", 5000)) * 100 * 3
        alone = noise_of({**COST, **bounds})
        assert reach / sqrt(2 * 0.9) <= alone * (1 + 1e-9) <= 1.05 * reach / sqrt(2 * 0.9)
    half = sqrt(2 * 0.5)
    assert noise_of({"name": "n", "stat": "count", "column": "cost"}, COST) < 0.9 * 5000 * 100 * 3 / half
    assert noise_of({"name": "m", "stat": "mean", "column": "cost"}, COST) == pytest.approx(noise_of(COST))


def test_a_sum_with_zero_in_the_middle_of_its_bounds_needs_no_count() -> None:
    fitted = plan_of({"name": "s", "stat": "sum", "column": "weight", "low": -50, "high": 50})
    assert [vector.kind for vector in fitted.vectors] == ["sum", "squares"]
    shares = budget.split(fitted, 1_000_000)
    assert [share.rho_micro for share in shares] == [900_000, 100_000]
    assert budget.noise_of_sum(shares) == shares[0].scale


def test_the_expected_accuracy_is_in_the_columns_own_units() -> None:
    fitted = plan_of({"name": "s", "stat": "sum", "column": "cost"}, MEAN)
    shares = {share.vector: share for share in budget.split(fitted, 10_000)}
    of_sum, of_mean = (budget.accuracy(statistic, shares) for statistic in fitted.statistics)
    distances, rows = (shares[vector] for vector in fitted.statistics[0].vectors[:2])
    total, count = (shares[vector] for vector in fitted.statistics[1].vectors[:2])
    assert of_sum.plus_minus == pytest.approx(
        1.96 * sqrt(distances.scale**2 + (250_000 * rows.scale) ** 2) / 100, rel=1e-4
    )
    assert of_mean.at_count == budget.MEAN_AT
    assert of_mean.plus_minus == pytest.approx(
        1.96 * sqrt(total.scale**2 + (60 * count.scale) ** 2) / 1_000, rel=1e-4
    )
