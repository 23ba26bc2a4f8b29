"""What a partner may send, what becomes of it, and what is refused whole."""

import datetime as dt
import shutil
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from anonymisation.pseudonym import Numbered
from enclave.errors import BadInput, Refused
from enclave.journeys.intake import ColumnCount
from enclave.partner_file import sample
from enclave.partner_reader import text_rows
from enclave.partner_reader_child import BATCH_BYTES
from tests.unit.intake.intake_house import (
    HEADER,
    POLICY,
    STEWARD,
    IntakeHouse,
    csv,
    intake_house,
    nir,
    row,
)

SAS = Path(__file__).parents[2] / "vectors" / "partner" / "sample.sas7bdat"
SAS_POLICY = """\
dataset: stays
version: 1
population: inhabitants
unit: {id_type: row}
columns:
  - {name: mychar, class: plain, kind: category, shelf: research, domain: [a, b, c, d, e]}
  - {name: mynum, class: plain, kind: decimal, shelf: research, bounds: {low: "-2000", high: "2000", digits: 1}}
  - {name: mydate, class: plain, kind: date, shelf: research, bounds: {low: "1500-01-01", high: "2030-01-01"}}
  - {name: dtime, class: plain, kind: text, shelf: none}
  - {name: mylabl, class: plain, kind: integer, shelf: research, bounds: {low: "0", high: "9"}}
  - {name: myord, class: plain, kind: integer, shelf: research, bounds: {low: "0", high: "9"}}
  - {name: mytime, class: plain, kind: text, shelf: none}
privacy: {rows: 1, groups: 1, caps: {population: 2000000, project: 500000, person: 250000}}
"""
ROWS = [row(number) for number in range(300)]
BAD = [row(300, sex="X"), row(301, nir="123"), row(302, nights="many", urgent="perhaps")]


def as_parquet(rows: list[tuple[str, ...]]) -> pa.Table:
    """Give the rows typed as a database would export them."""
    columns: dict[str, Any] = {name: [one[place] for one in rows] for place, name in enumerate(HEADER)}
    columns["nir"] = [int(text) for text in columns["nir"]]
    columns["born"] = [dt.datetime(1995, 1, 31, tzinfo=dt.UTC).replace(tzinfo=None) for _ in rows]
    columns["cost"] = [float(text.replace(",", ".")) for text in columns["cost"]]
    columns["nights"] = [float(text) for text in columns["nights"]]
    columns["urgent"] = [text == "oui" for text in columns["urgent"]]
    return pa.table(columns).set_column(3, "sex", pa.array(columns["sex"]).dictionary_encode())


