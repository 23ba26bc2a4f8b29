"""A file asks to leave: checked, seen by two people who do not see each other's word, sealed, let out.

Each act asks the rules first, records its intent, makes the change, and records what came of it.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import uuid_utils

from enclave.agreements.rules import may_work, project_open
from enclave.errors import Damaged, EnclaveError
from enclave.people import Role
from enclave.recording import Actor, OpenAct, Recorded, Visitor
from enclave.release import questions, rules
from enclave.release.desk import HOUSE, Desk, about, request_object
from enclave.release.packaging import Approval
from enclave.release.states import Act, Status, after
from enclave.release.words import (
    Check,
    Choice,
    Decision,
    FileVote,
    OutputFile,
    Package,
    PartnerWord,
    ReleaseRequest,
)


@dataclass(frozen=True)
class Offered:
    """A file as it is handed in."""

    name: str
    content: bytes = field(repr=False)
    supporting: bool = False

    def described(self) -> OutputFile:
        return OutputFile(self.name, sha256(self.content).hexdigest(), len(self.content), self.supporting)


# --- the author


def create(
    desk: Desk, visitor: Visitor, project: str, title: str, purpose: str, offered: Sequence[Offered]
) -> ReleaseRequest:
    """A member begins a request with its files; nobody else sees it yet."""
    author = _author(visitor)
    with desk.question("release.create", author, project):
        here = desk.agreements.project(project)
        may_work(visitor.person, here)
        project_open(here, desk.today())
    draft = _draft(desk, author, project, title, purpose, offered)
    with desk.act("release.create", draft, author) as act:
        _keep(desk, draft.id, offered, act)
        desk.requests.create(draft, act.receipt)
    return draft


def _draft(
    desk: Desk, author: Actor, project: str, title: str, purpose: str, offered: Sequence[Offered]
) -> ReleaseRequest:
    now = desk.now()
    return ReleaseRequest(
        id=str(uuid_utils.uuid7()),
        project=project,
        author=author.id,
        title=rules.with_reason(title),
        purpose=rules.with_reason(purpose),
        created=now,
        status=Status.DRAFT,
        left=None,
        since=now,
        round=0,
        files=_described(offered),
    )


def replace_files(
    desk: Desk, visitor: Visitor, request_id: str, offered: Sequence[Offered]
) -> ReleaseRequest:
    """The author gives a draft, or what was returned, other files."""
    author = _author(visitor)
    request = desk.ask("release.create", questions.may_edit, visitor, author, request_id).request
    files = _described(offered)
    hashes = frozenset(file.sha256 for file in files)
    with desk.act("release.create", request, author, files=hashes, reason="edit") as act:
        _keep(desk, request.id, offered, act)
        return desk.requests.replace_files(
            request.id, files, desk.step(Act.EDIT, author, act.receipt, request)
        )


def _described(offered: Sequence[Offered]) -> tuple[OutputFile, ...]:
    files = tuple(one.described() for one in offered)
    rules.fit_to_ask(files)
    return files


def _keep(desk: Desk, request: str, offered: Sequence[Offered], act: OpenAct) -> None:
    for one in offered:
        desk.folder.put(request, one.content, act.receipt)


def submit(desk: Desk, visitor: Visitor, request_id: str) -> ReleaseRequest:
    """The author asks for the files to leave; `check` follows."""
    author = _author(visitor)
    now = desk.ask("release.submit", questions.may_submit, visitor, author, request_id)
    return move(desk, "release.submit", Act.SUBMIT, now.request, author)


def withdraw(desk: Desk, visitor: Visitor, request_id: str) -> ReleaseRequest:
    """The author takes the request back, at any state before it is being let out."""
    author = _author(visitor)
    now = desk.ask("release.withdraw", questions.may_withdraw, visitor, author, request_id)
    return move(desk, "release.withdraw", Act.WITHDRAW, now.request, author)


# --- the checks


def check(desk: Desk, request_id: str) -> ReleaseRequest:
    """The house runs the automatic checks on what was submitted: in review, or blocked."""
    request = desk.requests.request(request_id)
    after(request.status, Act.CHECK)
    with desk.act("release.check", request, HOUSE) as act:
        at_work = desk.requests.move(request.id, desk.step(Act.CHECK, HOUSE, act.receipt, request))
        return run_checks(desk, at_work, act)


def run_checks(desk: Desk, request: ReleaseRequest, act: OpenAct) -> ReleaseRequest:
    """Look at every file; the report is kept with the request, its verdict goes to the trail."""
    with or_failed(desk, request):
        contents = {
            file.name: desk.folder.get(request.id, file.sha256, act.receipt) for file in request.files
        }
        report = desk.check_files(request.project, contents)
        told = report.to_json()
        act.reason, act.closing["policy"] = report.verdict, told["policy"]
        found = Check(request.round, report.verdict, json.dumps(told), desk.now())
        what = Act.BLOCK if report.verdict == "fail" else Act.PASS
        return desk.requests.add_check(request.id, found, desk.step(what, HOUSE, act.receipt, request))


# --- the reviewers


def view(desk: Desk, visitor: Visitor, request_id: str, digest: str) -> bytes:
    """A reviewer or a partner's delegate opens one file."""
    viewer = _reviewer(visitor)
    request = desk.ask("release.view", questions.may_view, visitor, viewer, request_id).request
    file = _on_these_bytes(desk, "release.view", viewer, request, digest)
    with desk.act("release.view", request, viewer, files=frozenset({file.sha256})) as act:
        return desk.folder.get(request.id, file.sha256, act.receipt)


