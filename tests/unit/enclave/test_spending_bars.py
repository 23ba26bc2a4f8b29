from anonymisation.ledger_words import meaning, remains
from enclave.commands.budget_commands import _told_budget, _told_history
from enclave.commands.spending_bars import BAR, MONTHS_SHOWN, bars, by_month
from enclave.web.api import budget_json
from tests.unit.web.house_for_tests import HouseForTests


def test_months_of_all_projects_share_one_scale_and_no_spending_is_invisible() -> None:
    spent = by_month(
        [
            ("cardio", "2026-11-25T10:00:00+00:00", 60_000),
            ("cardio", "2026-11-26T10:00:00+00:00", 30_000),
            ("asthma", "2026-10-01T10:00:00+00:00", 1),
        ]
    )
    assert bars(spent) == [f"  asthma 2026-10  {BAR} 0.000001", f"  cardio 2026-11  {BAR * 30} 0.090000"]
    assert bars({}) == []


def test_a_long_project_shows_its_last_twelve_months() -> None:
    months = [f"20{year}-{month:02}" for year in (24, 25) for month in range(1, 13)]
    shown = bars(by_month(("cardio", month, 1) for month in months))
    assert [line.split()[1] for line in shown] == months[-MONTHS_SHOWN:]


def test_a_researcher_reads_spending_what_the_cap_means_and_what_remains() -> None:
    house = HouseForTests()
    (sheet,) = house.budget(house.person("researcher-a"), "heart-failure")
    told = "\n".join(_told_budget({"populations": [budget_json(sheet)]}))
    assert f"heart-failure {sheet.charges[0].when:%Y-%m}  {BAR * 30} 0.020000" in told
    assert meaning(1_000_000)["fr"] in told or meaning(1_000_000)["en"] in told
    assert remains()["fr"] in told or remains()["en"] in told


def test_a_steward_reads_each_projects_months_before_its_charges() -> None:
    charge = {"at": "2026-11-25T10:00:00", "project": "cardio", "person": "researcher-a", "dataset": "stays"}
    told = _told_history(
        {
            "population": "patients",
            "cap": 2_000_000,
            "spent": 20_000,
            "caps": [],
            "charges": [{**charge, "version": 1, "rho_micro": 20_000, "answered": True}],
        }
    )
    assert [line.split()[:2] for line in told[1:]] == [["cardio", "2026-11"], ["2026-11-25T10:00", "cardio"]]
