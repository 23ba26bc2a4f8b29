"""The columns of a version's shelves side by side, and apart again."""

import pyarrow as pa
import pytest

from vault.columns import domain_words
from vault.errors import VaultUsage
from vault.side_by_side import SideBySide

UNITS = pa.array([1, 2, 3], pa.uint64())


def beside() -> SideBySide:
    return SideBySide(("identity", "research"), "_unit", domain_words({"sex": ["F", "M"]}))


def batch(name: list[str | None], sex: list[str | None]) -> dict[str, pa.Table]:
    return {
        "identity": pa.table({"_unit": UNITS, "name": name}),
        "research": pa.table({"sex": sex, "_unit": UNITS, "name": [1, 2, 3]}),
    }


def test_each_shelf_has_its_own_columns_back_in_its_own_order() -> None:
    rows = (held := beside()).put(batch(["a", "b", "a"], ["M", "F", "F"]))
    apart = dict(held.take_apart(rows.to_batches()[0]))
    assert apart["identity"].to_pydict() == {"_unit": [1, 2, 3], "name": ["a", "b", "a"]}
    assert apart["research"].to_pydict() == {"sex": [1, 0, 0], "_unit": [1, 2, 3], "name": [1, 2, 3]}
    assert {name: table.schema for name, table in apart.items()} == {
        name: held.schema(name) for name in ("identity", "research")
    }


def test_only_a_column_of_which_every_row_of_every_batch_is_filled_is_said_to_be() -> None:
    held = beside()
    held.put(batch(["a", "b", "c"], ["M", "F", "F"]))
    held.put(batch(["a", None, "c"], ["M", "F", "F"]))
    assert [field.nullable for field in held.schema("identity")] == [False, True]
    assert [field.nullable for field in held.schema("research")] == [False, False, False]


def test_shelves_whose_rows_are_not_the_same_are_refused() -> None:
    given = batch(["a", "b", "c"], ["M", "F", "F"])
    given["research"] = given["research"].set_column(1, "_unit", pa.array([1, 3, 2], pa.uint64()))
    with pytest.raises(VaultUsage) as caught:
        beside().put(given)
    assert caught.value.code == "shelves_differ"
    with pytest.raises(VaultUsage) as caught:
        beside().put({**given, "research": given["research"].slice(1)})
    assert caught.value.code == "shelves_differ"
