import numpy as np
import pytest

from anonymisation import ledger_words
from anonymisation.budget import scale_for


@pytest.mark.parametrize(("rho_micro", "of_100"), [(1, 5), (250_000, 17), (500_000, 26), (2_000_000, 64)])
def test_a_cap_is_told_as_what_the_best_guess_recognises(rho_micro: int, of_100: int) -> None:
    told = ledger_words.meaning(rho_micro)
    assert f" {of_100} sur 100 des personnes présentes" in told["fr"]
    assert f" {of_100} in 100 of the people present" in told["en"]


def test_the_best_test_on_noisy_counts_recognises_as_many_as_told() -> None:
    """Simulate it: one person more or less in a count, the threshold that is wrong on 5 % of the absent."""
    rng, scale = np.random.default_rng(3), scale_for(1, 500_000)
    absent, present = rng.normal(0, scale, 200_000), rng.normal(1, scale, 200_000)
    found = float((present > np.quantile(absent, 0.95)).mean())
    assert found == pytest.approx(ledger_words.recognised(500_000), abs=0.01)


def test_the_recommended_caps_fit_in_each_other() -> None:
    start = ledger_words.RECOMMENDED
    assert 0 < start.person <= start.project <= start.population
    assert set(ledger_words.remains()) == {"fr", "en"}
