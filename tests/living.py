"""A real house to live in for tests: every process started, a small made-up population, people with passwords."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from enclave.demo import cast
from enclave.demo.open_house import OpenHouse, free_port, opened, settings_for
from enclave.journeys.intake import IntakeReport
from enclave.settings import KeySettings

PATIENTS, STAYS = 2_000, 6_000


@dataclass(frozen=True)
class Lived:
    """A house people live in."""

    house: OpenHouse
    passwords: cast.Passwords
    reports: list[IntakeReport]

    @property
    def stage(self) -> cast.Stage:
        return self.house.stage()

    def command(
        self, *arguments: str, person: str | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run `enclave ...`; with a person, signed in by a password file."""
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as secret:
            signed: tuple[str, ...] = ()
            if person is not None:
                secret.write(self.passwords[person])
                secret.flush()
                signed = ("--as", person, "--password-file", secret.name)
            return subprocess.run(
                [sys.executable, "-m", "enclave", *arguments, *signed],
                env={**self.house.environment(), **environment},
                capture_output=True,
                text=True,
                check=False,
                timeout=120,
            )


@contextmanager
def living(state: Path, keys: KeySettings | None = None) -> Iterator[Lived]:
    """Open a house with people and data, and close it at the end."""
    if os.getuid() == 0:
        pytest.fail("a house does not open for root: use scripts/test")
    run = Path(tempfile.mkdtemp(prefix="enc-"))
    lower = run.rename(run.with_name(run.name.lower()))
    settings = settings_for(state, lower, free_port())
    if keys is not None:
        settings = settings.model_copy(update={"keys": keys})
    try:
        with opened(settings) as house:
            stage = house.stage()
            passwords = cast.people(stage)
            cast.agreements(stage)
            reports: list[IntakeReport] = []
            cast.intake(stage, cast.deliver(settings, PATIENTS, STAYS), reports.append)
            yield Lived(house, passwords, reports)
    finally:
        shutil.rmtree(lower, ignore_errors=True)
