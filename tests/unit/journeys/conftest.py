"""A house with a project, a partner, two stewards, and a log behind it; everything real but the clock. A keyring."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from anonymisation.disclosure.policy import DisclosurePolicy
from anonymisation.disclosure.report import FileReport, Finding, Report, Verdict, Words
from enclave.agreements.store import AgreementStore
from enclave.agreements.words import Agreement, Dataset, Grant, MemberRole, Partner, Project, Use
from enclave.house import open_house
from enclave.people import Person, Role
from enclave.recording import Actor, Denials, EventObject, Visitor
from enclave.release.desk import Desk
from enclave.release.folder import ReleaseFolder
from enclave.release.packaging import Packager
from enclave.release.store import ReleaseStore
from tests.unit.journeys.objecting_house import Seen
from tests.unit.journeys.recorder_for_tests import RecorderForTests
from tests.unit.vault.helpers import PASSPHRASE
from vault.envelope import seal, unseal
from vault.keyring import create_keyring

KEY = bytes(range(32))
OPERATOR = Actor("operator-a", "person", "operator")


@dataclass
class Clock:
    """A clock that stands still until it is told."""

    at: datetime = datetime(2026, 11, 25, 10, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at

    def pass_days(self, days: int) -> None:
        self.at += timedelta(days=days)


@dataclass
class Checks:
    """The checks' own report, with the finding a test wants to see; or the failure it wants."""

    finding: Finding | None = None
    failure: Exception | None = None

    def find(self, check: str, verdict: Verdict) -> None:
        words = Words("ici", "here")
        self.finding = Finding(check, "a_code", verdict, words, words, "a source", words)

    def __call__(self, project: str, files: Mapping[str, bytes]) -> Report:
        if self.failure is not None:
            raise self.failure
        found = () if self.finding is None else (self.finding,)
        return Report(
            DisclosurePolicy(),
            tuple(FileReport(name, sha256(content).hexdigest(), found) for name, content in files.items()),
        )


@dataclass
class World:
    desk: Desk
    checks: Checks
    recorder: RecorderForTests
    clock: Clock
    folder: Path
    people: dict[str, Visitor] = field(default_factory=dict)

    def visitor(self, name: str, *roles: Role) -> Visitor:
        return Visitor(Person(name, frozenset(roles)))

    def grant(self, person: str, role: MemberRole = MemberRole.RESEARCHER) -> None:
        receipt = self.recorder.single(
            "admin.grant",
            actor=OPERATOR,
            objects=[EventObject("person", person), EventObject("project", "asthma")],
        )
        self.desk.agreements.grant(Grant(person, "asthma", role), receipt)

    def partner(self, partner: Partner) -> None:
        receipt = self.recorder.single(
            "admin.partner", actor=OPERATOR, objects=[EventObject("partner", partner.id)]
        )
        self.desk.agreements.put_partner(partner, receipt)

    def project(self, project: Project) -> None:
        receipt = self.recorder.single(
            "admin.project", actor=OPERATOR, objects=[EventObject("project", project.id)]
        )
        self.desk.agreements.put_project(project, receipt)

    def dataset(self, partner: str, dataset: str) -> None:
        declared = self.recorder.single(
            "admin.dataset", actor=OPERATOR, objects=[EventObject("dataset", dataset)]
        )
        self.desk.agreements.put_dataset(Dataset(dataset, partner, "inhabitants", "Séjours"), declared)
        brought = self.recorder.single(
            "data.import", actor=OPERATOR, objects=[EventObject("dataset", dataset)]
        )
        self.desk.agreements.publish_version(
            dataset, 1, manifest_sha256="a" * 64, policy_sha256="b" * 64, policy_yaml="{}", receipt=brought
        )
        agreement = Agreement(
            f"agreement-{dataset}",
            partner,
            dataset,
            "asthma",
            "Asthma after fires",
            date(2026, 1, 1),
            date(2027, 12, 31),
            frozenset({Use.QUESTIONS}),
        )
        signed = self.recorder.single(
            "admin.agreement", actor=OPERATOR, objects=[EventObject("agreement", agreement.id)]
        )
        self.desk.agreements.put_agreement(agreement, signed)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    for name in ("trail", "state"):
        (tmp_path / name).mkdir(mode=0o700)
    recorder, clock, key = RecorderForTests(tmp_path / "trail"), Clock(), Ed25519PrivateKey.generate()
    checks = Checks()
    engine = open_house(tmp_path / "state" / "house.db")
    folder = tmp_path / "state" / "releases"
    desk = Desk(
        recorder=recorder,
        denials=Denials(recorder),
        requests=ReleaseStore(engine),
        folder=ReleaseFolder(
            folder,
            lambda content, name: seal(KEY, name, content),
            lambda sealed, name: unseal(KEY, name, sealed),
        ),
        agreements=AgreementStore(engine),
        check_files=checks,
        packager=Packager(
            "Test enclave",
            "https://creativecommons.org/licenses/by/4.0/",
            key.sign,
            key.public_key().public_bytes_raw(),
            recorder.proof,
        ),
        now=clock,
    )
    made = World(desk, checks, recorder, clock, folder)
    made.project(Project("asthma", "Asthme et feux", date(2027, 6, 30), "Asthma and fires"))
    made.partner(Partner("hospital-a", "Hôpital A", "Hospital A"))
    made.dataset("hospital-a", "stays")
    made.grant("researcher-a")
    yield made
    desk.denials.settle()
    engine.dispose()
    recorder.close()


@pytest.fixture(scope="module")
def keyring(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "keyring.json"
    create_keyring(path, PASSPHRASE)
    return path


@pytest.fixture
def own_keyring(tmp_path: Path, keyring: Path) -> Path:
    path = tmp_path / "keyring.json"
    path.write_bytes(keyring.read_bytes())
    path.chmod(0o600)
    return path


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    return Seen(monkeypatch)
