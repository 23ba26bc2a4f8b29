"""Every attack of tests/vectors/package, and a release sealed when the format was fixed."""

import json
from pathlib import Path
from typing import Any

import pytest

from vault.package_check import verify_package

VECTORS = Path(__file__).parents[2] / "vectors" / "package"
CASES: dict[str, Any] = json.loads((VECTORS / "cases.json").read_text())
PUBLIC_KEY = bytes.fromhex(CASES["public_key"])


def test_a_release_sealed_when_the_format_was_fixed_still_verifies() -> None:
    report = verify_package((VECTORS / "good.zip").read_bytes(), PUBLIC_KEY, CASES["log_vkey"])
    assert report.ok


@pytest.mark.parametrize("attack", sorted(CASES["fails_at"]))
def test_an_attack_fails_at_the_step_that_covers_it(attack: str) -> None:
    report = verify_package((VECTORS / f"{attack}.zip").read_bytes(), PUBLIC_KEY, CASES["log_vkey"])
    assert not report.ok
    assert next(step.name for step in report.steps if step.verdict == "failed") == CASES["fails_at"][attack]


def test_no_attack_is_forgotten() -> None:
    assert {path.stem for path in VECTORS.glob("*.zip")} == {"good", *CASES["fails_at"]}
