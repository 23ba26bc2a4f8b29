"""Caps: a steward sets what may be lost about a population and how it is shared out; every change is recorded by the engine."""

from dataclasses import dataclass
from typing import Any, Final, Protocol

from anonymisation import ledger_words
from anonymisation.ledger import Scope
from enclave.agreements.rules import has_role
from enclave.errors import BadInput, Refused
from enclave.people import Role
from enclave.recording import Visitor

MAY_SHARE_OUT: Final = frozenset({Role.STEWARD, Role.SENIOR_STEWARD})
MAY_LOOK: Final = MAY_SHARE_OUT | {Role.AUDITOR}
MAY_RAISE: Final = frozenset({Role.SENIOR_STEWARD})
MOST_RHO_MICRO: Final = 100_000_000


@dataclass(frozen=True)
class NewCap:
    """A cap to be set, in micro-rho; `own` is the project or person it belongs to, empty for the population's own."""

    scope: Scope
    population: str
    own: str
    rho_micro: int


class CapBook(Protocol):
    """The ledger's caps, which the engine keeps."""

    def population(self, population: str) -> dict[str, Any]:
        """Give a population's caps and charges: cap, left, caps[scope, own, rho_micro, at], charges[...]."""
        ...

    def reenter(self, visitor: Visitor) -> int:
        """Enter again what the trail has and the ledger has not."""
        ...

    def set_cap(self, cap: NewCap, visitor: Visitor) -> None:
        """Record the change, then make it."""
        ...


def change(book: CapBook, visitor: Visitor, cap: NewCap) -> dict[str, Any]:
    """Set a cap; gives what it means in words. Raising a population's own cap, the guarantee, takes a senior steward.

    Raises `Refused` for a missing role, `BadInput` for an amount that is not one.
    """
    has_role(visitor.person, MAY_SHARE_OUT)
    if not 0 <= cap.rho_micro <= MOST_RHO_MICRO:
        raise BadInput(
            "cap_amount", f"A cap is 0 to {MOST_RHO_MICRO // 1_000_000} rho.", "Choose another amount."
        )
    _raised_by_a_senior(book.population(cap.population)["cap"], visitor, cap)
    book.set_cap(cap, visitor)
    return {"rho_micro": cap.rho_micro, "means": ledger_words.meaning(cap.rho_micro)}


def reenter(book: CapBook, visitor: Visitor) -> int:
    """Enter again, from the trail, what a ledger put back to an older state lacks; gives how many charges and caps."""
    has_role(visitor.person, MAY_RAISE)
    return book.reenter(visitor)


def seen(book: CapBook, visitor: Visitor, population: str) -> dict[str, Any]:
    """Give a population's caps and charges to a steward or an auditor."""
    has_role(visitor.person, MAY_LOOK)
    return book.population(population)


def _raised_by_a_senior(now: int | None, visitor: Visitor, cap: NewCap) -> None:
    if now is None:
        raise Refused(
            "no_cap",
            "No budget has been set for this population.",
            "Bring its first dataset in: its policy says the caps to begin with.",
            scope="population",
        )
    if cap.scope == "population" and cap.rho_micro > now and not visitor.person.roles & MAY_RAISE:
        raise Refused(
            "cap_raise_senior",
            "Raising a population's cap weakens what its people were promised; it takes a senior steward.",
            "Ask a senior steward, and agree it with the partner.",
        )
