"""The person in front of the pages: signed in here, still signed in at the hub, and as the house knows them now."""

from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlencode

from fastapi import Depends, Form
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from enclave.messages import Language
from enclave.people import Person, Role
from enclave.web import guard
from enclave.web.browser_sessions import BrowserSession, BrowserSessions
from enclave.web.hub_sign_in import BASE, SignIn
from enclave.web.needs import House

COOKIE = "enclave-session"
REVIEWERS = frozenset({Role.STEWARD, Role.SENIOR_STEWARD, Role.PARTNER_DELEGATE, Role.PUBLISHER})
STEWARDS = frozenset({Role.STEWARD, Role.SENIOR_STEWARD})
SCRUTINEERS = frozenset({Role.AUDITOR})
BUDGET_READERS = frozenset(
    {Role.RESEARCHER, Role.PROJECT_LEAD, Role.STEWARD, Role.SENIOR_STEWARD, Role.AUDITOR}
)


class LoginNeededError(Exception):
    """Nobody is signed in; `after` is where the person was going."""

    def __init__(self, after: str) -> None:
        super().__init__("login needed")
        self.after = after

    @property
    def address(self) -> str:
        """The page that starts the sign-in."""
        return f"{BASE}login?{urlencode({'next': self.after})}"


@dataclass(frozen=True)
class Visitor:
    """A person and their browser session. The links shown follow the roles; the house decides what opens."""

    person: Person
    csrf: str
    language: Language

    @property
    def reviews(self) -> bool:
        """May have something to decide."""
        return bool(self.person.roles & REVIEWERS)

    @property
    def audits(self) -> bool:
        """May search the trail."""
        return bool(self.person.roles & SCRUTINEERS)

    @property
    def keeps_budgets(self) -> bool:
        """May look at every population's spending."""
        return bool(self.person.roles & (STEWARDS | SCRUTINEERS))

    @property
    def sees_budgets(self) -> bool:
        """May look at a project's budget."""
        return bool(self.person.roles & BUDGET_READERS)


async def arriving(request: Request) -> Visitor:
    """Re-read who this is: a sign-out at the hub or a role taken away counts at this very click."""
    guard.navigation(request.headers)
    session = await _live(request)
    if session is None:
        raise LoginNeededError(_going_to(request))
    house: House = request.app.state.house
    person = await run_in_threadpool(house.person, session.person)
    request.state.visitor = visitor = Visitor(person, session.csrf, session.language or person.locale)
    return visitor


async def acting(request: Request, csrf: Annotated[str, Form()] = "") -> Visitor:
    """The same for a form: it must be ours, of this session, and sent from our own page."""
    visitor = await arriving(request)
    guard.act(request.headers, visitor.csrf, csrf)
    return visitor


Arriving = Annotated[Visitor, Depends(arriving)]
Acting = Annotated[Visitor, Depends(acting)]


async def _live(request: Request) -> BrowserSession | None:
    sessions: BrowserSessions = request.app.state.sessions
    sign_in: SignIn = request.app.state.sign_in
    number = request.cookies.get(COOKIE, "")
    session = sessions.find(number)
    if session is None:
        return None
    if await sign_in.person(session.token) != session.person:
        sessions.sign_out(number)
        return None
    return session


def _going_to(request: Request) -> str:
    if request.method != "GET":
        return BASE
    query = f"?{request.url.query}" if request.url.query else ""
    return request.url.path + query
