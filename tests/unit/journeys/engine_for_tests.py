"""The engine's desk on a real ledger, keyring, shelf and trail; a small made-up dataset of stays."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from anonymisation.ledger import Ledger
from enclave.agreements.policy import load_policy, policy_sha256
from enclave.journeys.question import Desk, Order
from enclave.journeys.running import Running
from enclave.journeys.slots import Slots
from enclave.recording import Actor, EventObject
from tests.unit.journeys.recorder_for_tests import RecorderForTests
from vault.keyring import create_keyring, open_keyring
from vault.keys import Rights
from vault.version import write_version

PASSPHRASE = b"several words nobody guesses"
UNITS, STAYS = 400, 1_000
STEWARD = Actor("steward-a", "person", "steward")
POLICY = """
dataset: stays
version: 1
population: patients
unit: {column: nir, id_type: nir}
columns:
  - {name: nir, type: nir, class: direct, kind: id, shelf: identity}
  - {name: sex, type: sex, class: quasi, kind: category, shelf: research, domain: [F, M]}
  - {name: days, class: plain, kind: integer, shelf: research, bounds: {low: 0, high: 60}}
  - {name: cost, class: plain, kind: decimal, shelf: research, bounds: {low: 0, high: 5000, digits: 2}}
  - {name: entry, class: quasi, kind: date, shelf: research, bounds: {low: 2023-01-01, high: 2025-12-31}}
privacy: {rows: 4, groups: 2, linkable: true, caps: {population: 2000000, project: 500000, person: 250000}}
"""


def policy(dataset: str = "stays") -> str:
    return POLICY.replace("dataset: stays", f"dataset: {dataset}")


def table(rows: int = STAYS) -> pa.Table:
    rng = np.random.default_rng(7)
    days = rng.integers(19_400, 20_400, rows).astype("int32")
    return pa.table(
        {
            "_unit": pa.array(rng.integers(0, UNITS, rows, dtype=np.uint64)),
            "sex": pa.DictionaryArray.from_arrays(
                pa.array(rng.integers(0, 2, rows).astype("int32")), pa.array(["F", "M"])
            ),
            "days": pa.array(rng.integers(0, 20, rows)),
            "cost": pa.array(np.round(rng.gamma(2.0, 400.0, rows), 2)),
            "entry": pa.array(days, pa.date32()),
        }
    )


@dataclass(frozen=True)
class Engine:
    """The desk, and what a test looks at behind it."""

    desk: Desk
    recorder: RecorderForTests
    manifests: dict[tuple[str, int], str]
    intake: Any

    def bring_in(
        self, dataset: str = "stays", version: int = 1, *, buckets: int = 4, rows: int = STAYS
    ) -> None:
        """Write a version of the same people's stays."""
        imported = self.recorder.single(
            "data.import",
            actor=Actor("intake-a", "person", "intake_agent"),
            objects=[EventObject("dataset", dataset)],
        )
        manifest = write_version(
            self.desk.root,
            dataset=dataset,
            version=version,
            shelves={"research": table(rows)},
            unit_column="_unit",
            order_key=bytes(range(32)),
            buckets=buckets,
            domains={"sex": ["F", "M"]},
            policy_sha256=policy_sha256(policy(dataset)),
            previous=None,
            keys=self.intake,
            receipt=imported,
        )
        self.manifests[dataset, version] = manifest.sha256
        self.desk.declare_population("patients", 2_000_000, STEWARD)

    def order(self, question: dict[str, Any] | None = None, **changes: Any) -> Order:
        dataset, version = changes.get("dataset", "stays"), changes.get("version", 1)
        caps = load_policy(policy()).privacy.caps
        usual: dict[str, Any] = {
            "person": "researcher-a",
            "role": "researcher",
            "auth": "password",
            "project": "cardio",
            "agreement": "agreement-a",
            "dataset": dataset,
            "version": version,
            "manifest_sha256": self.manifests[dataset, version],
            "policy_yaml": policy(dataset),
            "project_cap": caps.project,
            "person_cap": caps.person,
            "objections": 0,
            "question": question,
        }
        return Order(**usual | changes)

    def spent(self, population: str = "patients") -> int:
        return self.desk.ledger.left(population, "", "").population.spent


def engine(folder: Path, running: Running | None = None, *, rows: int = STAYS) -> Engine:
    """Build everything in a folder, with version 1 of the stays brought in."""
    (folder / "trail").mkdir(mode=0o700)
    (folder / "shelves").mkdir(mode=0o700)
    create_keyring(folder / "keyring.json", PASSPHRASE)
    recorder = RecorderForTests(folder / "trail")
    keys = open_keyring(folder / "keyring.json", PASSPHRASE, Rights.ENGINE)
    desk = Desk(
        folder / "shelves",
        Ledger.open(folder / "ledger.db"),
        keys,
        recorder,
        running=running or Running(Slots(0.05)),
    )
    made = Engine(desk, recorder, {}, open_keyring(folder / "keyring.json", PASSPHRASE, Rights.INTAKE))
    made.bring_in(rows=rows)
    return made


def question(rho_micro: int = 10_000, dataset: str = "stays", **fields: Any) -> dict[str, Any]:
    asked = {"v": 1, "dataset": dataset, "ask": [{"name": "n", "stat": "count"}], "rho_micro": rho_micro}
    return asked | fields
