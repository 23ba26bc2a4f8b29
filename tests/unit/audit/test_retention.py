"""How long things are kept, who may end them, and that the recorder asks its own log before it erases."""

from datetime import date, datetime, timedelta

import orjson
import pytest
from starlette.testclient import TestClient

from audit import recorder, retention
from audit.details import Detail
from audit.errors import AuditError, BadInput
from audit.event import TYPES, new_id
from audit.log import Log
from audit.retention import ACCESS, Rules, expiry, rule_of
from audit.retention_doors import DETAILS
from audit.store_search import Search
from tests.unit.audit.house_for_tests import ADDRESS, AUDITOR, DPO, NOW, STEWARD, House, code, later


def event(kind="auth.login", ts=NOW, **more):
    return {"type": kind, "ts": ts, "corr": new_id(), "phase": "single", "actor": dict(DPO), **more}


# --- the rules


def test_every_type_of_event_is_of_one_class_and_the_unknown_ones_are_kept_longer():
    assert ACCESS < TYPES
    assert {rule_of(event(kind)) for kind in ACCESS} == {"access"}
    assert {rule_of(event(kind)) for kind in TYPES - ACCESS} == {"decision"}
    assert "release.approve" not in ACCESS
    assert rule_of(event("release.approve", outcome="denied")) == "access"


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"access_days": 364}, "retention_floor"),
        ({"access_days": 0}, "retention_floor"),
        ({"access_days": 99_999, "reason": "law"}, "retention_floor"),
        ({"access_days": 366}, "retention_reason"),
        ({"decision_years": 0}, "retention_years"),
        ({"decision_years": 51}, "retention_years"),
    ],
)
def test_nothing_is_kept_shorter_than_the_floor_nor_longer_without_a_reason(given, code):
    with pytest.raises(BadInput) as refusal:
        Rules(**given)
    assert refusal.value.code == code


def test_longer_is_possible_with_a_reason():
    assert Rules(access_days=1095, reason="internal-control").as_counts() == {
        "access_days": 1095,
        "decision_years": 10,
    }


def test_an_access_event_is_past_after_its_days_and_not_on_the_last_of_them():
    last = date(2026, 11, 25) + timedelta(days=365)
    assert expiry(event(), Rules(), {}) == last + timedelta(days=1)
    assert not retention.is_past(event(), Rules(), {}, last)
    assert retention.is_past(event(), Rules(), {}, last + timedelta(days=1))


@pytest.mark.parametrize(
    ("more", "day"),
    [
        ({"project": "cardio"}, date(2038, 1, 1)),  # the project ends on 31 December 2027
        ({"project": "old"}, date(2036, 11, 26)),  # it ended before the decision
        ({"project": "leap"}, date(2038, 3, 1)),  # it ends on 28 February 2028
        ({"project": "nobody-knows"}, None),
        ({}, date(2036, 11, 26)),
    ],
)
def test_a_decision_lives_as_long_as_its_project_and_the_years(more, day):
    ends = {"cardio": date(2027, 12, 31), "old": date(2020, 1, 1), "leap": date(2028, 2, 28)}
    assert expiry(event("release.approve", **more), Rules(), ends) == day
    if day is None:
        assert not retention.is_past(event("release.approve", **more), Rules(), ends, date(2999, 1, 1))


def receipt(**more):
    return event("audit.erase", phase="intent", object=[{"kind": "person", "id": "researcher-a"}], **more)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (receipt(type="audit.search"), "receipt_mismatch"),
        (receipt() | {"phase": "single"}, "receipt_mismatch"),
        (receipt() | {"object": []}, "receipt_mismatch"),
        (receipt() | {"actor": STEWARD}, "role_missing"),
        (receipt() | {"actor": {**DPO, "kind": "service"}}, "role_missing"),
        (receipt(ts=later(-1)), "receipt_stale"),
        (receipt(ts=later(1)), "receipt_stale"),
    ],
)
def test_an_entry_that_announces_something_else_opens_nothing(given, code):
    now = datetime.fromisoformat(NOW)
    retention.is_receipt(receipt(), "audit.erase", "intent", "person:researcher-a", now)
    with pytest.raises(AuditError) as refusal:
        retention.is_receipt(given, "audit.erase", "intent", "person:researcher-a", now)
    assert refusal.value.code == code


