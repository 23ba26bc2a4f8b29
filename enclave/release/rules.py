"""Who may do what with a request, and what the words of reviewers and partners come to. Pure; refuses with a reason.

The house asks the person question here and the object question in `states`; neither asks the other's.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from enclave.agreements.rules import has_role, is_active
from enclave.agreements.words import OnSilence, Partner
from enclave.errors import BadInput, NotFound, Refused
from enclave.people import Person, Role
from enclave.release.states import Status
from enclave.release.words import (
    Choice,
    Decision,
    FileVote,
    OutputFile,
    PartnerWord,
    ReleaseRequest,
    Review,
    Verdict,
    Waiver,
)
from vault.file_names import check_file_names

# Two checkers who do not see each other's word: "four eyes" of the Handbook on Statistical Disclosure
# Control for Outputs (SDAP, 2019) and of OpenSAFELY's release process.
REVIEWERS_NEEDED = 2
SENIORS_NEEDED = 2

# The checks of `anonymisation.disclosure` whose failure no exception lifts.
DIRECT_IDENTIFIER_CHECKS = frozenset({"identifiers"})

# One event of the trail names every file of a request by its hash, and has a size of its own.
MOST_FILES = 64
LARGEST_FILE = 32 * 1024 * 1024
LARGEST_REQUEST = 128 * 1024 * 1024

STEWARDS = frozenset({Role.STEWARD, Role.SENIOR_STEWARD})
SENIORS = frozenset({Role.SENIOR_STEWARD})
PACKAGERS = frozenset({Role.PUBLISHER, Role.STEWARD, Role.SENIOR_STEWARD})
DELEGATES = frozenset({Role.PARTNER_DELEGATE})


# --- the author


def is_author(person: Person, request: ReleaseRequest) -> None:
    """Refuse everybody but the author: to others of the project the request is not there."""
    is_active(person)
    if person.id != request.author:
        raise NotFound("no_such_request", "There is no such request.", "Check its id.")


def fit_to_ask(files: Sequence[OutputFile]) -> None:
    """Refuse a set of files that is empty, too large, or not named and distinguished as a package needs.

    Raises `BadInput`, and the vault's own error for a name no package takes.
    """
    if not any(not file.supporting for file in files):
        raise BadInput("no_files", "A request names at least one file to let out.", "Add a file.")
    if len(files) > MOST_FILES:
        raise BadInput(
            "too_many_files", f"A request has at most {MOST_FILES} files.", "Split it.", most=MOST_FILES
        )
    check_file_names(file.name for file in files)
    _all_small_enough(files)
    # A vote is for bytes: the same bytes twice would be one vote for two files.
    if len({file.sha256 for file in files}) < len(files):
        raise BadInput("file_twice", "Two files of the request hold the same bytes.", "Keep one of them.")


def _all_small_enough(files: Sequence[OutputFile]) -> None:
    if max(file.bytes for file in files) > LARGEST_FILE:
        raise BadInput(
            "file_too_large", f"A file has at most {LARGEST_FILE} bytes.", "Reduce it.", most=LARGEST_FILE
        )
    if sum(file.bytes for file in files) > LARGEST_REQUEST:
        raise BadInput(
            "request_too_large",
            f"A request has at most {LARGEST_REQUEST} bytes.",
            "Split it.",
            most=LARGEST_REQUEST,
        )


# --- reviewers


def stands_apart(person: Person, request: ReleaseRequest, insiders: Collection[str]) -> None:
    """Refuse the author, and whoever is or was a member of the project."""
    if person.id == request.author:
        raise Refused(
            "own_request", "Nobody decides on a request of their own.", "Leave it to another steward."
        )
    if person.id in insiders:
        raise Refused(
            "member_of_project",
            f"{person.id} is or was a member of {request.project}, and does not decide on what leaves it.",
            "Leave it to another steward.",
            person=person.id,
            project=request.project,
        )


def may_review(person: Person, request: ReleaseRequest, insiders: Collection[str]) -> None:
    """A steward who stands apart from the project: may open the files, vote and return."""
    has_role(person, STEWARDS)
    stands_apart(person, request, insiders)


def may_vote(
    person: Person, request: ReleaseRequest, reviews: Sequence[Review], insiders: Collection[str]
) -> None:
    """Refuse a second review by the same person, and a third one unless a senior steward settles a conflict."""
    may_review(person, request, insiders)
    if person.id in {review.reviewer for review in of_round(reviews, request.round)}:
        raise Refused(
            "already_reviewed",
            "Your review of this version is given, and cannot be changed.",
            "Return the request if something is wrong with it.",
        )
    found = verdict(request, reviews, insiders)
    if found is not None:
        _settles(person, found)


def _settles(person: Person, found: Verdict) -> None:
    if found.decision is not Decision.THIRD:
        raise Refused("reviews_complete", "This version has its reviews.", "Nothing is left to vote on.")
    has_role(person, SENIORS)


def on_these_bytes(request: ReleaseRequest, sha256: str) -> OutputFile:
    """Give the file a vote or a view is about.

    Raises `Refused("not_these_bytes")` when the request does not hold them (any more): a vote never carries
    over to other bytes.
    """
    for file in request.files:
        if file.sha256 == sha256:
            return file
    raise Refused(
        "not_these_bytes",
        "The request does not hold these bytes; they may have been replaced.",
        "Open the request again.",
        sha256=sha256,
    )


def with_reason(note: str) -> str:
    """Give the note trimmed; refuse an empty one where a decision needs its reason."""
    if not note.strip():
        raise BadInput("reason_missing", "This decision needs its reason in words.", "Say why.")
    return note.strip()


def review_of(request: ReleaseRequest, votes: Iterable[FileVote], reviewer: str) -> Choice | None:
    """Give what a reviewer's file votes come to once every file of this round has one: the strictest."""
    latest = {
        vote.sha256: vote.choice
        for vote in votes
        if vote.reviewer == reviewer and vote.round == request.round
    }
    if not request.hashes <= latest.keys():
        return None
    given = {latest[sha256] for sha256 in request.hashes}
    return next(choice for choice in (Choice.REJECT, Choice.RETURN, Choice.APPROVE) if choice in given)


