"""Reconciles a trail with a statement of the house's books: what one of them holds and the other does not.

Pure rules over the events, fed while the log is read once. An act that was announced and did not end well (a crash,
a failure) explains a record, and explains its absence; a finished act explains neither.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from audit.completeness import HAPPENED, Anomaly
from audit.report import Books
from audit.statement import BOOK_OF, Kind, Record, Statement

Event = Mapping[str, Any]

NOWHERE: Final = -1  # the index of an anomaly that has no place in the trail
REPLAYED: Final = "replayed"  # an answer given again: nothing is charged
QUERY, CAPS, PACKAGE, SHRED = "data.query", "dp.caps", "release.package", "data.shred"
SPAWN, STOP = "session.spawn", "session.stop"
ANNOUNCED_BY: Final[Mapping[Kind, str]] = {"charge": QUERY, "answer": QUERY, "cap": CAPS}
"""What a record of a kind is announced as; a line of the house's book by any act, packages and versions by none."""
WRITES_A_LINE: Final = frozenset(
    {
        "admin.person",
        "admin.role",
        "admin.partner",
        "admin.project",
        "admin.agreement",
        "admin.grant",
        "admin.dataset",
        "data.import",
    }
)
"""Acts that never end well without a line in the house's book; so does every act on a release request but a view."""
VIEW: Final = "release.view"


@dataclass(frozen=True)
class _Act:
    """An act that came to its end: the announcement and the outcome."""

    intent: Event
    outcome: Event

    @property
    def type(self) -> str:
        return str(self.intent["type"])

    @property
    def rho_micro(self) -> int | None:
        """What it says was spent or allowed."""
        loss = {**self.intent.get("dp", {}), **self.outcome.get("dp", {})}
        said: int | None = loss.get("rho_micro", self.intent.get("counts", {}).get("rho_micro"))
        return said

    @property
    def question(self) -> str | None:
        told = _of(self.intent, "question")
        return None if told is None else str(told["id"])

    def wanted(self) -> tuple[Kind, ...]:
        """Give the kinds of record that it must have left."""
        if self.type == QUERY:
            charged = self.outcome.get("reason") != REPLAYED and self.rho_micro
            return ("charge", "answer") if charged else ()
        if self.type == CAPS:
            return ("cap",)
        on_request = self.type != VIEW and "request" in self.intent.get("release", {})
        renewed = self.type == "key.rotate" and _of(self.intent, "manifest") is not None
        return ("line",) if self.type in WRITES_A_LINE or on_request or renewed else ()


@dataclass(frozen=True)
class _Left:
    """What the trail says lies on the disk since an index; None where it was destroyed."""

    index: int
    sha256: str | None


