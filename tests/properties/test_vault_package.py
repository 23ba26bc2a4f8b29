import io
import zipfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from vault.errors import VaultUsage
from vault.file_names import check_file_name, fold
from vault.package_check import verify_package

VECTORS = Path(__file__).parents[1] / "vectors" / "package"
GOOD = (VECTORS / "good.zip").read_bytes()
PUBLIC_KEY = bytes.fromhex("8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c")


@settings(max_examples=100)
@given(place=st.integers(0, 2**31), bit=st.integers(0, 7))
def test_a_flipped_bit_fails_or_leaves_every_file_as_it_was(place: int, bit: int) -> None:
    changed = bytearray(GOOD)
    changed[place % len(GOOD)] ^= 1 << bit
    if verify_package(bytes(changed), PUBLIC_KEY).ok:
        assert _files(bytes(changed)) == _files(GOOD)


def _files(package: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@given(st.binary(max_size=200))
def test_whatever_comes_the_check_answers(data: bytes) -> None:
    assert not verify_package(data, PUBLIC_KEY).ok


@given(st.text(max_size=20))
def test_a_name_that_may_leave_stays_below_its_folder(name: str) -> None:
    try:
        check_file_name(name)
    except VaultUsage:
        return
    folder = Path("/folder")
    assert folder in (folder / name).resolve().parents
    assert fold(fold(name)) == fold(name)
