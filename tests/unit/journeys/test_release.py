"""The release journey on a real house and a real log."""

import io
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from enclave.errors import BadInput, ComponentDown, Damaged, EnclaveError, NotFound, Refused
from enclave.journeys import release
from enclave.journeys.release import Offered
from enclave.people import Role
from enclave.recording import Visitor
from enclave.release.states import Act, Status
from enclave.release.words import Choice, ReleaseRequest
from tests.unit.journeys.conftest import World
from tests.unit.journeys.recorder_for_tests import RecorderForTests
from vault.errors import VaultError

TABLE = Offered("counts.csv", b"region,n\nnorth,120\nsouth,240\n")
NOTE = Offered("reading.md", b"# Reading\n\nThe south has twice as many stays as the north.\n")
RAW = Offered("unrounded.csv", b"region,n\nnorth,121\nsouth,238\n", supporting=True)
BOTH = (TABLE, NOTE)


@pytest.fixture
def author(world: World) -> Visitor:
    return world.visitor("researcher-a", Role.RESEARCHER)


@pytest.fixture
def steward_a(world: World) -> Visitor:
    return world.visitor("steward-a", Role.STEWARD)


@pytest.fixture
def steward_b(world: World) -> Visitor:
    return world.visitor("steward-b", Role.SENIOR_STEWARD, Role.STEWARD)


def submitted(world: World, author: Visitor, files: tuple[Offered, ...] = BOTH) -> ReleaseRequest:
    draft = release.create(world.desk, author, "asthma", "Stays by region", "A paper", files)
    return release.submit(world.desk, author, draft.id)


def in_review(world: World, author: Visitor, files: tuple[Offered, ...] = BOTH) -> ReleaseRequest:
    return release.check(world.desk, submitted(world, author, files).id)


def vote_all(
    world: World, visitor: Visitor, request: ReleaseRequest, choice: Choice = Choice.APPROVE
) -> ReleaseRequest:
    for file in request.files:
        last = release.vote(world.desk, visitor, request.id, file.sha256, choice, "seen")
    return last


def approved(world: World, author: Visitor, *stewards: Visitor) -> ReleaseRequest:
    request = in_review(world, author)
    for steward in stewards:
        request = vote_all(world, steward, request)
    return request


def last_denial(world: World) -> tuple[str, str | None, str]:
    world.desk.denials.settle()
    event = world.recorder.events[-1]
    assert event["phase"] == "single"
    assert event["outcome"] == "denied"
    return event["type"], event.get("reason"), event["actor"]["id"]


def test_a_table_leaves_after_two_stewards_have_seen_it(
    world: World, author: Visitor, steward_a: Visitor, steward_b: Visitor
):
    request = in_review(world, author)
    assert request.status is Status.IN_REVIEW
    assert vote_all(world, steward_a, request).status is Status.PARTIALLY_REVIEWED
    assert vote_all(world, steward_b, request).status is Status.APPROVED
    assert release.package(world.desk, steward_a, request.id).status is Status.RELEASED
    inside = zipfile.ZipFile(io.BytesIO(release.download(world.desk, author, request.id)))
    assert inside.read(f"{request.id}/data/outputs/counts.csv") == TABLE.content
    assert "release.tlog-proof" in inside.namelist()


def test_the_auditors_own_verification_passes_over_a_release(
    world: World, author: Visitor, steward_a: Visitor, steward_b: Visitor
):
    request = approved(world, author, steward_a, steward_b)
    release.package(world.desk, steward_a, request.id)
    release.download(world.desk, author, request.id)
    report = world.recorder.verified()
    assert report.integrity
    assert report.completeness


