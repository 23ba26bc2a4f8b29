"""A house that is closed, or whose supervisor is killed, leaves no process behind, and opens again whole."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from audit.verify import verify
from enclave.demo import cast
from enclave.demo.open_house import OpenHouse, free_port, house_environment, opened, settings_for
from enclave.demo.play_scrutiny import processes_naming
from enclave.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    run = Path(tempfile.mkdtemp(prefix="enc-"))
    lower = run.rename(run.with_name(run.name.lower()))
    yield settings_for(tmp_path / "house", lower, free_port())
    shutil.rmtree(lower, ignore_errors=True)


def gone_within(seconds: float, settings: Settings) -> list[str]:
    deadline = time.monotonic() + seconds
    left = processes_naming(str(settings.state))
    while left and time.monotonic() < deadline:
        time.sleep(0.2)
        left = processes_naming(str(settings.state))
    return left


def command(house: OpenHouse, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "enclave", *words],
        env=house_environment(house.settings),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_down_closes_what_up_opened_and_the_trail_says_both(settings: Settings) -> None:
    with opened(settings) as house:
        assert command(house, "status", "--json").returncode == 0
        assert '"stopped":true' in command(house, "down", "--json").stdout
        assert gone_within(10, settings) == []
        assert command(house, "status", "--json").returncode == 4
        assert command(house, "down").returncode == 3
    found = verify(settings.state / "trail")
    assert (found.integrity, found.completeness) == (True, True)


def test_after_kill_9_of_the_supervisor_nothing_runs_on_and_the_house_opens_again(settings: Settings) -> None:
    with opened(settings) as house:
        cast.people(house.stage())
        os.kill(house.process.pid, signal.SIGKILL)
        house.process.wait()
        assert gone_within(20, settings) == []
    with opened(settings) as house:
        passwords = cast.people(house.stage())
        assert set(passwords) == set(cast.PEOPLE)
    found = verify(settings.state / "trail")
    assert (found.integrity, found.intents_without_outcome) == (True, 0)
