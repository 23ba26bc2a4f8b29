"""What a page offers is what the act would not refuse."""

from dataclasses import replace
from datetime import date

import pytest

from enclave.people import Person
from enclave.release.questions import Offer, Situation, offered, shown_votes
from enclave.release.states import Status
from enclave.release.words import Choice, FileVote, Review
from tests.unit.release import people as who
from tests.unit.release.people import request

May, S = Offer, Status


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
        (who.AUTHOR, now(S.DRAFT), {May.EDIT, May.SUBMIT, May.WITHDRAW}),
        (who.AUTHOR, now(S.DRAFT, today=date(2028, 1, 1)), {May.EDIT, May.WITHDRAW}),
        (who.AUTHOR, now(S.RETURNED), {May.EDIT, May.SUBMIT, May.WITHDRAW}),
        (who.AUTHOR, now(S.IN_REVIEW), {May.WITHDRAW}),
        (who.AUTHOR, now(S.RELEASING), set()),
        (who.AUTHOR, now(S.RELEASED), {May.DOWNLOAD}),
        (who.AUTHOR, now(S.REVOKED), set()),
        (who.MEMBER, now(S.DRAFT), set()),
        (who.STRANGER, now(S.RELEASED), set()),
        (who.STEWARD, now(S.DRAFT), set()),
        (who.STEWARD, now(S.IN_REVIEW, approved=0), {May.VIEW, May.VOTE, May.RETURN}),
        (who.STEWARD, now(S.REVIEWED), {May.VIEW, May.RETURN}),
        (who.STEWARD, now(S.BLOCKED, approved=0), {May.VIEW, May.RETURN}),
        (who.SENIOR, now(S.BLOCKED, approved=0), {May.VIEW, May.RETURN, May.EXCEPT}),
        (who.STEWARD, now(S.APPROVED), {May.VIEW, May.PACKAGE}),
        (who.SENIOR, now(S.APPROVED), {May.VIEW, May.PACKAGE, May.SUSPEND}),
        (who.SENIOR, now(S.APPROVED, approved=1), {May.VIEW, May.SUSPEND}),
        (who.SENIOR, now(S.APPROVED, today=date(2028, 1, 1)), {May.VIEW, May.SUSPEND}),
        (who.SENIOR, now(S.SUSPENDED), {May.VIEW, May.PACKAGE, May.REFUSE}),
        (who.STEWARD, now(S.SUSPENDED), {May.VIEW}),
        (who.SENIOR, now(S.RELEASED), {May.VIEW, May.REVOKE}),
        (who.PUBLISHER, now(S.APPROVED), {May.PACKAGE}),
        (who.PUBLISHER, now(S.RELEASED), {May.DOWNLOAD}),
        (who.DELEGATE, now(S.AWAITING_PARTNER), {May.VIEW, May.AGREE, May.VETO}),
        (who.DELEGATE, now(S.REVIEWED), {May.VIEW}),
        (who.OPERATOR, now(S.FAILED, left=S.CHECKING), {May.RETRY}),
        (who.OPERATOR, now(S.FAILED, left=S.RELEASING), {May.RETRY}),
        (who.OPERATOR, now(S.FAILED, left=S.RELEASING, approved=1), set()),
        (who.OPERATOR, now(S.APPROVED), set()),
        (who.AUDITOR, now(S.APPROVED), set()),
    ],
    ids=lambda one: getattr(one, "id", None) or (one.request.status if isinstance(one, Situation) else None),
)
def test_offers(someone: Person, situation: Situation, offers: set[Offer]):
    assert offered(someone, situation) == offers


@pytest.mark.parametrize(
    ("viewer", "status", "reviews", "seen"),
    [
        ("x", S.IN_REVIEW, 0, {"x"}),
        ("x", S.PARTIALLY_REVIEWED, 1, {"x"}),
        ("y", S.PARTIALLY_REVIEWED, 1, {"y"}),
        ("z", S.PARTIALLY_REVIEWED, 1, set()),
        ("z", S.REVIEWED, 2, {"x", "y"}),
        ("author", S.REVIEWED, 2, set()),
        ("member", S.REVIEWED, 2, set()),
        ("author", S.RETURNED, 2, {"x", "y"}),
        ("author", S.RETURNED, 1, set()),
        ("author", S.APPROVED, 2, {"x", "y"}),
    ],
)
def test_whose_votes_a_person_sees(viewer: str, status: Status, reviews: int, seen: set[str]):
    situation = now(status, approved=reviews)
    votes = [
        FileVote(name, number, who.ONE, Choice.APPROVE, "", who.NOW)
        for name in ("x", "y")
        for number in (0, 1)
    ]
    shown = shown_votes(viewer, replace(situation, file_votes=votes))
    assert {one.reviewer for one in shown} == seen
    assert {one.round for one in shown} <= {1}
