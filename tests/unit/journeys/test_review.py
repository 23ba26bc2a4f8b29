"""What an auditor has to look at waits until it is signed off, and the sign-off is an event of the trail."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from audit.confirmations import Trusted
from audit.event import utc_now
from audit.statement import SOURCES, Heading, Record, Statement
from enclave.errors import BadInput, NotFound, Refused
from enclave.journeys import review, scrutiny
from enclave.people import Person, Role
from enclave.recording import Actor, Visitor
from tests.unit.journeys.recorder_for_tests import RecorderForTests

AUDITOR = Visitor(Person("auditor-a", frozenset({Role.AUDITOR})))
STEWARD = Visitor(Person("steward-a", frozenset({Role.STEWARD})))
RESEARCHER = Actor("researcher-a", "person", "researcher")
DAY = timedelta(days=1)


@pytest.fixture
def recorder(tmp_path):
    opened = RecorderForTests(tmp_path / "trail")
    for _ in range(5):
        opened.single("data.query", actor=RESEARCHER, outcome="denied")
    opened.intent("data.query", actor=RESEARCHER, objects=[])
    yield opened
    opened.close()


def found(recorder, visitor=AUDITOR, *, later=timedelta(), records=()):
    def statement(_receipt):
        size = recorder.log.head.size
        heading = Heading(log="enclave.test/trail", at=utc_now(), before=size, after=size, read=SOURCES)
        return Statement(heading=heading, records=records)

    now = datetime.now(UTC) + later
    books = SimpleNamespace(statement=statement)
    return review.findings(recorder, visitor, recorder.directory, Trusted(), books, now, 30 * DAY)


def sign(recorder, listed, finding, reason="explained", comment="Seen with the project.", visitor=AUDITOR):
    return review.sign(recorder, visitor, listed, finding.key, reason, comment, datetime.now(UTC))


def told(listed):
    return [(one.kind, one.code, one.index) for one in listed]


def test_anomalies_and_flags_form_one_list_anomalies_first(recorder):
    listed = found(recorder, records=(Record(kind="session", id="0123456789"),))
    assert told(listed) == [
        ("anomaly", "in_hub_not_in_trail", -1),
        ("anomaly", "no_outcome", 5),
        ("flag", "denials", 4),
    ]
    assert [bool(one.when) for one in listed] == [False, True, True]
    assert recorder.told("audit.verify") == [("audit.verify", "success", None)]


def test_what_is_signed_off_goes_last_and_stays_signed_off(recorder):
    listed = found(recorder)
    after = sign(recorder, listed, listed[0])
    assert told(after) == [("flag", "denials", 4), ("anomaly", "no_outcome", 5)]
    assert (after[1].signed.by, after[1].signed.reason) == ("auditor-a", "explained")
    again = found(recorder)
    assert told(again) == told(after)
    assert again[1].signed.index == after[1].signed.index
    event = recorder.events[after[1].signed.index]
    assert (event["type"], event["reason"], event["counts"]) == ("audit.review", "explained", {"index": 5})
    assert [one["kind"] for one in event["object"]] == ["finding"]
    assert "Seen with" not in str([one.get("object") for one in recorder.events])


def test_a_sign_off_of_a_finding_is_no_review_of_a_range(recorder):
    listed = found(recorder)
    scrutiny.sign_off(recorder, AUDITOR, 3)
    sign(recorder, listed, listed[0])
    assert scrutiny.unreviewed(recorder)[0] == 4


def test_what_has_waited_too_long_comes_first(recorder):
    assert [one.overdue for one in found(recorder, later=29 * DAY)] == [False, False]
    assert [one.overdue for one in found(recorder, later=31 * DAY)] == [True, True]
    listed = found(recorder, later=31 * DAY, records=(Record(kind="session", id="0123456789"),))
    assert told(listed)[-1] == ("anomaly", "in_hub_not_in_trail", -1)  # no date: it cannot be late


@pytest.mark.parametrize(
    ("reason", "comment"), [("because", "x"), ("explained", "  "), ("explained", "x" * 501)]
)
def test_a_sign_off_says_why_in_a_few_words(recorder, reason, comment):
    listed = found(recorder)
    with pytest.raises(BadInput):
        sign(recorder, listed, listed[0], reason, comment)
    assert recorder.told("audit.review") == []


def test_nothing_is_signed_off_twice_or_that_is_not_there_or_by_somebody_else(recorder):
    listed = found(recorder)
    after = sign(recorder, listed, listed[0])
    with pytest.raises(Refused):
        sign(recorder, after, listed[0])
    with pytest.raises(NotFound):
        review.sign(recorder, AUDITOR, listed, "ab" * 32, "explained", "x", datetime.now(UTC))
    with pytest.raises(Refused):
        sign(recorder, listed, listed[1], visitor=STEWARD)
    with pytest.raises(Refused):
        found(recorder, STEWARD)


def test_an_anomaly_without_a_place_is_signed_off_by_what_it_is_about(recorder):
    records = (Record(kind="session", id="0123456789"), Record(kind="session", id="9876543210"))
    listed = found(recorder, records=records)
    after = sign(recorder, listed, listed[0])
    assert [one.signed is None for one in after] == [True, True, True, False]
    assert "counts" not in recorder.events[-1]


@pytest.mark.parametrize("broken", [3, None])
def test_nothing_else_is_read_in_a_tampered_trail(recorder, monkeypatch, broken):
    verified = scrutiny.verify_now

    def tampered(*asked):
        return replace(verified(*asked), integrity=False, first_broken_index=broken)

    monkeypatch.setattr(scrutiny, "verify_now", tampered)
    assert told(found(recorder)) == [("anomaly", "tampered", -1 if broken is None else broken)]


def test_sign_offs_are_found_beyond_a_page(recorder, monkeypatch):
    monkeypatch.setattr(review, "PAGE", 2)
    listed = found(recorder)
    for one in listed:
        sign(recorder, listed, one)
    scrutiny.sign_off(recorder, AUDITOR, 2)
    assert set(review.signed_off(recorder)) == {one.key for one in listed}


def test_the_last_review_is_the_newest_sign_off_or_the_trail_s_beginning(recorder):
    beginning = review.last_review(recorder)
    scrutiny.sign_off(recorder, AUDITOR, 2)
    assert beginning is not None
    assert review.last_review(recorder) > beginning
