import hashlib
from pathlib import Path

import polars as pl
import pytest

from anonymisation.identifiers.columns import classify, propose_policy
from enclave import demo
from enclave.agreements.policy import DatasetPolicy, load_policy, policy_sha256, to_table
from enclave.demo.hospital_stays import hospital_stays
from enclave.errors import BadInput

POLICIES = Path(demo.__file__).parent / "policies"
SOUND = """\
dataset: stays
version: 1
population: patients
unit: {column: nir, id_type: nir}
columns:
  - {name: nir, type: nir, class: direct, kind: id, shelf: identity}
  - {name: born, type: birth_date, class: direct, kind: date, shelf: identity}
  - {name: year, class: quasi, kind: integer, shelf: research, bounds: {low: 1900, high: 2026}, transform: {from: born, keep: year}}
  - {name: dept, class: quasi, kind: category, shelf: research, domain: [01, 02, 2A]}
  - {name: cost, class: plain, kind: decimal, shelf: research, bounds: {low: -1.5, high: 10.25, digits: 2}}
  - {name: note, class: free_text, kind: text, shelf: text}
privacy: {rows: 8, groups: 4, caps: {population: 30, project: 20, person: 10}}
disclosure: {threshold: 11}
"""


def refused(text: str) -> BadInput:
    with pytest.raises(BadInput) as caught:
        load_policy(text)
    return caught.value


def changed(old: str, new: str) -> str:
    assert old in SOUND
    return SOUND.replace(old, new, 1)


def test_codes_that_look_like_numbers_stay_as_written() -> None:
    assert load_policy(SOUND).column("dept").domain == ("01", "02", "2A")


