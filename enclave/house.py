"""Opens `house.db`, the house's own book: who is who, what was agreed, what asked to leave."""

import os
import sqlite3
import stat
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DatabaseError

# Imported for their tables: a house opened without one of them would lack it.
from enclave.accounts import store as _accounts
from enclave.agreements import key_backups as _key_backups
from enclave.agreements import objections as _objections
from enclave.agreements import store as _agreements
from enclave.errors import Damaged, Refused
from enclave.house_table import HOUSE, HouseTable
from enclave.release import store as _release

SCHEMA_VERSION = 5
BUSY_TIMEOUT_MS = 5_000
MODE = 0o600
OTHERS = stat.S_IRWXG | stat.S_IRWXO

__all__ = ["SCHEMA_VERSION", "open_house"]

_TABLES = (_accounts, _agreements, _key_backups, _objections, _release)


def open_house(path: Path) -> Engine:
    """Open the house's database, creating it (mode 0600) where there is none.

    Raises `Refused` for a file others can read or a schema this program does not know, and `Damaged` for a
    file that is not a database.
    """
    _private_file(path)
    engine = create_engine(f"sqlite:///{path}")
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    try:
        _check_schema(engine, path)
    except DatabaseError as error:
        engine.dispose()
        raise Damaged(
            "house_damaged", f"{path.name} cannot be read as a database.", "Restore it from a backup."
        ) from error
    except Refused:
        engine.dispose()
        raise
    return engine


def _private_file(path: Path) -> None:
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, MODE))
    if path.stat().st_mode & OTHERS:
        raise Refused(
            "house_open_to_others",
            f"{path.name} can be read or written by other users of the machine.",
            f"Find out who could have, then chmod 600 {path.name}.",
        )


def _prepare(connection: sqlite3.Connection, _record: Any) -> None:
    # None: the driver begins no transaction of its own, _begin does (SQLAlchemy, "Serializable isolation").
    connection.isolation_level = None
    for pragma in (
        f"busy_timeout={BUSY_TIMEOUT_MS}",
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "trusted_schema=OFF",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    write = connection.get_execution_options().get("house_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def _check_schema(engine: Engine, path: Path) -> None:
    with engine.execution_options(house_write=True).begin() as connection:
        found = connection.execute(text("PRAGMA user_version")).scalar_one()
        if found == SCHEMA_VERSION:
            return
        if found != 0 or connection.execute(text("SELECT count(*) FROM sqlite_schema")).scalar_one():
            raise Refused(
                "house_schema_unknown",
                f"{path.name} has schema {found}; this program knows schema {SCHEMA_VERSION} only.",
                "Start the version of the program that wrote it, or restore a backup.",
                found=found,
                known=SCHEMA_VERSION,
            )
        _create(connection)


def _create(connection: Connection) -> None:
    HOUSE.metadata.create_all(connection)
    for mapper in HOUSE.mappers:
        table: type[HouseTable] = mapper.class_
        if table.append_only:
            _forbid_changes(connection, mapper.local_table.name)  # type: ignore[attr-defined]
    connection.execute(text(f"PRAGMA user_version={SCHEMA_VERSION}"))


def _forbid_changes(connection: Connection, name: str) -> None:
    for change in ("UPDATE", "DELETE"):
        connection.exec_driver_sql(
            f"CREATE TRIGGER {name}_no_{change.lower()} BEFORE {change} ON {name} "
            f"BEGIN SELECT RAISE(ABORT, '{name} is append-only'); END"
        )