def test_each_act_is_told_before_it_is_done_and_closed_after_it(
    world: World, author: Visitor, steward_a: Visitor, steward_b: Visitor
):
    request = approved(world, author, steward_a, steward_b)
    release.package(world.desk, steward_a, request.id)
    told = [one[:2] for one in world.recorder.told() if one[0].startswith("release.")]
    pairs = ["create", "submit", "check", *["review"] * 6, "approve"]
    expected = [(f"release.{act}", end) for act in pairs for end in ("intent", "success")]
    package = [("release.package", end) for end in ("intent", "success", "success")]
    assert told == expected + package


def test_a_supporting_file_is_reviewed_and_stays_inside(
    world: World, author: Visitor, steward_a: Visitor, steward_b: Visitor
):
    request = in_review(world, author, (TABLE, RAW))
    for steward in (steward_a, steward_b):
        vote_all(world, steward, request)
    release.package(world.desk, steward_a, request.id)
    inside = zipfile.ZipFile(io.BytesIO(release.download(world.desk, author, request.id)))
    assert not [name for name in inside.namelist() if RAW.name in name]
    assert RAW.content not in b"".join(inside.read(name) for name in inside.namelist())
    assert world.recorder.verified().completeness


# --- what reviewers see and say


def test_a_review_is_whole_with_its_last_file(world: World, author: Visitor, steward_a: Visitor):
    request = in_review(world, author)
    first, second = request.files
    after_one = release.vote(world.desk, steward_a, request.id, first.sha256, Choice.APPROVE)
    assert after_one.status is Status.IN_REVIEW
    assert world.desk.requests.reviews(request.id) == ()
    release.vote(world.desk, steward_a, request.id, second.sha256, Choice.RETURN, "no counts")
    (whole,) = world.desk.requests.reviews(request.id)
    assert (whole.reviewer, whole.role, whole.choice) == ("steward-a", "steward", Choice.RETURN)
    assert whole.files == request.hashes


def test_a_word_may_be_changed_until_the_review_is_whole(world: World, author: Visitor, steward_a: Visitor):
    request = in_review(world, author)
    first, second = (file.sha256 for file in request.files)
    release.vote(world.desk, steward_a, request.id, first, Choice.REJECT, "wrong file")
    release.vote(world.desk, steward_a, request.id, first, Choice.APPROVE)
    release.vote(world.desk, steward_a, request.id, second, Choice.APPROVE)
    (whole,) = world.desk.requests.reviews(request.id)
    assert whole.choice is Choice.APPROVE
    with pytest.raises(Refused) as refusal:
        release.vote(world.desk, steward_a, request.id, first, Choice.REJECT, "after all")
    assert refusal.value.code == "already_reviewed"
    assert last_denial(world) == ("release.review", "already_reviewed", "steward-a")


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ((Choice.APPROVE, Choice.RETURN), Status.RETURNED),
        ((Choice.REJECT, Choice.REJECT), Status.REJECTED),
        ((Choice.APPROVE, Choice.REJECT), Status.REVIEWED),
    ],
)
def test_what_two_reviews_lead_to(
    world: World,
    author: Visitor,
    steward_a: Visitor,
    steward_b: Visitor,
    words: tuple[Choice, Choice],
    status: Status,
):
    request = in_review(world, author)
    vote_all(world, steward_a, request, words[0])
    assert vote_all(world, steward_b, request, words[1]).status is status


def test_a_conflict_is_settled_by_a_senior_steward_who_has_not_voted(
    world: World, author: Visitor, steward_a: Visitor, steward_b: Visitor
):
    request = in_review(world, author)
    vote_all(world, steward_a, request)
    vote_all(world, steward_b, request, Choice.REJECT)
    with pytest.raises(Refused):
        vote_all(world, world.visitor("steward-c", Role.STEWARD), request)
    settled = vote_all(world, world.visitor("steward-d", Role.SENIOR_STEWARD), request)
    assert settled.status is Status.APPROVED
    assert release.package(world.desk, steward_a, request.id).status is Status.RELEASED
    assert world.recorder.verified().completeness


