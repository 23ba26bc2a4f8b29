"""Keeps the engine from spending out of a ledger that is older than the trail, and enters again what it lost.

A ledger put back from a backup would have its budgets whole again. The trail knows better: an answer that was given,
or a cap that was set, was written into the ledger before its outcome was recorded. Until the ledger knows of all of
them again, nothing is asked, priced or capped. An act without a good end proves nothing either way and is let be.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from anonymisation.ledger import Charge, Ledger, Scope
from enclave.errors import Damaged
from enclave.journeys.profile import HOUSE
from enclave.recorder_client import RecorderClient
from enclave.recording import Actor, EventObject

PAGE: Final = 1_000  # as many as the recorder gives at once
QUERY, CAPS = "data.query", "dp.caps"
REPLAYED: Final = "replayed"
REENTERED: Final = "reentered"
UNKNOWN_VERSION: Final = 0  # of data whose manifest is no longer there; a charge counts whatever its version

Event = Mapping[str, Any]


@dataclass
class LedgerGuard:
    """The engine's own look at its ledger: at the start, and after what was lost was entered again."""

    recorder: RecorderClient
    ledger: Ledger
    shelves: Path
    _refusal: Damaged | None = field(default=None)

    def check(self) -> None:
        """Raise `Damaged("ledger_older_than_trail")` while the ledger lacks what the trail says it was given."""
        if self._refusal is not None:
            raise self._refusal

    def look(self) -> None:
        """Compare the newest finished acts of the trail with the ledger; a ledger put back lacks these first."""
        lost = [event for act in (QUERY, CAPS) for event in self._lost(next(self._pages(act), []))]
        self._refusal = _older(lost) if lost else None

    def reenter(self, actor: Actor) -> int:
        """Write every charge and cap that the trail has and the ledger has not, oldest first; gives how many.

        The answers themselves are lost: asked again, such a question costs again. Raises `Damaged` when something is
        still missing afterwards.
        """
        lost = [event for act in (CAPS, QUERY) for page in self._pages(act) for event in self._lost(page)]
        if lost:
            counts = {"acts": len(lost)}
            about = [EventObject("ledger", "charges")]
            self.recorder.single(CAPS, actor=actor, objects=about, reason=REENTERED, counts=counts)
        for event in sorted(lost, key=lambda one: int(one["seq"])):
            self._enter(event)
        self.look()
        self.check()
        return len(lost)

    def _pages(self, act: str) -> Iterator[list[Event]]:
        """Give the intents of acts of a type that ended well and were charged, newest first, by the page."""
        below: dict[str, str | int] = {}
        intents: dict[str, Event] = {}
        while True:
            found = self.recorder.search(type=act, limit=PAGE, **below)["events"]
            intents |= {one["corr"]: one for one in found if one["phase"] == "intent"}
            ended = [one for one in found if one["phase"] == "outcome" and _left_a_line(one)]
            page = [begun for one in ended if (begun := self._intent(one, intents)) is not None]
            if page:
                yield page
            if len(found) < PAGE:
                return
            below = {"below": found[-1]["seq"]}

    def _intent(self, outcome: Event, known: Mapping[str, Event]) -> Event | None:
        """Give what announced an act: it may be on an older page, or pruned."""
        corr = outcome["corr"]
        if corr in known:
            return known[corr]
        found = self.recorder.search(corr=corr, type=outcome["type"], phase="intent", limit=1)["events"]
        return found[0] if found else None

    def _lost(self, page: list[Event]) -> list[Event]:
        known = self.ledger.knows([one["id"] for one in page])
        return [one for one in page if one["id"] not in known]

    def _enter(self, event: Event) -> None:
        receipt = self.recorder.receipt_of(event)
        about = {one["kind"]: one for one in reversed(event["object"])}  # the first of each kind
        population = about["population"]["id"]
        if event["type"] == CAPS:
            scope, key = _cap_of(about, population)
            self.ledger.set_cap(scope, key, event["counts"]["rho_micro"], receipt)
            return
        charge = Charge(
            population=population,
            project=event.get("project", HOUSE),
            person=event["actor"]["id"],
            question_sha256=about["question"]["id"],
            dataset=about["dataset"]["id"],
            version=self._version(about["dataset"]),
            rho_micro=event["dp"]["rho_micro"],
            event_id=event["id"],
        )
        self.ledger.reenter(charge, receipt)

    def _version(self, dataset: Mapping[str, Any]) -> int:
        """Find the version whose manifest the event names."""
        for manifest in self.shelves.glob(f"{dataset['id']}/v*/manifest.json"):
            if hashlib.sha256(manifest.read_bytes()).hexdigest() == dataset.get("sha256"):
                return int(manifest.parent.name.removeprefix("v"))
        return UNKNOWN_VERSION


def _left_a_line(outcome: Event) -> bool:
    return outcome["outcome"] == "success" and outcome.get("reason") != REPLAYED


def _cap_of(about: Mapping[str, Event], population: str) -> tuple[Scope, str]:
    if "project" in about:
        return "project", f"{population}/{about['project']['id']}"
    if "person" in about:
        return "person", f"{population}/{about['person']['id']}"
    return "population", population


def _older(lost: list[Event]) -> Damaged:
    newest = max(int(one["seq"]) for one in lost)
    return Damaged(
        "ledger_older_than_trail",
        f"The ledger lacks {len(lost)} charges or caps that the trail says it was given, the last at {newest}: it was "
        "put back to an older state. Nothing is answered.",
        "Put back the newest copy of ledger.db, then have a senior steward run `enclave budget reenter`.",
        lost=len(lost),
        index=newest,
    )
