"""Signing in and out."""

import hmac
from typing import Annotated

from fastapi import APIRouter, Depends, Form
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from enclave.errors import Refused
from enclave.messages import Language
from enclave.web import guard
from enclave.web.browser_sessions import PENDING_SECONDS, BrowserSessions
from enclave.web.hub_sign_in import BASE, SignIn, challenge, new_verifier
from enclave.web.needs import House
from enclave.web.visitor import COOKIE, acting

STATE_COOKIE = "enclave-state"
SEE_OTHER = 303  # RFC 9110 §15.4.4: go there with GET

routes = APIRouter()


@routes.get("/login")
async def login(request: Request, next: str = BASE) -> Response:  # noqa: A002 - the query's name
    """Send the browser to the hub, with a state tied to this browser by a cookie."""
    guard.navigation(request.headers)
    sessions, sign_in = _parts(request)
    verifier = new_verifier()
    state = sessions.begin(verifier, guard.own_page(next, BASE))
    answer = RedirectResponse(sign_in.authorize_url(state, challenge(verifier)), SEE_OTHER)
    _set_cookie(request, answer, STATE_COOKIE, state, PENDING_SECONDS)
    return answer


@routes.get("/oauth_callback")
async def callback(request: Request, state: str = "", code: str = "") -> Response:
    """Come back from the hub: the state must be this browser's, and works once."""
    sessions, sign_in = _parts(request)
    ours = hmac.compare_digest(state.encode(), request.cookies.get(STATE_COOKIE, "").encode())
    pending = sessions.finish(state) if state and ours else None
    if pending is None or not code:
        raise Refused("sign_in_stale", "This sign-in is too old or not this browser's.", "Sign in again.")
    token = await sign_in.token(code, pending.verifier)
    name = await sign_in.person(token)
    if name is None:
        raise Refused("no_access", "This account has no access to the pages.", "Ask the operator.")
    house: House = request.app.state.house
    person = await run_in_threadpool(house.person, name)
    sessions.sign_out(request.cookies.get(COOKIE, ""))
    answer = RedirectResponse(pending.after, SEE_OTHER)
    _set_cookie(request, answer, COOKIE, sessions.sign_in(person.id, token), None)
    answer.delete_cookie(STATE_COOKIE, path=BASE)
    return answer


@routes.post("/logout", dependencies=[Depends(acting)])
async def logout(request: Request) -> Response:
    """End the session here, then at the hub."""
    sessions, _ = _parts(request)
    sessions.sign_out(request.cookies.get(COOKIE, ""))
    answer = RedirectResponse("/hub/logout", SEE_OTHER)
    answer.delete_cookie(COOKIE, path=BASE)
    return answer


@routes.post("/language", dependencies=[Depends(acting)])
async def language(request: Request, to: Annotated[Language, Form()]) -> Response:
    """Read the pages in the other language until the session ends."""
    sessions, _ = _parts(request)
    session = sessions.find(request.cookies.get(COOKIE, ""))
    if session is not None:
        session.language = to
    return RedirectResponse(BASE, SEE_OTHER)


def _parts(request: Request) -> tuple[BrowserSessions, SignIn]:
    return request.app.state.sessions, request.app.state.sign_in


def _set_cookie(request: Request, answer: Response, name: str, value: str, seconds: int | None) -> None:
    # Lax, since Strict would drop the cookie on the way back from the hub's own page
    answer.set_cookie(
        name,
        value,
        max_age=seconds,
        path=BASE,
        secure=request.app.state.secure,
        httponly=True,
        samesite="lax",
    )