def bare(rows: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    return [tuple(cell.replace(",", ".") for cell in one) for one in rows]


@pytest.mark.parametrize(
    ("name", "content", "written"),
    [
        ("s.csv", csv(ROWS), "CSV, UTF-8"),
        ("s.csv", csv(bare(ROWS), ","), "CSV, UTF-8"),
        ("s.csv", csv(ROWS, "\t"), "CSV, UTF-8"),
        ("s.csv", b"\xef\xbb\xbf" + csv(ROWS), "CSV, UTF-8"),
        ("s.csv", csv(ROWS, encoding="windows-1252"), "CSV, Latin-1"),
        ("s.csv.gz", csv(ROWS), "CSV, UTF-8"),
        ("s.CSV.GZ", csv(ROWS), "CSV, UTF-8"),
        ("s.parquet", None, "parquet"),
        ("S.PARQUET", None, "parquet"),
    ],
)
def test_the_same_rows_come_in_whatever_they_are_written_in(
    house: IntakeHouse, name: str, content: bytes | None, written: str
) -> None:
    if content is None:
        pq.write_table(as_parquet(ROWS), house.inbox / name)
    else:
        house.file(content, name)
    report = house.bring(house.inbox / name)
    assert (report.rows_in, report.stored, report.aside, report.units) == (300, 300, 0, 100)
    assert report.written == written
    research = house.shelf("research")
    assert research["cost"].sum() == sum(number + 0.5 for number in range(300))
    assert research["urgent"].sum() == 150
    assert set(research["birth_year"]) == {1995}
    assert set(house.shelf("identity")["name"]) == {f"Béranger-{person}" for person in range(100)}
    assert set(house.shelf("text")["note"]) == {f"à revoir n{number}" for number in range(300)}


def test_a_sas_file_comes_in_with_its_dates_and_numbers(house: IntakeHouse) -> None:
    house.declare(policy=SAS_POLICY)
    source = Path(shutil.copy(SAS, house.inbox))
    report = house.bring(source, SAS_POLICY)
    assert (report.rows_in, report.stored, report.written) == (5, 5, "sas7bdat")
    stored = house.shelf("research").sort("mychar")
    assert stored["mynum"].to_list() == [1.1, 1.2, -1000.3, -1.4, 1000.3]
    assert stored["mydate"].to_list()[1:] == [
        dt.date(1880, 5, 6),
        dt.date(1960, 1, 1),
        dt.date(1583, 1, 1),
        None,
    ]
    assert stored["myord"].to_list() == [1, 2, 3, 1, 1]
    assert stored["_unit"].n_unique() == 5


def test_what_becomes_of_each_row_and_column_is_reported_and_put_aside_sealed(house: IntakeHouse) -> None:
    empty = row(303, cost="", note=" ")
    report = house.bring(house.file(csv([*ROWS, *BAD, empty]) + b"too;few\n"))
    assert (report.rows_in, report.stored, report.aside) == (305, 301, 4)
    assert report.reasons == {"cells": 1, "domain:sex": 1, "integer:nights": 1, "unit:nir": 1}
    assert report.columns["sex"] == ColumnCount(stored=301, empty=0, unread=1)
    assert report.columns["cost"] == ColumnCount(stored=300, empty=1, unread=0)
    assert report.columns["urgent"].unread == 1
    assert sorted(path.name for path in house.tools.quarantine.iterdir()) == [
        "stays-v1.key",
        "stays-v1.reasons",
        "stays-v1.sealed",
    ]
    assert house.caps.declared == [("inhabitants", 2_000_000)]
    assert house.verified()


def test_a_row_that_lacks_what_is_never_null_is_put_aside(house: IntakeHouse) -> None:
    policy = POLICY.replace("kind: decimal,", "kind: decimal, never_null: true,").replace(
        "keep: year},", "keep: year}, never_null: true,"
    )
    house.declare(policy=policy)
    lacking = [row(303, cost=""), row(304, cost=" "), row(305, born=""), row(306, urgent="")]
    report = house.bring(house.file(csv([*ROWS, *lacking])), policy)
    assert report.reasons == {"empty:born": 1, "empty:cost": 2}
    assert (report.stored, report.aside) == (301, 3)
    assert house.shelf("research").select("cost", "birth_year").null_count().row(0) == (0, 0)


def test_a_unit_is_in_one_part_whatever_batch_it_came_in(
    house: IntakeHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("enclave.partner_csv.BLOCK_BYTES", 4096)
    monkeypatch.setattr("vault.version.SPILL_ROWS", 70)
    report = house.bring(house.file(csv([row(3 * (number % 100)) for number in range(900)])))
    assert (report.stored, report.units) == (900, 100)
    assert house.shelf("research")["_unit"].n_unique() == 100


def test_a_larger_file_is_cut_into_more_parts(house: IntakeHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("enclave.journeys.intake.BUCKET_BYTES", 1000)
    content = csv(ROWS)
    house.bring(house.file(content))
    parts = list((house.tools.root / "stays/v1/research").iterdir())
    assert len(parts) == len(content) // 1000


def test_two_identifiers_of_one_number_stop_the_intake(
    house: IntakeHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "enclave.journeys.intake.number_column",
        lambda cells, _id_type, _key: Numbered(
            np.full(len(cells), 7, np.uint64), np.ones(len(cells), np.bool_)
        ),
    )
    with pytest.raises(Exception, match="same unit number"):
        house.bring(house.file(csv(ROWS)))
    assert not house.left_over()


def gzip_bomb() -> bytes:
    return csv([]) + b";" * 20_000_000


def broken_parquet(rows: list[tuple[str, ...]], cut: int) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(as_parquet(rows), sink)
    return bytes(sink.getvalue())[:-cut]


def nested() -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(as_parquet(ROWS).set_column(7, "note", pa.array([[b"x"]] * 300)), sink)
    return bytes(sink.getvalue())


def damaged_page() -> bytes:
    content = bytearray(broken_parquet(ROWS, 1) + b"1")
    content[40:400] = b"\xff" * 360
    return bytes(content)


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        pytest.param("s.csv", csv(ROWS)[:-9], "partner_file_truncated", id="a file cut in its last line"),
        pytest.param("s.csv", b"", "partner_file_truncated", id="an empty file"),
        pytest.param("s.csv.gz", b"", "partner_file_truncated", id="an empty file, packed"),
        pytest.param("s.csv.gz", csv(ROWS)[:-9], "partner_file_truncated", id="a file cut, then packed"),
        pytest.param("s.csv", b"a;b\n1;2\n", "partner_file_columns_missing", id="another table"),
        pytest.param(
            "s.csv",
            csv(ROWS).replace(b"note", b"note;note"),
            "partner_file_columns_unknown",
            id="a column twice",
        ),
        pytest.param("s.csv", csv([]), "too_many_bad_rows", id="a header alone"),
        pytest.param("s.csv", csv(BAD), "too_many_bad_rows", id="bad rows alone"),
        pytest.param("s.csv", csv([*ROWS[:20], *BAD]), "too_many_bad_rows", id="more bad rows than allowed"),
        pytest.param(
            "s.csv", csv(ROWS) + csv(ROWS, encoding="latin-1"), "partner_file_encoding", id="two encodings"
        ),
        pytest.param(
            "s.csv", csv(ROWS).decode().encode("utf-16"), "partner_file_encoding", id="a third encoding"
        ),
        pytest.param(
            "s.csv",
            csv(ROWS) + b'"' + b"a;" * 3_000_000 + b"\n",
            "partner_file_quote_open",
            id="a quote never closed",
        ),
        pytest.param(
            "s.csv",
            csv(ROWS) + b'"' + b"a;" * 6_000_000 + b'"\n',
            "partner_file_not_csv",
            id="a cell of many megabytes",
        ),
        pytest.param("s.csv", csv(ROWS) + b"\x81\xff;\n", "partner_file_encoding", id="bytes of no text"),
        pytest.param("s.csv.gz", gzip_bomb(), "partner_file_too_large", id="a file that unpacks without end"),
        pytest.param("s.parquet", b"PAR1 not at all PAR1", "partner_file_not_read", id="no Parquet at all"),
        pytest.param("s.parquet", broken_parquet(ROWS, 30), "partner_file_not_read", id="a Parquet file cut"),
        pytest.param("s.parquet", damaged_page(), "partner_file_not_read", id="a damaged Parquet page"),
        pytest.param("s.parquet", nested(), "partner_file_column_kind", id="lists in a Parquet column"),
        pytest.param("s.sas7bdat", SAS.read_bytes()[:70_000], "partner_file_not_read", id="a SAS file cut"),
        pytest.param("s.sas7bdat", SAS.read_bytes(), "partner_file_columns_missing", id="another SAS table"),
    ],
)
def test_a_file_that_is_not_what_its_policy_says_is_refused_whole_and_left_where_it_is(
    tmp_path: Path, keyring: Path, name: str, content: bytes, code: str
) -> None:
    house = intake_house(tmp_path, keyring, unpacked_bytes_max=19_000_000)
    source = house.file(content, name)
    before = source.read_bytes()
    with pytest.raises(BadInput) as caught:
        house.bring(source)
    assert caught.value.code == code
    assert nir(1) not in caught.value.message
    assert source.read_bytes() == before
    assert not house.left_over()
    assert house.recorder.told("data.import")[-1] == ("data.import", "failed", code)
    house.recorder.close()


def test_no_more_of_a_packed_file_is_in_memory_than_a_batch(tmp_path: Path) -> None:
    words = pa.array(["x" * 40_000, "y"])
    codes = pa.array([0] * 1000 + [1] * 9000, pa.int32())
    pq.write_table(pa.table({"note": pa.DictionaryArray.from_arrays(codes, words)}), tmp_path / "s.parquet")
    sizes = [read().rows.nbytes for read in text_rows(tmp_path / "s.parquet", 10**9)]
    assert max(sizes) <= BATCH_BYTES
    assert sum(sizes) > 40_000_000 > 100 * (tmp_path / "s.parquet").stat().st_size


def test_a_row_of_many_megabytes_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"note": ["a", "x" * (BATCH_BYTES + 1)]}), tmp_path / "s.parquet")
    with pytest.raises(BadInput) as caught:
        list(text_rows(tmp_path / "s.parquet", 10**9))
    assert caught.value.code == "partner_file_row_too_long"


