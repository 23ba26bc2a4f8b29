import re
from datetime import UTC, datetime, timedelta

from enclave.web.sheets import PopulationCharge
from enclave.web.spending import HEIGHT, MONTHS, drawings
from tests.unit.web.browser import World
from tests.unit.web.stories import run


def test_a_steward_sees_spending_caps_and_declared_columns() -> None:
    async def story() -> None:
        world = World()
        steward = await world.browser("steward-a")
        assert "/enclave/populations" in (await steward.get("")).text
        assert "1 population a des données." in (await steward.get("populations")).text
        text = (await steward.get("populations/normandie")).text
        assert "0,06 dépensés sur 2 (ρ)\u202f: il reste 97\u202f%." in text
        assert "64 sur 100" in text
        assert text.count("<svg role=") == 2
        assert "asthma&lt;b&gt;" in text
        assert "asthma<b>" not in text
        assert "length_of_stay" in text
        assert "Au plus 2 lignes dans un même groupe." in text
        assert "payé une fois\u202f: 0,02 (ρ)" in text
        assert "valeurs de cim10 par unité" in text
        assert "enclave dataset profile results" in text
        assert ", jamais vide" in text
        assert not re.search(r"\sstyle=|<script(?! src)", text)

    run(story())


def test_a_drawing_is_told_in_words_and_as_a_table_too() -> None:
    async def story() -> None:
        browser = await World().browser("auditor-a")
        await browser.post("language", to="en")
        text = (await browser.get("populations/normandie")).text
        assert 'aria-label="Monthly spending of the project heart-failure, 0.04 (ρ) in all' in text
        assert text.count("<tr><td>") >= 2 * MONTHS

    run(story())


def test_nobody_else_sees_populations() -> None:
    async def story() -> None:
        world = World()
        researcher = await world.browser("researcher-a")
        assert "/enclave/populations" not in (await researcher.get("")).text
        assert (await researcher.get("populations")).status_code == 403
        assert (await researcher.get("populations/normandie")).status_code == 403
        steward = await world.browser("steward-a")
        assert (await steward.get("populations/other")).status_code == 404

    run(story())


def test_bars_share_one_scale_and_no_spending_is_invisible() -> None:
    now = datetime(2026, 3, 15, tzinfo=UTC)
    charges = [
        PopulationCharge(now, "a", 1_000_000),
        PopulationCharge(now - timedelta(days=31), "b", 1),
        PopulationCharge(now - timedelta(days=800), "b", 500),
    ]
    first, second = drawings(charges, now)
    assert (first.project, first.bars[-1].height, first.bars[-1].y) == ("a", HEIGHT, 0)
    assert (second.rho_micro, second.questions) == (501, 2)
    assert [bar.height for bar in second.bars if bar.rho_micro] == [1]
    assert [bar.month.month for bar in first.bars] == [4, 5, 6, 7, 8, 9, 10, 11, 12, 1, 2, 3]
    assert drawings([], now) == []
