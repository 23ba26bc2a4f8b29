"""Find French identifiers in a text by their shape, and by their checksum where they have one.

Every expression is bounded and unambiguous, so the time is proportional to the text whatever the text is. A wrong
checksum does not clear a number: a shape that can only be an identity number is then labelled ID.
"""

import re
import sys
import unicodedata
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from anonymisation.identifiers.checksums import iban_is_valid, luhn_is_valid
from anonymisation.pseudonym import nir_key_valid


class Span(NamedTuple):
    """Where an identifier lies: half-open, in Unicode code points, and what it is."""

    start: int
    end: int
    label: str


# Lengths of the national account numbers met in France (ISO 13616 registry).
IBAN_LENGTHS: Final = {
    "FR": 27, "MC": 27, "BE": 16, "DE": 22, "ES": 24, "IT": 27, "LU": 20, "CH": 21, "GB": 22, "PT": 25, "NL": 18,
    "PL": 28, "RO": 24, "AT": 20, "IE": 22, "DK": 18, "SE": 24, "FI": 18, "GR": 27,
}  # fmt: skip
PRACTITIONER_FIGURES: Final = 11
LONGEST_LOCAL_PART: Final = 64

# Each starts with a plain set of characters, which the engine looks for fast; what must not come before is
# looked at after it. Those in a lookahead may overlap, so that one number cannot hide the next.
_ALONE = r"(?<![0-9].)(?<![0-9][.,].)"
_DEPARTMENT = r"(?:[0-9]{2}|2[ABab])"
_NIR_GROUPED = re.compile(
    rf"[1-478]{_ALONE}(?=([ ._/-]?)([0-9]{{2}})\1([0-9]{{2}})\1({_DEPARTMENT})\1?([0-9]{{3}})\1([0-9]{{3}})"
    r"(?:[ ._/-]{0,3}([0-9]{2}))?(?![0-9]))"
)
_NIR_SPACED = re.compile(
    rf"[1-478]{_ALONE}(?=((?:[ _-]?[0-9]){{4}}[ _-]?(?:[0-9][ _-]?[0-9]|2[ _-]?[ABab])(?:[ _-]?[0-9]){{8}})(?![0-9]))"
)
_PHONE_FRENCH = re.compile(
    rf"0{_ALONE}(?=(0?33|[ ]?)([ ._/-]?(?:\(0\))?[1-9](?:[ ._/-]?[0-9]){{8}})(?![0-9]))"
)
_PHONE_PLUS = re.compile(r"\+(?<![0-9EeA-Za-z].)(?=([1-9][0-9]{0,2}(?:[ ._/()-]{0,2}[0-9]){7,12})(?![0-9]))")
_EMAIL = re.compile(r"@(?<=[\w.%+-].)(?=((?:[\w-]{1,63}\.){1,8}[A-Za-z]{2,24}))")
_IBAN = re.compile(r"[A-Za-z](?<![A-Za-z0-9].)(?=([A-Za-z][0-9]{2}(?:[ -]?[A-Za-z0-9]){11,30}))")
_RPPS = re.compile(rf"[18]{_ALONE}(?=((?:[ ]?[0-9]){{10}})(?![0-9]))")
_PLATE = re.compile(
    r"[A-HJ-NP-TV-Z](?<![A-Za-z0-9].)(?=([A-HJ-NP-TV-Z][ -][0-9]{3}[ -][A-HJ-NP-TV-Z]{2})(?![A-Za-z0-9]))"
)

_NUMBER_SIGN = r"(?:n[°o]\.?|num[ée]ro|num)"
_GAP = r"[^0-9A-Za-z\n]{0,6}"
_LABELLED: Final = (
    (
        re.compile(
            rf"\b(?:IPP|NIP|{_NUMBER_SIGN}[ _]?permanent){_GAP}{_NUMBER_SIGN}?{_GAP}([0-9A-Za-z]{{0,3}}[0-9]{{5,12}})\b",
            re.IGNORECASE,
        ),
        "IPP",
    ),
    (
        re.compile(
            rf"\b(?:NDA|IEP|{_NUMBER_SIGN}[ _]?(?:de[ _])?(?:dossier|s[ée]jour|venue|sej)){_GAP}{_NUMBER_SIGN}?{_GAP}([0-9A-Za-z]{{0,3}}[0-9]{{5,14}})\b",
            re.IGNORECASE,
        ),
        "NDA",
    ),
    (re.compile(rf"\bRPPS{_GAP}{_NUMBER_SIGN}?{_GAP}([0-9](?:[ ]?[0-9]){{10}})\b", re.IGNORECASE), "RPPS"),
    (
        re.compile(
            rf"\bFINESS{_GAP}(?:{_NUMBER_SIGN}|ET|EJ)?{_GAP}([0-9][0-9ABab](?:[ ]?[0-9]){{7}})\b",
            re.IGNORECASE,
        ),
        "FINESS",
    ),
)
_TITLED = re.compile(
    r"[MDPm](?<![A-Za-zÀ-ÿ].)(?=((?:\.|me|lle|r|onsieur|adame|ademoiselle|octeur|rofesseur)\.?[ ]{1,2}"
    r"(?:[A-ZÀ-Þ][A-Za-zÀ-ÿ'’-]{1,30})(?:[ ][A-ZÀ-Þ][A-Za-zÀ-ÿ'’-]{1,30}){0,3}))"
)
_MONTHS = r"(?:janv|f[ée]vr|mars|avr|mai|juin|juil|ao[uû]t|sept|oct|nov|d[ée]c)[a-zéû]{0,6}\.?"
_DATE = (
    r"(?:[0-3]?[0-9][ ./-][01]?[0-9][ ./-](?:[0-9]{4}|[0-9]{2})|[0-9]{4}[./-][01][0-9][./-][0-3][0-9]"
    rf"|[0-3]?[0-9](?:er)?[ ]{_MONTHS}[ ][0-9]{{4}})"
)
_BIRTH = re.compile(
    rf"\b(?:n[ée](?:\(e\)|e)?[ ](?:le|en)|naissance|naiss|ddn|dob|birth[ _]?date|date[ _]of[ _]birth|born(?:[ ]on)?)\b[^0-9\n]{{0,16}}({_DATE})(?![0-9])",
    re.IGNORECASE,
)


