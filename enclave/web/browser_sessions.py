"""Who is signed in to the pages: kept here, in the service's memory; the browser holds an opaque number only.

One process serves the pages, so its memory is enough; after a restart the hub signs people in again unseen.
"""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from enclave.messages import Language

# An idle session ends (TEHDAS2, technical requirement TIR-24); the lengths are ours.
IDLE_SECONDS = 30 * 60
LIFE_SECONDS = 10 * 3600
PENDING_SECONDS = 5 * 60
MOST_KEPT = 10_000

Clock = Callable[[], float]
Kept = TypeVar("Kept")


def _secret() -> str:
    return secrets.token_urlsafe(32)


@dataclass
class BrowserSession:
    """A signed-in browser; `token` is the hub's and never leaves the server."""

    person: str
    token: str = field(repr=False)
    began: float
    seen: float
    csrf: str = field(default_factory=_secret, repr=False)
    language: Language | None = None


@dataclass(frozen=True)
class Pending:
    """A sign-in under way: the PKCE verifier (RFC 7636) and where to go afterwards."""

    verifier: str = field(repr=False)
    after: str
    began: float


class BrowserSessions:
    """Signed-in browsers and sign-ins under way."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._sessions: dict[str, BrowserSession] = {}
        self._pending: dict[str, Pending] = {}

    def begin(self, verifier: str, after: str) -> str:
        """Remember a sign-in under way; gives its state, to be tied to a cookie."""
        now = self._clock()
        _drop(self._pending, lambda each: now - each.began > PENDING_SECONDS)
        state = _secret()
        self._pending[state] = Pending(verifier, after, now)
        return state

    def finish(self, state: str) -> Pending | None:
        """Take a sign-in under way back, once."""
        pending = self._pending.pop(state, None)
        fresh = pending is not None and self._clock() - pending.began <= PENDING_SECONDS
        return pending if fresh else None

    def sign_in(self, person: str, token: str) -> str:
        """Start a session under a number nobody has seen before, whatever cookie the browser came with."""
        now = self._clock()
        _drop(self._sessions, lambda each: self._over(each, now))
        number = _secret()
        self._sessions[number] = BrowserSession(person, token, now, now)
        return number

    def find(self, number: str) -> BrowserSession | None:
        """Give a live session and note that it was used."""
        session = self._sessions.get(number)
        now = self._clock()
        if session is None or self._over(session, now):
            self._sessions.pop(number, None)
            return None
        session.seen = now
        return session

    def sign_out(self, number: str) -> None:
        """End a session."""
        self._sessions.pop(number, None)

    @staticmethod
    def _over(session: BrowserSession, now: float) -> bool:
        return now - session.seen > IDLE_SECONDS or now - session.began > LIFE_SECONDS


def _drop(kept: dict[str, Kept], over: Callable[[Kept], bool]) -> None:
    """Forget what is over, and the oldest where too many are kept."""
    for key in [key for key, each in list(kept.items()) if over(each)]:
        kept.pop(key, None)
    while len(kept) >= MOST_KEPT:
        kept.pop(next(iter(kept)))
