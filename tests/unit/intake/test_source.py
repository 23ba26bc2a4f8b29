"""The file a partner sent: only a file of its own is read, only a whole one comes in, and only what was read is deleted."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from enclave.errors import BadInput
from enclave.partner_file import sample
from tests.unit.intake.intake_house import IntakeHouse, csv, row

ROWS = [row(number) for number in range(60)]
CONTENT = csv(ROWS)


def _fifo(house: IntakeHouse, name: str) -> Path:
    os.mkfifo(house.inbox / name)
    return house.inbox / name


def _folder(house: IntakeHouse, name: str) -> Path:
    (house.inbox / name).mkdir()
    return house.inbox / name


def _device(_house: IntakeHouse, _name: str) -> Path:
    return Path("/dev/zero")


def _link_out(house: IntakeHouse, name: str) -> Path:
    (house.state / name).write_bytes(CONTENT)
    (house.inbox / name).symlink_to(house.state / name)
    return house.inbox / name


def _link_in(house: IntakeHouse, name: str) -> Path:
    house.file(CONTENT, name)
    (house.state / name).symlink_to(house.inbox / name)
    return house.state / name


def _link_to_itself(house: IntakeHouse, name: str) -> Path:
    (house.inbox / name).symlink_to(house.inbox / name)
    return house.inbox / name


@pytest.mark.parametrize("make", [_fifo, _folder, _device, _link_out, _link_in, _link_to_itself])
@pytest.mark.parametrize("name", ["s.csv", "s.parquet"])
def test_what_is_no_file_of_its_own_is_refused_and_left(
    house: IntakeHouse, make: Callable[[IntakeHouse, str], Path], name: str
) -> None:
    source = make(house, name)
    for read in (lambda: house.bring(source, delete_source=True), lambda: sample(source)):
        with pytest.raises(BadInput) as caught:
            read()
        assert caught.value.code == "partner_file_no_file"
    assert os.path.lexists(source)


def test_what_is_reported_stored_put_aside_and_deleted_survives_a_loss_of_power(
    house: IntakeHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: set[Path] = set()
    real = os.fsync

    def fsync(handle: int) -> None:
        real(handle)
        synced.add(Path(f"/proc/self/fd/{handle}").readlink())

    monkeypatch.setattr(os, "fsync", fsync)
    report = house.bring(house.file(csv([*ROWS, row(60, sex="X")])))
    assert (report.stored, report.aside, report.source_deleted) == (60, 1, True)
    dataset = house.tools.root / "stays"
    assert {house.tools.root, dataset, house.tools.quarantine, house.inbox} <= synced
    # each was synced under the name it had before the version appeared
    written = {path.name for path in synced}
    assert {path.name for path in (dataset / "v1").rglob("*")} <= written
    assert {"stays-v1.key", "stays-v1.sealed.partial", "stays-v1.reasons"} <= written


def test_a_file_with_a_second_name_is_not_said_to_be_deleted(house: IntakeHouse) -> None:
    source = house.file(CONTENT)
    os.link(source, house.state / "second.csv")
    with pytest.raises(BadInput) as caught:
        house.bring(source)
    assert caught.value.code == "partner_file_named_twice"
    assert not house.left_over()
    assert house.bring(house.state / "second.csv").stored == 60  # which stays, as any file outside the inbox


def append(source: Path) -> None:
    with source.open("ab") as file:
        file.write(csv([row(60)]).partition(b"\n")[2])


def replace(source: Path) -> None:
    beside = source.with_name("beside")
    beside.write_bytes(CONTENT)
    beside.rename(source)


def remove(source: Path) -> None:
    source.unlink()


@pytest.mark.parametrize("change", [append, replace, remove])
def test_a_file_still_being_written_does_not_come_in(
    house: IntakeHouse, change: Callable[[Path], None]
) -> None:
    source = house.file(CONTENT)
    told: list[str] = []

    def progress(stage: str, _done: int, _of: int) -> None:
        if not told:
            change(source)
        told.append(stage)

    with pytest.raises(BadInput) as caught:
        house.bring(source, progress=progress)
    assert caught.value.code == "partner_file_unreadable" if change is remove else "partner_file_changed"
    assert not house.left_over()
    assert source.exists() == (change is not remove)


@pytest.mark.parametrize("change", [append, replace])
def test_what_came_after_the_last_row_was_read_is_not_deleted(
    house: IntakeHouse, change: Callable[[Path], None]
) -> None:
    source = house.file(CONTENT)
    told: list[str] = []

    def progress(stage: str, _done: int, _of: int) -> None:
        if stage == "encrypt" and stage not in told:
            change(source)
        told.append(stage)

    report = house.bring(source, progress=progress)
    assert (report.stored, report.source_deleted) == (60, False)
    assert source.exists()
