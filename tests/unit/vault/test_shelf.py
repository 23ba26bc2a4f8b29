import os
import signal
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from polars.exceptions import ComputeError

from tests.unit.vault.helpers import (
    DOMAIN,
    Keyrings,
    query,
    receipt,
    research_table,
    write,
)
from vault import parquet
from vault.errors import VaultDamaged, VaultDown, VaultRefused, VaultUsage
from vault.manifest import Manifest, read_manifest, version_folder
from vault.shelf import Shelf, keep_pages, open_shelf
from vault.shredding import shred_version
from vault.version import clean_partials


def opened(root: Path, keys: Keyrings, manifest: Manifest, shelf: str = "research") -> Shelf:
    return open_shelf(root, manifest, shelf, keys.engine, query(manifest.dataset))


def sorted_rows(frame: pl.DataFrame) -> list[tuple[object, ...]]:
    return sorted(frame.with_columns(pl.col("diagnosis").cast(pl.String)).rows())


@pytest.fixture
def plain() -> pl.DataFrame:
    frame = pl.from_arrow(research_table())
    assert isinstance(frame, pl.DataFrame)
    return frame


def test_every_row_comes_back_once_by_every_way_of_reading(
    tmp_path: Path, shared: Keyrings, plain: pl.DataFrame
) -> None:
    shelf = opened(tmp_path, shared, write(tmp_path, shared.intake))
    for frame in (shelf.read(), shelf.scan().collect(), pl.concat(pl.collect_all(shelf.parts()))):
        assert sorted_rows(frame) == sorted_rows(plain)


def test_one_part_holds_all_when_there_is_one_bucket(
    tmp_path: Path, shared: Keyrings, plain: pl.DataFrame
) -> None:
    shelf = opened(tmp_path, shared, write(tmp_path, shared.intake, buckets=1))
    assert sorted_rows(shelf.read()) == sorted_rows(plain)


def test_a_scan_reads_only_the_columns_and_rows_that_are_asked_for(
    tmp_path: Path, shared: Keyrings, plain: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = opened(tmp_path, shared, write(tmp_path, shared.intake))
    asked: list[tuple[str, ...]] = []
    read = parquet.EncryptedFile.read

    def watched(file, schema, columns):
        asked.append(tuple(columns))
        return read(file, schema, columns)

    monkeypatch.setattr(parquet.EncryptedFile, "read", watched)
    found = shelf.scan().filter(pl.col("diagnosis") == "aa").select(pl.col("cost").sum()).collect().item()
    assert found == pytest.approx(plain.filter(pl.col("diagnosis").cast(pl.String) == "aa")["cost"].sum())
    assert {column for columns in asked for column in columns} == {"diagnosis", "cost"}


def test_a_scan_that_wants_few_rows_stops_early(tmp_path: Path, shared: Keyrings) -> None:
    shelf = opened(tmp_path, shared, write(tmp_path, shared.intake))
    assert shelf.scan().head(150).collect().height == 150
    assert shelf.scan().head(3).collect().height == 3
    assert shelf.read(["cost"]).columns == ["cost"]


def test_declared_domains_come_back_as_enums_in_their_declared_order(
    tmp_path: Path, shared: Keyrings
) -> None:
    shelf = opened(tmp_path, shared, write(tmp_path, shared.intake))
    assert shelf.scan().collect_schema()["diagnosis"] == pl.Enum(DOMAIN)
    assert shelf.read().schema == shelf.scan().collect_schema()


def test_a_privacy_unit_lies_in_one_part_and_its_rows_are_neighbours(
    tmp_path: Path, shared: Keyrings
) -> None:
    shelf = opened(tmp_path, shared, write(tmp_path, shared.intake))
    units = [part.collect()["_unit"] for part in shelf.parts()]
    assert sum(part.n_unique() for part in units) == pl.concat(units).n_unique()
    assert all(part.is_sorted() for part in units)


def test_the_same_unit_falls_into_the_same_bucket_of_every_shelf_and_version(
    tmp_path: Path, shared: Keyrings
) -> None:
    identity = pa.table({"_unit": pa.array(range(100), pa.uint64()), "name": [f"n{i}" for i in range(100)]})
    first = write(tmp_path, shared.intake)
    later = write(tmp_path, shared.intake, table=research_table(seed=2), version=2)
    people = write(tmp_path, shared.intake, shelves={"identity": identity}, version=3)
    names = open_shelf(tmp_path, people, "identity", shared.reident, query())
    parts = zip(
        names.parts(),
        opened(tmp_path, shared, first).parts(),
        opened(tmp_path, shared, later).parts(),
        strict=True,
    )
    for people, *rows in parts:
        known = set(people.collect()["_unit"])
        assert all(set(part.collect()["_unit"]) <= known for part in rows)


def test_nothing_on_disk_shows_a_value_a_column_or_a_domain(tmp_path: Path, shared: Keyrings) -> None:
    table = pa.table(
        {"_unit": pa.array([7, 7], pa.uint64()), "secret_column": ["very-secret-value", "very-secret-value"]}
    )
    write(tmp_path, shared.intake, table=table, domains={})
    for path in tmp_path.rglob("*.parquet"):
        content = path.read_bytes()
        assert content.startswith(b"PARE")
        assert content.endswith(b"PARE")
        assert b"secret" not in content
        assert b"sejours|1" not in content


def test_files_and_folders_are_for_their_owner_alone(tmp_path: Path, shared: Keyrings) -> None:
    write(tmp_path / "shelves", shared.intake)
    for path in (tmp_path / "shelves").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)


