"""Exceptions, holds, recalls, failures, silence, and the end of a project."""

from dataclasses import replace
from datetime import date

import pytest

from enclave.agreements.words import Partner, Project
from enclave.errors import BadInput, ComponentDown, Refused
from enclave.journeys import release
from enclave.journeys import release_incidents as incidents
from enclave.people import Role
from enclave.recording import Visitor
from enclave.release.desk import request_object
from enclave.release.states import Act, Status
from enclave.release.words import Choice, ReleaseRequest
from tests.unit.journeys.conftest import World
from tests.unit.journeys.test_release import TABLE, approved, in_review, last_denial, submitted, vote_all

VETO = Partner("hospital-a", "Hôpital A", "Hospital A", frozenset({"delegate-a"}), veto=True)


@pytest.fixture
def author(world: World) -> Visitor:
    return world.visitor("researcher-a", Role.RESEARCHER)


@pytest.fixture
def steward(world: World) -> Visitor:
    return world.visitor("steward-a", Role.STEWARD)


@pytest.fixture
def senior(world: World) -> Visitor:
    return world.visitor("steward-b", Role.SENIOR_STEWARD)


@pytest.fixture
def other_senior(world: World) -> Visitor:
    return world.visitor("steward-c", Role.SENIOR_STEWARD)


@pytest.fixture
def operator(world: World) -> Visitor:
    return world.visitor("operator-a", Role.OPERATOR)


@pytest.fixture
def delegate(world: World) -> Visitor:
    return world.visitor("delegate-a", Role.PARTNER_DELEGATE)


def blocked(world: World, author: Visitor, check: str = "small_counts") -> ReleaseRequest:
    world.checks.find(check, "fail")
    return in_review(world, author)


# --- a block


def test_what_fails_the_checks_is_blocked_and_nobody_votes_on_it(
    world: World, author: Visitor, steward: Visitor
):
    request = blocked(world, author)
    assert request.status is Status.BLOCKED
    assert world.recorder.told("release.check")[-1] == ("release.check", "success", "fail")
    with pytest.raises(Refused):
        vote_all(world, steward, request)


def test_two_senior_stewards_lift_a_block_with_their_reasons(
    world: World, author: Visitor, senior: Visitor, other_senior: Visitor
):
    request = blocked(world, author)
    assert incidents.waive(world.desk, senior, request.id, "public figures").status is Status.BLOCKED
    with pytest.raises(Refused) as refusal:
        incidents.waive(world.desk, senior, request.id, "once more")
    assert refusal.value.code == "already_waived"
    assert incidents.waive(world.desk, other_senior, request.id, "public figures").status is Status.IN_REVIEW
    assert [one.steward for one in world.desk.requests.waivers(request.id)] == ["steward-b", "steward-c"]


def test_a_direct_identifier_is_never_excepted(world: World, author: Visitor, senior: Visitor):
    request = blocked(world, author, "identifiers")
    with pytest.raises(Refused) as refusal:
        incidents.waive(world.desk, senior, request.id, "I insist")
    assert refusal.value.code == "direct_identifier"
    assert last_denial(world) == ("release.except", "direct_identifier", "steward-b")


def test_an_exception_gives_its_reason(world: World, author: Visitor, senior: Visitor):
    with pytest.raises(BadInput):
        incidents.waive(world.desk, senior, blocked(world, author).id, " ")


def test_an_exception_is_for_one_round(world: World, author: Visitor, senior: Visitor, other_senior: Visitor):
    request = blocked(world, author)
    incidents.waive(world.desk, senior, request.id, "public figures")
    release.send_back(world.desk, senior, request.id, "merge two regions")
    release.submit(world.desk, author, request.id)
    assert release.check(world.desk, request.id).status is Status.BLOCKED
    assert incidents.waive(world.desk, other_senior, request.id, "public").status is Status.BLOCKED


# --- partners


def awaiting(world: World, author: Visitor, *stewards: Visitor, partner: Partner = VETO) -> ReleaseRequest:
    world.partner(partner)
    request = approved(world, author, *stewards)
    assert request.status is Status.AWAITING_PARTNER
    return request


def test_a_partner_with_a_veto_is_asked_and_may_agree(
    world: World, author: Visitor, steward: Visitor, senior: Visitor, delegate: Visitor
):
    request = awaiting(world, author, steward, senior)
    with pytest.raises(Refused):
        release.package(world.desk, steward, request.id)
    assert release.speak_for_partner(world.desk, delegate, request.id, agrees=True).status is Status.APPROVED
    release.package(world.desk, steward, request.id)
    assert world.recorder.verified().completeness


def test_a_partners_veto_ends_the_request(
    world: World, author: Visitor, steward: Visitor, senior: Visitor, delegate: Visitor
):
    request = awaiting(world, author, steward, senior)
    with pytest.raises(BadInput):
        release.speak_for_partner(world.desk, delegate, request.id, agrees=False)
    ended = release.speak_for_partner(world.desk, delegate, request.id, agrees=False, note="too early")
    assert ended.status is Status.REJECTED
    (word,) = world.desk.requests.partner_words(request.id)
    assert (word.partner, word.agrees, word.delegate) == ("hospital-a", False, "delegate-a")


