"""The ledger's SQLite file: private, durable at every commit, one writer at a time, of a known schema."""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, event, insert, inspect, select
from sqlalchemy.exc import DatabaseError, OperationalError
from sqlmodel import create_engine

from anonymisation.errors import Damaged, LedgerDown
from anonymisation.ledger_schema import SCHEMA, SCHEMA_VERSION, TRIGGERS, metadata

BUSY_SECONDS: Final = 30
"""How long a writer waits for the others before it refuses."""
POLL_SECONDS: Final = 0.0005
"""How often it looks: SQLite's own waiting sleeps up to 100 ms, and eight writers would mostly sleep."""
PRAGMAS: Final = (
    f"PRAGMA busy_timeout={BUSY_SECONDS * 1_000}",
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
)


def open_file(path: Path) -> Engine:
    """Open or create the file; raises `LedgerDown`, or `Damaged` where it is not a ledger of this schema."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600))
    except OSError as error:
        raise LedgerDown(
            "ledger_down", "The ledger's file cannot be opened.", "Look at its folder and modes."
        ) from error
    path.chmod(0o600)
    engine = create_engine(f"sqlite:///{path}")
    event.listen(engine, "connect", _configure)
    event.listen(engine, "begin", _begin)
    with writing(engine) as connection:
        _prepare(connection)
    return engine


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Open a transaction that holds the write lock from its first moment, durable when it ends."""
    with _transaction(engine.execution_options(begin="immediate")) as connection:
        yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Open a transaction that sees one state."""
    with _transaction(engine) as connection:
        yield connection


@contextmanager
def _transaction(engine: Engine) -> Iterator[Connection]:
    try:
        with engine.begin() as connection:
            yield connection
    except OperationalError as error:
        raise LedgerDown(
            "ledger_down", "The ledger cannot be locked, read or written.", "Nothing was charged. Try again."
        ) from error
    except DatabaseError as error:
        raise Damaged(
            "ledger_damaged", "The ledger is not readable as one.", "Restore the ledger from its backup."
        ) from error


def _configure(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # sqlite3 must not begin transactions of its own
    for pragma in PRAGMAS:
        connection.execute(pragma)


def _begin(connection: Connection) -> None:
    if connection.get_execution_options().get("begin") != "immediate":
        connection.exec_driver_sql("BEGIN")
        return
    connection.exec_driver_sql("PRAGMA busy_timeout=0")
    try:
        _wait_for_the_lock(connection)
    finally:
        connection.exec_driver_sql(PRAGMAS[0])


def _wait_for_the_lock(connection: Connection) -> None:
    deadline = time.monotonic() + BUSY_SECONDS
    while not _locked(connection):
        if time.monotonic() > deadline:
            raise LedgerDown(
                "ledger_down", "The ledger is held by another process.", "Nothing was charged. Try again."
            )
        time.sleep(POLL_SECONDS)


def _locked(connection: Connection) -> bool:
    try:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    except OperationalError as error:
        if getattr(error.orig, "sqlite_errorcode", 0) != sqlite3.SQLITE_BUSY:
            raise
        return False
    return True


def _prepare(connection: Connection) -> None:
    """Create the tables in an empty file; refuse a file of another schema."""
    present = inspect(connection).get_table_names()
    if not present:
        metadata.create_all(connection)
        for trigger in TRIGGERS:
            connection.exec_driver_sql(trigger)
        connection.execute(insert(SCHEMA), {"version": SCHEMA_VERSION})
    if present and "ledger_schema" not in present:
        raise Damaged("ledger_schema", "The file is not a ledger.", "Look at the path of the ledger.")
    if list(connection.execute(select(SCHEMA.c.version)).scalars()) != [SCHEMA_VERSION]:
        raise Damaged(
            "ledger_schema",
            f"The ledger has another schema than {SCHEMA_VERSION}.",
            "Run the version that wrote it.",
        )
