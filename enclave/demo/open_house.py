"""An opened house for the demonstration and its tests: `enclave up` as a process of its own, and its end."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from enclave.commands.console import books
from enclave.demo.cast import Stage
from enclave.errors import ComponentDown
from enclave.settings import Settings, key_environment, read_settings
from enclave.supervisor import components
from enclave.wiring import open_stores

OPEN_SECONDS: Final = 90.0
CLOSE_SECONDS: Final = 60.0


@dataclass(frozen=True)
class OpenHouse:
    """A running house."""

    settings: Settings
    process: subprocess.Popen[bytes]

    @property
    def origin(self) -> str:
        """Where a browser goes."""
        return f"http://{self.settings.bind}"

    def stage(self) -> Stage:
        """Open its books."""
        stores = open_stores(self.settings)
        return Stage(self.settings, stores, books(self.settings, stores))

    def environment(self) -> dict[str, str]:
        """Give what a command needs to find this house."""
        return house_environment(self.settings)

    def wait(self) -> None:
        """Wait until every component serves; raises `ComponentDown` when the house closed instead."""
        deadline = time.monotonic() + OPEN_SECONDS
        while not all(component.ready() for component in components(self.settings)):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise ComponentDown(
                    "house_not_open", "The house did not open.", "See its logs, and `enclave doctor`."
                )
            time.sleep(0.1)

    def close(self) -> None:
        """End it as Ctrl-C would."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(CLOSE_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def house_environment(settings: Settings) -> dict[str, str]:
    """Give the environment that names this house, and nothing else of ours."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ENCLAVE_")}
    return {
        **inherited,
        "ENCLAVE_STATE": str(settings.state),
        "ENCLAVE_RUN": str(settings.run),
        "ENCLAVE_BIND": settings.bind,
        **key_environment(settings),
        "ENCLAVE_NOTEBOOK__VENV": str(settings.notebook.venv.absolute()),
        "ENCLAVE_NOTEBOOK__CODE": str(settings.notebook.code.absolute()),
    }


def free_port() -> int:
    """Give a port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@contextmanager
def opened(
    settings: Settings, *, quiet: bool = True, extra: Mapping[str, str] | None = None
) -> Iterator[OpenHouse]:
    """Open the house and close it at the end, whatever happens in between."""
    command = [sys.executable, "-m", "enclave", "up", *(["--quiet"] if quiet else [])]
    process = subprocess.Popen(
        command, env={**house_environment(settings), **(extra or {})}, start_new_session=True
    )
    house = OpenHouse(settings, process)
    try:
        house.wait()
        yield house
    finally:
        house.close()


def settings_for(state: Path, run: Path, port: int) -> Settings:
    """Give the settings of a house of its own."""
    return read_settings(state=state, run=run, bind=f"127.0.0.1:{port}")
