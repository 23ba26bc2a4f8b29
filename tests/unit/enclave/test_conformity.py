"""The evidence report names nothing that is not there, and says what is not covered."""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from enclave.__main__ import app
from enclave.conformity import Statement, as_json, as_markdown, read_results, read_statements, report, sound
from enclave.errors import BadInput

JUNIT = """<testsuites><testsuite>
<testcase classname="tests.unit.audit.test_flags" name="test_a"/>
<testcase classname="tests.unit.audit.test_flags" name="test_b[x]"><skipped/></testcase>
<testcase classname="tests.unit.audit.test_log" name="test_c[1]"/>
<testcase classname="tests.unit.audit.test_log" name="test_c[2]"><failure/></testcase>
<testcase classname="tests.unit.audit.test_log" name="test_c[3]"/>
<testcase classname="tests.unit.audit.test_recorder" name="test_d"><skipped/></testcase>
</testsuite></testsuites>"""


def test_every_evidence_named_exists() -> None:
    told = report()
    missing = [
        (one.statement.id, name)
        for of_source in told.values()
        for one in of_source
        for name, found in one.found.items()
        if found != "there"
    ]
    assert not missing
    assert sound(told)


def test_every_statement_is_told_once_and_some_are_not_covered() -> None:
    for of_source in report().values():
        ids = [one.statement.id for one in of_source]
        assert len(ids) == len(set(ids))
        assert any(one.statement.status == "not covered" for one in of_source)


@pytest.mark.parametrize(
    "said",
    [
        {"status": "covered"},
        {"status": "covered", "evidence": ["docs/verify.md"], "limits": "some"},
        {"status": "in part", "evidence": ["docs/verify.md"]},
        {"status": "not covered", "limits": "why", "evidence": ["docs/verify.md"]},
        {"status": "certified", "evidence": ["docs/verify.md"]},
    ],
)
def test_a_statement_that_claims_more_than_it_shows_is_refused(said: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Statement.model_validate({"id": "1", "rule": "r", **said})


def test_what_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = [
        "tests/gone.py",
        "tests/unit/enclave/test_conformity.py::test_gone",
        "trail.gone",
        "gone",
        "trail",
    ]
    lines = "\n".join(
        f'  - {{id: "{n}", rule: r, status: covered, evidence: ["{each}"]}}' for n, each in enumerate(named)
    )
    (tmp_path / "s.yaml").write_text(f"Source:\n{lines}\n")
    monkeypatch.setattr("enclave.conformity.STATEMENTS", tmp_path / "s.yaml")
    told = report()
    assert [found for one in told["Source"] for found in one.found.values()] == ["missing"] * len(named)
    assert not sound(told)
    assert CliRunner().invoke(app, ["conformity"]).exit_code == 1


def test_the_results_of_a_test_run_are_told(tmp_path: Path) -> None:
    (tmp_path / "junit.xml").write_text(JUNIT)
    found = {
        name: outcome
        for of_source in report(tmp_path / "junit.xml").values()
        for one in of_source
        for name, outcome in one.found.items()
    }
    assert found["tests/unit/audit/test_flags.py"] == "passed"
    assert found["tests/unit/audit/test_log.py"] == "failed"
    assert found["tests/unit/audit/test_recorder.py"] == "skipped"
    assert found["tests/unit/accounts/test_rules.py"] == "not run"
    assert found["docs/verify.md"] == "there"
    with pytest.raises(BadInput):
        read_results(tmp_path / "nothing")


def test_the_page_says_that_it_is_no_certificate_and_the_command_writes_it(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["conformity", "--out", str(tmp_path / "c.md"), "--json"])
    assert done.exit_code == 0
    assert json.loads(done.stdout) == json.loads(json.dumps(as_json(report())))
    page = (tmp_path / "c.md").read_text()
    assert page == as_markdown(report())
    assert "not a certificate" in page
    assert CliRunner().invoke(app, ["conformity"]).stdout.count("| R-19 |") == 1


def test_statements_are_read_closed() -> None:
    with pytest.raises(ValidationError):
        read_statements('S:\n  - {id: "1", rule: r, status: covered, evidence: [a/b], more: 1}\n')
