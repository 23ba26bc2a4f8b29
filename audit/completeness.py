"""What a trail whose every byte is right may still lack: outcomes, intents, votes. Pure rules over events.

A log proves that nothing recorded was changed. That everything was recorded shows only in how events fit
together: an intent and its outcome, a package and the two votes before it.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from audit.event import INTERRUPTED

VOTES_NEEDED: Final = 2
SUBMIT: Final = "release.submit"
REVIEW: Final = "release.review"
SPAWN: Final = "session.spawn"
PACKAGE: Final = "release.package"
OF_RELEASES: Final = frozenset({SUBMIT, REVIEW, PACKAGE})
APPROVE: Final = "approve"
REVIEWS: Final = frozenset(
    {APPROVE, "return", "reject"}
)  # other reasons speak of one file, not of the request
OPEN: Final = "open"
HAPPENED: Final = frozenset({"success", "minor"})
MAY_HAVE_HAPPENED: Final = HAPPENED | {INTERRUPTED, OPEN}

Event = Mapping[str, Any]


@dataclass(frozen=True)
class Anomaly:
    """Something that does not fit, at an index of the log (-1: it has none); `about` names it within its code."""

    index: int
    code: str
    words: str
    about: str = ""


@dataclass(frozen=True)
class Act:
    """An intent with its outcome, or a single event, as the release rule needs it."""

    type: str
    begun: int
    done: int
    result: str
    actor: str
    person: bool
    reason: str | None
    request: str | None
    files: frozenset[str]


@dataclass
class Acts:
    """Pairs intents with outcomes while the log is read once, from the first event to the last."""

    interrupted: list[int] = field(default_factory=list)
    orphans: list[Event] = field(default_factory=list)
    foreign: list[Event] = field(default_factory=list)
    releases: list[Act] = field(default_factory=list)
    closed: Callable[[Event, Event], None] = lambda _intent, _outcome: None
    _first: int | None = None
    _spawned: set[str] = field(default_factory=set)
    _strangers: dict[str, Event] = field(default_factory=dict)  # by the session nobody opened
    _open: dict[tuple[str, str], Event] = field(default_factory=dict)
    _more: dict[tuple[str, str], deque[Event]] = field(default_factory=dict)  # same act announced again

    def see(self, event: Event) -> None:
        """Take the next event."""
        phase = event["phase"]
        if self._first is None:
            self._first = event["seq"]
        session = event["actor"].get("session")
        if session is not None and session not in self._spawned:
            self._in_session(session, event)
        if phase == "intent":
            key = (event["corr"], event["type"])
            if self._open.setdefault(key, event) is not event:
                self._more.setdefault(key, deque()).append(event)
        elif phase == "outcome":
            self._close(event)
        elif event["type"] in OF_RELEASES:
            self.releases.append(_act(event, event))

    def _in_session(self, session: str, event: Event) -> None:
        """Learn of a session from its own announcement, or else count what comes from it as a stranger's."""
        if event["type"] == SPAWN:
            self._spawned.add(session)
        else:
            self._strangers.setdefault(session, event)

    def _close(self, outcome: Event) -> None:
        key = (outcome["corr"], outcome["type"])
        intent = self._open.pop(key, None)
        if intent is None:
            self.orphans.append(outcome)
            return
        if self._more and key in self._more:
            self._reopen(key)
        if outcome.get("reason") == INTERRUPTED:
            self._cut_short(intent, outcome)
        if key[1] in OF_RELEASES:
            self.releases.append(_act(intent, outcome))
        self.closed(intent, outcome)

    def _reopen(self, key: tuple[str, str]) -> None:
        """Let the next announcement of the same act wait for its own outcome."""
        waiting = self._more[key]
        self._open[key] = waiting.popleft()
        if not waiting:
            del self._more[key]

    def _cut_short(self, intent: Event, outcome: Event) -> None:
        """Count an interrupted act; only the process that began it may close it so."""
        if intent["source"]["service"] == outcome["source"]["service"]:
            self.interrupted.append(intent["seq"])
        else:
            self.foreign.append(outcome)

    def open_intents(self) -> list[Event]:
        """Give the intents that nothing closes, oldest first."""
        repeated = (each for row in self._more.values() for each in row)
        return sorted((*self._open.values(), *repeated), key=lambda event: int(event["seq"]))

    def pairing_anomalies(self) -> list[Anomaly]:
        """Give the intents without outcome, the outcomes without intent, the acts another process closed."""
        found = [
            Anomaly(each["seq"], "no_outcome", f"{each['type']} was announced, its outcome is missing")
            for each in self.open_intents()
        ]
        found += [
            Anomaly(each["seq"], "no_intent", f"{each['type']} has an outcome that nothing announced")
            for each in self.orphans
        ]
        found += [
            Anomaly(
                each["seq"],
                "closed_by_another",
                f"{each['type']} was declared interrupted by another process",
            )
            for each in self.foreign
        ]
        return sorted(found, key=lambda anomaly: anomaly.index)

    def session_anomalies(self) -> list[Anomaly]:
        """Give the notebook sessions that did something and whose beginning nobody recorded.

        A trail whose first entries are gone cannot tell.
        """
        if self._first:
            return []
        return [
            Anomaly(
                each["seq"], "session_unknown", f"{each['type']} came from a session nobody opened", session
            )
            for session, each in self._strangers.items()
        ]

    def release_anomalies(self) -> list[Anomaly]:
        """Give the packages that the release rule does not cover, those with an open outcome included."""
        pending = [_act(each, {**each, "outcome": OPEN}) for each in self.open_intents() if _is_release(each)]
        return release_anomalies([*self.releases, *pending])