def asked(**more):
    about = [{"kind": "person", "id": "researcher-a"}]
    return event("audit.erase", reason="asked", object=about, actor=AUDITOR, ts=later(-3)) | more


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (asked(reason="other"), "nobody_asked"),
        (asked(object=[]), "nobody_asked"),
        (asked(type="audit.prune"), "nobody_asked"),
        (asked(actor={**AUDITOR, "id": "dpo-a"}), "same_person"),
        (asked(actor={**DPO, "id": "dpo-b"}), "same_role"),
        (asked(actor={**AUDITOR, "kind": "service"}), "same_role"),
        (asked(ts=later(-31)), "asked_too_long_ago"),
        (asked(ts=later(1)), "asked_too_long_ago"),
    ],
)
def test_two_persons_of_the_two_roles_must_agree_in_time(given, code):
    retention.agreed_by_two(asked(), receipt(), "audit.erase", "person:researcher-a")
    with pytest.raises(AuditError) as refusal:
        retention.agreed_by_two(given, receipt(), "audit.erase", "person:researcher-a")
    assert refusal.value.code == code


# --- the doors


@pytest.fixture
def house(tmp_path, signer, make):
    opened = House(tmp_path, signer, make)
    yield opened
    opened.log.close()


def test_reading_a_detail_asks_for_the_entry_that_tells_of_it(house):
    index = house.login()
    under = house.say("audit.detail", f"detail:{index}", AUDITOR)
    answer = house.read(index, under).json()
    assert answer["words"] == {"client": ADDRESS}
    assert answer["person"] == "researcher-a"
    assert code(house.read(index, under)) == "receipt_used"


def test_a_detail_is_read_under_its_own_entry_by_the_right_role_and_soon(house):
    index, other = house.login(), house.login("researcher-b")
    for under, why in (
        (house.say("audit.detail", f"detail:{other}", AUDITOR), "receipt_mismatch"),
        (house.say("audit.search", f"detail:{index}", AUDITOR), "receipt_mismatch"),
        (house.say("audit.detail", f"detail:{index}", STEWARD), "role_missing"),
        (house.say("audit.detail", f"detail:{index}", DPO), None),
    ):
        assert why is None or code(house.read(index, under)) == why
    house.at = later(1)
    assert code(house.read(index, under)) == "receipt_stale"
    assert code(house.read(index, 999)) == "no_entry"


def test_what_is_not_there_cannot_be_read_and_how_it_stands_is_told(house):
    plain, index = house.record("auth.logout"), house.login()
    assert house.http.get(f"/v1/details/{plain}").json() == {"state": "none"}
    assert house.http.get(f"/v1/details/{index}").json() == {"state": "sealed"}
    assert code(house.read(plain, house.say("audit.detail", f"detail:{plain}", DPO))) == "no_detail"
    house.log.details._db.execute("DELETE FROM detail")
    assert house.http.get(f"/v1/details/{index}").json() == {"state": "lost"}
    assert code(house.read(index, house.say("audit.detail", f"detail:{index}", DPO))) == "no_detail"


def test_a_detail_that_is_not_the_one_the_leaf_commits_to_is_damage(house):
    index = house.login()
    (kept,) = house.log.store.find([event_id(house, index)]).values()
    house.log.details.keep(
        index,
        [(index, event_id(house, index), Detail(person="researcher-a", words={"client": "192.0.2.99"}))],
    )
    answer = house.read(index, house.say("audit.detail", f"detail:{index}", DPO))
    assert answer.status_code == 500
    assert code(answer) == "detail_differs"
    assert kept.seq == index


def event_id(house, index):
    ((leaf, _),) = house.log.store.leaves(index, index + 1)
    return orjson.loads(leaf)["id"]


def test_the_survey_says_what_is_held_and_when_the_next_detail_will_have_had_its_time(house):
    house.login()
    house.record("release.review", Detail(person="steward-a", words={"comment": "non"}), project="cardio")
    told = house.retention().json()
    assert told == {
        "held": {"access": 1, "decision": 1},
        "expired": {},
        "next": "2027-11-26",
        "without_end": 1,
        "missing": 0,
    }
    house.at = later(400)
    told = house.retention(ends={"cardio": "2027-12-31"}).json()
    assert told["expired"] == {"access": 1}
    assert told["next"] == "2038-01-01"
    assert told["without_end"] == 0


