"""Every attack of tests/vectors/shelf against a version written once and kept: old files stay readable too."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.unit.vault.helpers import PASSPHRASE, query
from vault.errors import VaultDamaged
from vault.keyring import LocalKeyring, open_keyring
from vault.keys import Rights
from vault.manifest import read_manifest
from vault.shelf import open_shelf

VECTORS = Path(__file__).parents[2] / "vectors" / "shelf"
ATTACKS = sorted(path.parent.name for path in VECTORS.glob("*/case.json") if path.parent.name != "good")
GOOD: dict[str, str] = json.loads((VECTORS / "good" / "case.json").read_text())


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> LocalKeyring:
    path = Path(shutil.copy(VECTORS / "good" / "keyring.json", tmp_path_factory.mktemp("keys")))
    path.chmod(0o600)
    return open_keyring(path, PASSPHRASE, Rights.ENGINE)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return Path(shutil.copytree(VECTORS / "good", tmp_path / "shelves"))


def read(root: Path, engine: LocalKeyring, expected_sha256: str) -> int:
    public = bytes.fromhex(GOOD["public_key"])
    manifest = read_manifest(root, "sejours", 2, public_key=public, expected_sha256=expected_sha256)
    return open_shelf(root, manifest, "research", engine, query()).read().height


def test_what_was_written_when_the_format_was_fixed_is_still_read(root: Path, engine: LocalKeyring) -> None:
    assert read(root, engine, GOOD["sha256"]) == 64


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_is_refused_and_named(root: Path, engine: LocalKeyring, attack: str) -> None:
    case: dict[str, Any] = json.loads((VECTORS / attack / "case.json").read_text())
    for path in (VECTORS / attack).iterdir():
        if path.name != "case.json":
            shutil.copy(path, root / path.name.replace("__", "/"))
    for removed in case["removed"]:
        (root / removed).unlink()
    with pytest.raises(VaultDamaged) as caught:
        read(root, engine, case["expected_sha256"] or GOOD["sha256"])
    assert caught.value.code == case["code"]


def test_no_attack_is_forgotten() -> None:
    assert len(ATTACKS) == 14
