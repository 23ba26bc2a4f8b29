"""Asked again and again of two tables one person apart, no statistic gives away more than it claims; the audit sees 0.8 of it."""

import pytest

from tests.properties.losses import TIGHT, audit


@pytest.mark.parametrize("name", TIGHT)
def test_the_loss_that_can_be_shown_is_below_the_claim_and_near_it(name: str) -> None:
    found = audit(TIGHT[name])
    assert 0.8 * found.claimed <= found.shown <= found.claimed
