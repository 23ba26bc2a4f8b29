import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.envelope import seal, unseal
from vault.errors import VaultDamaged

KEY = bytes(range(32))


@given(content=st.binary(max_size=300), name=st.text(max_size=20))
def test_what_was_sealed_comes_back(content: bytes, name: str) -> None:
    assert unseal(KEY, name, seal(KEY, name, content)) == content


@given(content=st.binary(min_size=1, max_size=60), at=st.integers(min_value=0), bit=st.integers(0, 7))
def test_any_flipped_bit_is_refused(content: bytes, at: int, bit: int) -> None:
    box = bytearray(seal(KEY, "a", content))
    box[at % len(box)] ^= 1 << bit
    with pytest.raises(VaultDamaged, match="sealed piece"):
        unseal(KEY, "a", bytes(box))


def test_a_box_in_anothers_place_does_not_open() -> None:
    with pytest.raises(VaultDamaged):
        unseal(KEY, "request|b", seal(KEY, "request|a", b"x"))


@pytest.mark.parametrize("length", [0, 3, 4, 15, 16, 31])
def test_a_cut_box_is_refused(length: int) -> None:
    with pytest.raises(VaultDamaged):
        unseal(KEY, "a", seal(KEY, "a", b"")[:length])


def test_another_key_does_not_open_it() -> None:
    with pytest.raises(VaultDamaged):
        unseal(os.urandom(32), "a", seal(KEY, "a", b"x"))
