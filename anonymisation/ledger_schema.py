"""The ledger's tables. Rows are only ever added; the database itself refuses to change or delete one."""

from typing import Final

from sqlalchemy import Index, MetaData
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

SCHEMA_VERSION: Final = 1

_registry = registry(metadata=MetaData())
metadata: Final = _registry.metadata


class LedgerModel(SQLModel, registry=_registry):
    """Tables of the ledger share this metadata and no other."""

    __abstract__ = True


class Schema(LedgerModel, table=True):
    """Which schema the file has."""

    __tablename__ = "ledger_schema"
    version: int = Field(primary_key=True)


class CapRow(LedgerModel, table=True):
    """A cap from the moment it was set; the newest row of a key is the one that holds. `own` is empty for a population."""

    __tablename__ = "cap"
    __table_args__ = (Index("cap_key", "scope", "population", "own", "id"),)
    id: int | None = Field(default=None, primary_key=True)
    scope: str
    population: str
    own: str
    rho_micro: int
    at: str
    receipt_index: int
    receipt_event: str
    receipt_leaf: bytes


class ReservationRow(LedgerModel, table=True):
    """A charge: it counts from here on, whatever becomes of it."""

    __tablename__ = "reservation"
    __table_args__ = (
        Index("spent_population", "population", "rho_micro"),
        Index("spent_project", "population", "project", "rho_micro"),
        Index("spent_person", "population", "person", "rho_micro"),
        Index("asked", "project", "question_sha256", "dataset", "version"),
    )
    id: str = Field(primary_key=True)
    event_id: str = Field(unique=True)
    population: str
    project: str
    person: str
    question_sha256: str
    dataset: str
    version: int
    rho_micro: int
    at: str
    receipt_index: int
    receipt_event: str
    receipt_leaf: bytes


class ReleaseRow(LedgerModel, table=True):
    """The sealed answer of a reservation."""

    __tablename__ = "release"
    reservation: str = Field(primary_key=True, foreign_key="reservation.id")
    sealed: bytes
    sha256: str
    at: str
    receipt_index: int
    receipt_event: str
    receipt_leaf: bytes


SCHEMA: Final = metadata.tables["ledger_schema"]
CAP: Final = metadata.tables["cap"]
RESERVATION: Final = metadata.tables["reservation"]
RELEASE: Final = metadata.tables["release"]

TRIGGERS: Final = tuple(
    f"CREATE TRIGGER IF NOT EXISTS {table}_{verb.lower()} BEFORE {verb} ON {table} "
    "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"
    for table in ("ledger_schema", "cap", "reservation", "release")
    for verb in ("UPDATE", "DELETE")
)