def vote(
    desk: Desk, visitor: Visitor, request_id: str, digest: str, choice: Choice, note: str = ""
) -> ReleaseRequest:
    """A reviewer speaks on one file.

    With the last file their review is complete, and with the second review the request is decided.
    """
    reviewer = _reviewer(visitor)
    said = note.strip() if choice is Choice.APPROVE else rules.with_reason(note)
    request = desk.ask("release.review", questions.may_vote, visitor, reviewer, request_id).request
    file = _on_these_bytes(desk, "release.review", reviewer, request, digest)
    given = FileVote(reviewer.id, request.round, file.sha256, choice, said, desk.now())
    _vote_on_file(desk, request, reviewer, given)
    whole = rules.review_of(request, desk.requests.file_votes(request.id), reviewer.id)
    return request if whole is None else _review(desk, request, reviewer, whole)


def _on_these_bytes(desk: Desk, event: str, actor: Actor, request: ReleaseRequest, digest: str) -> OutputFile:
    with desk.question(event, actor, request.project, request):
        return rules.on_these_bytes(request, digest)


def _vote_on_file(desk: Desk, request: ReleaseRequest, reviewer: Actor, given: FileVote) -> None:
    one, reason = frozenset({given.sha256}), f"file_{given.choice}"
    with desk.act("release.review", request, reviewer, files=one, reason=reason, note=given.note) as act:
        desk.requests.add_file_vote(request, given, act.receipt)


def _review(desk: Desk, request: ReleaseRequest, reviewer: Actor, whole: Choice) -> ReleaseRequest:
    with desk.act("release.review", request, reviewer, reason=whole.value) as act:
        step = desk.step(Act.REVIEW, reviewer, act.receipt, request)
        desk.requests.add_review(request.id, reviewer.role, whole, request.hashes, step)
    return decide(desk, request.id)


def send_back(desk: Desk, visitor: Visitor, request_id: str, note: str) -> ReleaseRequest:
    """A reviewer returns the request to its author at any state of review."""
    reviewer, said = _reviewer(visitor), rules.with_reason(note)
    now = desk.ask("release.return", questions.may_return, visitor, reviewer, request_id)
    return move(desk, "release.return", Act.RETURN, now.request, reviewer, note=said)


