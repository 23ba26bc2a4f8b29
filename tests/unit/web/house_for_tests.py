"""A small house that keeps everything in memory and asks the same person-rules as the real one."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

from anonymisation import adviser, mock, rehearsal
from anonymisation.bounds import Column, Denominator, Table
from anonymisation.profile import Bin, Profile, Quantile
from anonymisation.question import parse
from enclave.accounts.words import UNSEEN, Seen
from enclave.desks.populations import shown_profile
from enclave.errors import BadInput, NotAuthenticated, NotFound, Refused
from enclave.journeys.review import REASONS
from enclave.people import Person, Role
from enclave.web.needs import Holder
from enclave.web.sheets import (
    Allowance,
    BudgetSheet,
    CapChange,
    Certificate,
    Charge,
    Choice,
    DetailState,
    Download,
    FileIn,
    FileSheet,
    Finding,
    Json,
    Move,
    OutsideLoss,
    PopulationCharge,
    PopulationSheet,
    ProjectCard,
    RequestLine,
    RequestSheet,
    SessionPlace,
    TrailAnomaly,
    TrailBooks,
    TrailConfirmed,
    TrailEvent,
    TrailFinding,
    TrailPage,
    TrailQuery,
    TrailReport,
    TrailSignOff,
    TrailStep,
    Vote,
)

STEWARDS = {Role.STEWARD, Role.SENIOR_STEWARD}
SESSION = "0123456789"
PASSWORD = "correct horse battery staple"
NOW = datetime.now(UTC)
COLUMNS: list[Json] = [
    {"name": "sex", "kind": "category", "domain": ["F", "M"], "low": None, "high": None, "digits": 0},
    {"name": "cim10", "kind": "category", "domain": ["I50", "J18"], "low": None, "high": None, "digits": 0},
    {"name": "age", "kind": "integer", "domain": None, "low": "0", "high": "110", "digits": 0},
    {"name": "length_of_stay", "kind": "integer", "domain": None, "low": "0", "high": "90", "digits": 0},
    {
        "name": "admission",
        "kind": "date",
        "domain": None,
        "low": "2020-01-01",
        "high": "2024-12-31",
        "digits": 0,
    },
]
ANSWER: Json = {
    "question_sha256": "ab" * 32,
    "dataset_version": 1,
    "rows": [
        {
            "sex": "F",
            "count": {
                "value": 420,
                "low": 406,
                "high": 434,
                "noise_low": 406,
                "noise_high": 434,
                "below_noise": False,
                "holds": "noise",
            },
            "mean_length_of_stay": {
                "value": 6.25,
                "low": 5.9,
                "high": 6.6,
                "noise_low": 6.0,
                "noise_high": 6.5,
                "below_noise": False,
                "holds": "noise and sampling",
            },
        },
        {
            "sex": "M",
            "count": {
                "value": 9,
                "low": -5,
                "high": 23,
                "noise_low": -5,
                "noise_high": 23,
                "below_noise": True,
                "holds": "noise",
            },
            "mean_length_of_stay": {
                "value": None,
                "low": None,
                "high": None,
                "noise_low": None,
                "noise_high": None,
                "below_noise": True,
                "holds": "noise",
            },
        },
    ],
    "words": {
        "fr": "Environ 420 séjours, à 14 près ; 2 % du budget de votre projet.",
        "en": "About 420 stays, give or take 14; 2% of your project's budget.",
    },
    "spent": {"rho_micro": 20_000, "epsilon": 0.8934, "delta": 1e-06},
    "left": {"population": 4_000_000, "project": 900_000, "person": 480_000},
    "replayed": False,
    "index": 12,
}


@dataclass
class Kept:
    """A request as this house keeps it."""

    line: RequestLine
    purpose: str
    files: list[FileIn]
    votes: dict[str, list[Vote]] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class HouseForTests:
    """People, one project, requests, a trail of dictionaries."""

    def __init__(self) -> None:
        self.people: dict[str, Person] = {}
        self.requests: dict[str, Kept] = {}
        self.events: list[Json] = []
        self.details: dict[int, DetailState] = {}
        self.viewed: list[tuple[str, str]] = []
        self.asked: list[Json] = []
        self.cancelled: list[Json] = []
        self.now_running: list[Json] = []
        self.moves: list[tuple[str, str, str, str]] = []
        self.metered: list[tuple[str, str, str, int]] = []
        self.closed: list[str] = []
        self.sound = True
        self.confirmed: TrailConfirmed | None = None
        self.differing: Sequence[TrailAnomaly] = ()
        self.books: TrailBooks | None = None
        self.late = False
        when = "2026-11-25T10:00:00.123456Z"
        self.found = [
            TrailFinding("a1", "anomaly", "in_trail_not_in_ledger", 12, "charge", when, overdue=True),
            TrailFinding("a2", "anomaly", "in_hub_not_in_trail", -1, "0123456789", ""),
            TrailFinding("f1", "flag", "denials", 7, "researcher-a", when),
        ]
        self.reviewed = -1
        for name, roles in {
            "researcher-a": {Role.RESEARCHER},
            "researcher-b": {Role.RESEARCHER},
            "steward-a": {Role.STEWARD},
            "steward-b": {Role.SENIOR_STEWARD},
            "auditor-a": {Role.AUDITOR},
        }.items():
            self.people[name] = Person(name, frozenset(roles))

    # --- people

    def authenticate(self, person: str, password: str, seen: Seen = UNSEEN) -> Person:
        self.seen = seen
        if person not in self.people or password != PASSWORD:
            raise NotAuthenticated("login_refused", "The name or the password is not right.", "Try again.")
        return self.person(person)

    def person(self, person: str) -> Person:
        known = self.people.get(person)
        if known is None or not known.active:
            raise NotAuthenticated(
                "person_inactive", f"The access of {person} is closed.", "Ask.", person=person
            )
        return known

    def projects_of(self, person: Person) -> Sequence[ProjectCard]:
        if Role.RESEARCHER not in person.roles:
            return ()
        return (
            ProjectCard("heart-failure", "Insuffisance cardiaque : parcours de soins", date(2027, 6, 30)),
        )

    # --- sessions

    def open_session(self, person: str, project: str) -> SessionPlace:
        if project not in {card.id for card in self.projects_of(self.person(person))}:
            raise Refused("not_a_member", "No.", project=project)
        return SessionPlace(SESSION, f"/n/{SESSION}/nb", f"/n/{SESSION}/data", f"/w/{person}/{project}")

    def session_started(self, session: str, *, ok: bool) -> None:
        self.events.append({"type": "session.spawn", "outcome": "success" if ok else "failed"})

    def close_session(self, session: str) -> None:
        self.closed.append(session)

    def holder(self, session: str) -> Holder:
        if session != SESSION or session in self.closed:
            raise NotFound("session_unknown", "There is no such notebook session.", "Restart the notebook.")
        return Holder("researcher-a", "heart-failure")

    def meter(self, person: str, project: str, channel: str, amount: int) -> None:
        self.metered.append((person, project, channel, amount))

    # --- questions

    def datasets(self, person: Person, project: str) -> Sequence[Json]:
        return [
            {
                "dataset": "hospital-stays",
                "version": 1,
                "title": "Séjours hospitaliers",
                "population": "normandie",
                "unit": "patient",
                "rows": 20,
                "groups": 5,
                "columns": COLUMNS,
            }
        ]

    def price(self, person: Person, project: str, question: Json) -> Json:
        return {
            "rho_micro": question["rho_micro"],
            "epsilon": 0.8934,
            "delta": 1e-06,
            "accuracy": [
                {
                    "name": ask["name"],
                    "stat": ask["stat"],
                    "plus_minus": 14.2,
                    "at_count": 100 if ask["stat"] == "mean" else None,
                }
                for ask in question["ask"]
            ],
            "left": {"population": 4_000_000, "project": 920_000, "person": 500_000},
        }

    def ask(self, person: Person, project: str, question: Json) -> Json:
        self.asked.append(question)
        if question["rho_micro"] > 920_000:
            raise Refused(
                "budget_spent",
                "Too dear.",
                "Ask for less.",
                rho_micro=question["rho_micro"],
                left=920_000,
                scope="project",
            )
        return ANSWER | {"replayed": len(self.asked) > 1}

    def mock(self, person: Person, project: str, dataset: str, rows: int, seed: int) -> Json:
        made = mock.as_columns(mock.rows(self.declared(dataset), rows, seed))
        return {"dataset": dataset, "version": 1, "columns": made}

    def rehearse(self, person: Person, project: str, question: Json, rows: int, seed: int) -> Json:
        asked = parse(question)
        other = None if asked.features is None else self.declared(asked.features.dataset)
        told = rehearsal.rehearse(asked, self.declared(asked.dataset), rows, seed, other)
        return {**told, "left": {"population": 0, "project": 0, "person": 0}, "index": None}

    def declared(self, dataset: str) -> Table:
        columns = tuple(
            Column(one["name"], one["kind"], one["domain"], one["low"], one["high"], one["digits"])
            for one in COLUMNS
        )
        public = Denominator(
            "france-2018", "a published table", (0, 20, 65), None, (("all", (900, 2_500, 800)),)
        )
        return Table(
            dataset, 1, "normandie", "patient", "nir", columns, 20, 5, linkable=True, denominators=(public,)
        )

    def profile(self, person: Person, project: str, dataset: str, rho_micro: int | None) -> Json:
        bins = (Bin(1, 1, 300, clear=True), Bin(2, 2, 120, clear=True), Bin(3, 3, 40, clear=True))
        stays = tuple(
            Quantile(prob, value, value, value)
            for prob, value in (("0.5", 4.0), ("0.95", 21.0), ("0.99", None))
        )
        found = Profile(dataset, 1, 20_000, bins, {"length_of_stay": stays}, {"cim10": bins})
        advice = adviser.advise(self.declared(dataset), found, rho_micro or 20_000)
        return {"profile": found.to_json(), "advice": advice.to_json()}

    def running(self, person: Person, project: str) -> Sequence[Json]:
        return self.now_running

    def cancel(self, person: Person, project: str, question: Json) -> Json:
        self.cancelled.append(question)
        return {"question_sha256": "ab" * 32, "stopped": 1}

    def budget(self, person: Person, project: str) -> Sequence[BudgetSheet]:
        if project != "heart-failure" or not person.roles & {Role.RESEARCHER, *STEWARDS, Role.AUDITOR}:
            raise NotFound("no_such_project", "There is no such project.")
        return [
            BudgetSheet(
                project,
                "normandie",
                Allowance(5_000_000, 4_020_000),
                Allowance(1_000_000, 920_000),
                Allowance(500_000, 500_000),
                (Charge(NOW - timedelta(days=1), "researcher-a", "hospital-stays", 20_000, "ab" * 32),),
                (OutsideLoss(NOW - timedelta(days=3), "release", "Effectifs par sexe <b>2023</b>"),),
            )
        ]

    def populations(self, person: Person) -> Sequence[PopulationSheet]:
        if not person.roles & {*STEWARDS, Role.AUDITOR}:
            raise Refused("role_missing", "This needs a role.", "Ask.", person=person.id, roles="steward")
        return [PopulationSheet("normandie", 2_000_000, 60_000)]

    def population(self, person: Person, population: str) -> PopulationSheet:
        (sheet,) = self.populations(person)
        if population != sheet.name:
            raise NotFound("no_such_population", "There is no such population.")
        charges = [
            PopulationCharge(NOW, "heart-failure", 40_000),
            PopulationCharge(NOW - timedelta(days=40), "asthma<b>", 20_000),
        ]
        caps = [
            CapChange("population", "", 2_000_000, NOW),
            CapChange("project", "heart-failure", 500_000, NOW),
        ]
        declared = {
            "dataset": "hospital-stays",
            "unit": "nir",
            "rows": 20,
            "groups": 5,
            "rows_per_group": 2,
            "linkable": True,
            "profile": None,
            "columns": [{**one, "never_null": one["name"] == "sex"} for one in COLUMNS],
        }
        profile = shown_profile(self.profile(person, "", "hospital-stays", None)["profile"])
        bare = {**declared, "dataset": "results", "rows_per_group": None, "linkable": False}
        return replace(sheet, caps=caps, charges=charges, datasets=[{**declared, "profile": profile}, bare])

    # --- releases

    def check_files(self, person: Person, project: str, files: Sequence[FileIn]) -> Json:
        finding = {
            "check": "small-counts",
            "verdict": "fail",
            "where": "ligne 3, colonne effectif",
            "rule": "moins de 11",
            "source": "HDH 2022",
            "fix": "regrouper les classes",
        }
        return {
            "policy": {"name": "default", "version": 1, "sha256": "00" * 32},
            "verdict": "fail",
            "files": [
                {"file": file.name, "sha256": sha(file.content), "verdict": "fail", "findings": [finding]}
                for file in files
            ],
        }

    def create_request(
        self, person: Person, project: str, title: str, purpose: str, files: Sequence[FileIn]
    ) -> str:
        identifier = f"0190f3a0-0000-7000-8000-{len(self.requests):012d}"
        line = RequestLine(identifier, title, project, person.id, "DRAFT", NOW, len(files))
        self.requests[identifier] = Kept(line, purpose, list(files))
        return identifier

    def own_requests(self, person: Person, project: str | None = None) -> Sequence[RequestLine]:
        return [kept.line for kept in self.requests.values() if kept.line.author == person.id]

    def queue(self, person: Person) -> Sequence[RequestLine]:
        if not person.roles & STEWARDS:
            raise Refused("role_missing", "This needs a role.", "Ask.", person=person.id, roles="steward")
        kept = sorted(self.requests.values(), key=lambda each: each.line.since)
        return [
            replace(each.line, awaits=not self._voted(each, person))
            for each in kept
            if each.line.status != "DRAFT"
        ]

    def request(self, person: Person, request: str) -> RequestSheet:
        kept = self._kept(person, request)
        may: set[str] = set()
        if person.roles & STEWARDS and kept.line.author != person.id and kept.line.status == "IN_REVIEW":
            may |= {"open", "vote", "return"}
        if kept.line.author == person.id:
            may |= {"withdraw", "open"} | ({"submit"} if kept.line.status == "DRAFT" else set())
            may |= {"download"} if kept.line.status == "RELEASED" else set()
        files = tuple(self._file_sheet(kept, file, person) for file in kept.files)
        return RequestSheet(kept.line, kept.purpose, files, frozenset(may), "disclosure 1")  # type: ignore[arg-type]

    def file(self, person: Person, request: str, sha256: str) -> FileIn:
        kept = self._kept(person, request)
        self.viewed.append((person.id, sha256))
        for file in kept.files:
            if sha(file.content) == sha256:
                return file
        raise NotFound("no_such_file", "The request holds no such file.")

    def vote(self, person: Person, request: str, sha256: str, choice: Choice, reason: str) -> None:
        if not person.roles & STEWARDS:
            raise Refused("role_missing", "This needs a role.", "Ask.", person=person.id, roles="steward")
        kept = self._kept(person, request)
        kept.votes.setdefault(sha256, []).append(Vote(person.id, choice, reason, NOW))

    def move(self, person: Person, request: str, move: Move, reason: str) -> None:
        kept = self._kept(person, request)
        if move not in self.request(person, request).may:
            raise Refused(
                "not_in_this_state", "Not now.", "Open it again.", status=kept.line.status, act=move
            )
        self.moves.append((person.id, request, move, reason))
        if move == "submit":
            self.set_status(request, "IN_REVIEW")
        if move == "withdraw":
            self.set_status(request, "WITHDRAWN")

    def download(self, person: Person, request: str) -> Download:
        kept = self._kept(person, request)
        if kept.line.status != "RELEASED":
            raise Refused("not_in_this_state", "Not now.", "", status=kept.line.status, act="download")
        return Download(f"{request}.zip", [b"PK", b"sealed"])

    def set_status(self, request: str, status: str) -> None:
        kept = self.requests[request]
        kept.line = replace(kept.line, status=status)

    def _kept(self, person: Person, request: str) -> Kept:
        kept = self.requests.get(request)
        if kept is None or not (kept.line.author == person.id or person.roles & {*STEWARDS, Role.AUDITOR}):
            raise NotFound("no_such_request", "There is no such request.", "Check its id.")
        return kept

    def _voted(self, kept: Kept, person: Person) -> bool:
        return all(
            any(v.reviewer == person.id for v in kept.votes.get(sha(f.content), ())) for f in kept.files
        )

    def _file_sheet(self, kept: Kept, file: FileIn, person: Person) -> FileSheet:
        votes = kept.votes.get(sha(file.content), [])
        seen = votes if len(votes) > 1 else [vote for vote in votes if vote.reviewer == person.id]
        verdict = "review" if kept.findings else "pass"
        return FileSheet(
            file.name,
            sha(file.content),
            len(file.content),
            verdict,
            file.supporting,
            kept.findings,
            tuple(seen),
            len(votes),
        )

    # --- scrutiny

    def search_trail(self, person: Person, query: TrailQuery) -> TrailPage:
        self._auditor(person)
        self.events.append({"type": "audit.search"})
        found = [
            TrailEvent(index, "cd" * 32, event)
            for index, event in enumerate(self.events)
            if "id" in event
            and (not query.corr or event.get("corr") == query.corr)
            and query.text in str(event)
        ]
        below = [one for one in found if not query.below or one.index < query.below]
        return TrailPage(below[::-1][: query.limit], len(found))

    def event(self, person: Person, event: str) -> tuple[TrailEvent, str]:
        self._auditor(person)
        if event.isdecimal() and int(event) < len(self.events):
            return TrailEvent(int(event), "cd" * 32, self.events[int(event)]), "c2sp.org/tlog-proof@v1\n"
        raise NotFound("no_such_event", "The trail has no such event.")

    def detail_state(self, index: int) -> DetailState:
        return self.details.get(index, DetailState("none"))

    def read_detail(self, person: Person, index: int) -> dict[str, str]:
        self._auditor(person)
        self.events.append({"type": "audit.detail"})
        return {"client": "192.0.2.17", "browser": "<Mozilla>", "comment": "trop peu"}

    def verify_trail(self, person: Person) -> TrailReport:
        self._auditor(person)
        steps = (
            TrailStep(1, "checkpoint signature", True),
            TrailStep(2, "root from tiles", self.sound),
            TrailStep(3, "remembered", None),
        )
        broken = None if self.sound else 17
        report = TrailReport(self.sound, True, 1234, "ef" * 32, steps, (), broken, 1)
        return replace(
            report,
            completeness=not self.differing,
            anomalies=self.differing,
            differing=len(self.differing),
            witnessed=self.confirmed,
            stamped=self.confirmed,
            books=self.books,
        )

    def sign_off(self, person: Person, until: int) -> None:
        self._auditor(person)
        if until > 99:
            raise BadInput("review_range", "A review goes on.", "Correct the number.")
        self.reviewed = until

    def unreviewed(self, person: Person) -> tuple[int, int]:
        self._auditor(person)
        return self.reviewed + 1, 99

    def findings(self, person: Person) -> list[TrailFinding]:
        self._auditor(person)
        return self.found

    def sign_finding(self, person: Person, key: str, reason: str, comment: str) -> list[TrailFinding]:
        self._auditor(person)
        if reason not in REASONS or not comment:
            raise BadInput("sign_off_form", "A sign-off has a reason.", "Say what you saw.", most=500)
        signed = TrailSignOff(41, person.id, "2026-11-25T11:00:00.123456Z", reason)
        self.found = [replace(one, signed=signed) if one.key == key else one for one in self.found]
        return self.found

    def last_review(self, person: Person) -> tuple[str, bool]:
        self._auditor(person)
        return "2026-09-01T10:00:00.123456Z", self.late

    def follow(self, person: Person, who: str, project: str) -> TrailPage:
        self._auditor(person)
        actor = {"id": who, "kind": "person"}
        kinds = ("auth.login", "session.spawn", "data.query", "release.package")
        events = [{"type": kind, "actor": actor, "project": project} for kind in kinds]
        return TrailPage([TrailEvent(n, "cd" * 32, event) for n, event in enumerate(events)], 4)

    def owner_of(self, person: Person, kind: str, name: str) -> tuple[str, str]:
        self._auditor(person)
        if name != "0123456789":
            raise NotFound("no_such_story", "The trail has nothing that begins there.", "Search it again.")
        return "researcher-a", "cardio"

    def certificate(self, person: Person, request: str) -> Certificate:
        self._auditor(person)
        if request != "r1":
            raise NotFound("nothing_released", "The trail has no package of this request.")
        event = {"type": "release.package", "ts": "2026-11-25T10:00:00.123456Z", "phase": "outcome"}
        package = TrailEvent(41, "cd" * 32, event)
        by = ("steward-a", "steward-b")
        address = "https://enclave.example/enclave/audit/events/41"
        return Certificate(
            request, package, [package], by, "ab" * 32, self.checkpoint(person), address, self.confirmed
        )

    def checkpoint(self, person: Person) -> str:
        self._auditor(person)
        return "enclave.example/trail\n1234\n7+/v\n\n— enclave.example/trail AAAA\n"

    def export_trail(self, person: Person) -> Download:
        self._auditor(person)
        return Download("trail.zip", [b"PK"])

    def _auditor(self, person: Person) -> None:
        if Role.AUDITOR not in person.roles:
            raise Refused("role_missing", "This needs a role.", "Ask.", person=person.id, roles="auditor")
