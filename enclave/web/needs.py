"""What the pages and the API ask of the house: one Protocol, and the values it hands over.

Every operation takes the person as just re-read, asks the person-rule first, and raises one of the house's
errors: `NotFound` where the object is not this person's to know about, `Refused` where a rule says no,
`ComponentDown` where nothing could be done. Operations block; the web layer calls them from worker threads.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal, Protocol

from enclave.accounts.words import UNSEEN, Seen
from enclave.people import Person
from enclave.sessions import Holder

Json = dict[str, Any]
Verdict = Literal["pass", "review", "fail"]
Choice = Literal["approve", "return", "reject"]
# A step of a request's life that a person takes with a click; which of them apply to whom, now, is the house's
# to say (`RequestSheet.may`). "except" is a senior steward's reasoned exception to a block; "agree" and "veto"
# are a partner delegate's.
Move = Literal[
    "submit", "withdraw", "return", "except", "agree", "veto", "suspend", "reject", "package", "revoke"
]
May = Move | Literal["vote", "open", "download"]
Channel = Literal["page", "websocket", "api", "download", "limit"]


@dataclass(frozen=True)
class ProjectCard:
    """A project as its member sees it."""

    id: str
    title: str
    ends: date | None = None


@dataclass(frozen=True)
class SessionPlace:
    """Where a notebook session lives: its ten hex digits and the folders (host paths) to bind."""

    session: str
    nb_dir: str
    data_dir: str
    workspace: str


@dataclass(frozen=True)
class FileIn:
    """A file handed in: a plain name without folders, and its bytes. A supporting file stays inside."""

    name: str
    content: bytes = field(repr=False)
    supporting: bool = False


@dataclass(frozen=True)
class Allowance:
    """A cap and what is left of it, in micro-rho."""

    cap_rho_micro: int
    left_rho_micro: int


@dataclass(frozen=True)
class Charge:
    """One paid question: when, by whom, on which dataset, its loss. The answer is not here."""

    when: datetime
    person: str
    dataset: str
    rho_micro: int
    question_sha256: str


@dataclass(frozen=True)
class OutsideLoss:
    """Something exact about the same people that a stated loss does not cover: a release, extract, catalogue figure."""

    when: datetime
    kind: Literal["release", "extract", "catalogue"]
    what: str


@dataclass(frozen=True)
class BudgetSheet:
    """What is left to ask with, and what the stated loss leaves out. `person` is the asking person's share."""

    project: str
    population_name: str
    population: Allowance
    project_share: Allowance
    person: Allowance
    charges: Sequence[Charge] = ()
    outside: Sequence[OutsideLoss] = ()


@dataclass(frozen=True)
class CapChange:
    """A cap as it was set one day; `own` is the project or person it belongs to, empty for the population's."""

    scope: Literal["population", "project", "person"]
    own: str
    rho_micro: int
    when: datetime


@dataclass(frozen=True)
class PopulationCharge:
    """What one project was charged on a population, one day."""

    when: datetime
    project: str
    rho_micro: int


@dataclass(frozen=True)
class PopulationSheet:
    """What a population may lose and has lost, in micro-rho, and what was declared about its datasets."""

    name: str
    cap: int
    spent: int
    caps: Sequence[CapChange] = ()
    charges: Sequence[PopulationCharge] = ()
    datasets: Sequence[Json] = ()


@dataclass(frozen=True)
class Finding:
    """What one check says about one place: the rule, where it comes from, how to repair."""

    check: str
    verdict: Verdict
    where: str
    rule: str
    source: str
    fix: str


@dataclass(frozen=True)
class Vote:
    """One reviewer's word on the bytes of one file."""

    reviewer: str
    choice: Choice
    reason: str
    when: datetime


@dataclass(frozen=True)
class FileSheet:
    """One file of a request. `votes` holds only those this viewer may see (blind until both have voted)."""

    name: str
    sha256: str
    bytes: int
    verdict: Verdict | None
    supporting: bool = False
    findings: Sequence[Finding] = ()
    votes: Sequence[Vote] = ()
    votes_cast: int = 0


