"""Every life of a request, walked to its ends by the real rules and the real table.

The walk knows no rule of its own: a step is taken when the question lets it pass. Two submissions, two sets of
bytes, four people who might decide and two who must not, a partner with a veto, a steward who joins the project
on the way. What an earlier round left behind is kept as its approvals, the only thing that could wrongly count.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from enclave.errors import EnclaveError
from enclave.people import Person
from enclave.release import rules
from enclave.release.questions import Offer, Situation, offered
from enclave.release.states import AT_WORK, Act, Status, after, find, left_by
from enclave.release.words import Choice, Decision, PartnerWord, ReleaseRequest, Review, Waiver
from tests.unit.release import people as who

ROUNDS = 2
DECIDERS = (who.STEWARD, who.SENIOR, who.SENIOR_C)
INSIDE = (who.AUTHOR, who.MEMBER)
OTHERS = (who.PUBLISHER, who.DELEGATE, who.OPERATOR, who.STRANGER)
CAST = (*INSIDE, *DECIDERS, *OTHERS)
ENDS = frozenset({Status.REJECTED, Status.REVOKED, Status.WITHDRAWN, Status.EXPIRED})
Step = tuple[str, "Life"]


@dataclass(frozen=True)
class Life:
    status: Status = Status.DRAFT
    left: Status | None = None
    round: int = 0
    bytes: str = who.ONE
    before: frozenset[tuple[str, int, str]] = frozenset()
    reviews: tuple[tuple[str, Choice], ...] = ()
    blocked: str = ""
    waivers: frozenset[str] = frozenset()
    agreed: bool | None = None
    joined: bool = False

    @property
    def request(self) -> ReleaseRequest:
        return who.request(self.status, self.round, self.bytes, left=self.left)

    def to(self, act: Act, **changes: object) -> "Life":
        target = after(self.status, act, self.left)
        # Nothing follows an end, whatever came before it.
        return Life(target) if target in ENDS else self._with(target, act, changes)

    def _with(self, target: Status, act: Act, changes: dict[str, object]) -> "Life":
        return replace(self, status=target, left=left_by(self.status, act), **changes)


def situation(life: Life) -> Situation:
    old = [_review(name, number, Choice.APPROVE, held) for name, number, held in sorted(life.before)]
    now = [_review(name, life.round, choice, life.bytes) for name, choice in life.reviews]
    return Situation(
        request=life.request,
        project=who.PROJECT,
        today=who.TODAY,
        insiders=who.INSIDERS | ({who.STEWARD.id} if life.joined else set()),
        reviews=[*old, *now],
        waivers=[Waiver(name, life.round, "", who.NOW) for name in sorted(life.waivers)],
        partners=[who.PARTNER],
        partner_words=[]
        if life.agreed is None
        else [PartnerWord("hospital-a", life.round, life.agreed, "delegate-a", "", who.NOW)],
        direct_identifiers=life.blocked == "identifiers",
    )


def _review(name: str, number: int, choice: Choice, held: str) -> Review:
    return Review(name, "steward", number, choice, frozenset({held}), who.NOW, 0)


def by_people(life: Life) -> Iterator[tuple[Offer, Person, Life]]:
    now = situation(life)
    for person in CAST:
        for offer in offered(person, now):
            for then in _done(offer, person, life):
                yield offer, person, then


def _done(offer: Offer, person: Person, life: Life) -> Iterator[Life]:
    match offer:
        case Offer.EDIT:
            yield life.to(Act.EDIT, bytes=who.TWO if life.bytes == who.ONE else who.ONE)
        case Offer.SUBMIT:
            if life.round < ROUNDS:
                yield _submitted(life)
        case Offer.VOTE:
            # A return in the last round leads nowhere new.
            for choice in Choice if life.round < ROUNDS else (Choice.APPROVE, Choice.REJECT):
                yield life.to(Act.REVIEW, reviews=(*life.reviews, (person.id, choice)))
        case Offer.EXCEPT:
            yield life.to(Act.WAIVE, waivers=life.waivers | {person.id})
        case Offer.AGREE:
            yield life.to(Act.AGREE, agreed=True)
        case Offer.VETO:
            yield life.to(Act.REJECT, agreed=False)
        case Offer.VIEW:
            pass
        case _:
            yield life.to(ACTS[offer])


ACTS = {
    Offer.WITHDRAW: Act.WITHDRAW,
    Offer.RETURN: Act.RETURN,
    Offer.SUSPEND: Act.SUSPEND,
    Offer.REFUSE: Act.REJECT,
    Offer.REVOKE: Act.REVOKE,
    Offer.PACKAGE: Act.PACKAGE,
    Offer.DOWNLOAD: Act.DOWNLOAD,
    Offer.RETRY: Act.RETRY,
}


def _submitted(life: Life) -> Life:
    approvals = {(name, life.round, life.bytes) for name, choice in life.reviews if choice is Choice.APPROVE}
    return life.to(
        Act.SUBMIT,
        round=life.round + 1,
        before=life.before | approvals,
        reviews=(),
        blocked="",
        waivers=frozenset(),
        agreed=None,
    )


def by_house(life: Life) -> Iterator[Life]:
    now = situation(life)
    if life.status is Status.SUBMITTED:
        yield life.to(Act.CHECK)
    if life.status is Status.CHECKING:
        yield life.to(Act.PASS)
        yield life.to(Act.BLOCK, blocked="counts")
        yield life.to(Act.BLOCK, blocked="identifiers")
    if life.status in AT_WORK:
        yield life.to(Act.FAIL)
    standing = rules.standing_waivers(now.request, now.waivers, now.insiders)
    if life.status is Status.BLOCKED and rules.block_lifted(standing):
        yield life.to(Act.ADMIT)
    yield from _decided(life, now)
    if life.status is Status.AWAITING_PARTNER and not now.awaited:
        yield life.to(Act.APPROVE)
    if life.status is Status.RELEASING and _fit(now):
        yield life.to(Act.DELIVER)
    if find(life.status, Act.EXPIRE) is not None:
        yield life.to(Act.EXPIRE)
    if not life.joined and life.round == ROUNDS and life.status not in ENDS:
        yield replace(life, joined=True)


def _decided(life: Life, now: Situation) -> Iterator[Life]:
    found = rules.verdict(now.request, now.reviews, now.insiders)
    if life.status is not Status.REVIEWED or found is None or found.decision is Decision.THIRD:
        return
    act = Act(found.decision)
    yield life.to(Act.ASK_PARTNER if act is Act.APPROVE and now.awaited else act)


def _fit(now: Situation) -> bool:
    try:
        rules.fit_to_leave(now.request, now.reviews, now.insiders)
    except EnclaveError:
        return False
    return True


def check_person_step(offer: Offer, person: Person, life: Life) -> None:
    assert life.status not in ENDS, (offer, person.id, life)
    inside = person in INSIDE or (life.joined and person is who.STEWARD)
    if inside:
        assert offer in {
            Offer.EDIT,
            Offer.SUBMIT,
            Offer.WITHDRAW,
            Offer.DOWNLOAD,
            Offer.RETRY,
            Offer.VETO,
        }, (offer, person.id, life)
    if offer is Offer.DOWNLOAD:
        assert life.status is Status.RELEASED
    if offer is Offer.VOTE:
        assert person.id not in dict(life.reviews)
    if offer is Offer.EXCEPT:
        assert life.blocked == "counts"


def check_house_step(life: Life, then: Life) -> None:
    assert life.status not in ENDS, (life, then)
    if then.status is Status.RELEASED and life.status is Status.RELEASING:
        check_release(life)


def check_release(life: Life) -> None:
    """What must be true of a release, said without the rules."""
    approved = {name for name, choice in life.reviews if choice is Choice.APPROVE}
    outside = approved - {"author", "member"} - ({"steward-a"} if life.joined else set())
    assert len(outside) >= 2, life
    assert life.agreed is True, life
    assert life.blocked != "identifiers", life
    assert life.blocked == "" or len(life.waivers) >= 2, life


def walk() -> set[Life]:
    seen, ahead = {Life()}, [Life()]
    while ahead:
        life = ahead.pop()
        for then in _checked_steps(life):
            if then not in seen:
                seen.add(then)
                ahead.append(then)
    return seen


def _checked_steps(life: Life) -> Iterator[Life]:
    for offer, person, then in by_people(life):
        check_person_step(offer, person, life)
        yield then
    for then in by_house(life):
        check_house_step(life, then)
        yield then


def test_no_life_lets_anything_out_that_two_outsiders_did_not_approve():
    lives = walk()
    assert {life.status for life in lives} == set(Status)
    assert any(life.status is Status.RELEASED and life.round == ROUNDS for life in lives)
    assert any(life.status is Status.RELEASED and life.waivers for life in lives)
    assert any(life.status is Status.RELEASED and len(life.reviews) > 2 for life in lives)
