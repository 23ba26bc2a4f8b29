"""Quotation marks: where they are as RFC 4180 has them a file is read, and where one is not no row is swallowed."""

import csv as python_csv
import io
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enclave.errors import BadInput
from enclave.partner_csv import Quotes, look
from tests.unit.intake.intake_house import HEADER, IntakeHouse, csv, row

ROWS = [row(number) for number in range(60)]
CELLS = st.text(alphabet='"\n\r;, aé', max_size=6)


def in_place(content: bytes, size: int, delimiter: str = ";") -> bool:
    quotes = Quotes(delimiter)
    for start in range(0, len(content), size):
        quotes.take(content[start : start + size])
    return quotes.in_place


@settings(max_examples=80, deadline=None)
@given(
    table=st.lists(st.lists(CELLS, min_size=2, max_size=2), min_size=1, max_size=5),
    all_quoted=st.booleans(),
    size=st.integers(1, 9),
)
def test_whatever_a_writer_of_the_standard_writes_is_in_place(
    table: list[list[str]],
    all_quoted: bool,
    size: int,
) -> None:
    text = io.StringIO()
    rule = python_csv.QUOTE_ALL if all_quoted else python_csv.QUOTE_MINIMAL
    python_csv.writer(text, delimiter=";", quoting=rule).writerows(table)
    assert in_place(text.getvalue().encode(), size)


@settings(max_examples=150, deadline=None)
@given(text=st.text(alphabet='";\na', max_size=24), size=st.integers(1, 5))
def test_what_is_in_place_is_read_the_same_by_another_reader(text: str, size: int) -> None:
    content = f"{text}\n".encode()
    if not in_place(content, size):
        return
    theirs = [one for one in python_csv.reader(io.StringIO(f"{text}\n"), delimiter=";", strict=True) if one]
    if any(len(one) != 2 for one in theirs):
        return
    ours = _read(content)
    assert [list(one.values()) for one in ours] == theirs


def _read(content: bytes) -> list[dict[str, str]]:
    if not content.strip(b"\n"):
        return []
    return pa_csv.read_csv(
        pa.BufferReader(content),
        read_options=pa_csv.ReadOptions(column_names=["a", "b"]),
        parse_options=pa_csv.ParseOptions(delimiter=";", newlines_in_values=True),
        convert_options=pa_csv.ConvertOptions(column_types={"a": pa.string(), "b": pa.string()}),
    ).to_pylist()


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param('"à', '"à', id="two cells that begin with a mark"),
        pytest.param('5" de long', '6" de long', id="two cells with a mark inside"),
        pytest.param('"a"b', "c", id="letters behind a closed cell"),
        pytest.param(r'"a \" b"', r'"c \" d"', id="marks behind a backslash"),
        pytest.param('"never closed', "c", id="a mark never closed"),
    ],
)
def test_a_mark_where_none_may_be_swallows_no_row(house: IntakeHouse, first: str, second: str) -> None:
    rows = [*ROWS[:20], row(20, note=first), *ROWS[21:40], row(40, note=second), *ROWS[41:]]
    source = house.file(csv(rows))
    with pytest.raises(BadInput) as caught:
        house.bring(source)
    assert caught.value.code == "partner_file_quote_open"
    assert source.exists()
    assert not house.left_over()


def test_space_around_the_names_of_a_header_is_no_part_of_them(house: IntakeHouse) -> None:
    content = csv([*ROWS, row(60, note='"deux\nlignes"')])
    spaced = content.replace(";".join(HEADER).encode(), " ; ".join(HEADER).encode(), 1)
    assert house.bring(house.file(spaced)).stored == 61
    assert "deux\nlignes" in set(house.shelf("text")["note"])


def test_a_byte_order_mark_before_a_quoted_header_is_no_letter(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    path.write_bytes(b'\xef\xbb\xbf"a";"b"\n"1";"2"\n')
    assert look(path, 100).header == ("a", "b")
