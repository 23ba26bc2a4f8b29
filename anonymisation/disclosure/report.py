"""What the checks say: findings by file, the worst one is the verdict. A finding names a place, never a value."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from anonymisation.disclosure.policy import DisclosurePolicy
from anonymisation.identifiers.words import Words

Verdict = Literal["pass", "review", "fail"]
Locale = Literal["fr", "en"]
ORDER: Final[dict[Verdict, int]] = {"pass": 0, "review": 1, "fail": 2}
TOLD: Final = ("where", "rule", "fix")


@dataclass(frozen=True)
class Finding:
    """One rule at one place of a file: what it says, where it comes from, how to repair."""

    check: str
    code: str
    verdict: Verdict
    where: Words
    rule: Words
    source: str
    fix: Words


@dataclass(frozen=True)
class FileReport:
    """What was found in one file, bound to its exact bytes."""

    file: str
    sha256: str
    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> Verdict:
        """The worst of its findings."""
        return worst(finding.verdict for finding in self.findings)


@dataclass(frozen=True)
class Report:
    """What was found in a set of files under one policy."""

    policy: DisclosurePolicy
    files: tuple[FileReport, ...]

    @property
    def verdict(self) -> Verdict:
        """The worst of its files; nothing to release is nothing to pass."""
        return worst(file.verdict for file in self.files) if self.files else "review"

    @property
    def direct_identifiers(self) -> bool:
        """True where an identifier was found: no exception is possible then."""
        found = (finding for file in self.files for finding in file.findings)
        return any(finding.check == "identifiers" and finding.verdict == "fail" for finding in found)

    def to_json(self) -> dict[str, Any]:
        """Give the report as interfaces 20 has it; where, rule and fix are {fr, en} (see `in_language`)."""
        policy = {"name": self.policy.name, "version": self.policy.version, "sha256": self.policy.sha256}
        return {"policy": policy, "verdict": self.verdict, "files": [_file_json(file) for file in self.files]}


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Give the worst verdict; a file nobody looked at is for a person to see."""
    return max(verdicts, key=ORDER.__getitem__, default="review")


def in_language(report: Mapping[str, Any], locale: Locale) -> dict[str, Any]:
    """Give a report of `Report.to_json` with where, rule and fix as plain text in one language."""

    def told(finding: Mapping[str, Any]) -> dict[str, Any]:
        return {**finding, **{key: finding[key][locale] for key in TOLD}}

    files = [
        {**file, "findings": [told(finding) for finding in file["findings"]]} for file in report["files"]
    ]
    return {**report, "files": files}


def _file_json(file: FileReport) -> dict[str, Any]:
    findings = [_finding_json(finding) for finding in file.findings]
    return {"file": file.file, "sha256": file.sha256, "verdict": file.verdict, "findings": findings}


def _finding_json(finding: Finding) -> dict[str, Any]:
    return {
        "check": finding.check,
        "code": finding.code,
        "verdict": finding.verdict,
        "where": finding.where._asdict(),
        "rule": finding.rule._asdict(),
        "source": finding.source,
        "fix": finding.fix._asdict(),
    }
