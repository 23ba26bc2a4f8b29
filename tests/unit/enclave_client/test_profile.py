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
    assert set(advice.high) == set(advice.low) == {"length_of_stay"}
    assert advice.low["length_of_stay"] < advice.high["length_of_stay"]
    assert set(advice.groups_by) == {"cim10"}
    question = ds.limit(rows=advice.rows, groups=advice.groups).agg(
        enclave.mean("length_of_stay", 0, int(advice.high["length_of_stay"]))
    )
    assert question.to_json(1)["unit"] == {"rows": advice.rows, "groups": advice.groups}
    assert repr(advice).count("← advised") == 4
    assert "values of cim10" in repr(advice)
    assert "advised" in advice._repr_html_()


def test_a_column_without_a_profile_is_named(enclave: ModuleType) -> None:
    with pytest.raises(EnclaveError, match="not in the profile"):
        enclave.dataset("hospital-stays").advise().plot("sex", ax=object())


class Axes:
    """What a picture is drawn on, as far as it is asked."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.label = ""

    def plot(self, _x: object, _y: object, *, marker: str, label: str) -> None:
        self.lines.append(label)

    def axvline(self, at: float, **_: object) -> None:
        self.best = at

    def bar(self, names: list[str], _heights: object) -> None:
        self.names = names

    def set_xlabel(self, label: str) -> None:
        self.label = label

    def set_ylabel(self, _: str) -> None: ...

    def legend(self, **_: object) -> None: ...


def test_every_trade_off_is_drawn_with_the_advised_choice(enclave: ModuleType) -> None:
    advice = enclave.dataset("hospital-stays").advise(rho=0.02)
    for drawn, best, label in (
        ({}, advice.rows, "rows kept of a unit"),
        ({"column": "length_of_stay"}, advice.high["length_of_stay"], "length_of_stay (upper bound)"),
        (
            {"column": "length_of_stay", "lower": True},
            advice.low["length_of_stay"],
            "length_of_stay (lower bound)",
        ),
        ({"column": "cim10"}, advice.groups_by["cim10"], "values of cim10 kept of a unit"),
    ):
        axes = advice.plot(ax=Axes(), **drawn)
        assert axes.lines == ["bias", "noise (95%)", "total error"]
        assert (axes.best, axes.label) == (best, label)
    profile = enclave.dataset("hospital-stays").profile()
    assert profile.plot("cim10", ax=Axes()).names == ["1", "2", "3"]
