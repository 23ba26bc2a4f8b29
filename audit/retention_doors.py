"""The recorder's doors to what can be read, erased or pruned: each asks the log itself whether it may.

Nothing is believed that the caller says of who acts: the entry that announces an act is read from the log, and the
rules look at it. What is erased is announced before, and its outcome recorded after, by whoever asks.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any, Final, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from audit import retention
from audit.details_store import Details, Erased
from audit.errors import AuditError, BadInput, LogDamaged, NotFound
from audit.event import Code, utc_now
from audit.log import Log
from audit.retention import ERASE, PRUNE, READ, Rules
from audit.store_search import MAX_ROWS, Search
from audit.tiles import WIDTH

MAX_BODY_BYTES: Final = 1 << 20  # a few thousand projects with their last days
DETAILS: Final = "trail:details"
LOG: Final = "trail:log"
SEALED: Final = (
    b',"sealed":{"sha256":"'  # as `audit.event.stamp` writes it; no text of an event holds a quotation mark
)
PERSON_RULE: Final = (
    "person"  # the rule a tombstone names when an auditor and a data protection officer agreed
)
NEVER_RECORDED: Final = "never-recorded"

Day = Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
Index = Annotated[int, Field(ge=0)]


@dataclass(frozen=True)
class Survey:
    """What the rules say of the details held today."""

    held: dict[str, int]
    expired: dict[str, list[int]]
    next_day: date | None
    without_end: int  # decisions of a project whose last day was not given
    missing: int  # entries with a detail that is neither held nor erased by a rule

    def as_json(self) -> dict[str, Any]:
        """Give counts and days, no entry."""
        return {
            "held": self.held,
            "expired": {rule: len(places) for rule, places in self.expired.items()},
            "next": None if self.next_day is None else self.next_day.isoformat(),
            "without_end": self.without_end,
            "missing": self.missing,
        }


class Keeper:
    """Reads, erases and prunes, under an entry of the log that announces it."""

    def __init__(self, log: Log, clock: Callable[[], str] = utc_now) -> None:
        self._log = log
        self._clock = clock
        self._turn = threading.Lock()  # one erasure at a time
        self._read_under: set[int] = set()

    @property
    def _details(self) -> Details:
        if self._log.details is None:
            raise NotFound("no_details", "this recorder keeps no details", "start it with their key")
        return self._log.details

    def _now(self) -> datetime:
        return datetime.fromisoformat(self._clock())

    def _entry(self, index: int) -> dict[str, Any]:
        for leaf, _ in self._log.store.leaves(index, index + 1):
            event: dict[str, Any] = orjson.loads(leaf)
            return event
        raise NotFound("no_entry", f"the trail has no entry {index}")

    def state(self, index: int) -> dict[str, Any]:
        """Say how the detail of an entry stands: none, sealed, erased or lost; or that the entry itself was pruned."""
        if index < self._log.store.boundary():
            return {"state": "pruned"}
        if "sealed" not in self._entry(index):
            return {"state": "none"}
        found = self._details.state(index)
        if isinstance(found, Erased):
            return {"state": "erased", "rule": found.rule, "at": found.at, "entry": found.entry}
        return {"state": "sealed" if found else "lost"}

    def read(self, index: int, receipt: int) -> dict[str, Any]:
        """Open one detail, once under each receipt; it must fit the commitment in its leaf."""
        retention.is_receipt(self._entry(receipt), READ, "single", f"detail:{index}", self._now())
        with self._turn:
            if receipt in self._read_under:
                raise AuditError("receipt_used", "under this entry the detail was read already", "ask again")
            self._read_under.add(receipt)
        entry = self._entry(index)
        opened = self._details.read(index)
        if "sealed" not in entry or opened is None or isinstance(opened, Erased):
            raise NotFound("no_detail", f"there is no detail of entry {index} to read", "see how it stands")
        if opened.commitment() != entry["sealed"]["sha256"]:
            raise LogDamaged(
                "detail_differs",
                f"the detail of entry {index} is not the one its leaf commits to",
                "restore details.db from a copy",
                index=index,
            )
        return {
            "person": opened.detail.person,
            "words": dict(opened.detail.words),
            "opening": opened.opening.hex(),
            "commitment": opened.commitment(),
        }

    def survey(self, rules: Rules, ends: Mapping[str, date]) -> Survey:
        """Say what has had its time, and when the next detail will have."""
        today = self._now().date()
        held: dict[str, int] = {}
        expired: dict[str, list[int]] = {}
        days: list[date] = []
        without_end = 0
        for index, event in self._held_events():
            rule = NEVER_RECORDED if event is None else retention.rule_of(event)
            held[rule] = held.get(rule, 0) + 1
            day = today if event is None else retention.expiry(event, rules, ends)
            if day is None:
                without_end += 1
            elif day <= today:
                expired.setdefault(rule, []).append(index)
            else:
                days.append(day)
        return Survey(held, expired, min(days, default=None), without_end, self._missing())

    def _missing(self) -> int:
        """Count the details that somebody took away without a rule."""
        start, size = self._log.store.boundary(), self._log.head.size
        known = self._details.known()
        leaves = enumerate(self._log.store.leaves(start, size), start)
        return sum(SEALED in leaf and index not in known for index, (leaf, _) in leaves)

    def _held_events(self) -> Iterator[tuple[int, dict[str, Any] | None]]:
        """Give each detail's entry; None where the entry there is another: the detail's own was refused."""
        held = dict(self._details.held())
        if not held:
            return
        first = min(held)
        for index, (leaf, _) in enumerate(self._log.store.leaves(first, max(held) + 1), first):
            if index in held:
                event = orjson.loads(leaf)
                yield index, event if event["id"] == held[index] and "sealed" in event else None

    def apply(self, rules: Rules, ends: Mapping[str, date], receipt: int) -> dict[str, Any]:
        """Erase what has had its time; the receipt carries the durations, and the reason for longer ones."""
        intent = self._intent(ERASE, DETAILS, receipt)
        _announces(intent, rules, ends, rules.as_counts())
        with self._turn:
            survey = self.survey(rules, ends)
            self._details.erase(survey.expired, self._clock(), receipt)
        return survey.as_json()

    def destroy(self, person: str, asked: int, receipt: int) -> dict[str, int]:
        """Destroy a person's key and details: one asked, the other role's holder agrees with the receipt."""
        about = f"person:{person}"
        self._agreed(ERASE, about, asked, self._intent(ERASE, about, receipt))
        with self._turn:
            return {"erased": self._details.destroy(person, Erased(PERSON_RULE, self._clock(), receipt))}

    def prunable(self, rules: Rules, ends: Mapping[str, date]) -> dict[str, Any]:
        """Say how far the log may be cut today, how far it is, and who asked for it.

        Nothing is cut that an auditor has not signed off, that has a detail still, or that a rule keeps.
        """
        return {
            "boundary": self._boundary(rules, ends),
            "pruned": self._log.store.boundary(),
            "size": self._log.head.size,
            "asked": self.asked(PRUNE, LOG),
        }

    def _boundary(self, rules: Rules, ends: Mapping[str, date]) -> int:
        start, size = self._log.store.boundary(), self._log.head.size
        reviewed, _ = self._log.search(Search({"type": "audit.review"}, limit=1))
        keep_from = reviewed[0]["counts"]["last"] + 1 if reviewed else 0
        keep_from = min([keep_from, *(index for index, _ in self._details.held())])
        events = (
            (index, orjson.loads(leaf))
            for index, (leaf, _) in enumerate(self._log.store.leaves(start, size), start)
        )
        return retention.boundary(events, keep_from, rules, ends, self._now().date(), WIDTH)

    def prune(self, rules: Rules, ends: Mapping[str, date], asked: int, receipt: int) -> dict[str, int]:
        """Cut the log where the receipt announces it: asked by one and agreed by the other, and no further than may be."""
        intent = self._intent(PRUNE, LOG, receipt)
        self._agreed(PRUNE, LOG, asked, intent)
        announced = intent.get("counts", {})
        cut = announced.get("boundary", 0)
        _announces(intent, rules, ends, {**rules.as_counts(), "boundary": cut})
        with self._turn:
            before, most = self._log.store.boundary(), self._boundary(rules, ends)
            if cut % WIDTH or not before < cut <= most:
                raise AuditError(
                    "not_prunable",
                    f"the log may be cut below {most} today, not below {cut}; nothing was done",
                    "ask again how far it may be cut",
                    most=most,
                )
            self._log.prune(cut, receipt)
        return {"boundary": cut, "removed": cut - before}

    def details_of(self, person: str) -> int:
        """Give how many details are held under a person's key."""
        return self._details.of_person(person)

    def asked(self, act: str, about: str) -> dict[str, Any] | None:
        """Give who asked for an act that nobody has done since: index, person, role and when."""
        # By type alone, which the database has an index for itself: no decision hangs on the index of words.
        found, _ = self._log.search(Search({"type": act}, limit=MAX_ROWS))
        for event in (each for each in found if retention.is_about(each, about)):
            if event["phase"] == "outcome" and event.get("outcome") == "success":
                return None
            if event.get("reason") == retention.ASKED:
                actor = event["actor"]
                return {
                    "index": event["seq"],
                    "by": actor["id"],
                    "role": actor.get("role"),
                    "at": event["ts"],
                }
        return None

    def _agreed(self, act: str, about: str, asked: int, intent: dict[str, Any]) -> None:
        found = self.asked(act, about)
        if found is None or found["index"] != asked or asked > intent["seq"]:
            raise AuditError(
                "nobody_asked", "nobody has asked for this; nothing was done", "one of the two asks first"
            )
        retention.agreed_by_two(self._entry(asked), intent, act, about)

    def _intent(self, act: str, about: str, receipt: int) -> dict[str, Any]:
        """Give the entry that announces an act, if it is fresh and nothing has closed it."""
        event = self._entry(receipt)
        retention.is_receipt(event, act, "intent", about, self._now())
        _, closed = self._log.search(Search({"type": act, "corr": event["corr"], "phase": "outcome"}))
        if closed:
            raise AuditError("receipt_used", "that act is over; nothing was done", "ask again")
        return event