def test_new_bytes_begin_with_no_vote(world: World, author: Visitor, steward_a: Visitor, steward_b: Visitor):
    request = in_review(world, author, (TABLE,))
    vote_all(world, steward_a, request)
    release.send_back(world.desk, steward_b, request.id, "round the counts")
    other = Offered("counts.csv", b"region,n\nnorth,120\nsouth,250\n")
    release.replace_files(world.desk, author, request.id, [other])
    release.submit(world.desk, author, request.id)
    again = release.check(world.desk, request.id)
    assert again.round == 2
    with pytest.raises(Refused) as refusal:
        release.vote(world.desk, steward_b, request.id, request.files[0].sha256, Choice.APPROVE)
    assert refusal.value.code == "not_these_bytes"
    assert last_denial(world) == ("release.review", "not_these_bytes", "steward-b")
    assert vote_all(world, steward_b, again).status is Status.PARTIALLY_REVIEWED
    assert vote_all(world, steward_a, again).status is Status.APPROVED


def test_the_same_bytes_submitted_again_are_reviewed_again(
    world: World, author: Visitor, steward_a: Visitor, steward_b: Visitor
):
    request = in_review(world, author)
    vote_all(world, steward_a, request)
    release.send_back(world.desk, steward_b, request.id, "explain the table")
    release.submit(world.desk, author, request.id)
    release.check(world.desk, request.id)
    assert vote_all(world, steward_b, request).status is Status.PARTIALLY_REVIEWED


def test_a_decision_against_gives_its_reason(world: World, author: Visitor, steward_a: Visitor):
    request = in_review(world, author)
    with pytest.raises(BadInput):
        release.vote(world.desk, steward_a, request.id, request.files[0].sha256, Choice.REJECT, " ")
    with pytest.raises(BadInput):
        release.send_back(world.desk, steward_a, request.id, "")


def test_what_a_person_wrote_is_sealed_under_their_own_key_and_in_no_leaf(
    world: World, author: Visitor, steward_a: Visitor
):
    request = in_review(world, author)
    said = "la cellule de Brest compte trop peu de personnes"
    release.vote(world.desk, steward_a, request.id, request.files[0].sha256, Choice.REJECT, said)
    release.send_back(world.desk, steward_a, request.id, said)
    log = world.recorder.log
    details = [log.details.read(seq).detail for seq, _ in log.details.held()]
    assert [(one.person, one.words) for one in details] == [("steward-a", {"comment": said})] * 2
    assert b"Brest" not in b"".join(leaf for leaf, _ in log.store.leaves(0, log.head.size))


def test_a_view_is_told_with_the_hash_before_the_file_is_opened(
    world: World, author: Visitor, steward_a: Visitor
):
    request = in_review(world, author)
    file = request.files[0]
    assert release.view(world.desk, steward_a, request.id, file.sha256) == TABLE.content
    intent, outcome = world.recorder.events[-2:]
    assert (intent["type"], intent["phase"], outcome["outcome"]) == ("release.view", "intent", "success")
    assert intent["release"]["files"] == [{"sha256": file.sha256}]


def test_an_author_never_opens_the_file_on_a_page(world: World, author: Visitor):
    request = in_review(world, author)
    with pytest.raises(Refused):
        release.view(world.desk, author, request.id, request.files[0].sha256)
    assert last_denial(world) == ("release.view", "role_missing", "researcher-a")


# --- refusals are told


def test_a_steward_who_joins_the_project_loses_both_vote_and_approval(
    world: World, author: Visitor, steward_a: Visitor, steward_b: Visitor
):
    request = approved(world, author, steward_a, steward_b)
    world.grant("steward-b")
    with pytest.raises(Refused) as refusal:
        release.package(world.desk, steward_a, request.id)
    assert refusal.value.code == "not_approved_by_two"
    assert last_denial(world) == ("release.package", "not_approved_by_two", "steward-a")
    with pytest.raises(Refused) as refusal:
        release.send_back(world.desk, steward_b, request.id, "why")
    assert refusal.value.code == "member_of_project"


