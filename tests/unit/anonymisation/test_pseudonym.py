import hmac
import unicodedata
from hashlib import sha256

import polars as pl
import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from anonymisation.errors import BadQuestion, Damaged
from anonymisation.pseudonym import (
    canonical,
    canonical_nir,
    check_collisions,
    nir_key_valid,
    number_column,
    unit_numbers,
)

KEY = b"k" * 32
# INSEE's own example of a number with its key, and numbers of both Corsican departments with keys computed by hand.
MAINLAND = "255081416802538"
SOUTH = "184122A451089"
NORTH = "184122B451089"


def with_key(body: str) -> str:
    number = int(body.replace("2A", "19").replace("2B", "18"))
    return f"{body}{97 - number % 97:02d}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (MAINLAND, MAINLAND[:13]),
        (MAINLAND[:13], MAINLAND[:13]),
        ("2 55 08 14 168 025 38", MAINLAND[:13]),
        (" 2.55-08\u00a014\u202f168025 ", MAINLAND[:13]),
        (with_key(SOUTH), SOUTH),
        (with_key(NORTH).lower(), NORTH),
        ("2550814168025 39", None),
        (with_key(SOUTH).replace("2A", "2B"), None),
        ("25508141680253", None),
        ("255081416802", None),
        ("955081416802538", None),
        ("2551314168025", None),
        ("255081C168025", None),
        ("٢550814168025", None),
        ("", None),
    ],
)
def test_a_nir_is_13_characters_or_nothing(text: str, expected: str | None) -> None:
    assert canonical_nir(text) == expected
    column = canonical(pl.Series("nip", [text]), "nir")
    assert column.values.to_list() == [expected]
    assert column.valid.to_list() == [expected is not None]


def test_every_single_wrong_digit_of_a_full_nir_is_found() -> None:
    for place in range(15):
        for digit in "0123456789":
            wrong = MAINLAND[:place] + digit + MAINLAND[place + 1 :]
            assert (canonical_nir(wrong) is None) == (digit != MAINLAND[place])


def test_the_key_is_read_with_19_for_2a_and_18_for_2b() -> None:
    assert nir_key_valid(MAINLAND)
    assert nir_key_valid(with_key(SOUTH))
    assert not nir_key_valid(MAINLAND[:13])
    assert not nir_key_valid(MAINLAND[:14] + "X")


def test_a_column_agrees_with_one_by_one_and_keeps_its_rows() -> None:
    texts = [MAINLAND, None, "x", "1 84 12 2A 451 089", with_key(NORTH), "2550814168025"]
    column = canonical(pl.Series("nip", texts), "nir")
    assert column.values.to_list() == [None if text is None else canonical_nir(text) for text in texts]
    assert column.valid.to_list() == [True, False, False, True, True, True]
    assert canonical(pl.Series("nip", texts[:1]), "nir").valid.all()


def test_another_id_type_is_trimmed_and_upper_case_and_never_empty() -> None:
    column = canonical(pl.Series("ipp", [" ab1 ", "", "  ", None]), "ipp")
    assert column.values.to_list() == ["AB1", None, None, None]


def test_numbers_given_as_integers_are_read_as_text() -> None:
    assert canonical(pl.Series("ipp", [12, 13]), "ipp").values.to_list() == ["12", "13"]


def test_an_accent_apart_from_its_letter_makes_no_other_person():
    assert canonical(pl.Series("ipp", ["é1", "e\u03011", "É1"]), "ipp").values.unique().to_list() == ["É1"]


def by_hand(identifier: bytes) -> int:
    block = bytes([len(identifier)]) + identifier + bytes(15 - len(identifier))
    one_block = Cipher(algorithms.AES256(KEY), modes.ECB()).encryptor()  # noqa: S305
    return int.from_bytes(one_block.update(block)[:8], "little")


def test_a_unit_number_is_eight_bytes_of_one_aes_block() -> None:
    values = pl.Series("id", ["1841276451089", None, "7", "é" * 7, "", "x" * 15])
    expected = [None if value is None else by_hand(value.encode()) for value in values]
    assert unit_numbers(values, KEY).to_list() == expected
    assert unit_numbers(values, KEY).dtype == pl.UInt64


