"""A rotation and a shredding killed at each step that reaches the disk: nothing is lost, nothing half-destroyed opens."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from enclave.agreements.key_backups import KeyBackups
from enclave.agreements.store import AgreementStore
from enclave.house import open_house
from enclave.journeys.keys import KeyTools, rotate, shred
from tests.unit.journeys.recorder_for_tests import RecorderForTests
from tests.unit.journeys.test_keys import DATASET, OPERATOR, Safe, keyring_file, safe
from tests.unit.vault.helpers import PASSPHRASE, Keyrings
from vault.keyring import LocalKeyring
from vault.keys import Rights
from vault.sealed_file import open_sealed_file
from vault.sealed_list import SealedLists

__all__ = ["keyring_file", "safe"]  # fixtures

STEPS = ("fsync", "rename", "unlink", "rmdir")
KILLED = 9
# More steps than any of these acts takes: a run that never ends is a failure, not a long test
MOST_STEPS = 120


@contextmanager
def house(folder: Path, keys: Keyrings) -> Iterator[Safe]:
    """Open a house that lies in a folder, with a trail of its own."""
    trail = folder / f"trail-{os.getpid()}-{len(list(folder.glob('trail-*')))}"
    trail.mkdir()
    engine, recorder = open_house(folder / "house.db"), RecorderForTests(trail)
    made = Safe(None, keys, recorder)  # type: ignore[arg-type]
    made.tools = KeyTools(
        root=folder / "shelves",
        quarantine=folder / "quarantine",
        objections=SealedLists(folder / "objections"),
        agreements=AgreementStore(engine),
        backups=KeyBackups(engine),
        recorder=recorder,
        keys=keys.operator,
        forget=made.forget,
    )
    try:
        yield made
    finally:
        recorder.close()
        engine.dispose()


def killed_at(step: int, folder: Path, keys: Keyrings, act: Callable[[Safe], object]) -> bool:
    """Do an act in a process that ends, without a word, before its step of that number; tell whether it did."""
    child = os.fork()
    if child == 0:
        try:
            with house(folder, keys) as opened:
                end_at(step)
                act(opened)
                os._exit(0)
        finally:
            os._exit(1)
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert ended in {0, KILLED}
    return ended == KILLED


def end_at(step: int) -> None:
    done = 0

    def counted(real: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **named: object) -> object:
            nonlocal done
            done += 1
            if done == step:
                os._exit(KILLED)
            return real(*arguments, **named)

        return call

    for name in STEPS:
        setattr(os, name, counted(getattr(os, name)))


@pytest.fixture
def pristine(safe: Safe, tmp_path: Path) -> Path:
    """Give a house nobody holds open."""
    safe.recorder.close()
    return Path(shutil.copytree(tmp_path, tmp_path.with_name(f"{tmp_path.name}-pristine")))


def runs(
    pristine: Path, folder: Path, act: Callable[[Safe], object]
) -> Iterator[tuple[Path, Keyrings, bool]]:
    """Give the house after each run, killed one step later each time, until one is not."""
    shutil.copytree(pristine, folder)
    file = open_sealed_file(folder / "keyring.json", PASSPHRASE)
    keys = Keyrings(
        folder / "keyring.json", **{rights.name.lower(): LocalKeyring(file, rights) for rights in Rights}
    )
    for step in range(1, MOST_STEPS):
        for path in folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        shutil.copytree(pristine, folder, dirs_exist_ok=True)
        (folder / "keyring.json").touch()
        killed = killed_at(step, folder, keys, act)
        yield folder, keys, killed
        if not killed:
            return
    pytest.fail("it never ended")


@pytest.mark.long
def test_a_rotation_killed_at_any_step_leaves_every_version_open_and_is_done_again(pristine: Path) -> None:
    def act(opened: Safe) -> object:
        return rotate(opened.tools, OPERATOR, retire=True)

    kills = 0
    for folder, keys, killed in runs(pristine, pristine.with_name(f"{pristine.name}-live"), act):
        kills += killed
        with house(folder, keys) as opened:
            assert [opened.rows(opened.current(version)) for version in (1, 2)] == [40, 40]
            act(opened)
            assert [opened.rows(opened.current(version)) for version in (1, 2)] == [40, 40]
    assert kills > 20


@pytest.mark.long
def test_a_shredding_killed_at_any_step_opens_for_no_question_and_is_finished_when_asked_again(
    pristine: Path,
) -> None:
    def act(opened: Safe) -> object:
        return shred(opened.tools, OPERATOR, DATASET, 2)

    kills = 0
    for folder, keys, killed in runs(pristine, pristine.with_name(f"{pristine.name}-live"), act):
        kills += killed
        with house(folder, keys) as opened:
            (second,) = (one for one in opened.tools.agreements.versions(DATASET) if one.version == 2)
            assert second.shredded or opened.rows(opened.current(2)) == 40
            assert opened.rows(opened.current(1)) == 40
            act(opened)
            assert not (folder / "shelves" / DATASET / "v2").exists()
            assert not list((folder / "quarantine").iterdir())
    assert kills > 20
