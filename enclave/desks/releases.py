"""The release desk as pages and notebooks meet it: requests in a list, a request opened, a step taken."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, Final

import orjson

from anonymisation.disclosure.policy import DisclosurePolicy
from anonymisation.disclosure.report import Report, in_language
from anonymisation.disclosure.scan import check_files
from audit.errors import AuditError
from audit.timestamp import stamp
from enclave.agreements.policy import load_policy
from enclave.agreements.rules import has_role, may_work
from enclave.desks.people import PeopleDesk
from enclave.desks.tools import now
from enclave.errors import NotFound, Refused
from enclave.journeys import release, release_incidents
from enclave.people import Person, Role
from enclave.recording import Actor, EventObject, Visitor, recorded
from enclave.release import rules
from enclave.release.desk import Desk
from enclave.release.packaging import Packager
from enclave.release.questions import Offer, Situation, offered, shown_votes
from enclave.release.states import Act, Status
from enclave.release.words import Choice, OutputFile, ReleaseRequest
from enclave.web.sheets import Choice as WebChoice
from enclave.web.sheets import (
    Download,
    FileIn,
    FileSheet,
    Finding,
    Json,
    May,
    Move,
    RequestLine,
    RequestSheet,
    Vote,
)

REVIEWERS: Final = frozenset({Role.STEWARD, Role.SENIOR_STEWARD, Role.PARTNER_DELEGATE, Role.PUBLISHER})
LOOKERS_ON: Final = REVIEWERS | {Role.AUDITOR}
# The checks can be asked about anything: a low daily number keeps them from being used as an oracle (design 8).
CHECKS_PER_DAY: Final = 50
# What a recipient may do is between the project and its partners; the package does not widen it.
LICENCE: Final = "Use limited to the stated purpose, as agreed between the project and its partners."
OFFERS: Final[dict[Offer, May]] = {
    Offer.SUBMIT: "submit",
    Offer.WITHDRAW: "withdraw",
    Offer.VIEW: "open",
    Offer.VOTE: "vote",
    Offer.RETURN: "return",
    Offer.EXCEPT: "except",
    Offer.AGREE: "agree",
    Offer.VETO: "veto",
    Offer.SUSPEND: "suspend",
    Offer.REFUSE: "reject",
    Offer.REVOKE: "revoke",
    Offer.PACKAGE: "package",
    Offer.DOWNLOAD: "download",
}
# What a person is waited for: looking on and withdrawing is not waiting.
WAITED_FOR: Final = frozenset({Offer.VOTE, Offer.EXCEPT, Offer.AGREE, Offer.PACKAGE, Offer.REFUSE})

Step = Callable[[Desk, Visitor, str, str], ReleaseRequest]
STEPS: Final[dict[Move, Step]] = {
    "submit": lambda desk, visitor, request, _: _submit(desk, visitor, request),
    "withdraw": lambda desk, visitor, request, _: release.withdraw(desk, visitor, request),
    "return": release.send_back,
    "except": release_incidents.waive,
    "agree": lambda desk, visitor, request, note: release.speak_for_partner(
        desk, visitor, request, agrees=True, note=note
    ),
    "veto": lambda desk, visitor, request, note: release.speak_for_partner(
        desk, visitor, request, agrees=False, note=note
    ),
    "suspend": release_incidents.suspend,
    "reject": release_incidents.refuse_suspended,
    "package": lambda desk, visitor, request, _: release.package(desk, visitor, request),
    "revoke": release_incidents.revoke,
}


def _submit(desk: Desk, visitor: Visitor, request: str) -> ReleaseRequest:
    release.submit(desk, visitor, request)
    return release.check(desk, request)


def stamper(authority: str) -> Callable[[bytes], bytes | None]:
    """Give what asks a time-stamping authority for a stamp, and gives None where there is none or it does not answer."""

    def stamped(checkpoint: bytes) -> bytes | None:
        try:
            return stamp(authority, checkpoint) if authority else None
        except AuditError:
            return None

    return stamped


class ReleaseDesk(PeopleDesk):
    """Files that ask to leave."""

    @property
    def desk(self) -> Desk:
        """The release journey's own tools."""
        packager = Packager(
            house=self.settings.trail.origin,
            licence=LICENCE,
            sign=lambda data: self.keys.sign("package", data),
            public_key=self.keys.public_key("package"),
            prove=self.recorder.proof,
            stamp=stamper(self.settings.trail.stamp_url),
        )
        return Desk(
            self.recorder,
            self.denials,
            self.releases,
            self.files,
            self.agreements,
            self._checked,
            packager,
            now,
        )

    def check_files(self, person: Person, project: str, files: Sequence[FileIn]) -> Json:
        """Run the checks without a request; recorded and limited per day."""
        visitor = self.visitor(person, project)
        may_work(person, self.agreements.project(project))
        actor = visitor.acting_as(Role.RESEARCHER, Role.PROJECT_LEAD)
        self._not_too_many(actor)
        about = [EventObject("project", project)]
        with recorded(self.recorder, "release.check", actor=actor, objects=about, project=project) as act:
            report = self._checked(project, {file.name: file.content for file in files})
            act.closing["counts"] = {"files": len(files)}
            act.reason = report.verdict
        return in_language(report.to_json(), person.locale)

    def create_request(
        self, person: Person, project: str, title: str, purpose: str, files: Sequence[FileIn]
    ) -> str:
        """Make a draft and give its id."""
        offers = [release.Offered(file.name, file.content, file.supporting) for file in files]
        return release.create(self.desk, self.visitor(person, project), project, title, purpose, offers).id

    def own_requests(self, person: Person, project: str | None = None) -> Sequence[RequestLine]:
        """List the person's own requests, newest first."""
        mine = self.releases.requests(project=project, author=person.id)
        return [self._line(person, self._situation(one)) for one in reversed(mine)]

    def queue(self, person: Person) -> Sequence[RequestLine]:
        """List what a reviewer or partner delegate may open, oldest first."""
        has_role(person, REVIEWERS)
        release_incidents.hear_silences(self.desk)
        release_incidents.expire_ended(self.desk)
        found = [self._situation(one) for one in self.releases.requests() if one.status is not Status.DRAFT]
        return [self._line(person, one) for one in found if self._concerns(person, one)]

    def request(self, person: Person, request: str) -> RequestSheet:
        """Open one; to others than its author, reviewers and auditors it is not there."""
        found = self._situation(self._readable(person, request))
        check = self.releases.check(request, found.request.round)
        report: Json = orjson.loads(check.report) if check is not None else {"files": [], "policy": {}}
        report = in_language(report, person.locale)
        policy = report["policy"]
        return RequestSheet(
            line=self._line(person, found),
            purpose=found.request.purpose,
            files=[_file_sheet(person, found, one, report) for one in found.request.files],
            may=frozenset(OFFERS[offer] for offer in offered(person, found) if offer in OFFERS),
            policy=f"{policy['name']} {policy['version']}" if policy else "",
            exception_votes=len(rules.standing_waivers(found.request, found.waivers, found.insiders)),
            package_sha256=found.request.package.sha256 if found.request.package is not None else "",
        )

    def file(self, person: Person, request: str, sha256: str) -> FileIn:
        """Give a file to look at; the view is recorded before the bytes are opened."""
        content = release.view(self.desk, Visitor(person), request, sha256)
        found = rules.on_these_bytes(self.releases.request(request), sha256)
        return FileIn(found.name, content, found.supporting)

    def vote(self, person: Person, request: str, sha256: str, choice: WebChoice, reason: str) -> None:
        """Vote on exactly these bytes."""
        release.vote(self.desk, Visitor(person), request, sha256, Choice(choice), reason)

    def move(self, person: Person, request: str, move: Move, reason: str) -> None:
        """Take one step of the request's life."""
        self._readable(person, request)
        STEPS[move](self.desk, Visitor(person), request, reason)

    def download(self, person: Person, request: str) -> Download:
        """Give the sealed package; recorded before the first byte."""
        content = release.download(self.desk, Visitor(person), request)
        return Download(f"{request}.zip", [content])

    def retry_release(self, person: Person, request: str) -> str:
        """Try again what failed, as an operator; gives the state it came to."""
        return release_incidents.retry(self.desk, Visitor(person), request).status.value

    def catch_up_releases(self) -> None:
        """Say of requests a crash left at work that they failed."""
        release_incidents.catch_up(self.desk)

    def _situation(self, request: ReleaseRequest) -> Situation:
        return self.desk.situation(request.id)

    def _readable(self, person: Person, request: str) -> ReleaseRequest:
        found = self.releases.request(request)
        if person.id != found.author and (found.status is Status.DRAFT or not person.roles & LOOKERS_ON):
            raise NotFound("no_such_request", "There is no such request.", "Check its id.")
        return found

    def _concerns(self, person: Person, found: Situation) -> bool:
        return person.id not in found.insiders

    def _line(self, person: Person, found: Situation) -> RequestLine:
        request = found.request
        moves = self.releases.moves(request.id)
        return RequestLine(
            id=request.id,
            title=request.title,
            project=request.project,
            author=request.author,
            status=request.status.value,
            since=request.since,
            files=len(request.files),
            awaits=bool(offered(person, found) & WAITED_FOR),
            outcome_reason=moves[-1].note if moves and moves[-1].act in {Act.RETURN, Act.REJECT} else "",
        )

    def _checked(self, project: str, files: Any) -> Report:
        """Run the checks under the strictest threshold among the project's datasets."""
        ids = {agreement.dataset for agreement in self.agreements.agreements(project)}
        policies = [self.agreements.dataset(dataset).policy_yaml for dataset in sorted(ids)]
        thresholds = [load_policy(text).disclosure.threshold for text in policies if text is not None]
        return check_files(
            files, DisclosurePolicy(threshold=max(thresholds, default=DisclosurePolicy().threshold))
        )

    def _not_too_many(self, actor: Actor) -> None:
        since = (now() - timedelta(days=1)).isoformat(timespec="microseconds").replace("+00:00", "Z")
        asked = self.recorder.search(
            actor=actor.id, type="release.check", phase="intent", after=since, limit=1
        )
        if asked["total"] >= CHECKS_PER_DAY:
            raise Refused(
                "checks_used_up",
                f"You have run the checks {CHECKS_PER_DAY} times in a day.",
                "Submit the files, or wait until tomorrow.",
                most=CHECKS_PER_DAY,
            )


def _file_sheet(person: Person, found: Situation, file: OutputFile, report: Json) -> FileSheet:
    told = next((one for one in report["files"] if one["sha256"] == file.sha256), None)
    cast = [one for one in found.file_votes if one.sha256 == file.sha256 and one.round == found.request.round]
    shown = [one for one in shown_votes(person.id, found) if one.sha256 == file.sha256]
    return FileSheet(
        name=file.name,
        sha256=file.sha256,
        bytes=file.bytes,
        verdict=told["verdict"] if told is not None else None,
        supporting=file.supporting,
        findings=[_finding(one) for one in told["findings"]] if told is not None else [],
        votes=[Vote(one.reviewer, one.choice.value, one.note, one.at) for one in shown],
        votes_cast=len({one.reviewer for one in cast}),
    )


def _finding(told: Json) -> Finding:
    return Finding(told["check"], told["verdict"], told["where"], told["rule"], told["source"], told["fix"])
