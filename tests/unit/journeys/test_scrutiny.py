"""What the auditor asks the house for, on a real log; each asking is itself in it."""

from pathlib import Path

import pytest

from audit.event import new_id
from enclave.errors import BadInput, NotFound, Refused
from enclave.journeys import scrutiny
from enclave.people import Person, Role
from enclave.recording import Actor, EventObject, Visitor
from tests.unit.journeys.recorder_for_tests import RecorderForTests

AUDITOR = Visitor(Person("auditor-a", frozenset({Role.AUDITOR})))
STEWARD = Visitor(Person("steward-a", frozenset({Role.STEWARD})))


@pytest.fixture
def recorder(tmp_path: Path):
    opened = RecorderForTests(tmp_path / "trail")
    yield opened
    opened.close()


def tell(recorder, request, act, person, reason=None, *, package=False):
    release = {"request": request} | ({"artefact_sha256": "ab" * 32} if package else {})
    about = [EventObject("request", request)]
    actor = Actor(person, "person", "steward")
    recorder.single(act, actor=actor, objects=about, outcome="success", reason=reason, release=release)


def test_a_certificate_is_made_of_the_events_of_one_request(recorder):
    request = new_id()
    tell(recorder, request, "release.submit", "researcher-a")
    tell(recorder, request, "release.review", "steward-a", "approve")
    tell(recorder, request, "release.review", "steward-b", "return")
    tell(recorder, request, "release.review", "steward-b", "approve")
    tell(recorder, request, "release.review", "steward-c", "reject")
    tell(recorder, request, "release.review", "steward-c", "looked")
    with pytest.raises(NotFound):
        scrutiny.events_of_release(recorder, AUDITOR, request)
    tell(recorder, request, "release.package", "publisher", package=True)
    package, events = scrutiny.events_of_release(recorder, AUDITOR, request)
    assert package["release"]["artefact_sha256"] == "ab" * 32
    assert [one["seq"] for one in events] == sorted(one["seq"] for one in events)
    assert scrutiny.approvers(events) == ["steward-a", "steward-b"]
    assert recorder.told("audit.search") == [("audit.search", "success", None)] * 2


def test_the_flags_are_read_from_the_trail_and_the_reading_is_in_it(recorder):
    for _ in range(5):
        recorder.single("data.query", actor=Actor("researcher-a", "person", "researcher"), outcome="denied")
    found = scrutiny.flagged(recorder, AUDITOR, recorder.directory)
    assert [(one.code, one.index, one.about) for one in found] == [("denials", 4, "researcher-a")]
    assert recorder.told("audit.search")


def test_a_sign_off_goes_on_where_the_last_one_ended(recorder):
    for _ in range(5):
        recorder.single("data.query", actor=Actor("researcher-a", "person", "researcher"))
    assert scrutiny.unreviewed(recorder) == (0, 4)
    scrutiny.sign_off(recorder, AUDITOR, 2)
    assert scrutiny.unreviewed(recorder) == (3, 5)
    for wrong in (2, 6):
        with pytest.raises(BadInput):
            scrutiny.sign_off(recorder, AUDITOR, wrong)
    scrutiny.sign_off(recorder, AUDITOR, 5)
    assert recorder.events[-1]["counts"] == {"first": 3, "last": 5}
    with pytest.raises(Refused):
        scrutiny.sign_off(recorder, STEWARD, 6)


def test_nobody_else_reads_flags_or_certificates(recorder):
    with pytest.raises(Refused):
        scrutiny.flagged(recorder, STEWARD, recorder.directory)
    with pytest.raises(Refused):
        scrutiny.events_of_release(recorder, STEWARD, new_id())
    assert recorder.events == []
