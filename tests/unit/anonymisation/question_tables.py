"""The declared table, frames and receipts that the tests of questions and of the ledger share."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import polars as pl

from anonymisation.bounds import UNIT, Column, Table
from anonymisation.ledger import Charge
from anonymisation.question import Question, parse

DEPARTMENTS = ("22", "29", "35", "56")
SEED = b"s" * 32

STAYS = Table(
    dataset="stays",
    version=3,
    population="patients",
    unit="nir",
    unit_column="nip",
    columns=(
        Column("dept", "category", DEPARTMENTS),
        Column("age", "integer", None, "0", "120"),
        Column("grade", "integer", ("1", "2", "9")),
        Column("cost", "decimal", None, "0", "5000.00", 2),
        Column("weight", "decimal", digits=1),
        Column("entry", "date", None, "2020-01-01", "2022-12-31"),
        Column("noted", "date"),
        Column("dead", "boolean"),
    ),
    rows=3,
    groups=2,
    linkable=True,
)
LABS = Table(
    dataset="labs",
    version=2,
    population="patients",
    unit="nir",
    unit_column="nip",
    columns=(
        Column("kind", "category", ("sodium", "lactate")),
        Column("value", "decimal", None, "-1.0", "20.0", 1),
        Column("ranked", "integer", None, "0", "9"),
        Column("drawn", "date", None, "2020-01-01", "2022-12-31"),
        Column("seen", "date"),
        Column("urgent", "boolean"),
        Column("loose", "decimal", digits=1),
    ),
    rows=4,
    groups=2,
    linkable=True,
)
PER_ROW = replace(STAYS, unit="row", unit_column=None)

SCHEMA: dict[str, Any] = {
    UNIT: pl.UInt64,
    "dept": pl.String,
    "age": pl.Int64,
    "grade": pl.Int64,
    "cost": pl.Float64,
    "weight": pl.Float64,
    "entry": pl.Date,
    "noted": pl.Date,
    "dead": pl.Boolean,
}
LAB_SCHEMA: dict[str, Any] = {
    UNIT: pl.UInt64,
    "kind": pl.String,
    "value": pl.Float64,
    "ranked": pl.Int64,
    "drawn": pl.Date,
    "seen": pl.Date,
    "urgent": pl.Boolean,
    "loose": pl.Float64,
}
LAB = {
    "kind": "sodium",
    "value": 5.0,
    "ranked": 3,
    "drawn": date(2021, 5, 4),
    "seen": None,
    "urgent": False,
    "loose": 1.0,
}
ROW = {
    "dept": "35",
    "age": 60,
    "grade": 1,
    "cost": 100.25,
    "weight": 70.5,
    "entry": date(2021, 5, 4),
    "noted": None,
    "dead": False,
}


def frame(*rows: Mapping[str, Any]) -> pl.DataFrame:
    """Give stays: each row says its unit and what differs from the usual one."""
    return pl.DataFrame([{UNIT: 1} | ROW | dict(row) for row in rows], schema=SCHEMA)


def labs(*rows: Mapping[str, Any]) -> pl.DataFrame:
    """Give laboratory results: each row says its unit and what differs from the usual one."""
    return pl.DataFrame([{UNIT: 1} | LAB | dict(row) for row in rows], schema=LAB_SCHEMA)


def taking(*take: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Give a question's features of the laboratory results."""
    return {"dataset": "labs", "take": list(take)} | fields


def stays(unit: int, count: int, **values: Any) -> list[dict[str, Any]]:
    """Give `count` equal rows of one unit."""
    return [{UNIT: unit, **values}] * count


def question(ask: list[dict[str, Any]] | None = None, **fields: Any) -> Question:
    """Give a question about stays; a count where nothing is asked."""
    return parse(document(ask, **fields))


def document(ask: list[dict[str, Any]] | None = None, **fields: Any) -> dict[str, Any]:
    """Give a question as it travels."""
    asked = ask or [{"name": "n", "stat": "count"}]
    return {"v": 1, "dataset": "stays", "ask": asked, "rho_micro": 10_000} | fields


@dataclass(frozen=True)
class Proof:
    """A receipt as a recorder would give it."""

    act: str
    objects: frozenset[str]
    event_id: str = "event-1"
    index: int = 7
    leaf_sha256: bytes = b"l" * 32


def charge(event_id: str = "event-1", rho_micro: int = 100, **fields: Any) -> Charge:
    """Give a charge of the test project."""
    base = Charge("patients", "asthma", "researcher-a", "ab" * 32, "stays", 3, rho_micro, event_id)
    return replace(base, **fields)


def paid(of: Charge) -> Proof:
    """Give the receipt that goes with a charge."""
    return Proof(
        "data.query", frozenset({f"dataset:{of.dataset}", f"question:{of.question_sha256}"}), of.event_id
    )


def caps(*objects: str) -> Proof:
    """Give the receipt of a change of caps."""
    return Proof("dp.caps", frozenset({"population:patients", *objects}))