def test_each_shelf_has_its_own_key(tmp_path: Path, shared: Keyrings) -> None:
    shelves = {"identity": research_table(), "research": research_table()}
    manifest = write(tmp_path, shared.intake, shelves=shelves)
    wrapped = dict(manifest.wrapped_keys)
    with pytest.raises(VaultRefused):
        open_shelf(tmp_path, manifest, "identity", shared.engine, query())
    swapped = manifest.model_copy(update={"wrapped_keys": wrapped | {"research": wrapped["identity"]}})
    with pytest.raises(VaultDamaged):
        opened(tmp_path, shared, swapped)


def test_progress_counts_parts_up_to_the_last(tmp_path: Path, shared: Keyrings) -> None:
    told: list[tuple[int, int]] = []
    write(tmp_path, shared.intake, progress=lambda done, whole: told.append((done, whole)))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_a_damaged_part_is_named_whichever_way_it_is_read(tmp_path: Path, shared: Keyrings) -> None:
    manifest = write(tmp_path, shared.intake)
    path = version_folder(tmp_path, "sejours", 1) / "research/part-00002.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    path.write_bytes(content)
    shelf = opened(tmp_path, shared, manifest)
    with pytest.raises(VaultDamaged, match="research/part-00002 of sejours version 1"):
        shelf.read()
    with pytest.raises(VaultDamaged, match="part-00002"), shelf.named_failures():
        shelf.scan().collect()


def test_other_failures_of_polars_pass_through_as_they_are(tmp_path: Path, shared: Keyrings) -> None:
    shelf = opened(tmp_path, shared, write(tmp_path, shared.intake))
    with pytest.raises(ComputeError), shelf.named_failures():
        raise ComputeError


def test_an_opened_shelf_does_not_show_its_key(tmp_path: Path, shared: Keyrings) -> None:
    shelf = opened(tmp_path, shared, write(tmp_path, shared.intake))
    assert repr(shelf.files[0].data_key) not in repr(shelf)


def test_rows_or_columns_other_than_the_manifest_s_are_refused(tmp_path: Path, shared: Keyrings) -> None:
    manifest = write(tmp_path, shared.intake)
    parts = (*manifest.parts[:3], manifest.parts[3].model_copy(update={"rows": 1}))
    with pytest.raises(VaultDamaged, match="part-00003"):
        opened(tmp_path, shared, manifest.model_copy(update={"parts": parts})).read()
    columns = {"research": manifest.columns["research"][:-1]}
    with pytest.raises(VaultDamaged) as caught:
        opened(tmp_path, shared, manifest.model_copy(update={"columns": columns}))
    assert caught.value.code == "shelf_schema_mismatch"
    other = manifest.model_copy(update={"domains": {"diagnosis": ("a", "b", "c", "d")}})
    with pytest.raises(VaultDamaged) as caught:
        opened(tmp_path, shared, other).read()
    assert caught.value.code == "shelf_domain_mismatch"