def _announces(
    intent: Mapping[str, Any], rules: Rules, ends: Mapping[str, date], counts: Mapping[str, int]
) -> None:
    """Refuse an entry that says other durations, another reason or other last days than are to be applied."""
    said = intent.get("counts"), intent.get("policy"), intent.get("reason") or ""
    if said != (counts, rules.as_policy(ends), rules.reason):
        raise AuditError(
            "receipt_mismatch",
            "the entry announces other durations, another reason or other projects; nothing was done",
            "record the intent of this very act",
        )


# --- over HTTP


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


Form = TypeVar("Form", bound=_Body)


class _Read(_Body):
    receipt: Index


class _Rules(_Body):
    access_days: int = retention.ACCESS_DAYS
    decision_years: int = retention.DECISION_YEARS
    reason: Code | None = None
    ends: dict[Code, Day] = {}
    receipt: Index | None = None

    def rules(self) -> Rules:
        return Rules(self.access_days, self.decision_years, self.reason or "")

    def days(self) -> dict[str, date]:
        return {project: date.fromisoformat(day) for project, day in self.ends.items()}


class _Prune(_Rules):
    asked: Index | None = None


class _Destroy(_Body):
    person: Code
    asked: Index
    receipt: Index


def routes() -> list[Route]:
    """Give the doors of the recorder to details and their end."""
    return [
        Route("/v1/details/{index:int}", _state, methods=["GET"]),
        Route("/v1/details/{index:int}", _read, methods=["POST"]),
        Route("/v1/retention", _retention, methods=["POST"]),
        Route("/v1/prune", _prune, methods=["POST"]),
        Route("/v1/persons/{person}", _person, methods=["GET"]),
        Route("/v1/persons/destroy", _destroy, methods=["POST"]),
    ]


