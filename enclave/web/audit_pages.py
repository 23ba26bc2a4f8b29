"""The auditor's pages: verify now, search, follow one correlation, take everything away."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Annotated
from urllib.parse import urlencode

import orjson
import segno
from fastapi import APIRouter, Form, Query
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from audit.flags import RULES
from enclave.errors import BadInput
from enclave.journeys.review import LONGEST_COMMENT, REASONS
from enclave.messages import PARIS
from enclave.web import guard
from enclave.web.api import TheHouse
from enclave.web.attachments import attachment
from enclave.web.needs import House
from enclave.web.render import page
from enclave.web.sheets import (
    Certificate,
    TrailFinding,
    TrailPage,
    TrailQuery,
    TrailReport,
)
from enclave.web.visitor import Acting, Arriving, Visitor

LONGEST_FIELD = 80
MOST_FINDINGS = 200
Text = Annotated[str, Query(max_length=LONGEST_FIELD)]

routes = APIRouter(prefix="/audit")


@dataclass(frozen=True)
class Asked:
    """What the search form holds, as typed; days are Paris days."""

    text: str = ""
    person: str = ""
    project: str = ""
    type: str = ""
    object: str = ""
    corr: str = ""
    first: str = ""
    last: str = ""
    below: int = 0

    @property
    def query(self) -> TrailQuery:
        """Read the form; the last day counts whole."""
        before = _midnight(self.last)
        return TrailQuery(
            text=self.text.strip(),
            person=self.person.strip(),
            project=self.project.strip(),
            type=self.type.strip(),
            object=self.object.strip(),
            corr=self.corr.strip(),
            after=_midnight(self.first),
            before=None if before is None else before + timedelta(days=1),
            below=self.below,
        )

    @property
    def address(self) -> str:
        """The form as a query string."""
        return urlencode({name: value for name, value in self.__dict__.items() if value})

    @property
    def one_act(self) -> bool:
        """Whether this follows one correlation and nothing else: then it is told in the order it happened."""
        return bool(self.corr.strip()) and self.address == urlencode({"corr": self.corr})

    def older(self, found: TrailPage) -> str:
        """Give the next page's query string, or nothing where this page is the last."""
        if len(found.events) < self.query.limit:
            return ""
        return replace(self, below=found.events[-1].index).address


@routes.get("")
def audit(house: TheHouse, visitor: Arriving) -> Response:
    """Show the checkpoint and the search form."""
    return _front(house, visitor, Asked())


@routes.post("/verify")
def verify(house: TheHouse, visitor: Acting) -> Response:
    """Verify the trail now and say the two verdicts."""
    return _front(house, visitor, Asked(), house.verify_trail(visitor.person))


@routes.post("/review")
def review(house: TheHouse, visitor: Acting, until: Annotated[int, Form(ge=0)]) -> Response:
    """Sign off what was looked through."""
    house.sign_off(visitor.person, until)
    return _front(house, visitor, Asked())


def _front(house: House, visitor: Visitor, asked: Asked, report: TrailReport | None = None) -> Response:
    first, last = house.unreviewed(visitor.person)
    checkpoint = house.checkpoint(visitor.person)
    reviewed, late = house.last_review(visitor.person)
    return page(
        visitor,
        "audit.html",
        checkpoint=checkpoint,
        asked=asked,
        report=report,
        first=first,
        last=last,
        reviewed=reviewed,
        late=late,
    )


@routes.get("/search")
def search(
    request: Request,
    house: TheHouse,
    visitor: Arriving,
    text: Text = "",
    person: Text = "",
    project: Text = "",
    type: Text = "",  # noqa: A002 - the event's own word
    object: Text = "",  # noqa: A002
    corr: Text = "",
    first: Text = "",
    last: Text = "",
    below: Annotated[int, Query(ge=0)] = 0,
) -> Response:
    """Search, which is itself recorded; a link from another site only fills the form."""
    asked = Asked(text, person, project, type, object, corr, first, last, below)
    if guard.came_from_elsewhere(request.headers):
        return _front(house, visitor, asked)
    found = house.search_trail(visitor.person, asked.query)
    events = found.events[::-1] if asked.one_act else found.events
    return page(
        visitor, "audit_search.html", asked=asked, found=found, events=events, older=asked.older(found)
    )


