"""What the audit of the noise audits is what an answer gives: every exact number passes the noise once, at its paid scale, or nowhere.

The noise is exchanged for numbers that do not depend on the data. Whatever an answer says then, it must say of any data; and what was
handed to the noise must be the vectors and scales that `losses.audit` draws from.
"""

from typing import Any

import numpy as np
import polars as pl
import pytest

from anonymisation import aggregate, answer, noise
from anonymisation.bounds import UNIT
from tests.properties.losses import ONE_MORE, OTHERS, TABLE, TIGHT
from tests.unit.anonymisation.question_tables import SEED, frame, question, stays

Handed = list[tuple[list[int], float]]
EVERYTHING = [{"name": name, **ask} for name, ask in TIGHT.items()]
ASKED = {
    **{name: question([{"name": "x", **ask}], rho_micro=90_000) for name, ask in TIGHT.items()},
    "everything by department": question(EVERYTHING, by=["dept"], rho_micro=900_000),
}
DATA = {
    "two units": OTHERS,
    "one more": ONE_MORE,
    "none": frame(),
    "many": frame(*(row for unit in range(40) for row in stays(unit, 3, age=unit, dead=unit % 2 == 0))),
}


def without_noise(patch: pytest.MonkeyPatch, size: int) -> Handed:
    """Exchange the noise for made-up numbers, of this size about, and keep what it was handed."""
    handed: Handed = []

    def made_up(exact: Any, scale: float) -> Any:
        handed.append((exact.tolist(), scale))
        return np.random.default_rng([len(handed), exact.size]).integers(-size // 10, size, exact.size)

    patch.setattr(noise, "add", made_up)
    return handed


def answered(asked: Any, data: pl.DataFrame) -> dict[str, Any]:
    return answer.compute(asked, TABLE, [data.sort(UNIT).lazy()], SEED).to_json()


def differs(name: str, size: int = 50) -> bool:
    """Say whether an answer without its noise depends on the data."""
    told = []
    for data in DATA.values():
        with pytest.MonkeyPatch.context() as patch:
            without_noise(patch, size)
            told.append(answered(ASKED[name], data))
    return any(each != told[0] for each in told)


@pytest.mark.parametrize("size", [50, 100_000])
@pytest.mark.parametrize("name", ASKED)
def test_an_answer_without_its_noise_is_the_same_whatever_the_data(name: str, size: int) -> None:
    assert not differs(name, size)


def handed_and_paid(name: str) -> tuple[Handed, Handed]:
    """Give what an answer hands to the noise, and what it has paid for."""
    plan, shares, _ = answer._priced(ASKED[name], TABLE)
    exact = aggregate.aggregate(plan, [ONE_MORE.lazy()], SEED)
    with pytest.MonkeyPatch.context() as patch:
        handed = without_noise(patch, 50)
        answered(ASKED[name], ONE_MORE)
    paid = [(exact[vector].tolist(), share.scale) for vector, share in shares.items()]
    return sorted(handed), sorted(paid)


@pytest.mark.parametrize("name", ASKED)
def test_every_vector_that_is_paid_for_is_noised_once_at_the_scale_that_was_paid(name: str) -> None:
    handed, paid = handed_and_paid(name)
    assert handed == paid
    plan, shares, _ = answer._priced(ASKED[name], TABLE)
    for vector, share in shares.items():  # the scale is that of the price: s**2 / (2 rho), in whole micro-rho
        lost = plan.sensitivity_squared(vector) / (2 * share.scale**2)
        assert 0.999 * share.rho_micro / 1e6 - 1e-6 <= lost <= share.rho_micro / 1e6