async def _state(request: Request) -> Response:
    return JSONResponse(await run_in_threadpool(_keeper(request).state, request.path_params["index"]))


async def _read(request: Request) -> Response:
    body = await _body(request, _Read)
    return JSONResponse(
        await run_in_threadpool(_keeper(request).read, request.path_params["index"], body.receipt)
    )


async def _retention(request: Request) -> Response:
    body = await _body(request, _Rules)
    keeper, rules, ends = _keeper(request), body.rules(), _days(body)
    if body.receipt is None:
        return JSONResponse((await run_in_threadpool(keeper.survey, rules, ends)).as_json())
    return JSONResponse(await run_in_threadpool(keeper.apply, rules, ends, body.receipt))


async def _prune(request: Request) -> Response:
    body = await _body(request, _Prune)
    keeper, rules, ends = _keeper(request), body.rules(), _days(body)
    if body.receipt is None or body.asked is None:
        return JSONResponse(await run_in_threadpool(keeper.prunable, rules, ends))
    return JSONResponse(await run_in_threadpool(keeper.prune, rules, ends, body.asked, body.receipt))


async def _person(request: Request) -> Response:
    person, keeper = request.path_params["person"], _keeper(request)
    held = await run_in_threadpool(keeper.details_of, person)
    return JSONResponse(
        {"held": held, "asked": await run_in_threadpool(keeper.asked, ERASE, f"person:{person}")}
    )


async def _destroy(request: Request) -> Response:
    body = await _body(request, _Destroy)
    return JSONResponse(
        await run_in_threadpool(_keeper(request).destroy, body.person, body.asked, body.receipt)
    )


def _keeper(request: Request) -> Keeper:
    keeper: Keeper = request.app.state.keeper
    return keeper


def _days(body: _Rules) -> dict[str, date]:
    try:
        return body.days()
    except ValueError:
        raise _unreadable() from None


async def _body(request: Request, form: type[Form]) -> Form:
    held = b""
    async for part in request.stream():
        held += part
        if len(held) > MAX_BODY_BYTES:
            raise _unreadable()
    try:
        return form.model_validate(orjson.loads(held))
    except (orjson.JSONDecodeError, ValidationError):
        raise _unreadable() from None


def _unreadable() -> BadInput:
    return BadInput("bad_request", "what was asked cannot be read; nothing was done", "see docs/retention.md")
