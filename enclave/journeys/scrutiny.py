"""Scrutiny: what the auditor asks the house for. Each search, verification and export is itself in the trail.

The verification reads files only, and an outsider runs the same one (`python -m audit verify`) on an exported copy
without an account here.
"""

import io
import tarfile
import tempfile
from pathlib import Path
from typing import Any, Final

from audit.completeness import APPROVE, REVIEWS
from audit.confirm import read_partner
from audit.confirmations import Trusted
from audit.export import export
from audit.flags import DECISION, WATCHED, WORKING_HOURS
from audit.report import Report
from audit.statement import Statement
from audit.timestamp import read_roots
from audit.verify import verify
from enclave.agreements.rules import has_role
from enclave.errors import BadInput, ComponentDown, NotFound
from enclave.journeys.statement import BooksOfTheHouse
from enclave.people import Role
from enclave.recorder_client import RecorderClient
from enclave.recording import EventObject, Recorded, Recorder, Visitor
from enclave.settings import TrailSettings

MAY_READ_THE_TRAIL: Final = frozenset({Role.AUDITOR})
TRAIL: Final = EventObject("trail", "log")
MOST_OF_A_RELEASE: Final = 1_000  # what one search of the recorder gives
MOST_OF_A_STORY: Final = 1_000
MOST_REQUESTS: Final = 20
BUNDLE_NAME: Final = "trail-bundle.tar"


def search(recorder: RecorderClient, visitor: Visitor, criteria: dict[str, str | int]) -> dict[str, Any]:
    """Find events, newest first; the search is recorded with the names of its criteria, not their values."""
    _note(recorder, visitor, "audit.search", dict.fromkeys(sorted(criteria), 1))
    return recorder.search(**criteria)


def event_with_proof(recorder: RecorderClient, visitor: Visitor, index: int) -> tuple[dict[str, Any], str]:
    """Give an event as it was recorded, and its inclusion proof."""
    _note(recorder, visitor, "audit.search", {"index": 1})
    found = recorder.search(before=index + 1, limit=1)["events"]
    if not found or found[0]["seq"] != index:
        raise NotFound("no_such_event", "The trail has no such event.", "Search it again.")
    return found[0], recorder.proof(index)


def trusted(settings: TrailSettings) -> Trusted:
    """Give what the house itself holds of witnesses and time stamps; an outsider brings his own.

    Raises `ComponentDown` when the file of certificates cannot be read.
    """
    roots = () if settings.stamp_roots_file is None else read_roots(_certificates(settings.stamp_roots_file))
    return Trusted(
        tuple(read_partner(each).key for each in settings.witnesses), settings.quorum or None, roots
    )


