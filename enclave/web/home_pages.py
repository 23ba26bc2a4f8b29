"""The first page: what waits for me; and what a project has left to ask with."""

from dataclasses import dataclass

from fastapi import APIRouter
from starlette.responses import Response

from enclave.web.api import TheHouse
from enclave.web.needs import House
from enclave.web.render import page
from enclave.web.sheets import (
    Allowance,
    BudgetSheet,
    RequestLine,
)
from enclave.web.visitor import Arriving, Visitor
from enclave.web.words import left_percent

RECENT = 5
RETURNED = "RETURNED"

routes = APIRouter()


@dataclass(frozen=True)
class Bar:
    """One cap as a bar."""

    key: str
    name: str
    share: Allowance

    @property
    def left(self) -> int:
        """What is left, in whole percent."""
        return left_percent(self.share)


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
    sheets = house.budget(visitor.person, project)
    return page(
        visitor, "budget.html", project=project, sheets=[(sheet, _bars(visitor, sheet)) for sheet in sheets]
    )


def _bars(visitor: Visitor, sheet: BudgetSheet) -> list[Bar]:
    return [
        Bar("population", sheet.population_name, sheet.population),
        Bar("project", sheet.project, sheet.project_share),
        Bar("person", visitor.person.id, sheet.person),
    ]


def _waiting(house: House, visitor: Visitor) -> list[RequestLine]:
    """Requests this person is to decide, and own ones that came back."""
    to_decide = house.queue(visitor.person) if visitor.reviews else ()
    own = house.own_requests(visitor.person)
    returned = [line for line in own if line.awaits or line.status == RETURNED]
    return sorted([*(line for line in to_decide if line.awaits), *returned], key=lambda line: line.since)
