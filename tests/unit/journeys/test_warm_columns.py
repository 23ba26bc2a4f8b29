"""The engine keeps the columns of its last questions, and each question is recorded and refused as if it did not."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from enclave.recording import EventObject
from tests.unit.journeys.engine_for_tests import PASSPHRASE, STEWARD, Engine, engine, question
from vault import parquet
from vault.errors import VaultRefused
from vault.keyring import open_keyring
from vault.keys import Rights
from vault.warm import WarmColumns


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Engine]:
    made = engine(tmp_path)
    yield replace(made, desk=replace(made.desk, warm=WarmColumns(3600, 10**9)))
    made.desk.ledger.close()
    made.recorder.close()


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[set[str]]:
    seen: list[set[str]] = []
    real = parquet.EncryptedFile.read

    def watched(file, schema, columns):
        seen.append(set(columns))
        return real(file, schema, columns)

    monkeypatch.setattr(parquet.EncryptedFile, "read", watched)
    return seen


def test_another_question_of_the_same_columns_decrypts_nothing_and_has_its_own_event(
    house: Engine, read: list[set[str]]
) -> None:
    house.desk.ask(house.order(question(1_000, by=["sex"])))
    assert read
    assert not {"cost", "entry"} & set.union(*read)
    read.clear()
    before = house.recorder.told("data.query")
    house.desk.ask(house.order(question(2_000, by=["sex"])))
    assert read == []
    assert len(house.recorder.told("data.query")) == len(before) + 2


def test_a_dataset_whose_key_was_shredded_is_refused_though_its_columns_were_warm(
    house: Engine, tmp_path: Path
) -> None:
    house.desk.ask(house.order(question(1_000)))
    assert house.desk.warm.bytes
    shred = house.recorder.single("data.shred", actor=STEWARD, objects=[EventObject("dataset", "stays")])
    operator = open_keyring(tmp_path / "keyring.json", PASSPHRASE, Rights.OPERATOR)
    operator.shred("research", "dataset:stays|1|research", shred)
    with pytest.raises(VaultRefused) as caught:
        house.desk.ask(house.order(question(2_000)))
    assert caught.value.code == "key_shredded"
    assert house.desk.warm.bytes == 0
