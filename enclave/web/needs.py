"""What the pages and the API ask of the house: one Protocol; what it hands over is in `sheets`.

Every operation takes the person as just re-read, asks the person-rule first, and raises one of the house's
errors: `NotFound` where the object is not this person's to know about, `Refused` where a rule says no,
`ComponentDown` where nothing could be done. Operations block; the web layer calls them from worker threads.
"""

from collections.abc import Sequence
from typing import Protocol

from enclave.accounts.words import UNSEEN, Seen
from enclave.people import Person
from enclave.sessions import Holder
from enclave.web.sheets import (
    BudgetSheet,
    Certificate,
    Channel,
    Choice,
    DetailState,
    Download,
    FileIn,
    Json,
    Move,
    PopulationSheet,
    ProjectCard,
    RequestLine,
    RequestSheet,
    SessionPlace,
    TrailEvent,
    TrailFinding,
    TrailPage,
    TrailQuery,
    TrailReport,
)


class People(Protocol):
    """Who is asking."""

    def authenticate(self, person: str, password: str, seen: Seen = UNSEEN) -> Person:
        """Check a local account's password, recorded either way. Raises NotAuthenticated, ComponentDown."""
        ...

    def person(self, person: str) -> Person:
        """Read a person and his roles now. Raises NotAuthenticated for one unknown or no longer active."""
        ...

    def projects_of(self, person: Person) -> Sequence[ProjectCard]:
        """List the projects the person works in today."""
        ...


class Sessions(Protocol):
    """Notebook sessions, for the hub."""

    def open_session(self, person: str, project: str) -> SessionPlace:
        """Record the intent and make the folders and the data socket. Raises Refused, ComponentDown."""
        ...

    def session_started(self, session: str, *, ok: bool) -> None:
        """Close the intent with what happened."""
        ...

    def close_session(self, session: str) -> None:
        """Record the stop and take the socket away; never waits for a receipt."""
        ...

    def holder(self, session: str) -> Holder:
        """Say whose socket this is. Raises NotFound."""
        ...

    def meter(self, person: str, project: str, channel: Channel, amount: int) -> None:
        """Record bytes that left towards the browser."""
        ...


class Questions(Protocol):
    """Datasets and questions; `project` is one the person works in, else NotFound."""

    def datasets(self, person: Person, project: str) -> Sequence[Json]:
        """List datasets: dataset, version, title, population, unit, rows, groups, columns[name, kind, domain, low, high, digits, words]."""
        ...

    def price(self, person: Person, project: str, question: Json) -> Json:
        """Give rho_micro, epsilon, delta, accuracy[name, plus_minus, at_count], left by population, project, person."""
        ...

    def ask(self, person: Person, project: str, question: Json) -> Json:
        """Give an Answer v1. Raises Refused when a budget cannot pay."""
        ...

    def mock(self, person: Person, project: str, dataset: str, rows: int, seed: int) -> Json:
        """Make rows up from what was declared: dataset, version, columns{name: [values]}. Reads no data, costs nothing."""
        ...

    def rehearse(self, person: Person, project: str, question: Json, rows: int, seed: int) -> Json:
        """Give an Answer v1 on made-up rows, exact and free; it says so in words."""
        ...

    def profile(self, person: Person, project: str, dataset: str, rho_micro: int | None) -> Json:
        """Give profile and advice on bounds for a question of this price; free. Raises NotFound where there is none."""
        ...

    def running(self, person: Person, project: str) -> Sequence[Json]:
        """List the person's questions that have no answer yet: question_sha256, dataset, state, done, of."""
        ...

    def cancel(self, person: Person, project: str, question: Json) -> Json:
        """Stop the person's own running question; gives question_sha256 and how many were stopped."""
        ...

    def budget(self, person: Person, project: str) -> Sequence[BudgetSheet]:
        """Tell what is left, a sheet for each population asked about; for a member, a steward or an auditor."""
        ...


