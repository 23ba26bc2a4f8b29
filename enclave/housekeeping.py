"""Who is known, what was agreed: the acts an operator and a steward do before any data moves, each one recorded."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from enclave.accounts.login import set_password
from enclave.accounts.store import AccountStore
from enclave.agreements.rules import has_role
from enclave.agreements.store import AgreementStore
from enclave.agreements.words import Agreement, Dataset, Grant, Partner, Project
from enclave.errors import Refused
from enclave.people import Role
from enclave.recording import Actor, EventObject, Recorded, Recorder, Visitor, recorded

ADMINISTERS: Final = frozenset({Role.OPERATOR})
AGREES: Final = frozenset({Role.STEWARD, Role.SENIOR_STEWARD})
# Before anybody is known, nobody can be asked for a role: the first operator is made by the installation itself.
INSTALLATION: Final = Actor("installation", "service", "none")


@dataclass(frozen=True)
class Books:
    """The house's books and its way to the trail."""

    accounts: AccountStore
    agreements: AgreementStore
    recorder: Recorder


def add_person(
    books: Books, by: Visitor | None, person: str, roles: frozenset[Role], password: str, *, title: str = ""
) -> None:
    """Make a person known with roles and a first password.

    `by` is the operator; only the first person of a house, an operator, is made without one.
    Raises `Refused` for a missing role, a name that is taken or a weak password.
    """
    actor = _first_operator(books, roles) if by is None else _acting(by, ADMINISTERS)
    _nobody_yet(books, person)
    about = [EventObject("person", person)]
    with recorded(books.recorder, "admin.person", actor=actor, objects=about) as act:
        books.accounts.put_person(person, act.receipt, title=title)
    with recorded(
        books.recorder, "admin.role", actor=actor, objects=about, counts=dict.fromkeys(roles, 1)
    ) as act:
        books.accounts.set_roles(person, roles, act.receipt)
    give_password(books, actor, person, password)


def renew_password(books: Books, by: Visitor, person: str, password: str) -> None:
    """Give a known person another password."""
    give_password(books, _acting(by, ADMINISTERS), person, password)


def give_password(books: Books, actor: Actor, person: str, password: str) -> None:
    """Set a password, in the name of whoever was asked before."""
    set_password(
        person,
        password,
        by=actor,
        accounts=books.accounts,
        recorder=books.recorder,
        now=lambda: datetime.now(UTC),
    )


def add_partner(books: Books, by: Visitor, partner: Partner) -> None:
    """Declare a partner."""
    with _act(books, by, ADMINISTERS, "admin.partner", EventObject("partner", partner.id)) as receipt:
        books.agreements.put_partner(partner, receipt)


def declare_dataset(books: Books, by: Visitor, dataset: Dataset) -> None:
    """Declare a dataset of a partner with the policy its files come in under; they are brought in by the intake."""
    about = [EventObject("dataset", dataset.id)]
    if dataset.confirmed_policy_sha256 is not None:
        about.append(EventObject("policy", dataset.id, sha256=dataset.confirmed_policy_sha256))
    with _act(books, by, AGREES, "admin.dataset", *about) as receipt:
        books.agreements.put_dataset(dataset, receipt)


def add_project(books: Books, by: Visitor, project: Project) -> None:
    """Declare a project."""
    with _act(books, by, ADMINISTERS, "admin.project", EventObject("project", project.id)) as receipt:
        books.agreements.put_project(project, receipt)


def give_place(books: Books, by: Visitor, grant: Grant) -> None:
    """Give a person a place in a project."""
    about = (EventObject("project", grant.project), EventObject("person", grant.person))
    with _act(books, by, ADMINISTERS, "admin.grant", *about) as receipt:
        books.agreements.grant(grant, receipt)


def sign_agreement(books: Books, by: Visitor, agreement: Agreement) -> None:
    """Enter what a partner agreed to."""
    with _act(books, by, AGREES, "admin.agreement", EventObject("agreement", agreement.id)) as receipt:
        books.agreements.put_agreement(agreement, receipt)


@contextmanager
def _act(
    books: Books, by: Visitor, allowed: frozenset[Role], event: str, *about: EventObject
) -> Iterator[Recorded]:
    with recorded(books.recorder, event, actor=_acting(by, allowed), objects=about) as act:
        yield act.receipt


def _acting(by: Visitor, allowed: frozenset[Role]) -> Actor:
    has_role(by.person, allowed)
    return by.acting_as(*sorted(allowed))


def _nobody_yet(books: Books, person: str) -> None:
    """Refuse a name that is taken: adding it again would hand somebody's roles and password to another."""
    if any(account.person.id == person for account in books.accounts.people()):
        raise Refused(
            "person_known", f"There is a person named {person} already.", "Choose another id.", person=person
        )


def _first_operator(books: Books, roles: frozenset[Role]) -> Actor:
    if books.accounts.people() or Role.OPERATOR not in roles:
        raise Refused(
            "operator_needed",
            "The first person of a house is its operator; everybody else is made known by an operator.",
            "Say who you are with --as.",
        )
    return INSTALLATION