def test_a_survey_erases_nothing_and_an_application_only_what_has_had_its_time(house):
    old = house.login()
    house.at = later(300)
    young, decision = (
        house.login("researcher-b"),
        house.record("release.review", Detail(person="steward-a", words={"comment": "non"})),
    )
    house.at = later(400)
    house.retention()
    assert house.log.details.state(old) is True
    under = house.intent()
    assert house.retention(receipt=under).json()["expired"] == {"access": 1}
    told = house.http.get(f"/v1/details/{old}").json()
    assert told == {"state": "erased", "rule": "access", "at": later(400), "entry": under}
    assert house.log.details.state(young) is house.log.details.state(decision) is True


@pytest.mark.parametrize(
    ("intent", "asked", "code_told"),
    [
        ({"actor": STEWARD}, {}, "role_missing"),
        ({"about": "trail:log"}, {}, "receipt_mismatch"),
        ({"counts": {"access_days": 365}}, {}, "receipt_mismatch"),
        ({}, {"access_days": 30}, "retention_floor"),
        ({}, {"access_days": 1095}, "retention_reason"),
        (
            {"counts": {"access_days": 1095, "decision_years": 10}},
            {"access_days": 1095, "reason": "law"},
            "receipt_mismatch",
        ),
        ({}, {"ends": {"cardio": "2001-01-01"}}, "receipt_mismatch"),
        ({}, {"decision_years": 9}, "receipt_mismatch"),
        ({"reason": "law"}, {}, "receipt_mismatch"),
        ({}, {"decision_years": "x"}, "bad_request"),
        ({}, {"ends": {"cardio": "2027-02-30"}}, "bad_request"),
    ],
)
def test_an_application_that_was_not_announced_as_it_is_done_erases_nothing(house, intent, asked, code_told):
    index = house.login()
    house.at = later(4000)
    assert code(house.retention(receipt=house.intent(**intent), **asked)) == code_told
    assert house.log.details.state(index) is True


def test_longer_durations_are_applied_with_their_reason_in_the_trail(house):
    index = house.login()
    house.at = later(800)
    counts = {"access_days": 1095, "decision_years": 10}
    rules = Rules(1095, 10, "internal-control")
    under = house.intent(counts=counts, reason="internal-control", rules=rules)
    told = house.retention(receipt=under, access_days=1095, reason="internal-control").json()
    assert told["expired"] == {}
    assert house.log.details.state(index) is True


def test_an_act_that_is_over_is_no_receipt(house, make):
    house.login()
    house.at = later(400)
    corr = new_id()
    under = house.intent(corr=corr)
    house.say("audit.erase", DETAILS, DPO, phase="outcome", outcome="success", corr=corr)
    assert code(house.retention(receipt=under)) == "receipt_used"


def test_a_detail_that_somebody_took_away_is_counted_as_missing(house):
    taken, erased = house.login(), house.login()
    house.login()
    house.log.details.erase({"access": [erased]}, NOW, 3)
    assert house.retention().json()["missing"] == 0
    house.log.details._db.execute("DELETE FROM detail WHERE seq = ?", (taken,))
    assert house.retention().json()["missing"] == 1


def test_what_was_applied_can_be_computed_again_from_the_books():
    ends = {"cardio": date(2027, 12, 31)}
    assert Rules().as_policy(ends) == Rules().as_policy(dict(ends))
    others = (
        Rules(decision_years=9).as_policy(ends),
        Rules(reason="law").as_policy(ends),
        Rules().as_policy({}),
    )
    assert Rules().as_policy(ends)["sha256"] not in {each["sha256"] for each in others}


def test_a_detail_of_an_entry_that_was_refused_goes_at_once(house):
    index = house.login()
    house.log.details._db.execute("UPDATE detail SET event = 'another' WHERE seq = ?", (index,))
    assert house.retention().json()["expired"] == {"never-recorded": 1}


def destroy(house, asked, receipt, person="researcher-a"):
    return house.http.post("/v1/persons/destroy", json={"person": person, "asked": asked, "receipt": receipt})


