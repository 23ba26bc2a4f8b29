import stat
from pathlib import Path

import pytest

from vault.errors import VaultDamaged
from vault.pieces import SealedPieces, read_pieces

KEY = bytes(range(32))
PIECES = [b"one", b"two", b"three"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    pieces = SealedPieces(tmp_path / "rows", KEY, "rows")
    for piece in PIECES:
        pieces.append(piece)
    pieces.close()
    return pieces.path


def boxes(file: Path) -> list[bytes]:
    content, found = file.read_bytes(), []
    while content:
        length = 4 + int.from_bytes(content[:4], "big")
        found.append(content[:length])
        content = content[length:]
    return found


def test_pieces_come_back_in_order_and_nothing_of_them_is_plain(file: Path) -> None:
    assert list(read_pieces(file, KEY, "rows")) == PIECES
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert not any(piece in file.read_bytes() for piece in PIECES)


@pytest.mark.parametrize(
    "order",
    [
        pytest.param([1, 0, 2, 3], id="two pieces swapped"),
        pytest.param([0, 2, 3], id="a piece left out"),
        pytest.param([0, 0, 1, 2, 3], id="a piece twice"),
        pytest.param([0, 1, 2], id="the end cut off"),
        pytest.param([0, 1, 2, 3, 0], id="a piece after the end"),
        pytest.param([], id="an empty file"),
    ],
)
def test_pieces_in_another_order_are_refused(file: Path, order: list[int]) -> None:
    held = boxes(file)
    file.write_bytes(b"".join(held[place] for place in order))
    with pytest.raises(VaultDamaged):
        list(read_pieces(file, KEY, "rows"))


def test_pieces_of_another_file_or_key_are_refused(file: Path) -> None:
    for key, name in ((KEY, "other"), (bytes(32), "rows")):
        with pytest.raises(VaultDamaged):
            list(read_pieces(file, key, name))


def test_a_piece_cut_in_its_middle_is_refused(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-5])
    with pytest.raises(VaultDamaged):
        list(read_pieces(file, KEY, "rows"))
