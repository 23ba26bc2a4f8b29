"""Keeps accounts: people and roles as appended lines, password hashes and failed tries as they are now."""

from datetime import UTC, datetime
from typing import Literal, cast

from sqlalchemy import Engine
from sqlmodel import Field, Session, col

from enclave.accounts.words import Account, Failures
from enclave.errors import NotFound
from enclave.house_table import HouseTable, Line, newest, reading, writing
from enclave.people import Person, Role
from enclave.receipt import Receipt, require

BETWEEN = " "


class PersonLine(Line, table=True):
    __tablename__ = "person"
    id: str
    title: str
    active: bool
    locale: str


class RolesLine(Line, table=True):
    __tablename__ = "person_roles"
    person: str
    roles: str


class PasswordRow(HouseTable, table=True):
    """The one hash that counts: a former one would only be something to steal."""

    __tablename__ = "password"
    person: str = Field(primary_key=True)
    phc: str
    set_at: str
    event_id: str


class FailuresRow(HouseTable, table=True):
    __tablename__ = "login_failures"
    person: str = Field(primary_key=True)
    count: int
    last: str
    event_id: str


class AccountStore:
    """People, their roles and their passwords; every write names the event it was recorded as."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def people(self) -> tuple[Account, ...]:
        return self._read()

    def account(self, person: str) -> Account:
        """Raises `NotFound`."""
        for account in self._read(person):
            return account
        raise NotFound("no_such_person", f"There is no person named {person}.", "Check the id.", id=person)

    def _read(self, person: str | None = None) -> tuple[Account, ...]:
        one = [] if person is None else [col(PersonLine.id) == person]
        roles_of = [] if person is None else [col(RolesLine.person) == person]
        with reading(self._engine) as session:
            roles = newest(session, RolesLine, RolesLine.person, where=roles_of)
            held = {line.person: line for line in roles}
            return tuple(
                _account(line, held.get(line.id), session.get(PasswordRow, line.id))
                for line in newest(session, PersonLine, PersonLine.id, where=one)
            )

    def person(self, person: str) -> Person:
        """Give the person as the house knows them at this moment. Raises `NotFound`."""
        return self.account(person).person

    def put_person(
        self, person: str, receipt: Receipt, *, title: str = "", active: bool = True, locale: str = "fr"
    ) -> None:
        """Make a person known, or change what is known; roles come from `set_roles`."""
        require(receipt, "admin.person", f"person:{person}")
        with writing(self._engine) as session:
            session.add(
                PersonLine(
                    id=person,
                    title=title,
                    active=active,
                    locale=locale,
                    event_id=receipt.event_id,
                    event_index=receipt.index,
                )
            )

    def set_roles(self, person: str, roles: frozenset[Role], receipt: Receipt) -> None:
        """Say which roles a person holds from now on. Raises `NotFound`."""
        self.account(person)
        require(receipt, "admin.role", f"person:{person}")
        with writing(self._engine) as session:
            session.add(
                RolesLine(
                    person=person,
                    roles=BETWEEN.join(sorted(roles)),
                    event_id=receipt.event_id,
                    event_index=receipt.index,
                )
            )

    def phc(self, person: str) -> str | None:
        """Give the hash of a person's password, for `accounts.login` alone."""
        with reading(self._engine) as session:
            row = session.get(PasswordRow, person)
            return None if row is None else row.phc

    def set_password(self, person: str, phc: str, at: datetime, receipt: Receipt) -> None:
        """Replace a person's password hash and forget the failed tries. Raises `NotFound`."""
        self.account(person)
        require(receipt, "admin.password", f"person:{person}")
        with writing(self._engine) as session:
            session.merge(
                PasswordRow(person=person, phc=phc, set_at=at.isoformat(), event_id=receipt.event_id)
            )
            _forget_failures(session, person)

    def failures(self, person: str) -> Failures:
        with reading(self._engine) as session:
            row = session.get(FailuresRow, person)
            return Failures() if row is None else Failures(row.count, datetime.fromisoformat(row.last))

    def add_failure(self, person: str, at: datetime, receipt: Receipt) -> None:
        """Count a failed try. Raises `NotFound`.

        Tries for unknown people leave nothing here: what is typed as a name may be a password.
        """
        self.account(person)
        require(receipt, "auth.failure", f"person:{person}")
        with writing(self._engine) as session:
            row = session.get(FailuresRow, person)
            session.merge(
                FailuresRow(
                    person=person,
                    count=1 if row is None else row.count + 1,
                    last=at.isoformat(),
                    event_id=receipt.event_id,
                )
            )

    def clear_failures(self, person: str, receipt: Receipt) -> None:
        """Forget the failed tries after a success."""
        require(receipt, "auth.login", f"person:{person}")
        with writing(self._engine) as session:
            _forget_failures(session, person)


def _forget_failures(session: Session, person: str) -> None:
    row = session.get(FailuresRow, person)
    if row is not None:
        session.delete(row)


def _account(line: PersonLine, roles: RolesLine | None, password: PasswordRow | None) -> Account:
    held = frozenset() if roles is None else frozenset(Role(role) for role in roles.roles.split())
    person = Person(line.id, held, line.active, cast("Literal['fr', 'en']", line.locale))
    since = None if password is None else datetime.fromisoformat(password.set_at).astimezone(UTC)
    return Account(person, line.title, since)
