"""What can be known of rows put aside without opening them: how many, by rule and column."""

import os
from pathlib import Path

import pytest

from enclave.errors import Damaged
from enclave.quarantine import REASONS, put_aside_counts
from tests.unit.intake.intake_house import IntakeHouse, csv, row


def test_rows_put_aside_are_counted_by_rule_and_column_and_no_value_is_told(house: IntakeHouse) -> None:
    bad = [row(60, sex="X"), row(61, sex="Zorglub"), row(62, nights="many")]
    report = house.bring(house.file(csv([*(row(number) for number in range(60)), *bad])))
    counts = put_aside_counts(house.tools.quarantine, "stays", 1)
    assert counts == dict(report.reasons) == {"domain:sex": 2, "integer:nights": 1}
    written = (house.tools.quarantine / f"stays-v1{REASONS}").read_bytes()
    assert b"Zorglub" not in written
    assert b"many" not in written


@pytest.mark.parametrize("content", [b"", b"no JSON", b"[]", b'{"a":"b"}', None])
def test_counts_that_are_not_what_was_written_are_told(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / f"stays-v1{REASONS}"
    if content is None:
        os.mkfifo(path)
    else:
        path.write_bytes(content)
    with pytest.raises(Damaged) as caught:
        put_aside_counts(tmp_path, "stays", 1)
    assert caught.value.code == "quarantine_counts_damaged"


def test_where_nothing_was_put_aside_there_is_nothing_to_count(house: IntakeHouse) -> None:
    house.bring(house.file(csv([row(number) for number in range(6)])))
    assert put_aside_counts(house.tools.quarantine, "stays", 1) == {}
    assert put_aside_counts(house.tools.quarantine, "stays", 2) == {}
