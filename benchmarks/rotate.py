"""What a rotation costs a dataset beyond the key service's own time, and that it changes no byte of data.

`python benchmarks/rotate.py [--datasets 10] [--rounds 5]` prints one JSON line: the median over the rounds of the wall time
of a whole `enclave key rotate` (manifests read and signed, `house.db`, the trail on disk) less what the key service
took, for one dataset of three shelves and eight buckets; most of it is waiting for the disk, so a busy one shows. The exit code is 1 when the target is missed or a byte changed.
"""

import argparse
import hashlib
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from enclave.agreements.key_backups import KeyBackups
from enclave.agreements.store import AgreementStore
from enclave.agreements.words import Dataset, Partner
from enclave.house import open_house
from enclave.journeys.keys import KeyTools, rotate
from enclave.people import Person, Role
from enclave.recording import Visitor
from tests.unit.agreements.receipt_for_tests import receipt
from tests.unit.journeys.recorder_for_tests import RecorderForTests
from tests.unit.vault.helpers import PASSPHRASE, Keyrings, open_all, research_table, write
from vault.keyring import create_keyring
from vault.manifest import SHELVES
from vault.sealed_list import SealedLists

TARGET_MS = 20.0
BUCKETS = 8
OPERATOR = Visitor(Person("operator-a", frozenset({Role.OPERATOR})))


class Timed:
    """A key service, and how long it was busy."""

    def __init__(self, keys: Any) -> None:
        self._keys, self.seconds = keys, 0.0

    def __getattr__(self, name: str) -> Callable[..., Any]:
        asked = getattr(self._keys, name)

        def timed(*given: Any) -> Any:
            start = time.perf_counter()
            try:
                return asked(*given)
            finally:
                self.seconds += time.perf_counter() - start

        return timed


def house(folder: Path, datasets: int) -> tuple[KeyTools, Timed]:
    """Lay out a house with so many datasets, each of one version."""
    for name in ("shelves", "quarantine", "trail"):
        (folder / name).mkdir()
    create_keyring(folder / "keyring.json", PASSPHRASE)
    keyrings = open_all(folder / "keyring.json")
    engine = open_house(folder / "house.db")
    agreements = AgreementStore(engine)
    agreements.put_partner(Partner("ght", "GHT", "GHT"), receipt("admin.partner", "partner:ght"))
    for number in range(datasets):
        bring_in(folder / "shelves", agreements, keyrings, f"stays-{number}")
    timed = Timed(keyrings.operator)
    tools = KeyTools(
        root=folder / "shelves",
        quarantine=folder / "quarantine",
        objections=SealedLists(folder / "objections"),
        agreements=agreements,
        backups=KeyBackups(engine),
        recorder=RecorderForTests(folder / "trail"),
        keys=timed,  # type: ignore[arg-type]  # answers whatever a key service does
        forget=lambda _: None,
    )
    return tools, timed


def bring_in(root: Path, agreements: AgreementStore, keys: Keyrings, name: str) -> None:
    """Write a version of three shelves and make it current."""
    agreements.put_dataset(Dataset(name, "ght", "people", name), receipt("admin.dataset", f"dataset:{name}"))
    shelves = dict.fromkeys(SHELVES, research_table(4_000))
    manifest = write(root, keys.intake, dataset=name, shelves=shelves, buckets=BUCKETS)
    agreements.publish_version(
        name,
        1,
        manifest_sha256=manifest.sha256,
        policy_sha256=manifest.policy_sha256,
        policy_yaml="v: 1\n",
        receipt=receipt("data.import", f"dataset:{name}"),
    )


def fingerprints(root: Path) -> dict[str, str]:
    """Hash every data file."""
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in root.rglob("*.parquet")}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--datasets", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rotate-") as folder:
        tools, timed = house(Path(folder), chosen.datasets)
        before, beyond, keys, busy = fingerprints(tools.root), [], [], []
        for _ in range(chosen.rounds):
            timed.seconds, start, at_work = 0.0, time.perf_counter(), time.process_time()
            rotate(tools, OPERATOR)
            whole = time.perf_counter() - start
            busy.append((time.process_time() - at_work) / chosen.datasets * 1000)
            beyond.append((whole - timed.seconds) / chosen.datasets * 1000)
            keys.append(timed.seconds / chosen.datasets * 1000)
        unchanged = fingerprints(tools.root) == before
    value = statistics.median(beyond)
    line = {
        "claim": "rotate one dataset, beyond the key service's own time (ms), no data byte changed",
        "value": round(value, 2),
        "target": TARGET_MS,
        "ok": value <= TARGET_MS and unchanged,
        "rounds": chosen.rounds,
        "no_data_byte_changed": unchanged,
        "cpu_ms": round(statistics.median(busy), 2),
        "key_service_ms": round(statistics.median(keys), 2),
        "load": round(os.getloadavg()[0], 1),
        "against": "a local keyring; trail and house.db on disk, each act with its fsync (wall)",
    }
    print(json.dumps(line))
    return 0 if line["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
