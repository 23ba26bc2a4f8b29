"""The notebook's API, `/api/v1`: read the request, ask the house, answer JSON."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request

from anonymisation import ledger_words
from anonymisation.form import MAX_RHO_MICRO
from anonymisation.mock import MOST_ROWS
from enclave import messages
from enclave.web import uploads
from enclave.web.asker import Asker, Identify
from enclave.web.needs import House
from enclave.web.sheets import (
    Allowance,
    BudgetSheet,
    Json,
    RequestLine,
    RequestSheet,
)
from enclave.web.words import status_words


def the_house(request: Request) -> House:
    """Give the house this application serves."""
    house: House = request.app.state.house
    return house


TheHouse = Annotated[House, Depends(the_house)]


def asker(request: Request, house: TheHouse) -> Asker:
    """Say who asks, anew for each request."""
    identify: Identify = request.app.state.identify
    return identify(request, house)


def speaking(request: Request) -> messages.Language:
    """Read the language asked for."""
    return messages.preferred(request.headers.get("accept-language"))


Asking = Annotated[Asker, Depends(asker)]
Speaking = Annotated[messages.Language, Depends(speaking)]


class QuestionIn(BaseModel):
    """A question on its way to the engine, which reads it; only its envelope is looked at here."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    question: Json


class RehearsalIn(QuestionIn):
    """A question to be run on made-up rows."""

    rows: Annotated[int, Field(ge=1, le=MOST_ROWS)] = 1000
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0


routes = APIRouter(prefix="/api/v1")


@routes.get("/me")
def me(house: TheHouse, who: Asking) -> Json:
    """Say who is asking and where."""
    return {
        "person": who.person.id,
        "project": who.project,
        "roles": sorted(who.person.roles),
        "projects": [card.id for card in house.projects_of(who.person)],
    }


@routes.get("/datasets")
def datasets(house: TheHouse, who: Asking) -> Json:
    """List what may be questioned."""
    return {"datasets": list(house.datasets(who.person, who.project))}


@routes.get("/datasets/{dataset}/mock")
def mock(
    house: TheHouse,
    who: Asking,
    dataset: str,
    rows: Annotated[int, Query(ge=1, le=MOST_ROWS)] = 1000,
    seed: Annotated[int, Query(ge=0, lt=2**32)] = 0,
) -> Json:
    """Make rows up from what was declared, to try things on: free, no data is read."""
    return house.mock(who.person, who.project, dataset, rows, seed)


@routes.get("/datasets/{dataset}/profile")
def profile(
    house: TheHouse,
    who: Asking,
    dataset: str,
    rho_micro: Annotated[int | None, Query(ge=1, le=MAX_RHO_MICRO)] = None,
) -> Json:
    """Show what the house paid to know of a dataset, and the bounds it advises for a question of this price: free."""
    return house.profile(who.person, who.project, dataset, rho_micro)


@routes.post("/mock")
def rehearse(house: TheHouse, who: Asking, body: RehearsalIn) -> Json:
    """Answer a question exactly on made-up rows: free, no data is read."""
    return house.rehearse(who.person, who.project, body.question, body.rows, body.seed)


@routes.post("/price")
def price(house: TheHouse, who: Asking, body: QuestionIn) -> Json:
    """Price a question: free."""
    return house.price(who.person, who.project, body.question)


@routes.post("/ask")
def ask(house: TheHouse, who: Asking, body: QuestionIn) -> Json:
    """Pay and answer."""
    return house.ask(who.person, who.project, body.question)


@routes.get("/running")
def running(house: TheHouse, who: Asking) -> Json:
    """List one's own questions that have no answer yet."""
    return {"running": list(house.running(who.person, who.project))}


@routes.post("/cancel")
def cancel(house: TheHouse, who: Asking, body: QuestionIn) -> Json:
    """Stop one's own running question; what was reserved for it stays spent."""
    return house.cancel(who.person, who.project, body.question)


@routes.get("/budget")
def budget(house: TheHouse, who: Asking) -> Json:
    """Tell what is left, and what was spent when."""
    sheets = house.budget(who.person, who.project)
    return {"covers": "questions", "populations": [budget_json(sheet) for sheet in sheets]}


@routes.post("/check")
def check(house: TheHouse, who: Asking, body: uploads.Uploads) -> Json:
    """Run the release checks without a request."""
    return house.check_files(who.person, who.project, uploads.read(body))


@routes.get("/requests")
def requests(house: TheHouse, who: Asking, language: Speaking) -> Json:
    """List the person's requests in this project."""
    lines = house.own_requests(who.person, who.project)
    return {"requests": [line_json(line, language) for line in lines]}


@routes.post("/requests", status_code=201)
def create(house: TheHouse, who: Asking, body: uploads.NewRequest) -> Json:
    """Make a draft."""
    files = uploads.read(body)
    return {"id": house.create_request(who.person, who.project, body.title, body.purpose, files)}


@routes.get("/requests/{identifier}")
def request(house: TheHouse, who: Asking, identifier: str, language: Speaking) -> Json:
    """Open one."""
    return sheet_json(house.request(who.person, identifier), language)


@routes.post("/requests/{identifier}/submit")
def submit(house: TheHouse, who: Asking, identifier: str, language: Speaking) -> Json:
    """Ask for it to leave."""
    house.move(who.person, identifier, "submit", "")
    return sheet_json(house.request(who.person, identifier), language)


@routes.post("/requests/{identifier}/withdraw")
def withdraw(house: TheHouse, who: Asking, identifier: str, language: Speaking) -> Json:
    """Take it back."""
    house.move(who.person, identifier, "withdraw", "")
    return sheet_json(house.request(who.person, identifier), language)


def budget_json(sheet: BudgetSheet) -> Json:
    """Write one population's budget for a program; money-like quantities are integers."""
    return {
        "population": _allowance(sheet.population) | {"name": sheet.population_name},
        "project": _allowance(sheet.project_share) | {"name": sheet.project},
        "person": _allowance(sheet.person),
        "means": ledger_words.meaning(sheet.project_share.cap_rho_micro),
        "once_spent": ledger_words.remains(),
        "charges": [
            {
                "when": each.when.isoformat(),
                "person": each.person,
                "dataset": each.dataset,
                "rho_micro": each.rho_micro,
                "question_sha256": each.question_sha256,
            }
            for each in sheet.charges
        ],
        "outside": [
            {"when": each.when.isoformat(), "kind": each.kind, "what": each.what} for each in sheet.outside
        ],
    }


def line_json(line: RequestLine, language: messages.Language) -> Json:
    """Write a request's line for a program, with its state in words."""
    return {
        "id": line.id,
        "title": line.title,
        "project": line.project,
        "status": line.status,
        "since": line.since.isoformat(),
        "files": line.files,
        "words": status_words(line, language),
    }


def sheet_json(sheet: RequestSheet, language: messages.Language) -> Json:
    """Write an opened request for its author: files and what the checks found."""
    return line_json(sheet.line, language) | {
        "purpose": sheet.purpose,
        "files": [
            {
                "file": file.name,
                "sha256": file.sha256,
                "bytes": file.bytes,
                "verdict": file.verdict,
                "supporting": file.supporting,
                "findings": [asdict(finding) for finding in file.findings],
            }
            for file in sheet.files
        ],
        "may": sorted(sheet.may),
    }


def _allowance(part: Allowance) -> Json:
    return {"cap_rho_micro": part.cap_rho_micro, "left_rho_micro": part.left_rho_micro}