def test_a_reader_that_announces_more_than_a_batch_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pq.write_table(as_parquet(ROWS), tmp_path / "s.parquet")
    monkeypatch.setattr("enclave.partner_reader.TAKEN_BYTES", 2000)
    with pytest.raises(BadInput) as caught:
        list(text_rows(tmp_path / "s.parquet", 10**9))
    assert caught.value.code == "partner_file_not_read"


def test_a_day_is_what_the_clocks_of_its_place_showed_and_infinity_is_no_empty_cell(tmp_path: Path) -> None:
    midnight = dt.datetime(2025, 7, 14, tzinfo=ZoneInfo("Europe/Paris"))
    table = pa.table(
        {
            "paris": pa.array([midnight, None, None], pa.timestamp("us", "Europe/Paris")),
            "utc": pa.array([dt.datetime(2025, 7, 14, tzinfo=dt.UTC)] * 3, pa.timestamp("ms", "UTC")),
            "cost": [float("inf"), float("nan"), -0.5],
        }
    )
    pq.write_table(table, tmp_path / "s.parquet")
    rows = [row for read in text_rows(tmp_path / "s.parquet", 10**9) for row in read().rows.to_pylist()]
    assert [row["paris"] for row in rows] == ["2025-07-14", None, None]
    assert [row["utc"] for row in rows] == ["2025-07-14"] * 3
    assert [row["cost"] for row in rows] == ["inf", None, "-0.5"]


