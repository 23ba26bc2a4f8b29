"""Small words shared by the rules: the same sentence in two languages, and the words of a heading."""

import re
import unicodedata
from functools import lru_cache
from typing import Final, NamedTuple

LONGEST_HEADING: Final = 200


class Words(NamedTuple):
    """The same in French and in English."""

    fr: str
    en: str


@lru_cache(maxsize=4096)
def words_of(heading: str) -> tuple[str, ...]:
    """Give the words of a heading without accents or case: `nbPatients_2` is nb, patients."""
    split = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", unicodedata.normalize("NFKD", heading[:LONGEST_HEADING]))
    plain = "".join(letter for letter in split if not unicodedata.combining(letter)).lower()
    return tuple(re.findall(r"[a-z]+[0-9]*|%|#", plain))
