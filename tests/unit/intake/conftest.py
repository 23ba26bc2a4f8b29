from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.intake.intake_house import IntakeHouse, intake_house
from tests.unit.vault.helpers import PASSPHRASE
from vault.keyring import create_keyring


@pytest.fixture(scope="session")
def keyring(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "keyring.json"
    create_keyring(path, PASSPHRASE)
    return path


@pytest.fixture
def house(tmp_path: Path, keyring: Path) -> Iterator[IntakeHouse]:
    opened = intake_house(tmp_path / "state", keyring)
    yield opened
    opened.recorder.close()
