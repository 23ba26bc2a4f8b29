"""Rows on their way to their buckets."""

import stat
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from vault.errors import VaultDamaged
from vault.spill import Spill


def batch(first: int, rows: int) -> pa.RecordBatch:
    numbers = list(range(first, first + rows))
    texts = [None if number % 7 == 0 else f"secret-{number}" for number in numbers]
    return pa.record_batch({"number": pa.array(numbers), "text": pa.array(texts)})


@pytest.fixture
def spill(tmp_path: Path) -> Iterator[Spill]:
    held = Spill(tmp_path / "spill")
    yield held
    held.close()


def filled(spill: Spill) -> None:
    spill.put(1, batch(100, 6), [0, 1, 3, 6])
    spill.put(0, batch(0, 10), [0, 4, 4, 10])


def test_rows_are_taken_up_by_bucket_in_their_turn_and_once(spill: Spill) -> None:
    filled(spill)
    assert spill.take(0) == [batch(0, 4), batch(100, 1)]
    assert spill.take(1) == [batch(101, 2)]
    assert spill.take(2) == [batch(4, 6), batch(103, 3)]
    assert spill.take(3) == spill.take(0) == []


def test_nothing_on_the_disk_is_plain_or_for_others(spill: Spill, tmp_path: Path) -> None:
    filled(spill)
    file = tmp_path / "spill"
    assert b"secret" not in file.read_bytes()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("place", [0, 200, -1])
def test_a_changed_byte_is_found(spill: Spill, tmp_path: Path, place: int) -> None:
    filled(spill)
    content = bytearray((tmp_path / "spill").read_bytes())
    content[place] ^= 1
    (tmp_path / "spill").write_bytes(content)
    with pytest.raises(VaultDamaged) as caught:
        [spill.take(bucket) for bucket in range(3)]
    assert caught.value.code == "spill_damaged"


def test_a_file_cut_short_is_found(spill: Spill, tmp_path: Path) -> None:
    filled(spill)
    (tmp_path / "spill").write_bytes((tmp_path / "spill").read_bytes()[:-5])
    with pytest.raises(VaultDamaged):
        [spill.take(bucket) for bucket in range(3)]


def test_a_piece_put_in_the_place_of_another_is_found(spill: Spill, tmp_path: Path) -> None:
    spill.put(0, batch(0, 5), [0, 5])
    size = (tmp_path / "spill").stat().st_size
    spill.put(1, batch(100, 5), [0, 5])
    content = (tmp_path / "spill").read_bytes()
    (tmp_path / "spill").write_bytes(content[size:] + content[:size])
    with pytest.raises(VaultDamaged):
        spill.take(0)
