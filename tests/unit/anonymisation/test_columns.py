import polars as pl
import pytest

from anonymisation.identifiers.columns import ColumnProposal, announced, classify, propose_policy
from enclave.demo.hospital_stays import hospital_stays
from enclave.demo.nomenclature import DEPARTMENTS


def one(header: str, values: list[str]) -> ColumnProposal:
    return classify(pl.DataFrame({header: values}))[0]


@pytest.fixture(scope="module")
def stays() -> dict[str, ColumnProposal]:
    sample = hospital_stays(patients=800, stays=2_000, seed=5).with_columns(pl.all().cast(pl.String))
    return {proposal.name: proposal for proposal in classify(sample)}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("nir", ("direct", "id", "identity")),
        ("last_name", ("direct", "text", "identity")),
        ("first_name", ("direct", "text", "identity")),
        ("birth_date", ("direct", "date", "identity")),
        ("sex", ("quasi", "category", "research")),
        ("postcode", ("quasi", "id", "identity")),
        ("dept", ("quasi", "category", "research")),
        ("cim10", ("sensitive", "category", "research")),
        ("ccam", ("sensitive", "category", "research")),
        ("hospital", ("quasi", "category", "research")),
        ("admission", ("quasi", "date", "research")),
        ("length_of_stay", ("plain", "integer", "research")),
        ("cost", ("plain", "decimal", "research")),
        ("note", ("free_text", "text", "text")),
    ],
)
def test_every_column_of_the_made_up_stays_is_classed(stays, name, expected) -> None:
    proposal = stays[name]
    assert (proposal.class_, proposal.kind, proposal.shelf) == expected


@pytest.mark.parametrize("name", ["nir", "note", "last_name", "cim10", "admission"])
def test_values_alone_are_not_called_harmless(name: str) -> None:
    sample = hospital_stays(patients=800, stays=2_000, seed=5).with_columns(pl.all().cast(pl.String))
    assert classify(sample.select(pl.col(name).alias("x")))[0].class_ != "plain"


@pytest.mark.parametrize(
    ("header", "values", "class_"),
    [
        ("x", ["254126204800253"] * 30, "direct"),
        ("x", ["06 39 98 12 34"] * 30, "direct"),
        ("x", ["a@example.org"] * 30, "direct"),
        ("x", ["FR7630006000011234567890189"] * 30, "direct"),
        ("x", [f"k{i}z" for i in range(30)], "direct"),
        ("x", [str(80_000_000 + i) for i in range(30)], "direct"),
        ("x", ["une note assez longue pour être du texte libre"] * 30, "free_text"),
        ("x", ["appeler le 06 39 98 12 34", "rien"] * 15, "free_text"),
        ("x", ["deux mots", "trois mots ici"] * 15, "free_text"),
        ("x", ["", "", ""], "free_text"),
        ("x", ["I10", "J44", "E11.9"] * 10, "sensitive"),
        ("x", ["DEQP003", "ZBQK002"] * 10, "sensitive"),
        ("x", ["2024-01-02", "2023-05-06"] * 10, "quasi"),
        ("x", ["02/01/2024"] * 10, "quasi"),
        ("x", ["A", "B"] * 15, "quasi"),
        ("x", ["0", "1"] * 15, "plain"),
        ("x", ["1,5", "2,25"] * 15, "plain"),
        ("x", [str(i) for i in range(30)], "plain"),
        ("NOM", ["1", "2"] * 15, "direct"),
        ("commentaire", ["1", "2"] * 15, "free_text"),
        ("age", ["45", "67"] * 15, "quasi"),
        ("vih", ["0", "1"] * 15, "sensitive"),
    ],
)
def test_the_stricter_of_heading_and_values_wins(header: str, values: list[str], class_: str) -> None:
    assert one(header, values).class_ == class_


@pytest.mark.parametrize(
    ("heading", "type_"),
    [
        ("NIR", "nir"), ("num_secu", "nir"), ("IPP_patient", "ipp"), ("id_patient", "ipp"), ("patientId", "ipp"), ("NDA", "nda"), ("num_sej", None),
        ("N_sejour", None), ("numero_sejour", "nda"), ("Nom", "last_name"), ("nom de naissance", "last_name"), ("Prénom", "first_name"),
        ("prenom2", "first_name"), ("date_naissance", "birth_date"), ("DDN", "birth_date"), ("birthDate", "birth_date"), ("Téléphone", "phone"),
        ("cp", "postcode"), ("code_postal", "postcode"), ("dept", "department"), ("sexe", "sex"), ("CIM10", "cim10"), ("code_ccam", "ccam"), ("nom_hopital", None), ("zzz", None),
    ],
)  # fmt: skip
def test_a_heading_is_understood_as_hospitals_write_it(heading: str, type_: str | None) -> None:
    rule = announced(heading)
    assert (rule.type if rule else None) == type_


def test_the_reason_is_told_in_two_languages_and_holds_no_value(stays: dict[str, ColumnProposal]) -> None:
    reason = stays["nir"].reason
    assert "identifiant direct" in reason.fr
    assert "direct identifier" in reason.en
    assert not any(
        any(figure in proposal.reason.fr for figure in "3456789")
        for proposal in stays.values()
        if proposal.type != "cim10"
    )


def test_a_draft_leaves_domains_and_bounds_to_the_steward(stays: dict[str, ColumnProposal]) -> None:
    draft = propose_policy(list(stays.values()), dataset="stays", population="patients", unit="nir")
    assert 'unit: {column: "nir", id_type: nir}' in draft
    assert "domain: []" in draft
    assert "bounds: {low: , high: }" in draft
    assert not any(f'"{dept}"' in draft for dept in DEPARTMENTS)
