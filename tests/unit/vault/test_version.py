"""Writing a version from a stream of batches."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from tests.unit.vault.helpers import DOMAIN, ORDER_KEY, POLICY, Keyrings, query, receipt, research_table
from vault import version
from vault.errors import VaultUsage
from vault.manifest import Manifest
from vault.shelf import open_shelf
from vault.version import Plan, write_stream

IMPORT = receipt("data.import", "dataset:sejours")
PLAN = Plan(
    "sejours", 1, ("research", "text"), "_unit", ORDER_KEY, 3, {"diagnosis": DOMAIN}, POLICY, previous=None
)


def batches(table: pa.Table, rows: int) -> Iterator[dict[str, pa.Table]]:
    for start in range(0, table.num_rows, rows):
        piece = table.slice(start, rows)
        yield {"research": piece, "text": piece.select(["_unit"]).append_column("note", notes(piece))}


def notes(piece: pa.Table) -> pa.Array:
    return pa.array([f"very-secret-note-{unit}" for unit in piece.column("_unit").to_pylist()])


def read(root: Path, manifest: Manifest, keys: Keyrings, shelf: str) -> pl.DataFrame:
    return open_shelf(root, manifest, shelf, keys.engine, query()).read()


@pytest.mark.parametrize("stock", [0, 1 << 60])
def test_a_stream_of_batches_is_stored_as_the_whole_table_would_be(
    tmp_path: Path, shared: Keyrings, monkeypatch: pytest.MonkeyPatch, stock: int
) -> None:
    monkeypatch.setattr(version, "SPILL_ROWS", 90)
    monkeypatch.setattr(version, "STOCK_BELOW", stock)
    table = research_table()
    manifest = write_stream(tmp_path, PLAN, batches(table, 35), keys=shared.intake, receipt=IMPORT)
    stored = read(tmp_path, manifest, shared, "research")
    plain = pl.from_arrow(table)
    assert isinstance(plain, pl.DataFrame)
    by = ["_unit", "cost"]
    assert (
        stored.cast({"diagnosis": pl.String}).sort(by).equals(plain.cast({"diagnosis": pl.String}).sort(by))
    )
    text = read(tmp_path, manifest, shared, "text")
    assert text.height == table.num_rows
    assert text.filter(pl.col("note") != pl.format("very-secret-note-{}", "_unit")).is_empty()


def test_rows_on_their_way_are_never_plain_on_disk_and_gone_at_the_end(
    tmp_path: Path, shared: Keyrings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(version, "SPILL_ROWS", 50)
    seen = 0

    def look(_shelf: str, _part: pa.Table) -> None:
        nonlocal seen
        for path in (tmp_path / "sejours/v1.partial").rglob("spill*"):
            seen += 1
            assert b"secret" not in path.read_bytes()

    write_stream(
        tmp_path, PLAN, batches(research_table(), 100), keys=shared.intake, receipt=IMPORT, inspect=look
    )
    assert seen
    assert not list(tmp_path.rglob("spill"))


def test_each_part_is_shown_before_it_is_written_with_its_units_whole(
    tmp_path: Path, shared: Keyrings
) -> None:
    seen: list[set[int]] = []

    def inspect(shelf: str, part: pa.Table) -> None:
        if shelf == "research":
            seen.append(set(part.column("_unit").to_pylist()))

    write_stream(
        tmp_path, PLAN, batches(research_table(), 35), keys=shared.intake, receipt=IMPORT, inspect=inspect
    )
    assert len(seen) == PLAN.buckets
    assert sum(map(len, seen)) == len(set.union(*seen))


def two_different() -> Iterator[Mapping[str, pa.Table]]:
    first = next(batches(research_table(), 10))
    yield first
    yield {**first, "text": first["text"].append_column("more", pa.array(range(10)))}


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ([], "nothing_to_write"),
        ([{"research": research_table()}], "shelf_unknown"),
        (list(two_different()), "batch_columns_differ"),
    ],
)
def test_a_stream_that_does_not_hold_together_leaves_nothing(
    tmp_path: Path, shared: Keyrings, given: list[dict[str, pa.Table]], code: str
) -> None:
    with pytest.raises(VaultUsage) as caught:
        write_stream(tmp_path, PLAN, given, keys=shared.intake, receipt=IMPORT)
    assert caught.value.code == code
    assert not list((tmp_path / "sejours").iterdir())


def test_a_stream_that_breaks_off_leaves_nothing(tmp_path: Path, shared: Keyrings) -> None:
    def broken() -> Iterator[dict[str, pa.Table]]:
        yield from batches(research_table(), 100)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_stream(tmp_path, PLAN, broken(), keys=shared.intake, receipt=IMPORT)
    assert not list((tmp_path / "sejours").iterdir())


def texts_of_every_form(rows: int) -> Iterator[dict[str, pa.Table]]:
    """Give the same text in each form Arrow has for it, and a column that bears a domain's name without holding words."""
    forms = (pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string()))
    for first, form in enumerate(forms):
        numbers = range(first * rows, (first + 1) * rows)
        note = pa.array([f"n{number}" for number in numbers])
        given = {
            "_unit": pa.array(numbers, pa.uint64()),
            "note": note.dictionary_encode() if pa.types.is_dictionary(form) else note.cast(form),
            "diagnosis": pa.array(numbers, pa.int32()),
        }
        yield {"text": pa.table(given)}


def test_a_text_is_stored_alike_in_whatever_form_it_comes(tmp_path: Path, shared: Keyrings) -> None:
    plan = replace(PLAN, shelves=("text",))
    manifest = write_stream(tmp_path, plan, texts_of_every_form(8), keys=shared.intake, receipt=IMPORT)
    stored = read(tmp_path, manifest, shared, "text").sort("_unit")
    assert stored["note"].to_list() == [f"n{number}" for number in range(32)]
    assert stored["diagnosis"].to_list() == list(range(32))


def names(rows: int, first: int = 0) -> dict[str, pa.Table]:
    """Give people of few names, each with a number nobody else has; every seventh has no name."""
    given = {
        "_unit": pa.array(range(first, first + rows), pa.uint64()),
        "name": [None if unit % 7 == 0 else f"name-{unit % 40}" for unit in range(first, first + rows)],
        "number": [f"number-{unit}" for unit in range(first, first + rows)],
    }
    return {"text": pa.table(given)}


def test_texts_that_come_again_are_stored_once_and_read_as_text(tmp_path: Path, shared: Keyrings) -> None:
    plan = replace(PLAN, shelves=("text",))
    given = [names(2_000), names(500, 2_000)]
    manifest = write_stream(tmp_path, plan, given, keys=shared.intake, receipt=IMPORT)
    types = {column.name: column.type for column in manifest.columns["text"]}
    assert types["name"].startswith("dictionary")
    assert types["number"] == "large_string"
    stored = read(tmp_path, manifest, shared, "text").sort("_unit")
    assert stored.schema["name"] == pl.String
    expected = pl.concat([pl.DataFrame(pl.from_arrow(one["text"])) for one in given])
    assert stored.equals(expected)
    scanned = open_shelf(tmp_path, manifest, "text", shared.engine, query()).scan()
    assert scanned.collect_schema() == stored.schema
    assert scanned.collect().sort("_unit").equals(stored)