def find(text: str) -> list[Span]:
    """Give every identifier found, in order, none overlapping another (the longer of two wins)."""
    plain = plainly(text)
    found = [span for finder in _FINDERS for span in finder(plain)]
    found.sort(key=lambda span: (span.start, -span.end))
    kept: list[Span] = []
    for span in found:
        if not kept or span.start >= kept[-1].end:
            kept.append(span)
        elif span.end - span.start > kept[-1].end - kept[-1].start:
            kept[-1] = span
    return kept


def plainly(text: str) -> str:
    """Give the text with every digit, space and dash of Unicode in ASCII; places in it stay the same."""
    return text if text.isascii() else text.translate(_LOOKALIKES)


def _lookalikes() -> dict[int, str]:
    """Map every digit, space and dash of Unicode, and full-width letters, to ASCII, one code point for one."""
    table = {}
    for point in range(0x80, sys.maxunicode + 1):
        kind = unicodedata.category(chr(point))
        if kind == "Nd":
            table[point] = str(unicodedata.decimal(chr(point)))
        elif kind in {"Zs", "Pd"}:
            table[point] = " " if kind == "Zs" else "-"
    table |= {wide: chr(wide - 0xFEE0) for wide in range(0xFF01, 0xFF5F) if wide not in table}
    return table


_LOOKALIKES: Final = _lookalikes()
_NO_GAPS: Final = str.maketrans("", "", " _-")


def _identity_numbers(text: str) -> Iterator[Span]:
    for match in _NIR_GROUPED.finditer(text):
        _, year, month, dept, commune, order, key = match.groups()
        number = match[0] + year + month + dept + commune + order
        end = match.end(7) if key else match.end(6)
        if nir_key_valid((number + (key or "")).upper()):
            yield Span(match.start(), end, "NIR")
        elif _is_born_in(month, dept):
            yield Span(match.start(), end, "ID" if key else "NIR")
    for match in _NIR_SPACED.finditer(text):
        number = (match[0] + match[1]).translate(_NO_GAPS)
        if nir_key_valid(number.upper()):
            yield Span(match.start(), match.end(1), "NIR")


def _is_born_in(month: str, dept: str) -> bool:
    """Tell whether the figures are a plain month and a place: what remains to judge by without a right key."""
    return "01" <= month <= "12" and dept != "00"


def _phones(text: str) -> Iterator[Span]:
    for match in _PHONE_FRENCH.finditer(text):
        yield Span(match.start(), match.end(2), "PHONE")
    for match in _PHONE_PLUS.finditer(text):
        yield Span(match.start(), match.end(1), "PHONE")


def _emails(text: str) -> Iterator[Span]:
    for match in _EMAIL.finditer(text):
        start = match.start()
        while start > max(0, match.start() - LONGEST_LOCAL_PART) and (
            text[start - 1].isalnum() or text[start - 1] in "._%+-"
        ):
            start -= 1
        yield Span(start, match.end(1), "EMAIL")


def _accounts(text: str) -> Iterator[Span]:
    for match in _IBAN.finditer(text):
        written = text[match.start() : match.end(1)]
        length = IBAN_LENGTHS.get(written[:2].upper())
        places = [place for place, letter in enumerate(written) if letter.isalnum()]
        if length is not None and len(places) >= length:
            end = places[length - 1] + 1
            if iban_is_valid(written[:end]):
                yield Span(match.start(), match.start() + end, "IBAN")


def _practitioners(text: str) -> Iterator[Span]:
    for match in _RPPS.finditer(text):
        if luhn_is_valid((match[0] + match[1]).replace(" ", "")):
            yield Span(match.start(), match.end(1), "RPPS")


def _plates(text: str) -> Iterator[Span]:
    for match in _PLATE.finditer(text):
        yield Span(match.start(), match.end(1), "PLATE")


def _labelled(text: str) -> Iterator[Span]:
    for pattern, label in _LABELLED:
        for match in pattern.finditer(text):
            yield Span(match.start(1), match.end(1), label)


def _titled(text: str) -> Iterator[Span]:
    for match in _TITLED.finditer(text):
        yield Span(match.start(), match.end(1), "PERSON")


def _births(text: str) -> Iterator[Span]:
    for match in _BIRTH.finditer(text):
        yield Span(match.start(1), match.end(1), "DATE")


_FINDERS: Final[tuple[Callable[[str], Iterator[Span]], ...]] = (
    _identity_numbers,
    _phones,
    _emails,
    _accounts,
    _practitioners,
    _plates,
    _titled,
    _labelled,
    _births,
)
