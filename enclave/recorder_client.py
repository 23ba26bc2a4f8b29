"""The house's way to the trail, and the only place where a Receipt is made.

`intent` and `single` return once the recorder has the event on disk, or raise: no receipt, no act.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson
import uuid_utils

from enclave import __version__
from enclave.local_http import LocalService
from enclave.recording import Actor, EventObject, Outcome, Recorded

INTERRUPTED = "interrupted"
LEAF = b"\x00"  # RFC 6962 section 2.1


@dataclass(frozen=True)
class Receipt:
    """Proof that the trail holds an event: its place, its leaf, and what it allows."""

    index: int
    event_id: str
    leaf_sha256: bytes
    act: str
    objects: frozenset[str]
    corr: str
    actor: Actor
    told: tuple[EventObject, ...]
    project: str | None = None


class RecorderClient:
    """Records what one process of the house does."""

    def __init__(self, socket: Path, service: str, timeout_seconds: float) -> None:
        self._trail = LocalService("recorder", socket, timeout_seconds)
        self._service = service

    def intent(
        self,
        act: str,
        *,
        actor: Actor,
        objects: Sequence[EventObject],
        project: str | None = None,
        corr: str | None = None,
        **detail: Any,
    ) -> Receipt:
        """Record that an act is about to be done; raises `ComponentDown` when the trail cannot take it."""
        return self._record(act, "intent", actor, tuple(objects), project, corr, detail)

    def single(
        self,
        act: str,
        *,
        actor: Actor,
        objects: Sequence[EventObject] = (),
        project: str | None = None,
        corr: str | None = None,
        outcome: Outcome = "success",
        reason: str | None = None,
        **detail: Any,
    ) -> Receipt:
        """Record an act that needs no intent of its own, such as a refusal."""
        told = {"outcome": outcome, "reason": reason, **detail}
        return self._record(act, "single", actor, tuple(objects), project, corr, told)

    def outcome(
        self, receipt: Recorded, outcome: Outcome, *, reason: str | None = None, **detail: Any
    ) -> Receipt:
        """Close an intent with what came of it; raises `TypeError` for a receipt this client did not give."""
        if not isinstance(receipt, Receipt):
            raise TypeError("an outcome closes an intent of the recorder's own client")
        objects = tuple(detail.pop("objects", receipt.told))
        told = {"outcome": outcome, "reason": reason, **detail}
        return self._record(
            receipt.act, "outcome", receipt.actor, objects, receipt.project, receipt.corr, told
        )

    def receipt_of(self, event: Mapping[str, Any]) -> Receipt:
        """Give the receipt of an announcement that the trail holds; for writing again what was lost since."""
        leaf = orjson.dumps(dict(event), option=orjson.OPT_SORT_KEYS)
        told = tuple(EventObject(**one) for one in event.get("object", ()))
        return Receipt(
            index=event["seq"],
            event_id=event["id"],
            leaf_sha256=sha256(LEAF + leaf).digest(),
            act=event["type"],
            objects=frozenset(str(one) for one in told),
            corr=event["corr"],
            actor=Actor(**event["actor"]),
            told=told,
            project=event.get("project"),
        )

    def close_interrupted(self, *, of_earlier_runs: bool = False) -> int:
        """Close this process's own intents that a crash left open; gives how many there were.

        `of_earlier_runs` keeps to those from before the recorder's last start, where several processes record
        under one name: a command that somebody runs just now closes its own.
        """
        left_open = self._trail.call("GET", "/v1/open", params={"service": self._service})["events"]
        if of_earlier_runs:
            start = self.search(type="audit.start", limit=1)["events"][0]["seq"]
            left_open = [event for event in left_open if event["seq"] < start]
        for event in left_open:
            copied = {
                key: event[key] for key in ("type", "corr", "actor", "project", "object") if key in event
            }
            self._send({**copied, "phase": "outcome", "outcome": "failed", "reason": INTERRUPTED})
        return len(left_open)

    def health(self) -> dict[str, Any]:
        """Give the trail's name, size and root."""
        return self._trail.call("GET", "/v1/health")

    def search(self, **criteria: str | int) -> dict[str, Any]:
        """Give the events that match, newest first."""
        return self._trail.call("GET", "/v1/events", params=criteria)

    def proof(self, index: int) -> str:
        """Give the inclusion proof of an entry as a `.tlog-proof` text."""
        return self._trail.send("GET", f"/v1/proof/{index}").text

    def _record(
        self,
        act: str,
        phase: str,
        actor: Actor,
        objects: tuple[EventObject, ...],
        project: str | None,
        corr: str | None,
        detail: Mapping[str, Any],
    ) -> Receipt:
        corr = corr or str(uuid_utils.uuid7())
        event: dict[str, Any] = {
            "type": act,
            "phase": phase,
            "corr": corr,
            "actor": _without_nothing(vars(actor)),
            "object": [_without_nothing(vars(one)) for one in objects],
            "project": project,
            **detail,
        }
        index, event_id, leaf = self._send(_without_nothing(event))
        held = frozenset(f"{one.kind}:{one.id}" for one in objects)
        return Receipt(index, event_id, leaf, act, held, corr, actor, objects, project)

    def _send(self, event: Mapping[str, Any]) -> tuple[int, str, bytes]:
        sent = {
            "v": 1,
            "id": str(uuid_utils.uuid7()),
            "occurred": datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "source": {"service": self._service, "version": __version__},
            **event,
        }
        answer = self._trail.call("POST", "/v1/events", sent)
        return answer["index"], answer["id"], bytes.fromhex(answer["leaf_sha256"])


def _without_nothing(event: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in event.items() if value is not None and value != []}
