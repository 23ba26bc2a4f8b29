"""Who is asking a program's question: the owner of a data socket, or a person with a password on the house's own."""

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePath

from starlette.requests import Request

from enclave.errors import BadInput, NotAuthenticated, NotFound, Refused
from enclave.people import Person
from enclave.web.needs import House

SESSION = re.compile(r"[0-9a-f]{10}")
SLUG = re.compile(r"[a-z][a-z0-9-]{0,29}")
PROJECT_HEADER = "x-enclave-project"


@dataclass(frozen=True)
class Asker:
    """A person at work in one project."""

    person: Person
    project: str


Identify = Callable[[Request, House], Asker]


def from_socket(request: Request, house: House) -> Asker:
    """Read the identity off the listening socket `n/<session>/data/data.sock`; nothing in the request counts."""
    holder = house.holder(session_of(request.scope.get("server")))
    person = house.person(holder.person)
    _member(house, person, holder.project)
    return Asker(person, holder.project)


def session_of(server: tuple[str, int | None] | None) -> str:
    """Give the session whose socket took the connection."""
    path = PurePath(server[0]) if server else PurePath()
    name = path.parent.parent.name
    if path.name != "data.sock" or not SESSION.fullmatch(name):
        raise NotFound(
            "session_unknown", "This socket belongs to no notebook session.", "Restart the notebook."
        )
    return name


def from_password(request: Request, house: House) -> Asker:
    """Read HTTP Basic credentials (RFC 7617) and the project header."""
    name, password = _basic(request.headers.get("authorization", ""))
    person = house.authenticate(name, password)
    project = request.headers.get(PROJECT_HEADER, "")
    if not SLUG.fullmatch(project):
        raise BadInput("project_header_missing", "Say which project in X-Enclave-Project.")
    _member(house, person, project)
    return Asker(person, project)


def _member(house: House, person: Person, project: str) -> None:
    if project not in {card.id for card in house.projects_of(person)}:
        raise Refused(
            "not_a_member",
            "You do not work in this project today.",
            "Ask the project lead.",
            project=project,
        )


def _basic(header: str) -> tuple[str, str]:
    scheme, _, encoded = header.partition(" ")
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        decoded = ""
    name, separator, password = decoded.partition(":")
    if scheme.lower() != "basic" or not separator or not SLUG.fullmatch(name):
        raise NotAuthenticated(
            "credentials_missing", "Say who you are: name and password.", "Use HTTP Basic."
        )
    return name, password
