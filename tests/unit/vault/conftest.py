import shutil
from pathlib import Path

import pytest

from tests.unit.vault.helpers import PASSPHRASE, Keyrings, open_all
from vault.keyring import create_keyring


@pytest.fixture(scope="session")
def keyring_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "keyring.json"
    create_keyring(path, PASSPHRASE)
    return path


@pytest.fixture(scope="session")
def shared(keyring_file: Path) -> Keyrings:
    """Keyrings for tests that leave no key behind that another test could miss."""
    return open_all(keyring_file)


@pytest.fixture
def own_file(keyring_file: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy2(keyring_file, tmp_path / "own-keyring.json"))


@pytest.fixture
def own(own_file: Path) -> Keyrings:
    """Keyrings of a test that shreds or rotates."""
    return open_all(own_file)
