import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vault.bucketing import bucket_numbers, bucket_rows, stored_order
from vault.columns import domain_words, dressed, enums, stored, stored_schema, to_frame
from vault.errors import VaultDamaged
from vault.parquet import EncryptedFile, Place, write_encrypted

KEY = bytes(range(32))
PLACE = Place("sejours", 1, "research", "part-00000")
UNITS = st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 5), max_size=60)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[EncryptedFile, bytes, pa.Schema]:
    path = tmp_path_factory.mktemp("part") / "part-00000.parquet"
    rng = np.random.default_rng(1)
    table = pa.table({"n": range(300), "x": rng.normal(size=300), "c": ["a", "b", None] * 100})
    rows = write_encrypted(path, table, PLACE, KEY).rows
    file = EncryptedFile(path, PLACE, rows, KEY)
    return file, path.read_bytes(), file.schema()


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 2**31), bit=st.integers(0, 7))
def test_any_flipped_bit_is_refused_or_changes_nothing(
    written: tuple[EncryptedFile, bytes, pa.Schema], place: int, bit: int
) -> None:
    file, content, schema = written
    place %= len(content)
    changed = bytearray(content)
    changed[place] ^= 1 << bit
    file.path.write_bytes(content)
    expected = file.read(schema, None)
    file.path.write_bytes(changed)
    # The leading magic and the copies of column metadata are never read; the manifest's SHA-256 covers them.
    try:
        read = file.read(schema, None)
    except VaultDamaged:
        return
    assert read.equals(expected)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(size=st.integers(0, 2**31))
def test_a_file_cut_anywhere_is_refused(written: tuple[EncryptedFile, bytes, pa.Schema], size: int) -> None:
    file, content, schema = written
    file.path.write_bytes(content[: size % len(content)])
    with pytest.raises(VaultDamaged):
        file.read(schema, None)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    place=st.builds(
        Place,
        st.sampled_from(["sejours", "passages"]),
        st.integers(1, 3),
        st.sampled_from(["research", "identity"]),
        st.sampled_from(["part-00000", "part-00001"]),
    ),
    key=st.sampled_from([KEY, bytes(32)]),
)
def test_a_file_opens_in_its_own_place_with_its_own_key_only(
    written: tuple[EncryptedFile, bytes, pa.Schema], tmp_path: Path, place: Place, key: bytes
) -> None:
    file, content, schema = written
    file.path.write_bytes(content)
    copy = Path(shutil.copy(file.path, tmp_path / "copy"))
    served = EncryptedFile(copy, place, file.rows, key)
    if (place, key) == (PLACE, KEY):
        assert served.read(schema, None).num_rows == file.rows
        return
    with pytest.raises(VaultDamaged):
        served.schema()


@given(units=UNITS, buckets=st.integers(1, 9), key=st.binary(min_size=32, max_size=32))
def test_buckets_share_out_every_row_once_and_keep_units_whole(
    units: list[int], buckets: int, key: bytes
) -> None:
    column = np.array(units, dtype=np.uint64)
    shared = list(bucket_rows(bucket_numbers(column, key, buckets), buckets))
    shared = [rows[stored_order(column[rows], key)] for rows in shared]
    assert len(shared) == buckets
    assert sorted(row for rows in shared for row in rows) == list(range(len(units)))
    held = [set(column[rows]) for rows in shared]
    assert sum(map(len, held)) == len(set(units))
    assert all(list(column[rows]) == sorted(column[rows]) for rows in shared)


@given(values=st.lists(st.none() | st.sampled_from(["a", "é", "c d"]), max_size=20))
def test_a_column_with_a_domain_comes_back_as_it_was(values: list[str | None]) -> None:
    domains = {"c": ["é", "never", "a", "c d"]}
    words, given_table = domain_words(domains), pa.table({"c": pa.array(values, pa.string())})
    schema = stored_schema(given_table.schema, words)
    codes = to_frame(dressed(stored(given_table, words), schema))["c"]
    assert enums(schema, domains) == {"c": pl.Enum(domains["c"])}
    assert codes.dtype == pl.UInt8
    assert codes.cast(pl.Enum(domains["c"])).to_list() == values