def test_a_version_is_never_written_twice(tmp_path: Path, shared: Keyrings) -> None:
    write(tmp_path, shared.intake)
    with pytest.raises(VaultRefused) as caught:
        write(tmp_path, shared.intake)
    assert caught.value.code == "version_exists"


def unit_table(units: pa.Array) -> pa.Table:
    return pa.table({"_unit": units})


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"shelves": {}}, "shelf_unknown"),
        ({"shelves": {"other": unit_table(pa.array([1], pa.uint64()))}}, "shelf_unknown"),
        ({"order_key": b"short"}, "bucketing_malformed"),
        ({"buckets": 0}, "bucketing_malformed"),
        ({"unit_column": "other"}, "unit_column_missing"),
        ({"table": unit_table(pa.array([1], pa.int64()))}, "unit_column_malformed"),
        ({"table": unit_table(pa.array([None], pa.uint64()))}, "unit_column_malformed"),
        ({"table": pa.table([pa.array([1], pa.uint64())] * 2, ["_unit", "_unit"])}, "column_twice"),
        ({"domains": {"diagnosis": ["a", "a"]}}, "domain_value_twice"),
        ({"domains": {"diagnosis": ["zz"]}}, "code_outside_domain"),
    ],
)
def test_what_cannot_be_stored_is_refused_and_nothing_is_left(
    tmp_path: Path, shared: Keyrings, changes: dict[str, object], code: str
) -> None:
    with pytest.raises(VaultUsage) as caught:
        write(tmp_path, shared.intake, **changes)
    assert caught.value.code == code
    assert not list(tmp_path.rglob("*.parquet"))
    assert not list(tmp_path.glob("*/*"))


def test_a_dataset_id_that_is_no_folder_name_is_refused(tmp_path: Path, shared: Keyrings) -> None:
    with pytest.raises(VaultRefused) as caught:
        write(tmp_path, shared.intake, dataset="../x", receipt=receipt("data.import", "dataset:../x"))
    assert caught.value.code == "dataset_id_malformed"


def test_no_shelf_is_written_or_opened_without_the_receipt_of_this_act(
    tmp_path: Path, shared: Keyrings
) -> None:
    with pytest.raises(VaultRefused):
        write(tmp_path, shared.intake, receipt=query())
    manifest = write(tmp_path, shared.intake)
    with pytest.raises(VaultRefused):
        open_shelf(tmp_path, manifest, "research", shared.engine, receipt("data.import", "dataset:sejours"))


def test_a_shelf_the_version_does_not_have_is_a_usage_error(tmp_path: Path, shared: Keyrings) -> None:
    with pytest.raises(VaultUsage):
        opened(tmp_path, shared, write(tmp_path, shared.intake), "text")