def test_a_persons_key_is_destroyed_by_two_of_two_roles_and_only_theirs(house):
    mine, other = house.login(), house.login("researcher-b")
    about = "person:researcher-a"
    assert house.http.get("/v1/persons/researcher-a").json() == {"held": 1, "asked": None}
    first = house.say("audit.erase", about, AUDITOR, reason="asked", outcome="success")
    asked = {"index": first, "by": "auditor-a", "role": "auditor", "at": NOW}
    assert house.http.get("/v1/persons/researcher-a").json() == {"held": 1, "asked": asked}
    assert code(destroy(house, first, house.intent(about=about, actor=AUDITOR))) == "same_person"
    assert code(destroy(house, 0, house.intent(about=about))) == "nobody_asked"
    corr = new_id()
    under = house.intent(about=about, corr=corr)
    assert destroy(house, first, under).json() == {"erased": 1}
    house.say("audit.erase", about, DPO, phase="outcome", outcome="success", corr=corr)
    assert house.http.get(f"/v1/details/{mine}").json()["rule"] == "person"
    assert house.log.details.state(other) is True
    assert house.http.get("/v1/persons/researcher-a").json() == {"held": 0, "asked": None}
    assert code(destroy(house, first, house.intent(about=about))) == "nobody_asked"


def test_a_recorder_without_details_says_so(tmp_path, signer, make):
    log = Log(tmp_path / "trail", signer)
    http = TestClient(recorder.create_app(log), raise_server_exceptions=False)
    assert code(http.post("/v1/retention", json={})) == "no_details"
    log.close()


@pytest.mark.parametrize(
    "body", [b"no json", b"[]", b'{"receipt": -1}', b'{"more": 1}', b" " * ((1 << 20) + 1)]
)
def test_what_cannot_be_read_is_refused(house, body):
    assert code(house.http.post("/v1/details/0", content=body)) == "bad_request"


def test_a_search_still_finds_what_a_detail_is_beside(house):
    index = house.login()
    (found,), _ = house.log.search(Search({"type": "auth.login"}))
    assert found["seq"] == index
    assert found["sealed"]["sha256"]


def test_a_survey_of_nothing_says_nothing(house):
    house.record("auth.logout")
    assert house.retention().json() == {
        "held": {},
        "expired": {},
        "next": None,
        "without_end": 0,
        "missing": 0,
    }


def test_entries_without_a_detail_stand_between_others(house):
    house.login()
    house.record("auth.logout")
    house.login()
    assert house.retention().json()["held"] == {"access": 2}


# --- how far the log itself may be cut


def past(count, **more):
    """Access events that have had their time, each an act of its own."""
    return [event(ts=later(-1000), **more) for _ in range(count)]


def cut(events, keep_from=None, start=0, ends=None):
    placed = list(enumerate(events, start))
    keep = start + len(events) if keep_from is None else keep_from
    return retention.boundary(placed, keep, Rules(), ends or {}, date(2026, 11, 25), 4)


def test_what_has_had_its_time_may_go_up_to_a_whole_tile():
    assert cut(past(11)) == 8
    assert cut(past(3)) == 0
    assert cut([]) == 0


def test_an_entry_that_is_still_kept_holds_everything_behind_it():
    assert cut([*past(6), event(), *past(9)]) == 4
    assert cut([event("release.approve", ts=later(-9000), project="cardio"), *past(9)]) == 0
    ended = {"cardio": date(2000, 1, 1)}
    assert cut([event("release.approve", ts=later(-9000), project="cardio"), *past(9)], ends=ended) == 8


def test_nothing_beyond_what_somebody_asked_to_keep_goes():
    assert cut(past(20), keep_from=9) == 8


@pytest.mark.parametrize(
    "tie", [{"corr": new_id()}, {"release": {"request": "r"}}, {"actor": {**DPO, "session": "0123456789"}}]
)
def test_no_act_request_or_session_is_cut_through(tie):
    events = past(12)
    events[2] |= tie
    events[9] |= tie
    assert cut(events, keep_from=9) == 0
    assert cut(events) == 12
    events = past(12)
    events[5] |= tie
    events[9] |= tie
    assert cut(events, keep_from=9) == 4


def test_cuts_that_follow_from_each_other_end_at_a_place_that_cuts_nothing():
    events = past(20)
    for one, other in ((14, 17), (9, 13), (5, 10)):
        tie = new_id()
        events[one] |= {"corr": tie}
        events[other] |= {"corr": tie}
    assert cut(events, keep_from=17) == 4


def test_what_was_cut_before_stays_cut():
    assert cut(past(10), start=8) == 16
    assert cut([event(), *past(9)], start=8) == 8