def of_round(reviews: Iterable[Review], number: int) -> list[Review]:
    """Give the reviews of one round."""
    return [review for review in reviews if review.round == number]


def counted(request: ReleaseRequest, reviews: Iterable[Review], insiders: Collection[str]) -> list[Review]:
    """Give the reviews that count now.

    Of this round, on exactly these bytes, one a person, by people who stand apart at this moment.
    """
    kept: dict[str, Review] = {}
    for review in of_round(reviews, request.round):
        apart = review.reviewer != request.author and review.reviewer not in insiders
        if apart and review.files == request.hashes:
            kept.setdefault(review.reviewer, review)
    return list(kept.values())


# What two reviewers say -> what it comes to. A return is the softer no: the author may still repair.
PAIRS: dict[frozenset[Choice], Decision] = {
    frozenset({Choice.APPROVE}): Decision.APPROVE,
    frozenset({Choice.RETURN}): Decision.RETURN,
    frozenset({Choice.REJECT}): Decision.REJECT,
    frozenset({Choice.APPROVE, Choice.RETURN}): Decision.RETURN,
    frozenset({Choice.RETURN, Choice.REJECT}): Decision.RETURN,
    frozenset({Choice.APPROVE, Choice.REJECT}): Decision.THIRD,
}


def verdict(request: ReleaseRequest, reviews: Iterable[Review], insiders: Collection[str]) -> Verdict | None:
    """Give what the reviews of this round come to; None while they are fewer than two.

    Where one approves and one rejects, a senior steward who has not voted settles it: with an approval there
    are two again.
    """
    given = counted(request, reviews, insiders)
    if len(given) < REVIEWERS_NEEDED:
        return None
    decision = PAIRS[frozenset(review.choice for review in given[:REVIEWERS_NEEDED])]
    if decision is Decision.THIRD and len(given) > REVIEWERS_NEEDED:
        decision = Decision(given[REVIEWERS_NEEDED].choice)
    return Verdict(decision, tuple(review.reviewer for review in given), request.hashes)


def fit_to_leave(
    request: ReleaseRequest, reviews: Sequence[Review], insiders: Collection[str]
) -> tuple[Review, ...]:
    """Give the reviews of those who approved exactly these bytes. Raises `Refused("not_approved_by_two")`.

    Asked again at the moment of packaging: who has joined the project since does not count any more.
    """
    found = verdict(request, reviews, insiders)
    approved = [one for one in counted(request, reviews, insiders) if one.choice is Choice.APPROVE]
    if found is None or found.decision is not Decision.APPROVE or len(approved) < REVIEWERS_NEEDED:
        raise Refused(
            "not_approved_by_two",
            "These bytes are not approved by two people who stand apart from the project.",
            "Suspend it, or let its author withdraw it and ask anew.",
        )
    return tuple(approved)


def both_have_spoken(reviews: Sequence[Review]) -> bool:
    """Tell whether the blind part of a round is over."""
    return len({review.reviewer for review in reviews}) >= REVIEWERS_NEEDED


def visible_votes(reviews: Sequence[Review], viewer: str) -> tuple[Review, ...]:
    """Give the reviews of one round a reviewer may see: their own, and the others once two have spoken."""
    if both_have_spoken(reviews):
        return tuple(reviews)
    return tuple(review for review in reviews if review.reviewer == viewer)


def visible_file_votes(
    votes: Iterable[FileVote], reviews: Sequence[Review], viewer: str
) -> tuple[FileVote, ...]:
    """The same for votes on files: somebody else's are seen once both reviews are complete."""
    spoken = {review.reviewer for review in reviews} if both_have_spoken(reviews) else frozenset()
    return tuple(vote for vote in votes if vote.reviewer == viewer or vote.reviewer in spoken)


# --- exceptions to a block