def test_a_full_disk_leaves_nothing_and_says_what_happened(
    tmp_path: Path, shared: Keyrings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_args: object, **_kw: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(parquet.pq, "write_table", full)
    with pytest.raises(VaultDown, match="No space left on device"):
        write(tmp_path, shared.intake)
    assert not list((tmp_path / "sejours").iterdir())


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.unit.vault.helpers import PASSPHRASE, write
from vault.keyring import open_keyring
from vault.keys import Rights

def progress(done, whole):
    if done == 3:
        os.kill(os.getpid(), signal.SIGKILL)

write(Path(sys.argv[1]), open_keyring(Path(sys.argv[2]), PASSPHRASE, Rights.INTAKE), progress=progress)
"""


def test_a_writer_killed_half_way_leaves_nothing_visible_and_is_cleaned_up(
    tmp_path: Path, own: Keyrings, plain: pl.DataFrame
) -> None:
    root = tmp_path / "shelves"
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(KILLED), str(root), str(own.path)],
        cwd=Path(__file__).parents[3],
        env={"PYTHONPATH": "."},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    assert [path.name for path in (root / "sejours").iterdir()] == ["v1.partial"]
    # another thread may just have begun a file
    assert all(b"PARE".startswith(path.read_bytes()[:4]) for path in root.rglob("*.parquet"))
    with pytest.raises(VaultRefused, match="interrupted"):
        write(root, own.intake)
    assert clean_partials(root) == ["sejours/v1.partial"]
    assert not list((root / "sejours").iterdir())
    shelf = opened(root, own, write(root, own.intake))
    assert sorted_rows(shelf.read()) == sorted_rows(plain)


def test_what_a_living_writer_is_writing_is_not_cleaned_up(tmp_path: Path, shared: Keyrings) -> None:
    cleaned: list[list[str]] = []
    write(tmp_path, shared.intake, progress=lambda _done, _whole: cleaned.append(clean_partials(tmp_path)))
    assert cleaned == [[]] * 4


def test_a_shredded_version_is_gone_and_a_copy_of_its_files_opens_for_nobody(
    tmp_path: Path, own: Keyrings
) -> None:
    manifest = write(tmp_path, own.intake)
    folder = version_folder(tmp_path, "sejours", 1)
    copy = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    shred = receipt("data.shred", "dataset:sejours")
    shred_version(tmp_path, "sejours", 1, own.operator, shred)
    assert not folder.exists()
    shred_version(tmp_path, "sejours", 1, own.operator, shred)
    for path, content in copy.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    public = own.engine.public_key("manifest")
    found = read_manifest(tmp_path, "sejours", 1, public_key=public, expected_sha256=manifest.sha256)
    with pytest.raises(VaultRefused) as caught:
        opened(tmp_path, own, found)
    assert caught.value.code == "key_shredded"


def test_only_a_shred_receipt_shreds(tmp_path: Path, own: Keyrings) -> None:
    manifest = write(tmp_path, own.intake)
    with pytest.raises(VaultRefused):
        shred_version(tmp_path, "sejours", 1, own.operator, query())
    assert opened(tmp_path, own, manifest).read().height == 400


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())]
)
@pytest.mark.parametrize("values", [["b", None, "a"], [None, None], [], ["b"]])
def test_every_form_of_text_is_stored_as_its_domain_s_codes(
    tmp_path: Path, shared: Keyrings, kind: pa.DataType, values: list[str | None]
) -> None:
    column = pa.array(values, pa.string())
    column = column.dictionary_encode().cast(kind) if pa.types.is_dictionary(kind) else column.cast(kind)
    table = pa.table({"_unit": pa.array(range(len(values)), pa.uint64()), "c": column, "free": column})
    frame = opened(
        tmp_path, shared, write(tmp_path, shared.intake, table=table, domains={"c": ["a", "b"]})
    ).read()
    assert frame.schema["c"] == pl.Enum(["a", "b"])
    assert frame.schema["free"] == pl.String
    assert frame.sort("_unit")["c"].to_list() == values
    assert frame.sort("_unit")["free"].to_list() == values


def test_the_order_inside_a_unit_depends_on_the_key_and_not_on_the_order_that_came(
    tmp_path: Path, shared: Keyrings
) -> None:
    table = pa.table({"_unit": pa.array([5] * 50, pa.uint64()), "place": list(range(50))})
    orders = [
        opened(tmp_path, shared, write(tmp_path, shared.intake, table=table, domains={}, **changes)).read()[
            "place"
        ]
        for changes in ({"version": 1}, {"version": 2}, {"version": 3, "order_key": bytes(32)})
    ]
    assert orders[0].to_list() == orders[1].to_list() != orders[2].to_list()
    assert not orders[0].is_sorted()


def test_codes_of_the_declared_domain_are_taken_as_they_are(tmp_path: Path, shared: Keyrings) -> None:
    column = pa.DictionaryArray.from_arrays(pa.array([1, None, 0], pa.int32()), pa.array(["a", "b"]))
    table = pa.table({"_unit": pa.array(range(3), pa.uint64()), "c": column})
    manifest = write(tmp_path, shared.intake, table=table, domains={"c": ["a", "b"]}, buckets=1)
    assert opened(tmp_path, shared, manifest).read()["c"].to_list() == ["b", None, "a"]


def test_pages_are_kept_for_the_next_read_where_arrow_can(tmp_path: Path, shared: Keyrings) -> None:
    manifest, before = write(tmp_path, shared.intake), pa.default_memory_pool()
    keep_pages()
    try:
        assert pa.default_memory_pool().backend_name == "jemalloc"
        assert opened(tmp_path, shared, manifest).read().height == 400
    finally:
        pa.set_memory_pool(before)
