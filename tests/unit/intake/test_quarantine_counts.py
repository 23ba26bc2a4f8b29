"""What can be known of rows put aside without opening them: how many, by rule and column."""

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


def test_where_nothing_was_put_aside_there_is_nothing_to_count(house: IntakeHouse) -> None:
    house.bring(house.file(csv([row(number) for number in range(6)])))
    assert put_aside_counts(house.tools.quarantine, "stays", 1) == {}
    assert put_aside_counts(house.tools.quarantine, "stays", 2) == {}
