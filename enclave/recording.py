"""How a journey speaks to the recorder: intent before the change, outcome after it, denials aside."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from enclave.errors import EnclaveError
from enclave.people import Person, Role
from enclave.receipt import Receipt

Outcome = Literal["success", "denied", "failed"]

UNEXPECTED = "unexpected"
# Beyond so many denials on their way, the next answer waits for them: a flood must not fill the memory.
MOST_ON_THEIR_WAY = 256


@dataclass(frozen=True)
class Actor:
    """Who acts, as the trail writes it: an id, never a name."""

    id: str
    kind: Literal["person", "service"]
    role: str
    session: str | None = None
    auth: str | None = None


@dataclass(frozen=True)
class EventObject:
    """What is acted upon; `str()` gives the form receipts are matched on."""

    kind: str
    id: str
    sha256: str | None = None
    bytes: int | None = None

    def __str__(self) -> str:
        return f"{self.kind}:{self.id}"


# Nothing longer is kept beside an event (`audit.details.LONGEST`); a browser may call itself what it likes.
LONGEST_APART = {"client": 64, "browser": 256, "comment": 4_000}


def apart(person: str, **words: str) -> dict[str, Any]:
    """Give words about a person for the trail to keep sealed beside an event, where they can be erased.

    Handed over with the event's own fields; nothing where every word is empty.
    """
    told = {name: text[: LONGEST_APART[name]] for name, text in words.items() if text}
    return {"detail": {"person": person, "words": told}} if told else {}


@dataclass(frozen=True)
class Visitor:
    """The person asking now, re-read from `house.db`, with how they were recognised."""

    person: Person
    auth: str = "password"
    session: str | None = None

    def acting_as(self, *roles: Role) -> Actor:
        """Give the actor of an event, under the first of these roles the person holds (else `none`)."""
        role = next((role.value for role in roles if role in self.person.roles), "none")
        return Actor(self.person.id, "person", role, self.session, self.auth)


class Recorded(Receipt, Protocol):
    """A receipt that can be closed: `corr` ties the outcome to its intent."""

    @property
    def corr(self) -> str: ...


class Recorder(Protocol):
    """The trail as the house sees it; each method is durable when it returns, or raises `ComponentDown`."""

    def intent(
        self,
        act: str,
        *,
        actor: Actor,
        objects: Sequence[EventObject],
        project: str | None = None,
        corr: str | None = None,
        **detail: Any,
    ) -> Recorded: ...

    def outcome(
        self, receipt: Recorded, outcome: Outcome, *, reason: str | None = None, **detail: Any
    ) -> Recorded: ...

    def single(
        self,
        act: str,
        *,
        actor: Actor,
        objects: Sequence[EventObject],
        project: str | None = None,
        corr: str | None = None,
        outcome: Outcome = "success",
        reason: str | None = None,
        **detail: Any,
    ) -> Recorded: ...

    def proof(self, index: int) -> str:
        """Give an entry's inclusion proof, once the trail's files show the entry."""


@dataclass
class OpenAct:
    """An act between its intent and its outcome; `reason` and `closing` are written with a success."""

    receipt: Recorded
    reason: str | None = None
    closing: dict[str, Any] = field(default_factory=dict)


@contextmanager
def recorded(
    recorder: Recorder,
    act: str,
    *,
    actor: Actor,
    objects: Sequence[EventObject],
    project: str | None = None,
    closing: dict[str, Any] | None = None,
    **detail: Any,
) -> Iterator[OpenAct]:
    """Record the intent, let the change happen, record how it ended.

    `closing` is said again with a success, and may be added to meanwhile; the reason of an intent is the reason
    of its success. An error keeps its own face even when the recorder has gone meanwhile: the open intent is then closed
    as interrupted at the next start.
    """
    receipt = recorder.intent(act, actor=actor, objects=objects, project=project, **detail)
    opened = OpenAct(receipt, detail.get("reason"), closing or {})
    try:
        yield opened
    except BaseException as error:
        with suppress(EnclaveError):
            recorder.outcome(opened.receipt, _ending(error), reason=getattr(error, "code", UNEXPECTED))
        raise
    recorder.outcome(opened.receipt, "success", reason=opened.reason, **opened.closing)


def _ending(error: BaseException) -> Outcome:
    return "denied" if getattr(error, "kind", None) == "refused" else "failed"


class Denials:
    """Writes denied attempts to the trail in the background: a refusal is answered without waiting for it."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="denials")
        self._open: set[Future[Recorded]] = set()

    def tell(
        self,
        act: str,
        reason: str,
        *,
        actor: Actor,
        objects: Sequence[EventObject],
        project: str | None = None,
    ) -> None:
        """Hand a denied attempt over; returns at once, unless very many are still on their way."""
        if len(self._open) >= MOST_ON_THEIR_WAY:
            self.settle()
        told = self._writer.submit(
            self._recorder.single,
            act,
            actor=actor,
            objects=objects,
            project=project,
            outcome="denied",
            reason=reason,
        )
        self._open.add(told)
        told.add_done_callback(self._open.discard)

    def settle(self) -> None:
        """Wait until every denial told so far is written or has failed; for the stop of the service."""
        wait(self._open.copy())
