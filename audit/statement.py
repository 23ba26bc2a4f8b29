"""What a house says that its own books hold: neutral lines that a trail can be compared with, by anybody.

JSON Lines. The first line is the heading: whose trail it is about, how far that trail reached before and after the
books were read, which books were read and which could not be. Every other line is one record of a book, with the id
of the event that announced it where the book keeps one. Ids, hashes and sums only: no value, no name.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, Final, Literal, TypeVar, get_args

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from audit.errors import BadInput
from audit.event import Count, ObjectId, Sha256Hex, UtcTime, Uuid7

Source = Literal["ledger", "house", "releases", "vault", "hub"]
Kind = Literal["charge", "answer", "cap", "line", "package", "version", "session"]
SOURCES: Final[tuple[Source, ...]] = get_args(Source)
BOOK_OF: Final[Mapping[Kind, Source]] = {
    "charge": "ledger",
    "answer": "ledger",
    "cap": "ledger",
    "line": "house",
    "package": "releases",
    "version": "vault",
    "session": "hub",
}
MAX_BYTES: Final = 1 << 30  # a million charges are about 300 MB


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


Told = TypeVar("Told", bound=_Line)


class Heading(_Line):
    """Which trail, and how far it reached before (`before`) and after (`after`) the books were read."""

    statement: Literal[1] = 1
    log: str
    at: UtcTime
    before: Count
    after: Count
    read: tuple[Source, ...] = Field(strict=False)
    unread: tuple[Source, ...] = Field(default=(), strict=False)


class Record(_Line):
    """One record of a book. `sha256` is of what it keeps; `event` and `index` are of the event it names."""

    kind: Kind
    id: ObjectId
    event: Uuid7 | None = None
    index: Count | None = None
    sha256: Sha256Hex | None = None
    rho_micro: Count | None = None
    at: Annotated[str, Field(max_length=40)] | None = None

    @property
    def source(self) -> Source:
        """The book it is in."""
        return BOOK_OF[self.kind]


class Statement(_Line):
    """A whole statement."""

    heading: Heading
    records: tuple[Record, ...]

    def lines(self) -> Iterable[bytes]:
        """Give the JSON Lines."""
        for line in (self.heading, *self.records):
            told = line.model_dump(mode="json", exclude_none=True)
            yield orjson.dumps(told, option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)

    def to_bytes(self) -> bytes:
        """Give the file."""
        return b"".join(self.lines())


def read_statement(raw: bytes) -> Statement:
    """Read the file of a statement; raises BadInput naming the first line that is not one, or that comes twice."""
    lines = raw.splitlines() if len(raw) <= MAX_BYTES else []
    if not lines:
        raise _not_one(1)
    heading = _read(Heading, lines[0], 1)
    seen: set[tuple[str, str]] = set()
    records = []
    for number, line in enumerate(lines[1:], 2):
        record = _read(Record, line, number)
        if (record.kind, record.id) in seen or record.source not in heading.read:
            raise _not_one(number)
        seen.add((record.kind, record.id))
        records.append(record)
    return Statement(heading=heading, records=tuple(records))


def _read(form: type[Told], line: bytes, number: int) -> Told:
    try:
        return form.model_validate(orjson.loads(line))
    except (orjson.JSONDecodeError, ValidationError):
        raise _not_one(number) from None


def _not_one(number: int) -> BadInput:
    return BadInput(
        "bad_statement",
        f"line {number} is not one of a statement of the house's books",
        "ask the house for `enclave audit reconcile --out FILE`",
        line=number,
    )
