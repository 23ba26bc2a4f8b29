"""A house that can bring files in: real books, keys and trail; only the engine's caps are written down beside."""

import gzip
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import polars as pl

from audit.verify import verify
from enclave import housekeeping
from enclave.accounts.store import AccountStore
from enclave.agreements.policy import policy_sha256
from enclave.agreements.store import AgreementStore
from enclave.agreements.words import Dataset, Partner
from enclave.house import open_house
from enclave.housekeeping import Books
from enclave.journeys.intake import IntakeReport, IntakeTools, bring_in
from enclave.people import Person, Role
from enclave.recording import Visitor
from tests.unit.journeys.recorder_for_tests import RecorderForTests
from tests.unit.vault.helpers import PASSPHRASE, Receipt
from vault.keyring import LocalKeyring
from vault.keys import Rights
from vault.manifest import read_manifest
from vault.sealed_file import SealedFile, open_sealed_file
from vault.shelf import open_shelf

POLICY = """\
dataset: stays
version: 1
population: inhabitants
unit: {id_type: nir, column: nir}
columns:
  - {name: nir, type: nir, class: direct, kind: id, shelf: identity}
  - {name: name, type: last_name, class: direct, kind: text, shelf: identity}
  - {name: born, type: birth_date, class: direct, kind: date, shelf: identity}
  - {name: birth_year, class: quasi, kind: integer, shelf: research, transform: {from: born, keep: year}, bounds: {low: "1900", high: "2030"}}
  - {name: sex, class: quasi, kind: category, shelf: research, domain: [F, H]}
  - {name: cost, class: plain, kind: decimal, shelf: research, bounds: {low: "0", high: "100000", digits: 2}}
  - {name: nights, class: plain, kind: integer, shelf: research, bounds: {low: "0", high: "400"}}
  - {name: urgent, class: plain, kind: boolean, shelf: research}
  - {name: note, class: free_text, kind: text, shelf: text}
privacy: {rows: 5, groups: 5, caps: {population: 2000000, project: 500000, person: 250000}}
"""
HEADER = ("nir", "name", "born", "sex", "cost", "nights", "urgent", "note")
AGENT = Visitor(Person("intake-a", frozenset({Role.INTAKE_AGENT}), active=True, locale="fr"))
STEWARD = Visitor(Person("steward-a", frozenset({Role.STEWARD}), active=True, locale="fr"))
OPERATOR = Visitor(Person("operator-a", frozenset({Role.OPERATOR}), active=True, locale="fr"))


def nir(person: int) -> str:
    body = f"2950175{person:06d}"
    return f"{body}{97 - int(body) % 97:02d}"


def row(number: int, **changes: str) -> tuple[str, ...]:
    usual = {
        "nir": nir(number // 3),
        "name": f"Béranger-{number // 3}",
        "born": "1995-01-31",
        "sex": "FH"[number % 2],
        "cost": f"{number},5",
        "nights": str(number % 400),
        "urgent": "oui" if number % 2 else "non",
        "note": f"à revoir n{number}",
    }
    return tuple((usual | changes)[name] for name in HEADER)


def csv(rows: list[tuple[str, ...]], mark: str = ";", encoding: str = "utf-8") -> bytes:
    lines = [HEADER, *rows]
    return "".join(mark.join(line) + "\n" for line in lines).encode(encoding)


@dataclass
class Caps:
    declared: list[tuple[str, int]] = field(default_factory=list)

    def declare_population(self, population: str, cap_rho_micro: int, _visitor: Visitor) -> None:
        self.declared.append((population, cap_rho_micro))


@dataclass
class IntakeHouse:
    """Everything an intake touches, under one folder."""

    state: Path
    keyring: Path
    tools: IntakeTools
    recorder: RecorderForTests
    caps: Caps

    @property
    def inbox(self) -> Path:
        return self.tools.inbox / "ght"

    def declare(self, dataset: str = "stays", population: str = "inhabitants", policy: str = POLICY) -> None:
        """Have a steward declare a dataset and confirm its policy."""
        books = Books(AccountStore(self.tools.agreements._engine), self.tools.agreements, self.recorder)
        declared = Dataset(dataset, "ght", population, dataset, confirmed_policy_sha256=policy_sha256(policy))
        housekeeping.declare_dataset(books, STEWARD, declared)

    def file(self, content: bytes, name: str = "stays.csv") -> Path:
        path = self.inbox / name
        path.write_bytes(gzip.compress(content) if name.lower().endswith(".gz") else content)
        return path

    def bring(
        self, source: Path, policy: str = POLICY, visitor: Visitor = AGENT, **more: object
    ) -> IntakeReport:
        return bring_in(self.tools, visitor, policy, source, **more)  # type: ignore[arg-type]

    def shelf(self, shelf: str, version: int = 1) -> pl.DataFrame:
        held = next(one for one in self.tools.agreements.versions("stays") if one.version == version)
        keys = self.keys(Rights.REIDENT if shelf == "identity" else Rights.ENGINE)
        manifest = read_manifest(
            self.tools.root,
            "stays",
            version,
            public_key=keys.public_key("manifest"),
            expected_sha256=held.manifest_sha256,
        )
        receipt = Receipt("data.query", frozenset({"dataset:stays"}))
        return open_shelf(self.tools.root, manifest, shelf, keys, receipt).read()

    def keys(self, rights: Rights) -> LocalKeyring:
        return opened(self.keyring, rights)

    def left_over(self) -> list[str]:
        """Name whatever lies on shelves and in the quarantine that belongs to no version."""
        known = {f"v{one.version}" for one in self.tools.agreements.versions("stays")}
        shelves = [path.name for path in self.tools.root.glob("*/*") if path.name not in known]
        aside = [
            path.name
            for path in self.tools.quarantine.glob("*")
            if path.stem.partition("-")[2] not in known or path.suffix not in {".sealed", ".key", ".reasons"}
        ]
        return shelves + aside

    def verified(self) -> bool:
        return verify(self.recorder.directory).integrity


def opened(keyring: Path, rights: Rights) -> LocalKeyring:
    """Open a keyring for a process's rights."""
    return LocalKeyring(_unsealed(keyring), rights)


@cache
def _unsealed(keyring: Path) -> SealedFile:
    """Open the file once: its passphrase is made slow to try."""
    return open_sealed_file(keyring, PASSPHRASE)


def intake_house(state: Path, keyring: Path, **settings: int) -> IntakeHouse:
    """Lay a house out, or open it again; each time with a trail of its own, as its key is of this process only."""
    trail = f"trail-{len(list(state.glob('trail-*')))}"
    for name in ("shelves", "quarantine", "inbox/ght", trail):
        (state / name).mkdir(mode=0o700, parents=True, exist_ok=True)
    agreements = AgreementStore(open_house(state / "house.db"))
    recorder, caps = RecorderForTests(state / trail), Caps()
    tools = IntakeTools(
        root=state / "shelves",
        quarantine=state / "quarantine",
        inbox=state / "inbox",
        agreements=agreements,
        recorder=recorder,
        keys=opened(keyring, Rights.INTAKE),
        caps=caps,
        buckets=settings.get("buckets", 3),
        bad_rows_max_percent=settings.get("bad_rows_max_percent", 10),
        unpacked_bytes_max=settings.get("unpacked_bytes_max", 10**9),
    )
    house = IntakeHouse(state, keyring, tools, recorder, caps)
    if not agreements.datasets():
        books = Books(AccountStore(agreements._engine), agreements, recorder)
        housekeeping.add_partner(books, OPERATOR, Partner("ght", "GHT", "GHT"))
        house.declare()
    return house
