"""The written analysis plan: what it calls the same conclusion can come out otherwise, and the real engine keeps its promise."""

from pathlib import Path
from typing import Any

import pytest

from benchmarks import analysis_plan
from benchmarks.analysis_plan import PATIENTS, PLAN, SEED, Judged, run
from benchmarks.privacy.conclusions import judged

PAGE = Path(__file__).parents[2] / "docs" / "analysis-plan.md"
EXACT = {"n|a": 100.0, "n|b": 120.0, "n|c": 121.0}

OTHERWISE: dict[str, tuple[dict[str, Any], dict[str, float], set[str]]] = {
    "two groups change places": (
        {"kind": "order", "margin": "10 %"},
        {"n|a": 119.0, "n|b": 118.0, "n|c": 125.0},
        {"n|a", "n|b"},
    ),
    "two groups become equal": (
        {"kind": "order", "margin": "10"},
        {"n|a": 110.0, "n|b": 110.0, "n|c": 125.0},
        {"n|a", "n|b"},
    ),
    "two alike come apart": (
        {"kind": "alike", "margin": "30 %"},
        {"n|a": 80.0, "n|b": 120.0, "n|c": 100.0},
        {"n|a", "n|b"},
    ),
    "two apart come alike": (
        {"kind": "alike", "margin": "15"},
        {"n|a": 110.0, "n|b": 120.0, "n|c": 140.0},
        {"n|a", "n|b", "n|c"},
    ),
    "a value is off": ({"kind": "near", "margin": "5"}, {"n|a": 106.0, "n|b": 120.0, "n|c": 121.0}, {"n|a"}),
    "a threshold is crossed": (
        {"kind": "side", "threshold": "110"},
        {"n|a": 100.0, "n|b": 109.0, "n|c": 121.0},
        {"n|b"},
    ),
    "a value is not told": (
        {"kind": "side", "threshold": "110"},
        {"n|a": float("nan"), "n|b": 120.0, "n|c": 121.0},
        {"n|a"},
    ),
}


@pytest.mark.parametrize("name", OTHERWISE)
def test_another_conclusion_is_seen_with_the_cells_it_concerns(name: str) -> None:
    conclusion, answer, cells = OTHERWISE[name]
    verdict = judged([{"of": "n", **conclusion}], EXACT, answer)
    assert not verdict.holds
    assert {cell for cell in EXACT if verdict.touches(cell)} == cells
    assert judged([{"of": "n", **conclusion}], EXACT, EXACT).holds


@pytest.mark.parametrize(
    ("told", "agrees"),
    [
        ({"value": 5.0, "below_noise": False}, True),
        ({"value": 5.0, "below_noise": True}, False),
        ({"value": -5.0, "below_noise": False}, False),
        ({"value": 0.0, "below_noise": False}, False),
        ({"value": float("nan"), "below_noise": False}, False),
    ],
)
def test_a_cell_agrees_above_its_noise_and_with_the_exact_sign(told: dict[str, Any], agrees: bool) -> None:
    assert Judged(1, 1, {"n": 4.0}, {"n": told}, judged([], {}, {})).agrees("n") == agrees


def test_the_page_tells_every_question_in_both_languages() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert [one["number"] for one in PLAN] == list(range(1, 21))
    for one in PLAN:
        assert f"| {one['number']} | {one['en']} | *{one['fr']}* |" in page
        assert one["conclusions"]
    assert f"{sum(one['question']['rho_micro'] for one in PLAN) / 1e6:.3f} of 0.5 rho" in page


def test_the_plan_fits_its_cap_and_leads_to_the_exact_conclusions(tmp_path: Path) -> None:
    """The promise is 95 % and 19 of 20; a little less is let pass here, since the noise is fresh in every run."""
    found = run(tmp_path, SEED, PATIENTS)
    cells = sum(len(one.exact) for one in found)
    assert cells >= 140
    assert sum(one.agreeing for one in found) >= 0.93 * cells
    assert sum(one.verdict.holds for one in found) >= 18


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_the_plan_keeps_its_promise_over_ten_seeds(tmp_path: Path) -> None:
    runs = []
    for seed in range(10, 20):
        (tmp_path / str(seed)).mkdir()
        runs.append(run(tmp_path / str(seed), seed, PATIENTS))
    assert all(analysis_plan.claims(runs, PATIENTS))
