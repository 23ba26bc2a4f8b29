"""Read the numbers of a table as people write them: French thousands, decimal commas, "5 (12 %)", "< 11"."""

import re
import unicodedata
from dataclasses import dataclass
from typing import Final, Literal

from anonymisation.identifiers.patterns import plainly

LONGEST: Final = 60
LARGEST: Final = 1e300
# What people write for "not shown" (hidden, not available); compared in lower case.
MASKS: Final = frozenset(
    {"", "-", "--", "–", "—", "*", "**", "x", "s", "c", ".", "..", "...", "na", "n/a", "n.a.", "nd", "n.d.", "ns", "nan",
     "none", "null", "masqué", "masque", "supprimé", "secret", "suppressed", "redacted", "[redacted]", "hidden", "#"}
)  # fmt: skip

_SPACES = re.compile(r"[\s'’_]+")
_FIGURES = re.compile(r"[+-]?(?:[0-9]+(?:[.,][0-9]*)?|[.,][0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_THOUSANDS = re.compile(r"[+-]?[0-9]{1,3}(?:([.,])[0-9]{3})(?:\1[0-9]{3})*(?:(?!\1)[.,][0-9]+)?")
_LEADING = re.compile(r"[+-]?[0-9](?:[0-9]|[\s'’](?=[0-9]{3}(?![0-9])))*(?:[.,][0-9]+)?(?![0-9A-Za-z.,])")
_RANGE = re.compile(r"[01]\s*(?:-|–|—|à|to|a)\s*([0-9]{1,6})")
_AMBIGUOUS = re.compile(r"[0-9]{1,3}(?:,[0-9]{3}|\.(?!000)[0-9]{3})")
_BELOW = re.compile(r"(<=|<|≤|⩽|moins de|less than|under|jusqu'à|up to)\s*([0-9]{1,6})")

Kind = Literal["number", "ambiguous", "mask", "below", "other"]


@dataclass(frozen=True)
class Cell:
    """A cell as read: a number, a mask, a promise to be below something, or something else.

    Ambiguous is "1.234": a decimal for some, more than a thousand for others; its value is the decimal.
    """

    kind: Kind
    value: float = 0.0
    percent: bool = False

    @property
    def whole(self) -> bool:
        """True for a number with nothing after the point."""
        return self.kind == "number" and self.value == int(self.value)


def read(cell: str) -> Cell:
    """Read a whole cell."""
    text = _plain(cell)
    if text.lower() in MASKS:
        return Cell("mask")
    if len(text) > LONGEST:
        return Cell("other")
    if below := _BELOW.fullmatch(text.lower()):
        least = int(below[2]) + (below[1] not in {"<", "moins de", "less than", "under"})
        return Cell("below", least)
    if span := _RANGE.fullmatch(text.lower()):
        return Cell("below", int(span[1]) + 1)
    percent = text.endswith("%")
    value = _number(text.removesuffix("%").strip())
    if value is None:
        return Cell("other")
    return Cell("ambiguous" if _AMBIGUOUS.fullmatch(text) else "number", value, percent)


def read_count(cell: str) -> Cell:
    """Read the count a cell of a count column begins with: "5 (12 %)", "5/120", "n=5", "5*" are all five."""
    whole = read(cell)
    if whole.kind != "other":
        return whole
    text = _plain(cell)[:LONGEST].lower()
    text = re.sub(r"^(?:n|nb|eff|effectif|count|freq|total)?\s{0,3}[=:(\[~≈]?\s{0,3}", "", text)
    leading = _LEADING.match(text)
    value = _number(leading[0]) if leading else None
    return Cell("other") if value is None else Cell("number", value)


def _plain(cell: str) -> str:
    return plainly(unicodedata.normalize("NFKC", cell)).strip()


def _number(text: str) -> float | None:
    close = _SPACES.sub("", text)
    if _FIGURES.fullmatch(close):
        value = float(close.replace(",", "."))
    elif _THOUSANDS.fullmatch(close):
        point = max(close.rfind("."), close.rfind(","))
        mixed = "." in close and "," in close
        whole, rest = (close[:point], close[point + 1 :]) if mixed else (close, "0")
        value = float(re.sub(r"[.,]", "", whole) + "." + rest)
    else:
        return None
    return value if abs(value) < LARGEST else None