def test_a_parquet_file_of_more_text_than_allowed_is_refused(tmp_path: Path, keyring: Path) -> None:
    house = intake_house(tmp_path, keyring, unpacked_bytes_max=10_000)
    pq.write_table(as_parquet(ROWS), house.inbox / "s.parquet")
    with pytest.raises(BadInput, match="unpacks to more"):
        house.bring(house.inbox / "s.parquet")
    assert not house.left_over()
    house.recorder.close()


@pytest.mark.parametrize("name", ["gone.csv", "gone.csv.gz", "gone.parquet", "gone.sas7bdat"])
def test_a_file_that_is_not_there_is_named(house: IntakeHouse, name: str) -> None:
    with pytest.raises(BadInput) as caught:
        house.bring(house.inbox / name)
    assert (caught.value.code, caught.value.params["file"]) == ("partner_file_unreadable", name)


def test_a_gzip_file_cut_short_is_refused(house: IntakeHouse) -> None:
    source = house.file(csv(ROWS), "s.csv.gz")
    source.write_bytes(source.read_bytes()[:-20])
    with pytest.raises(BadInput) as caught:
        house.bring(source)
    assert caught.value.code == "partner_file_truncated"
    source.write_bytes(b"no gzip at all")
    with pytest.raises(BadInput) as caught:
        house.bring(source)
    assert caught.value.code == "partner_file_unreadable"