@pytest.mark.parametrize("path", sorted(POLICIES.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_policies_of_the_demonstration_are_read(path: Path) -> None:
    assert load_policy(path.read_text(encoding="utf-8")).dataset == path.stem


def test_a_policy_cannot_be_changed_once_read() -> None:
    policy = load_policy(SOUND)
    with pytest.raises(ValueError, match="frozen"):
        policy.version = 2


def test_columns_are_found_by_shelf_and_derived_ones_are_not_asked_of_the_file() -> None:
    policy = load_policy(SOUND)
    assert [column.name for column in policy.on("research")] == ["year", "dept", "cost"]
    assert [column.name for column in policy.source_columns] == ["nir", "born", "dept", "cost", "note"]
    assert policy.column("nowhere") is None


def test_the_hash_is_what_sha256sum_says_of_the_file() -> None:
    assert policy_sha256(SOUND) == hashlib.sha256(SOUND.encode()).hexdigest()


def test_the_question_layer_gets_the_research_shelf_and_nothing_else() -> None:
    table = to_table(load_policy(SOUND))
    assert (table.unit, table.unit_column, table.rows, table.groups) == ("nir", "nir", 8, 4)
    assert [column.name for column in table.columns] == ["year", "dept", "cost"]
    cost = table.columns[2]
    assert (cost.low, cost.high, cost.digits) == ("-1.5", "10.25", 2)


def test_what_a_steward_declares_as_fact_reaches_the_question_layer() -> None:
    told = changed("groups: 4", "groups: 4, rows_per_group: 2, linkable: true")
    told = told.replace("domain: [01, 02, 2A]", "domain: [01, 02, 2A], never_null: true")
    policy = load_policy(told.replace("keep: year}", "keep: year}, never_null: true"))
    table = to_table(policy)
    assert (table.rows_per_group, table.linkable) == (2, True)
    assert {column.name: column.never_null for column in table.columns} == {
        "year": True,
        "dept": True,
        "cost": False,
    }
    assert policy.never_empty == ("born", "dept")
    persons = "{'01': [1, 2], '02': [3, 4], 2A: [5, 6]}"
    more = f"denominators:\n  - {{name: x, source: a published table, starts: [0, 65], column: dept, persons: {persons}}}\n"
    (known,) = to_table(load_policy(SOUND + more)).denominators
    assert (known.name, known.starts, known.column) == ("x", (0, 65), "dept")
    assert dict(known.persons) == {"01": (1, 2), "02": (3, 4), "2A": (5, 6)}
    usual = to_table(load_policy(SOUND))
    assert (usual.rows_per_group, usual.linkable) == (None, False)


def test_rows_that_are_their_own_unit_are_linked_to_nothing() -> None:
    rand = (POLICIES / "rand-hie.yaml").read_text(encoding="utf-8")
    error = refused(rand.replace("  rows: 1\n", "  rows: 1\n  linkable: true\n"))
    assert "which rows of another dataset" in error.message


def test_a_dataset_without_a_person_column_protects_the_row() -> None:
    table = to_table(load_policy((POLICIES / "rand-hie.yaml").read_text(encoding="utf-8")))
    assert (table.unit, table.unit_column) == ("row", None)
    assert table.per_row


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("version: 1", "version: one", 2, "version"),
        ("dataset: stays", "dataset: Stays of 2025", 1, "dataset"),
        ("population: patients\n", "", 1, "missing"),
        ("kind: id,", "kind: id, color: red,", 6, "does not know this key"),
        ("columns:", "columns: []\nrest:", 5, "columns"),
        ("class: direct, kind: id", "class: plain, kind: id", 6, "its class is direct"),
        ("kind: id, shelf: identity", "kind: id, shelf: text", 6, "identity shelf"),
        ("kind: text, shelf: text", "kind: text, shelf: research", 11, "text shelf"),
        ("class: free_text, kind: text, shelf: text", "class: quasi, kind: text, shelf: research", 11, "another shelf or kind"),
        (", domain: [01, 02, 2A]", "", 9, "needs its domain"),
        ("[01, 02, 2A]", "[01, 01]", 9, "twice"),
        (", bounds: {low: -1.5, high: 10.25, digits: 2}", "", 10, "need bounds"),
        ("low: -1.5", "low: 1e3", 10, "not a decimal"),
        ("low: -1.5", "low: 11", 10, "above"),
        ("high: 10.25", "high: 10.255", 10, "not a decimal"),
        ("kind: decimal, shelf: research, bounds: {low: -1.5, high: 10.25", "kind: date, shelf: research, bounds: {low: 2024-02-30, high: 2024-03-01}} #", 10, "not a date"),
        ("kind: decimal, shelf: research, bounds: {low: -1.5, high: 10.25", "kind: date, shelf: research, bounds: {low: 20240201, high: 2024-03-01}} #", 10, "not a date"),
        ("kind: decimal, shelf: research, bounds: {low: -1.5, high: 10.25", "kind: integer, shelf: research, bounds: {low: 1, high: 2", 10, "only a decimal has digits"),
        ("kind: decimal, shelf: research, bounds", "kind: boolean, shelf: research, bounds", 10, "have bounds"),
        ("kind: text, shelf: text", "kind: text, shelf: text, domain: [a]", 11, "only a category has a domain"),
        ("from: born", "from: cost", 8, "not a declared date column"),
        ("from: born", "from: nowhere", 8, "not a declared date column"),
        ("keep: year", "keep: day", 8, "keep"),
        ("name: dept, class: quasi, kind: category, shelf: research, domain: [01, 02, 2A]", "name: dept, class: quasi, kind: date, shelf: none, transform: {from: born, keep: year}", 9, "is an integer"),
        ("name: cost", "name: dept", 10, "declared twice"),
        ("name: cost", "name: _unit", 10, "name"),
        ("column: nir, id_type: nir", "column: who, id_type: nir", 4, "is not declared"),
        ("column: nir, id_type: nir", "column: dept, id_type: nir", 4, "class direct, kind id"),
        ("column: nir, id_type: nir", "column: nir, id_type: row", 4, "id_type: row and no column"),
        ("column: nir, id_type: nir", "id_type: row", 12, "rows and groups are 1"),
        ("groups: 4", "groups: 4, rows_per_group: 9", 12, "at most rows"),
        ("unit: {column: nir, id_type: nir}", "unit: {id_type: row} #", 12, "rows and groups are 1"),
        ("kind: text, shelf: text", "kind: text, shelf: text, never_null: true", 11, "on the research shelf"),
        ("threshold: 11", "threshold: 11}\ndenominators:\n  - {name: x, source: a published table, starts: [0, 5], persons: {all: [1]}", 15, "one number for each"),
        ("threshold: 11", "threshold: 11}\ndenominators:\n  - {name: x, source: a published table, starts: [5, 0], persons: {all: [1, 2]}", 15, "starts increase"),
        ("threshold: 11", "threshold: 11}\ndenominators:\n  - {name: x, source: a published table, starts: [0], persons: {M: [1]}", 15, "under `all`"),
        ("threshold: 11", "threshold: 11}\ndenominators:\n  - {name: x, source: a published table, starts: [0], persons: {all: [0]}", 15, "persons"),
        ("threshold: 11", "threshold: 11}\ndenominators:\n  - {name: x, source: short, starts: [0], persons: {all: [1]}", 15, "source"),
        ("threshold: 11", "threshold: 11}\ndenominators:\n  - {name: x, source: a published table, starts: [0], column: dept, persons: {'01': [1]}", 15, "all its values"),
        ("threshold: 11", "threshold: 11}\ndenominators:\n  - {name: x, source: a published table, starts: [0], column: who, persons: {'01': [1]}", 15, "a category of the research shelf"),
        ("threshold: 11", "threshold: 11}\ndenominators:\n  - {name: x, source: a published table, starts: [0], persons: {all: [1]}}\n  - {name: x, source: a published table, starts: [0], persons: {all: [1]}", 16, "declared twice"),
        ("person: 10", "person: 25", 12, "a person's cap"),
        ("person: 10", "person: 0", 12, "person"),
        ("threshold: 11", "threshold: 5", 13, "threshold"),
        ("unit: {column: nir, id_type: nir}", "unit: nir", 4, "a mapping"),
    ],
)  # fmt: skip
def test_a_wrong_place_is_named_by_line_and_says_what_is_wrong(
    old: str, new: str, line: int, words: str
) -> None:
    error = refused(changed(old, new))
    assert error.code == "policy_invalid"
    assert f"Line {line}, " in error.message
    assert words in error.message


