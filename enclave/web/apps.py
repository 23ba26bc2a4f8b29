"""The two applications that speak JSON: one behind every notebook's data socket, one behind the house's own."""

from fastapi import APIRouter, FastAPI
from starlette.types import ASGIApp

from enclave.web import api, asker, internal, limits, refusals
from enclave.web.last_resort import LastResort
from enclave.web.limits import BodyLimit
from enclave.web.needs import House

TAKES_FILES = frozenset({"/api/v1/check", "/api/v1/requests"})


def data_app(house: House) -> ASGIApp:
    """Serve `/api/v1` on data sockets and nothing else; the socket that took the connection is the identity."""
    return _json_app(house, asker.from_socket, api.routes)


def house_app(house: House) -> ASGIApp:
    """Serve the internal API, and `/api/v1` for scripts with a name and a password."""
    return _json_app(house, asker.from_password, internal.routes, api.routes)


def bare_app() -> FastAPI:
    """Make an application without the framework's own pages: no schema, no documentation."""
    return FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)


def _json_app(house: House, identify: asker.Identify, *routers: APIRouter) -> ASGIApp:
    app = bare_app()
    app.state.house, app.state.identify = house, identify
    for routes in routers:
        app.include_router(routes)
    refusals.install(app)
    limited = BodyLimit(app, _limit, refusals.answer_with(refusals.too_large()))
    return LastResort(limited, refusals.answer_with(refusals.unforeseen()))


def _limit(path: str) -> int:
    return limits.UPLOAD if path in TAKES_FILES else limits.SMALL
