"""The auditor's desk: searching, verifying and taking away the trail."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from audit.report import Report
from audit.tree import leaf_hash
from enclave.desks.people import PeopleDesk
from enclave.errors import NotFound
from enclave.journeys import scrutiny
from enclave.people import Person
from enclave.recording import Visitor
from enclave.web.needs import Download, TrailEvent, TrailPage, TrailQuery, TrailReport, TrailStep


class ScrutinyDesk(PeopleDesk):
    """What an auditor may ask; the journey asks for the role and records the asking."""

    def search_trail(self, person: Person, query: TrailQuery) -> TrailPage:
        """Find events, newest first."""
        found = scrutiny.search(self.recorder, Visitor(person), _criteria(query))
        return TrailPage([_placed(event) for event in found["events"]], found["total"])

    def event(self, person: Person, event: str) -> tuple[TrailEvent, str]:
        """Give one event, by its index, and its inclusion proof."""
        if not event.isdecimal():
            raise NotFound("no_such_event", "An event is named by its index.", "Search the trail.")
        found, proof = scrutiny.event_with_proof(self.recorder, Visitor(person), int(event))
        return _placed(found), proof

    def verify_trail(self, person: Person) -> TrailReport:
        """Verify the trail now."""
        trusts = scrutiny.trusted(self.settings.trail)
        return _told(scrutiny.verify_now(self.recorder, Visitor(person), self._trail, trusts))

    def checkpoint(self, person: Person) -> str:
        """Give the signed checkpoint as text."""
        return scrutiny.checkpoint(self.recorder, Visitor(person), self._trail)

    def export_trail(self, person: Person) -> Download:
        """Give everything an outsider needs to verify, as one archive."""
        content = scrutiny.bundle(self.recorder, Visitor(person), self._trail)
        return Download(scrutiny.BUNDLE_NAME, [content])

    @property
    def _trail(self) -> Path:
        return self.settings.state / "trail"


def _criteria(query: TrailQuery) -> dict[str, str | int]:
    asked: dict[str, str | int | None] = {
        "actor": query.person,
        "project": query.project,
        "type": query.type,
        "object": query.object,
        "corr": query.corr,
        "after": _instant(query.after),
        "before": _instant(query.before),
        "limit": query.limit,
    }
    return {name: value for name, value in asked.items() if value}


def _instant(when: datetime | None) -> str | None:
    return (
        None
        if when is None
        else when.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    )


def _placed(event: dict[str, Any]) -> TrailEvent:
    leaf = leaf_hash(orjson.dumps(event, option=orjson.OPT_SORT_KEYS))
    return TrailEvent(event["seq"], leaf.hex(), event)


def _told(report: Report) -> TrailReport:
    return TrailReport(
        integrity=report.integrity,
        completeness=bool(report.completeness),
        size=report.size,
        root=report.root,
        steps=[TrailStep(one.number, one.name, one.verdict == "ok", one.words) for one in report.steps],
        anomalies=[one.words for one in report.anomalies],
        first_broken=report.first_broken_index,
        interrupted=report.interrupted,
    )