def test_a_stranger_cannot_begin_a_request_and_the_attempt_is_told(world: World):
    stranger = world.visitor("researcher-z", Role.RESEARCHER)
    with pytest.raises(Refused) as refusal:
        release.create(world.desk, stranger, "asthma", "Title", "Purpose", BOTH)
    assert refusal.value.code == "not_a_member"
    assert last_denial(world) == ("release.create", "not_a_member", "researcher-z")
    assert not world.folder.exists()


def test_somebody_elses_request_is_not_there(world: World, author: Visitor):
    request = submitted(world, author)
    world.grant("researcher-b")
    with pytest.raises(NotFound):
        release.withdraw(world.desk, world.visitor("researcher-b", Role.RESEARCHER), request.id)
    assert last_denial(world) == ("release.withdraw", "no_such_request", "researcher-b")
    with pytest.raises(NotFound):
        release.submit(world.desk, author, "0193639a-0000-7000-8000-00000000dead")


def test_a_refusal_is_answered_while_the_recorder_is_down(world: World):
    world.recorder.down = True
    with pytest.raises(Refused):
        release.create(world.desk, world.visitor("researcher-z", Role.RESEARCHER), "asthma", "T", "P", BOTH)


def test_what_left_the_review_is_out_of_reach(world: World, author: Visitor, steward_a: Visitor):
    request = in_review(world, author)
    release.withdraw(world.desk, author, request.id)
    for attempt in (
        lambda: release.vote(world.desk, steward_a, request.id, request.files[0].sha256, Choice.APPROVE),
        lambda: release.package(world.desk, steward_a, request.id),
        lambda: release.download(world.desk, author, request.id),
        lambda: release.submit(world.desk, author, request.id),
        lambda: release.view(world.desk, steward_a, request.id, request.files[0].sha256),
    ):
        with pytest.raises(EnclaveError):
            attempt()
    assert world.desk.requests.request(request.id).status is Status.WITHDRAWN


# --- no receipt, no act


ACTS: dict[str, Callable[[World, Visitor, Visitor, ReleaseRequest], object]] = {
    "withdraw": lambda world, author, _steward, request: release.withdraw(world.desk, author, request.id),
    "vote": lambda world, _author, steward, request: vote_all(world, steward, request),
    "return": lambda world, _author, steward, request: release.send_back(
        world.desk, steward, request.id, "why"
    ),
    "view": lambda world, _author, steward, request: release.view(
        world.desk, steward, request.id, request.files[0].sha256
    ),
}


@pytest.mark.parametrize("act", ACTS)
def test_without_the_recorder_nothing_happens(world: World, author: Visitor, steward_a: Visitor, act: str):
    request = in_review(world, author)
    world.recorder.down = True
    with pytest.raises(ComponentDown):
        ACTS[act](world, author, steward_a, request)
    world.recorder.down = False
    assert world.desk.requests.request(request.id) == request
    assert world.desk.requests.file_votes(request.id) == ()


def test_without_the_recorder_nothing_is_kept_on_disk(world: World, author: Visitor):
    world.recorder.down = True
    with pytest.raises(ComponentDown):
        release.create(world.desk, author, "asthma", "Title", "Purpose", BOTH)
    assert not world.folder.exists()


# --- bytes


def test_files_are_sealed_on_disk_and_named_by_hash(world: World, author: Visitor):
    request = submitted(world, author)
    kept = sorted((world.folder / request.id).iterdir())
    assert [one.name for one in kept] == sorted(f"{file.sha256}.sealed" for file in request.files)
    assert all(TABLE.content not in one.read_bytes() for one in kept)
    assert {one.stat().st_mode & 0o777 for one in kept} == {0o600}


