"""What is asked before each act: may this person, then is this request ready. Pages offer what gets no refusal."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from enclave.agreements.rules import has_role, may_work, project_open
from enclave.agreements.words import Partner, Project
from enclave.errors import EnclaveError
from enclave.people import Person, Role
from enclave.release import rules
from enclave.release.states import IN_REVIEW_STATES, Act, Status, after, open_to_reviewers
from enclave.release.words import FileVote, PartnerWord, ReleaseRequest, Review, Waiver

OPERATORS = frozenset({Role.OPERATOR})
UNDECIDED = frozenset(IN_REVIEW_STATES)


@dataclass(frozen=True)
class Situation:
    """Everything a question about a request needs, read at one moment.

    `insiders` are too near to decide (the author, and whoever is or was a member); `partners` are those whose
    data the project may use; `direct_identifiers` tells that the checks found some, or did not speak.
    """

    request: ReleaseRequest
    project: Project
    today: date
    insiders: frozenset[str]
    reviews: Sequence[Review] = ()
    file_votes: Sequence[FileVote] = ()
    waivers: Sequence[Waiver] = ()
    partners: Sequence[Partner] = ()
    partner_words: Sequence[PartnerWord] = ()
    direct_identifiers: bool = True

    @property
    def awaited(self) -> tuple[Partner, ...]:
        """The partners with a veto that have not spoken on this round."""
        return rules.awaited(self.partners, self.partner_words, self.request.round)

    def ready_for(self, act: Act) -> None:
        """Refuse an act the request's state has no row for."""
        after(self.request.status, act, self.request.left)


def may_edit(person: Person, now: Situation) -> None:
    rules.is_author(person, now.request)
    now.ready_for(Act.EDIT)


def may_submit(person: Person, now: Situation) -> None:
    rules.is_author(person, now.request)
    may_work(person, now.project)
    project_open(now.project, now.today)
    now.ready_for(Act.SUBMIT)


def may_withdraw(person: Person, now: Situation) -> None:
    rules.is_author(person, now.request)
    now.ready_for(Act.WITHDRAW)


def may_view(person: Person, now: Situation) -> None:
    rules.may_open(person, now.request, now.insiders, now.partners)
    open_to_reviewers(now.request.status)


def may_vote(person: Person, now: Situation) -> None:
    rules.may_vote(person, now.request, now.reviews, now.insiders)
    now.ready_for(Act.REVIEW)


def may_return(person: Person, now: Situation) -> None:
    rules.may_review(person, now.request, now.insiders)
    now.ready_for(Act.RETURN)


def may_except(person: Person, now: Situation) -> None:
    rules.may_waive(person, now.request, now.waivers, now.insiders)
    now.ready_for(Act.WAIVE)
    rules.no_direct_identifier(found=now.direct_identifiers)


def may_agree(person: Person, now: Situation) -> None:
    partner = rules.spoken_for(person, now.awaited)
    rules.may_agree_for(person, partner, now.request, now.insiders)
    now.ready_for(Act.AGREE)


def may_veto(person: Person, now: Situation) -> None:
    rules.spoken_for(person, now.awaited)
    now.ready_for(Act.AGREE)


def may_suspend(person: Person, now: Situation) -> None:
    rules.may_hold(person, now.request, now.insiders)
    now.ready_for(Act.SUSPEND)


def may_refuse(person: Person, now: Situation) -> None:
    rules.may_hold(person, now.request, now.insiders)
    rules.is_suspended(now.request)


def may_revoke(person: Person, now: Situation) -> None:
    rules.may_hold(person, now.request, now.insiders)
    now.ready_for(Act.REVOKE)


def may_package(person: Person, now: Situation) -> None:
    rules.may_package(person, now.request, now.insiders)
    project_open(now.project, now.today)
    now.ready_for(Act.PACKAGE)
    rules.fit_to_leave(now.request, now.reviews, now.insiders)


def may_download(person: Person, now: Situation) -> None:
    rules.may_download(person, now.request, now.project.people)
    now.ready_for(Act.DOWNLOAD)


def may_retry(person: Person, now: Situation) -> None:
    has_role(person, OPERATORS)
    now.ready_for(Act.RETRY)
    if now.request.left is Status.RELEASING:
        project_open(now.project, now.today)
        rules.fit_to_leave(now.request, now.reviews, now.insiders)


def shown_votes(viewer: str, now: Situation) -> tuple[FileVote, ...]:
    """Give the votes of this round a person may see.

    A reviewer sees others' words once two have spoken; the author and the project see them once the house has
    drawn its conclusion.
    """
    if viewer in now.insiders and now.request.status in UNDECIDED:
        return ()
    votes = [vote for vote in now.file_votes if vote.round == now.request.round]
    reviews = rules.of_round(now.reviews, now.request.round)
    return rules.visible_file_votes(votes, reviews, viewer)


class Offer(StrEnum):
    """What a page may offer a person on a request."""

    EDIT = "edit"
    SUBMIT = "submit"
    WITHDRAW = "withdraw"
    VIEW = "view"
    VOTE = "vote"
    RETURN = "return"
    EXCEPT = "except"
    AGREE = "agree"
    VETO = "veto"
    SUSPEND = "suspend"
    REFUSE = "refuse"
    REVOKE = "revoke"
    PACKAGE = "package"
    DOWNLOAD = "download"
    RETRY = "retry"


QUESTIONS: dict[Offer, Callable[[Person, Situation], None]] = {
    Offer.EDIT: may_edit,
    Offer.SUBMIT: may_submit,
    Offer.WITHDRAW: may_withdraw,
    Offer.VIEW: may_view,
    Offer.VOTE: may_vote,
    Offer.RETURN: may_return,
    Offer.EXCEPT: may_except,
    Offer.AGREE: may_agree,
    Offer.VETO: may_veto,
    Offer.SUSPEND: may_suspend,
    Offer.REFUSE: may_refuse,
    Offer.REVOKE: may_revoke,
    Offer.PACKAGE: may_package,
    Offer.DOWNLOAD: may_download,
    Offer.RETRY: may_retry,
}


def offered(person: Person, now: Situation) -> frozenset[Offer]:
    """Give what the rules would let this person do now; the same questions are asked again at the act."""
    return frozenset(offer for offer, question in QUESTIONS.items() if _passes(question, person, now))


def _passes(question: Callable[[Person, Situation], None], person: Person, now: Situation) -> bool:
    try:
        question(person, now)
    except EnclaveError:
        return False
    return True
