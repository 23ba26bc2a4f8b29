"""A recorder without a socket: the house's own client on a real log in a temporary folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import uuid_utils
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit.checkpoint import Signer
from audit.details import parse_submitted
from audit.log import Log
from audit.store import EQUAL
from audit.store_search import Search
from audit.verify import Report, verify
from enclave.errors import ComponentDown
from enclave.recorder_client import RecorderClient

ORIGIN = "enclave.test/trail"
DETAILS_KEY = bytes(32)


class RecorderForTests(RecorderClient):
    """Keeps what it is told, in order, in a log that `audit verify` accepts; can be switched off."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory / "no.sock", "service", 1.0)
        self.directory = directory
        self.log = Log(directory, Signer(ORIGIN, Ed25519PrivateKey.generate()), details_key=DETAILS_KEY)
        self.events: list[dict[str, Any]] = []
        self.down = False

    def _send(self, event: Mapping[str, Any]) -> tuple[int, str, bytes]:
        if self.down:
            raise ComponentDown("recorder_down", "The recorder does not answer.")
        sent = {
            "v": 1,
            "id": str(uuid_utils.uuid7()),
            "occurred": "2026-11-25T10:00:00.000000Z",
            "source": {"service": "service", "version": "0"},
            **event,
        }
        posted, detail = parse_submitted(orjson.dumps(sent))
        kept = self.log.record(posted, detail=detail)
        self.events.append(sent)
        return kept.index, kept.event_id, kept.leaf_sha256

    def proof(self, index: int) -> str:
        return self.log.prove(index)

    def search(self, **criteria: str | int) -> dict[str, Any]:
        """Answer as the recorder does."""
        equal = {name: str(criteria[name]) for name in EQUAL if name in criteria}
        about = str(criteria["object"]) if "object" in criteria else None
        limit, below = int(criteria.get("limit", 100)), criteria.get("below")
        wanted = Search(equal, about, limit=limit, below=None if below is None else int(below))
        found, total = self.log.search(wanted)
        return {"events": found, "total": total, "more": False}

    def health(self) -> dict[str, Any]:
        return {"origin": ORIGIN, "size": self.log.head.size}

    def told(self, *types: str) -> list[tuple[str, str, str | None]]:
        """Give (type, outcome or phase, reason) of the events of these types, in order."""
        return [
            (one["type"], one.get("outcome", one["phase"]), one.get("reason"))
            for one in self.events
            if not types or one["type"] in types
        ]

    def verified(self) -> Report:
        """Verify the log with the auditor's own steps."""
        self.log.prove(len(self.events) - 1)
        return verify(self.directory)

    def close(self) -> None:
        self.log.close()
