"""A version written anew without some units: nothing else of it changes, and nothing half-written is seen."""

from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from tests.unit.vault.helpers import DOMAIN, Keyrings, query, receipt, research_table, write
from vault.compaction import Rewritten, compacted_folder, put_together, rewrite_shelf
from vault.errors import VaultDamaged, VaultDown, VaultRefused
from vault.manifest import Manifest, answers_context, read_manifest
from vault.shelf import open_shelf
from vault.shredding import shred_version

GONE = {3, 7, 40}
COMPACT = receipt("data.compact", "dataset:sejours")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "shelves"


@pytest.fixture
def old(root: Path, own: Keyrings) -> Manifest:
    research = research_table()
    identity = pa.table(
        {"_unit": research.column("_unit"), "nir": pa.array([f"n{row}" for row in range(research.num_rows)])}
    )
    return write(root, own.intake, shelves={"research": research, "identity": identity})


def shelf(root: Path, old: Manifest, name: str, folder: Path, own: Keyrings, **more: object) -> Rewritten:
    given = {"unwanted": GONE, "keys": getattr(own, f"compact_{name}"), "receipt": COMPACT} | more
    return rewrite_shelf(root, old, name, 2, folder, unit_column="_unit", **given)  # type: ignore[arg-type]


def compacted(root: Path, old: Manifest, own: Keyrings) -> Manifest:
    with compacted_folder(root, "sejours", 2) as folder:
        done = [shelf(root, old, name, folder, own) for name in ("research", "identity")]
        return put_together(folder, old, 2, done, own.operator)


def read(root: Path, manifest: Manifest, name: str, own: Keyrings) -> pl.DataFrame:
    reader = own.reident if name == "identity" else own.engine
    return open_shelf(root, manifest, name, reader, query()).read()


def test_the_unwanted_units_are_on_no_shelf_and_every_other_row_is_where_it_was(
    root: Path, old: Manifest, own: Keyrings
) -> None:
    made = compacted(root, old, own)
    assert read_manifest(
        root, "sejours", 2, public_key=own.engine.public_key("manifest"), expected_sha256=made.sha256
    )
    for name in ("research", "identity"):
        before, after = read(root, old, name, own), read(root, made, name, own)
        assert before.filter(pl.col("_unit").is_in(sorted(GONE))).height > 0
        assert after.equals(before.filter(~pl.col("_unit").is_in(sorted(GONE))))
    assert (made.previous, made.version, made.policy_sha256) == (old.sha256, 2, old.policy_sha256)
    assert made.columns == old.columns
    assert made.domains == {"diagnosis": tuple(DOMAIN)}


def test_every_key_is_new_and_the_old_version_is_untouched(root: Path, old: Manifest, own: Keyrings) -> None:
    before = {path: path.read_bytes() for path in (root / "sejours" / "v1").rglob("*.parquet")}
    made = compacted(root, old, own)
    assert not set(made.wrapped_keys.values()) & set(old.wrapped_keys.values())
    assert {path: path.read_bytes() for path in before} == before
    swapped = made.model_copy(update={"wrapped_keys": old.wrapped_keys})
    with pytest.raises(VaultDamaged):
        read(root, swapped, "research", own)


def test_when_the_old_version_is_destroyed_its_answers_may_stay(
    root: Path, old: Manifest, own: Keyrings
) -> None:
    context, act = answers_context("sejours", 1), receipt("data.shred", "dataset:sejours")
    key, wrapped = own.engine.new_data_key("answers", context, query())
    shred_version(root, "sejours", 1, own.operator, act, keep_answers=True)
    assert own.engine.unwrap("answers", wrapped, context, query()) == key
    assert not (root / "sejours" / "v1").exists()
    shred_version(root, "sejours", 1, own.operator, act)
    with pytest.raises(VaultRefused):
        own.engine.unwrap("answers", wrapped, context, query())


def test_nothing_is_unwanted_and_everything_is(root: Path, old: Manifest, own: Keyrings) -> None:
    told: list[tuple[int, int]] = []
    with compacted_folder(root, "sejours", 2) as folder:
        all_kept = shelf(
            root, old, "research", folder, own, unwanted=(), progress=lambda *at: told.append(at)
        )
        none_kept = shelf(root, old, "identity", folder, own, unwanted=range(100))
        assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
        assert sum(part.rows for part in all_kept.parts) == 400
        assert sum(part.rows for part in none_kept.parts) == 0
        with pytest.raises(VaultDamaged) as caught:
            put_together(folder, old, 2, [all_kept, none_kept], own.operator)
        assert caught.value.code == "compaction_shelves_differ"
        with pytest.raises(VaultDamaged):
            put_together(folder, old, 2, [all_kept], own.operator)
        (folder / "manifest.json").write_text("{}")


def test_a_shelf_is_rewritten_by_whoever_may_open_that_shelf_and_by_nobody_else(
    root: Path, old: Manifest, own: Keyrings, tmp_path: Path
) -> None:
    for name in ("research", "identity"):
        for other in (own.engine, own.operator, own.reident, own.intake, own.compact_text):
            with pytest.raises(VaultRefused) as refused:
                shelf(root, old, name, tmp_path, own, keys=other)
            assert refused.value.code == "key_right_missing"
    with pytest.raises(VaultRefused):
        shelf(root, old, "identity", tmp_path, own, keys=own.compact_research)
    with pytest.raises(VaultRefused) as refused:
        shelf(root, old, "research", tmp_path, own, receipt=query())
    assert refused.value.code == "receipt_mismatch"


def test_a_damaged_part_or_a_full_disk_leaves_the_old_version_alone(
    root: Path, old: Manifest, own: Keyrings, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = root / "sejours" / "v1" / old.parts[0].path
    good = part.read_bytes()
    part.write_bytes(good[:-40] + bytes([good[-40] ^ 1]) + good[-39:])
    with pytest.raises(VaultDamaged):
        compacted(root, old, own)
    part.write_bytes(good)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("vault.compaction.write_encrypted", full)
    with pytest.raises(VaultDown):
        compacted(root, old, own)
    assert [path.name for path in (root / "sejours").iterdir()] == ["v1"]
    assert read(root, old, "research", own).height == 400


def test_no_list_of_words_keeps_the_name_of_somebody_who_is_gone(root: Path, own: Keyrings) -> None:
    people = pa.table(
        {
            "_unit": pa.array(range(1_200), pa.uint64()),
            "name": ["only-theirs" if unit in GONE else f"name-{unit % 40}" for unit in range(1_200)],
        }
    )
    old = write(root, own.intake, shelves={"identity": people}, version=1)
    with compacted_folder(root, "sejours", 2) as folder:
        made = put_together(folder, old, 2, [shelf(root, old, "identity", folder, own)], own.operator)
    kept = open_shelf(root, made, "identity", own.reident, query())
    words = {
        word
        for file in kept.files
        for chunk in file.read(kept.schema, ["name"]).column("name").chunks
        for word in chunk.dictionary.to_pylist()
    }
    assert words == {f"name-{number}" for number in range(40)}
