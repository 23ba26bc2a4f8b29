"""Who is asking: every answer here is read from `house.db` at the moment it is given."""

from collections.abc import Sequence

from enclave.accounts.login import log_in
from enclave.accounts.words import UNSEEN, Seen
from enclave.agreements.rules import is_active, project_open
from enclave.agreements.words import Project
from enclave.desks.tools import Tools, now, today
from enclave.errors import NotAuthenticated, NotFound, Refused
from enclave.people import Person
from enclave.web.sheets import ProjectCard


class PeopleDesk(Tools):
    """Passwords, roles, and the projects a person works in."""

    def authenticate(self, person: str, password: str, seen: Seen = UNSEEN) -> Person:
        """Check a local account's password, recorded either way with from where they came."""
        return log_in(person, password, accounts=self.accounts, recorder=self.recorder, now=now, seen=seen)

    def person(self, person: str) -> Person:
        """Read a person and their roles now."""
        try:
            found = self.accounts.person(person)
            is_active(found)
        except (NotFound, Refused):
            raise NotAuthenticated(
                "not_known_here", "This account is not open.", "Ask the operator."
            ) from None
        return found

    def projects_of(self, person: Person) -> Sequence[ProjectCard]:
        """List the projects the person works in today."""
        mine = (project for project in self.agreements.projects_of(person.id) if _open(project))
        return [ProjectCard(one.id, one.title_fr, one.ends_on) for one in mine]


def _open(project: Project) -> bool:
    try:
        project_open(project, today())
    except Refused:
        return False
    return True
