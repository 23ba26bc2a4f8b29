"""Programs we did not write, without our keys: none opens any part of a shelf, none learns a column's name from it."""

from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe
import pytest
from polars.exceptions import ComputeError

from tests.unit.vault.helpers import Keyrings, query, research_table, write
from vault.manifest import SHELVES, Manifest
from vault.parquet import _file_key
from vault.shelf import open_shelf

SECRETS = ("diagnosis", "cost", "unused")
WITH_KEY = "SELECT * FROM read_parquet('{}', encryption_config = {{footer_key: 'own'}})"


def asked(question: str) -> Callable[[Path], object]:
    return lambda path: duckdb.connect().sql(question.format(path)).fetchall()


READERS: dict[str, tuple[Callable[[Path], object], type[Exception], str]] = {
    "duckdb": (asked("SELECT * FROM read_parquet('{}')"), duckdb.Error, "is encrypted"),
    "duckdb, columns only": (asked("SELECT * FROM parquet_schema('{}')"), duckdb.Error, "is encrypted"),
    "duckdb, statistics only": (asked("SELECT * FROM parquet_metadata('{}')"), duckdb.Error, "is encrypted"),
    "polars": (pl.read_parquet, ComputeError, "PAR1"),
    "polars, lazily": (lambda path: pl.scan_parquet(path).collect(), ComputeError, "PAR1"),
    "polars, columns only": (pl.read_parquet_schema, ComputeError, "PAR1"),
    "pyarrow": (pq.read_table, OSError, "encrypted metadata"),
    "pyarrow, columns only": (pq.read_schema, OSError, "encrypted metadata"),
    "pyarrow, footer only": (pq.read_metadata, OSError, "encrypted metadata"),
    "pyarrow, as a dataset": (lambda path: ds.dataset(path).to_table(), OSError, "encrypted metadata"),
}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, shared: Keyrings) -> tuple[Path, Manifest]:
    root = tmp_path_factory.mktemp("shelves")
    table = research_table(40)
    return root, write(root, shared.intake, shelves=dict.fromkeys(SHELVES, table), buckets=2)


def parts(written: tuple[Path, Manifest]) -> Iterator[Path]:
    root, manifest = written
    for part in manifest.parts:
        yield root / "sejours" / "v1" / part.path


@pytest.mark.parametrize("name", READERS)
def test_no_other_reader_opens_any_part_of_a_shelf(written: tuple[Path, Manifest], name: str) -> None:
    read, error, says = READERS[name]
    found = list(parts(written))
    assert len(found) == 2 * len(SHELVES)
    for path in found:
        with pytest.raises(error, match=says) as refused:
            read(path)
        assert not [word for word in SECRETS if word in str(refused.value)]


@pytest.mark.parametrize("name", READERS)
def test_each_of_them_opens_a_plain_file(tmp_path: Path, name: str) -> None:
    pq.write_table(research_table(40), tmp_path / "plain.parquet")
    assert READERS[name][0](tmp_path / "plain.parquet") is not None


def test_even_the_files_own_key_opens_nothing_without_its_place(
    written: tuple[Path, Manifest], shared: Keyrings, tmp_path: Path
) -> None:
    root, manifest = written
    file = open_shelf(root, manifest, "research", shared.engine, query()).files[0]
    key = _file_key(file.data_key, file.place)
    placeless = tmp_path / "placeless.parquet"
    pq.write_table(research_table(40), placeless, encryption_properties=pe.create_encryption_properties(key))
    outside = duckdb.connect()
    outside.execute(f"PRAGMA add_parquet_key('own', '{b64encode(key).decode()}')")
    assert len(outside.execute(WITH_KEY.format(placeless)).fetchall()) == 40
    with pytest.raises(duckdb.Error):
        outside.execute(WITH_KEY.format(file.path)).fetchall()
    with pytest.raises((OSError, pa.ArrowException)):
        pq.read_table(file.path, decryption_properties=pe.create_decryption_properties(key))
