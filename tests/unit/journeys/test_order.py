"""The service's half: each dataset of a question passes the same three questions."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from enclave.agreements.words import Agreement, Dataset, Grant, MemberRole, Project, Use
from enclave.errors import BadInput, Refused
from enclave.journeys.matter import dataset_of, features_of
from enclave.journeys.question import order
from enclave.people import Person, Role
from enclave.recording import Visitor
from tests.unit.journeys.engine_for_tests import policy, question

TODAY = date(2026, 11, 25)
RESEARCHER = Visitor(Person("researcher-a", frozenset({Role.RESEARCHER}), active=True, locale="en"))
PROJECT = Project(
    "cardio",
    "Cardio",
    date(2027, 1, 1),
    members=(Grant("researcher-a", "cardio", MemberRole.RESEARCHER),),
)
FEATURES = {"dataset": "results", "take": [{"name": "tested", "stat": "exists"}]}


def dataset(name: str) -> Dataset:
    return Dataset(
        name, "ght-nord", "patients", name, version=4, manifest_sha256="m" * 64, policy_yaml=policy(name)
    )


def agreement(name: str, **changes: Any) -> Agreement:
    usual = Agreement(
        f"agreement-{name}", "ght-nord", name, "cardio", "care", TODAY, TODAY, frozenset({Use.QUESTIONS})
    )
    return replace(usual, **changes)


class Books:
    """The house's agreements, as far as an order asks them."""

    def __init__(self, *held: Agreement) -> None:
        self._held = held

    def dataset(self, name: str) -> Dataset:
        return dataset(name)

    def agreements(self, _: str) -> tuple[Agreement, ...]:
        return self._held

    def project(self, _: str) -> Project:
        return PROJECT


def ordered(*held: Agreement, **fields: Any) -> Any:
    books: Any = Books(*held)
    return order(books, RESEARCHER, "cardio", "stays", question(**fields), TODAY)


def test_an_order_about_two_datasets_names_both_agreements_and_both_versions() -> None:
    found = ordered(agreement("stays"), agreement("results"), features=FEATURES)
    assert (found.dataset, found.agreement) == ("stays", "agreement-stays")
    assert (found.second.dataset, found.second.version) == ("results", 4)
    assert found.second.agreement == "agreement-results"
    assert ordered(agreement("stays")).second is None


@pytest.mark.parametrize(
    ("code", "held"),
    [
        ("no_agreement", ()),
        ("agreement_ended", (agreement("results", valid_to=date(2026, 1, 1)),)),
        ("use_not_allowed", (agreement("results", allows=frozenset({Use.EXTRACTS})),)),
    ],
)
def test_features_need_an_agreement_that_allows_questions_of_their_dataset_too(code: str, held: Any) -> None:
    with pytest.raises(Refused) as refused:
        ordered(agreement("stays"), *held, features=FEATURES)
    assert refused.value.code == code


def test_datasets_are_named_before_anything_else_of_a_question_is_looked_at() -> None:
    assert dataset_of({"dataset": "stays", "ask": object()}) == "stays"
    assert features_of({"features": FEATURES}) == "results"
    for hostile in ({}, {"features": 3}, {"features": {"dataset": ["results"]}}):
        assert features_of(hostile) is None
    with pytest.raises(BadInput) as refused:
        dataset_of({"dataset": 3})
    assert refused.value.code == "question_form"
