"""A house whose passphrase a person types: who has it, who has not, and what a wrong one changes."""

import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from enclave.demo.cast import OPERATOR, new_password
from enclave.demo.open_house import OpenHouse, free_port, house_environment, settings_for
from enclave.demo.play_scrutiny import processes_naming
from enclave.housekeeping import add_person
from enclave.passphrase import CREDENTIAL, check_opens
from enclave.people import Role
from enclave.settings import KeySettings, Settings
from tests.living import Lived
from tests.terminal import Terminal, at_a_terminal

FIRST, SECOND = "several words nobody guesses", "quite other words for later"
ENCLAVE = [sys.executable, "-m", "enclave"]
ASKS = "Passphrase of the house's keys: "
REFUSED = 3


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    run = Path(tempfile.mkdtemp(prefix="enc-"))
    lower = run.rename(run.with_name(run.name.lower()))
    plain = settings_for(tmp_path / "house", lower, free_port())
    yield plain.model_copy(update={"keys": KeySettings(passphrase_from="prompt")})
    shutil.rmtree(lower, ignore_errors=True)


def environment(settings: Settings) -> dict[str, str]:
    return {**house_environment(settings), "LC_ALL": "C.UTF-8"}


def opening(terminal: Terminal, settings: Settings, *answers: tuple[str, str]) -> OpenHouse:
    for asked, typed in answers:
        terminal.answer(asked, typed)
    house = OpenHouse(settings, terminal.process)
    house.wait()
    return house


def house_processes(root: int) -> dict[int, str]:
    """Give every process that descends from the supervisor, with its command line."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(FileNotFoundError, ProcessLookupError):  # ended since
            told = folder.joinpath("stat").read_text().rpartition(")")[2]
            parents[int(folder.name)] = int(told.split()[1])
    found = {root}
    while more := {one for one, parent in parents.items() if parent in found} - found:
        found |= more
    return {one: Path(f"/proc/{one}/cmdline").read_bytes().replace(b"\0", b" ").decode() for one in found}


def holds_it(process: int) -> bool:
    return any(CREDENTIAL in target for target in opened_by(process))


def opened_by(process: int) -> Iterator[str]:
    for one in Path(f"/proc/{process}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed since
            yield str(one.readlink())


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def only_those_that_open_keys_hold_it(house: OpenHouse) -> None:
    """Look at every process of the house from outside: descriptors, environment, command line, and every file."""
    processes = house_processes(house.process.pid)
    holding = {command for process, command in processes.items() if holds_it(process)}
    names = ("audit serve", "enclave.engine", "enclave.service", "enclave up")
    assert len(holding) == len(names)
    assert all(any(name in command for command in holding) for name in names)
    assert any("jupyterhub" in command for command in set(processes.values()) - holding)
    for process, command in processes.items():
        assert FIRST not in command
        assert FIRST.encode() not in Path(f"/proc/{process}/environ").read_bytes()
    assert not [path for path, held in contents(house.settings.state).items() if FIRST.encode() in held]


def comes_back_without_being_asked(house: OpenHouse) -> None:
    """Kill the engine: the supervisor starts it again from what it holds in memory."""
    first = [one for one, name in house_processes(house.process.pid).items() if "enclave.engine" in name]
    os.kill(first[0], signal.SIGKILL)
    while first[0] in house_processes(house.process.pid):
        time.sleep(0.05)
    house.wait()


def asked_command(lived: Lived, password: Path, *words: str) -> Terminal:
    """Give a command of the operator's at a terminal, which asks for the passphrase there."""
    signed = ("--as", OPERATOR, "--password-file", str(password))
    return Terminal([*ENCLAVE, *words, *signed], environment(lived.house.settings))


def up_is_refused(settings: Settings, typed: str) -> None:
    before = contents(settings.state)
    with at_a_terminal([*ENCLAVE, "up"], environment(settings)) as terminal:
        terminal.answer(ASKS, typed)
        assert terminal.end() == REFUSED
    assert typed not in terminal.shown
    assert contents(settings.state) == before
    assert processes_naming(str(settings.state)) == []


def test_a_typed_passphrase_stays_in_memory_and_a_wrong_one_starts_nothing(
    settings: Settings, tmp_path: Path
) -> None:
    with at_a_terminal([*ENCLAVE, "up"], environment(settings)) as terminal:
        house = opening(terminal, settings, ("12 bytes at least", FIRST), ("again", FIRST))
        assert FIRST not in terminal.shown
        lived = Lived(house, {OPERATOR: new_password()}, [])
        password = tmp_path / "password"
        password.write_text(lived.passwords[OPERATOR])
        add_person(house.stage().books, None, OPERATOR, frozenset({Role.OPERATOR}), lived.passwords[OPERATOR])
        comes_back_without_being_asked(house)
        only_those_that_open_keys_hold_it(house)
        nobody_is_asked(lived)
        changes = asked_command(lived, password, "key", "passphrase")
        for asked, typed in ((ASKS, FIRST), ("12 bytes at least", SECOND), ("again", SECOND)):
            changes.answer(asked, typed)
        assert changes.end() == 0, changes.shown
        assert "which asks for the new one" in changes.shown
        check_opens(settings, SECOND.encode())
        house.close()
    up_is_refused(settings, FIRST)


def nobody_is_asked(lived: Lived) -> None:
    doctor = lived.command("doctor", "--json")
    assert doctor.returncode == 0, doctor.stdout
    codes = {one["code"] for one in json.loads(doctor.stdout)["findings"]}
    assert {"passphrase_asked", "keyring_not_tried"} <= codes