class Populations(Protocol):
    """What stewards and auditors see of the caps. Raises Refused for anyone else."""

    def populations(self, person: Person) -> Sequence[PopulationSheet]:
        """List the populations that hold data, without their details."""
        ...

    def population(self, person: Person, population: str) -> PopulationSheet:
        """Open one: caps, charges, declared columns. Raises NotFound."""
        ...


class Releases(Protocol):
    """Files that ask to leave."""

    def check_files(self, person: Person, project: str, files: Sequence[FileIn]) -> Json:
        """Run the checks without a request; recorded, limited per day. Gives the release check JSON."""
        ...

    def create_request(
        self, person: Person, project: str, title: str, purpose: str, files: Sequence[FileIn]
    ) -> str:
        """Make a draft and give its id."""
        ...

    def own_requests(self, person: Person, project: str | None = None) -> Sequence[RequestLine]:
        """List the person's own requests, newest first."""
        ...

    def queue(self, person: Person) -> Sequence[RequestLine]:
        """List what a reviewer or partner delegate may open, oldest first. Raises Refused for anyone else."""
        ...

    def request(self, person: Person, request: str) -> RequestSheet:
        """Open one; another person's is NotFound unless the person may review or audit it."""
        ...

    def file(self, person: Person, request: str, sha256: str) -> FileIn:
        """Give a file to look at; the view is recorded before the bytes are opened."""
        ...

    def vote(self, person: Person, request: str, sha256: str, choice: Choice, reason: str) -> None:
        """Vote on exactly these bytes. Raises Refused when they changed or the person may not."""
        ...

    def move(self, person: Person, request: str, move: Move, reason: str) -> None:
        """Take one step of the request's life. Raises Refused, or BadInput where a reason is missing."""
        ...

    def download(self, person: Person, request: str) -> Download:
        """Give the sealed package; recorded before the first byte."""
        ...


class Scrutiny(Protocol):
    """What an auditor may ask; everybody else is refused. Each search, verification and export is recorded."""

    def search_trail(self, person: Person, query: TrailQuery) -> TrailPage:
        """Find events."""
        ...

    def event(self, person: Person, event: str) -> tuple[TrailEvent, str]:
        """Give one event by its index in the trail, and its inclusion proof (text)."""
        ...

    def findings(self, person: Person) -> Sequence[TrailFinding]:
        """Verify and read the whole trail by the rules of the flags; open ones first."""
        ...

    def sign_finding(self, person: Person, key: str, reason: str, comment: str) -> Sequence[TrailFinding]:
        """Record that a finding was looked at; gives the list as it is then."""
        ...

    def last_review(self, person: Person) -> tuple[str, bool]:
        """Say when somebody last signed anything off, and whether that is too long ago."""
        ...

    def follow(self, person: Person, who: str, project: str) -> TrailPage:
        """Give what one person did in one project, oldest first, with the fate of what they asked to release."""
        ...

    def owner_of(self, person: Person, kind: str, name: str) -> tuple[str, str]:
        """Give the person and project that a session, request or question belongs to."""
        ...

    def sign_off(self, person: Person, until: int) -> None:
        """Record that the auditor has looked through the trail up to an entry. Raises BadInput for another."""
        ...

    def unreviewed(self, person: Person) -> tuple[int, int]:
        """Give the first and the last entry that no sign-off has passed; first > last where there is none."""
        ...

    def certificate(self, person: Person, request: str) -> Certificate:
        """Give what the trail proves of a release. Raises NotFound where nothing was released."""
        ...

    def detail_state(self, index: int) -> DetailState:
        """Say how the sealed detail beside an event stands."""
        ...

    def read_detail(self, person: Person, index: int) -> dict[str, str]:
        """Open it; recorded first. Raises Refused, or NotFound where it is gone."""
        ...

    def verify_trail(self, person: Person) -> TrailReport:
        """Verify the trail now."""
        ...

    def checkpoint(self, person: Person) -> str:
        """Give the signed checkpoint as text."""
        ...

    def export_trail(self, person: Person) -> Download:
        """Give everything an outsider needs to verify, as one archive."""
        ...


class House(People, Sessions, Questions, Populations, Releases, Scrutiny, Protocol):
    """Everything the web layer calls."""
