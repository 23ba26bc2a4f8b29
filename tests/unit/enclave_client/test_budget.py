"""What a researcher sees of the budget: what is left, what was spent when, what a cap means, and what remains once it is spent."""

from datetime import UTC, datetime
from types import ModuleType
from typing import Any

import pytest

from anonymisation.ledger_words import RECOMMENDED, meaning, remains
from notebooks_image.enclave_client.budget import BAR, MONTHS_SHOWN, Budget, Share

CAPS = {"cap_rho_micro": RECOMMENDED.project, "left_rho_micro": 400_000}


class Axes:
    """Stands for matplotlib's axes, which the notebook environment has; the worked notebook draws on the real ones."""

    def __init__(self) -> None:
        self.told: dict[str, tuple[Any, ...]] = {}

    def __getattr__(self, name: str) -> Any:
        def keep(*arguments: Any, **_: Any) -> None:
            self.told[name] = arguments

        return keep


def share(*charges: tuple[str, int], name: str = "normandie") -> Share:
    told = [
        {
            "when": f"{month}-15T10:00:00+00:00",
            "person": "researcher-a",
            "dataset": "stays",
            "rho_micro": rho,
            "question_sha256": "ab" * 32,
        }
        for month, rho in charges
    ]
    return Share(
        {
            "population": {**CAPS, "name": name},
            "project": CAPS,
            "person": CAPS,
            "means": meaning(RECOMMENDED.project),
            "once_spent": remains(),
            "charges": told,
            "outside": [],
        }
    )


def test_spending_is_told_by_month_with_bars_on_one_scale(enclave: ModuleType) -> None:
    spent = share(("2026-09", 10_000), ("2026-09", 50_000), ("2026-11", 1_000))
    assert spent.by_month() == {"2026-09": 60_000, "2026-11": 1_000}
    assert spent.bars() == [f"2026-09  {BAR * 30} ρ = 0.06", f"2026-11  {BAR} ρ = 0.001"]
    assert share().bars() == []


def test_a_long_project_shows_its_last_year(enclave: ModuleType) -> None:
    many = [(f"20{year}-{month:02}", 1_000) for year in (24, 25) for month in range(1, 13)]
    assert [line[:7] for line in share(*many).bars()] == [month for month, _ in many[-MONTHS_SHOWN:]]


def test_the_drawing_climbs_to_what_was_spent_below_the_cap(enclave: ModuleType) -> None:
    axes = Axes()
    drawn = Budget(normandie=share(("2026-09", 10_000), ("2026-11", 90_000))).plot(axes)
    assert drawn is axes
    times, spent = axes.told["step"]
    assert spent == [0.01, 0.1]
    assert times[0] == datetime(2026, 9, 15, 10, tzinfo=UTC)
    assert axes.told["axhline"] == (RECOMMENDED.project / 1e6,)
    assert "cap" in axes.told["set_ylabel"][0]


def test_each_population_wants_axes_of_its_own(enclave: ModuleType) -> None:
    both = Budget(normandie=share(("2026-09", 1)), bretagne=share(name="bretagne"))
    axes = [Axes(), Axes()]
    assert both.plot(axes) == axes
    assert [each.told["step"][1] for each in axes] == [[1e-6], []]
    with pytest.raises(ValueError, match="No population"):
        Budget().plot()


@pytest.mark.parametrize("spoken", ["fr", "en"])
def test_the_cap_is_told_in_words_and_what_remains_once_it_is_spent(enclave: ModuleType, spoken: Any) -> None:
    enclave.language(spoken)
    told = repr(Budget(normandie=share(("2026-09", 1)), bretagne=share(name="bretagne")))
    assert told.count(meaning(RECOMMENDED.project)[spoken]) == 2
    assert told.count(remains()[spoken]) == 1


def test_the_house_tells_when_and_what_was_spent(enclave: ModuleType) -> None:
    left = enclave.budget()["normandie"]
    (charge,) = left.charges
    assert (charge.person, charge.dataset, charge.rho_micro) == ("researcher-a", "hospital-stays", 20_000)
    assert left.means == meaning(1_000_000)["en"]
    assert f"{BAR * 30} ρ = 0.02" in enclave.budget()._repr_html_()
