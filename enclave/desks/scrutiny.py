"""The auditor's desk: searching, verifying and taking away the trail."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import orjson

from audit.report import SHOWN, Confirmed, Report
from audit.tree import leaf_hash
from enclave.agreements.rules import has_role
from enclave.desks.people import PeopleDesk
from enclave.desks.tools import now
from enclave.details_door import DetailsDoor
from enclave.errors import Damaged, NotFound
from enclave.journeys import review, scrutiny
from enclave.journeys.retention import read_detail
from enclave.journeys.review import Finding
from enclave.people import Person
from enclave.recording import Visitor
from enclave.web.sheets import (
    Certificate,
    DetailState,
    Download,
    TrailAnomaly,
    TrailBooks,
    TrailConfirmed,
    TrailEvent,
    TrailFinding,
    TrailPage,
    TrailQuery,
    TrailReport,
    TrailSignOff,
    TrailStep,
)

PASSED: Final[dict[str, bool | None]] = {"ok": True, "not done": None}


class ScrutinyDesk(PeopleDesk):
    """What an auditor may ask; the journey asks for the role and records the asking."""

    def search_trail(self, person: Person, query: TrailQuery) -> TrailPage:
        """Find events, newest first."""
        found = scrutiny.search(self.recorder, Visitor(person), _criteria(query))
        return TrailPage([_placed(event) for event in found["events"]], found["total"], found["more"])

    def event(self, person: Person, event: str) -> tuple[TrailEvent, str]:
        """Give one event, by its index, and its inclusion proof."""
        if not event.isdecimal():
            raise NotFound("no_such_event", "An event is named by its index.", "Search the trail.")
        try:
            found, proof = scrutiny.event_with_proof(self.recorder, Visitor(person), int(event))
        except NotFound:
            self._say_if_pruned(int(event))
            raise
        return _placed(found), proof

    def _say_if_pruned(self, index: int) -> None:
        if self.detail_state(index).state == "pruned":
            raise NotFound(
                "event_pruned",
                f"Event {index} was pruned when its time was over; its hash remains.",
                "Whoever kept its bytes can still prove it.",
                index=index,
            )

    def detail_state(self, index: int) -> DetailState:
        """Say how the sealed detail beside an event stands; what it says is not opened."""
        told = self._details.state(index)
        return DetailState(told["state"], told.get("rule", ""), told.get("at", ""), told.get("entry", 0))

    def read_detail(self, person: Person, index: int) -> dict[str, str]:
        """Open the sealed detail beside an event; recorded first."""
        words: dict[str, str] = read_detail(self.recorder, self._details, Visitor(person), index)["words"]
        return words

    def verify_trail(self, person: Person) -> TrailReport:
        """Verify the trail now."""
        trusts = scrutiny.trusted(self.settings.trail)
        return _told(scrutiny.verify_now(self.recorder, Visitor(person), self._trail, trusts, self.books))

    def findings(self, person: Person) -> list[TrailFinding]:
        """List what deserves a look: flags and what does not fit, open ones first."""
        return [_finding(one) for one in self._found(person)]

    def sign_finding(self, person: Person, key: str, reason: str, comment: str) -> list[TrailFinding]:
        """Record that a finding was looked at."""
        listed = self._found(person)
        signed = review.sign(self.recorder, Visitor(person), listed, key, reason, comment, now())
        return [_finding(one) for one in signed]

    def _found(self, person: Person) -> list[Finding]:
        trusts = scrutiny.trusted(self.settings.trail)
        return review.findings(
            self.recorder, Visitor(person), self._trail, trusts, self.books, now(), self._patience
        )

    def last_review(self, person: Person) -> tuple[str, bool]:
        """Say when somebody last signed anything off, and whether that is too long ago."""
        has_role(person, scrutiny.MAY_READ_THE_TRAIL)
        last = review.last_review(self.recorder)
        late = last is not None and now() - datetime.fromisoformat(last) > self._patience
        return last or "", late

    def follow(self, person: Person, who: str, project: str) -> TrailPage:
        """Give what one person did in one project, oldest first."""
        found, more = scrutiny.follow(self.recorder, Visitor(person), who, project)
        return TrailPage([_placed(event) for event in found], len(found), more)

    def owner_of(self, person: Person, kind: str, name: str) -> tuple[str, str]:
        """Give the person and project that a session, request or question belongs to."""
        return scrutiny.owner_of(self.recorder, Visitor(person), kind, name)

    def sign_off(self, person: Person, until: int) -> None:
        """Record a review up to an entry."""
        scrutiny.sign_off(self.recorder, Visitor(person), until)

    def unreviewed(self, person: Person) -> tuple[int, int]:
        """Give the first and the last entry that no sign-off has passed."""
        has_role(person, scrutiny.MAY_READ_THE_TRAIL)
        return scrutiny.unreviewed(self.recorder)

    def certificate(self, person: Person, request: str) -> Certificate:
        """Give what the trail proves of a release."""
        package, events = scrutiny.events_of_release(self.recorder, Visitor(person), request)
        trusts = scrutiny.trusted(self.settings.trail)
        report = scrutiny.verify_now(self.recorder, Visitor(person), self._trail, trusts)
        if not report.integrity:
            raise Damaged("trail_damaged", "The trail does not verify; it certifies nothing.", "Verify it.")
        placed = _placed(package)
        return Certificate(
            request=request,
            package=placed,
            events=[_placed(event) for event in events],
            approvers=scrutiny.approvers(events),
            artefact_sha256=package["release"]["artefact_sha256"],
            checkpoint=(self._trail / "checkpoint").read_text(),
            address=f"{self.settings.origin}/enclave/audit/events/{placed.index}",
            witnessed=_covering(report.witnessed, placed.index),
            stamped=_covering(report.stamped, placed.index),
        )

    def checkpoint(self, person: Person) -> str:
        """Give the signed checkpoint as text."""
        return scrutiny.checkpoint(self.recorder, Visitor(person), self._trail)

    def export_trail(self, person: Person) -> Download:
        """Give everything an outsider needs to verify, as one archive."""
        content = scrutiny.bundle(Visitor(person), self._trail, self.books)
        return Download(scrutiny.BUNDLE_NAME, [content])

    @property
    def _details(self) -> DetailsDoor:
        return DetailsDoor(self.settings.socket("recorder"))

    @property
    def _patience(self) -> timedelta:
        return timedelta(days=self.settings.trail.review_days)

    @property
    def _trail(self) -> Path:
        return self.settings.state / "trail"


def _criteria(query: TrailQuery) -> dict[str, str | int]:
    asked: dict[str, str | int | None] = {
        "text": query.text,
        "actor": query.person,
        "project": query.project,
        "type": query.type,
        "object": query.object,
        "corr": query.corr,
        "after": _instant(query.after),
        "before": _instant(query.before),
        "limit": query.limit,
        "below": query.below,
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
        steps=[
            TrailStep(one.number, one.name, PASSED.get(one.verdict, False), one.words) for one in report.steps
        ],
        anomalies=[
            TrailAnomaly(one.code, one.index, one.about, one.words) for one in report.anomalies[:SHOWN]
        ],
        differing=len(report.anomalies),
        first_broken=report.first_broken_index,
        interrupted=report.interrupted,
        witnessed=_confirmed(report.witnessed),
        stamped=_confirmed(report.stamped),
        books=None if report.books is None else TrailBooks(**vars(report.books)),
    )


def _finding(one: Finding) -> TrailFinding:
    signed = None if one.signed is None else TrailSignOff(**vars(one.signed))
    return TrailFinding(one.key, one.kind, one.code, one.index, one.about, one.when, one.overdue, signed)


def _confirmed(what: Confirmed | None) -> TrailConfirmed | None:
    return None if what is None else TrailConfirmed(what.by, what.size, what.since, what.until)


def _covering(what: Confirmed | None, index: int) -> TrailConfirmed | None:
    """Give a confirmation only for an entry it covers."""
    return _confirmed(what) if what is not None and index < what.size else None
