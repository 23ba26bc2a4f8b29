"""A CSV cut into blocks reads like the whole file, wherever the cuts fall."""

from pathlib import Path

import pytest

from enclave.errors import BadInput
from enclave.partner_csv import look, text_rows

ROWS = [(str(number), f"né {'x' * (number % 7)}€") for number in range(60)]
LIMIT = 10**6


def read(path: Path) -> tuple[list[tuple[str, ...]], list[tuple[int, str]], list[int]]:
    """Give all cells, the broken lines and the lines of whole rows, counted from the header's as 1."""
    cells, broken, numbers, line = [], [], [], 2
    for one in text_rows(path, look(path, LIMIT)):
        text = one()
        cells += text.written().rows()
        broken += [(line + place, row) for place, row in text.broken]
        numbers += [line + place for place in text.line_numbers().to_list()]
        line += text.lines
    return cells, broken, numbers


def written(path: Path, content: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(content.encode(encoding))
    return path


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "windows-1252"])
@pytest.mark.parametrize("block", [40, 64, 1 << 20])
def test_every_row_comes_once_and_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str, encoding: str, block: int
) -> None:
    monkeypatch.setattr("enclave.partner_csv.BLOCK_BYTES", block)
    monkeypatch.setattr("enclave.partner_csv.PIECE_BYTES", 7)
    lines = ["a;b", *(";".join(row) for row in ROWS)]
    cells, broken, numbers = read(written(tmp_path / "s.csv", end.join([*lines, ""]), encoding))
    assert cells == ROWS
    assert not broken
    assert numbers == list(range(2, 62))


@pytest.mark.parametrize("quote", ["", '"'])
@pytest.mark.parametrize("block", [200, 1 << 20])
def test_broken_lines_are_counted_where_they_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quote: str, block: int
) -> None:
    monkeypatch.setattr("enclave.partner_csv.BLOCK_BYTES", block)
    lines = ["a;b", *(f"{one};{quote}{two}{quote}" for one, two in ROWS)]
    for place in (1, 20, 21, 64):
        lines.insert(place, "too;many;cells")
    cells, broken, numbers = read(written(tmp_path / "s.csv", "\n".join([*lines, ""])))
    assert cells == ROWS
    assert broken == [(place + 1, "too;many;cells") for place in (1, 20, 21, 64)]
    assert numbers == [number for number in range(2, 66) if number - 1 not in (1, 20, 21, 64)]


def test_a_line_end_in_a_quoted_cell_does_not_end_its_row(tmp_path: Path) -> None:
    cells, _, _ = read(written(tmp_path / "s.csv", 'a;b\n1;"two\nlines"\n2;x\n'))
    assert cells == [("1", "two\nlines"), ("2", "x")]


def test_empty_cells_and_empty_lines_are_as_they_are_written(tmp_path: Path) -> None:
    cells, broken, _ = read(written(tmp_path / "s.csv", "a;b\n;x\n\n\n1;\n"))
    assert cells == [("", "x"), ("1", "")]
    assert not broken


def test_blocks_of_empty_lines_hold_no_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("enclave.partner_csv.BLOCK_BYTES", 8)
    cells, broken, _ = read(written(tmp_path / "s.csv", "a;b\n1;x\n" + "\n" * 40 + "2;y\n"))
    assert cells == [("1", "x"), ("2", "y")]
    assert not broken


@pytest.mark.parametrize("quote", ["", '"'])
def test_a_row_longer_than_a_block_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quote: str
) -> None:
    monkeypatch.setattr("enclave.partner_csv.BLOCK_BYTES", 64)
    path = written(tmp_path / "s.csv", f"a;b\n1;{quote}{'x' * 200}{quote}\n")
    with pytest.raises(BadInput) as caught:
        read(path)
    assert caught.value.code == "partner_file_not_csv"


def test_a_file_changed_after_the_look_is_not_believed(tmp_path: Path) -> None:
    path = written(tmp_path / "s.csv", "a;b\n1;x\n")
    seen = look(path, LIMIT)
    path.write_bytes(b"a;b\n1;\xff\n")
    with pytest.raises(BadInput) as caught:
        [one() for one in text_rows(path, seen)]
    assert caught.value.code == "partner_file_not_csv"
