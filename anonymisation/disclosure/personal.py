"""Find direct identifiers in names, headings and text; no exception is possible where one is certain."""

import re
from collections.abc import Iterator
from typing import Final

from anonymisation.disclosure.content import NOWHERE, Content, at, column_place
from anonymisation.disclosure.headings import announces_count
from anonymisation.disclosure.hidden_text import Hit
from anonymisation.identifiers import patterns
from anonymisation.identifiers.columns import announced
from anonymisation.identifiers.words import Words

# A shape that may be something else, or a name beside a title: a person looks.
DOUBTFUL: Final = frozenset({"ID", "PERSON", "FINESS"})
MOST_PLACES: Final = 5
# A day so long ago is more often a birth than a stay.
_OLD_DAY = re.compile(
    r"(?<![0-9])(?:(?:19[0-9]{2}|200[0-5])-[01][0-9]-[0-3][0-9]|[0-3][0-9][/.][01][0-9][/.](?:19[0-9]{2}|200[0-5]))(?![0-9])"
)


def hits(name: str, content: Content) -> Iterator[Hit]:
    """Find identifiers in a file's name, headings, keys, cells and lines."""
    if patterns.find(name):
        yield "identifier_in_name", NOWHERE
    yield from _heading_hits(content)
    yield from _text_hits(content)


def _heading_hits(content: Content) -> Iterator[Hit]:
    for table in content.tables:
        for index, name in enumerate(table.header):
            if _is_direct(name):
                yield "identifier_heading", column_place(table, index)
    for place, key in content.keys:
        if _is_direct(key):
            yield "identifier_heading", place


def _is_direct(name: str) -> bool:
    """Tell whether a heading announces a direct identifier; the number of them is only a count."""
    rule = announced(name)
    return rule is not None and rule.class_ == "direct" and not announces_count(name)


def _text_hits(content: Content) -> Iterator[Hit]:
    told: dict[tuple[str, str], list[Words]] = {}
    for day in _OLD_DAY.finditer(content.joined):
        told.setdefault(("identifier_doubtful", "DATE"), []).append(content.place_of(day.start()))
    for span in patterns.find(content.joined):
        code = "identifier_doubtful" if span.label in DOUBTFUL else "identifier"
        told.setdefault((code, span.label), []).append(content.place_of(span.start))
    for (code, label), places in told.items():
        shown = list(dict.fromkeys(places))
        more = len(shown) - MOST_PLACES
        fr = "; ".join(place.fr for place in shown[:MOST_PLACES]) + (f" et {more} autres" if more > 0 else "")
        en = "; ".join(place.en for place in shown[:MOST_PLACES]) + (f" and {more} more" if more > 0 else "")
        yield code, at(f"{label} : {fr}", f"{label}: {en}")