def _certificates(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        raise ComponentDown(
            "stamp_roots_unreadable",
            "The certificates of the time-stamping authority cannot be read.",
            "Correct `trail.stamp_roots_file`.",
        ) from None


def verify_now(
    recorder: Recorder, visitor: Visitor, trail: Path, trusts: Trusted, books: BooksOfTheHouse | None = None
) -> Report:
    """Verify the trail as it lies on disk, with both verdicts; `books` are what it is compared with."""
    receipt = _note_in_files(recorder, visitor, "audit.verify", {})
    return verify(trail, trusted=trusts, against=None if books is None else books.statement(receipt))


def state_books(visitor: Visitor, books: BooksOfTheHouse) -> Statement:
    """Give the house's statement of its books, for somebody who compares it elsewhere."""
    return books.statement(_note(books.recorder, visitor, "audit.export", {"statement": 1}))


def sign_off(recorder: RecorderClient, visitor: Visitor, until: int) -> None:
    """Record that an auditor has looked through the trail up to an entry.

    Raises `BadInput` for an entry that is not there, or one a sign-off has passed already.
    """
    has_role(visitor.person, MAY_READ_THE_TRAIL)
    start, last = unreviewed(recorder)
    if not start <= until <= last:
        raise BadInput(
            "review_range",
            "A review goes on from the last one to an entry that is there.",
            "Correct the number.",
        )
    _note(recorder, visitor, "audit.review", {"first": start, "last": until})


def unreviewed(recorder: RecorderClient) -> tuple[int, int]:
    """Give the first and the last entry that no sign-off has passed; the first is one more where there is none."""
    found = recorder.search(type="audit.review", object=str(TRAIL), limit=1)["events"]
    start = found[0]["counts"]["last"] + 1 if found else 0
    return start, int(recorder.health()["size"]) - 1


def events_of_release(
    recorder: RecorderClient, visitor: Visitor, request: str
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Give the event that proves a package, and every event of its request, oldest first.

    Raises `NotFound` where no package was made, or more events than a page holds.
    """
    _note(recorder, visitor, "audit.search", {"release": 1})
    found = recorder.search(object=f"request:{request}", limit=MOST_OF_A_RELEASE)["events"][::-1]
    packages = [one for one in found if one["type"] == "release.package" and one.get("outcome") == "success"]
    if not packages:
        raise NotFound("nothing_released", "The trail has no package of this request.", "Search the request.")
    return packages[-1], found


def watch_hours(recorder: Recorder, visitor: Visitor, reason: str, *, watched: bool) -> None:
    """Record the decision to watch when people work, or to stop; the flags follow it from this entry on.

    Raises `Refused` for anybody but the data protection officer.
    """
    has_role(visitor.person, frozenset({Role.DPO}))
    recorder.single(
        DECISION,
        actor=visitor.acting_as(Role.DPO),
        objects=[EventObject("policy", WORKING_HOURS)],
        policy={"name": WORKING_HOURS, "version": 1},
        reason=reason,
        counts={WATCHED: int(watched)},
    )


def follow(
    recorder: RecorderClient, visitor: Visitor, person: str, project: str
) -> tuple[list[dict[str, Any]], bool]:
    """Give what one person did in one project, oldest first, and whether there is more than is given.

    Logins, notebooks, questions, and the whole life of what they asked to release, whoever acted on it. A person's notebook of a project has one session number, so this is also how a session is followed.
    """
    _note(recorder, visitor, "audit.search", {"actor": 1, "follow": 1, "project": 1})
    own = recorder.search(actor=person, project=project, limit=MOST_OF_A_STORY)["events"]
    requests = dict.fromkeys(one["release"]["request"] for one in own if "release" in one)
    found = {one["seq"]: one for one in own}
    for request in list(requests)[:MOST_REQUESTS]:
        theirs = recorder.search(object=f"request:{request}", limit=MOST_OF_A_RELEASE)["events"]
        found |= {one["seq"]: one for one in theirs}
    logins = recorder.search(actor=person, type="auth.login", limit=MOST_OF_A_STORY)["events"]
    found |= {one["seq"]: one for one in _before_each_session(logins, own)}
    more = len(own) == MOST_OF_A_STORY or len(requests) > MOST_REQUESTS
    return [found[index] for index in sorted(found)], more


def _before_each_session(logins: list[dict[str, Any]], own: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give the newest login before each beginning of a notebook, and before the first of all that was done."""
    begun = [one["seq"] for one in own if one["type"] == "session.spawn"] + [one["seq"] for one in own[-1:]]
    before = (next((one for one in logins if one["seq"] < index), None) for index in begun)
    return [one for one in before if one is not None]


def owner_of(recorder: RecorderClient, visitor: Visitor, kind: str, name: str) -> tuple[str, str]:
    """Give the person and the project of a session, a release request or a question, from its first event.

    Raises `NotFound` for what the trail has nothing of.
    """
    _note(recorder, visitor, "audit.search", {"follow": 1})
    begins = {"session": "session.spawn", "request": "release.create", "question": "data.query"}[kind]
    found = recorder.search(object=f"{kind}:{name}", type=begins, limit=1)["events"]
    if not found or "project" not in found[0]:
        raise NotFound("no_such_story", "The trail has nothing that begins there.", "Search it again.")
    return found[0]["actor"]["id"], found[0]["project"]


def approvers(events: list[dict[str, Any]]) -> list[str]:
    """Give who last reviewed the request with an approval, in the order of their votes."""
    last = {
        one["actor"]["id"]: one.get("reason")
        for one in events
        if one["type"] == "release.review"
        and one.get("outcome") == "success"
        and one.get("reason") in REVIEWS
    }
    return [person for person, reason in last.items() if reason == APPROVE]


def checkpoint(recorder: Recorder, visitor: Visitor, trail: Path) -> str:
    """Give the signed checkpoint: what an auditor keeps, to compare every later state of the trail with."""
    _note_in_files(recorder, visitor, "audit.export", {"checkpoint": 1})
    return (trail / "checkpoint").read_text()


def bundle(visitor: Visitor, trail: Path, books: BooksOfTheHouse) -> bytes:
    """Give everything an outsider needs to verify the trail, as one archive."""
    statement = state_books(visitor, books)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "trail"
        export(trail, out, statement)
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            tar.add(out, arcname="trail")
    return archive.getvalue()


def note_export(recorder: Recorder, visitor: Visitor) -> None:
    """Record that an auditor takes a copy of the trail away."""
    _note_in_files(recorder, visitor, "audit.export", {})


def _note_in_files(recorder: Recorder, visitor: Visitor, act: str, counts: dict[str, int]) -> Recorded:
    """Record, and wait for the files to show it: they follow the record, and what comes next reads them."""
    receipt = _note(recorder, visitor, act, counts)
    recorder.proof(receipt.index)
    return receipt


def _note(recorder: Recorder, visitor: Visitor, act: str, counts: dict[str, int]) -> Recorded:
    has_role(visitor.person, MAY_READ_THE_TRAIL)
    return recorder.single(
        act, actor=visitor.acting_as(Role.AUDITOR), objects=[TRAIL], outcome="success", counts=counts or None
    )