def test_every_partner_with_a_veto_is_awaited(
    world: World, author: Visitor, steward: Visitor, senior: Visitor, delegate: Visitor
):
    world.partner(replace(VETO, id="hospital-b", delegates=frozenset({"delegate-b"})))
    world.dataset("hospital-b", "visits")
    request = awaiting(world, author, steward, senior)
    waiting = release.speak_for_partner(world.desk, delegate, request.id, agrees=True)
    assert waiting.status is Status.AWAITING_PARTNER
    with pytest.raises(Refused):
        release.speak_for_partner(world.desk, delegate, request.id, agrees=True)
    other = world.visitor("delegate-b", Role.PARTNER_DELEGATE)
    assert release.speak_for_partner(world.desk, other, request.id, agrees=True).status is Status.APPROVED


@pytest.mark.parametrize(("rule", "status"), [("approve", Status.APPROVED), ("reject", Status.REJECTED)])
def test_a_partners_silence_is_its_signed_answer_at_the_deadline(
    world: World, author: Visitor, steward: Visitor, senior: Visitor, rule: str, status: Status
):
    partner = replace(VETO, answer_days=10, on_silence=rule)
    request = awaiting(world, author, steward, senior, partner=partner)
    world.clock.pass_days(9)
    incidents.hear_silences(world.desk)
    assert world.desk.requests.request(request.id).status is Status.AWAITING_PARTNER
    world.clock.pass_days(1)
    incidents.hear_silences(world.desk)
    assert world.desk.requests.request(request.id).status is status
    (word,) = world.desk.requests.partner_words(request.id)
    assert word.delegate is None


def test_one_partners_silence_that_rejects_ends_the_waiting_for_the_others(
    world: World, author: Visitor, steward: Visitor, senior: Visitor
):
    world.partner(replace(VETO, id="hospital-b"))
    world.dataset("hospital-b", "visits")
    request = awaiting(world, author, steward, senior)
    world.clock.pass_days(10)
    incidents.hear_silences(world.desk)
    assert world.desk.requests.request(request.id).status is Status.REJECTED
    assert len(world.desk.requests.partner_words(request.id)) == 1


# --- holds and recalls


def test_a_suspended_release_is_let_go_by_a_senior_steward_or_refused(
    world: World, author: Visitor, steward: Visitor, senior: Visitor
):
    request = approved(world, author, steward, senior)
    assert incidents.suspend(world.desk, senior, request.id, "a question").status is Status.SUSPENDED
    with pytest.raises(Refused) as refusal:
        release.package(world.desk, steward, request.id)
    assert refusal.value.code == "role_missing"
    assert release.package(world.desk, senior, request.id).status is Status.RELEASED


def test_a_suspended_release_refused_never_leaves(
    world: World, author: Visitor, steward: Visitor, senior: Visitor
):
    request = approved(world, author, steward, senior)
    incidents.suspend(world.desk, senior, request.id, "a question")
    assert incidents.refuse_suspended(world.desk, senior, request.id, "no").status is Status.REJECTED
    with pytest.raises(Refused):
        release.package(world.desk, senior, request.id)


def test_a_revoked_release_is_given_out_no_more(
    world: World, author: Visitor, steward: Visitor, senior: Visitor
):
    request = approved(world, author, steward, senior)
    release.package(world.desk, steward, request.id)
    release.download(world.desk, author, request.id)
    assert incidents.revoke(world.desk, senior, request.id, "a mistake").status is Status.REVOKED
    with pytest.raises(Refused):
        release.download(world.desk, author, request.id)
    assert [one.note for one in world.desk.requests.moves(request.id)][-1] == "a mistake"


# --- failures


def _key_service_is_down(_data: bytes) -> bytes:
    raise ComponentDown("keys_down", "The key service does not answer.")


def test_checks_that_fail_are_retried_on_the_same_bytes(world: World, author: Visitor, operator: Visitor):
    request = submitted(world, author)
    world.checks.failure = OSError("disk")
    with pytest.raises(OSError, match="disk"):
        release.check(world.desk, request.id)
    failed = world.desk.requests.request(request.id)
    assert (failed.status, failed.left, failed.hashes) == (Status.FAILED, Status.CHECKING, request.hashes)
    assert world.recorder.told("release.fail")[-1] == ("release.fail", "success", "unexpected")
    world.checks.failure = None
    assert incidents.retry(world.desk, operator, request.id).status is Status.IN_REVIEW


def test_a_packaging_that_failed_is_retried_and_asked_anew_for_its_approvals(
    world: World, author: Visitor, steward: Visitor, senior: Visitor, operator: Visitor
):
    request = approved(world, author, steward, senior)
    packager = world.desk.packager
    object.__setattr__(world.desk, "packager", replace(packager, sign=_key_service_is_down))
    with pytest.raises(ComponentDown):
        release.package(world.desk, steward, request.id)
    assert world.desk.requests.request(request.id).left is Status.RELEASING
    object.__setattr__(world.desk, "packager", packager)
    with pytest.raises(Refused):
        release.withdraw(world.desk, author, request.id)
    with pytest.raises(Refused):
        incidents.retry(world.desk, steward, request.id)
    assert incidents.retry(world.desk, operator, request.id).status is Status.RELEASED
    assert world.recorder.verified().completeness


