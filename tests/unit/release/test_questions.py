"""What a page offers is what the act would not refuse."""

from datetime import date

import pytest

from enclave.release.questions import Offer, Situation, offered
from enclave.release.states import Status
from enclave.release.words import Choice, Review
from tests.unit.release import people as who
from tests.unit.release.people import request

O, S = Offer, Status


def now(status: Status, left: Status | None = None, today: date = who.TODAY, approved: int = 2) -> Situation:
    about = request(status, left=left)
    reviews = [
        Review(name, "steward", 1, Choice.APPROVE, about.hashes, who.NOW, 1) for name in ("x", "y")[:approved]
    ]
    return Situation(
        about,
        who.PROJECT,
        today,
        who.INSIDERS,
        reviews,
        partners=[who.PARTNER],
        direct_identifiers=False,
    )


@pytest.mark.parametrize(
    ("someone", "situation", "offers"),
    [
        (who.AUTHOR, now(S.DRAFT), {O.EDIT, O.SUBMIT, O.WITHDRAW}),
        (who.AUTHOR, now(S.DRAFT, today=date(2028, 1, 1)), {O.EDIT, O.WITHDRAW}),
        (who.AUTHOR, now(S.RETURNED), {O.EDIT, O.SUBMIT, O.WITHDRAW}),
        (who.AUTHOR, now(S.IN_REVIEW), {O.WITHDRAW}),
        (who.AUTHOR, now(S.RELEASING), set()),
        (who.AUTHOR, now(S.RELEASED), {O.DOWNLOAD}),
        (who.AUTHOR, now(S.REVOKED), set()),
        (who.MEMBER, now(S.DRAFT), set()),
        (who.STRANGER, now(S.RELEASED), set()),
        (who.STEWARD, now(S.DRAFT), set()),
        (who.STEWARD, now(S.IN_REVIEW, approved=0), {O.VIEW, O.VOTE, O.RETURN}),
        (who.STEWARD, now(S.REVIEWED), {O.VIEW, O.RETURN}),
        (who.STEWARD, now(S.BLOCKED, approved=0), {O.VIEW, O.RETURN}),
        (who.SENIOR, now(S.BLOCKED, approved=0), {O.VIEW, O.RETURN, O.EXCEPT}),
        (who.STEWARD, now(S.APPROVED), {O.VIEW, O.PACKAGE}),
        (who.SENIOR, now(S.APPROVED), {O.VIEW, O.PACKAGE, O.SUSPEND}),
        (who.SENIOR, now(S.APPROVED, approved=1), {O.VIEW, O.SUSPEND}),
        (who.SENIOR, now(S.APPROVED, today=date(2028, 1, 1)), {O.VIEW, O.SUSPEND}),
        (who.SENIOR, now(S.SUSPENDED), {O.VIEW, O.PACKAGE, O.REFUSE}),
        (who.STEWARD, now(S.SUSPENDED), {O.VIEW}),
        (who.SENIOR, now(S.RELEASED), {O.VIEW, O.REVOKE}),
        (who.PUBLISHER, now(S.APPROVED), {O.PACKAGE}),
        (who.PUBLISHER, now(S.RELEASED), {O.DOWNLOAD}),
        (who.DELEGATE, now(S.AWAITING_PARTNER), {O.VIEW, O.AGREE, O.VETO}),
        (who.DELEGATE, now(S.REVIEWED), {O.VIEW}),
        (who.OPERATOR, now(S.FAILED, left=S.CHECKING), {O.RETRY}),
        (who.OPERATOR, now(S.FAILED, left=S.RELEASING), {O.RETRY}),
        (who.OPERATOR, now(S.FAILED, left=S.RELEASING, approved=1), set()),
        (who.OPERATOR, now(S.APPROVED), set()),
        (who.AUDITOR, now(S.APPROVED), set()),
    ],
    ids=lambda one: getattr(one, "id", None) or (one.request.status if isinstance(one, Situation) else None),
)
def test_offers(someone, situation, offers):
    assert offered(someone, situation) == offers
