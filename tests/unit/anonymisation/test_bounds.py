import pytest

from anonymisation.bounds import declared, scaled
from anonymisation.errors import Damaged
from tests.unit.anonymisation.question_tables import PER_ROW, STAYS


@pytest.mark.parametrize(
    ("text", "digits", "number"),
    [
        ("65", 0, 65),
        (65, 2, 6500),
        ("-0.5", 1, -5),
        ("0.10", 1, 1),
        ("0.12", 1, None),
        ("1e3", 0, None),
        ("NaN", 0, None),
        ("٣", 0, None),
        (" 5", 0, None),
        ("5\n", 0, None),
        (True, 0, None),
        ("", 0, None),
    ],
)
def test_a_decimal_is_read_exactly_or_not_at_all(text: str | int, digits: int, number: int | None) -> None:
    assert scaled(text, digits) == number


def test_a_declared_bound_that_cannot_be_read_is_damage_and_names_the_column() -> None:
    assert declared(None, 0, "age") is None
    with pytest.raises(Damaged, match="age"):
        declared("12.5", 0, "age")


def test_a_table_finds_its_columns_and_knows_its_unit() -> None:
    assert STAYS.column("age") is not None
    assert STAYS.column("nothing") is None
    assert PER_ROW.per_row
    assert not STAYS.per_row
