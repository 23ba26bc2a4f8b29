"""Review: what an auditor has to look at, and the record that it was looked at.

A finding is a place a stated rule points at, or something verification says does not fit. Each waits until an auditor
signs it off with a reason and a comment; the sign-off is an event of the trail, the comment lies sealed beside it.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal

import orjson

from audit.confirmations import Trusted
from audit.flags import Flags
from audit.projection import entries
from audit.report import Report
from enclave.agreements.rules import has_role
from enclave.errors import BadInput, NotFound, Refused
from enclave.journeys import scrutiny
from enclave.journeys.statement import BooksOfTheHouse
from enclave.people import Role
from enclave.recorder_client import RecorderClient
from enclave.recording import EventObject, Visitor, apart

Reason = Literal["explained", "accepted", "acted", "mistaken"]
REASONS: Final[tuple[Reason, ...]] = ("explained", "accepted", "acted", "mistaken")
REVIEW: Final = "audit.review"
LONGEST_COMMENT: Final = 500
PAGE: Final = 1_000
TAMPERED: Final = "tampered"


@dataclass(frozen=True)
class SignedOff:
    """Who said that a finding was looked at, when, and with which reason, at an index of the trail."""

    index: int
    by: str
    at: str
    reason: str


@dataclass(frozen=True)
class Finding:
    """Something to look at. `index` is below zero where it has no place in the trail; `when` is empty then."""

    kind: Literal["anomaly", "flag"]
    code: str
    index: int
    about: str
    words: str = ""
    when: str = ""
    overdue: bool = False
    signed: SignedOff | None = None

    @property
    def key(self) -> str:
        """Give the name it is signed off under: the same thing found again has the same one."""
        return hashlib.sha256(f"{self.kind}|{self.code}|{self.index}|{self.about}".encode()).hexdigest()


def findings(
    recorder: RecorderClient,
    visitor: Visitor,
    trail: Path,
    trusts: Trusted,
    books: BooksOfTheHouse,
    now: datetime,
    patience: timedelta,
) -> list[Finding]:
    """Verify, read the whole trail by the rules of the flags, and list what is found: open first, the gravest first.

    What has waited longer than `patience` is overdue. Verification and reading are themselves recorded.
    """
    report = scrutiny.verify_now(recorder, visitor, trail, trusts, books)
    found = _tampered(report) if not report.integrity else _found(report, trail)
    signed = signed_off(recorder)
    listed = [replace(one, signed=signed.get(one.key), overdue=_waited(one, now) > patience) for one in found]
    return sorted(listed, key=_order)


def _tampered(report: Report) -> list[Finding]:
    """Nothing of a changed trail is read as if it were true."""
    broken = report.first_broken_index
    return [Finding("anomaly", TAMPERED, -1 if broken is None else broken, report.root)]


def _found(report: Report, trail: Path) -> list[Finding]:
    anomalies = [Finding("anomaly", one.code, one.index, one.about, one.words) for one in report.anomalies]
    times: dict[int, str] = dict.fromkeys((one.index for one in anomalies), "")
    rules = Flags()
    for entry in entries(trail, report.size):
        event = orjson.loads(entry)
        rules.see(event)
        if event["seq"] in times:
            times[event["seq"]] = event["ts"]
    flagged = [Finding("flag", one.code, one.index, one.about, when=one.when) for one in rules.found]
    return [*(replace(one, when=times[one.index]) for one in anomalies), *flagged]


def _waited(finding: Finding, now: datetime) -> timedelta:
    return now - datetime.fromisoformat(finding.when) if finding.when else timedelta()


def _order(finding: Finding) -> tuple[bool, bool, bool, int]:
    return (finding.signed is not None, not finding.overdue, finding.kind == "flag", finding.index)


def sign(
    recorder: RecorderClient,
    visitor: Visitor,
    listed: Sequence[Finding],
    key: str,
    reason: str,
    comment: str,
    now: datetime,
) -> list[Finding]:
    """Record that a finding was looked at; gives the list as it is then.

    Raises `BadInput` for an unknown reason or without a comment, `NotFound` for what is not on the list, `Refused` for
    what was signed off before.
    """
    has_role(visitor.person, scrutiny.MAY_READ_THE_TRAIL)
    if reason not in REASONS or not 0 < len(comment.strip()) <= LONGEST_COMMENT:
        raise BadInput(
            "sign_off_form",
            f"A sign-off has a reason of the list and a comment of 1 to {LONGEST_COMMENT} characters.",
            "Say what you saw.",
            most=LONGEST_COMMENT,
        )
    finding = _one(listed, key)
    actor = visitor.acting_as(Role.AUDITOR)
    receipt = recorder.single(
        REVIEW,
        actor=actor,
        objects=[EventObject("finding", key)],
        reason=reason,
        counts=None if finding.index < 0 else {"index": finding.index},
        **apart(visitor.person.id, comment=comment.strip()),
    )
    done = SignedOff(receipt.index, visitor.person.id, now.isoformat(), reason)
    return sorted((replace(one, signed=done) if one.key == key else one for one in listed), key=_order)


def _one(listed: Sequence[Finding], key: str) -> Finding:
    finding = next((one for one in listed if one.key == key), None)
    if finding is None:
        raise NotFound("no_such_finding", "This is not among what was found.", "Open the list again.")
    if finding.signed is not None:
        raise Refused("finding_signed", "This was signed off already.", "Open the list again.")
    return finding


def signed_off(recorder: RecorderClient) -> dict[str, SignedOff]:
    """Give every sign-off of a finding, by the key of the finding."""
    return {
        each["id"]: SignedOff(one["seq"], one["actor"]["id"], one["ts"], one.get("reason", ""))
        for one in _reviews(recorder)
        for each in one["object"]
        if each["kind"] == "finding"
    }


def _reviews(recorder: RecorderClient) -> Iterable[dict[str, Any]]:
    """Give every review of the trail, newest first, by the page."""
    below: dict[str, str | int] = {}
    while True:
        found = recorder.search(type=REVIEW, limit=PAGE, **below)["events"]
        yield from found
        if len(found) < PAGE:
            return
        below = {"below": found[-1]["seq"]}


def last_review(recorder: RecorderClient) -> str | None:
    """Give the time of the newest sign-off of either kind, or of the trail's first entry where there is none."""
    found = recorder.search(type=REVIEW, limit=1)["events"] or recorder.search(before=1, limit=1)["events"]
    return str(found[0]["ts"]) if found else None