@dataclass(frozen=True)
class RequestLine:
    """A request in a list. `status` is a state of the release table, in capitals; `awaits` says it waits for the viewer."""

    id: str
    title: str
    project: str
    author: str
    status: str
    since: datetime
    files: int
    awaits: bool = False
    outcome_reason: str = ""


@dataclass(frozen=True)
class RequestSheet:
    """A request opened: its files, and what this viewer may do now."""

    line: RequestLine
    purpose: str
    files: Sequence[FileSheet]
    may: frozenset[May]
    policy: str = ""
    exception_votes: int = 0
    package_sha256: str = ""


@dataclass(frozen=True)
class Download:
    """Bytes on their way out, as an attachment."""

    name: str
    chunks: Iterable[bytes] = field(repr=False)


@dataclass(frozen=True)
class TrailQuery:
    """What an auditor searches for; empty fields do not restrict. `before` and `after` are instants in UTC.

    An event has each word of `text` as one of its values, or as a part of one.
    """

    text: str = ""
    person: str = ""
    project: str = ""
    type: str = ""
    object: str = ""
    corr: str = ""
    after: datetime | None = None
    before: datetime | None = None
    limit: int = 100
    below: int = 0


@dataclass(frozen=True)
class DetailState:
    """How the detail beside an event stands: none, sealed, lost, or erased by a rule, when, as an entry announced."""

    state: str
    rule: str = ""
    at: str = ""
    entry: int = 0


@dataclass(frozen=True)
class TrailEvent:
    """An event of the trail with its place in the tree; `event` is the JSON as recorded."""

    index: int
    leaf_sha256: str
    event: Json


@dataclass(frozen=True)
class TrailPage:
    """Events found, newest first, and how many match in all; `more` where nobody counted further."""

    events: Sequence[TrailEvent]
    total: int
    more: bool = False


@dataclass(frozen=True)
class TrailStep:
    """One numbered step of the verification; `passed` is None for a step that nothing allowed to take."""

    number: int
    name: str
    passed: bool | None
    detail: str = ""


@dataclass(frozen=True)
class TrailConfirmed:
    """What somebody outside confirmed: `size` entries, first and last at these instants."""

    by: Sequence[str]
    size: int
    since: str
    until: str


@dataclass(frozen=True)
class TrailAnomaly:
    """Something that does not fit, by its code; the index is below zero where it has no place in the trail."""

    code: str
    index: int
    about: str
    words: str


@dataclass(frozen=True)
class TrailBooks:
    """How the trail compares with the house's own books: those read and not read, lines, and lines that differ."""

    read: Sequence[str]
    unread: Sequence[str]
    records: int
    explained: int
    differences: int


@dataclass(frozen=True)
class TrailReport:
    """The verification's two verdicts: nothing was changed (integrity), nothing is missing (completeness)."""

    integrity: bool
    completeness: bool
    size: int
    root: str
    steps: Sequence[TrailStep]
    anomalies: Sequence[TrailAnomaly] = ()
    first_broken: int | None = None
    interrupted: int = 0
    witnessed: TrailConfirmed | None = None
    stamped: TrailConfirmed | None = None
    books: TrailBooks | None = None
    differing: int = 0


@dataclass(frozen=True)
class TrailSignOff:
    """Who signed a finding off, when, why, and where the trail has it."""

    index: int
    by: str
    at: str
    reason: str


@dataclass(frozen=True)
class TrailFinding:
    """Something to look at: a flag by the rule of its code, or an anomaly; signed off or open, and how long."""

    key: str
    kind: Literal["anomaly", "flag"]
    code: str
    index: int
    about: str
    when: str
    overdue: bool = False
    signed: TrailSignOff | None = None


@dataclass(frozen=True)
class Certificate:
    """What the trail proves of one release: the events of its request, the package's own, and who confirmed it."""

    request: str
    package: TrailEvent
    events: Sequence[TrailEvent]
    approvers: Sequence[str]
    artefact_sha256: str
    checkpoint: str
    address: str
    witnessed: TrailConfirmed | None = None
    stamped: TrailConfirmed | None = None


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
