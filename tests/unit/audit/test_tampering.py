"""Every way a trail can be wrong (tests/vectors/audit) is found, named, and placed."""

import runpy
import sys
from pathlib import Path

import pytest

from audit.verify import verify

VECTORS = Path(__file__).resolve().parents[2] / "vectors" / "audit"
NAMES = sorted(path.stem for path in VECTORS.glob("[!_]*.py"))


@pytest.fixture
def damage(trail, signer, monkeypatch):
    monkeypatch.setattr(sys, "path", [str(VECTORS), *sys.path])

    def do(name):
        vector = runpy.run_path(str(VECTORS / f"{name}.py"))
        vector["apply"](trail, signer)
        return vector

    return do


def drop_database(trail):
    for path in trail.glob("log.db*"):
        path.unlink()


@pytest.mark.parametrize("name", NAMES)
def test_damage_is_found_and_placed(name, trail, whole, signer, damage):
    vector = damage(name)
    since = (whole / "checkpoint").read_text() if vector["SEEN_WITH"] == "remembered" else None
    if vector["SEEN_WITH"] == "tiles":
        drop_database(trail)
    report = verify(trail, signer.verifier.vkey(), since)
    step, index = vector["FINDS"]
    assert not report.integrity
    assert report.exit_code == 5
    assert report.step(step).verdict == "failed", report.steps
    assert report.first_broken_index == index


@pytest.mark.parametrize(
    "name",
    [name for name in NAMES if 'SEEN_WITH = "tiles"' not in (VECTORS / f"{name}.py").read_text()],
)
def test_what_the_folder_alone_cannot_show_is_not_claimed(name, trail, signer, damage):
    damage(name)
    drop_database(trail)
    report = verify(trail, signer.verifier.vkey())
    assert report.exit_code == 0
    assert report.step("database").verdict == "not done"
    assert "would not show" in report.step("remembered").words


def test_a_changed_leaf_hash_is_told_apart_from_a_changed_entry(trail, damage):
    damage("changed_leaf_hash")
    assert "a hash tile was changed, the entries were not" in verify(trail).step("root").words


def test_the_changed_entry_of_a_rewritten_tree_is_found_with_the_database(trail, whole, damage):
    databases = {path.name: path.read_bytes() for path in whole.glob("log.db")}
    damage("entry_and_tile_changed_together")
    for name, data in databases.items():
        (trail / name).write_bytes(data)
    assert verify(trail).first_broken_index == 30