def decide(desk: Desk, request_id: str) -> ReleaseRequest:
    """The house draws the conclusion from the reviews, if there are two and they agree enough."""
    now = desk.situation(request_id)
    found = rules.verdict(now.request, now.reviews, now.insiders)
    if now.request.status is not Status.REVIEWED or found is None or found.decision is Decision.THIRD:
        return now.request
    act, event = CONCLUSIONS[found.decision]
    if act is Act.APPROVE and now.awaited:
        act = Act.ASK_PARTNER
    return move(desk, event, act, now.request, HOUSE, decider="reviewers", reason=act.value)


CONCLUSIONS = {
    Decision.APPROVE: (Act.APPROVE, "release.approve"),
    Decision.RETURN: (Act.RETURN, "release.return"),
    Decision.REJECT: (Act.REJECT, "release.reject"),
}


# --- partners


def speak_for_partner(
    desk: Desk, visitor: Visitor, request_id: str, *, agrees: bool, note: str = ""
) -> ReleaseRequest:
    """A delegate says the partner's yes or veto; when the last one awaited agrees, the request is approved."""
    delegate = visitor.acting_as(Role.PARTNER_DELEGATE)
    said = note.strip() if agrees else rules.with_reason(note)
    event = "release.approve" if agrees else "release.reject"
    question = questions.may_agree if agrees else questions.may_veto
    now = desk.ask(event, question, visitor, delegate, request_id)
    partner = rules.spoken_for(visitor.person, now.awaited)
    word = PartnerWord(partner.id, now.request.round, agrees, delegate.id, said, desk.now())
    return hear(desk, now.request, word, delegate)


def hear(desk: Desk, request: ReleaseRequest, word: PartnerWord, actor: Actor) -> ReleaseRequest:
    """Keep a partner's word, spoken or by silence, and draw the conclusion."""
    what, event = (Act.AGREE, "release.approve") if word.agrees else (Act.REJECT, "release.reject")
    reason = "partner" if word.delegate else "partner_silence"
    with desk.act(event, request, actor, reason=reason, note=word.note, decider=word.partner) as act:
        step = desk.step(what, actor, act.receipt, request, word.note)
        desk.requests.add_partner_word(request.id, word, step)
    return conclude(desk, request.id)


def conclude(desk: Desk, request_id: str) -> ReleaseRequest:
    """The house approves once no partner's word is awaited."""
    now = desk.situation(request_id)
    if now.request.status is not Status.AWAITING_PARTNER or now.awaited:
        return now.request
    return move(
        desk, "release.approve", Act.APPROVE, now.request, HOUSE, decider="partners", reason="approve"
    )


# --- out of the house


def package(desk: Desk, visitor: Visitor, request_id: str) -> ReleaseRequest:
    """A publisher or steward has an approved request sealed, signed and let out."""
    publisher = visitor.acting_as(Role.PUBLISHER, Role.SENIOR_STEWARD, Role.STEWARD)
    now = desk.ask("release.package", questions.may_package, visitor, publisher, request_id)
    with desk.act("release.package", now.request, publisher, files=now.request.leaving) as act:
        step = desk.step(Act.PACKAGE, publisher, act.receipt, now.request)
        return let_out(desk, desk.requests.move(request_id, step), publisher, act)


def let_out(desk: Desk, request: ReleaseRequest, publisher: Actor, act: OpenAct) -> ReleaseRequest:
    """Bag the outputs, have the bag in the trail, seal it, and only then call the request released."""
    with or_failed(desk, request):
        approval = _approval(desk, request)
        files = {file.name: desk.folder.get(request.id, file.sha256, act.receipt) for file in request.outputs}
        bag = desk.packager.bag(approval, files, desk.now())
        entered = _enter(desk, request, publisher, act.receipt, bag.tagmanifest_sha256)
        sealed = desk.packager.seal(bag, entered)
        digest = desk.folder.put_package(request.id, sealed, act.receipt)
        act.closing["release"] = about(request, request.leaving, artefact_sha256=bag.tagmanifest_sha256)
        act.closing["counts"] = {"bytes": len(sealed)}
        done = Package(digest, len(sealed), bag.tagmanifest_sha256)
        step = desk.step(Act.DELIVER, publisher, act.receipt, request)
        return desk.requests.add_package(request.id, done, step)


