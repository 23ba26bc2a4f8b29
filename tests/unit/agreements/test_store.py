"""What was agreed is kept, with its history, under a receipt for each write."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from enclave.agreements.store import AgreementStore
from enclave.agreements.words import Agreement, Dataset, Grant, MemberRole, Partner, Project, Use
from enclave.errors import EnclaveError, NotFound, Refused
from enclave.house import open_house
from tests.unit.agreements.receipt_for_tests import ReceiptForTests, receipt

PARTNER = Partner(
    "hospital-a", "Hôpital A", "Hospital A", frozenset({"delegate-a"}), veto=True, answer_days=5
)
DATASET = Dataset("stays", "hospital-a", "inhabitants", "Séjours", "Stays", questions_only=True)
PROJECT = Project("asthma", "Asthme", date(2027, 6, 30), "Asthma")
AGREEMENT = Agreement(
    "agreement-1",
    "hospital-a",
    "stays",
    "asthma",
    "Why",
    date(2026, 1, 1),
    date(2026, 12, 31),
    frozenset({Use.QUESTIONS, Use.EXTRACTS}),
)


def place(person: str, role: MemberRole = MemberRole.RESEARCHER) -> Grant:
    return Grant(person, "asthma", role)


def granted(person: str) -> ReceiptForTests:
    return receipt("admin.grant", f"person:{person}", "project:asthma")


@pytest.fixture
def store(tmp_path: Path):
    engine = open_house(tmp_path / "house.db")
    kept = AgreementStore(engine)
    kept.put_partner(PARTNER, receipt("admin.partner", "partner:hospital-a"))
    kept.put_dataset(DATASET, receipt("admin.dataset", "dataset:stays"))
    kept.put_project(PROJECT, receipt("admin.project", "project:asthma"))
    yield kept
    engine.dispose()


def publish(store: AgreementStore, version: int, act: str = "data.import") -> None:
    store.publish_version(
        "stays",
        version,
        manifest_sha256=f"{version}" * 64,
        policy_sha256="b" * 64,
        policy_yaml=f"version: {version}\n",
        receipt=receipt(act, "dataset:stays"),
    )


def test_what_is_declared_is_read_back_as_it_was(store: AgreementStore):
    store.put_agreement(AGREEMENT, receipt("admin.agreement", "agreement:agreement-1"))
    assert store.partner("hospital-a") == PARTNER
    assert store.dataset("stays") == DATASET
    assert store.project("asthma") == PROJECT
    assert store.agreements("asthma") == (AGREEMENT,)
    assert store.agreements() == (AGREEMENT,)
    assert store.agreements("other") == ()
    assert store.partners_of("asthma") == (PARTNER,)
    assert store.datasets_of("asthma") == (DATASET,)
    assert store.datasets_of("other") == ()


@pytest.mark.parametrize("kind", ["partner", "dataset", "project"])
def test_what_was_never_declared_is_not_found(store: AgreementStore, kind: str):
    with pytest.raises(NotFound) as refusal:
        getattr(store, kind)("unknown")
    assert refusal.value.code == f"no_such_{kind}"


def test_the_newest_declaration_counts(store: AgreementStore):
    store.put_project(replace(PROJECT, active=False), receipt("admin.project", "project:asthma"))
    assert store.projects() == (replace(PROJECT, active=False),)


WRITES = {
    "put_partner": lambda store, shown: store.put_partner(PARTNER, shown),
    "put_dataset": lambda store, shown: store.put_dataset(DATASET, shown),
    "put_project": lambda store, shown: store.put_project(PROJECT, shown),
    "put_agreement": lambda store, shown: store.put_agreement(AGREEMENT, shown),
    "grant": lambda store, shown: store.grant(place("researcher-a"), shown),
    "end_grant": lambda store, shown: store.end_grant("researcher-a", "asthma", shown),
    "publish_version": lambda store, shown: store.publish_version(
        "stays", 1, manifest_sha256="a", policy_sha256="b", policy_yaml="", receipt=shown
    ),
    "mark_shredded": lambda store, shown: store.mark_shredded("stays", 1, shown),
}


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize(
    "shown",
    [receipt("release.create", "project:asthma", "dataset:stays"), receipt("admin.grant", "project:asthma")],
    ids=["other_act", "other_object"],
)
def test_every_write_asks_for_its_own_receipt(store: AgreementStore, write: str, shown: ReceiptForTests):
    with pytest.raises(Refused) as refusal:
        WRITES[write](store, shown)
    assert refusal.value.code == "receipt_mismatch"
    assert store.projects() == (PROJECT,)
    assert store.versions("stays") == ()


def test_a_place_in_a_project_is_given_changed_and_taken_away(store: AgreementStore):
    store.grant(place("researcher-a"), granted("researcher-a"))
    store.grant(place("researcher-b"), granted("researcher-b"))
    store.grant(place("researcher-a", MemberRole.LEAD), granted("researcher-a"))
    store.end_grant("researcher-b", "asthma", granted("researcher-b"))
    assert store.project("asthma").members == (place("researcher-a", MemberRole.LEAD),)
    assert [one.id for one in store.projects_of("researcher-a")] == ["asthma"]
    assert store.projects_of("researcher-b") == ()


def test_whoever_was_once_a_member_is_remembered_as_one(store: AgreementStore):
    store.grant(place("researcher-b"), granted("researcher-b"))
    store.end_grant("researcher-b", "asthma", granted("researcher-b"))
    assert store.ever_members("asthma") == {"researcher-b"}


def test_versions_follow_one_another_and_the_last_is_current(store: AgreementStore):
    publish(store, 1)
    publish(store, 2)
    assert store.dataset("stays").version == 2
    assert store.dataset("stays").manifest_sha256 == "2" * 64
    for wrong in (1, 2, 4):
        with pytest.raises(Refused) as refusal:
            publish(store, wrong)
        assert refusal.value.code == "version_not_next"


def test_a_dataset_declared_anew_keeps_its_version(store: AgreementStore):
    publish(store, 1)
    store.put_dataset(replace(DATASET, title_fr="Autre titre"), receipt("admin.dataset", "dataset:stays"))
    assert store.dataset("stays").version == 1
    assert store.dataset("stays").title_fr == "Autre titre"


def test_a_shredded_version_is_never_current_again_nor_is_the_one_before(store: AgreementStore):
    publish(store, 1)
    publish(store, 2)
    store.mark_shredded("stays", 2, receipt("data.shred", "dataset:stays"))
    assert store.dataset("stays").version is None
    assert [one.shredded for one in store.versions("stays")] == [False, True]
    with pytest.raises(NotFound):
        store.mark_shredded("stays", 2, receipt("data.shred", "dataset:stays"))
    publish(store, 3)
    assert store.dataset("stays").version == 3


def test_the_population_of_data_that_was_asked_about_is_fixed(store: AgreementStore):
    moved = replace(DATASET, population="others")
    store.put_dataset(moved, receipt("admin.dataset", "dataset:stays"))
    publish(store, 1)
    with pytest.raises(Refused) as refusal:
        store.put_dataset(DATASET, receipt("admin.dataset", "dataset:stays"))
    assert refusal.value.code == "population_fixed"


@pytest.mark.parametrize(
    ("agreement", "code"),
    [
        (replace(AGREEMENT, partner="hospital-b"), "not_its_data"),
        (replace(AGREEMENT, dataset="unknown"), "no_such_dataset"),
        (replace(AGREEMENT, project="unknown"), "no_such_project"),
    ],
)
def test_an_agreement_is_between_a_project_and_the_partner_whose_data_it_is(
    store: AgreementStore, agreement: Agreement, code: str
):
    with pytest.raises(EnclaveError) as refusal:
        store.put_agreement(agreement, receipt("admin.agreement", "agreement:agreement-1"))
    assert refusal.value.code == code


def test_an_agreement_amended_counts_as_amended(store: AgreementStore):
    store.put_agreement(AGREEMENT, receipt("admin.agreement", "agreement:agreement-1"))
    narrower = replace(AGREEMENT, allows=frozenset({Use.QUESTIONS}))
    store.put_agreement(narrower, receipt("admin.agreement", "agreement:agreement-1"))
    assert store.agreements("asthma") == (narrower,)
