"""What tests of the pages share: a request to review, and running one story."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from enclave.web.sheets import FileIn
from tests.unit.web.browser import World

TABLE = b"sexe;effectif\nF;420\nM;<script>alert(3)</script>\n"


def run(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(story)


def submitted(world: World, title: str = "Effectifs par sexe", content: bytes = TABLE) -> str:
    author = world.house.people["researcher-a"]
    request = world.house.create_request(
        author, "heart-failure", title, "Article", [FileIn("table.csv", content)]
    )
    world.house.set_status(request, "IN_REVIEW")
    return request
