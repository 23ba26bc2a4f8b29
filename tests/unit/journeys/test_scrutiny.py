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


def test_nobody_else_reads_certificates(recorder):
    with pytest.raises(Refused):
        scrutiny.events_of_release(recorder, STEWARD, new_id())
    assert recorder.events == []


def begin(recorder, session="0123456789", person="researcher-a"):
    recorder.single("auth.login", actor=Actor(person, "person", "none"))
    actor = Actor(person, "person", "researcher", session)
    about = [EventObject("session", session)]
    recorder.outcome(
        recorder.intent("session.spawn", actor=actor, objects=about, project="cardio"), "success"
    )
    return actor


def test_a_story_goes_from_the_login_to_the_fate_of_the_release_whoever_acts(recorder):
    recorder.single("auth.login", actor=Actor("researcher-a", "person", "none"))  # an earlier day
    actor, request = begin(recorder), new_id()
    recorder.single("data.query", actor=actor, project="cardio", objects=[EventObject("question", "q1")])
    recorder.single("data.query", actor=actor, project="other")
    about, release = [EventObject("request", request)], {"request": request}
    recorder.single("release.create", actor=actor, project="cardio", objects=about, release=release)
    steward = Actor("steward-a", "person", "steward")
    recorder.single("release.review", actor=steward, project="cardio", objects=about, release=release)
    recorder.single(
        "release.review", actor=steward, project="cardio", objects=[EventObject("request", new_id())]
    )
    found, more = scrutiny.follow(recorder, AUDITOR, "researcher-a", "cardio")
    assert [one["type"] for one in found] == [
        "auth.login",
        "session.spawn",
        "session.spawn",
        "data.query",
        "release.create",
        "release.review",
    ]
    assert (found[0]["seq"], more) == (1, False)
    for kind, name in (("session", "0123456789"), ("request", request), ("question", "q1")):
        assert scrutiny.owner_of(recorder, AUDITOR, kind, name) == ("researcher-a", "cardio")
    with pytest.raises(NotFound):
        scrutiny.owner_of(recorder, AUDITOR, "session", "9876543210")
    with pytest.raises(Refused):
        scrutiny.follow(recorder, STEWARD, "researcher-a", "cardio")
    assert len(recorder.told("audit.search")) == 1 + 4


def test_a_story_longer_than_a_page_says_so(recorder, monkeypatch):
    monkeypatch.setattr(scrutiny, "MOST_OF_A_STORY", 2)
    begin(recorder)
    found, more = scrutiny.follow(recorder, AUDITOR, "researcher-a", "cardio")
    assert (len(found), more) == (3, True)
    assert scrutiny.follow(recorder, AUDITOR, "nobody", "cardio") == ([], False)


def test_only_the_data_protection_officer_decides_that_hours_are_watched(recorder):
    with pytest.raises(Refused):
        scrutiny.watch_hours(recorder, AUDITOR, "because", watched=True)
    dpo = Visitor(Person("dpo-a", frozenset({Role.DPO})))
    scrutiny.watch_hours(recorder, dpo, "works-council-2026-11", watched=True)
    event = recorder.events[-1]
    assert (event["type"], event["reason"], event["counts"]) == (
        "admin.policy",
        "works-council-2026-11",
        {"watched": 1},
    )
