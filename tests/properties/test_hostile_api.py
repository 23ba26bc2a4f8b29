"""Whatever is sent to the API is answered by a refusal in the house's words or by what was asked, never by a failure of the code.

Schemathesis makes requests from the routes' own schema, valid and invalid; hypothesis makes questions that no client would.
"""

from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode

from anonymisation.errors import BadQuestion
from anonymisation.question import check, parse
from enclave.people import Person
from enclave.web import api, refusals
from enclave.web.asker import Asker
from tests.unit.anonymisation.question_tables import STAYS
from tests.unit.web.house_for_tests import HouseForTests

EXAMPLES = 8
WORDS = st.sampled_from(
    [
        "dept",
        "cost",
        "stays",
        "' OR 1=1 --",
        "../../etc/passwd",
        "${jndi:x}",
        "\x00",
        "\ud800",
        "é" * 50,
        "NaN",
        "__class__",
    ]
)
OPERATORS = st.sampled_from(
    ["==", "in", "and", "not", "case", "bins", "+", "*", "year", "col", "eval", "between"]
)
LEAVES = st.one_of(WORDS, st.integers(), st.none(), st.booleans(), st.floats(allow_nan=True))
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.builds(lambda op, rest: [op, *rest], OPERATORS, st.lists(inner, max_size=4)),
        st.dictionaries(WORDS, inner, max_size=3),
    ),
    max_leaves=12,
)
STATS = st.sampled_from(
    [
        "count",
        "units",
        "sum",
        "mean",
        "quantile",
        "histogram",
        "contingency",
        "survival",
        "rate",
        "ols",
        "cox",
        "x",
    ]
)
ASKS = st.fixed_dictionaries(
    {"name": st.one_of(st.just("n"), WORDS), "stat": STATS},
    optional={
        "column": st.one_of(WORDS, TREES),
        "columns": st.lists(WORDS, max_size=9),
        "low": LEAVES,
        "high": LEAVES,
        "edges": st.lists(LEAVES, max_size=5),
        "probs": st.lists(LEAVES, max_size=3),
        "event": WORDS,
        "standard": WORDS,
        "persons": st.lists(LEAVES, max_size=3),
    },
)
QUESTIONS = st.fixed_dictionaries(
    {
        "v": st.sampled_from([1, 1, 1, 2]),
        "dataset": st.just("stays"),
        "ask": st.lists(ASKS, min_size=1, max_size=3),
    },
    optional={
        "where": TREES,
        "let": st.lists(st.fixed_dictionaries({"name": WORDS, "expr": TREES}), max_size=2),
        "by": st.lists(WORDS, max_size=5),
        "unit": st.dictionaries(st.sampled_from(["rows", "groups", "rows_per_group"]), LEAVES, max_size=3),
        "rho_micro": LEAVES,
    },
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(QUESTIONS)
def test_a_hostile_question_is_a_question_or_a_refusal_that_repeats_none_of_it(
    document: dict[str, Any],
) -> None:
    document.setdefault("rho_micro", 1_000)
    try:
        check(parse(document), STAYS)
    except BadQuestion as error:
        refused = error
    else:
        return
    assert "OR 1=1" not in refused.to_do


class Reading(HouseForTests):
    """Reads each question as the engine does before anything else is done with it."""

    def _read(self, question: Any) -> None:
        asked = parse(question)
        check(asked, self.declared(asked.dataset))

    def price(self, person: Person, project: str, question: Any) -> Any:
        self._read(question)
        return super().price(person, project, question)

    def ask(self, person: Person, project: str, question: Any) -> Any:
        self._read(question)
        return super().ask(person, project, question)


def application() -> FastAPI:
    """The notebook's routes with their schema, which the served application does not publish."""
    app = FastAPI()
    house = Reading()
    app.state.house = house
    app.state.identify = lambda *_: Asker(house.person("researcher-a"), "heart-failure")
    app.include_router(api.routes)
    refusals.install(app)
    return app


def operations() -> list[Any]:
    loaded = schemathesis.openapi.from_asgi("/openapi.json", application())
    return [one.ok() for one in loaded.get_all_operations()]


def tried() -> list[Any]:
    """Each route with requests its schema allows, and where something can be wrong with one it forbids."""
    return [
        pytest.param(one, mode, id=f"{one.label} {mode.value}")
        for one in operations()
        for mode in GenerationMode
        if mode is GenerationMode.POSITIVE or one.body or one.query
    ]


@pytest.mark.parametrize(("operation", "mode"), tried())
def test_every_route_answers_whatever_its_schema_allows_or_forbids(
    operation: Any, mode: GenerationMode
) -> None:
    cases = operation.as_strategy(generation_mode=mode)

    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(cases)
    def answered(case: Any) -> None:
        answer = case.call()
        assert answer.status_code < 500, (case.path, answer.status_code)
        if answer.status_code >= 400 and answer.status_code != 405:
            assert set(answer.json()["error"]) == {"code", "message", "to_do"}

    answered()
