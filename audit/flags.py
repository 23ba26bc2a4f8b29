"""What an auditor may want to look at, by rules that are stated. A flag is a question, not an accusation.

Pure rules over the events of a trail, read once in order. Nobody's working hours are watched: that would be a
surveillance of staff. The rule for them sleeps unless the trail holds the decision that asks for it, and from there on only.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

Event = Mapping[str, Any]
Code = Literal[
    "denials", "budget", "questions", "near", "caps", "reidentification", "own", "hours", "silence", "clock"
]

DENIALS: Final = 5
DENIALS_WITHIN: Final = timedelta(minutes=10)
BUDGET_MICRO_RHO: Final = 1_000_000
BUDGET_WITHIN: Final = timedelta(hours=24)
QUESTIONS: Final = 20
QUESTIONS_WITHIN: Final = timedelta(hours=1)
NEAR: Final = 8
NEAR_WITHIN: Final = timedelta(hours=24)
IDENTITY: Final = "identity"  # the shelf, and the key, that names and numbers lie under
ABOUT_ONESELF: Final = frozenset({"admin.role", "admin.grant", "admin.person"})
HOURS: Final = (7, 20)
PLACE: Final = ZoneInfo("Europe/Paris")
WEEKEND: Final = frozenset({5, 6})
DECISION, WORKING_HOURS, WATCHED = "admin.policy", "working-hours", "watched"
SHOWN_OF_A_SHAPE: Final = 12
SILENCE: Final = timedelta(hours=2)  # the recorder says once an hour that it is alive
CLOCK: Final = timedelta(seconds=1)

RULES: Final[dict[Code, str]] = {
    "denials": f"{DENIALS} refusals of one person within {DENIALS_WITHIN.seconds // 60} minutes",
    "budget": f"answers to one person that cost {BUDGET_MICRO_RHO} micro-rho or more within 24 hours",
    "questions": f"{QUESTIONS} different questions of one person about one dataset within an hour",
    "near": f"{NEAR} questions of one project about one dataset within 24 hours, alike but for their constants",
    "caps": "a cap was set above the one that was there",
    "reidentification": "a key of identities was opened",
    "own": "somebody changed their own roles, place or account",
    "hours": f"somebody acts before {HOURS[0]}, after {HOURS[1]} or at a weekend, while a recorded decision asks to watch it",
    "silence": f"nothing recorded for more than {SILENCE.seconds // 3600} hours while the recorder was not stopped",
    "clock": f"the recorder's clock went back by more than {CLOCK.seconds} second",
}


@dataclass(frozen=True)
class Flag:
    """A place in the trail to look at: the rule that speaks, who or what it is about, and from where on."""

    code: Code
    index: int
    about: str
    when: str

    @property
    def rule(self) -> str:
        """Give the rule in words."""
        return RULES[self.code]


@dataclass
class _Window:
    """What happened lately, weighted; tells once when the sum passes the limit, and again only after a lull."""

    limit: int
    within: timedelta
    _held: deque[tuple[datetime, int]] = field(default_factory=deque)
    _sum: int = 0
    _told: bool = False

    def add(self, when: datetime, weight: int) -> bool:
        self._held.append((when, weight))
        self._sum += weight
        while when - self._held[0][0] > self.within:
            self._sum -= self._held.popleft()[1]
        over, before = self._sum >= self.limit, self._told
        self._told = over
        return over and not before


@dataclass
class Flags:
    """The rules at work: `see` each event in order, then read `found`."""

    found: list[Flag] = field(default_factory=list)
    _windows: dict[tuple[Code, str], _Window] = field(default_factory=dict)
    _asked: dict[tuple[str, str], None] = field(default_factory=dict)
    _shapes: dict[tuple[str, str], None] = field(default_factory=dict)
    _caps: dict[str, int] = field(default_factory=dict)
    _setting: dict[str, tuple[str, int]] = field(default_factory=dict)  # by correlation
    _watching: bool = False
    _late: set[tuple[str, date]] = field(default_factory=set)
    _last: tuple[datetime, str] | None = None

    def see(self, event: Event) -> None:
        """Take the next event."""
        now = datetime.fromisoformat(event["ts"])
        self._time(event, now)
        if event.get("outcome") == "denied" or event["type"] == "auth.failure":
            self._count("denials", event, now, event["actor"]["id"], DENIALS, DENIALS_WITHIN)
        if event["type"] == "data.query" and event.get("outcome") == "success":
            self._question(event, now)
        if event["type"] == "dp.caps":
            self._cap(event)
        elif event["phase"] != "outcome" and event.get("outcome") != "denied":
            self._staff(event)
            self._hours(event, now)

    def _time(self, event: Event, now: datetime) -> None:
        if self._last is not None:
            before, kind = self._last
            if before - now > CLOCK:
                self._flag("clock", event, "recorder")
            if now - before > SILENCE and kind != "audit.stop":
                self._flag("silence", event, "recorder")
        self._last = now, event["type"]

    def _cap(self, event: Event) -> None:
        """Hold a cap that was set against the one before it; the first of all was not raised."""
        if event["phase"] == "intent":
            objects = _objects(event)
            own = [objects[kind] for kind in ("population", "project", "person") if kind in objects]
            self._setting[event["corr"]] = " / ".join(own), event.get("counts", {}).get("rho_micro", 0)
            return
        about, cap = self._setting.pop(event["corr"], ("", 0))
        if about and event.get("outcome") == "success":
            if cap > self._caps.get(about, cap):
                self._flag("caps", event, about)
            self._caps[about] = cap

    def _staff(self, event: Event) -> None:
        """Look at who opens identities, and who changes what concerns themselves."""
        objects, person = _objects(event), event["actor"]["id"]
        if event["type"] == "key.unwrap" and IDENTITY in objects.values():
            self._flag("reidentification", event, person)
        if event["type"] in ABOUT_ONESELF and objects.get("person") == person:
            self._flag("own", event, person)

    def _hours(self, event: Event, now: datetime) -> None:
        """Take the decision to watch working hours, or to stop; while it stands, tell a person once a day."""
        if event["type"] == DECISION and event.get("policy", {}).get("name") == WORKING_HOURS:
            self._watching = bool(event.get("counts", {}).get(WATCHED))
        if not self._watching or event["actor"].get("kind") != "person":
            return
        here, person = now.astimezone(PLACE), event["actor"]["id"]
        outside = here.weekday() in WEEKEND or not HOURS[0] <= here.hour < HOURS[1]
        if outside and (person, here.date()) not in self._late:
            self._late.add((person, here.date()))
            self._flag("hours", event, person)

    def _question(self, event: Event, now: datetime) -> None:
        person = event["actor"]["id"]
        cost = event.get("dp", {}).get("rho_micro", 0)
        self._count("budget", event, now, person, BUDGET_MICRO_RHO, BUDGET_WITHIN, cost)
        objects = _objects(event)
        self._shape(event, now, objects)
        question = (person, objects.get("question") or str(event["id"]))
        if question in self._asked:
            return
        self._asked[question] = None
        about = f"{person} / {objects.get('dataset', '?')}"
        self._count("questions", event, now, about, QUESTIONS, QUESTIONS_WITHIN)

    def _shape(self, event: Event, now: datetime, objects: Mapping[str, str]) -> None:
        """Count a project's different questions that have one shape; the same one again is none."""
        project, shape = event.get("project", "?"), objects.get("shape")
        asked = (project, objects.get("question", ""))
        if shape is None or asked in self._shapes:
            return
        self._shapes[asked] = None
        about = f"{project} / {objects.get('dataset', '?')} / {shape[:SHOWN_OF_A_SHAPE]}"
        self._count("near", event, now, about, NEAR, NEAR_WITHIN)

    def _count(
        self,
        code: Code,
        event: Event,
        now: datetime,
        about: str,
        limit: int,
        within: timedelta,
        weight: int = 1,
    ) -> None:
        window = self._windows.setdefault((code, about), _Window(limit, within))
        if window.add(now, weight):
            self._flag(code, event, about)

    def _flag(self, code: Code, event: Event, about: str) -> None:
        self.found.append(Flag(code, event["seq"], about, event["ts"]))


def _objects(event: Event) -> dict[str, str]:
    """Give the first object of each kind."""
    return {each["kind"]: each["id"] for each in reversed(event.get("object", ()))}


def flags(events: Iterable[Event]) -> list[Flag]:
    """Give every flag of a trail, oldest first."""
    seen = Flags()
    for event in events:
        seen.see(event)
    return seen.found
