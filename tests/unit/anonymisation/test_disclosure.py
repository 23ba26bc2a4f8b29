import hashlib
import json
import os
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

import anonymisation.disclosure as package
from anonymisation.disclosure import parquet, parquet_child
from anonymisation.disclosure.numbers import read
from anonymisation.disclosure.policy import CHECKS, DisclosurePolicy
from anonymisation.disclosure.report import FileReport, Report, in_language
from anonymisation.disclosure.rules import RULES
from anonymisation.disclosure.scan import REFUSED, check_files
from anonymisation.identifiers.patterns import find

POLICY = DisclosurePolicy()
VECTORS = Path(__file__).parents[2] / "vectors" / "release"
NIR = "254126204800253"


def vectors(kind: str) -> list[Path]:
    return sorted((VECTORS / kind).iterdir())


def checked(name: str, data: bytes | str) -> FileReport:
    return check_files({name: data if isinstance(data, bytes) else data.encode()}, POLICY).files[0]


def codes(report: FileReport) -> set[str]:
    return {finding.code for finding in report.findings}


def vector(path: Path) -> tuple[str, FileReport]:
    """Check a vector, named `code--what.ext`, under the name `what.ext`."""
    code, _, name = path.name.partition("--")
    return code, checked(name, path.read_bytes())


@pytest.mark.parametrize("path", vectors("bad"), ids=lambda path: path.name)
def test_a_bad_file_fails_by_the_rule_it_is_named_for(path: Path) -> None:
    code, report = vector(path)
    assert report.verdict == "fail"
    assert code in codes(report)


@pytest.mark.parametrize("path", vectors("doubtful"), ids=lambda path: path.name)
def test_a_doubtful_file_is_for_a_person_by_the_rule_it_is_named_for(path: Path) -> None:
    code, report = vector(path)
    assert report.verdict == "review"
    assert code in codes(report)


@pytest.mark.parametrize("path", vectors("good"), ids=lambda path: path.name)
def test_a_good_file_passes_all_four_checks(path: Path) -> None:
    report = checked(path.name, path.read_bytes())
    assert [finding.code for finding in report.findings if finding.verdict != "pass"] == []
    assert {finding.check for finding in report.findings} == set(CHECKS)


@pytest.mark.parametrize("path", vectors("bad") + vectors("doubtful"), ids=lambda path: path.name)
def test_a_report_names_places_and_never_an_identifier(path: Path) -> None:
    _, report = vector(path)
    text = json.dumps(
        [[*finding.where, *finding.rule, *finding.fix] for finding in report.findings], ensure_ascii=False
    )
    assert find(text) == []


def test_every_rule_that_code_names_is_in_the_catalogue_and_every_rule_is_used() -> None:
    source = "".join(
        path.read_text(encoding="utf-8")
        for path in Path(package.__file__).parent.glob("*.py")
        if path.name != "rules.py"
    )
    quoted = set(re.findall(r'"([a-z][a-z0-9_]+)"', source))
    assert set(RULES) <= quoted
    assert set(REFUSED.values()) <= set(RULES)
    assert set(re.findall(r'yield "([a-z_0-9]+)"', source)) <= set(RULES)


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.code)
def test_every_rule_speaks_both_languages_and_says_how_to_repair(rule) -> None:
    assert rule.check in {*CHECKS, ""}
    assert rule.fr != rule.en
    assert rule.source
    assert rule.verdict == "pass" or (rule.fix_fr and rule.fix_en and rule.fix_fr != rule.fix_en)


def test_the_report_is_the_json_the_interface_promises() -> None:
    data = b"dept;n\n59;5\n62;340\n"
    report = check_files({"t.csv": data}, POLICY).to_json()
    assert json.loads(json.dumps(report)) == report
    assert set(report) == {"policy", "verdict", "files"}
    assert report["policy"] == {"name": POLICY.name, "version": POLICY.version, "sha256": POLICY.sha256}
    file = report["files"][0]
    assert (file["file"], file["sha256"], file["verdict"]) == (
        "t.csv",
        hashlib.sha256(data).hexdigest(),
        "fail",
    )
    assert set(file["findings"][0]) == {"check", "code", "verdict", "where", "rule", "source", "fix"}
    told = in_language(report, "fr")["files"][0]["findings"][0]
    assert told["where"] == "colonne « n », ligne 2"
    assert "entre 1 et 10" in told["rule"]


def test_the_policy_hash_changes_with_any_number() -> None:
    assert replace(POLICY, threshold=20).sha256 != POLICY.sha256
    assert replace(POLICY).sha256 == POLICY.sha256


def test_a_higher_threshold_is_held_and_told() -> None:
    report = check_files({"t.csv": b"dept;n\n59;15\n62;340\n"}, replace(POLICY, threshold=20))
    assert report.verdict == "fail"
    assert "1 et 19" in report.files[0].findings[0].rule.fr


def test_nothing_to_release_is_nothing_to_pass() -> None:
    assert check_files({}, POLICY).verdict == "review"


def test_one_bad_file_condemns_the_request_and_not_the_others() -> None:
    report = check_files({"a.csv": b"dept;n\n59;5\n62;340\n", "b.csv": b"dept;n\n59;50\n62;340\n"}, POLICY)
    assert report.verdict == "fail"
    assert [file.verdict for file in report.files] == ["fail", "pass"]


def test_too_many_files_are_not_read() -> None:
    report = check_files({f"t{i}.csv": b"dept;n\n59;50\n62;340\n" for i in range(21)}, POLICY)
    assert all("too_many_files" in codes(file) for file in report.files)


