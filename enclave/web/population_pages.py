"""A steward's pages: what each population may still lose, who spent it when, and what was declared about its datasets."""

from datetime import UTC, datetime

from fastapi import APIRouter
from starlette.responses import Response

from anonymisation import ledger_words
from enclave.web.api import TheHouse
from enclave.web.render import page
from enclave.web.sheets import Allowance
from enclave.web.spending import drawings
from enclave.web.visitor import Arriving
from enclave.web.words import left_percent

routes = APIRouter(prefix="/populations")


@routes.get("")
def populations(house: TheHouse, visitor: Arriving) -> Response:
    """List the populations and what was spent on them."""
    return page(visitor, "populations.html", populations=house.populations(visitor.person))


@routes.get("/{population}")
def population(house: TheHouse, visitor: Arriving, population: str) -> Response:
    """Show one population's caps, spending by project over time, and declared columns."""
    sheet = house.population(visitor.person, population)
    return page(
        visitor,
        "population.html",
        sheet=sheet,
        left=left_percent(Allowance(sheet.cap, sheet.cap - sheet.spent)),
        means=ledger_words.meaning(sheet.cap)[visitor.language],
        remains=ledger_words.remains()[visitor.language],
        drawings=drawings(sheet.charges, datetime.now(UTC)),
    )
