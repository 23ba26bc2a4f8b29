"""The quick way to read a column says what the careful way says, of every cell, or is not taken."""

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enclave.agreements.policy import PolicyColumn
from enclave.partner_cells import Reader, _carefully

KINDS = ("integer", "decimal", "date", "boolean", "category", "text")
DOMAIN = ("F", "H", "2A", "à")
LIKELY = ["", " ", "F", " F", "2A", "oui", "Oui", "1", "0.0", "12", "-3", "007", "+5", "0x1F", "1e3", "1,5", "1.5", "1,2,3", "3,0"]  # fmt: skip
LIKELY += [
    "-",
    ".",
    "5.",
    ".5",
    "inf",
    "nan",
    "9" * 400,
    "9223372036854775808",
    "2025-01-31",
    "31/01/2025",
    "2025-1-5",
]
LIKELY += ["30/02/2025", "2025-02-30", "31-01-2025", "1/2/2025", "0000-01-01", "é\u00a0", "\x1cx", "٣", "-0"]
CELLS = st.lists(
    st.none() | st.sampled_from(LIKELY) | st.text(alphabet=" 0123456789-+.,/eExFHé\u2003\x1f", max_size=12),
    max_size=6,
)


def column(kind: str, domain: tuple[str, ...] | None = DOMAIN) -> PolicyColumn:
    return PolicyColumn.model_construct(
        name="c", kind=kind, shelf="research", domain=domain if kind == "category" else None
    )


# Columns in which a cell is so nearly usual that the quick way has to look closely
DIGITS = st.text(alphabet="0123456789", min_size=1, max_size=4)
YEARS = st.sampled_from(["2025", "0001", "0000", "9999", "1900", "25", "-001", "+2025", "12025", " 2025"])
PARTS = st.sampled_from(["01", "12", "13", "00", "29", "30", "31", "1", "02"])
NEARLY = {
    "integer": st.text(alphabet="-0123456789", min_size=1, max_size=20),
    "decimal": st.text(alphabet="-.,0123456789", min_size=1, max_size=9)
    | st.builds("{}e{}".format, DIGITS, DIGITS),
    "date": st.builds("{}-{}-{}".format, YEARS, PARTS, PARTS)
    | st.builds("{}/{}/{}".format, PARTS, PARTS, YEARS)
    | st.text(alphabet="0123/-", min_size=10, max_size=10),
    "boolean": st.sampled_from(["1", "0", "oui", "Oui", "n", "1.0", "-1", "é"]),
    "category": st.sampled_from([*DOMAIN, "F ", "f", "a\u0300", "F\0"]),
    "text": st.text(max_size=4),
}


def check_both_ways(cells: list[str | None], kind: str) -> None:
    given_cells = pa.array(cells, pa.string())
    careful = _carefully(given_cells, column(kind))
    for array, some_empty in (
        (given_cells, True),
        (pa.array(["31/01/2025", *cells, "x"], pa.string()).slice(1, len(cells)), True),
        (pa.array([cell or None for cell in cells], pa.string()), False),
    ):
        read = Reader(column(kind)).read(array, some_empty=some_empty)
        assert read.values.equals(careful.values)
        assert read.values.type == careful.values.type
        assert (read.unread is None) == (careful.unread is None)
        if read.unread is not None and careful.unread is not None:
            assert np.array_equal(read.unread, careful.unread)


@settings(max_examples=300, deadline=None)
@given(cells=CELLS, kind=st.sampled_from(KINDS))
def test_both_ways_agree(cells: list[str | None], kind: str) -> None:
    check_both_ways(cells, kind)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=120, deadline=None)
@given(data=st.data())
def test_both_ways_agree_where_a_column_is_nearly_usual(kind: str, data: st.DataObject) -> None:
    check_both_ways(data.draw(st.lists(st.none() | NEARLY[kind], max_size=3)), kind)


@pytest.mark.parametrize(
    ("kind", "cell"),
    [
        *(
            ("date", cell)
            for cell in ("31/01/25", "25-01-31", "31/1/205", "+2025-01-01", "-001-01-01", "0000-01-01")
        ),
        *(("date", cell) for cell in ("31/02/2025", "29/02/2025", "01/31/2025", "2025/01/31", "12025-01-01")),
        *(
            ("decimal", cell)
            for cell in ("1 234,5", "1\u202f234,5", "1.234,5", "1e309", "NaN", "-inf", "1,5 €")
        ),
        *(("integer", cell) for cell in ("9223372036854775808", "1e3", "1 000", "1.50", "٣")),
        *(("boolean", cell) for cell in ("vrai", "-1", "2")),
        *(("category", cell) for cell in ("f", "a\u0300", "F\0", "\u200bF")),
    ],
)
def test_what_a_kind_cannot_be_sure_of_is_put_aside_and_not_guessed(kind: str, cell: str) -> None:
    read = Reader(column(kind)).read(pa.array([cell]))
    assert read.values.null_count == 1
    assert read.unread is not None


@pytest.mark.parametrize(
    ("kind", "cells", "expected"),
    [
        ("integer", ["12", None, "-3"], [12, None, -3]),
        ("decimal", ["1,5", "2", None], [1.5, 2.0, None]),
        ("decimal", ["1.5", "2", None], [1.5, 2.0, None]),
        ("date", ["2025-01-31", None], [dt.date(2025, 1, 31), None]),
        ("date", ["31/01/2025", "01/12/1999"], [dt.date(2025, 1, 31), dt.date(1999, 12, 1)]),
        ("boolean", ["oui", "0", None], [True, False, None]),
        ("category", ["2A", "F", None], [2, 0, None]),
        ("text", ["é à", None], ["é à", None]),
    ],
)
def test_usual_columns_go_the_quick_way(
    monkeypatch: pytest.MonkeyPatch, kind: str, cells: list[str | None], expected: list[object]
) -> None:
    monkeypatch.setattr("enclave.partner_cells._carefully", None)
    assert Reader(column(kind)).read(pa.array(cells, pa.string())).values.to_pylist() == expected


def test_a_slice_of_a_column_reads_like_the_whole() -> None:
    for kind, cells in (
        ("decimal", ["1,5", "2", "3"]),
        ("date", ["31/01/2025"] * 3),
        ("text", ["a", "b", "c"]),
    ):
        whole = pa.array(cells, pa.string())
        read = Reader(column(kind)).read(whole[1:])
        assert read.values.to_pylist() == Reader(column(kind)).read(whole).values.to_pylist()[1:]


@pytest.mark.parametrize("kind", KINDS)
def test_a_column_without_rows_has_none(kind: str) -> None:
    bare = pa.Array.from_buffers(pa.string(), 0, [None, pa.py_buffer(b""), pa.py_buffer(b"")])
    for cells in (bare, pa.array([], pa.string())):
        assert len(Reader(column(kind)).read(cells).values) == 0


def test_a_domain_with_space_around_a_word_is_read_as_it_always_was() -> None:
    read = Reader(column("category", (" F", "F"))).read(pa.array([" F", "F"]))
    assert read.values.to_pylist() == [1, 1]
