"""Searching the trail: which way a search takes, so that a page is short work in a long trail.

One condition is what the database has an index for. Several at once, or words of a text, are looked up in the index
of words, and a period becomes a span of places. What is too new for the index is read from the database itself, so
that every search is complete.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import orjson
import sqlalchemy as sa

from audit.store import ENTRY, OBJECT, Store, telling
from audit.store_words import NoIndex, Wanted, Words, field_word, words

MAX_ROWS: Final = 1_000
COUNTED: Final = 5_000
END: Final = 2**62  # beyond every place
MANY: Final = 2  # conditions for which the database has no index together


@dataclass(frozen=True)
class Search:
    """What to look for; times are RFC 3339 text, `before` and `after` may also be an index.

    `below` is an index too, for the next page of a search that is bounded by times. An event has each word of `text`
    as a value of its own or as a part of one.
    """

    equal: Mapping[str, str]
    object: str | None = None
    before: str | None = None
    after: str | None = None
    limit: int = 100
    below: int | None = None
    text: str = ""

    @property
    def words(self) -> tuple[str, ...]:
        """Give the words of the text."""
        return words(self.text)

    @property
    def anything(self) -> bool:
        """Whether nothing but a period is asked for."""
        return not self.equal and self.object is None and not self.text

    @property
    def one_act(self) -> bool:
        """Whether one act is followed: it has few events, and the database an index for it."""
        return "corr" in self.equal

    @property
    def times(self) -> tuple[str | None, str | None]:
        """Give the period, open at either end: after, before."""
        after, before = (
            None if each is None or each.isdecimal() else each for each in (self.after, self.before)
        )
        return after, before

    @property
    def bounds(self) -> range:
        """Give the places of a page, which move through the matches without changing how many there are."""
        start = int(self.after) + 1 if self.after is not None and self.after.isdecimal() else 0
        stop = int(self.before) if self.before is not None and self.before.isdecimal() else END
        return range(start, stop if self.below is None else min(stop, self.below))

    def source(self) -> sa.FromClause:
        """Give where to look: by object first where one is named, so that its own order ends the reading early."""
        if self.object is None:
            return ENTRY
        return OBJECT.join(ENTRY, ENTRY.c.seq == OBJECT.c.seq)

    def place(self) -> sa.Column[int]:
        """Give the column that orders the page."""
        return ENTRY.c.seq if self.object is None else OBJECT.c.seq

    def conditions(self, span: range, *, timed: bool) -> list[sa.ColumnElement[bool]]:
        """Give what an entry of a span of places must satisfy."""
        found = [ENTRY.c[name] == value for name, value in self.equal.items()]
        after, before = self.times if timed else (None, None)
        if self.object is not None:
            found.append(OBJECT.c.object == self.object)
        if after is not None:
            found.append(_time(span) > after)
        if before is not None:
            found.append(_time(span) < before)
        if self.text:
            found.append(sa.func.says(ENTRY.c.leaf, " ".join(self.words)) == 1)
        if span.start:
            found.append(self.place() >= span.start)
        if span.stop < END:
            found.append(self.place() < span.stop)
        return found


def _time(span: range) -> sa.ColumnElement[str]:
    """Give the time of an entry; within the few newest ones SQLite is kept from its index over all of them."""
    return sa.literal_column("+entry.ts", sa.Text) if span.start else ENTRY.c.ts


class _Way(Protocol):
    """Where to look, and how."""

    @property
    def span(self) -> range: ...

    def page(self, span: range, limit: int) -> list[bytes]: ...

    def count(self, most: int) -> int: ...


@dataclass(frozen=True)
class _Direct:
    """By the database's own indexes."""

    store: Store
    wanted: Search
    span: range
    timed: bool

    def page(self, span: range, limit: int) -> list[bytes]:
        query = sa.select(ENTRY.c.leaf).select_from(self.wanted.source())
        query = query.where(*self.wanted.conditions(span, timed=self.timed))
        return self.store.ask(query.order_by(self.wanted.place().desc()).limit(limit))

    def count(self, most: int) -> int:
        if self.span.stop < END and self.wanted.anything and not self.timed:
            return min(len(self.span), most)
        query = sa.select(self.wanted.place()).select_from(self.wanted.source())
        counted = query.where(*self.wanted.conditions(self.span, timed=self.timed)).limit(most).subquery()
        return int(self.store.ask(sa.select(sa.func.count()).select_from(counted))[0])


@dataclass(frozen=True)
class _ByWords:
    """By the index of words."""

    index: Words
    wanted: Wanted
    span: range

    def page(self, span: range, limit: int) -> list[bytes]:
        return self.index.leaves(self.wanted, span, limit)

    def count(self, most: int) -> int:
        return self.index.count(self.wanted, self.span, most)


@dataclass(frozen=True)
class Finder:
    """The searches of one open log."""

    store: Store
    index: Words

    def search(self, wanted: Search) -> tuple[list[dict[str, Any]], int]:
        """Give the newest matching events, and how many match in all, counted up to one more than COUNTED."""
        with telling():
            try:
                return _found(wanted, self._ways(wanted))
            except NoIndex:
                return _found(wanted, [_Direct(self.store, wanted, range(END), timed=True)])

    def _ways(self, wanted: Search) -> list[_Way]:
        """Give the ways to take, those to the newest entries first."""
        by_words = wanted.text != "" or (
            len(wanted.equal) + bool(wanted.object) >= MANY and not wanted.one_act
        )
        timed = wanted.times != (None, None)
        if not by_words and not timed:
            return [_Direct(self.store, wanted, range(END), timed=False)]
        upto = self.index.upto
        newer = _Direct(self.store, wanted, range(upto, END), timed=timed)
        span, exact = self.index.period(*wanted.times, upto)
        after, before = (None, None) if exact else wanted.times
        if not by_words:
            return [newer, _Direct(self.store, wanted, span, timed=not exact)]
        return [newer, _ByWords(self.index, Wanted(_words(wanted), wanted.object, after, before), span)]


def _words(wanted: Search) -> tuple[str, ...]:
    fields = [field_word(name, value) for name, value in wanted.equal.items()]
    if wanted.object:
        fields.append(
            field_word("object", wanted.object.lower())
        )  # the index knows no capitals; the row does
    return (*fields, *wanted.words)


def _found(wanted: Search, ways: Sequence[_Way]) -> tuple[list[dict[str, Any]], int]:
    limit = min(wanted.limit, MAX_ROWS)
    leaves: list[bytes] = []
    total = 0
    for way in ways:
        left = limit - len(leaves)
        here = range(max(way.span.start, wanted.bounds.start), min(way.span.stop, wanted.bounds.stop))
        page = way.page(here, left) if left and here else []
        leaves += page
        whole = here == way.span and len(page) < left
        total += len(page) if whole else way.count(COUNTED + 1 - total)
    return [orjson.loads(leaf) for leaf in leaves], total