def may_waive(
    person: Person, request: ReleaseRequest, waivers: Iterable[Waiver], insiders: Collection[str]
) -> None:
    """A senior steward who stands apart, once a round."""
    has_role(person, SENIORS)
    stands_apart(person, request, insiders)
    if person.id in standing_waivers(request, waivers, insiders):
        raise Refused(
            "already_waived",
            "You have already asked for this exception.",
            "Another senior steward must agree to it.",
        )


def no_direct_identifier(*, found: bool) -> None:
    """Refuse any exception where a direct identifier was found."""
    if found:
        raise Refused(
            "direct_identifier",
            "A direct identifier was found; no exception is possible.",
            "Return the request so that it is taken out.",
        )


def holds_direct_identifier(report: Mapping[str, Any]) -> bool:
    """Tell whether a report of the checks found a direct identifier for certain."""
    return any(
        finding["check"] in DIRECT_IDENTIFIER_CHECKS and finding["verdict"] == "fail"
        for file in report["files"]
        for finding in file["findings"]
    )


def standing_waivers(
    request: ReleaseRequest, waivers: Iterable[Waiver], insiders: Collection[str]
) -> frozenset[str]:
    """Give the senior stewards whose exception holds for this round and who still stand apart."""
    return frozenset(
        waiver.steward
        for waiver in waivers
        if waiver.round == request.round
        and waiver.steward != request.author
        and waiver.steward not in insiders
    )


def block_lifted(standing: Collection[str]) -> bool:
    """Tell whether enough senior stewards stand behind an exception."""
    return len(standing) >= SENIORS_NEEDED


def may_open(
    person: Person, request: ReleaseRequest, insiders: Collection[str], partners: Iterable[Partner]
) -> None:
    """A reviewer who stands apart, or a delegate of a partner with a veto who does.

    Never the author: what a page shows has left the enclave.
    """
    if Role.PARTNER_DELEGATE in person.roles and not person.roles & STEWARDS:
        spoken_for(person, [partner for partner in partners if partner.veto])
        stands_apart(person, request, insiders)
    else:
        may_review(person, request, insiders)


# --- seniors, publishers, recipients


def may_hold(person: Person, request: ReleaseRequest, insiders: Collection[str]) -> None:
    """A senior steward who stands apart: may suspend, refuse what is suspended, and revoke."""
    has_role(person, SENIORS)
    stands_apart(person, request, insiders)


def is_suspended(request: ReleaseRequest) -> None:
    """Refuse to refuse what is not held back: reviewers and partners reject by their words."""
    if request.status is not Status.SUSPENDED:
        raise Refused(
            "not_suspended",
            "The request is not suspended.",
            "Suspend it first.",
            status=request.status.value,
        )


def may_package(person: Person, request: ReleaseRequest, insiders: Collection[str]) -> None:
    """A publisher or steward who stands apart; what is suspended, a senior steward only."""
    has_role(person, SENIORS if request.status is Status.SUSPENDED else PACKAGERS)
    stands_apart(person, request, insiders)


def may_download(person: Person, request: ReleaseRequest, members: Collection[str]) -> None:
    """A member of the project today, or a publisher; to others the request is not there."""
    is_active(person)
    if person.id not in members and Role.PUBLISHER not in person.roles:
        raise NotFound("no_such_request", "There is no such request.", "Check its id.", id=request.id)


# --- partners


def may_speak_for(person: Person, partner: Partner) -> None:
    """A delegate the partner has named."""
    has_role(person, DELEGATES)
    if person.id not in partner.delegates:
        raise Refused(
            "not_their_delegate",
            f"{person.id} does not speak for {partner.id}.",
            "Ask the partner to name you.",
            person=person.id,
            partner=partner.id,
        )


def may_agree_for(
    person: Person, partner: Partner, request: ReleaseRequest, insiders: Collection[str]
) -> None:
    """A delegate may always veto; agreeing needs standing apart too."""
    may_speak_for(person, partner)
    stands_apart(person, request, insiders)


def awaited(partners: Iterable[Partner], words: Iterable[PartnerWord], number: int) -> tuple[Partner, ...]:
    """Give the partners with a veto that have not spoken in this round."""
    spoken = {word.partner for word in words if word.round == number}
    return tuple(partner for partner in partners if partner.veto and partner.id not in spoken)


def spoken_for(person: Person, partners: Iterable[Partner]) -> Partner:
    """Give the first awaited partner this person speaks for; raises as `may_speak_for`, or `nobody_awaited`."""
    refusal = Refused("nobody_awaited", "No partner's word is awaited.", "Nothing is left to decide.")
    for partner in partners:
        try:
            may_speak_for(person, partner)
        except Refused as reason:
            refusal = reason
        else:
            return partner
    raise refusal


def deadline(partner: Partner, asked: datetime) -> datetime:
    """Give the moment a partner's silence becomes its answer."""
    return asked + timedelta(days=partner.answer_days)


def silence_says(partner: Partner, asked: datetime, now: datetime) -> OnSilence | None:
    """Give what a partner's silence means now, by the rule it has signed; None before the deadline."""
    return partner.on_silence if now >= deadline(partner, asked) else None
