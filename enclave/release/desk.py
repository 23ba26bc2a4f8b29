"""What the release journey works with: the stores, the recorder, the checks and the packager, built by the wiring."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Protocol

from enclave.agreements.store import AgreementStore
from enclave.errors import EnclaveError
from enclave.people import Person
from enclave.recording import (
    Actor,
    Denials,
    EventObject,
    OpenAct,
    Recorded,
    Recorder,
    Visitor,
    apart,
    recorded,
)
from enclave.release.folder import ReleaseFolder
from enclave.release.packaging import Packager
from enclave.release.questions import Situation
from enclave.release.rules import holds_direct_identifier
from enclave.release.states import Act
from enclave.release.store import ReleaseStore, Step
from enclave.release.words import CheckVerdict, ReleaseRequest

HOUSE = Actor("enclave", "service", "house")


class CheckReport(Protocol):
    """What the automatic checks say; `anonymisation.disclosure` gives it."""

    @property
    def verdict(self) -> CheckVerdict: ...

    def to_json(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Desk:
    """The release desk, open."""

    recorder: Recorder
    denials: Denials
    requests: ReleaseStore
    folder: ReleaseFolder
    agreements: AgreementStore
    check_files: Callable[[str, Mapping[str, bytes]], CheckReport]
    packager: Packager
    now: Callable[[], datetime]

    def today(self) -> date:
        return self.now().date()

    def situation(self, request_id: str) -> Situation:
        """Read everything the questions need, now. Raises `NotFound`."""
        request = self.requests.request(request_id)
        return Situation(
            request=request,
            project=self.agreements.project(request.project),
            today=self.today(),
            insiders=self.agreements.ever_members(request.project) | {request.author},
            reviews=self.requests.reviews(request.id),
            file_votes=self.requests.file_votes(request.id),
            waivers=self.requests.waivers(request.id),
            partners=self.agreements.partners_of(request.project),
            partner_words=self.requests.partner_words(request.id),
            direct_identifiers=self._direct_identifiers(request),
        )

    def _direct_identifiers(self, request: ReleaseRequest) -> bool:
        """Tell whether the checks found one; without a report, take it that they would have."""
        found = self.requests.check(request.id, request.round)
        return found is None or holds_direct_identifier(json.loads(found.report))

    def act(
        self,
        event: str,
        request: ReleaseRequest,
        actor: Actor,
        *,
        files: frozenset[str] | None = None,
        reason: str | None = None,
        note: str = "",
        **release: Any,
    ) -> AbstractContextManager[OpenAct]:
        """Record an act on a request around the change; `files` names the bytes it is about (default all).

        `note` is what the person wrote: kept sealed beside the event, under their own key.
        """
        told = about(request, files, **release)
        return recorded(
            self.recorder,
            event,
            actor=actor,
            objects=[request_object(request.id)],
            project=request.project,
            release=told,
            closing={"release": told},
            **({} if reason is None else {"reason": reason}),
            **apart(actor.id, comment=note),
        )

    @contextmanager
    def question(
        self, event: str, actor: Actor, project: str, request: ReleaseRequest | None = None
    ) -> Iterator[None]:
        """Ask the rules; a refusal goes to the trail as a denied attempt, and to the person at once."""
        what = EventObject("project", project) if request is None else request_object(request.id)
        try:
            yield
        except EnclaveError as refusal:
            if refusal.kind == "refused":
                self.denials.tell(event, refusal.code, actor=actor, objects=[what], project=project)
            raise

    def ask(
        self,
        event: str,
        question: Callable[[Person, Situation], None],
        visitor: Visitor,
        actor: Actor,
        request_id: str,
    ) -> Situation:
        """Ask whether this person may do this to this request now; give the request as it was seen."""
        now = self.situation(request_id)
        with self.question(event, actor, now.request.project, now.request):
            question(visitor.person, now)
        return now

    def step(self, act: Act, actor: Actor, receipt: Recorded, seen: ReleaseRequest, note: str = "") -> Step:
        """Give the step a store takes, bound to the request it was decided on."""
        return Step(act, actor.id, self.now(), receipt, note, seen)


def request_object(request: str) -> EventObject:
    return EventObject("request", request)


def about(request: ReleaseRequest, files: frozenset[str] | None = None, **more: Any) -> dict[str, Any]:
    """Give the `release` part of an event: the request and the hashes of the bytes it is about."""
    hashes = request.hashes if files is None else files
    return {"request": request.id, "files": [{"sha256": one} for one in sorted(hashes)], **more}
