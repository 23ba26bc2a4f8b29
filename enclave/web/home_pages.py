"""The first page: what waits for me; and what a project has left to ask with."""

from fastapi import APIRouter
from starlette.responses import Response

from enclave.web.api import TheHouse
from enclave.web.needs import House, RequestLine
from enclave.web.render import page
from enclave.web.visitor import Arriving, Visitor
from enclave.web.words import left_percent

RECENT = 5
RETURNED = "RETURNED"

routes = APIRouter()


@routes.get("/")
def home(house: TheHouse, visitor: Arriving) -> Response:
    """Say what waits for the person, then list projects and requests."""
    return page(
        visitor,
        "home.html",
        waiting=_waiting(house, visitor),
        projects=house.projects_of(visitor.person),
        own=list(house.own_requests(visitor.person))[:RECENT],
    )


@routes.get("/projects/{project}/budget")
def budget(house: TheHouse, visitor: Arriving, project: str) -> Response:
    """Show what the project has left to ask with, and what the stated loss leaves out."""
    sheet = house.budget(visitor.person, project)
    shares = [
        ("population", sheet.population_name, sheet.population),
        ("project", sheet.project, sheet.project_share),
        ("person", visitor.person.id, sheet.person),
    ]
    bars = [(key, name, share, left_percent(share)) for key, name, share in shares]
    return page(visitor, "budget.html", sheet=sheet, bars=bars)


def _waiting(house: House, visitor: Visitor) -> list[RequestLine]:
    """Requests this person is to decide, and own ones that came back."""
    to_decide = house.queue(visitor.person) if visitor.reviews else ()
    own = house.own_requests(visitor.person)
    returned = [line for line in own if line.awaits or line.status == RETURNED]
    return sorted([*(line for line in to_decide if line.awaits), *returned], key=lambda line: line.since)