def test_a_byte_changed_on_disk_is_found_and_nothing_leaves(
    world: World, author: Visitor, steward_a: Visitor, steward_b: Visitor
):
    request = approved(world, author, steward_a, steward_b)
    path = world.folder / request.id / f"{request.files[0].sha256}.sealed"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(VaultError):
        release.package(world.desk, steward_a, request.id)
    failed = world.desk.requests.request(request.id)
    assert (failed.status, failed.left) == (Status.FAILED, Status.RELEASING)
    assert world.recorder.told("release.fail")[-1] == ("release.fail", "success", "envelope_damaged")
    assert world.recorder.told("release.package")[-1] == ("release.package", "failed", "envelope_damaged")


def test_one_sealed_file_in_anothers_place_is_found(world: World, author: Visitor, steward_a: Visitor):
    request = in_review(world, author)
    one, two = (world.folder / request.id / f"{file.sha256}.sealed" for file in request.files)
    one.write_bytes(two.read_bytes())
    with pytest.raises(VaultError):
        release.view(world.desk, steward_a, request.id, request.files[0].sha256)


def test_a_missing_file_is_named_by_the_request_only(world: World, author: Visitor, steward_a: Visitor):
    request = in_review(world, author)
    (world.folder / request.id / f"{request.files[0].sha256}.sealed").unlink()
    with pytest.raises(NotFound) as refusal:
        release.view(world.desk, steward_a, request.id, request.files[0].sha256)
    assert refusal.value.code == "no_such_file"


def test_bytes_that_are_not_those_of_the_hash_are_damaged(
    world: World, author: Visitor, tmp_path: Path, steward_a: Visitor
):
    request = in_review(world, author)
    object.__setattr__(world.desk.folder, "_unseal", lambda _sealed, _name: b"something else")
    with pytest.raises(Damaged) as refusal:
        release.view(world.desk, steward_a, request.id, request.files[0].sha256)
    assert refusal.value.code == "file_changed"


def test_a_house_that_lost_its_package_or_its_check_says_so(
    world: World, author: Visitor, steward_a: Visitor, steward_b: Visitor, monkeypatch: pytest.MonkeyPatch
):
    request = approved(world, author, steward_a, steward_b)
    with pytest.raises(Damaged):
        release._sealed(request)
    monkeypatch.setattr(world.desk.requests, "check", lambda _request, _round: None)
    with pytest.raises(Damaged):
        release.package(world.desk, steward_a, request.id)
    assert world.desk.requests.request(request.id).status is Status.FAILED


# --- two at once


def test_two_reviewers_at_once_are_two_reviews_or_one_is_asked_again(
    world: World, author: Visitor, steward_a: Visitor, steward_b: Visitor
):
    request = in_review(world, author, (TABLE,))
    codes: list[str] = []

    def vote(visitor: Visitor) -> None:
        try:
            vote_all(world, visitor, request)
        except Refused as refusal:
            codes.append(refusal.code)

    both = [threading.Thread(target=vote, args=(one,)) for one in (steward_a, steward_b)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert set(codes) <= {"request_changed"}
    given = world.desk.requests.reviews(request.id)
    assert len(given) == 2 - len(codes)


def test_what_was_decided_on_an_older_state_is_refused(world: World, author: Visitor, steward_a: Visitor):
    seen = in_review(world, author, (TABLE,))
    vote_all(world, steward_a, seen)
    with pytest.raises(Refused) as refusal:
        release.move(world.desk, "release.return", Act.RETURN, seen, steward_a.acting_as(Role.STEWARD))
    assert refusal.value.code == "request_changed"
    assert world.recorder.told("release.return")[-1] == ("release.return", "denied", "request_changed")


def test_a_recorder_that_goes_during_an_act_does_not_hide_what_went_wrong(world: World, author: Visitor):
    request = submitted(world, author)

    def fail_and_take_the_recorder_along(_project: str, _files: object) -> None:
        world.recorder.down = True
        raise ValueError

    object.__setattr__(world.desk, "check_files", fail_and_take_the_recorder_along)
    with pytest.raises(ValueError):
        release.check(world.desk, request.id)
    assert isinstance(world.desk.recorder, RecorderForTests)
