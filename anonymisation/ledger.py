"""The ledger of privacy loss: what a population of privacy units has been charged, and by whom; append-only, fail closed.

A charge takes two transactions. *Reserve* commits before any data is opened and counts at once against every cap; *release*
stores the sealed answer, which may leave only after that commit. A reservation that a crash left open counts as spent, and
nothing is ever refunded. The population's cap is the guarantee, since people can collude; the caps of a project or a person
within a population only share it out. A population or project without a cap has nothing to spend; a person without
one is held by the project's.
"""

import hashlib
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal, Self
from uuid import uuid4

from sqlalchemy import Connection, Engine, Row, ScalarSelect, bindparam, func, insert, select

from anonymisation.errors import AnonymisationError, BadQuestion, BudgetSpent, Damaged, ReceiptMismatch
from anonymisation.ledger_file import open_file, reading, writing
from anonymisation.ledger_schema import CAP, RELEASE, RESERVATION
from anonymisation.receipt import Receipt, require

ACT_CAPS: Final = "dp.caps"
ACT_QUERY: Final = "data.query"

Scope = Literal["population", "project", "person"]
SCOPES: Final[tuple[Scope, ...]] = ("population", "project", "person")


@dataclass(frozen=True)
class Charge:
    """What one question costs a population; `event_id` is the audit event that announced it, good for one charge."""

    population: str
    project: str
    person: str
    question_sha256: str
    dataset: str
    version: int
    rho_micro: int
    event_id: str


@dataclass(frozen=True)
class Reservation:
    """A charge that is durably in the ledger."""

    id: str
    charge: Charge


@dataclass(frozen=True)
class Balance:
    """One cap and what was spent under it, in micro-rho; `cap` is None where none was set."""

    cap: int | None
    spent: int

    @property
    def left(self) -> int | None:
        """What may still be spent; a cap lowered below what is spent leaves nothing."""
        return None if self.cap is None else max(0, self.cap - self.spent)


@dataclass(frozen=True)
class Left:
    """The balances that a question of this person in this project about this population draws on."""

    population: Balance
    project: Balance
    person: Balance

    def to_json(self) -> dict[str, int | None]:
        """Give what is left of each, in micro-rho."""
        return {"population": self.population.left, "project": self.project.left, "person": self.person.left}


@dataclass(frozen=True)
class Entry:
    """One line of the history; `released` is None while a charge is open, and for ever after a crash."""

    reservation: Reservation
    reserved: str
    released: str | None


@dataclass(frozen=True)
class CapSet:
    """A cap as it was set one day; the newest of a scope and owner holds. `own` is empty for the population's."""

    scope: Scope
    own: str
    rho_micro: int
    at: str


@dataclass(frozen=True)
class Record:
    """A line of the ledger for whoever compares it with the trail: no population, no project, no person."""

    kind: Literal["charge", "answer", "cap"]
    id: str
    event_id: str
    index: int
    at: str
    rho_micro: int | None = None
    question_sha256: str | None = None


