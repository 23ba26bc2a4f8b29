"""What the house hands over to pages and API: frozen values, worded by neither.

A value says what is so; how it is put to a person is the page's.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal

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
