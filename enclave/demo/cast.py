"""Who plays in the demonstration, what was agreed, and which data comes in. People are named for what they do."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

from enclave import housekeeping
from enclave.accounts.store import AccountStore
from enclave.agreements.policy import policy_sha256
from enclave.agreements.store import AgreementStore
from enclave.agreements.words import Agreement, Dataset, Grant, MemberRole, Partner, Project, Use
from enclave.commands.dataset_commands import one_intake
from enclave.demo.hospital_stays import hospital_stays, write_csv
from enclave.housekeeping import Books
from enclave.journeys.intake import IntakeReport, bring_in
from enclave.people import Role
from enclave.recording import Visitor
from enclave.settings import Settings
from enclave.wiring import Stores, intake_tools

HERE: Final = Path(__file__).parent
OPERATOR: Final = "operator-a"
RESEARCHER, OTHER_RESEARCHER = "researcher-a", "researcher-b"
STEWARDS: Final = ("steward-a", "steward-b")
AUDITOR: Final = "auditor-a"
DPO: Final = "dpo-a"
INTAKE: Final = "intake-a"
PEOPLE: Final[dict[str, frozenset[Role]]] = {
    OPERATOR: frozenset({Role.OPERATOR}),
    INTAKE: frozenset({Role.INTAKE_AGENT}),
    RESEARCHER: frozenset({Role.RESEARCHER}),
    OTHER_RESEARCHER: frozenset({Role.RESEARCHER}),
    STEWARDS[0]: frozenset({Role.STEWARD}),
    STEWARDS[1]: frozenset({Role.STEWARD}),
    AUDITOR: frozenset({Role.AUDITOR}),
    DPO: frozenset({Role.DPO}),
}
PARTNER: Final = "ght-demo"
HOSPITAL, RAND = "hospital-stays", "rand-hie"
PROJECT: Final = "cardio"
PATIENTS, STAYS, SEED = 30_000, 100_000, 20_261_125
AGREED_DAYS: Final = 365

Passwords = dict[str, str]


@dataclass(frozen=True)
class Stage:
    """The opened house, as the demonstration's operator holds it."""

    settings: Settings
    stores: Stores
    books: Books

    @property
    def accounts(self) -> AccountStore:
        return self.stores.accounts

    @property
    def agreements(self) -> AgreementStore:
        return self.stores.agreements

    def visitor(self, person: str) -> Visitor:
        """Act as one of the cast."""
        return Visitor(self.accounts.person(person))


def new_password() -> str:
    """Make a password a person can type: four groups of letters and digits, 80 bits."""
    alphabet = "abcdefghjkmnpqrstuvwxyz23456789"
    return "-".join("".join(secrets.choice(alphabet) for _ in range(4)) for _ in range(4))


def people(stage: Stage) -> Passwords:
    """Make the cast known, or give those already known a new password; nobody's password is kept on disk."""
    passwords = {person: new_password() for person in PEOPLE}
    known = {account.person.id for account in stage.accounts.people()}
    for person, roles in PEOPLE.items():
        by = stage.visitor(OPERATOR) if OPERATOR in known else None
        if person in known and by is not None:
            housekeeping.renew_password(stage.books, by, person, passwords[person])
        else:
            housekeeping.add_person(stage.books, by, person, roles, passwords[person])
            known.add(person)
    return passwords


def agreements(stage: Stage) -> None:
    """Declare partner, datasets, project and what was agreed; nothing where that was done before."""
    if stage.agreements.projects():
        return
    operator, steward = stage.visitor(OPERATOR), stage.visitor(STEWARDS[0])
    today = datetime.now(UTC).date()
    until = today + timedelta(days=AGREED_DAYS)
    housekeeping.add_partner(
        stage.books, operator, Partner(PARTNER, "Établissement de démonstration", "Demonstration hospital")
    )
    housekeeping.add_project(
        stage.books,
        operator,
        Project(PROJECT, "Séjours pour insuffisance cardiaque", until, "Heart failure stays"),
    )
    for person in (RESEARCHER, OTHER_RESEARCHER):
        housekeeping.give_place(stage.books, operator, Grant(person, PROJECT, MemberRole.RESEARCHER))
    _dataset(
        stage,
        steward,
        Dataset(
            HOSPITAL,
            PARTNER,
            "hospital-patients",
            "Séjours hospitaliers (engendrés)",
            "Hospital stays (generated)",
            confirmed_policy_sha256=policy_sha256(policy(HOSPITAL)),
        ),
        today,
        until,
    )
    _dataset(
        stage,
        steward,
        Dataset(
            RAND,
            PARTNER,
            "rand-hie-rows",
            "Expérience RAND sur l'assurance santé",
            "RAND Health Insurance Experiment",
            confirmed_policy_sha256=policy_sha256(policy(RAND)),
        ),
        today,
        until,
    )


def _dataset(stage: Stage, steward: Visitor, dataset: Dataset, today: date, until: date) -> None:
    housekeeping.declare_dataset(stage.books, steward, dataset)
    agreed = Agreement(
        f"accord-{dataset.id}",
        PARTNER,
        dataset.id,
        PROJECT,
        "research",
        today,
        until,
        frozenset({Use.QUESTIONS}),
    )
    housekeeping.sign_agreement(stage.books, steward, agreed)


def deliver(settings: Settings, patients: int = PATIENTS, stays: int = STAYS) -> dict[str, Path]:
    """Put the partner's files into its inbox: generated stays, and the RAND table as it was published."""
    inbox = settings.state / "inbox" / PARTNER
    inbox.mkdir(mode=0o700, parents=True, exist_ok=True)
    hospital, rand = inbox / "stays.csv", inbox / "randhie.csv"
    write_csv(hospital, hospital_stays(patients, stays, SEED))
    rand.write_bytes((HERE / "rand_hie" / "randhie.csv").read_bytes())
    return {HOSPITAL: hospital, RAND: rand}


def policy(dataset: str) -> str:
    """Give the policy a steward confirmed for a dataset."""
    return (HERE / "policies" / f"{dataset}.yaml").read_text()


def intake(stage: Stage, files: dict[str, Path], tell: Callable[[IntakeReport], None]) -> None:
    """Bring the delivered files in."""
    with one_intake(stage.settings):
        tools = intake_tools(stage.settings, stage.stores)
        for dataset, file in files.items():
            tell(bring_in(tools, stage.visitor(INTAKE), policy(dataset), file))
