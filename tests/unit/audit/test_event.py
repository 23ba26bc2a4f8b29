import json

import orjson
import pytest

from audit.errors import BadInput, TooLarge
from audit.event import (
    MAX_EVENT_BYTES,
    MAX_LEAF_BYTES,
    TYPES,
    as_submitted,
    canonical,
    json_schema,
    new_id,
    parse,
    stamp,
    utc_now,
)


def full(raw):
    return raw(
        phase="outcome",
        outcome="success",
        reason="approve",
        purpose="research",
        type="release.review",
        actor={
            "id": "steward-a",
            "kind": "person",
            "role": "steward",
            "session": "0a1b2c",
            "auth": "password",
        },
        object=[{"kind": "file", "id": "f1", "sha256": "ab" * 32, "bytes": 12}],
        dp={
            "mechanism": "laplace",
            "rho_micro": 3,
            "epsilon": "0.25",
            "delta": "0.000000000001",
            "unit": "nir",
        },
        release={
            "request": new_id(),
            "files": [{"sha256": "cd" * 32}],
            "artefact_sha256": "ef" * 32,
            "decider": "steward-b",
        },
        policy={"name": "disclosure", "version": 3, "sha256": "01" * 32},
        counts={"rows": 4},
    )


def test_every_field_of_the_schema_is_kept(raw):
    sent = full(raw)
    assert parse(orjson.dumps(sent)).as_mapping() == sent


def test_canonical_bytes_are_sorted_compact_utf8_json(raw):
    sent = full(raw)
    expected = json.dumps(sent, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert canonical(sent) == expected


def test_a_stamped_event_gives_back_the_bytes_it_was_submitted_with(raw):
    event = parse(orjson.dumps(full(raw)))
    leaf = stamp(event, seq=7, ts=utc_now(), log="enclave.example/trail")
    assert orjson.loads(leaf)["seq"] == 7
    assert as_submitted(leaf) == canonical(event.as_mapping())


def test_a_stamped_event_stays_below_the_leaf_limit(raw):
    event = parse(orjson.dumps(raw()))
    grown = len(stamp(event, seq=2**53, ts=utc_now(), log="x" * 128)) - len(canonical(event.as_mapping()))
    assert MAX_EVENT_BYTES + grown <= MAX_LEAF_BYTES


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"v": 2}, "v: literal_error"),
        ({"id": "x"}, "id: string_pattern_mismatch"),
        ({"id": "0199b1f4-0000-4000-8000-000000000000"}, "id: string_pattern_mismatch"),
        ({"type": "data.look"}, "type: literal_error"),
        ({"phase": "middle"}, "phase: literal_error"),
        ({"corr": None}, "corr: missing"),
        ({"occurred": "2026-11-25T10:00:00Z"}, "occurred: string_pattern_mismatch"),
        ({"occurred": "2026-13-25T10:00:00.000000Z"}, "occurred: value_error"),
        ({"actor": {"id": "1850578006084", "kind": "person"}}, "actor/id"),
        ({"actor": {"id": "x1850578006084", "kind": "person"}}, "actor/id: value_error"),
        ({"actor": {"id": "Researcher A", "kind": "person"}}, "actor/id: string_pattern_mismatch"),
        ({"actor": {"id": "researcher-a", "kind": "robot"}}, "actor/kind: literal_error"),
        ({"object": [{"kind": "file", "id": "185057800608491"}]}, "object/0/id: value_error"),
        ({"object": [{"kind": "file", "id": "a b"}]}, "object/0/id: string_pattern_mismatch"),
        ({"counts": {"rows": 1.5}}, "counts/(unknown): int_type"),
        ({"counts": {"rows": True}}, "counts/(unknown): int_type"),
        ({"counts": {"rows": -1}}, "counts/(unknown): greater_than_equal"),
        ({"counts": {"é": 1}}, "string_pattern_mismatch"),
        ({"dp": {"epsilon": 0.5}}, "dp/epsilon: string_type"),
        ({"dp": {"epsilon": "-1"}}, "dp/epsilon: string_pattern_mismatch"),
        ({"seq": 3}, "(unknown): extra_forbidden"),
        ({"phase": "intent", "outcome": "success"}, "event: value_error"),
        ({"phase": "outcome"}, "event: value_error"),
        ({"release": {"request": "r1"}}, "release/request: string_pattern_mismatch"),
    ],
)
def test_what_the_schema_does_not_allow_is_refused_and_the_field_named(raw, changes, named):
    with pytest.raises(BadInput) as refused:
        parse(orjson.dumps(raw(**changes)))
    assert refused.value.code == "event_not_valid"
    assert named in refused.value.message


def test_a_refusal_repeats_neither_values_nor_unknown_names(raw):
    with pytest.raises(BadInput) as refused:
        parse(orjson.dumps(raw(dupont=1, project="Marie DUPONT", counts={"Marie": 1})))
    assert "upont" not in refused.value.message.lower()
    assert "marie" not in refused.value.message.lower()


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"1", b'{"v":NaN}', b"\xff"])
def test_what_is_not_a_json_object_is_refused(text):
    with pytest.raises(BadInput):
        parse(text)


def test_an_event_of_more_than_its_bytes_is_refused(raw):
    with pytest.raises(TooLarge):
        parse(orjson.dumps(raw()) + b" " * MAX_EVENT_BYTES)


def test_the_schema_for_the_documentation_is_closed_and_lists_every_type():
    schema = json_schema()
    assert schema["additionalProperties"] is False
    assert set(schema["properties"]["type"]["enum"]) == TYPES


def test_no_field_takes_a_float():
    assert '"number"' not in json.dumps(json_schema())


def test_a_hash_with_thirteen_digits_in_a_row_names_an_object_and_a_long_number_does_not(raw):
    digest = "1234567890123" + "ab" * 25 + "c"
    sent = raw(object=[{"kind": "question", "id": digest}])
    assert parse(orjson.dumps(sent)).as_mapping() == sent
    for hidden in ("1234567890123", digest[:-1], "1" * 64):
        with pytest.raises(BadInput):
            parse(orjson.dumps(raw(object=[{"kind": "question", "id": hidden}])))