class Ledger:
    """The one door to the ledger's database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open or create the ledger (mode 0600); raises `LedgerDown`, or `Damaged` for another schema."""
        return cls(open_file(path))

    def close(self) -> None:
        """Let the database go."""
        self._engine.dispose()

    def set_cap(self, scope: Scope, key: str, rho_micro: int, receipt: Receipt) -> None:
        """Set a cap in micro-rho. The key is `population`, or `population/project`, or `population/person`.

        The receipt is of `dp.caps` and names `population:<id>`, and the `project:<id>` or `person:<id>` that is capped.
        """
        population, own = _cap_key(scope, key)
        require(receipt, ACT_CAPS, f"population:{population}", *([f"{scope}:{own}"] if own else []))
        if rho_micro < 0:
            raise BadQuestion("cap_negative", "A cap is a number of micro-rho, zero or more.")
        row = {
            "scope": scope,
            "population": population,
            "own": own,
            "rho_micro": rho_micro,
            **_stamp(receipt),
        }
        with writing(self._engine) as connection:
            connection.execute(insert(CAP), row)

    def reserve(self, charge: Charge, receipt: Receipt) -> Reservation:
        """Commit a charge before data is opened; raises `BudgetSpent` naming the first cap that has not enough left.

        The receipt is of `data.query`, is the charge's own event, and names `dataset:<id>` and `question:<sha256>`.
        """
        return self._charge(charge, receipt, within_caps=True)

    def reenter(self, charge: Charge, receipt: Receipt) -> Reservation:
        """Write a charge that was made and that this ledger lost; it is a fact, so no cap is asked.

        The receipt is of the event that announced the charge then.
        """
        return self._charge(charge, receipt, within_caps=False)

    def _charge(self, charge: Charge, receipt: Receipt, *, within_caps: bool) -> Reservation:
        _check_charge(charge, receipt)
        reservation = Reservation(str(uuid4()), charge)
        row = {"id": reservation.id, **asdict(charge), **_stamp(receipt)}
        with writing(self._engine) as connection:
            if connection.execute(
                select(RESERVATION.c.id).where(RESERVATION.c.event_id == charge.event_id)
            ).first():
                raise ReceiptMismatch("The receipt has paid for a question before.")
            if within_caps:
                left = _left(connection, charge.population, charge.project, charge.person)
                _check_caps(left, charge.rho_micro)
            connection.execute(insert(RESERVATION), row)
        return reservation

    def release(self, reservation_id: str, sealed_answer: bytes, receipt: Receipt) -> None:
        """Store the sealed answer; only after this may the answer leave. Takes the receipt the reservation was made with."""
        row = {
            "reservation": reservation_id,
            "sealed": sealed_answer,
            "sha256": hashlib.sha256(sealed_answer).hexdigest(),
            **_stamp(receipt),
        }
        with writing(self._engine) as connection:
            entry = next(iter(_entries(connection, id=reservation_id)), None)
            if entry is None:
                raise AnonymisationError("reservation_unknown", "There is no such reservation in the ledger.")
            _check_charge(entry.reservation.charge, receipt)
            if entry.released is not None:
                raise AnonymisationError(
                    "already_released", "The reservation has its answer already.", "Ask again: it is free."
                )
            connection.execute(insert(RELEASE), row)

    def replay(self, project: str, question_sha256: str, dataset: str, version: int) -> bytes | None:
        """Give the sealed answer the project has paid for already, or None. Another project's answer is never given."""
        asked = {
            "project": project,
            "question_sha256": question_sha256,
            "dataset": dataset,
            "version": version,
        }
        query = (
            select(RELEASE.c.sealed, RELEASE.c.sha256)
            .join(RESERVATION)
            .where(*(RESERVATION.c[name] == value for name, value in asked.items()))
            .order_by(RELEASE.c.at)
        )
        with reading(self._engine) as connection:
            row = connection.execute(query).first()
        if row is not None and hashlib.sha256(row.sealed).hexdigest() != row.sha256:
            raise Damaged(
                "ledger_damaged",
                "A stored answer is not what was written.",
                "Restore the ledger from its backup.",
            )
        return None if row is None else bytes(row.sealed)

    def left(self, population: str, project: str, person: str) -> Left:
        """Give the three balances that a question would draw on."""
        with reading(self._engine) as connection:
            return _left(connection, population, project, person)

    def open_reservations(self) -> list[Reservation]:
        """Give the reservations without an answer: being answered now, or left by a crash and spent."""
        with reading(self._engine) as connection:
            return [entry.reservation for entry in _entries(connection) if entry.released is None]

    def history(self, project: str) -> list[Entry]:
        """Give a project's charges, oldest first."""
        with reading(self._engine) as connection:
            return _entries(connection, project=project)

    def charges(self, population: str) -> list[Entry]:
        """Give every project's charges on a population, oldest first."""
        with reading(self._engine) as connection:
            return _entries(connection, population=population)

    def knows(self, events: Collection[str]) -> frozenset[str]:
        """Give those of these events that a charge or a cap of this ledger was made under."""
        wanted = sorted(events)
        columns = (RESERVATION.c.event_id, CAP.c.receipt_event)
        with reading(self._engine) as connection:
            return frozenset(
                known
                for column in columns
                for known in connection.execute(select(column).where(column.in_(wanted))).scalars()
            )

    def records(self) -> Iterator[Record]:
        """Give every line with the event it was written under: charges, the answers to them, caps."""
        with reading(self._engine) as connection:
            for one in connection.execute(select(RESERVATION).order_by(RESERVATION.c.receipt_index)):
                index, event = one.receipt_index, one.receipt_event
                yield Record("charge", one.id, event, index, one.at, one.rho_micro, one.question_sha256)
            for one in connection.execute(select(RELEASE).order_by(RELEASE.c.receipt_index)):
                yield Record("answer", one.reservation, one.receipt_event, one.receipt_index, one.at)
            for one in connection.execute(select(CAP).order_by(CAP.c.id)):
                index, event = one.receipt_index, one.receipt_event
                yield Record("cap", f"cap-{one.id}", event, index, one.at, one.rho_micro)

    def caps(self, population: str) -> list[CapSet]:
        """Give every cap ever set on a population and its shares, oldest first."""
        query = (
            select(CAP.c.scope, CAP.c.own, CAP.c.rho_micro, CAP.c.at)
            .where(CAP.c.population == population)
            .order_by(CAP.c.id)
        )
        with reading(self._engine) as connection:
            return [CapSet(*row) for row in connection.execute(query)]