def test_a_policy_with_nothing_to_ask_is_refused() -> None:
    text = SOUND.replace("shelf: research", "shelf: none").replace(
        ", transform: {from: born, keep: year}", ""
    )
    assert "nothing to ask" in refused(text).message


def test_many_wrong_places_are_told_together_and_counted() -> None:
    error = refused(SOUND.replace("class: ", "classe: "))
    assert error.params["problems"] == 13
    assert error.message.count("Line ") == 10


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("a: [1\nb: 2", "Line 2", "not YAML"),
        ("a: \x00", "Line 1", "not YAML"),
        ("a: &x 1\nb: *x", "Line 1, column 4", "anchors"),
        ("a: !!python/object:os.system x", "Line 1", "tags"),
        ("a: 1\na: 2", "Line 2, column 1", "said twice"),
        ("? [a]\n: 1", "Line 1", "plain text"),
        ("a: 1\n---\nb: 2", "Line 2", "second document"),
        ("[" * 50_000, "Line 1", "too deep"),
    ],
)
def test_what_is_not_one_plain_document_is_refused_with_its_place(text: str, place: str, words: str) -> None:
    error = refused(text)
    assert error.code == "policy_unreadable"
    assert place in error.message
    assert words in error.message


@pytest.mark.parametrize("text", ["", "just text", "- a\n- b", "null"])
def test_what_is_not_a_mapping_is_refused(text: str) -> None:
    assert "a mapping" in refused(text).message


def test_a_file_too_long_to_be_a_policy_is_not_parsed() -> None:
    assert refused("a" * 1_000_001).code == "policy_too_long"


def test_empty_values_are_absent_and_quoted_ones_are_text() -> None:
    assert (
        "type"
        not in refused(
            changed("class: quasi, kind: category", "class: quasi, type: ~, kind: categorie")
        ).message
    )
    assert isinstance(
        load_policy(changed("class: quasi, kind: category", "class: quasi, type: null, kind: category")),
        DatasetPolicy,
    )
    assert load_policy(changed("[01, 02, 2A]", '["null", "~"]')).column("dept").domain == ("null", "~")


def test_a_drafted_policy_is_refused_until_a_steward_has_filled_it_in() -> None:
    sample = hospital_stays(patients=300, stays=900).with_columns(pl.all().cast(pl.String))
    draft = propose_policy(classify(sample), dataset="stays", population="patients", unit="nir")
    assert "domain" in refused(draft).message
    filled = draft.replace("domain: []", "domain: [a]").replace("{low: , high: }", "{low: 1, high: 2}")
    dated = filled.replace(
        "kind: date, shelf: research, bounds: {low: 1, high: 2}",
        "kind: date, shelf: research, bounds: {low: 2023-01-01, high: 2026-01-01}",
    )
    assert load_policy(dated).column("nir").class_ == "direct"


def test_a_drafted_policy_without_a_person_column_protects_the_row() -> None:
    draft = propose_policy(
        classify(pl.DataFrame({"flag": ["0", "1"] * 10})), dataset="flags", population="rows", unit=None
    )
    assert load_policy(draft).unit.id_type == "row"
