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
from enclave.agreements.words import Partner
from enclave.errors import Damaged, EnclaveError
from enclave.people import Role
from enclave.recording import Actor, OpenAct, Recorded, Visitor
from enclave.release import rules
from enclave.release.desk import HOUSE, Desk, about, request_object
from enclave.release.states import Act, Status, after, open_to_reviewers
from enclave.release.words import (
    Check,
    Choice,
    Decision,
    FileVote,
    OutputFile,
    Package,
    PartnerWord,
    ReleaseRequest,
    Verdict,
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
    files = tuple(one.described() for one in offered)
    rules.fit_to_ask(files)
    author = _author(visitor)
    with desk.question("release.create", author, project):
        here = desk.agreements.project(project)
        may_work(visitor.person, here)
        project_open(here, desk.today())
    now = desk.now()
    draft = ReleaseRequest(
        id=str(uuid_utils.uuid7()),
        project=project,
        author=visitor.person.id,
        title=rules.with_reason(title),
        purpose=rules.with_reason(purpose),
        created=now,
        status=Status.DRAFT,
        left=None,
        since=now,
        round=0,
        files=files,
    )
    with desk.act("release.create", draft, author) as act:
        _keep(desk, draft.id, offered, act)
        desk.requests.create(draft, act.receipt)
    return desk.requests.request(draft.id)


def replace_files(
    desk: Desk, visitor: Visitor, request_id: str, offered: Sequence[Offered]
) -> ReleaseRequest:
    """The author gives a draft, or what was returned, other files."""
    files = tuple(one.described() for one in offered)
    rules.fit_to_ask(files)
    request = _as_author(desk, visitor, request_id, "release.create", Act.EDIT)
    author = _author(visitor)
    hashes = frozenset(file.sha256 for file in files)
    with desk.act("release.create", request, author, files=hashes, reason="edit") as act:
        _keep(desk, request.id, offered, act)
        step = desk.step(Act.EDIT, author, act.receipt, request=request)
        return desk.requests.replace_files(request.id, files, step)


def submit(desk: Desk, visitor: Visitor, request_id: str) -> ReleaseRequest:
    """The author asks for the files to leave; `check` follows."""
    request = _as_author(desk, visitor, request_id, "release.submit", Act.SUBMIT)
    with desk.question("release.submit", _author(visitor), request.project, request.id):
        project = desk.project(request)
        may_work(visitor.person, project)
        project_open(project, desk.today())
    return move(desk, "release.submit", Act.SUBMIT, request, _author(visitor))


def withdraw(desk: Desk, visitor: Visitor, request_id: str) -> ReleaseRequest:
    """The author takes the request back, at any state before it is being let out."""
    request = _as_author(desk, visitor, request_id, "release.withdraw", Act.WITHDRAW)
    return move(desk, "release.withdraw", Act.WITHDRAW, request, _author(visitor))


# --- the checks


def check(desk: Desk, request_id: str) -> ReleaseRequest:
    """The house runs the automatic checks on what was submitted: in review, or blocked."""
    request = desk.requests.request(request_id)
    after(request.status, Act.CHECK)
    with desk.act("release.check", request, HOUSE) as act:
        desk.requests.move(request.id, desk.step(Act.CHECK, HOUSE, act.receipt, request=request))
        with or_failed(desk, request):
            return run_checks(desk, request, act)


def run_checks(desk: Desk, request: ReleaseRequest, act: OpenAct) -> ReleaseRequest:
    """Look at every file; the report is kept with the request, its verdict goes to the trail."""
    contents = {file.name: desk.folder.get(request.id, file.sha256, act.receipt) for file in request.files}
    report = desk.check_files(request.project, contents)
    act.reason = report.verdict
    found = Check(request.round, report.verdict, json.dumps(report.to_json()), desk.now())
    what = Act.BLOCK if report.verdict == "fail" else Act.PASS
    return desk.requests.add_check(
        request.id, found, desk.step(what, HOUSE, act.receipt, request=request)
    )


# --- the reviewers


def view(desk: Desk, visitor: Visitor, request_id: str, digest: str) -> bytes:
    """A reviewer or a partner's delegate opens one file."""
    request = desk.requests.request(request_id)
    viewer = _reviewer(visitor)
    with desk.question("release.view", viewer, request.project, request.id):
        partners = desk.agreements.partners_of(request.project)
        rules.may_open(visitor.person, request, desk.insiders(request), partners)
        open_to_reviewers(request.status)
        file = rules.on_these_bytes(request, digest)
    with desk.act("release.view", request, viewer, files=frozenset({file.sha256})) as act:
        return desk.folder.get(request.id, file.sha256, act.receipt)


def vote(
    desk: Desk, visitor: Visitor, request_id: str, digest: str, choice: Choice, note: str = ""
) -> ReleaseRequest:
    """A reviewer speaks on one file.

    With the last file their review is complete, and with the second review the request is decided.
    """
    request = desk.requests.request(request_id)
    reviewer = _reviewer(visitor)
    said = note.strip() if choice is Choice.APPROVE else rules.with_reason(note)
    with desk.question("release.review", reviewer, request.project, request.id):
        reviews = desk.requests.reviews(request.id)
        rules.may_vote(visitor.person, request, reviews, desk.insiders(request))
        after(request.status, Act.REVIEW)
        file = rules.on_these_bytes(request, digest)
    _vote_on_file(desk, request, reviewer, file, choice, said)
    whole = rules.review_of(request, desk.requests.file_votes(request.id), reviewer.id)
    if whole is None:
        return request
    return _review(desk, request, reviewer, whole)


def _vote_on_file(
    desk: Desk, request: ReleaseRequest, reviewer: Actor, file: OutputFile, choice: Choice, note: str
) -> None:
    given = FileVote(reviewer.id, request.round, file.sha256, choice, note, desk.now())
    one = frozenset({file.sha256})
    with desk.act("release.review", request, reviewer, files=one, reason=f"file_{choice}") as act:
        desk.requests.add_file_vote(request.id, given, act.receipt)


def _review(desk: Desk, request: ReleaseRequest, reviewer: Actor, whole: Choice) -> ReleaseRequest:
    with desk.act("release.review", request, reviewer, reason=whole.value) as act:
        step = desk.step(Act.REVIEW, reviewer, act.receipt, request=request)
        desk.requests.add_review(request.id, whole, request.hashes, step)
    return decide(desk, request.id)


def decide(desk: Desk, request_id: str) -> ReleaseRequest:
    """The house draws the conclusion from the reviews, if there are two and they agree enough."""
    request = desk.requests.request(request_id)
    if request.status is not Status.REVIEWED:
        return request
    found = rules.verdict(request, desk.requests.reviews(request.id), desk.insiders(request))
    if found is None or found.decision is Decision.THIRD:
        return request
    act, event = _conclusion(desk, request, found)
    return move(desk, event, act, request, HOUSE, decider="reviewers", reason=act.value)


def _conclusion(desk: Desk, request: ReleaseRequest, found: Verdict) -> tuple[Act, str]:
    if found.decision is Decision.RETURN:
        return Act.RETURN, "release.return"
    if found.decision is Decision.REJECT:
        return Act.REJECT, "release.reject"
    return (Act.ASK_PARTNER if awaited(desk, request) else Act.APPROVE), "release.approve"


def send_back(desk: Desk, visitor: Visitor, request_id: str, note: str) -> ReleaseRequest:
    """A reviewer returns the request to its author at any state of review."""
    request = desk.requests.request(request_id)
    reviewer = _reviewer(visitor)
    with desk.question("release.return", reviewer, request.project, request.id):
        rules.may_review(visitor.person, request, desk.insiders(request))
        after(request.status, Act.RETURN)
    return move(desk, "release.return", Act.RETURN, request, reviewer, note=rules.with_reason(note))


# --- partners


def speak_for_partner(
    desk: Desk, visitor: Visitor, request_id: str, *, agrees: bool, note: str = ""
) -> ReleaseRequest:
    """A delegate says the partner's yes or veto; when the last one awaited agrees, the request is approved."""
    request = desk.requests.request(request_id)
    delegate = visitor.acting_as(Role.PARTNER_DELEGATE)
    said = note.strip() if agrees else rules.with_reason(note)
    event = "release.approve" if agrees else "release.reject"
    with desk.question(event, delegate, request.project, request.id):
        partner = rules.spoken_for(visitor.person, awaited(desk, request))
        if agrees:
            rules.may_agree_for(visitor.person, partner, request, desk.insiders(request))
        after(request.status, Act.AGREE if agrees else Act.REJECT)
    word = PartnerWord(partner.id, request.round, agrees, visitor.person.id, said, desk.now())
    return hear(desk, request, word, delegate)


def hear(desk: Desk, request: ReleaseRequest, word: PartnerWord, actor: Actor) -> ReleaseRequest:
    """Keep a partner's word, spoken or by silence, and draw the conclusion."""
    what, event = (Act.AGREE, "release.approve") if word.agrees else (Act.REJECT, "release.reject")
    reason = "partner" if word.delegate else "partner_silence"
    with desk.act(event, request, actor, reason=reason, decider=word.partner) as act:
        step = desk.step(what, actor, act.receipt, note=word.note, request=request)
        desk.requests.add_partner_word(request.id, word, step)
    return conclude(desk, request.id)


def conclude(desk: Desk, request_id: str) -> ReleaseRequest:
    """The house approves once no partner's word is awaited."""
    request = desk.requests.request(request_id)
    if request.status is not Status.AWAITING_PARTNER or awaited(desk, request):
        return request
    return move(desk, "release.approve", Act.APPROVE, request, HOUSE, decider="partners", reason="approve")


def awaited(desk: Desk, request: ReleaseRequest) -> tuple[Partner, ...]:
    """Give the partners with a veto that have not spoken on this round."""
    partners = desk.agreements.partners_of(request.project)
    return rules.awaited(partners, desk.requests.partner_words(request.id), request.round)


# --- out of the house


def package(desk: Desk, visitor: Visitor, request_id: str) -> ReleaseRequest:
    """A publisher or steward has an approved request sealed, signed and let out."""
    request = desk.requests.request(request_id)
    publisher = visitor.acting_as(Role.PUBLISHER, Role.SENIOR_STEWARD, Role.STEWARD)
    with desk.question("release.package", publisher, request.project, request.id):
        rules.may_package(visitor.person, request, desk.insiders(request))
        if request.status is Status.SUSPENDED:
            rules.may_suspend(visitor.person, request, desk.insiders(request))
        project_open(desk.project(request), desk.today())
        after(request.status, Act.PACKAGE)
        approved_by = approved_by_two(desk, request)
    with desk.act("release.package", request, publisher) as act:
        desk.requests.move(request.id, desk.step(Act.PACKAGE, publisher, act.receipt, request=request))
        with or_failed(desk, request):
            return let_out(desk, request, approved_by, publisher, act)


def approved_by_two(desk: Desk, request: ReleaseRequest) -> tuple[str, ...]:
    """Give those who approved these bytes, asked anew at this moment."""
    return rules.fit_to_leave(request, desk.requests.reviews(request.id), desk.insiders(request))


def let_out(
    desk: Desk, request: ReleaseRequest, approved_by: Sequence[str], publisher: Actor, act: OpenAct
) -> ReleaseRequest:
    """Bag the outputs, have the bag in the trail, seal it, and only then call the request released."""
    files = {file.name: desk.folder.get(request.id, file.sha256, act.receipt) for file in request.outputs}
    bag = desk.packager.bag(request, files, approved_by)
    entered = _enter(desk, request, publisher, act.receipt, bag.tagmanifest_sha256)
    sealed = desk.packager.seal(bag, entered)
    digest = desk.folder.put_package(request.id, sealed, act.receipt)
    act.closing["release"] = about(request, artefact_sha256=bag.tagmanifest_sha256)
    act.closing["counts"] = {"bytes": len(sealed)}
    done = Package(digest, len(sealed), bag.tagmanifest_sha256)
    return desk.requests.add_package(
        request.id, done, desk.step(Act.DELIVER, publisher, act.receipt, request=request)
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
        release=about(request, artefact_sha256=artefact),
    )


def download(desk: Desk, visitor: Visitor, request_id: str) -> bytes:
    """A member of the project, or a publisher, takes the package out."""
    request = desk.requests.request(request_id)
    recipient = visitor.acting_as(Role.RESEARCHER, Role.PROJECT_LEAD, Role.PUBLISHER)
    with desk.question("release.download", recipient, request.project, request.id):
        rules.may_download(visitor.person, request, desk.project(request).people)
        after(request.status, Act.DOWNLOAD)
    with desk.act("release.download", request, recipient) as act:
        desk.requests.move(request.id, desk.step(Act.DOWNLOAD, recipient, act.receipt))
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


# --- shared steps


def _author(visitor: Visitor) -> Actor:
    return visitor.acting_as(Role.RESEARCHER, Role.PROJECT_LEAD)


def _reviewer(visitor: Visitor) -> Actor:
    return visitor.acting_as(Role.SENIOR_STEWARD, Role.STEWARD, Role.PARTNER_DELEGATE)


def _as_author(desk: Desk, visitor: Visitor, request_id: str, event: str, act: Act) -> ReleaseRequest:
    request = desk.requests.request(request_id)
    with desk.question(event, _author(visitor), request.project, request.id):
        rules.is_author(visitor.person, request)
        after(request.status, act, request.left)
    return request


def _keep(desk: Desk, request: str, offered: Sequence[Offered], act: OpenAct) -> None:
    for one in offered:
        desk.folder.put(request, one.content, act.receipt)


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
    with desk.act(event, request, actor, reason=reason, **release) as act:
        step = desk.step(what, actor, act.receipt, note=note, request=request)
        return desk.requests.move(request.id, step)