@pytest.mark.parametrize(
    ("name", "size", "expected"),
    [("t.png", 16_000_001, "file_too_large"), ("t.csv", 2_000_001, "text_too_large")],
)
def test_a_file_over_the_limit_is_not_read(name: str, size: int, expected: str) -> None:
    assert expected in codes(checked(name, b"a" * size))


@pytest.mark.parametrize(
    "name",
    ["../t.csv", "a/b.csv", ".csv", "t\u202e.csv", "t\n.csv", "=t.csv", "x" * 120 + ".csv", "tаble.csv"],
)
def test_a_file_name_that_is_not_plain_fails(name: str) -> None:
    assert codes(checked(name, "dept;n\n59;50\n62;340\n")) & {"name_not_plain", "type_not_admitted"}


def test_two_names_that_a_disk_takes_for_one_fail() -> None:
    assert all(
        "name_twice" in codes(file) for file in check_files({"T.csv": b"x", "t.csv": b"y"}, POLICY).files
    )


def test_an_identifier_in_the_file_name_fails() -> None:
    assert "identifier_in_name" in codes(checked(f"table {NIR}.csv", "dept;n\n59;50\n62;340\n"))


def test_a_heading_that_is_an_identifier_is_named_by_its_number_only() -> None:
    report = checked("t.csv", f"dept;{NIR}\n59;5\n62;340\n")
    assert NIR not in json.dumps(Report(POLICY, (report,)).to_json())
    assert any(finding.where.en.startswith("column 2") for finding in report.findings)


def test_a_file_nobody_could_read_is_not_held_to_be_free_of_identifiers() -> None:
    report = check_files({"t.csv": "dept;n\n59;50\n".encode("utf-16")}, POLICY)
    assert report.direct_identifiers
    assert not check_files({"t.csv": b"dept;n\n59;5\n62;50\n"}, POLICY).direct_identifiers


def test_the_worst_findings_survive_when_there_are_very_many() -> None:
    wide = [";".join(f"v{i}" for i in range(150)), ";".join(["x"] * 149 + [NIR]), ";".join(["340"] * 150)]
    report = checked("t.csv", "\n".join(wide))
    assert len(report.findings) <= 54
    assert "identifier" in codes(report)


def test_a_reader_that_breaks_is_a_failure_and_not_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RecursionError

    monkeypatch.setattr("anonymisation.disclosure.scan.personal.hits", broken)
    assert "unreadable" in codes(checked("t.csv", "dept;n\n59;50\n62;340\n"))


@pytest.mark.parametrize("name", ["t.csv", "t.txt", "t.md", "t.json", "t.png", "t.parquet"])
def test_arbitrary_bytes_never_raise_and_never_pass(name: str) -> None:
    for seed in range(20):
        assert checked(name, hashlib.shake_256(bytes([seed])).digest(400)).verdict != "pass"


def test_a_parquet_reader_that_does_not_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(*_: object, **__: object) -> None:
        raise subprocess.TimeoutExpired("reader", 1)

    monkeypatch.setattr(parquet.subprocess, "run", slow)
    assert "parquet_unreadable" in codes(
        checked("t.parquet", (VECTORS / "good" / "pyarrow.parquet").read_bytes())
    )


def test_the_parquet_reader_is_held_to_its_memory() -> None:
    tight = replace(POLICY, reader_bytes=50_000_000)
    data = (VECTORS / "good" / "pyarrow.parquet").read_bytes()
    assert "parquet_unreadable" in codes(check_files({"t.parquet": data}, tight).files[0])


def test_a_parquet_that_announces_too_much_is_not_unpacked() -> None:
    tight = replace(POLICY, unpacked_bytes=10)
    data = (VECTORS / "good" / "pyarrow.parquet").read_bytes()
    assert "parquet_unreadable" in codes(check_files({"t.parquet": data}, tight).files[0])


def test_the_parquet_reader_holds_nothing_of_our_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, str] = {}

    def watch(*_: object, env: dict[str, str], **__: object) -> None:
        seen.update(env)
        raise subprocess.CalledProcessError(1, "reader")

    monkeypatch.setenv("ENCLAVE_SECRET", "x")
    monkeypatch.setattr(parquet.subprocess, "run", watch)
    checked("t.parquet", b"PAR1" + bytes(10))
    assert "ENCLAVE_SECRET" not in seen
    assert "HOME" not in seen or seen["HOME"] != os.environ.get("HOME")


def test_the_reader_apart_gives_heading_height_and_cells_as_text() -> None:
    data = (VECTORS / "good" / "pyarrow.parquet").read_bytes()
    found = parquet_child._read(data, most_rows=500, unpacked=1_000_000)
    assert (found["header"], found["lines"]) == (["dept", "n"], 2)
    assert found["rows"] == [["59", "120"], ["62", "340"]]
    assert parquet_child._read(data, most_rows=1, unpacked=1_000_000)["rows"] is None


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("5", 5),
        ("5,0", 5),
        ("1 234", 1234),
        ("12\u202f345", 12345),
        ("1.234,5", 1234.5),
        ("1,234.5", 1234.5),
        ("1'234", 1234),
        ("-3", -3),
        (".5", 0.5),
        ("1.234.567", 1234567),
    ],
)
def test_numbers_are_read_as_people_write_them(cell: str, value: float) -> None:
    assert (read(cell).kind, read(cell).value) == ("number", value)


@pytest.mark.parametrize(
    ("cell", "kind"),
    [
        ("1,234", "ambiguous"),
        ("1.234", "ambiguous"),
        ("0x5", "other"),
        ("cinq", "other"),
        ("ND", "mask"),
        ("", "mask"),
        ("<11", "below"),
        ("x" * 100, "other"),
        ("9" * 50 + "e999", "other"),
    ],
)
def test_what_is_no_plain_number_is_told_apart(cell: str, kind: str) -> None:
    assert read(cell).kind == kind
