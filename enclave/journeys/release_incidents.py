"""What may happen to a request on its way: exceptions, holds, recalls, failures, silence, the end of a project."""

import json
from datetime import datetime

from enclave.agreements.rules import has_role, project_open
from enclave.agreements.words import Partner
from enclave.errors import Refused
from enclave.journeys import release
from enclave.journeys.release import approved_by_two, awaited, let_out, move, or_failed, run_checks
from enclave.people import Role
from enclave.recording import Visitor
from enclave.release import rules
from enclave.release.desk import HOUSE, Desk
from enclave.release.states import AT_WORK, Act, Status, after, find
from enclave.release.words import PartnerWord, ReleaseRequest

OPERATORS = frozenset({Role.OPERATOR})
INTERRUPTED = "interrupted"


# --- exceptions to a block


def waive(desk: Desk, visitor: Visitor, request_id: str, note: str) -> ReleaseRequest:
    """A senior steward excepts a blocked request, with a reason; when two have, it goes to review."""
    request = desk.requests.request(request_id)
    senior = visitor.acting_as(Role.SENIOR_STEWARD)
    said = rules.with_reason(note)
    with desk.question("release.except", senior, request.project, request.id):
        rules.may_waive(
            visitor.person,
            request,
            desk.requests.waivers(request.id),
            desk.insiders(request),
            direct_identifiers=_direct_identifiers(desk, request),
        )
        after(request.status, Act.WAIVE)
    with desk.act("release.except", request, senior, reason="waive") as act:
        step = desk.step(Act.WAIVE, senior, act.receipt, note=said, request=request)
        desk.requests.add_waiver(request.id, step)
    return admit(desk, request.id)


def admit(desk: Desk, request_id: str) -> ReleaseRequest:
    """The house lifts a block that two senior stewards stand against."""
    request = desk.requests.request(request_id)
    waivers = desk.requests.waivers(request.id)
    standing = rules.standing_waivers(request, waivers, desk.insiders(request))
    if request.status is not Status.BLOCKED or not rules.block_lifted(standing):
        return request
    return move(desk, "release.except", Act.ADMIT, request, HOUSE, reason="admit")


def _direct_identifiers(desk: Desk, request: ReleaseRequest) -> bool:
    """Tell whether the checks found one; without a report, take it that they would have."""
    found = desk.requests.check(request.id, request.round)
    return found is None or rules.holds_direct_identifier(json.loads(found.report))


# --- senior stewards: hold, refuse, recall


def suspend(desk: Desk, visitor: Visitor, request_id: str, note: str) -> ReleaseRequest:
    """A senior steward holds an approved request back."""
    return _as_senior(desk, visitor, request_id, Act.SUSPEND, "release.except", note)


def refuse_suspended(desk: Desk, visitor: Visitor, request_id: str, note: str) -> ReleaseRequest:
    """A senior steward rejects what was held back; to let it go after all, it is packaged."""
    return _as_senior(desk, visitor, request_id, Act.REJECT, "release.reject", note)


def revoke(desk: Desk, visitor: Visitor, request_id: str, note: str) -> ReleaseRequest:
    """A senior steward recalls a release: the house gives it out no more. Bytes already gone stay gone."""
    return _as_senior(desk, visitor, request_id, Act.REVOKE, "release.revoke", note)


def _as_senior(
    desk: Desk, visitor: Visitor, request_id: str, act: Act, event: str, note: str
) -> ReleaseRequest:
    request = desk.requests.request(request_id)
    senior = visitor.acting_as(Role.SENIOR_STEWARD)
    said = rules.with_reason(note)
    with desk.question(event, senior, request.project, request.id):
        rules.may_suspend(visitor.person, request, desk.insiders(request))
        after(request.status, act)
    return move(desk, event, act, request, senior, note=said, reason=act.value)


# --- after a failure


def retry(desk: Desk, visitor: Visitor, request_id: str) -> ReleaseRequest:
    """An operator has what failed done again, on the same bytes."""
    request = desk.requests.request(request_id)
    operator = visitor.acting_as(Role.OPERATOR)
    event = "release.check" if request.left is Status.CHECKING else "release.package"
    with desk.question(event, operator, request.project, request.id):
        has_role(visitor.person, OPERATORS)
        after(request.status, Act.RETRY, request.left)
        approved_by = () if request.left is Status.CHECKING else approved_by_two(desk, request)
    with desk.act(event, request, operator, reason="retry") as act:
        desk.requests.move(request.id, desk.step(Act.RETRY, operator, act.receipt, request=request))
        with or_failed(desk, request):
            if request.left is Status.CHECKING:
                return run_checks(desk, request, act)
            return let_out(desk, request, approved_by, operator, act)


# --- the house, by itself


def catch_up(desk: Desk) -> None:
    """Finish at start what a crash left half done: work fails as interrupted, conclusions are drawn anew."""
    for request in desk.requests.requests():
        if request.status in AT_WORK:
            release.fail(desk, request, INTERRUPTED)
        else:
            admit(desk, request.id)
            release.decide(desk, request.id)
            release.conclude(desk, request.id)


def hear_silences(desk: Desk) -> None:
    """Take the silence of partners whose time is over for the answer they have signed up to."""
    waiting = desk.requests.requests(statuses=frozenset({Status.AWAITING_PARTNER}))
    for request in waiting:
        for partner in awaited(desk, request):
            if desk.requests.request(request.id).status is Status.AWAITING_PARTNER:
                _hear_silence(desk, request, partner)


def _asked(desk: Desk, request: ReleaseRequest) -> datetime:
    """Give the moment the partners were asked: a partner's yes must not give another one more time."""
    return max(move.at for move in desk.requests.moves(request.id) if move.act is Act.ASK_PARTNER)


def _hear_silence(desk: Desk, request: ReleaseRequest, partner: Partner) -> None:
    says = rules.silence_says(partner, _asked(desk, request), desk.now())
    if says is not None:
        word = PartnerWord(partner.id, request.round, says == "approve", None, "", desk.now())
        release.hear(desk, request, word, HOUSE)


def expire_ended(desk: Desk) -> None:
    """Let what was not released expire with its project."""
    for request in desk.requests.requests():
        if find(request.status, Act.EXPIRE) is not None and _ended(desk, request):
            move(desk, "release.expire", Act.EXPIRE, request, HOUSE, reason="project_ended")


def _ended(desk: Desk, request: ReleaseRequest) -> bool:
    try:
        project_open(desk.project(request), desk.today())
    except Refused:
        return True
    return False
