"""The trail as other systems read it, each form judged by somebody else's reader where there is one."""

import csv
import io
import json
import re

import pytest
from fhir.resources.R4B.auditevent import AuditEvent
from typer.testing import CliRunner

from audit.__main__ import app
from audit.errors import BadInput, LogDamaged
from audit.event import TYPES, new_id
from audit.fhir import audit_event
from audit.log import Log
from audit.projection import COLUMNS, entries, project, syslog
from audit.tree import leaf_hash

# RFC 5424 section 6, as far as we use it.
MESSAGE = re.compile(
    r"<(\d{1,3})>1 (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z) - (\S{1,48}) - (\S{1,32}) "
    r'\[enclave@32473((?: [a-z0-9_]{1,32}="(?:[^"\\\]]|\\["\\\]])*")+)\]'
)
FILES = [{"sha256": "a1" * 32}, {"sha256": "b2" * 32}]


@pytest.fixture
def release():
    return new_id()


@pytest.fixture
def told(tmp_path, signer, make, release):
    """A trail with a release from submission to package, a denial, and an act of every type."""
    log = Log(tmp_path / "trail", signer)
    about = {"request": release, "files": FILES}
    log.record(make(type="release.submit", outcome="success", release=about))
    for reviewer in ("steward-a", "steward-b"):
        person = {"id": reviewer, "kind": "person", "role": "steward"}
        log.record(
            make(type="release.review", actor=person, reason="approve", outcome="success", release=about)
        )
    package = {**about, "artefact_sha256": "c3" * 32}
    service = {"id": "publisher", "kind": "service"}
    log.record(make(type="release.package", actor=service, outcome="success", release=package))
    log.record(make(outcome="denied", reason="role_missing", purpose="research"))
    log.record(make(phase="intent", object=None))
    with_hash = [{"kind": "file", "id": "f1", "sha256": "d4" * 32}]
    for act in sorted(TYPES):
        log.record(make(type=act, object=with_hash, outcome="failed", release={"request": new_id()}))
    log.close()
    return tmp_path / "trail"


@pytest.fixture
def read(told, tmp_path):
    def give(form, request=None):
        project(told, tmp_path / "out", form, request)
        assert (tmp_path / "out").stat().st_mode & 0o777 == 0o600
        return (tmp_path / "out").read_bytes().decode()

    return give


def test_json_lines_are_the_entries_byte_for_byte(read, told):
    lines = read("jsonl").encode().splitlines()
    assert lines == list(entries(told, len(lines)))


def test_the_table_has_a_row_for_each_entry_with_the_hash_that_stands_in_the_tree(read, told):
    rows = list(csv.DictReader(io.StringIO(read("csv"), newline="")))
    assert tuple(rows[0]) == COLUMNS
    assert [row["leaf_sha256"] for row in rows] == [
        leaf_hash(each).hex() for each in entries(told, len(rows))
    ]
    assert (rows[4]["outcome"], rows[4]["reason"], rows[4]["objects"]) == (
        "denied",
        "role_missing",
        "dataset:dataset-a",
    )


def test_every_syslog_message_is_of_rfc_5424(read, told):
    lines = read("syslog").splitlines()
    found = [MESSAGE.fullmatch(line) for line in lines]
    assert all(found)
    assert [each[1] for each in found[:6]] == ["110", "110", "110", "110", "108", "110"]
    assert found[-1][1] == "107"


def test_what_could_end_a_parameter_is_escaped():
    event = {"ts": "t", "type": "x", "actor": {"id": 'a"]\\'}, "source": {"service": "s"}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("audit.projection._event", lambda _: event)
        (line,) = syslog([b"entry"])
    assert 'actor="a\\"\\]\\\\"' in line


def test_every_event_is_a_fhir_r4_audit_event(read):
    resources = [AuditEvent.model_validate_json(line) for line in read("fhir").splitlines()]
    assert {each.subtype[0].code for each in resources} == TYPES
    denied = next(each for each in resources if each.outcomeDesc == "denied/role_missing")
    assert (denied.outcome, denied.type.code, denied.action) == ("4", "110112", "E")
    assert denied.purposeOfEvent[0].coding[0].code == "research"
    assert resources[0].agent[0].who.identifier.value == "researcher-a"


def test_an_intent_has_no_outcome_in_fhir(told):
    intent = json.loads(list(entries(told, 6 + len(TYPES)))[5])
    assert "outcome" not in audit_event(intent)


def test_the_provenance_of_a_release_names_nothing_it_does_not_declare(read, release):
    told = json.loads(read("prov", release))
    declared = {*told["entity"], *told["activity"], *told["agent"]}
    relations = [
        each for name, part in told.items() if name.startswith(("was", "used")) for each in part.values()
    ]
    assert {name for each in relations for name in each.values()} <= declared
    assert [each["prov:type"] for each in told["activity"].values()] == [
        "release.submit",
        "release.review",
        "release.review",
        "release.package",
    ]
    derived = {(e["prov:generatedEntity"], e["prov:usedEntity"]) for e in told["wasDerivedFrom"].values()}
    assert derived == {(f"enclave:sha256/{'c3' * 32}", f"enclave:sha256/{each['sha256']}") for each in FILES}


@pytest.mark.parametrize(
    ("form", "request_id", "code"),
    [
        ("xml", None, "unknown_format"),
        ("prov", None, "prov_of_a_request"),
        ("csv", "0", "prov_of_a_request"),
        ("prov", "0", "no_such_request"),
        ("prov", "dataset-a", "no_such_request"),
    ],
)
def test_what_cannot_be_exported_is_a_usage_error(form, request_id, code, told, tmp_path):
    with pytest.raises(BadInput) as refused:
        project(told, tmp_path / "out", form, request_id)
    assert refused.value.code == code
    assert not (tmp_path / "out").exists()


def test_nothing_is_written_over(told, tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(BadInput, match="there is something"):
        project(told, tmp_path / "out", "csv")


def test_a_damaged_trail_is_not_projected(trail, tmp_path):
    (trail / "tile/entries/000").write_bytes(b"")
    with pytest.raises(LogDamaged):
        project(trail, tmp_path / "out", "csv")


def test_an_entry_that_is_no_event_is_not_projected():
    with pytest.raises(LogDamaged):
        list(syslog([b'{"seq":0}']))


def test_the_command_writes_a_projection(told, tmp_path, release):
    words = ["export", str(told), str(tmp_path / "out.json"), "--format", "prov", "--request", release]
    assert CliRunner().invoke(app, words).exit_code in {0, 1}
    assert json.loads((tmp_path / "out.json").read_text())["agent"]
