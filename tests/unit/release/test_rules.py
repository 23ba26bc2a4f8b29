"""The release rules as truth tables."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from enclave.agreements.words import OnSilence, Partner
from enclave.errors import BadInput, EnclaveError, NotFound, Refused
from enclave.people import Person, Role
from enclave.release import rules
from enclave.release.states import Status
from enclave.release.words import Choice, Decision, FileVote, OutputFile, PartnerWord, Review, Waiver
from tests.unit.release import people as who
from tests.unit.release.people import ONE, TWO, person, request
from vault.errors import VaultError

A, R, N = Choice.APPROVE, Choice.RETURN, Choice.REJECT


def code_of(question: Callable[..., object], *args: object, **kwargs: object) -> str:
    """Give the code a rule refuses with, or an empty text where it does not."""
    try:
        question(*args, **kwargs)
    except EnclaveError as refusal:
        return refusal.code
    return ""


def review(reviewer: str, choice: Choice = A, number: int = 1, files: tuple[str, ...] = (ONE,)) -> Review:
    return Review(reviewer, "steward", number, choice, frozenset(files), who.NOW, 7)


def reviews(*choices: Choice) -> list[Review]:
    return [review(name, choice) for name, choice in zip("abcd", choices, strict=False)]


# --- people


@pytest.mark.parametrize(
    ("someone", "review_code", "hold_code", "package_code"),
    [
        (who.STEWARD, "", "role_missing", ""),
        (who.SENIOR, "", "", ""),
        (who.PUBLISHER, "role_missing", "role_missing", ""),
        (who.AUTHOR, "own_request", "own_request", "own_request"),
        (who.MEMBER, "member_of_project", "member_of_project", "member_of_project"),
        (who.STRANGER, "role_missing", "role_missing", "role_missing"),
        (who.AUDITOR, "role_missing", "role_missing", "role_missing"),
        (who.OPERATOR, "role_missing", "role_missing", "role_missing"),
        (who.DELEGATE, "role_missing", "role_missing", "role_missing"),
        (
            person("steward-z", Role.SENIOR_STEWARD, active=False),
            "person_inactive",
            "person_inactive",
            "person_inactive",
        ),
    ],
    ids=lambda one: getattr(one, "id", one or "may"),
)
def test_who_reviews_holds_and_packages(someone: Person, review_code: str, hold_code: str, package_code: str):
    assert code_of(rules.may_review, someone, request(), who.INSIDERS) == review_code
    assert code_of(rules.may_hold, someone, request(), who.INSIDERS) == hold_code
    assert code_of(rules.may_package, someone, request(), who.INSIDERS) == package_code


def test_what_is_suspended_is_let_go_by_a_senior_steward_only():
    held = request(Status.SUSPENDED)
    assert code_of(rules.may_package, who.SENIOR, held, who.INSIDERS) == ""
    assert code_of(rules.may_package, who.STEWARD, held, who.INSIDERS) == "role_missing"
    assert code_of(rules.may_package, who.PUBLISHER, held, who.INSIDERS) == "role_missing"


@pytest.mark.parametrize(
    ("someone", "code"),
    [(who.AUTHOR, ""), (who.MEMBER, "no_such_request"), (who.STEWARD, "no_such_request")],
    ids=lambda one: getattr(one, "id", one or "may"),
)
def test_a_draft_is_its_authors_alone_and_unknown_to_others(someone: Person, code: str):
    assert code_of(rules.is_author, someone, request()) == code


@pytest.mark.parametrize(
    ("someone", "code"),
    [
        (who.AUTHOR, ""),
        (who.MEMBER, ""),
        (who.PUBLISHER, ""),
        (who.STEWARD, "no_such_request"),
        (who.STRANGER, "no_such_request"),
        (person("member", active=False), "person_inactive"),
    ],
    ids=lambda one: getattr(one, "id", one or "may"),
)
def test_the_project_and_the_publisher_receive_the_package(someone: Person, code: str):
    assert code_of(rules.may_download, someone, request(), who.INSIDERS) == code


@pytest.mark.parametrize(
    ("someone", "code"),
    [
        (who.STEWARD, ""),
        (who.DELEGATE, ""),
        (person("delegate-z", Role.PARTNER_DELEGATE), "not_their_delegate"),
        (person("delegate-a", Role.PARTNER_DELEGATE, Role.STEWARD), ""),
        (who.AUTHOR, "own_request"),
        (who.MEMBER, "member_of_project"),
        (who.PUBLISHER, "role_missing"),
        (who.STRANGER, "role_missing"),
    ],
    ids=lambda one: getattr(one, "id", one or "may"),
)
def test_files_are_opened_by_those_who_decide_and_never_by_their_author(someone: Person, code: str):
    assert code_of(rules.may_open, someone, request(), who.INSIDERS, [who.PARTNER]) == code


def test_a_delegate_of_a_partner_without_veto_opens_nothing():
    partner = replace(who.PARTNER, veto=False)
    assert code_of(rules.may_open, who.DELEGATE, request(), who.INSIDERS, [partner]) == "nobody_awaited"


# --- files


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ([], "no_files"),
        ([OutputFile("raw.csv", ONE, 1, supporting=True)], "no_files"),
        ([OutputFile("a.csv", ONE, 1)], ""),
        ([OutputFile("a.csv", ONE, 1), OutputFile("b.csv", ONE, 1)], "file_twice"),
        ([OutputFile("a.csv", ONE, rules.LARGEST_FILE + 1)], "file_too_large"),
        (
            [OutputFile(f"{n}.csv", str(n) * 64, rules.LARGEST_FILE) for n in range(5)],
            "request_too_large",
        ),
        ([OutputFile(f"f{n}.csv", f"{n:064}", 1) for n in range(65)], "too_many_files"),
    ],
)
def test_what_may_be_asked_for(files: list[OutputFile], code: str):
    assert code_of(rules.fit_to_ask, files) == code


@pytest.mark.parametrize("name", ["../a.csv", "/etc/passwd", "a\u202ecsv.exe", "con.csv", ".hidden", ""])
def test_a_name_no_package_takes_is_refused_at_the_door(name: str):
    with pytest.raises(VaultError):
        rules.fit_to_ask([OutputFile(name, ONE, 1)])


def test_two_names_that_are_one_on_a_recipients_disk_are_refused():
    with pytest.raises(VaultError):
        rules.fit_to_ask([OutputFile("A.csv", ONE, 1), OutputFile("a.csv", TWO, 1)])


def test_a_vote_is_for_bytes_the_request_holds():
    assert rules.on_these_bytes(request(), ONE).sha256 == ONE
    with pytest.raises(Refused) as refusal:
        rules.on_these_bytes(request(), TWO)
    assert refusal.value.code == "not_these_bytes"


def test_a_decision_gives_its_reason():
    assert rules.with_reason("  small counts ") == "small counts"
    with pytest.raises(BadInput) as refusal:
        rules.with_reason("  ")
    assert refusal.value.code == "reason_missing"


# --- votes


@pytest.mark.parametrize(
    ("given", "whole"),
    [
        ({}, None),
        ({ONE: A}, None),
        ({ONE: A, TWO: A}, A),
        ({ONE: A, TWO: R}, R),
        ({ONE: N, TWO: R}, N),
        ({ONE: A, TWO: N}, N),
    ],
)
def test_a_review_is_whole_with_its_last_file_and_as_strict_as_its_strictest(
    given: dict[str, Choice], whole: Choice | None
):
    votes = [FileVote("a", 1, sha256, choice, "", who.NOW) for sha256, choice in given.items()]
    assert rules.review_of(request(Status.IN_REVIEW, 1, ONE, TWO), votes, "a") == whole


def test_only_the_reviewers_own_last_words_of_this_round_make_a_review():
    votes = [
        FileVote("a", 1, ONE, N, "", who.NOW),
        FileVote("a", 2, ONE, N, "", who.NOW),
        FileVote("a", 2, ONE, A, "", who.NOW),
        FileVote("b", 2, ONE, N, "", who.NOW),
    ]
    assert rules.review_of(request(Status.IN_REVIEW, 2), votes, "a") is A
    assert rules.review_of(request(Status.IN_REVIEW, 3), votes, "a") is None


@pytest.mark.parametrize(
    ("given", "decision"),
    [
        ((), None),
        ((A,), None),
        ((N,), None),
        ((A, A), Decision.APPROVE),
        ((A, R), Decision.RETURN),
        ((R, A), Decision.RETURN),
        ((R, R), Decision.RETURN),
        ((R, N), Decision.RETURN),
        ((N, R), Decision.RETURN),
        ((N, N), Decision.REJECT),
        ((A, N), Decision.THIRD),
        ((N, A), Decision.THIRD),
        ((A, N, A), Decision.APPROVE),
        ((A, N, R), Decision.RETURN),
        ((N, A, N), Decision.REJECT),
        ((A, A, N), Decision.APPROVE),
    ],
)
def test_what_reviews_come_to(given: tuple[Choice, ...], decision: Decision | None):
    found = rules.verdict(request(), reviews(*given), who.INSIDERS)
    assert (None if found is None else found.decision) == decision


@pytest.mark.parametrize(
    "other",
    [
        review("a"),
        review("author"),
        review("member"),
        review("b", number=2),
        review("b", files=(TWO,)),
        review("b", files=(ONE, TWO)),
    ],
    ids=["same_person", "author", "member", "other_round", "other_bytes", "more_bytes"],
)
def test_two_reviews_are_two_people_outside_on_these_bytes_in_this_round(other: Review):
    assert rules.verdict(request(), [review("a"), other], who.INSIDERS) is None


@pytest.mark.parametrize(
    ("someone", "given", "code"),
    [
        (who.STEWARD, [], ""),
        (who.STEWARD, [review("a")], ""),
        (who.STEWARD, [review("steward-a")], "already_reviewed"),
        (who.STEWARD, [review("steward-a", number=0)], ""),
        (who.STEWARD, reviews(A, A), "reviews_complete"),
        (who.SENIOR, reviews(A, R), "reviews_complete"),
        (who.STEWARD, reviews(A, N), "role_missing"),
        (who.SENIOR, reviews(A, N), ""),
        (who.SENIOR, reviews(A, N, A), "reviews_complete"),
        (who.SENIOR, [review("a"), review("steward-b", N)], "already_reviewed"),
        (who.STEWARD, [review("a"), review("member")], ""),
        (who.MEMBER, [], "member_of_project"),
    ],
)
def test_who_may_still_vote(someone: Person, given: list[Review], code: str):
    assert code_of(rules.may_vote, someone, request(), given, who.INSIDERS) == code


@pytest.mark.parametrize(
    ("given", "passes"),
    [((A, A), True), ((A, N, A), True), ((A,), False), ((A, R), False), ((A, N), False), ((N, N), False)],
)
def test_bytes_leave_with_two_approvals_only(given: tuple[Choice, ...], passes: bool):
    code = code_of(rules.fit_to_leave, request(), reviews(*given), who.INSIDERS)
    assert code == ("" if passes else "not_approved_by_two")


def test_an_approval_falls_when_its_reviewer_joins_the_project():
    held = reviews(A, A)
    assert [one.reviewer for one in rules.fit_to_leave(request(), held, who.INSIDERS)] == ["a", "b"]
    assert code_of(rules.fit_to_leave, request(), held, who.INSIDERS | {"b"}) == "not_approved_by_two"


def test_a_reviewer_sees_nobody_elses_word_before_two_have_spoken():
    one, two = review("a", N), review("b")
    votes = [FileVote("a", 1, ONE, N, "", who.NOW), FileVote("b", 1, ONE, A, "", who.NOW)]
    assert rules.visible_votes([one], "a") == (one,)
    assert rules.visible_votes([one], "b") == ()
    assert rules.visible_votes([one, two], "b") == (one, two)
    assert rules.visible_file_votes(votes, [one], "b") == (votes[1],)
    assert rules.visible_file_votes(votes, [one, two], "c") == tuple(votes)


def test_an_unfinished_third_opinion_is_its_authors_alone():
    votes = [FileVote("c", 1, ONE, A, "", who.NOW)]
    assert rules.visible_file_votes(votes, reviews(A, N), "a") == ()


# --- exceptions


@pytest.mark.parametrize(
    ("someone", "held", "code"),
    [
        (who.SENIOR, [], ""),
        (who.SENIOR, ["steward-b"], "already_waived"),
        (who.SENIOR, ["steward-c"], ""),
        (who.STEWARD, [], "role_missing"),
        (who.MEMBER, [], "member_of_project"),
        (who.AUTHOR, [], "own_request"),
    ],
)
def test_who_may_except_a_block(someone: Person, held: list[str], code: str):
    waivers = [Waiver(name, 1, "why", who.NOW) for name in held]
    assert code_of(rules.may_waive, someone, request(Status.BLOCKED), waivers, who.INSIDERS) == code


def test_two_senior_stewards_of_this_round_who_stand_apart_lift_a_block():
    given = [("steward-b", 1), ("steward-c", 1), ("member", 1), ("author", 1), ("steward-d", 0)]
    waivers = [Waiver(name, number, "why", who.NOW) for name, number in given]
    standing = rules.standing_waivers(request(Status.BLOCKED), waivers, who.INSIDERS)
    assert standing == {"steward-b", "steward-c"}
    assert rules.block_lifted(standing)
    assert not rules.block_lifted({"steward-b"})


def test_a_direct_identifier_is_never_excepted():
    assert code_of(rules.no_direct_identifier, found=True) == "direct_identifier"
    assert code_of(rules.no_direct_identifier, found=False) == ""


@pytest.mark.parametrize(
    ("check", "verdict", "found"),
    [("identifiers", "fail", True), ("identifiers", "review", False), ("small_counts", "fail", False)],
)
def test_which_findings_are_direct_identifiers(check: str, verdict: str, found: bool):
    report = {"files": [{"findings": []}, {"findings": [{"check": check, "verdict": verdict}]}]}
    assert rules.holds_direct_identifier(report) is found


def test_only_what_is_suspended_is_refused_by_a_senior_steward():
    assert code_of(rules.is_suspended, request(Status.SUSPENDED)) == ""
    assert code_of(rules.is_suspended, request(Status.REVIEWED)) == "not_suspended"


# --- partners


def test_a_delegate_speaks_for_the_partner_that_named_them():
    assert code_of(rules.may_speak_for, who.DELEGATE, who.PARTNER) == ""
    assert code_of(rules.may_speak_for, who.STEWARD, who.PARTNER) == "role_missing"
    assert (
        code_of(rules.may_speak_for, person("x", Role.PARTNER_DELEGATE), who.PARTNER) == "not_their_delegate"
    )


def test_a_delegate_in_the_project_may_veto_and_not_agree():
    inside = who.INSIDERS | {"delegate-a"}
    assert code_of(rules.may_speak_for, who.DELEGATE, who.PARTNER) == ""
    assert code_of(rules.may_agree_for, who.DELEGATE, who.PARTNER, request(), inside) == "member_of_project"
    assert code_of(rules.may_agree_for, who.DELEGATE, who.PARTNER, request(), who.INSIDERS) == ""


def test_a_delegate_of_two_partners_speaks_for_one_at_a_time():
    other = Partner("hospital-b", "B", "B", frozenset({"delegate-b"}), veto=True)
    assert rules.spoken_for(who.DELEGATE, [other, who.PARTNER]) is who.PARTNER
    assert code_of(rules.spoken_for, who.DELEGATE, [other]) == "not_their_delegate"
    assert code_of(rules.spoken_for, who.DELEGATE, []) == "nobody_awaited"


def test_a_partner_is_awaited_once_a_round_if_it_has_a_veto():
    quiet = replace(who.PARTNER, id="hospital-b", veto=False)
    word = PartnerWord("hospital-a", 1, agrees=True, delegate="delegate-a", note="", at=who.NOW)
    assert rules.awaited([who.PARTNER, quiet], [], 1) == (who.PARTNER,)
    assert rules.awaited([who.PARTNER, quiet], [word], 1) == ()
    assert rules.awaited([who.PARTNER, quiet], [word], 2) == (who.PARTNER,)


@pytest.mark.parametrize("rule", ["approve", "reject"])
def test_silence_speaks_by_the_signed_rule_at_the_deadline_and_not_before(rule: OnSilence):
    partner = replace(who.PARTNER, answer_days=10, on_silence=rule)
    end = who.NOW + timedelta(days=10)
    assert rules.silence_says(partner, who.NOW, end - timedelta(microseconds=1)) is None
    assert rules.silence_says(partner, who.NOW, end) == rule


def test_a_refusal_that_hides_a_request_is_not_found():
    with pytest.raises(NotFound):
        rules.is_author(who.STEWARD, request())
