"""What every desk works with."""

from dataclasses import dataclass
from datetime import UTC, date, datetime

from enclave.accounts.store import AccountStore
from enclave.agreements.store import AgreementStore
from enclave.journeys.statement import BooksOfTheHouse
from enclave.local_http import LocalService
from enclave.people import Person
from enclave.recorder_client import RecorderClient
from enclave.recording import Denials, Visitor
from enclave.release.folder import ReleaseFolder
from enclave.release.store import ReleaseStore
from enclave.sessions import Holder, Sessions, session_of
from enclave.settings import Settings
from vault.keys import KeyService


@dataclass(frozen=True)
class Tools:
    """The real tools, as the wiring built them."""

    settings: Settings
    accounts: AccountStore
    agreements: AgreementStore
    releases: ReleaseStore
    files: ReleaseFolder
    keys: KeyService
    recorder: RecorderClient
    denials: Denials
    engine: LocalService
    sessions: Sessions
    books: BooksOfTheHouse

    def visitor(self, person: Person, project: str | None = None) -> Visitor:
        """Say how this person came: through an open notebook of the project, or with a password."""
        session = session_of(Holder(person.id, project)) if project is not None else None
        if session is not None and self.sessions.is_open(session):
            return Visitor(person, "notebook", session)
        return Visitor(person)


def now() -> datetime:
    """Give the time in UTC."""
    return datetime.now(UTC)


def today() -> date:
    """Give the day that agreements are read against (UTC)."""
    return now().date()
