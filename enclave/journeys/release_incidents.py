"""What may happen to a request on its way: exceptions, holds, recalls, failures, silence, the end of a project."""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

from enclave.agreements.rules import project_open
from enclave.agreements.words import Partner
from enclave.errors import Refused
from enclave.journeys.release import check, conclude, decide, fail, hear, let_out, move, run_checks
from enclave.people import Person, Role
from enclave.recording import Visitor
from enclave.release import questions, rules
from enclave.release.desk import HOUSE, Desk
from enclave.release.questions import Situation
from enclave.release.states import AT_WORK, Act, Status, find
from enclave.release.words import PartnerWord, ReleaseRequest

INTERRUPTED = "interrupted"


# --- exceptions to a block


def waive(desk: Desk, visitor: Visitor, request_id: str, note: str) -> ReleaseRequest:
    """A senior steward excepts a blocked request, with a reason; when two have, it goes to review."""
    senior, said = visitor.acting_as(Role.SENIOR_STEWARD), rules.with_reason(note)
    request = desk.ask("release.except", questions.may_except, visitor, senior, request_id).request
    with desk.act("release.except", request, senior, reason="waive", note=said) as act:
        desk.requests.add_waiver(request.id, desk.step(Act.WAIVE, senior, act.receipt, request, said))
    return admit(desk, request.id)


def admit(desk: Desk, request_id: str) -> ReleaseRequest:
    """The house lifts a block that two senior stewards have excepted."""
    now = desk.situation(request_id)
    standing = rules.standing_waivers(now.request, now.waivers, now.insiders)
    if now.request.status is not Status.BLOCKED or not rules.block_lifted(standing):
        return now.request
    return move(desk, "release.except", Act.ADMIT, now.request, HOUSE, reason="admit")


# --- senior stewards: hold, refuse, recall


def suspend(desk: Desk, visitor: Visitor, request_id: str, note: str) -> ReleaseRequest:
    """A senior steward holds an approved request back; to let it go after all, it is packaged."""
    return _as_senior(desk, visitor, request_id, note, Act.SUSPEND, "release.except", questions.may_suspend)


def refuse_suspended(desk: Desk, visitor: Visitor, request_id: str, note: str) -> ReleaseRequest:
    """A senior steward rejects what was held back."""
    return _as_senior(desk, visitor, request_id, note, Act.REJECT, "release.reject", questions.may_refuse)


def revoke(desk: Desk, visitor: Visitor, request_id: str, note: str) -> ReleaseRequest:
    """A senior steward recalls a release: the house gives it out no more. Bytes already gone stay gone."""
    return _as_senior(desk, visitor, request_id, note, Act.REVOKE, "release.revoke", questions.may_revoke)


def _as_senior(
    desk: Desk,
    visitor: Visitor,
    request_id: str,
    note: str,
    act: Act,
    event: str,
    question: Callable[[Person, Situation], None],
) -> ReleaseRequest:
    senior, said = visitor.acting_as(Role.SENIOR_STEWARD), rules.with_reason(note)
    request = desk.ask(event, question, visitor, senior, request_id).request
    return move(desk, event, act, request, senior, note=said, reason=act.value)


# --- after a failure


def retry(desk: Desk, visitor: Visitor, request_id: str) -> ReleaseRequest:
    """An operator has what failed done again, on the same bytes."""
    operator = visitor.acting_as(Role.OPERATOR)
    checking = desk.requests.request(request_id).left is Status.CHECKING
    event = "release.check" if checking else "release.package"
    request = desk.ask(event, questions.may_retry, visitor, operator, request_id).request
    files = request.hashes if checking else request.leaving
    with desk.act(event, request, operator, files=files, reason="retry") as act:
        step = desk.step(Act.RETRY, operator, act.receipt, request)
        at_work = desk.requests.move(request.id, step)
        return run_checks(desk, at_work, act) if checking else let_out(desk, at_work, operator, act)


# --- the house, by itself


def catch_up(desk: Desk) -> None:
    """Finish at start what a crash left half done.

    Work fails as interrupted, what was submitted is checked, conclusions are drawn anew.
    """
    for request in desk.requests.requests():
        if request.status in AT_WORK:
            fail(desk, request, INTERRUPTED)
        if request.status is Status.SUBMITTED:
            _check_late(desk, request)
        for draw in (admit, decide, conclude):
            draw(desk, request.id)


def _check_late(desk: Desk, request: ReleaseRequest) -> None:
    """Check what waits; one request that cannot be checked has FAILED by then, and keeps no other waiting."""
    with suppress(Exception):
        check(desk, request.id)


def hear_silences(desk: Desk) -> None:
    """Take the silence of partners whose time is over for the answer they have signed up to."""
    for request in desk.requests.requests(statuses=frozenset({Status.AWAITING_PARTNER})):
        for partner in desk.situation(request.id).awaited:
            _hear_silence(desk, request.id, partner)


def _hear_silence(desk: Desk, request_id: str, partner: Partner) -> None:
    request = desk.requests.request(request_id)
    says = rules.silence_says(partner, _asked(desk, request), desk.now())
    # An earlier partner's silence may have ended the waiting.
    if says is not None and request.status is Status.AWAITING_PARTNER:
        word = PartnerWord(partner.id, request.round, says == "approve", None, "", desk.now())
        hear(desk, request, word, HOUSE)


def _asked(desk: Desk, request: ReleaseRequest) -> datetime:
    """Give the moment the partners were asked: one partner's yes gives the others no more time."""
    return max(step.at for step in desk.requests.moves(request.id) if step.act is Act.ASK_PARTNER)


def expire_ended(desk: Desk) -> None:
    """Let what was not released expire with its project."""
    for request in desk.requests.requests():
        if find(request.status, Act.EXPIRE) is not None and _ended(desk, request):
            move(desk, "release.expire", Act.EXPIRE, request, HOUSE, reason="project_ended")


def _ended(desk: Desk, request: ReleaseRequest) -> bool:
    try:
        project_open(desk.agreements.project(request.project), desk.today())
    except Refused:
        return True
    return False
