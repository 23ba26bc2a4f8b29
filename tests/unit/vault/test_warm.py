"""Columns kept in memory: fewer decryptions, never fewer checks."""

import threading
from pathlib import Path

import polars as pl
import pytest

from tests.unit.vault.helpers import DOMAIN, Keyrings, query, receipt, research_table, write
from vault import parquet
from vault.errors import VaultDamaged, VaultRefused
from vault.manifest import Manifest, version_folder
from vault.shelf import Shelf, open_shelf
from vault.shredding import shred_version
from vault.warm import Source, WarmColumns

HOUR, PLENTY = 3600.0, 10**9


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Write down which columns are decrypted."""
    seen: list[list[str]] = []
    real = parquet.EncryptedFile.read

    def watched(file, schema, columns):
        seen.append(list(columns))
        return real(file, schema, columns)

    monkeypatch.setattr(parquet.EncryptedFile, "read", watched)
    return seen


def opened(root: Path, keys: Keyrings, manifest: Manifest, warm: WarmColumns) -> Shelf:
    return open_shelf(root, manifest, "research", keys.engine, query(), warm)


def total(shelf: Shelf) -> float:
    return float(
        shelf.scan().filter(pl.col("diagnosis") == DOMAIN[0]).select(pl.col("cost").sum()).collect().item()
    )


def test_the_second_question_decrypts_nothing_again_and_another_only_what_is_new(
    tmp_path: Path, shared: Keyrings, read: list[list[str]]
) -> None:
    manifest, warm = write(tmp_path, shared.intake, buckets=1), WarmColumns(HOUR, PLENTY)
    first = total(opened(tmp_path, shared, manifest, warm))
    assert sorted(read.pop()) == ["cost", "diagnosis"]
    assert total(opened(tmp_path, shared, manifest, warm)) == first
    assert read == []
    whole = opened(tmp_path, shared, manifest, warm).read()
    assert [sorted(columns) for columns in read] == [["_unit", "day"]]
    assert whole.equals(
        open_shelf(tmp_path, manifest, "research", shared.engine, query()).read(whole.columns)
    )
    assert whole.columns == list(research_table().column_names)


def test_every_part_is_kept_apart(tmp_path: Path, shared: Keyrings) -> None:
    manifest, warm = write(tmp_path, shared.intake), WarmColumns(HOUR, PLENTY)
    cold = opened(tmp_path, shared, manifest, warm).read()
    assert opened(tmp_path, shared, manifest, warm).read().equals(cold)
    assert cold.height == 400


def test_each_opening_asks_for_the_key_under_a_receipt_of_its_own(tmp_path: Path, shared: Keyrings) -> None:
    manifest, warm = write(tmp_path, shared.intake), WarmColumns(HOUR, PLENTY)
    opened(tmp_path, shared, manifest, warm).read()
    with pytest.raises(VaultRefused):
        open_shelf(
            tmp_path, manifest, "research", shared.engine, receipt("data.import", "dataset:sejours"), warm
        )
    with pytest.raises(VaultRefused):
        open_shelf(tmp_path, manifest, "research", shared.intake, query(), warm)


def test_a_shredded_version_is_refused_at_once_and_forgotten(tmp_path: Path, own: Keyrings) -> None:
    manifest, warm = write(tmp_path, own.intake), WarmColumns(HOUR, PLENTY)
    opened(tmp_path, own, manifest, warm).read()
    assert warm.bytes
    shred_version(tmp_path, "sejours", 1, own.operator, receipt("data.shred", "dataset:sejours"))
    with pytest.raises(VaultRefused) as caught:
        opened(tmp_path, own, manifest, warm)
    assert caught.value.code == "key_shredded"
    assert warm.bytes == 0


def test_what_was_being_read_when_its_dataset_was_purged_is_not_kept() -> None:
    warm, source = WarmColumns(60, 10**6), Source("sejours", "a" * 64, "research/part-00000")

    def read(names: list[str]) -> pl.DataFrame:
        warm.purge("sejours")
        return pl.DataFrame({name: [1, 2] for name in names})

    assert warm.frame(source, ["cost"], read).height == 2
    assert warm.bytes == 0


def test_another_version_takes_the_place_of_the_one_before(
    tmp_path: Path, shared: Keyrings, read: list[list[str]]
) -> None:
    warm = WarmColumns(HOUR, PLENTY)
    one = write(tmp_path, shared.intake)
    two = write(tmp_path, shared.intake, table=research_table(seed=2), version=2)
    first = opened(tmp_path, shared, one, warm).read()
    held = warm.bytes
    assert not opened(tmp_path, shared, two, warm).read().equals(first)
    assert warm.bytes == pytest.approx(held, rel=0.1)
    read.clear()
    opened(tmp_path, shared, one, warm).read()
    assert read


def test_what_was_kept_long_enough_is_read_again_and_swept_where_nobody_asks(
    tmp_path: Path, shared: Keyrings, read: list[list[str]]
) -> None:
    clock = Clock()
    manifest, warm = write(tmp_path, shared.intake), WarmColumns(HOUR, PLENTY, clock)
    opened(tmp_path, shared, manifest, warm).read()
    clock.now = HOUR - 1
    warm.sweep()
    assert warm.bytes
    clock.now = HOUR
    read.clear()
    opened(tmp_path, shared, manifest, warm).read(["cost"])
    assert read
    warm.sweep()
    held = warm.bytes
    assert held
    clock.now = 2 * HOUR
    warm.sweep()
    assert warm.bytes == 0


def test_an_idle_process_forgets_by_itself() -> None:
    gone = threading.Event()

    class Told(WarmColumns):
        def sweep(self) -> None:
            super().sweep()
            gone.set()

    warm = Told(0.01, PLENTY)
    warm.frame(Source("sejours", "0", "part"), ["x"], lambda _: pl.DataFrame({"x": [1]}))
    assert gone.wait(30)
    assert warm.bytes == 0


def test_no_more_is_kept_than_allowed_and_the_oldest_goes_first() -> None:
    warm, column = WarmColumns(HOUR, 2_000), pl.DataFrame({"x": range(100)})
    asked: list[str] = []

    def ask(part: str) -> None:
        def read(_: list[str]) -> pl.DataFrame:
            asked.append(part)
            return column

        assert warm.frame(Source("sejours", "0", part), ["x"], read).equals(column)

    for part in ("a", "b", "a", "c", "a", "b"):
        ask(part)
    assert asked == ["a", "b", "c", "b"]
    assert warm.bytes <= 2_000


def test_a_damaged_part_is_named_and_not_kept(tmp_path: Path, shared: Keyrings) -> None:
    manifest, warm = write(tmp_path, shared.intake), WarmColumns(HOUR, PLENTY)
    path = version_folder(tmp_path, "sejours", 1) / "research/part-00002.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    path.write_bytes(content)
    shelf = opened(tmp_path, shared, manifest, warm)
    with pytest.raises(VaultDamaged, match="part-00002"), shelf.named_failures():
        shelf.scan().collect()
