"""Lists of who objected: nobody but the engine reads them, and no entry is lost to a rotation or to another writer."""

import os
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.unit.vault.helpers import PASSPHRASE, Keyrings, Receipt, receipt
from vault.errors import VaultDamaged, VaultError, VaultRefused
from vault.keyring import LocalKeyring
from vault.keys import PURPOSES, Rights
from vault.sealed_file import open_sealed_file
from vault.sealed_list import SealedLists

ABOUT = "population:inhabitants"
OBJECTION, QUERY = receipt("data.objection", ABOUT), receipt("data.query", ABOUT)
UNIT = 0xC0FFEE_C0FFEE


@pytest.fixture
def lists(tmp_path: Path) -> SealedLists:
    return SealedLists(tmp_path / "objections")


def entry(unit: int) -> dict[str, object]:
    return {"id_type": "nir", "unit": unit}


def add(lists: SealedLists, unit: int, keys: LocalKeyring, act: Receipt = OBJECTION) -> list[dict[str, Any]]:
    return lists.add("inhabitants", lambda _: entry(unit), keys, act)


def test_what_was_added_is_read_in_order_and_a_missing_list_is_empty(
    lists: SealedLists, own: Keyrings
) -> None:
    assert lists.read("inhabitants", own.engine, QUERY) == []
    assert [len(add(lists, unit, own.engine)) for unit in (5, 7)] == [1, 2]
    assert [one["unit"] for one in lists.read("inhabitants", own.engine, QUERY)] == [5, 7]
    assert lists.names() == ("inhabitants",)


def test_what_is_added_follows_from_what_is_there_and_a_refusal_leaves_the_list_as_it_is(
    lists: SealedLists, own: Keyrings, tmp_path: Path
) -> None:
    add(lists, 5, own.engine)
    (file,) = (tmp_path / "objections").glob("*.sealed")
    before = file.read_bytes()
    seen: list[Any] = []
    assert lists.add("inhabitants", seen.extend, own.engine, OBJECTION) == [entry(5)]  # type: ignore[func-returns-value]
    assert seen == [entry(5)]

    def refuse(_: object) -> None:
        raise VaultRefused("no", "No.")

    with pytest.raises(VaultRefused):
        lists.add("inhabitants", refuse, own.engine, OBJECTION)
    assert file.read_bytes() == before


def test_the_file_shows_nothing_and_opens_for_the_engine_and_a_compaction_alone(
    lists: SealedLists, own: Keyrings, tmp_path: Path
) -> None:
    add(lists, UNIT, own.engine)
    (file,) = (tmp_path / "objections").glob("*.sealed")
    held = file.read_bytes()
    assert file.stat().st_mode & 0o777 == 0o600
    assert str(UNIT).encode() not in held
    assert UNIT.to_bytes(8, "little") not in held
    opens = [one for one in Rights if "objections" in one.value.unwrap]
    assert opens == [Rights.ENGINE, Rights.COMPACT_IDENTITY, Rights.COMPACT_RESEARCH, Rights.COMPACT_TEXT]
    for other in (own.operator, own.intake, own.reident, own.publisher):
        with pytest.raises(VaultRefused) as refused:
            lists.read("inhabitants", other, QUERY)
        assert refused.value.code == "key_right_missing"


def test_no_receipt_for_this_population_opens_or_lengthens_nothing(lists: SealedLists, own: Keyrings) -> None:
    add(lists, 1, own.engine)
    with pytest.raises(VaultRefused):
        lists.read("inhabitants", own.engine, receipt("data.query", "population:others"))
    with pytest.raises(VaultRefused):
        add(lists, 2, own.engine, receipt("data.shred", ABOUT))
    assert len(lists.read("inhabitants", own.engine, QUERY)) == 1


def test_what_is_no_file_in_a_lists_place_is_told_and_waited_for_by_nobody(
    lists: SealedLists, own: Keyrings, tmp_path: Path
) -> None:
    add(lists, 1, own.engine)
    file = tmp_path / "objections" / "inhabitants.sealed"
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(VaultDamaged) as caught:
        lists.read("inhabitants", own.engine, QUERY)
    assert caught.value.code == "sealed_list_not_read"


@pytest.mark.parametrize("place", [5, -1])
def test_a_changed_byte_and_another_populations_list_are_refused(
    lists: SealedLists, own: Keyrings, tmp_path: Path, place: int
) -> None:
    add(lists, 1, own.engine)
    file = tmp_path / "objections" / "inhabitants.sealed"
    good = file.read_bytes()
    shutil.copy(file, file.with_name("others.sealed"))
    changed = bytearray(good)
    changed[place] ^= 1
    file.write_bytes(changed)
    with pytest.raises(VaultError):
        lists.read("inhabitants", own.engine, QUERY)
    with pytest.raises(VaultError):
        lists.read("others", own.engine, receipt("data.query", "population:others"))
    file.write_bytes(b"\xff\n" + good)
    with pytest.raises(VaultDamaged):
        lists.read("inhabitants", own.engine, QUERY)


def test_a_rotation_opens_no_entry_and_loses_none(lists: SealedLists, own: Keyrings) -> None:
    add(lists, 1, own.engine)
    acts = receipt("key.rotate", ABOUT, *(f"key:{one}" for one in PURPOSES))
    own.operator.rotate("objections", acts)
    lists.rewrap("inhabitants", own.operator, acts)
    own.operator.retire("objections", acts)
    assert lists.read("inhabitants", own.engine, QUERY) == [entry(1)]
    assert len(add(lists, 2, own.engine)) == 2


def test_two_writers_at_once_both_keep_their_entry(own: Keyrings, tmp_path: Path) -> None:
    keyrings = {
        start: LocalKeyring(open_sealed_file(own.path, PASSPHRASE), Rights.ENGINE) for start in (0, 10)
    }

    def add_all(units: range) -> None:
        for unit in units:
            add(SealedLists(tmp_path / "objections"), unit, keyrings[units.start])

    threads = [threading.Thread(target=add_all, args=(range(start, start + 10),)) for start in (0, 10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    found = SealedLists(tmp_path / "objections").read("inhabitants", own.engine, QUERY)
    assert {one["unit"] for one in found} == set(range(20))
