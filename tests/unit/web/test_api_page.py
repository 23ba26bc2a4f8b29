"""docs/api.md against the routes: each has its section and its first sentence, and every example is played."""

import json
import re
from pathlib import Path

import pytest

from enclave.web import api
from enclave.web.apps import data_app
from tests.unit.web.house_for_tests import HouseForTests
from tests.unit.web.test_api import send

TEXT = (Path(__file__).parents[3] / "docs" / "api.md").read_text(encoding="utf-8")
SECTIONS = {
    (method, path): body
    for method, path, body in re.findall(
        r"^## ([A-Z]+) (/\S+)\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL
    )
}
ROUTES = {
    (method, route.path.removeprefix("/api/v1")): route.endpoint.__doc__ or ""
    for route in api.routes.routes
    for method in route.methods  # type: ignore[attr-defined]
}
EXAMPLES = [
    (method, path, json.loads(example))
    for (method, path), body in SECTIONS.items()
    for example in re.findall(r"```json\n(.*?)```", body, re.DOTALL)
]


TOLD = [
    (method, path, json.loads(example))
    for (method, path), body in SECTIONS.items()
    for example in re.findall(r"```json answer\n(.*?)```", body, re.DOTALL)
]


def one_line(text: str) -> str:
    return " ".join(text.split())


def test_the_page_has_a_section_for_every_route_and_no_other() -> None:
    assert set(SECTIONS) == set(ROUTES)


@pytest.mark.parametrize("key", ROUTES, ids=" ".join)
def test_a_section_begins_as_the_code_says_it(key: tuple[str, str]) -> None:
    first = one_line(ROUTES[key]).rstrip(".").split(". ")[0]
    assert one_line(SECTIONS[key]).startswith(first)


@pytest.mark.parametrize(("method", "path", "body"), EXAMPLES, ids=[path for _, path, _ in EXAMPLES])
def test_every_example_is_answered(method: str, path: str, body: object) -> None:
    answer = send(data_app(HouseForTests()), method, f"/api/v1{path}", json=body)
    assert answer.is_success, answer.text


def shape(told: object) -> object:
    """Give the names and kinds of what is told; of a list its first."""
    if isinstance(told, dict):
        return {name: shape(value) for name, value in told.items()}
    return [shape(told[0])] if isinstance(told, list) and told else type(told).__name__


@pytest.mark.parametrize(("method", "path", "example"), TOLD, ids=[path for _, path, _ in TOLD])
def test_an_example_of_an_answer_has_the_form_of_the_real_one(
    method: str, path: str, example: object
) -> None:
    answer = send(data_app(HouseForTests()), method, f"/api/v1{path}").json()
    assert shape(answer) == shape(example)


def test_the_example_address_is_answered() -> None:
    (address,) = re.findall(r"```http\nGET (\S+)\n", TEXT)
    answer = send(data_app(HouseForTests()), "GET", address)
    assert {len(values) for values in answer.json()["columns"].values()} == {3}
