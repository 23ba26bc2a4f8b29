import pytest

from enclave.web import preview
from enclave.web.sheets import FileIn

PICTURE = preview.PNG + b"..."


@pytest.mark.parametrize("content", [b"a,b\n1,2\n", b"a;b\n1;2\n", b"\xef\xbb\xbfa,b\r\n1,2\r\n"])
def test_a_table_is_shown_as_one_whatever_its_separator(content: bytes):
    look = preview.of(FileIn("t.csv", content))
    assert (look.kind, look.head, look.rows, look.rows_total) == ("table", ("a", "b"), (("1", "2"),), 1)


def test_a_tab_separated_table_is_a_table():
    assert preview.of(FileIn("t.tsv", b"a\tb\n1\t2\n")).rows == (("1", "2"),)


def test_a_long_table_is_cut_and_says_so():
    look = preview.of(FileIn("t.csv", b"a,b\n" + b"1,2\n" * 500))
    assert (len(look.rows), look.rows_total, look.cut) == (preview.MOST_ROWS, 500, True)
    wide = preview.of(FileIn("t.csv", b",".join([b"x"] * 100) + b"\n"))
    assert (len(wide.head), wide.cut) == (preview.MOST_COLUMNS, True)
    cell = preview.of(FileIn("t.csv", b"a\n" + b"y" * 1000 + b"\n")).rows[0][0]
    assert cell == "y" * preview.LONGEST_CELL + "…"


def test_what_is_hidden_in_a_text_is_made_visible():
    look = preview.of(FileIn("n.txt", "gauche\u202edroite\x07\tfin\u200b".encode()))
    assert look.text == "gauche⟨U+202E⟩droite⟨U+0007⟩\tfin⟨U+200B⟩"
    cell = preview.of(FileIn("t.csv", "a,b\n\u202e1,2\n".encode())).rows[0][0]
    assert cell == "⟨U+202E⟩1"


def test_a_long_text_is_cut_and_says_so():
    look = preview.of(FileIn("n.md", b"x" * 100_000))
    assert (len(look.text), look.cut) == (preview.LONGEST_TEXT, True)


@pytest.mark.parametrize("content", [b"", b'a,"b\n', b"\x00"])
def test_a_table_that_is_none_is_shown_as_text(content: bytes):
    assert preview.of(FileIn("t.csv", content)).kind in {"text", "table"}


def test_a_picture_is_shown_only_when_it_is_one_and_not_too_large():
    assert preview.of(FileIn("p.png", PICTURE)).picture.startswith("data:image/png;base64,")
    assert preview.of(FileIn("p.png", b"<svg onload=alert(1)>")).kind == "none"
    assert preview.of(FileIn("p.png", PICTURE + b"x" * preview.LARGEST_PICTURE)).kind == "none"


@pytest.mark.parametrize("name", ["m.pkl", "t.parquet", "p.svg", "page.html", "noending", "n.csv.exe"])
def test_anything_else_is_not_shown(name: str):
    assert preview.of(FileIn(name, b"a,b\n")).kind == "none"


def test_bytes_that_are_no_text_are_not_shown():
    assert preview.of(FileIn("t.csv", b"\xff\xfe\x00a")).kind == "none"