def test_a_slice_of_a_column_numbers_like_the_whole() -> None:
    values = pl.Series("id", [f"patient-{n}" for n in range(50)])
    assert unit_numbers(values[20:30], KEY).to_list() == unit_numbers(values, KEY).to_list()[20:30]


def test_a_longer_identifier_takes_hmac_under_a_key_of_its_own() -> None:
    long = "x" * 16
    number = unit_numbers(pl.Series([long, "short"]), KEY)
    assert number[1] == by_hand(b"short")
    assert number[0] not in {
        by_hand(b"x" * 15),
        int.from_bytes(hmac.digest(KEY, long.encode(), sha256)[:8], "little"),
    }
    assert number[0] == unit_numbers(pl.Series([long]), KEY)[0]


def test_numbers_depend_on_the_key_and_a_key_has_32_bytes() -> None:
    values = pl.Series(["1841276451089"])
    assert unit_numbers(values, KEY)[0] != unit_numbers(values, b"j" * 32)[0]
    with pytest.raises(BadQuestion):
        unit_numbers(values, b"short")


def test_padding_does_not_make_two_identifiers_one() -> None:
    values = pl.Series(["a", "a\x00", "a\x00\x00", "", unicodedata.normalize("NFD", "é"), "é"])
    assert unit_numbers(values, KEY).n_unique() == len(values)


def test_a_collision_is_found() -> None:
    values = pl.Series(["a", "b", "a", None])
    check_collisions(values, unit_numbers(values, KEY))
    with pytest.raises(Damaged) as caught:
        check_collisions(values, pl.Series([1, 1, 1, None], dtype=pl.UInt64))
    assert caught.value.code == "unit_collision"


def test_an_empty_column_has_no_numbers() -> None:
    assert unit_numbers(pl.Series([], dtype=pl.String), KEY).len() == 0


NIRS = [
    MAINLAND,
    MAINLAND[:13],
    with_key(SOUTH),
    with_key(NORTH),
    with_key(NORTH).lower(),
    "1 84 12 2A 451 089",
]
WRONG = [
    None,
    "x",
    MAINLAND[:14] + "9",
    "955081416802538",
    "255131416802538",
    "2550814168\u0662",
    "2550814\u20ac168025",
]


@pytest.mark.parametrize("texts", [NIRS, NIRS[2:4], NIRS + WRONG, WRONG, [MAINLAND] * 3, []])
@pytest.mark.parametrize("id_type", ["nir", "ipp"])
def test_a_column_is_numbered_at_once_as_it_is_step_by_step(texts: list[str | None], id_type: str) -> None:
    found = number_column(pa.array(texts, pa.string()), id_type, KEY)
    slowly = canonical(pl.Series(texts, dtype=pl.String), id_type)
    assert found.valid.tolist() == slowly.valid.to_list()
    assert found.numbers.tolist() == unit_numbers(slowly.values, KEY).fill_null(0).to_list()


def test_a_slice_of_cells_is_numbered_like_the_whole() -> None:
    cells = pa.array(NIRS, pa.string())
    whole, part = number_column(cells, "nir", KEY), number_column(cells[2:5], "nir", KEY)
    assert part.numbers.tolist() == whole.numbers.tolist()[2:5]
    with pytest.raises(BadQuestion, match="32 bytes"):
        number_column(cells, "nir", b"short")


def test_a_column_without_rows_has_no_numbers() -> None:
    bare = pa.Array.from_buffers(pa.string(), 0, [None, pa.py_buffer(b""), pa.py_buffer(b"")])
    for cells in (bare, pa.array([], pa.string())):
        assert number_column(cells, "nir", KEY).numbers.tolist() == []


def test_every_single_wrong_digit_in_a_column_is_found() -> None:
    wrong = [
        MAINLAND[:place] + digit + MAINLAND[place + 1 :] for place in range(15) for digit in "0123456789"
    ]
    assert number_column(pa.array(wrong), "nir", KEY).valid.tolist() == [text == MAINLAND for text in wrong]
