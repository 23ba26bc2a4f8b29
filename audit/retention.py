"""How long what is in the trail is kept, and who may end it sooner: pure rules over events.

Two classes. *Access* (who entered, asked, looked): a year by default, which is the least the EHDS guidance asks of
access logs (TEHDAS2 deliverable 7.4, requirements EHDSR-8 and OPR-17; Regulation (EU) 2025/327 article 73: as long as
needed to verify and audit) and the most the CNIL recommends without a documented reason (deliberation 2021-122 of 14
October 2021: six months to one year; up to three where internal control needs it; case by case beyond). *Decisions*
(who let what out, who was given which right, what came in, what was destroyed): as long as the project they belong to
and some years, because a release can be questioned as long as its results are used.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from hashlib import sha256
from typing import Any, Final, Literal

from audit.errors import AuditError, BadInput
from audit.event import canonical

Event = Mapping[str, Any]
Rule = Literal["access", "decision"]

ACCESS_DAYS: Final = 365  # the default, and the floor
MOST_ACCESS_DAYS: Final = 3_650
DECISION_YEARS: Final = 10
MOST_YEARS: Final = 50
ASKED_STANDS: Final = timedelta(days=30)  # an older request to destroy is asked again
RECEIPT_STANDS: Final = timedelta(minutes=5)

ERASE: Final = "audit.erase"
PRUNE: Final = "audit.prune"
READ: Final = "audit.detail"
ASKED: Final = "asked"
TWO_ROLES: Final = frozenset({"dpo", "auditor"})

# What somebody saw, asked or tried, and what the machines say of themselves.
ACCESS: Final = frozenset(
    {
        "auth.login", "auth.failure", "auth.logout", "session.spawn", "session.stop", "session.bytes", "session.limit",
        "data.catalogue", "data.query", "data.denied", "dp.refusal", "key.unwrap", "release.view", "release.download",
        "audit.start", "audit.stop", "audit.search", "audit.verify", "audit.export", "audit.heartbeat", "audit.detail",
        "system.start", "system.stop",
    }
)  # fmt: skip
# Every other type is a decision: it changed what somebody may do, what lies in the house, what left it or what is left
# of the trail. A type that nobody thought of is therefore kept longer, not shorter.


@dataclass(frozen=True)
class Rules:
    """The durations of a house. `reason` is a code, written into the trail with every application of longer ones."""

    access_days: int = ACCESS_DAYS
    decision_years: int = DECISION_YEARS
    reason: str = ""

    def __post_init__(self) -> None:
        """Raise BadInput for less than the floor, or for more without a reason."""
        if not ACCESS_DAYS <= self.access_days <= MOST_ACCESS_DAYS:
            raise BadInput(
                "retention_floor",
                f"access events are kept from {ACCESS_DAYS} to {MOST_ACCESS_DAYS} days, not {self.access_days}",
                "correct trail.access_days",
                days=self.access_days,
                floor=ACCESS_DAYS,
            )
        if self.access_days > ACCESS_DAYS and not self.reason:
            raise BadInput(
                "retention_reason",
                f"access events are kept longer than {ACCESS_DAYS} days for a stated reason only",
                "give trail.retention_reason",
                floor=ACCESS_DAYS,
            )
        if not 1 <= self.decision_years <= MOST_YEARS:
            raise BadInput(
                "retention_years",
                f"decisions are kept for 1 to {MOST_YEARS} years after their project",
                "correct trail.decision_years",
            )

    def as_counts(self) -> dict[str, int]:
        """Give the durations as an event carries them."""
        return {"access_days": self.access_days, "decision_years": self.decision_years}

    def as_policy(self, ends: Mapping[str, date]) -> dict[str, Any]:
        """Give what an event says it was decided by: durations, reason and the last day of each project, by their hash.

        Whoever has the house's book of projects can compute it again.
        """
        days = {project: day.isoformat() for project, day in ends.items()}
        said = canonical({**self.as_counts(), "reason": self.reason, "ends": days})
        return {"name": "retention", "version": 1, "sha256": sha256(said).hexdigest()}


def rule_of(event: Event) -> Rule:
    """Give the class an event belongs to; a refused attempt at a decision is one who tried: access."""
    if event["type"] in ACCESS or event.get("outcome") == "denied":
        return "access"
    return "decision"


def expiry(event: Event, rules: Rules, ends: Mapping[str, date]) -> date | None:
    """Give the first day on which an event is past its time.

    `ends` holds the last day of each project; None is a decision whose project nobody names: it stays.
    """
    recorded = datetime.fromisoformat(event["ts"]).date()
    if rule_of(event) == "access":
        return recorded + timedelta(days=rules.access_days + 1)
    project = event.get("project")
    if project is None:
        return _years_after(recorded, rules.decision_years)
    if project not in ends:
        return None
    return _years_after(max(ends[project], recorded), rules.decision_years)


def _years_after(day: date, years: int) -> date:
    """Give the day after so many whole years; after a 29 February the first of March."""
    after = day + timedelta(days=1)
    try:
        return after.replace(year=after.year + years)
    except ValueError:
        return date(after.year + years, 3, 1)


def is_past(event: Event, rules: Rules, ends: Mapping[str, date], today: date) -> bool:
    """Say whether an event has had its time."""
    day = expiry(event, rules, ends)
    return day is not None and day <= today


# --- who may do it


def is_receipt(event: Event, act: str, phase: str, about: str, now: datetime) -> None:
    """Refuse an entry that does not announce this act about this object by an auditor or a data protection officer.

    It is good for RECEIPT_STANDS: an old entry opens nothing today.
    """
    when = datetime.fromisoformat(event["ts"])
    if (event["type"], event["phase"]) != (act, phase) or not is_about(event, about):
        raise _refused(
            "receipt_mismatch", "the entry does not announce this", "record the intent of this very act"
        )
    if event["actor"].get("role") not in TWO_ROLES or event["actor"]["kind"] != "person":
        raise _refused(
            "role_missing", "this takes an auditor or a data protection officer", "ask one of them"
        )
    if not timedelta(0) <= now - when <= RECEIPT_STANDS:
        raise _refused("receipt_stale", "the entry that announces this is too old", "ask again")


def agreed_by_two(asked: Event, agreed: Event, act: str, about: str) -> None:
    """Refuse what one person asked and the other role's holder, another person, did not agree to in time."""
    if (asked["type"], asked["phase"], asked.get("reason")) != (
        act,
        "single",
        ASKED,
    ) or not is_about(asked, about):
        raise _refused("nobody_asked", "nobody has asked for this", "one of the two asks first")
    if asked["actor"]["id"] == agreed["actor"]["id"]:
        raise _refused("same_person", "whoever asked cannot also agree", "the other one of the two agrees")
    roles = {one["actor"].get("role") for one in (asked, agreed) if one["actor"]["kind"] == "person"}
    if roles != TWO_ROLES:
        raise _refused(
            "same_role", "one auditor and one data protection officer are needed", "ask the other one"
        )
    between = datetime.fromisoformat(agreed["ts"]) - datetime.fromisoformat(asked["ts"])
    if not timedelta(0) <= between <= ASKED_STANDS:
        raise _refused("asked_too_long_ago", "that was asked more than 30 days ago", "ask again")