@pytest.mark.parametrize(
    ("policy", "code"),
    [
        pytest.param(
            POLICY.replace('high: "400"', 'high: "500"'), "policy_not_confirmed", id="another bound"
        ),
        pytest.param(POLICY + "# a comment\n", "policy_not_confirmed", id="another byte"),
        pytest.param(POLICY.replace("inhabitants", "others"), "population_differs", id="other people"),
    ],
)
def test_a_policy_no_steward_confirmed_is_refused(house: IntakeHouse, policy: str, code: str) -> None:
    source = house.file(csv(ROWS))
    with pytest.raises(Refused) as caught:
        house.bring(source, policy)
    assert caught.value.code == code
    assert source.exists()


def test_a_policy_confirmed_anew_takes_the_place_of_the_one_before(house: IntakeHouse) -> None:
    house.declare(policy=POLICY + "# reviewed\n")
    with pytest.raises(Refused):
        house.bring(house.file(csv(ROWS)))
    assert house.bring(house.file(csv(ROWS)), POLICY + "# reviewed\n").stored == 300


def test_the_hash_of_the_confirmed_policy_is_in_the_house_and_in_the_trail(house: IntakeHouse) -> None:
    known = house.tools.agreements.dataset("stays")
    assert known.confirmed_policy_sha256 is not None
    told = house.recorder.events[-1]
    assert {"kind": "policy", "id": "stays", "sha256": known.confirmed_policy_sha256} in told["object"]


def test_only_an_intake_agent_brings_in(house: IntakeHouse) -> None:
    with pytest.raises(Refused) as caught:
        house.bring(house.file(csv(ROWS)), visitor=STEWARD)
    assert caught.value.code == "role_missing"


def test_a_file_outside_the_inbox_stays_unless_its_deletion_is_asked_for(
    house: IntakeHouse, tmp_path: Path
) -> None:
    outside = tmp_path / "stays.csv"
    outside.write_bytes(csv(ROWS))
    assert not house.bring(outside).source_deleted
    assert outside.exists()
    assert house.bring(outside, delete_source=True).source_deleted
    assert not outside.exists()


def test_progress_is_told_while_reading_and_while_encrypting(house: IntakeHouse) -> None:
    told: list[tuple[str, int, int]] = []
    house.bring(house.file(csv(ROWS)), progress=lambda *step: told.append(step))
    assert {stage for stage, _, _ in told} == {"read", "encrypt"}
    assert told[-1] == ("encrypt", 9, 9)


def test_a_sample_of_any_format_is_text(house: IntakeHouse) -> None:
    pq.write_table(as_parquet(ROWS), house.inbox / "s.parquet")
    for path in (house.file(csv(ROWS, encoding="latin-1")), house.inbox / "s.parquet"):
        rows = sample(path, 10)
        assert rows.height == 10
        assert rows.columns == list(HEADER)
        assert set(rows.dtypes) == {pl.String}
    assert sample(SAS).height == 5


def test_nothing_an_intake_leaves_on_disk_shows_a_name_a_number_or_a_note(house: IntakeHouse) -> None:
    report = house.bring(house.file(csv([*ROWS, *BAD])))
    assert report.aside == 3
    marks = [b"ranger", b"revoir", nir(5).encode(), nir(99)[:13].encode(), b"perhaps"]
    looked = [path for path in house.state.rglob("*") if path.is_file()]
    assert len(looked) > 20
    for path in looked:
        content = path.read_bytes()
        assert not [mark for mark in marks if mark in content], path.name


def test_a_reader_from_outside_cannot_open_a_shelf(house: IntakeHouse) -> None:
    house.bring(house.file(csv(ROWS)))
    for path in house.tools.root.rglob("*.parquet"):
        with pytest.raises((pl.exceptions.PolarsError, OSError)):
            pl.read_parquet(path)
        with pytest.raises((pa.ArrowException, OSError)):
            pq.read_table(path)
        with pytest.raises((pa.ArrowException, OSError)):
            pq.read_metadata(path)
