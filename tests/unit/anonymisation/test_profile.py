from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from anonymisation import adviser, noise, profile
from anonymisation.bounds import UNIT, Table
from anonymisation.errors import BadQuestion
from anonymisation.profile import Bin, Profile
from tests.unit.anonymisation.question_tables import PER_ROW, SCHEMA, SEED, STAYS, frame

UNITS = 3_000


def stays(seed: int = 1) -> list[pl.LazyFrame]:
    """Two parts; a unit has 1 to 12 rows, fewer more often; ages and costs gather at the low end."""
    rng = np.random.default_rng(seed)
    sizes = np.minimum(rng.geometric(0.4, UNITS), 12)
    units = np.repeat(np.arange(UNITS, dtype=np.uint64), sizes)
    made = pl.DataFrame(
        {
            UNIT: units,
            "age": np.clip(rng.normal(60, 15, units.size), 0, 120).astype(int),
            "cost": np.round(np.minimum(rng.exponential(300, units.size), 5_000), 2),
        }
    )
    whole = frame().join(made, on=[UNIT, "age", "cost"], how="right").select(list(SCHEMA)).cast(SCHEMA)
    return [whole.filter(pl.col(UNIT) % 2 == half).sort(UNIT).lazy() for half in (0, 1)]


@pytest.fixture(scope="module")
def made() -> Profile:
    return profile.compute(STAYS, 200_000, stays(), SEED)


def test_a_profile_finds_rows_per_unit_and_quantiles(made: Profile) -> None:
    sizes = pl.concat(stays()).group_by(UNIT).len().collect()["len"]
    singles = next(one for one in made.rows_per_unit if one.low == 1)
    assert singles.units == pytest.approx((sizes == 1).sum(), abs=40)
    assert made.rows == pytest.approx(sizes.sum(), rel=0.1)
    for rows in (1, 2, 4):
        dropped = float((sizes.cast(pl.Int64) - rows).clip(0).sum()) / float(sizes.sum())
        assert made.dropped(rows) == pytest.approx(dropped, abs=0.03)
    medians = {name: {one.prob: one.value for one in each}["0.5"] for name, each in made.columns.items()}
    assert set(medians) == {"age", "cost"}
    assert medians["age"] == pytest.approx(60, abs=4)
    assert medians["cost"] == pytest.approx(208, abs=60)


def test_a_profile_costs_no_more_than_was_offered_whatever_the_data(made: Profile) -> None:
    assert 0 < made.rho_micro <= 200_000
    assert made.rho_micro == profile.price(STAYS, 200_000)
    assert profile.price(PER_ROW, 20_000) <= 20_000


def test_one_unit_more_moves_one_bin_by_one() -> None:
    parts = stays()
    more = frame(*[{UNIT: 10**9, "dept": dept} for dept in ("22", "29", "22", "99", None, "22", "35")]).lazy()
    for name, many in ((profile.ROWS, 7), ("dept", 3)):
        before, after = (
            sum(profile._counted(profile._sizes(part, STAYS.column(name))) for part in some)
            for some in (parts, [*parts, more])
        )
        assert np.abs(after - before).tolist() == [int(start == many) for start in profile.STARTS]


def test_the_noise_of_rows_per_unit_is_what_its_price_buys(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float] = []
    monkeypatch.setattr(noise, "add", lambda exact, scale: (seen.append(scale), exact)[1])
    profile._per_unit([profile._sizes(part, None) for part in stays()], 5_000)
    assert seen == [pytest.approx(10.0)]  # rho = 1 / (2 * 10**2)


def test_a_profile_is_kept_as_json(made: Profile) -> None:
    assert Profile.from_json(made.to_json()) == made


def test_where_the_unit_is_the_row_only_values_are_profiled() -> None:
    rows = pl.concat(stays()).with_columns(pl.int_range(pl.len(), dtype=pl.UInt64).alias(UNIT))
    found = profile.compute(PER_ROW, 100_000, [rows], SEED)
    assert (found.rows_per_unit, found.dropped(1), found.rows) == ((), None, 0)
    assert adviser.advise(PER_ROW, found, 10_000).rows == ()


def test_a_table_without_numbers_spends_all_on_rows_per_unit() -> None:
    plain = replace(STAYS, columns=tuple(one for one in STAYS.columns if one.kind == "boolean"))
    assert profile.price(plain, 5_000) == 5_000
    assert profile.compute(plain, 5_000, stays(), SEED).columns == {}


