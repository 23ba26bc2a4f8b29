from types import ModuleType

import pytest

from notebooks_image.enclave_client.errors import EnclaveError


def test_a_profile_shows_rows_per_unit_and_quantiles(enclave: ModuleType) -> None:
    told = enclave.dataset("hospital-stays").profile()
    assert "paid once (ρ = 0.02), free here" in told.words
    assert "length_of_stay" in repr(told)
    assert "<table>" in told._repr_html_()


def test_advice_is_what_limit_and_mean_take(enclave: ModuleType) -> None:
    ds = enclave.dataset("hospital-stays")
    advice = ds.advise(rho=0.02)
    assert advice.words.startswith("For hospital-stays: .limit(rows=")
    assert 1 <= (advice.rows or 0) <= 20
    assert set(advice.high) == {"length_of_stay"}
    question = ds.limit(rows=advice.rows, groups=advice.groups).agg(
        enclave.mean("length_of_stay", 0, int(advice.high["length_of_stay"]))
    )
    assert question.to_json(1)["unit"] == {"rows": advice.rows, "groups": advice.groups}
    assert repr(advice).count("← advised") == 2
    assert "advised" in advice._repr_html_()


def test_a_column_without_a_profile_is_named(enclave: ModuleType) -> None:
    with pytest.raises(EnclaveError, match="not in the profile"):
        enclave.dataset("hospital-stays").advise().plot("sex", ax=object())
