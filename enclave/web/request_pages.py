"""Release requests: a researcher's own, a reviewer's queue, and one request opened."""

from collections.abc import Callable
from typing import Annotated, Any, get_args

from fastapi import APIRouter, Form
from starlette.responses import RedirectResponse, Response

from enclave.errors import NotFound
from enclave.web import preview
from enclave.web.api import TheHouse
from enclave.web.attachments import attachment
from enclave.web.hub_sign_in import BASE
from enclave.web.needs import House
from enclave.web.render import page
from enclave.web.sheets import (
    Choice,
    FileSheet,
    Move,
    RequestLine,
    RequestSheet,
)
from enclave.web.sorting import Sorted, arrange
from enclave.web.visitor import Acting, Arriving, Visitor

SEE_OTHER = 303
LONGEST_REASON = 2000
MOVES: frozenset[str] = frozenset(get_args(Move))
FORMS = MOVES | {"download"}
Reason = Annotated[str, Form(max_length=LONGEST_REASON)]

SORT_KEYS: dict[str, Callable[[RequestLine], Any]] = {
    "title": lambda line: line.title.casefold(),
    "project": lambda line: line.project,
    "author": lambda line: line.author,
    "status": lambda line: line.status,
    "since": lambda line: line.since,
    "files": lambda line: line.files,
}

routes = APIRouter()


@routes.get("/requests")
def own(house: TheHouse, visitor: Arriving, sort: str = "", order: str = "") -> Response:
    """Show the person's own requests."""
    lines = _sorted(house.own_requests(visitor.person), sort, order)
    return page(visitor, "own_requests.html", lines=lines)


@routes.get("/queue")
def queue(house: TheHouse, visitor: Arriving, sort: str = "", order: str = "") -> Response:
    """Show what waits for a reviewer, oldest first."""
    lines = house.queue(visitor.person)
    waiting = [line for line in lines if line.awaits]
    return page(visitor, "queue.html", lines=_sorted(lines, sort, order), waiting=waiting)


@routes.get("/requests/{identifier}")
def request(house: TheHouse, visitor: Arriving, identifier: str) -> Response:
    """Open a request."""
    sheet = house.request(visitor.person, identifier)
    unread = _without_vote(sheet, visitor) if "vote" in sheet.may else []
    return page(visitor, "request.html", sheet=sheet, acts=sheet.may & FORMS, unread=unread)


@routes.get("/requests/{identifier}/files/{sha256}")
def file(house: TheHouse, visitor: Arriving, identifier: str, sha256: str) -> Response:
    """Look at one file; the house records the view before it opens the bytes."""
    sheet = house.request(visitor.person, identifier)
    shown = _file(sheet, sha256)
    look = preview.of(house.file(visitor.person, identifier, sha256))
    position = [each.sha256 for each in sheet.files].index(sha256) + 1
    return page(visitor, "file.html", sheet=sheet, file=shown, look=look, position=position)


@routes.post("/requests/{identifier}/files/{sha256}/vote")
def vote(
    house: TheHouse,
    visitor: Acting,
    identifier: str,
    sha256: str,
    choice: Annotated[Choice, Form()],
    reason: Reason = "",
) -> Response:
    """Vote on exactly these bytes, then go to the next file without this person's vote."""
    house.vote(visitor.person, identifier, sha256, choice, reason)
    return RedirectResponse(_next(house, visitor, identifier), SEE_OTHER)


@routes.post("/requests/{identifier}/download")
def download(house: TheHouse, visitor: Acting, identifier: str) -> Response:
    """Hand the sealed package over."""
    return attachment(house.download(visitor.person, identifier))


@routes.post("/requests/{identifier}/{move}")
def move(house: TheHouse, visitor: Acting, identifier: str, move: str, reason: Reason = "") -> Response:
    """Take a step of the request's life."""
    if move not in MOVES:
        raise NotFound("page_unknown", "There is nothing at this address.")
    house.move(visitor.person, identifier, move, reason)  # type: ignore[arg-type]  # one of MOVES
    return RedirectResponse(f"{BASE}requests/{identifier}", SEE_OTHER)


def _sorted(lines: Any, sort: str, order: str) -> Sorted[RequestLine]:
    return arrange(lines, SORT_KEYS, sort, order)


def _file(sheet: RequestSheet, sha256: str) -> FileSheet:
    for each in sheet.files:
        if each.sha256 == sha256:
            return each
    raise NotFound("page_unknown", "There is nothing at this address.", "Open the request again.")


def _next(house: House, visitor: Visitor, identifier: str) -> str:
    unread = _without_vote(house.request(visitor.person, identifier), visitor)
    return f"{BASE}requests/{identifier}/files/{unread[0].sha256}" if unread else f"{BASE}queue"


def _without_vote(sheet: RequestSheet, visitor: Visitor) -> list[FileSheet]:
    return [file for file in sheet.files if all(vote.reviewer != visitor.person.id for vote in file.votes)]
