"""The ground every table of `house.db` stands on: one MetaData, lines that are only ever appended."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, TypeVar

from sqlalchemy import Engine, func
from sqlalchemy.orm import registry
from sqlmodel import Field, Session, SQLModel, col, select

HOUSE: registry = registry()


class HouseTable(SQLModel, registry=HOUSE):
    """A table of `house.db`; its own registry keeps the ledger's tables out of it."""

    append_only: ClassVar[bool] = False


class Line(HouseTable):
    """A line of the house's book: written once under a receipt, never changed, never removed.

    What holds now is the newest line about a thing; the lines before are its history.
    """

    append_only: ClassVar[bool] = True

    n: int | None = Field(default=None, primary_key=True)
    event_id: str
    event_index: int


TableT = TypeVar("TableT", bound=Line)


@contextmanager
def reading(engine: Engine) -> Iterator[Session]:
    """One consistent picture of the house."""
    with Session(engine) as session:
        yield session


@contextmanager
def writing(engine: Engine) -> Iterator[Session]:
    """One transaction that holds the write lock from its first read; all of it is durable, or none."""
    with Session(engine.execution_options(house_write=True)) as session, session.begin():
        yield session


def every_line(engine: Engine) -> Iterator[tuple[str, int, str, int]]:
    """Give (table, number, event, index of the event) of every line of the book, for the reconciliation."""
    books = [mapper.class_ for mapper in HOUSE.mappers if issubclass(mapper.class_, Line)]
    with reading(engine) as session:
        for table in sorted(books, key=lambda one: str(one.__tablename__)):
            lines = session.exec(select(table.n, table.event_id, table.event_index).order_by(col(table.n)))
            for number, event, index in lines:
                yield str(table.__tablename__), number or 0, event, index


def newest(session: Session, table: type[TableT], *key: Any, where: Sequence[Any] = ()) -> list[TableT]:
    """Give the newest line for each value of the key columns, in the order they were first written."""
    last = select(func.max(col(table.n))).where(*where).group_by(*key)
    return list(session.exec(select(table).where(col(table.n).in_(last)).order_by(col(table.n))))
