"""Who appears in the tests of the release desk, and a request of theirs."""

from datetime import UTC, date, datetime

from enclave.agreements.words import Grant, MemberRole, Partner, Project
from enclave.people import Person, Role
from enclave.release.states import Status
from enclave.release.words import OutputFile, ReleaseRequest

NOW = datetime(2026, 11, 25, 10, tzinfo=UTC)
TODAY = date(2026, 11, 25)
ONE, TWO = "1" * 64, "2" * 64


def person(name: str, *roles: Role, active: bool = True) -> Person:
    return Person(name, frozenset(roles), active)


EVERY_ROLE = tuple(Role)
AUTHOR = person("author", *EVERY_ROLE)
MEMBER = person("member", *EVERY_ROLE)
STEWARD = person("steward-a", Role.STEWARD)
SENIOR = person("steward-b", Role.SENIOR_STEWARD)
SENIOR_C = person("steward-c", Role.SENIOR_STEWARD)
PUBLISHER = person("publisher-a", Role.PUBLISHER)
DELEGATE = person("delegate-a", Role.PARTNER_DELEGATE)
OPERATOR = person("operator-a", Role.OPERATOR)
AUDITOR = person("auditor-a", Role.AUDITOR)
STRANGER = person("researcher-z", Role.RESEARCHER)

PROJECT = Project(
    "asthma",
    "Asthme",
    date(2027, 6, 30),
    members=(Grant("author", "asthma", MemberRole.RESEARCHER), Grant("member", "asthma", MemberRole.LEAD)),
)
INSIDERS = frozenset({"author", "member"})
PARTNER = Partner("hospital-a", "Hôpital A", "Hospital A", frozenset({"delegate-a"}), veto=True)


def request(
    status: Status = Status.IN_REVIEW, number: int = 1, *hashes: str, left: Status | None = None
) -> ReleaseRequest:
    files = tuple(OutputFile(f"{one[0]}.csv", one, 10) for one in hashes or (ONE,))
    return ReleaseRequest(
        id="0193639a-0000-7000-8000-000000000000",
        project="asthma",
        author="author",
        title="Stays",
        purpose="A paper",
        created=NOW,
        status=status,
        left=left,
        since=NOW,
        round=number,
        files=files,
    )