@pytest.mark.parametrize("offer", [-1, 0, 999, 10**9])
def test_an_offer_too_small_or_too_large_is_refused(offer: int) -> None:
    with pytest.raises(BadQuestion) as caught:
        profile.compute(STAYS, offer, [], SEED)
    assert caught.value.code == "profile_price"


def test_another_version_or_price_is_another_entry_of_the_ledger() -> None:
    names = {
        profile.digest(STAYS, 1),
        profile.digest(STAYS, 2),
        profile.digest(replace(STAYS, version=4), 1),
        profile.digest(replace(STAYS, dataset="stays-bis"), 1),
    }
    assert len(names) == 4


def test_the_share_left_out_is_told_in_words() -> None:
    assert "environ 3,4\u00a0%" in profile.words(0.034, 4)["fr"]
    assert "about 34% of rows" in profile.words(0.341, 1)["en"]


def advice(table: Table = STAYS, rho_micro: int = 2_000) -> adviser.Advice:
    return adviser.advise(table, profile.compute(STAYS, 200_000, stays(), SEED), rho_micro)


def test_the_adviser_weighs_what_is_left_out_against_noise() -> None:
    cheap, dear = advice(rho_micro=500), advice(rho_micro=500_000)
    for told in (cheap, dear):
        shares = [one.dropped for one in told.rows]
        assert shares == sorted(shares, reverse=True)
        widths = [one.plus_minus for one in told.rows]
        assert widths == sorted(widths)
        assert [one.best for one in told.rows].count(True) == 1
    best = [next(one.rows for one in told.rows if one.best) for told in (cheap, dear)]
    assert best[0] < best[1]
    assert cheap.groups <= STAYS.groups


def test_a_skewed_column_is_advised_a_bound_below_the_declared_one() -> None:
    choices = advice().columns["cost"]
    best = next(one for one in choices if one.best)
    assert 200 < best.high < 5_000
    assert [one.bias for one in choices] == sorted((one.bias for one in choices), reverse=True)


def test_a_column_far_from_its_lower_bound_is_advised_one_that_saves_noise() -> None:
    table = replace(STAYS, columns=(replace(STAYS.columns[3], low="-5000"),))
    found = profile.compute(table, 200_000, stays(), SEED)
    choices = adviser.advise(table, found, 2_000).lows["cost"]
    best = next(one for one in choices if one.best)
    assert -500 < best.low <= 100
    assert [one.low for one in choices] == sorted((one.low for one in choices), reverse=True)
    widths = [one.plus_minus for one in choices]
    assert widths == sorted(widths)
    assert choices[-1].clipped == choices[-1].bias == 0


def test_groups_of_a_unit_are_weighed_for_each_category() -> None:
    bins = (
        Bin(1, 1, 5_000, clear=True),
        Bin(2, 2, 800, clear=True),
        Bin(3, 3, 30, clear=True),
        Bin(4, 4, 2, clear=False),
    )
    known = Profile(
        "stays", 3, 1, tuple(replace(one, units=9_000) for one in bins), {}, {"dept": bins, "gone": bins}
    )
    cheap, dear = (adviser.advise(STAYS, known, rho_micro).groups_by for rho_micro in (1, 100_000))
    assert set(cheap) == {"dept"}
    assert [one.groups for one in dear["dept"]] == [1, 2, 3]
    assert [one.dropped for one in dear["dept"]] == [round(860 / 6_690, 4), round(30 / 6_690, 4), 0.0]
    best = [next(one.groups for one in each["dept"] if one.best) for each in (cheap, dear)]
    assert best == [1, 3]


def test_a_profile_counts_the_groups_of_a_unit() -> None:
    rows = [{UNIT: unit, "dept": dept} for unit in range(400) for dept in ("22", "29", "22")[: 1 + unit % 3]]
    found = profile.compute(STAYS, 10_000_000, [frame(*rows).lazy()], SEED)
    assert set(found.groups_per_unit) == {"dept"}
    ones, twos, *_ = found.groups_per_unit["dept"]
    assert (ones.units, twos.units) == (pytest.approx(134, abs=4), pytest.approx(266, abs=4))
    assert Profile.from_json({**found.to_json(), "groups_per_unit": {}}).groups_per_unit == {}


def test_without_a_counted_unit_nothing_is_advised() -> None:
    empty = Profile("stays", 3, 1, (Bin(1, 1, 2, clear=False),), {"age": ()})
    told = adviser.advise(STAYS, empty, 1_000)
    assert (told.rows, told.columns) == ((), {})
    assert told.to_json()["groups"] == 2
