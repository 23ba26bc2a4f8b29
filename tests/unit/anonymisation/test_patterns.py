from itertools import pairwise

import pytest

from anonymisation.identifiers.checksums import iban_is_valid, luhn_is_valid
from anonymisation.identifiers.patterns import find

# Made up; the keys are right. The telephone series is kept for fiction by the numbering plan.
FOUND = [
    ("254126204800253", "NIR", "254126204800253"),
    ("2541262048002", "NIR", "2541262048002"),
    ("NIR : 2 54 12 62 048 002 53.", "NIR", "2 54 12 62 048 002 53"),
    ("2.54.12.62.048.002/53", "NIR", "2.54.12.62.048.002/53"),
    ("2-54-12-62-048-002-53", "NIR", "2-54-12-62-048-002-53"),
    ("2 5 4 1 2 6 2 0 4 8 0 0 2 5 3", "NIR", "2 5 4 1 2 6 2 0 4 8 0 0 2 5 3"),
    ("1 85 05 2A 004 012 70", "NIR", "1 85 05 2A 004 012 70"),
    ("né à Bastia, 185052b00401297", "NIR", "185052b00401297"),
    ("２５４１２６２０４８００２５３", "NIR", "２５４１２６２０４８００２５３"),
    ("٢٥٤١٢٦٢٠٤٨٠٠٢٥٣", "NIR", "٢٥٤١٢٦٢٠٤٨٠٠٢٥٣"),
    (
        "2\u00a054\u00a012\u00a062\u00a0048\u00a0002\u00a053",
        "NIR",
        "2\u00a054\u00a012\u00a062\u00a0048\u00a0002\u00a053",
    ),
    ("254126204800254", "ID", "254126204800254"),
    ("06 39 98 12 34", "PHONE", "06 39 98 12 34"),
    ("tél.0639981234", "PHONE", "0639981234"),
    ("06.39.98.12.34", "PHONE", "06.39.98.12.34"),
    ("06-39-98-12-34", "PHONE", "06-39-98-12-34"),
    ("0 639 981 234", "PHONE", "0 639 981 234"),
    ("+33 6 39 98 12 34", "PHONE", "+33 6 39 98 12 34"),
    ("+33 (0)6 39 98 12 34", "PHONE", "+33 (0)6 39 98 12 34"),
    ("0033639981234", "PHONE", "0033639981234"),
    ("+44 20 7946 0000", "PHONE", "+44 20 7946 0000"),
    ("écrire à prenom.nom@example.org.", "EMAIL", "prenom.nom@example.org"),
    ("FR76 3000 6000 0112 3456 7890 189", "IBAN", "FR76 3000 6000 0112 3456 7890 189"),
    ("iban fr7630006000011234567890189", "IBAN", "fr7630006000011234567890189"),
    ("IPP : 8001234567", "IPP", "8001234567"),
    ("n° permanent 80012345", "IPP", "80012345"),
    ("NDA n° 123456789", "NDA", "123456789"),
    ("N° de séjour : 12345678", "NDA", "12345678"),
    ("RPPS 10003456789", "RPPS", "10003456789"),
    ("10003456786", "RPPS", "10003456786"),
    ("FINESS ET 599999001", "FINESS", "599999001"),
    ("né le 03/05/1954", "DATE", "03/05/1954"),
    ("née le 3 mars 1954", "DATE", "3 mars 1954"),
    ("NEE LE 03.05.54", "DATE", "03.05.54"),
    ("Date de naissance : 1954-05-03", "DATE", "1954-05-03"),
    ("DDN 03/05/1954", "DATE", "03/05/1954"),
    ("AB-123-CD", "PLATE", "AB-123-CD"),
    ("Vu avec Mme Le Gall Anne-Marie ce jour", "PERSON", "Mme Le Gall Anne-Marie"),
    ("Dr Martin", "PERSON", "Dr Martin"),
]
FREE = [
    "0.254126204800253",
    "2.54126204800253",
    "-0,639981234",
    "12 345 678 901",
    "1732545000000",
    "420 patients, 3 mars 2024",
    "entrée le 03/05/2024",
    "Madame se porte bien",
    "ICD-10 I10, CCAM DEQP003",
    "1.0e+123456789",
    "AB 12",
    "FR76 3000 6000 0112 3456 7890 188",
]


@pytest.mark.parametrize(("text", "label", "span"), FOUND)
def test_an_identifier_is_found_with_its_exact_place(text: str, label: str, span: str) -> None:
    found = [(text[start:end], kind) for start, end, kind in find(text)]
    assert found == [(span, label)]


@pytest.mark.parametrize("text", FREE)
def test_numbers_and_words_that_are_no_identifiers_stay(text: str) -> None:
    assert find(text) == []


def test_spans_come_in_order_and_never_overlap() -> None:
    text = "Mme DUPONT, née le 03/05/1954, NIR 254126204800253, tél. 06 39 98 12 34, a@example.org. " * 3
    spans = find(text)
    assert [span.label for span in spans] == ["PERSON", "DATE", "NIR", "PHONE", "EMAIL"] * 3
    assert all(one.end <= two.start for one, two in pairwise(spans))


def test_a_number_before_another_does_not_hide_it() -> None:
    assert [span.label for span in find("1 254126204800253")] == ["NIR"]
    assert [span.label for span in find("AB12 FR76 3000 6000 0112 3456 7890 189")] == ["IBAN"]


def test_places_count_code_points_and_not_bytes() -> None:
    text = "🏥é 06 39 98 12 34"
    assert find(text)[0][:2] == (3, 17)


@pytest.mark.parametrize(
    "hostile",
    ["1" * 300_000, "1 " * 150_000, "a@" * 150_000, "a" * 300_000 + "@", "AB12 " * 60_000, "né le " * 50_000, "+1" * 150_000,
     "0 " * 150_000, "Mme A" * 60_000, "IPP " * 75_000, "n° " * 100_000, "a." * 150_000 + "@" + "a." * 150_000, "\u0661" * 300_000],
    ids=lambda text: repr(text[:6]),
)  # fmt: skip
def test_hostile_text_is_read_in_one_go(hostile: str) -> None:
    find(hostile)  # a quadratic expression would run into the test's time limit


def test_luhn_and_iban_refuse_one_changed_figure() -> None:
    assert luhn_is_valid("79927398713")
    assert not luhn_is_valid("79927398714")
    assert iban_is_valid("FR76 3000 6000 0112 3456 7890 189")
    assert not iban_is_valid("FR76 3000 6000 0112 3456 7890 198")
