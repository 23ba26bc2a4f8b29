"""An evidence report: which statements of SATRE and of French and European rules this software answers, and how.

Never a certificate. Each statement names its evidence (a test, a setting, a document) or says that it is not
covered and why; evidence that does not exist, or a test that failed, is told and is an error.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal
from xml.etree import ElementTree as ET

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from enclave.errors import BadInput
from enclave.settings import Settings

HERE: Final = Path(__file__)
STATEMENTS: Final = HERE.with_suffix(".yaml")
ROOT: Final = HERE.parents[1]

Status = Literal["covered", "in part", "not covered"]
Found = Literal["there", "missing", "passed", "failed", "skipped", "not run"]
BAD: Final = frozenset({"missing", "failed"})
NOT_A_CERTIFICATE: Final = (
    "This is a report of evidence that the software's makers collected. It is not a certificate, not an audit, and says "
    "nothing of what the organisation around the software does."
)


class Statement(BaseModel):
    """One statement, in our words, with what we have to show for it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    level: Literal["M", "R", "O"] | None = None
    rule: str
    status: Status
    evidence: tuple[str, ...] = Field(default=())
    limits: str = ""

    @model_validator(mode="after")
    def _says_what_it_has(self) -> "Statement":
        if (self.status == "not covered") is bool(self.evidence):
            raise ValueError("evidence is named for what is covered, wholly or in part, and only for that")
        if (self.status == "covered") is bool(self.limits):
            raise ValueError("what is not wholly covered says why, and only that")
        return self


@dataclass(frozen=True)
class Shown:
    """A statement with what was found of its evidence."""

    statement: Statement
    found: Mapping[str, Found]


def read_statements(text: str) -> dict[str, tuple[Statement, ...]]:
    """Read the statements by the document they come from."""
    return TypeAdapter(dict[str, tuple[Statement, ...]]).validate_python(yaml.safe_load(text))


def report(results: Path | None = None, root: Path = ROOT) -> dict[str, list[Shown]]:
    """Give every statement with what is found of its evidence.

    `results` is a JUnit file that pytest wrote; with it the tests named are told as passed, failed or skipped.
    Raises `BadInput` when it cannot be read.
    """
    outcomes = None if results is None else read_results(results)
    statements = read_statements(STATEMENTS.read_text(encoding="utf-8"))
    return {
        source: [
            Shown(one, {each: _look(each, root, outcomes) for each in one.evidence}) for one in of_source
        ]
        for source, of_source in statements.items()
    }


def sound(told: Mapping[str, Sequence[Shown]]) -> bool:
    """Say whether every evidence exists and no test named failed."""
    return not any(BAD & set(one.found.values()) for source in told.values() for one in source)


def read_results(path: Path) -> dict[tuple[str, str], Found]:
    """Read pytest's JUnit file: (module, test) to the worst of its cases. Raises `BadInput` when it is none."""
    try:
        cases = ET.parse(path).iter("testcase")  # noqa: S314  (the operator's own file)
    except (OSError, ET.ParseError):
        raise BadInput(
            "results_unreadable", "The file of results is not JUnit XML.", "pytest --junit-xml=FILE"
        ) from None
    found: dict[tuple[str, str], Found] = {}
    for case in cases:
        key = case.get("classname", ""), case.get("name", "").partition("[")[0]
        outcome = _outcome(case)
        if key not in found or found[key] == "skipped" or outcome == "failed":
            found[key] = outcome
    return found


def _outcome(case: ET.Element) -> Found:
    if case.find("failure") is not None or case.find("error") is not None:
        return "failed"
    return "skipped" if case.find("skipped") is not None else "passed"


def _look(evidence: str, root: Path, outcomes: Mapping[tuple[str, str], Found] | None) -> Found:
    """Find one piece of evidence: a setting by its dotted name, else a file, with a test in it where one is named."""
    if "/" not in evidence:
        return "there" if _is_setting(evidence) else "missing"
    file, _, test = evidence.partition("::")
    path = root / file
    if not path.is_file() and not (path.is_dir() and not test):
        return "missing"
    if test and re.search(rf"^(async )?def {test}\(", path.read_text(encoding="utf-8"), re.MULTILINE) is None:
        return "missing"
    if outcomes is None or not file.startswith("tests/"):
        return "there"
    return _ran(file, test, outcomes)


def _ran(file: str, test: str, outcomes: Mapping[tuple[str, str], Found]) -> Found:
    module = file.removesuffix(".py").replace("/", ".")
    told = {outcome for (where, name), outcome in outcomes.items() if where == module and test in {"", name}}
    if "failed" in told:
        return "failed"
    return "passed" if "passed" in told else "skipped" if told else "not run"


def _is_setting(name: str) -> bool:
    section, _, field = name.partition(".")
    known = Settings.model_fields.get(section)
    inner: Mapping[str, Any] = getattr(known.annotation, "model_fields", {}) if known else {}
    return known is not None and (field in inner if field else not inner)


def as_json(told: Mapping[str, Sequence[Shown]]) -> dict[str, Any]:
    """Give the report for a program."""
    return {
        "about": NOT_A_CERTIFICATE,
        "sound": sound(told),
        "sources": {
            source: [{**one.statement.model_dump(), "evidence": dict(one.found)} for one in of_source]
            for source, of_source in told.items()
        },
    }


def as_markdown(told: Mapping[str, Sequence[Shown]]) -> str:
    """Give the report as a page."""
    return "\n".join(_lines(told)) + "\n"


def _lines(told: Mapping[str, Sequence[Shown]]) -> Iterator[str]:
    yield from ("# Evidence report", "", NOT_A_CERTIFICATE)
    for source, of_source in told.items():
        counted = {status: sum(one.statement.status == status for one in of_source) for status in _ORDER}
        yield from ("", f"## {source}", "")
        yield ", ".join(f"{count} {status}" for status, count in counted.items()) + "."
        yield from (
            "",
            "| Statement | What it asks | Status | Evidence, and where it ends |",
            "|---|---|---|---|",
        )
        yield from (_row(one) for one in of_source)


_ORDER: Final[tuple[Status, ...]] = ("covered", "in part", "not covered")


def _row(one: Shown) -> str:
    said = one.statement
    level = f" ({said.level})" if said.level else ""
    parts = [f"`{name}`" + ("" if found == "there" else f" ({found})") for name, found in one.found.items()]
    parts += [said.limits] if said.limits else []
    return f"| {said.id}{level} | {said.rule} | {said.status} | {'<br>'.join(parts)} |"
