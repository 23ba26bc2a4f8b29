"""No receipt for this very act on this very object, no write."""

import pytest

from enclave.errors import Refused
from enclave.receipt import require
from tests.unit.agreements.receipt_for_tests import receipt


@pytest.mark.parametrize(
    ("acts", "about", "fits"),
    [
        ("admin.grant", "project:a", True),
        ({"admin.role", "admin.grant"}, "person:b", True),
        ("admin.role", "project:a", False),
        ("admin.grant", "project:b", False),
        ("admin.grant", "a", False),
    ],
)
def test_a_receipt_is_good_for_its_act_and_its_objects(acts: str | set[str], about: str, fits: bool):
    shown = receipt("admin.grant", "project:a", "person:b")
    if fits:
        require(shown, acts, about)
        return
    with pytest.raises(Refused) as refusal:
        require(shown, acts, about)
    assert refusal.value.code == "receipt_mismatch"