def is_about(event: Event, about: str) -> bool:
    """Say whether an event names an object, `kind:id`."""
    return any(f"{each['kind']}:{each['id']}" == about for each in event.get("object", ()))


def _refused(code: str, what: str, to_do: str) -> AuditError:
    return AuditError(code, f"{what}; nothing was done", to_do)


# --- how far the log itself may be cut


def boundary(
    events: Iterable[tuple[int, Event]],
    keep_from: int,
    rules: Rules,
    ends: Mapping[str, date],
    today: date,
    width: int,
) -> int:
    """Give the index below which every entry may go: a multiple of `width`, at or below `keep_from`.

    `events` are all that are left, in order, oldest first. The cut goes through no act (intent and outcome), no
    release request and no session: what is left must still be judged complete.
    """
    first: dict[tuple[str, str], int] = {}
    last: dict[tuple[str, str], int] = {}
    start, limit = None, keep_from
    for index, event in events:
        start = index if start is None else start
        if index < limit and not is_past(event, rules, ends, today):
            limit = index
        for key in _belongs_to(event):
            first.setdefault(key, index)
            last[key] = index
    cut = limit - limit % width
    while cut_through := [first[key] for key in first if first[key] < cut <= last[key]]:
        lowest = min(cut_through)
        cut = lowest - lowest % width
    return max(cut, start or 0)


def _belongs_to(event: Event) -> Iterable[tuple[str, str]]:
    yield "corr", event["corr"]
    if request := event.get("release", {}).get("request"):
        yield "request", request
    if session := event["actor"].get("session"):
        yield "session", session
