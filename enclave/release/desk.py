"""What the release journey works with: the stores, the recorder, the checks and the packager, built by the wiring."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Protocol

from enclave.agreements.store import AgreementStore
from enclave.agreements.words import Project
from enclave.errors import EnclaveError
from enclave.recording import Actor, Denials, EventObject, OpenAct, Recorded, Recorder, recorded
from enclave.release.folder import ReleaseFolder
from enclave.release.states import Act
from enclave.release.store import ReleaseStore, Step
from enclave.release.words import CheckVerdict, ReleaseRequest

HOUSE = Actor("enclave", "service", "house")


class CheckReport(Protocol):
    """What the automatic checks say; `anonymisation.disclosure` gives it."""

    @property
    def verdict(self) -> CheckVerdict: ...

    def to_json(self) -> dict[str, Any]: ...


class Bag(Protocol):
    """A package before it is signed; the hash of its tag manifest stands for all of it."""

    @property
    def tagmanifest_sha256(self) -> str: ...


class Packager(Protocol):
    """Builds the package in two steps: what is signed must be in the trail first."""

    def bag(self, request: ReleaseRequest, files: Mapping[str, bytes], approved_by: Sequence[str]) -> Bag: ...

    def seal(self, bag: Bag, receipt: Recorded) -> bytes: ...


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

    def project(self, request: ReleaseRequest) -> Project:
        return self.agreements.project(request.project)

    def insiders(self, request: ReleaseRequest) -> frozenset[str]:
        """Everybody too near to the request to decide on it."""
        return self.agreements.ever_members(request.project) | {request.author}

    def act(
        self,
        event: str,
        request: ReleaseRequest,
        actor: Actor,
        *,
        files: frozenset[str] | None = None,
        reason: str | None = None,
        **release: Any,
    ) -> AbstractContextManager[OpenAct]:
        """Record an act on a request around the change; `files` names the bytes it is about (default all)."""
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
        )

    @contextmanager
    def question(self, event: str, actor: Actor, project: str, request: str | None = None) -> Iterator[None]:
        """Ask the rules; a refusal goes to the trail as a denied attempt, and to the person at once."""
        try:
            yield
        except EnclaveError as refusal:
            if refusal.kind == "refused":
                about = [EventObject("project", project)] if request is None else [request_object(request)]
                self.denials.tell(event, refusal.code, actor=actor, objects=about, project=project)
            raise

    def step(
        self,
        act: Act,
        actor: Actor,
        receipt: Recorded,
        *,
        note: str = "",
        request: ReleaseRequest | None = None,
    ) -> Step:
        """Give the step a store takes; with a request, bound to the round it was decided on."""
        number = None if request is None else request.round
        return Step(act, actor.id, self.now(), receipt, note, number)


def request_object(request: str) -> EventObject:
    return EventObject("request", request)


def about(request: ReleaseRequest, files: frozenset[str] | None = None, **more: Any) -> dict[str, Any]:
    """Give the `release` part of an event: the request and the hashes of the bytes it is about."""
    hashes = request.hashes if files is None else files
    return {"request": request.id, "files": [{"sha256": one} for one in sorted(hashes)], **more}
