"""The house's own door, `/internal/v1` on `house.sock`: what the hub and the command line may ask.

The socket's folder lets only the house's own user in; a notebook never sees it.
"""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from enclave.accounts.words import Seen
from enclave.errors import NotFound
from enclave.people import Person
from enclave.web.api import TheHouse
from enclave.web.asker import SESSION
from enclave.web.needs import House
from enclave.web.sheets import (
    Channel,
    Json,
)

Slug = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,29}$")]
NOTHING = 204


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Credentials(_Body):
    """A name and a password, checked once and not kept."""

    person: Slug
    password: str = Field(max_length=1024, repr=False)
    client: str = Field("", max_length=64, repr=False)
    browser: str = Field("", max_length=256, repr=False)


class SessionWanted(_Body):
    """A notebook to be started."""

    person: Slug
    project: Slug


class Started(_Body):
    """Whether the server came up."""

    ok: bool


class Metered(_Body):
    """Bytes that left towards a browser."""

    person: Slug
    project: Slug
    channel: Channel
    bytes: int = Field(ge=0)


routes = APIRouter(prefix="/internal/v1")


@routes.post("/login")
def login(house: TheHouse, body: Credentials) -> Json:
    """Check a password."""
    return _told(house, house.authenticate(body.person, body.password, Seen(body.client, body.browser)))


@routes.get("/people/{person}")
def person(house: TheHouse, person: Slug) -> Json:
    """Read a person as the house knows them now."""
    return _told(house, house.person(person))


@routes.post("/sessions", status_code=201)
def opened(house: TheHouse, body: SessionWanted) -> Json:
    """Make a session's folders and its data socket."""
    return asdict(house.open_session(body.person, body.project))


@routes.post("/sessions/{session}/started", status_code=NOTHING)
def started(house: TheHouse, session: str, body: Started) -> Response:
    """Note whether the notebook server came up."""
    house.session_started(_known(session), ok=body.ok)
    return Response(status_code=NOTHING)


@routes.delete("/sessions/{session}", status_code=NOTHING)
def closed(house: TheHouse, session: str) -> Response:
    """Take the session's socket away."""
    house.close_session(_known(session))
    return Response(status_code=NOTHING)


@routes.post("/meter", status_code=NOTHING)
def meter(house: TheHouse, body: Metered) -> Response:
    """Record bytes that left towards a browser."""
    house.meter(body.person, body.project, body.channel, body.bytes)
    return Response(status_code=NOTHING)


def _told(house: House, person: Person) -> Json:
    return {
        "person": person.id,
        "roles": sorted(person.roles),
        "projects": [card.id for card in house.projects_of(person)],
    }


def _known(session: str) -> str:
    if not SESSION.fullmatch(session):
        raise NotFound("session_unknown", "There is no such notebook session.")
    return session