@routes.get("/events/{index}")
def event(house: TheHouse, visitor: Arriving, index: int) -> Response:
    """Show one event, its hash, how the detail beside it stands, and the proof that it is in the tree."""
    return _event(house, visitor, index, {})


@routes.post("/events/{index}/detail")
def detail(house: TheHouse, visitor: Acting, index: int) -> Response:
    """Open the sealed detail beside an event, which is itself recorded, and show it with the event."""
    return _event(house, visitor, index, house.read_detail(visitor.person, index))


def _event(house: House, visitor: Visitor, index: int, words: dict[str, str]) -> Response:
    found, proof = house.event(visitor.person, str(index))
    written = orjson.dumps(found.event, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS).decode()
    return page(
        visitor,
        "audit_event.html",
        found=found,
        written=written,
        proof=proof,
        state=house.detail_state(index),
        words=words,
    )


@routes.post("/flags")
def flags(house: TheHouse, visitor: Acting) -> Response:
    """Show what the stated rules and the verification point at, open ones first."""
    return _findings(visitor, house.findings(visitor.person))


@routes.post("/flags/sign")
def sign(
    house: TheHouse,
    visitor: Acting,
    finding: Annotated[str, Form(max_length=64)],
    reason: Annotated[str, Form(max_length=20)],
    comment: Annotated[str, Form(max_length=LONGEST_COMMENT)] = "",
) -> Response:
    """Sign off one of them, and show what is left."""
    return _findings(visitor, house.sign_finding(visitor.person, finding, reason, comment))


def _findings(visitor: Visitor, found: Sequence[TrailFinding]) -> Response:
    waiting = [one for one in found if one.signed is None]
    return page(
        visitor,
        "audit_flags.html",
        waiting=waiting[:MOST_FINDINGS],
        done=[one for one in found if one.signed is not None][:MOST_FINDINGS],
        total=len(waiting),
        overdue=sum(one.overdue for one in waiting),
        rules=list(RULES),
        reasons=REASONS,
        longest=LONGEST_COMMENT,
    )


@routes.get("/follow")
def follow(
    request: Request,
    house: TheHouse,
    visitor: Arriving,
    person: Text = "",
    project: Text = "",
    session: Text = "",
    release: Text = "",
    question: Text = "",
) -> Response:
    """Tell from login to release what one person did in one project; a link from another site only fills the form."""
    if guard.came_from_elsewhere(request.headers):
        return _front(house, visitor, Asked(person=person, project=project))
    for kind, name in (("session", session), ("request", release), ("question", question)):
        if name.strip():
            person, project = house.owner_of(visitor.person, kind, name.strip())
    if not person.strip() or not project.strip():
        raise BadInput("story_of_whom", "A story is of a person and a project.", "Give both, or one number.")
    found = house.follow(visitor.person, person.strip(), project.strip())
    return page(visitor, "audit_follow.html", person=person, project=project, found=found)


@routes.post("/certificate")
def certificate(house: TheHouse, visitor: Acting, request: Annotated[str, Form(max_length=36)]) -> Response:
    """Show the certificate of a release, to be printed."""
    told = house.certificate(visitor.person, request.strip())
    return page(
        visitor, "audit_certificate.html", told=told, code=_code(told), log=told.checkpoint.partition("\n")[0]
    )


def _code(told: Certificate) -> str:
    """Give the proof's address and hashes as a QR code, for whoever holds the paper only."""
    lines = (told.address, f"leaf {told.package.leaf_sha256}", f"tagmanifest {told.artefact_sha256}")
    return str(segno.make("\n".join(lines), error="m").svg_data_uri(scale=3, border=2))


@routes.get("/checkpoint")
def checkpoint(house: TheHouse, visitor: Arriving) -> Response:
    """Give the signed checkpoint as text (C2SP signed note)."""
    return PlainTextResponse(house.checkpoint(visitor.person))


@routes.post("/export")
def export(house: TheHouse, visitor: Acting) -> Response:
    """Hand over what an outsider needs to verify."""
    return attachment(house.export_trail(visitor.person))


def _midnight(day: str) -> datetime | None:
    if not day:
        return None
    try:
        return datetime.combine(date.fromisoformat(day), time(), tzinfo=PARIS)
    except ValueError:
        raise BadInput("date_unreadable", "A date is written 2026-11-25.", "Correct the date.") from None
