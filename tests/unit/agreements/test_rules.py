"""Who may ask what, as truth tables."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from enclave.agreements import rules
from enclave.agreements.words import Agreement, Dataset, Grant, MemberRole, Project, Use
from enclave.errors import EnclaveError
from enclave.people import Person, Role

TODAY = date(2026, 11, 25)
DAY = timedelta(days=1)
RESEARCHER = Person("researcher-a", frozenset({Role.RESEARCHER}))
PROJECT = Project(
    "asthma", "Asthme", TODAY + DAY, members=(Grant("researcher-a", "asthma", MemberRole.RESEARCHER),)
)
DATASET = Dataset("stays", "hospital-a", "inhabitants", "Séjours", version=1)
AGREEMENT = Agreement(
    "agreement-1",
    "hospital-a",
    "stays",
    "asthma",
    "Why",
    TODAY - DAY,
    TODAY + DAY,
    frozenset({Use.QUESTIONS}),
)


def code(**changed: object) -> str:
    asked = {
        "person": RESEARCHER,
        "project": PROJECT,
        "dataset": DATASET,
        "agreements": [AGREEMENT],
        "today": TODAY,
        "use": Use.QUESTIONS,
        **changed,
    }
    try:
        rules.may_ask(**asked)
    except EnclaveError as refusal:
        return refusal.code
    return ""


@pytest.mark.parametrize(
    ("person", "refusal"),
    [
        (RESEARCHER, ""),
        (replace(RESEARCHER, roles=frozenset({Role.PROJECT_LEAD})), ""),
        (replace(RESEARCHER, roles=frozenset()), "role_missing"),
        (replace(RESEARCHER, roles=frozenset(Role) - {Role.RESEARCHER, Role.PROJECT_LEAD}), "role_missing"),
        (replace(RESEARCHER, active=False), "person_inactive"),
        (replace(RESEARCHER, id="researcher-b"), "not_a_member"),
    ],
)
def test_who_may_ask(person: Person, refusal: str):
    assert code(person=person) == refusal


@pytest.mark.parametrize(
    ("project", "refusal"),
    [
        (PROJECT, ""),
        (replace(PROJECT, ends_on=TODAY), ""),
        (replace(PROJECT, ends_on=TODAY - DAY), "project_ended"),
        (replace(PROJECT, active=False), "project_closed"),
    ],
)
def test_a_project_asks_until_its_last_day(project: Project, refusal: str):
    assert code(project=project) == refusal


@pytest.mark.parametrize(
    ("agreement", "refusal"),
    [
        (AGREEMENT, ""),
        (replace(AGREEMENT, valid_from=TODAY), ""),
        (replace(AGREEMENT, valid_to=TODAY), ""),
        (replace(AGREEMENT, valid_from=TODAY + DAY), "agreement_not_begun"),
        (replace(AGREEMENT, valid_to=TODAY - DAY), "agreement_ended"),
        (replace(AGREEMENT, allows=frozenset({Use.EXTRACTS})), "use_not_allowed"),
        (replace(AGREEMENT, allows=frozenset()), "use_not_allowed"),
        (replace(AGREEMENT, project="other"), "no_agreement"),
        (replace(AGREEMENT, dataset="other"), "no_agreement"),
    ],
)
def test_what_the_agreement_says_today(agreement: Agreement, refusal: str):
    assert code(agreements=[agreement]) == refusal


def test_one_agreement_that_allows_is_enough_whatever_the_others_say():
    ended = replace(AGREEMENT, id="agreement-0", valid_to=TODAY - DAY)
    found = rules.may_ask(RESEARCHER, PROJECT, DATASET, [ended, AGREEMENT], TODAY)
    assert found is AGREEMENT


def test_of_several_refusals_the_nearest_agreement_gives_the_reason():
    ended = replace(AGREEMENT, id="agreement-0", valid_to=TODAY - DAY)
    narrow = replace(AGREEMENT, allows=frozenset())
    assert code(agreements=[narrow, ended]) == "use_not_allowed"


@pytest.mark.parametrize(
    ("dataset", "use", "refusal"),
    [
        (DATASET, Use.QUESTIONS, ""),
        (DATASET, Use.EXTRACTS, ""),
        (replace(DATASET, questions_only=True), Use.QUESTIONS, ""),
        (replace(DATASET, questions_only=True), Use.EXTRACTS, "questions_only"),
        (replace(DATASET, version=None), Use.QUESTIONS, "no_current_version"),
    ],
)
def test_what_the_dataset_is_ready_for(dataset: Dataset, use: Use, refusal: str):
    both = replace(AGREEMENT, allows=frozenset(Use))
    assert code(dataset=dataset, use=use, agreements=[both]) == refusal
