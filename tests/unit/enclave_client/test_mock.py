from types import ModuleType

import polars as pl
import pytest

from notebooks_image.enclave_client.errors import EnclaveError
from tests.unit.web.house_for_tests import HouseForTests


def test_a_mock_has_the_types_of_the_real_columns_and_asks_nothing(
    enclave: ModuleType, house: HouseForTests
) -> None:
    made = enclave.dataset("hospital-stays").mock(rows=50)
    assert made.schema == {
        "_unit": pl.UInt64,
        "sex": pl.Enum(["F", "M"]),
        "cim10": pl.Enum(["I50", "J18"]),
        "age": pl.Int64,
        "length_of_stay": pl.Int64,
        "admission": pl.Date,
    }
    assert made.height == 50
    assert house.asked == []


def test_too_large_a_mock_is_refused(enclave: ModuleType) -> None:
    with pytest.raises(EnclaveError):
        enclave.dataset("hospital-stays").mock(rows=1_000_000)