@dataclass
class Reconciliation:
    """One comparison: `see` each event in order, `close` each act that ended, then read `anomalies`."""

    statement: Statement
    _found: list[Anomaly] = field(default_factory=list)
    _by_event: dict[str, list[Record]] = field(default_factory=dict)
    _by_act: dict[tuple[Kind, str], Record] = field(default_factory=dict)
    _on_disk: dict[Kind, dict[str, Record]] = field(default_factory=dict)
    _unmet: dict[tuple[Kind, str], Record] = field(default_factory=dict)
    _no_good_end: set[str] = field(default_factory=set)  # events that records name
    _unfinished: set[str] = field(default_factory=set)  # objects whose newest act has no good end
    _left: dict[Kind, dict[str, _Left]] = field(default_factory=lambda: {"package": {}, "version": {}})
    _sessions: dict[str, tuple[int, bool]] = field(default_factory=dict)
    _first: int = 0
    _size: int = 0

    def __post_init__(self) -> None:
        for record in self.statement.records:
            if record.event is None:
                self._on_disk.setdefault(record.kind, {})[record.id] = record
                continue
            self._by_event.setdefault(record.event, []).append(record)
            self._by_act[record.kind, record.event] = record
            self._unmet[record.kind, record.id] = record
        self._no_good_end.update(self._by_event)

    # --- the pass over the trail

    def see(self, event: Event) -> None:
        """Take the next event."""
        if not self._size:
            self._first = event["seq"]
        self._size = event["seq"] + 1
        for record in self._by_event.get(event["id"], ()):
            self._meet(record, event)
        if event["phase"] == "outcome":
            return
        if event["type"] in {SPAWN, STOP}:
            for each in event.get("object", ()):
                self._sessions[each["id"]] = event["seq"], event["type"] == SPAWN
        if event["phase"] == "intent" and _changes_the_disk(event["type"]):
            self._unfinished.update(_objects(event))

    def _meet(self, record: Record, event: Event) -> None:
        """Hold a record against the event it names: its announcement, at the place it says."""
        self._unmet.pop((record.kind, record.id), None)
        if event["phase"] == "single":
            self._no_good_end.discard(event["id"])
        announced = (
            ANNOUNCED_BY.get(record.kind, event["type"]) == event["type"] and event["phase"] != "outcome"
        )
        if not announced or record.index not in {None, event["seq"]}:
            self._say(
                "other_event", record.id, f"{_name(record)} names an event that is another", event["seq"]
            )

    def close(self, intent: Event, outcome: Event) -> None:
        """Take an act that came to its end, well or not."""
        if outcome["outcome"] not in HAPPENED:
            return
        act = _Act(intent, outcome)
        self._no_good_end.discard(intent["id"])
        self._unfinished.difference_update(_objects(intent))
        self._leave(act)
        if outcome["seq"] < self.statement.heading.before:
            self._demand(act)

    def _leave(self, act: _Act) -> None:
        """Remember what a finished act left on the disk."""
        index = act.outcome["seq"]
        if act.type == PACKAGE:
            release = act.outcome.get("release", {})
            self._left["package"][str(release.get("request"))] = _Left(index, release.get("artefact_sha256"))
        if act.type == SHRED:
            gone = _of(act.intent, "manifest")
            self._left["version"].update({} if gone is None else {gone["id"]: _Left(index, None)})
            return
        for made in act.outcome.get("object", ()):
            if made["kind"] == "manifest" and "sha256" in made:
                self._left["version"][made["id"]] = _Left(index, made["sha256"])

    def _demand(self, act: _Act) -> None:
        """Look for the records that a finished act must have left."""
        index = act.intent["seq"]
        for kind in act.wanted():
            if BOOK_OF[kind] not in self.statement.heading.read:
                continue
            record = self._by_act.get((kind, act.intent["id"]))
            if record is None:
                words = f"{act.type} at {index} ended well, and the {BOOK_OF[kind]} has no {kind} of it"
                self._say(f"in_trail_not_in_{BOOK_OF[kind]}", kind, words, index)
            elif record.rho_micro not in {None, act.rho_micro}:
                self._say("other_amount", record.id, f"{_name(record)} is of another amount", index)
            elif kind == "charge" and record.sha256 not in {None, act.question}:
                self._say("other_question", record.id, f"{_name(record)} is of another question", index)

    def _say(self, code: str, about: str, words: str, index: int) -> None:
        self._found.append(Anomaly(index, code, words, about))

    # --- the verdict

    def anomalies(self) -> list[Anomaly]:
        """Give what does not fit: first what has no place in the trail, then in its order."""
        heading = self.statement.heading
        if self._size < heading.after:
            words = f"the house saw {heading.after} entries, this trail has {self._size}: an older copy, or rolled back"
            return [Anomaly(NOWHERE, "trail_older_than_statement", words, "statement")]
        found = [*self._found, *self._unannounced(), *self._sessions_unannounced()]
        for kind in ("package", "version"):
            found += self._disk(kind)
        return sorted(found, key=lambda each: each.index)

    @property
    def explained(self) -> int:
        """How many records name an act that did not end well: a crash or a failure between two steps."""
        return sum(len(self._by_event[each]) for each in self._no_good_end)

    def told(self, differences: int) -> Books:
        """Give how much was compared."""
        heading = self.statement.heading
        return Books(heading.read, heading.unread, len(self.statement.records), self.explained, differences)

    def _unannounced(self) -> list[Anomaly]:
        return [
            _unknown(each, f"no event announced {_name(each)}")
            for each in self._unmet.values()
            if each.index is None or each.index >= self._first
        ]

    def _sessions_unannounced(self) -> list[Anomaly]:
        """Tell the notebooks that run and were not announced, or were said to have ended."""
        return [
            _unknown(each, f"no event announced {_name(each)}, which is running")
            for name, each in self._on_disk.get("session", {}).items()
            if not self._runs(name) and not self._first
        ]

    def _runs(self, session: str) -> bool:
        index, spawned = self._sessions.get(session, (NOWHERE, False))
        return spawned or index >= self.statement.heading.before

    def _disk(self, kind: Kind) -> list[Anomaly]:
        if BOOK_OF[kind] not in self.statement.heading.read:
            return []
        told, held = self._left[kind], self._on_disk.get(kind, {})
        compared = (self._one(kind, name, told.get(name), held.get(name)) for name in sorted({*told, *held}))
        return [each for each in compared if each is not None]

    def _one(self, kind: Kind, name: str, left: _Left | None, record: Record | None) -> Anomaly | None:
        """Compare what the trail says lies there with what does."""
        if left is None or left.sha256 is None:
            if record is None or self._explains(kind, name, new=left is None):
                return None
            return _unknown(record, f"{_name(record)} is there, and by the trail it should not be")
        if left.index >= self.statement.heading.before or (record and record.sha256 == left.sha256):
            return None
        if self._explains(kind, name):
            return None
        if record is None:
            words = f"{kind} {name} is in the trail and not on the disk"
            return Anomaly(left.index, f"in_trail_not_in_{BOOK_OF[kind]}", words, name)
        return Anomaly(left.index, "other_bytes", f"{_name(record)} is not what the trail says it is", name)

    def _explains(self, kind: Kind, name: str, *, new: bool = False) -> bool:
        """Say whether an act without a good end, or one before this trail's first entry, may have left it so."""
        if new and self._first:
            return True
        if kind == "package":
            return f"request:{name}" in self._unfinished
        imported = f"dataset:{name.rpartition('.v')[0]}"
        return f"manifest:{name}" in self._unfinished or (new and imported in self._unfinished)


def _changes_the_disk(act: str) -> bool:
    return act == PACKAGE or (act.startswith(("data.", "key.")) and act != QUERY)


def _unknown(record: Record, words: str) -> Anomaly:
    return Anomaly(NOWHERE, f"in_{record.source}_not_in_trail", words, record.id)


def _name(record: Record) -> str:
    return f"the {record.kind} {record.id} of the {record.source}"


def _of(event: Event, kind: str) -> Mapping[str, Any] | None:
    return next((each for each in event.get("object", ()) if each["kind"] == kind), None)


def _objects(event: Event) -> list[str]:
    return [f"{each['kind']}:{each['id']}" for each in event.get("object", ())]
