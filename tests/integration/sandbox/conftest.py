"""The real hub, gateway and sandboxes, with a small honest double of the house."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import pytest

from enclave.demo.notebook_session import NotebookSession, open_notebook
from enclave.demo.ways_out import PRELUDE
from tests.integration.sandbox.house_stand_in import PASSWORD
from tests.places import NOTEBOOK_VENV, ROOT

# A user nobody else is: the hub refuses to be root.
ORDINARY_UID = 64017
START_SECONDS = 60.0
OUTPUT_BYTES = 20_000_000

T = TypeVar("T")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def as_ordinary_user() -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    return {"user": ORDINARY_UID, "group": ORDINARY_UID, "extra_groups": []}


@dataclass
class House:
    """A running hub with its gateway: where it listens, its folders, its processes."""

    origin: str
    state: Path
    run: Path
    processes: list[subprocess.Popen[bytes]]

    def calls(self, name: str) -> list[dict[str, Any]]:
        lines = (self.state / "calls.jsonl").read_text().splitlines()
        return [call for call in map(json.loads, lines) if call["call"] == name]

    @contextlib.contextmanager
    def recorder_down(self) -> Iterator[None]:
        flag = self.state / "down"
        flag.touch()
        try:
            yield
        finally:
            flag.unlink()

    @contextlib.contextmanager
    def away(self, person: str) -> Iterator[None]:
        flag = self.state / "away"
        flag.write_text(person)
        flag.chmod(0o644)
        try:
            yield
        finally:
            flag.unlink()


def environment(state: Path, run: Path, port: int, output_bytes: int) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(state),
        "USER": "enclave-test",
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "ENCLAVE_STATE": str(state),
        "ENCLAVE_RUN": str(run),
        "ENCLAVE_BIND": f"127.0.0.1:{port}",
        "ENCLAVE_NOTEBOOK_VENV": str(NOTEBOOK_VENV),
        "ENCLAVE_NOTEBOOK_CODE": str(ROOT / "notebooks_image"),
        "ENCLAVE_OUTPUT_BYTES_PER_DAY": str(output_bytes),
    }


def wait_for(origin: str, hub: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if hub.poll() is not None:
            break
        with contextlib.suppress(urllib.error.URLError, OSError):
            urllib.request.urlopen(f"{origin}/hub/login", timeout=2).close()
            return
        time.sleep(0.2)
    pytest.fail(f"the hub did not start:\n{log.read_text()[-3000:]}")


@contextlib.contextmanager
def running_house(output_bytes: int) -> Iterator[House]:
    """Start the double and the hub as an ordinary user, and stop both."""
    top = Path(tempfile.mkdtemp(prefix="enc-", dir="/tmp"))
    state, run, log = top / "state", top / "r", top / "hub.log"
    for folder in (state, run):
        folder.mkdir(mode=0o700)
    if os.geteuid() == 0:
        for folder in (top, state, run):
            os.chown(folder, ORDINARY_UID, ORDINARY_UID)
    port = free_port()
    started = {"env": environment(state, run, port, output_bytes), "cwd": top, **as_ordinary_user()}
    stand_in = str(Path(__file__).parent / "house_stand_in.py")
    with log.open("ab") as output:
        house = subprocess.Popen(
            [sys.executable, stand_in, str(state), str(run)], stdout=output, stderr=output, **started
        )
        hub = subprocess.Popen(
            [sys.executable, "-m", "jupyterhub", "-f", str(ROOT / "enclave/hub/config.py")],
            stdout=output,
            stderr=output,
            **started,
        )
    origin = f"http://127.0.0.1:{port}"
    try:
        wait_for(origin, hub, log)
        yield House(origin, state, run, [house, hub])
    finally:
        for process in (hub, house):
            process.send_signal(signal.SIGTERM)
        for process in (hub, house):
            process.wait(20)
        if os.environ.get("ENCLAVE_KEEP_LOGS"):
            shutil.copy(log, "/tmp/enclave-test-hub.log")
        shutil.rmtree(top, ignore_errors=True)


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with running_house(OUTPUT_BYTES) as running:
        yield running


@pytest.fixture(scope="module")
def run() -> Iterator[Callable[[Awaitable[T]], T]]:
    """One event loop for the module, so that a session lives through its tests."""
    with asyncio.Runner() as runner:
        yield lambda what: runner.run(_await(what))


async def _await(what: Awaitable[T]) -> T:
    return await what


@pytest.fixture(scope="module")
def notebook(house: House, run: Callable[[Awaitable[Any]], Any]) -> Iterator[NotebookSession]:
    """Researcher a in study one, with a kernel in which the probes' prelude has run."""
    opened = open_notebook(house.origin, "researcher-a", PASSWORD, "study-one")
    session = run(opened.__aenter__())
    run(session.run(PRELUDE))
    yield session
    run(opened.__aexit__(None, None, None))


@contextlib.asynccontextmanager
async def signed_in(house: House, person: str, project: str = "study-one") -> Any:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
        session = NotebookSession(http, house.origin, person, project)
        await session.sign_in(PASSWORD)
        yield session


def sandboxes_of(house: House) -> list[str]:
    """Command lines of this hub's sandboxes: bwrap and what runs in it."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            if folder.stat().st_uid == house.state.stat().st_uid and (
                "bwrap" in command or "singleuser" in command
            ):
                found.append(command)
    return found


async def spill(notebook: NotebookSession) -> None:
    """Show more than the budget, slowly enough for Jupyter's own rate limit."""
    for _ in range(100):
        await notebook.run("import secrets, time; print(secrets.token_hex(100_000)); time.sleep(.2)")
