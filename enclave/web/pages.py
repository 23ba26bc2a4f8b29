"""The application behind `/enclave/`: pages for people, signed in through the hub."""

from collections.abc import MutableMapping
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from enclave import messages
from enclave.errors import Told
from enclave.web import (
    audit_pages,
    home_pages,
    limits,
    population_pages,
    refusals,
    request_pages,
    sign_in_pages,
)
from enclave.web.apps import bare_app
from enclave.web.browser_sessions import BrowserSessions
from enclave.web.hub_sign_in import BASE, SignIn
from enclave.web.last_resort import LastResort
from enclave.web.limits import BodyLimit
from enclave.web.needs import House
from enclave.web.render import HERE, refusal
from enclave.web.visitor import LoginNeededError

# No inline script or style, nothing from elsewhere. COOP `noopener-allow-popups` cuts a notebook's page off from
# one of ours it opened, although they share an origin (HTML standard, cross-origin opener policies).
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "noopener-allow-popups",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
}


def pages_app(
    house: House, sign_in: SignIn, *, secure: bool, sessions: BrowserSessions | None = None
) -> ASGIApp:
    """Serve the pages; `secure` marks cookies for TLS, and is so wherever the public address is https."""
    app = bare_app()
    app.state.house, app.state.sign_in, app.state.secure = house, sign_in, secure
    app.state.sessions = sessions or BrowserSessions()
    app.include_router(_routes())
    app.router.routes.append(Mount(f"{BASE}static", StaticFiles(directory=HERE / "static")))
    _tell_errors(app)
    limited = BodyLimit(app, lambda _: limits.SMALL, _page_of(refusals.too_large()))
    return WithHeaders(LastResort(limited, _page_of(refusals.unforeseen())))


class WithHeaders:
    """Puts the security headers on every answer, refusals too."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application and add to what it answers."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                _add(message)
            await send(message)

        await self._app(scope, receive, with_headers)


def _add(message: MutableMapping[str, Any]) -> None:
    kept = [(name, value) for name, value in message["headers"] if name.lower() not in _NAMES]
    message["headers"] = [
        *kept,
        *((name.lower().encode(), value.encode()) for name, value in HEADERS.items()),
    ]


_NAMES = {name.lower().encode() for name in HEADERS}


def _routes() -> APIRouter:
    routes = APIRouter(prefix=BASE.rstrip("/"))
    for part in (home_pages, population_pages, sign_in_pages, request_pages, audit_pages):
        routes.include_router(part.routes)
    return routes


def _tell_errors(app: FastAPI) -> None:
    async def login(_: Request, problem: Exception) -> Response:
        address = problem.address if isinstance(problem, LoginNeededError) else f"{BASE}login"
        return RedirectResponse(address, sign_in_pages.SEE_OTHER)

    async def told(request: Request, problem: Exception) -> Response:
        return _refusal(request, refusals.house_error(problem))

    app.add_exception_handler(LoginNeededError, login)
    for family in refusals.EXPECTED:
        app.add_exception_handler(family, told)


def _page_of(error: Told) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await _refusal(Request(scope), error)(scope, receive, send)

    return app


def _refusal(request: Request, error: Told) -> Response:
    visitor = getattr(request.state, "visitor", None)
    language = visitor.language if visitor else messages.preferred(request.headers.get("accept-language"))
    return refusal(error, language, visitor, _back(request))


def _back(request: Request) -> str:
    """Give the page a refused form was on."""
    path = request.url.path
    return path.rsplit("/", 1)[0] if request.method == "POST" and "/requests/" in path else BASE
