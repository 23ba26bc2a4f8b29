"""The house's statement of its own books, for an auditor who compares them with the trail.

Each book is asked by whoever keeps it: the ledger by the engine, the house's book and the notebooks' by their files,
packages and versions by what lies on the disk. A book that cannot be read is named, never passed over.
"""

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from audit.event import utc_now
from audit.statement import SOURCES, Heading, Record, Source, Statement
from enclave.agreements.store import AgreementStore
from enclave.errors import EnclaveError
from enclave.house_table import every_line
from enclave.local_http import LocalService
from enclave.receipt import Receipt
from enclave.recorder_client import RecorderClient
from enclave.release.folder import ReleaseFolder
from enclave.sessions import Holder, session_of
from vault.errors import VaultError
from vault.keys import KeyService
from vault.manifest import MANIFEST_NAME
from vault.package_check import checked_artefact

UNREADABLE: Final = (EnclaveError, VaultError, SQLAlchemyError, sqlite3.Error, OSError)
WHOLE: Final = re.compile(r"v[0-9]+")  # what a killed intake left is called otherwise
RUNNING: Final = (
    "SELECT users.name, spawners.name, spawners.started FROM spawners JOIN users ON users.id = spawners.user_id "
    "WHERE spawners.server_id IS NOT NULL"
)
"""JupyterHub's own table: a server that runs has a row in `servers`."""


@dataclass(frozen=True)
class BooksOfTheHouse:
    """Where each book is kept."""

    recorder: RecorderClient
    engine: LocalService
    house: Engine
    publisher: Callable[
        [], tuple[ReleaseFolder, KeyService]
    ]  # opened when packages are looked at, and may fail then
    shelves: Path
    hub: Path  # JupyterHub's database

    def statement(self, receipt: Receipt) -> Statement:
        """Read every book; the receipt is that of the verification or export it is for.

        The trail is asked for its size before and after, so that nobody is accused of what happened meanwhile. Raises
        `ComponentDown` without the recorder.
        """
        before = self.recorder.health()
        read: list[Source] = []
        records: list[Record] = []
        for source in SOURCES:
            try:
                records += self._readers(receipt)[source]()
                read.append(source)
            except UNREADABLE:
                continue
        heading = Heading(
            log=before["origin"],
            at=utc_now(),
            before=before["size"],
            after=self._shown(),
            read=tuple(read),
            unread=tuple(one for one in SOURCES if one not in read),
        )
        return Statement(heading=heading, records=tuple(records))

    def _shown(self) -> int:
        """Have the trail's files brought up to all it holds now; gives how much that is."""
        size = int(self.recorder.health()["size"])
        self.recorder.proof(size - 1)
        return size

    def _readers(self, receipt: Receipt) -> dict[Source, Callable[[], list[Record]]]:
        return {
            "ledger": lambda: list(self._ledger()),
            "house": lambda: list(self._lines()),
            "releases": lambda: list(self._packages(receipt)),
            "vault": lambda: list(self._versions()),
            "hub": lambda: list(running_sessions(self.hub)),
        }

    def _ledger(self) -> Iterator[Record]:
        for one in self.engine.call("GET", "/v1/records")["records"]:
            yield Record(
                kind=one["kind"],
                id=one["id"],
                event=one["event_id"],
                index=one["index"],
                at=one["at"],
                rho_micro=one["rho_micro"],
                sha256=one["question_sha256"],
            )

    def _lines(self) -> Iterator[Record]:
        for table, number, event, index in every_line(self.house):
            yield Record(kind="line", id=f"{table}:{number}", event=event, index=index)

    def _packages(self, receipt: Receipt) -> Iterator[Record]:
        packages, keys = self.publisher()
        public_key = keys.public_key("package")
        for request in packages.requests():
            found = packages.look_at_package(
                request, lambda content: checked_artefact(content, public_key), receipt
            )
            yield Record(kind="package", id=request, sha256=found)

    def _versions(self) -> Iterator[Record]:
        """State the manifest each version is read by: the one the house records, where it lies there, else the first.

        A rotation writes another beside the first, and the first stays.
        """
        agreements = AgreementStore(self.house)
        for first in sorted(self.shelves.glob(f"*/*/{MANIFEST_NAME}")):
            dataset, version = first.parent.parent.name, first.parent.name
            if not WHOLE.fullmatch(version):
                continue
            lying = {sha256(path.read_bytes()).hexdigest() for path in first.parent.glob("manifest*.json")}
            recorded = {f"v{one.version}": one.manifest_sha256 for one in agreements.versions(dataset)}
            used = recorded.get(version)
            digest = used if used in lying else sha256(first.read_bytes()).hexdigest()
            yield Record(kind="version", id=f"{dataset}.{version}", sha256=digest)


def running_sessions(hub: Path) -> Iterator[Record]:
    """Give the notebooks that the hub says are running; raises `sqlite3.Error` when its database cannot be read."""
    with closing(sqlite3.connect(f"file:{hub}?mode=ro", uri=True)) as database:
        for person, project, started in database.execute(RUNNING):
            yield Record(kind="session", id=session_of(Holder(person, project)), at=started)