# --- rules --------------------------------------------------------------------------------------------------------------


def _cap_key(scope: Scope, key: str) -> tuple[str, str]:
    population, slash, own = key.partition("/")
    well_formed = bool(population) and "/" not in own and (bool(own) if scope != "population" else not slash)
    if scope not in SCOPES or not well_formed:
        raise BadQuestion(
            "cap_key", "A cap belongs to a population, or to population/project or population/person."
        )
    return population, own


def _check_charge(charge: Charge, receipt: Receipt) -> None:
    require(receipt, ACT_QUERY, f"dataset:{charge.dataset}", f"question:{charge.question_sha256}")
    if receipt.event_id != charge.event_id:
        raise ReceiptMismatch("The receipt is of another event than the charge.")
    if charge.rho_micro < 1:
        raise BadQuestion("charge_empty", "A charge is at least one micro-rho.")


def _check_caps(left: Left, rho_micro: int) -> None:
    for scope in SCOPES:
        available = left.to_json()[scope]
        if available is None and scope != "person":
            raise BudgetSpent(
                "no_cap",
                f"No budget has been set for this {scope}.",
                "Ask a steward to set one.",
                scope=scope,
            )
        if available is not None and rho_micro > available:
            raise BudgetSpent(
                "budget_spent",
                f"The question costs {rho_micro} micro-rho and the {scope} has {available} left.",
                "Ask with a smaller rho_micro, or ask a steward for a larger budget.",
                scope=scope,
                rho_micro=rho_micro,
                left=available,
            )


# --- rows ---------------------------------------------------------------------------------------------------------------


def _stamp(receipt: Receipt) -> dict[str, Any]:
    """Every row says when it was written and which leaf of the trail announced it."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="microseconds"),
        "receipt_index": receipt.index,
        "receipt_event": receipt.event_id,
        "receipt_leaf": receipt.leaf_sha256,
    }


def _cap(scope: Scope) -> ScalarSelect[int]:
    """Select the newest cap of a scope."""
    own = "" if scope == "population" else bindparam(scope)
    held = (CAP.c.scope == scope, CAP.c.population == bindparam("population"), CAP.c.own == own)
    return select(CAP.c.rho_micro).where(*held).order_by(CAP.c.id.desc()).limit(1).scalar_subquery()


def _spent(scope: Scope) -> ScalarSelect[int]:
    """Select what was ever reserved under a scope's cap."""
    held = {
        "population": RESERVATION.c.population == bindparam("population"),
        scope: RESERVATION.c[scope] == bindparam(scope),
    }
    return select(func.coalesce(func.sum(RESERVATION.c.rho_micro), 0)).where(*held.values()).scalar_subquery()


# One statement, built once: it runs while every other writer waits.
_BALANCES: Final = select(*(figure for scope in SCOPES for figure in (_cap(scope), _spent(scope))))


def _left(connection: Connection, population: str, project: str, person: str) -> Left:
    row = connection.execute(
        _BALANCES, {"population": population, "project": project, "person": person}
    ).one()
    return Left(*(Balance(row[2 * place], row[2 * place + 1]) for place in range(len(SCOPES))))


def _entries(connection: Connection, **where: str) -> list[Entry]:
    query = (
        select(RESERVATION, RELEASE.c.at.label("released"))
        .outerjoin(RELEASE)
        .where(*(RESERVATION.c[name] == value for name, value in where.items()))
        .order_by(RESERVATION.c.at)
    )
    return [_entry(row) for row in connection.execute(query)]


def _entry(row: Row[Any]) -> Entry:
    fields = row._mapping  # noqa: SLF001 - SQLAlchemy's public name for the row as a mapping
    charge = Charge(**{name: fields[name] for name in Charge.__dataclass_fields__})
    return Entry(Reservation(row.id, charge), row.at, row.released)
