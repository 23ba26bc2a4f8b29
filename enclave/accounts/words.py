"""A person's account on this machine: who they are to the house, and when the password was last set."""

from dataclasses import dataclass
from datetime import datetime

from enclave.people import Person


@dataclass(frozen=True)
class Account:
    """A person and the state of their access; the password's hash never leaves the store."""

    person: Person
    title: str
    password_set: datetime | None


@dataclass(frozen=True)
class Failures:
    """Failed tries in a row since the last success, and when the last one was."""

    count: int = 0
    last: datetime | None = None


@dataclass(frozen=True)
class Seen:
    """From where somebody tries to enter: the client's address and what their browser calls itself."""

    client: str = ""
    browser: str = ""


UNSEEN = Seen()