def _is_release(event: Event) -> bool:
    return event["type"] in OF_RELEASES


def _act(intent: Event, outcome: Event) -> Act:
    """Join the two halves; what the outcome leaves out was said by the intent."""
    both = {**intent, **outcome}
    release = {**intent.get("release", {}), **outcome.get("release", {})}
    interrupted = outcome.get("reason") == INTERRUPTED
    return Act(
        type=intent["type"],
        begun=intent["seq"],
        done=outcome["seq"],
        result=INTERRUPTED if interrupted else both.get("outcome", "success"),
        actor=intent["actor"]["id"],
        person=intent["actor"]["kind"] == "person",
        reason=both.get("reason"),
        request=release.get("request"),
        files=frozenset(each["sha256"] for each in release.get("files", ())),
    )


def release_anomalies(acts: Iterable[Act]) -> list[Anomaly]:
    """Apply the release rule to every package that left or may have left.

    The rule: before the package was begun and since the request was last submitted, two persons, neither of
    them an author (whoever submitted the request), have `approve` as their last review; and no file is
    packaged that was not submitted. A package whose outcome is denied or failed did not leave.
    """
    every = list(acts)
    found: list[Anomaly] = []
    for package in every:
        if package.type == PACKAGE and package.result in MAY_HAVE_HAPPENED:
            before = [
                act
                for act in every
                if act.request == package.request and act.result in HAPPENED and act.done < package.begun
            ]
            found += _judge(package, before)
    return found


def _judge(package: Act, before: Sequence[Act]) -> list[Anomaly]:
    submits = [act for act in before if act.type == SUBMIT]
    if not submits:
        return [Anomaly(package.begun, "no_submit", "a package was made of a request nobody submitted")]
    last = max(submits, key=lambda act: act.done)
    found: list[Anomaly] = []
    approvers = _approvers(before, since=last.done) - {act.actor for act in submits}
    if len(approvers) < VOTES_NEEDED:
        words = f"a package was made with {len(approvers)} of {VOTES_NEEDED} independent approvals"
        found.append(Anomaly(package.begun, "too_few_approvals", words))
    if last.files and package.files - last.files:
        found.append(Anomaly(package.begun, "other_files", "a package holds files that were not submitted"))
    return found


def _approvers(acts: Sequence[Act], since: int) -> set[str]:
    votes = sorted(
        (
            act
            for act in acts
            if act.type == REVIEW and act.reason in REVIEWS and act.person and act.begun > since
        ),
        key=lambda act: act.done,
    )
    return {actor for actor, reason in {act.actor: act.reason for act in votes}.items() if reason == APPROVE}
