import subprocess
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from anonymisation import mock
from anonymisation.bounds import UNIT
from anonymisation.errors import BadQuestion
from tests.unit.anonymisation.question_tables import PER_ROW, STAYS

ROOT = Path(__file__).parents[3]


def test_a_mock_has_every_declared_column_within_its_domain_and_bounds() -> None:
    made = mock.rows(STAYS, 5_000, seed=1)
    assert made.columns == [UNIT, *(column.name for column in STAYS.columns)]
    assert set(made["dept"].drop_nulls()) == {"22", "29", "35", "56"}
    assert made["age"].is_between(0, 120).all()
    assert made["cost"].is_between(0, 5_000).all()
    assert (made["cost"] * 100 - (made["cost"] * 100).round()).abs().max() < 1e-6  # type: ignore[operator]
    assert made["entry"].is_between(date(2020, 1, 1), date(2022, 12, 31)).all()
    assert set(made["grade"].drop_nulls()) <= {1, 2, 9}
    assert 0 < made["dead"].null_count() < 500


def test_units_hold_at_most_the_declared_rows_and_lie_together() -> None:
    made = mock.rows(STAYS, 2_000, seed=1)
    assert made.group_by(UNIT).len()["len"].max() == STAYS.rows
    assert made[UNIT].is_sorted()
    assert mock.rows(PER_ROW, 50, seed=1)[UNIT].n_unique() == 50


def test_the_same_seed_gives_the_same_rows_and_another_dataset_others() -> None:
    first, again = mock.rows(STAYS, 100, seed=3), mock.rows(STAYS, 100, seed=3)
    assert first.equals(again)
    assert not first.equals(mock.rows(STAYS, 100, seed=4))
    assert not first.equals(mock.rows(replace(STAYS, dataset="stays-bis"), 100, seed=3))


@pytest.mark.parametrize("count", [0, -1, mock.MOST_ROWS + 1])
def test_a_mock_is_small(count: int) -> None:
    with pytest.raises(BadQuestion) as caught:
        mock.rows(STAYS, count, seed=1)
    assert caught.value.code == "mock_rows"


def test_json_columns_hold_dates_as_text() -> None:
    told = mock.as_columns(mock.rows(STAYS, 20, seed=1))
    assert {len(values) for values in told.values()} == {20}
    assert all(value is None or date.fromisoformat(value) for value in told["entry"])


def test_a_mock_is_made_where_no_store_engine_or_key_can_be_reached(tmp_path: Path) -> None:
    """In a process without the house, the vault, a socket or any file but the program's own."""
    program = """
import sys, socket, builtins
from anonymisation import mock
from tests.unit.anonymisation.question_tables import STAYS
def refused(*_, **__): raise SystemExit("reached out")
socket.socket = builtins.open = refused
assert mock.rows(STAYS, 1_000, 1).height == 1_000
assert not {name.split(".")[0] for name in sys.modules} & {"enclave", "vault", "audit", "opendp"}
assert "anonymisation.aggregate" not in sys.modules
print("made")
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("made\n", "")


def test_a_column_without_bounds_still_gets_numbers() -> None:
    assert mock.rows(STAYS, 10, seed=1)["weight"].dtype == pl.Float64