def _approval(desk: Desk, request: ReleaseRequest) -> Approval:
    """Gather what was decided; that two approve these bytes is asked anew at this moment."""
    now = desk.situation(request.id)
    check = desk.requests.check(request.id, request.round)
    if check is None:
        raise Damaged("check_missing", "The request was never checked.", "Restore the house from a backup.")
    return Approval(
        request=request,
        approved_by=rules.fit_to_leave(now.request, now.reviews, now.insiders),
        moves=desk.requests.moves(request.id),
        check=check,
        datasets=desk.agreements.datasets_of(request.project),
    )


def _enter(
    desk: Desk, request: ReleaseRequest, publisher: Actor, intent: Recorded, artefact: str
) -> Recorded:
    """Put the tag manifest's hash in the trail: the package carries the proof that it is there."""
    return desk.recorder.single(
        "release.package",
        actor=publisher,
        objects=[request_object(request.id)],
        project=request.project,
        corr=intent.corr,
        reason="artefact",
        release=about(request, request.leaving, artefact_sha256=artefact),
    )


def download(desk: Desk, visitor: Visitor, request_id: str) -> bytes:
    """A member of the project, or a publisher, takes the package out."""
    recipient = visitor.acting_as(Role.RESEARCHER, Role.PROJECT_LEAD, Role.PUBLISHER)
    request = desk.ask("release.download", questions.may_download, visitor, recipient, request_id).request
    with desk.act("release.download", request, recipient, files=request.leaving) as act:
        desk.requests.move(request.id, desk.step(Act.DOWNLOAD, recipient, act.receipt, request))
        content = desk.folder.get_package(request.id, _sealed(request).sha256, act.receipt)
        act.closing["counts"] = {"bytes": len(content)}
    return content


def _sealed(request: ReleaseRequest) -> Package:
    if request.package is None:
        raise Damaged(
            "package_missing",
            "The request is released and has no package.",
            "Restore the house from a backup.",
        )
    return request.package


# --- shared steps


@contextmanager
def or_failed(desk: Desk, request: ReleaseRequest) -> Iterator[None]:
    """Whatever goes wrong at work leaves the request FAILED, and is told; a crash is told at the next start."""
    try:
        yield
    except BaseException as error:
        with suppress(EnclaveError):
            fail(desk, request, getattr(error, "code", "unexpected"))
        raise


def fail(desk: Desk, request: ReleaseRequest, reason: str) -> ReleaseRequest:
    """The house says that its work on a request did not come to its end."""
    return move(desk, "release.fail", Act.FAIL, request, HOUSE, reason=reason)


def move(
    desk: Desk,
    event: str,
    what: Act,
    request: ReleaseRequest,
    actor: Actor,
    *,
    note: str = "",
    reason: str | None = None,
    **release: Any,
) -> ReleaseRequest:
    """Take a step that is nothing but a step, between its intent and its outcome."""
    with desk.act(event, request, actor, reason=reason, note=note, **release) as act:
        return desk.requests.move(request.id, desk.step(what, actor, act.receipt, request, note))


def _author(visitor: Visitor) -> Actor:
    return visitor.acting_as(Role.RESEARCHER, Role.PROJECT_LEAD)


def _reviewer(visitor: Visitor) -> Actor:
    return visitor.acting_as(Role.SENIOR_STEWARD, Role.STEWARD, Role.PARTNER_DELEGATE)