def test_a_failed_packaging_is_not_retried_once_an_approval_has_fallen(
    world: World, author: Visitor, steward: Visitor, senior: Visitor, operator: Visitor
):
    request = approved(world, author, steward, senior)
    release.move(world.desk, "release.package", Act.PACKAGE, request, steward.acting_as(Role.STEWARD))
    incidents.catch_up(world.desk)
    world.grant("steward-b")
    with pytest.raises(Refused) as refusal:
        incidents.retry(world.desk, operator, request.id)
    assert refusal.value.code == "not_approved_by_two"


def test_after_a_crash_at_work_the_request_has_failed_as_interrupted(world: World, author: Visitor):
    request = submitted(world, author)
    step = world.desk.requests.request(request.id)
    release.move(world.desk, "release.check", Act.CHECK, step, author.acting_as(Role.RESEARCHER))
    incidents.catch_up(world.desk)
    failed = world.desk.requests.request(request.id)
    assert (failed.status, failed.left) == (Status.FAILED, Status.CHECKING)
    assert world.recorder.told("release.fail")[-1][2] == "interrupted"


def test_what_was_submitted_before_a_crash_is_checked_at_the_next_start(world: World, author: Visitor):
    one, other = submitted(world, author), submitted(world, author, (TABLE,))
    world.checks.failure = OSError("disk")
    incidents.catch_up(world.desk)
    assert world.desk.requests.request(one.id).status is Status.FAILED
    assert world.desk.requests.request(other.id).status is Status.FAILED
    late = submitted(world, author)
    world.checks.failure = None
    incidents.catch_up(world.desk)
    assert world.desk.requests.request(late.id).status is Status.IN_REVIEW


def test_the_same_exception_twice_at_once_is_one(world: World, author: Visitor, senior: Visitor):
    request = blocked(world, author)
    incidents.waive(world.desk, senior, request.id, "public figures")
    receipt = world.recorder.single(
        "release.except", actor=senior.acting_as(), objects=[request_object(request.id)]
    )
    step = world.desk.step(Act.WAIVE, senior.acting_as(), receipt, request)
    with pytest.raises(Refused) as refusal:
        world.desk.requests.add_waiver(request.id, step)
    assert refusal.value.code == "already_said"
    assert len(world.desk.requests.waivers(request.id)) == 1


def test_a_conclusion_a_crash_prevented_is_drawn_at_the_next_start(
    world: World, author: Visitor, steward: Visitor, senior: Visitor, monkeypatch: pytest.MonkeyPatch
):
    request = in_review(world, author, (TABLE,))
    vote_all(world, steward, request)
    with monkeypatch.context() as crash:
        crash.setattr(release, "decide", lambda _desk, _request: request)
        vote_all(world, senior, request)
    assert world.desk.requests.request(request.id).status is Status.REVIEWED
    incidents.catch_up(world.desk)
    assert world.desk.requests.request(request.id).status is Status.APPROVED


# --- the end of a project


def test_what_was_not_released_expires_with_its_project(
    world: World, author: Visitor, steward: Visitor, senior: Visitor
):
    released = approved(world, author, steward, senior)
    release.package(world.desk, steward, released.id)
    waiting = in_review(world, author)
    incidents.expire_ended(world.desk)
    assert world.desk.requests.request(waiting.id).status is Status.IN_REVIEW
    world.project(Project("asthma", "Asthme", date(2026, 11, 24)))
    incidents.expire_ended(world.desk)
    assert world.desk.requests.request(waiting.id).status is Status.EXPIRED
    assert world.desk.requests.request(released.id).status is Status.RELEASED


def test_after_the_end_of_the_project_nothing_is_submitted_or_packaged(
    world: World, author: Visitor, steward: Visitor, senior: Visitor
):
    ready = approved(world, author, steward, senior)
    draft = release.create(world.desk, author, "asthma", "Title", "Purpose", [TABLE])
    world.project(Project("asthma", "Asthme", date(2026, 11, 24)))
    with pytest.raises(Refused) as refusal:
        release.package(world.desk, steward, ready.id)
    assert refusal.value.code == "project_ended"
    with pytest.raises(Refused) as refusal:
        release.submit(world.desk, author, draft.id)
    assert refusal.value.code == "project_ended"


def test_the_history_of_a_returned_request_is_whole(
    world: World, author: Visitor, steward: Visitor, senior: Visitor
):
    request = in_review(world, author, (TABLE,))
    vote_all(world, steward, request, Choice.RETURN)
    vote_all(world, senior, request)
    release.submit(world.desk, author, request.id)
    acts = [one.act for one in world.desk.requests.moves(request.id)]
    assert acts == [
        *(Act.EDIT, Act.SUBMIT, Act.CHECK, Act.PASS),
        *(Act.REVIEW, Act.REVIEW, Act.RETURN, Act.SUBMIT),
    ]
    assert [one.round for one in world.desk.requests.reviews(request.id)] == [1, 1]
